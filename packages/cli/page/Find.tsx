/**
 * Finds jobs by the beginning of their id or by their name. Which of both a text is, the jobs tell.
 */
import { useLayoutEffect, useRef } from "preact/hooks"
import { list } from "./client.ts"
import { go, type Route, withQuery } from "./route.ts"

export const Find = ({ route }: { readonly route: Route }) => {
  const asked = useRef<AbortController>(null)
  const field = useRef<HTMLInputElement>(null)
  const sought = useRef("")
  const { query } = route
  const find = async (text: string) => {
    asked.current?.abort()
    sought.current = text
    const { signal } = asked.current = new AbortController()
    const isId = text !== "" &&
      await list({ idPrefix: text, limit: 1 }, signal).then(({ jobs }) => jobs.length > 0, () => false)
    if (signal.aborted) return
    go(withQuery(route, { id: isId ? text : null, name: isId ? null : text, before: null }))
  }
  const value = query.get("id") ?? query.get("name") ?? ""
  useLayoutEffect(() => {
    // What was sought is there, and may have been changed since.
    if (field.current !== null && value !== sought.current) field.current.value = value
    sought.current = value
  }, [value])
  return (
    <form
      class="find"
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        const text = new FormData(event.currentTarget).get("find")
        if (typeof text === "string") void find(text.trim())
      }}
    >
      <input
        ref={field}
        id="find"
        name="find"
        type="search"
        placeholder="Find by id or name"
        aria-label="Find jobs by id or name"
        aria-keyshortcuts="/"
        autocomplete="off"
        spellcheck={false}
        onInput={({ currentTarget }) => currentTarget.value === "" && void find("")}
      />
    </form>
  )
}
