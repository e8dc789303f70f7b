/**
 * Shows at the foot of the window what was told, whether the server is away, and what can be done with what is
 * selected. It lies above the page, so that nothing in the page moves.
 */
import { type Signal, signal } from "@preact/signals"
import { askOf, dismiss, type Notice, notices, verbs } from "./asking.ts"
import type { Action, Row } from "./client.ts"
import { connection, trouble, tryNow } from "./live.ts"
import { Prose } from "./Prose.tsx"
import { clear, selected } from "./selection.ts"
import { clock, counted } from "./shown.ts"

/** The jobs of the list that is shown, of which some are selected. */
export const listed: Signal<ReadonlyArray<Row>> = signal([])

const actions: ReadonlyArray<Action> = ["pause", "resume", "retry", "cancel"]

/** Which of the selected jobs something can be asked of. */
export const selectedFor = (action: Action): ReadonlyArray<string> =>
  listed.value.filter((job) => selected.value.has(job.id) && job.actions.includes(action)).map(({ id }) => id)

const Selected = () => {
  const many = selected.value.size
  if (many === 0) return null
  return (
    <section class="strip" aria-label="What is selected">
      <strong>{counted(many, "job")} selected</strong>
      <span class="buttons">
        {actions.map((action) => {
          const ids = selectedFor(action)
          return ids.length > 0 && (
            <button
              key={action}
              type="button"
              class={action === "cancel" ? "danger" : ""}
              onClick={() => askOf(action, ids)}
            >
              {verbs[action][0]} {counted(ids.length, "job")}
            </button>
          )
        })}
        <button type="button" class="quiet" onClick={clear}>Select none</button>
      </span>
    </section>
  )
}

/** What is shown when the server is away is old, and from when is said. */
export const LostStrip = ({ since }: { readonly since: number }) => (
  <section class="strip bad" role="alert">
    <span>
      <strong>Connection lost.</strong>{" "}
      {since === 0 ? "Nothing was read yet." : `What is shown is from ${clock(since)}.`} Trying again.
    </span>
    <button type="button" onClick={tryNow}>Try now</button>
  </section>
)

export const NoticeStrip = ({ notice: { id, isBad, text } }: { readonly notice: Notice }) => (
  <div class={`strip ${isBad ? "bad" : ""}`}>
    <span>
      <Prose text={text} />
    </span>
    <button
      type="button"
      class="quiet"
      onClick={() => dismiss(id)}
    >
      Close
    </button>
  </div>
)

/** The server can't read, and what is shown is old. */
export const TroubleStrip = ({ why }: { readonly why: string }) => (
  <section class="strip bad" role="alert">
    <span>
      <strong>What is shown may be old.</strong> <Prose text={why} /> It is tried again by itself.
    </span>
  </section>
)

export const Foot = () => (
  <footer>
    <div role="status">{notices.value.map((notice) => <NoticeStrip key={notice.id} notice={notice} />)}</div>
    {connection.value._tag === "Lost" && <LostStrip since={connection.value.since} />}
    {trouble.value !== undefined && <TroubleStrip why={trouble.value} />}
    <Selected />
  </footer>
)
