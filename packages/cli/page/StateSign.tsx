/**
 * Shows the state of a job: by a sign, by a colour and in words.
 */
import type { Row } from "./client.ts"
import { printable } from "./shown.ts"

/** What a job is seen as. */
type Look = "running" | "queued" | "paused" | "done" | "partial" | "failed" | "cancelled"

const looks: Readonly<Record<Row["state"], readonly [Look, string]>> = {
  Queued: ["queued", "queued"],
  Running: ["running", "running"],
  Paused: ["paused", "paused"],
  Completed: ["done", "done"],
  CompletedWithErrors: ["partial", "some failed"],
  Failed: ["failed", "failed"],
  Cancelled: ["cancelled", "cancelled"]
}

/** All states, those of jobs that are not over first. */
export const states: ReadonlyArray<Row["state"]> = [
  "Running",
  "Queued",
  "Paused",
  "CompletedWithErrors",
  "Failed",
  "Completed",
  "Cancelled"
]

/** Each is drawn on a square of 12. */
const drawings: Readonly<Record<Look, string>> = {
  running: "M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9z",
  queued: "M6 1a5 5 0 1 1 0 10a5 5 0 1 1 0-10zM6 2.6a3.4 3.4 0 1 0 0 6.8a3.4 3.4 0 1 0 0-6.8z",
  paused: "M2.5 1.5h2.4v9h-2.4zM7.1 1.5h2.4v9h-2.4z",
  done: "M1 6.4l1.3-1.3l2.4 2.4l5-5l1.3 1.3l-6.3 6.3z",
  partial: "M5 1h2v6.2h-2zM5 8.8h2v2.2h-2z",
  failed: "M5 1h2v6.2h-2zM5 8.8h2v2.2h-2z",
  cancelled: "M2.8 1.6L6 4.8l3.2-3.2l1.2 1.2L7.2 6l3.2 3.2l-1.2 1.2L6 7.2l-3.2 3.2l-1.2-1.2L4.8 6L1.6 2.8z"
}

type Known = Pick<Row, "state" | "stateText" | "isOwnerDead">

const lookOf = ({ isOwnerDead, state }: Known): Look => isOwnerDead ? "failed" : looks[state][0]

/** Word for a state, where many jobs are counted. */
export const wordOf = (state: Row["state"]): string => looks[state][1]

export const Sign = ({ look }: { readonly look: Look }) => (
  <svg class={`sign ${look}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
    <path d={drawings[look]} fill="currentColor" fill-rule="evenodd" />
  </svg>
)

export const SignOf = ({ state }: { readonly state: Row["state"] }) => <Sign look={looks[state][0]} />

export const StateSign = ({ job }: { readonly job: Known }) => (
  <span class={`state ${lookOf(job)}`}>
    <Sign look={lookOf(job)} />
    <span>{printable(job.stateText)}</span>
  </span>
)
