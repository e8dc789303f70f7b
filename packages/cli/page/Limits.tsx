/**
 * Shows and sets what all processes keep together: how many jobs of a type run at once, and how many tasks of a rate
 * begin in a second.
 */
import { useRef } from "preact/hooks"
import { server, tell, tellError } from "./asking.ts"
import { Broken, Waiting } from "./Blank.tsx"
import { type CommonLimit, limits, setLimit } from "./client.ts"
import { look, useLive } from "./live.ts"
import { printable } from "./shown.ts"

const units = { jobs: "jobs at the same time", rate: "tasks a second" } as const

const change = (kind: CommonLimit["kind"], name: string, most: number | null): Promise<void> =>
  setLimit({ kind, name, most }).then(() => {
    tell(most === null ? `“${name}” has no limit now.` : `“${name}” is limited now. What runs goes on.`)
    look()
  }, tellError)

const Form = () => {
  const form = useRef<HTMLFormElement>(null)
  return (
    <form
      ref={form}
      class="settings"
      onSubmit={(event) => {
        event.preventDefault()
        const texts = new FormData(event.currentTarget)
        const kind = texts.get("kind") === "rate" ? "rate" : "jobs"
        const name = texts.get("name")
        if (typeof name === "string") {
          void change(kind, name, Number(texts.get("most"))).then(() => form.current?.reset())
        }
      }}
    >
      <label>
        Name
        <input name="name" required placeholder="copy" />
      </label>
      <label>
        At most
        <input name="most" type="number" required min={0} step="any" />
      </label>
      <label>
        Of what
        <select name="kind">
          <option value="jobs">{units.jobs}</option>
          <option value="rate">{units.rate}</option>
        </select>
      </label>
      <button type="submit">Limit</button>
    </form>
  )
}

export const LimitTable = ({ found }: { readonly found: ReadonlyArray<CommonLimit> }) => (
  <table>
    <tbody>
      {found.map(({ kind, most, name }) => (
        <tr key={`${kind} ${name}`}>
          <th scope="row">{printable(name)}</th>
          <td>at most {most.toLocaleString()} {units[kind]}</td>
          <td>
            {server.value?.isReadOnly === false && (
              <button
                type="button"
                aria-label={`Remove the limit of ${printable(name)}`}
                onClick={() => void change(kind, name, null)}
              >
                Remove
              </button>
            )}
          </td>
        </tr>
      ))}
    </tbody>
  </table>
)

export const Limits = () => {
  const { error, value } = useLive("limits", limits)
  return (
    <section>
      <h2>Limits of all processes together</h2>
      {value !== undefined
        ? value.length === 0 ? <p class="nothing">None is set.</p> : <LimitTable found={value} />
        : error === undefined
        ? <Waiting />
        : <Broken error={error} />}
      {server.value?.isReadOnly === false && <Form />}
    </section>
  )
}
