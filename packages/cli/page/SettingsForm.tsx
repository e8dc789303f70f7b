/**
 * Shows what can be set of a job while it waits or runs: how urgent it is, and what it may use.
 */
import { useState } from "preact/hooks"
import { tell, tellError } from "./asking.ts"
import { type Detail, set } from "./client.ts"
import { look } from "./live.ts"
import { setBytes } from "./shown.ts"

const priorities: ReadonlyArray<Detail["priority"]> = ["low", "normal", "high", "critical"]

/** Reads an amount of bytes as the command does: `20MB`, `1.5 GiB`, `512K`; `undefined` if it is none. */
const parseBytes = (text: string): number | undefined => {
  const [, amount, prefix = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?b)?|b)?(?:\/s)?$/i.exec(text.trim()) ??
    []
  const power = ["", "k", "m", "g", "t"].indexOf(prefix.toLowerCase())
  return amount === undefined ? undefined : Number(amount) * (unit.toLowerCase() === "b" ? 1000 : 1024) ** power
}

export const SettingsForm = ({ job }: { readonly job: Detail }) => {
  const { limits: { bytesPerSecond, concurrency }, priority } = job
  const [isWrong, setWrong] = useState(false)
  const submit = (form: HTMLFormElement) => {
    const texts = new FormData(form)
    const text = (name: string) => {
      const value = texts.get(name)
      return typeof value === "string" ? value.trim() : ""
    }
    const rate = text("bandwidth") === "" ? null : parseBytes(text("bandwidth"))
    setWrong(rate === undefined || rate === 0)
    if (rate === undefined || rate === 0) return
    set(job.id, {
      priority: priorities.find((one) => one === text("priority")) ?? "normal",
      concurrency: text("concurrency") === "" ? null : Number(text("concurrency")),
      // What was shown as a round amount stays as it was, unless somebody writes another one.
      ...job.isThrottled && text("bandwidth") !== shownRate(bytesPerSecond) ? { bytesPerSecond: rate } : {}
    }).then(() => {
      tell("Set. A running job follows within a second.")
      look()
    }, tellError)
  }
  return (
    <form
      // What somebody else sets is shown, too.
      key={`${priority} ${concurrency} ${bytesPerSecond}`}
      class="settings"
      onSubmit={(event) => {
        event.preventDefault()
        submit(event.currentTarget)
      }}
    >
      <label>
        Priority
        <select name="priority" defaultValue={priority}>
          {priorities.map((one) => <option key={one} selected={one === priority}>{one}</option>)}
        </select>
      </label>
      <label>
        Tasks at once
        <input
          name="concurrency"
          type="number"
          min={1}
          max={9999}
          placeholder="no limit"
          defaultValue={concurrency ?? ""}
        />
      </label>
      {job.isThrottled && (
        <label>
          Bandwidth per second
          <input
            name="bandwidth"
            placeholder="no limit, or 20 MB"
            defaultValue={shownRate(bytesPerSecond)}
            aria-invalid={isWrong}
            aria-describedby={isWrong ? "bandwidth-wrong" : undefined}
          />
        </label>
      )}
      <button type="submit">Set</button>
      {isWrong && <p id="bandwidth-wrong" class="bad" role="alert">An amount such as 20 MB, 1.5 GiB or 512K.</p>}
    </form>
  )
}

const shownRate = (perSecond: number | null): string => perSecond === null ? "" : setBytes(perSecond)
