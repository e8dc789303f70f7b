/**
 * What a job asks of its children, and what that means for each of them: decides, and changes nothing.
 */
import * as Option from "effect/Option"
import type { JobRecord } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"

/** What the state of a job asks of its children. */
export type Wish = "Run" | "Pause" | "Cancel"

/** States of jobs that are not over. */
export const activeTags: ReadonlyArray<JobState.Tag> = ["Queued", "Running", "Paused"]

/** Most children out of step that a store gives at once. */
export const astrayLimit = 100

/** What a job asks of its children; `undefined` is one that is gone. */
export const wishOf = (parent: Pick<JobRecord, "state" | "request"> | undefined): Wish => {
  if (parent === undefined || JobState.isTerminal(parent.state)) return "Cancel"
  const asked = Option.getOrUndefined(parent.request)
  if (asked === "Cancel") return "Cancel"
  return parent.state._tag === "Paused" || asked !== undefined ? "Pause" : "Run"
}

/** What a child is to be asked, or the state that it is to get; nothing where it is in step. */
export const stepOf = (
  child: JobRecord,
  wish: Wish
): JobState.Transition | "Ask" | "Withdraw" | "GiveUp" | undefined => {
  const { request, state } = child
  const asked = Option.getOrUndefined(request)
  // What is to be cancelled stays so, whatever becomes of its parent.
  if (asked === "Cancel") return undefined
  if (wish === "Cancel") return JobState.isTerminal(state) ? undefined : "GiveUp"
  if (wish === "Pause") {
    if (state._tag === "Queued") return { _tag: "Paused", by: "parent" }
    return state._tag === "Running" && asked === undefined ? "Ask" : undefined
  }
  if (state._tag === "Paused" && state.by === "parent") return { _tag: "Resumed" }
  return state._tag === "Running" && asked === "PauseWithParent" ? "Withdraw" : undefined
}
