/**
 * What is asked of a job: to pause, to pause with its parent, to be cancelled, or nothing any more. This module only
 * decides.
 *
 * Requests have weights, and a request gives way to a heavier one only. A person takes back any pause, a parent only
 * its own, and nobody takes back a cancel.
 */
import * as Option from "effect/Option"
import type { JobRecord, Request } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"

/** What a person asks of a job, or the state of a job asks of its children. */
export type Wish = "Run" | "Pause" | "Cancel"

export type By = "person" | "parent"

type Job = Pick<JobRecord, "state" | "request" | "token">

/** What a wish makes of a job: a transition, or a request to the owner that runs it. */
export type Step = JobState.Transition | { readonly _tag: "Asked"; readonly request: Option.Option<Request> }

/** States of jobs that are not over. */
export const activeTags: ReadonlyArray<JobState.Tag> = ["Queued", "Running", "Paused"]

/** Most children out of step that a store gives at once. */
export const astrayLimit = 100

const weights: Record<Request, number> = { PauseWithParent: 1, Pause: 2, Cancel: 3 }

export const isToCancel = ({ request }: Pick<JobRecord, "request">): boolean => Option.contains(request, "Cancel")

/** What is asked of a job. What has paused it is asked of it until somebody resumes it. */
const askedOf = ({ request, state }: Job): Request | undefined => {
  if (state._tag !== "Paused") return Option.getOrUndefined(request)
  return state.by === "parent" ? "PauseWithParent" : "Pause"
}

/** What a job asks of its children; `undefined` is one that is gone. */
export const wishOf = (parent: Pick<JobRecord, "state" | "request"> | undefined): Wish => {
  if (parent === undefined || JobState.isTerminal(parent.state) || isToCancel(parent)) return "Cancel"
  return parent.state._tag === "Paused" || Option.isSome(parent.request) ? "Pause" : "Run"
}

/** What the wish of its parent makes of a child; nothing where it is in step. */
export const stepOf = (child: Job, wish: Wish): Step | undefined =>
  JobState.isTerminal(child.state) ? undefined : stepTo(child, wish, "parent")

/** What the wish of a person makes of a job; nothing where it is so already. `JobState` may refuse the transition. */
export const stepAsked = (job: Job, wish: Wish): Step | undefined => stepTo(job, wish, "person")

const stepTo = (job: Job, wish: Wish, by: By): Step | undefined => {
  const { state, token } = job
  const isRunning = state._tag === "Running"
  const asked = askedOf(job)
  const weight = asked === undefined ? 0 : weights[asked]
  const pause = by === "parent" ? "PauseWithParent" : "Pause"
  if (wish === "Run") {
    if (asked === undefined && JobState.isActive(state)) return undefined
    if (by === "parent" && weight > weights[pause]) return undefined
    return isRunning && asked !== "Cancel" ? { _tag: "Asked", request: Option.none() } : { _tag: "Resumed" }
  }
  const request = wish === "Cancel" ? wish : pause
  if (weight >= weights[request]) return undefined
  if (isRunning) return { _tag: "Asked", request: Option.some(request) }
  if (wish === "Pause") return { _tag: "Paused", by }
  // What has run may have left something: it is queued, for its next owner to clean up after it.
  return { _tag: token === 0 ? "Cancelled" : "AskedToCancel" }
}

/**
 * What becomes of a job whose run has ended, or whose owner was lost: what was asked of it, or else what the run itself
 * came to, `own`.
 */
export const stepAtEnd = (request: Option.Option<Request>, own: JobState.Transition): JobState.Transition => {
  if (own._tag === "Succeeded" || Option.isNone(request)) return own
  if (request.value === "Cancel") {
    // The next owner cleans up where this one could not.
    return own._tag === "Released" && own.why === "OwnerLost" ? own : { _tag: "Cancelled" }
  }
  return own._tag === "Failed" || own._tag === "Paused"
    ? own
    : { _tag: "Paused", by: request.value === "Pause" ? "person" : "parent" }
}

/** What is still asked of a job after a transition: a cancel, until it is cleaned up after. */
export const requestAfter = (
  request: Option.Option<Request>,
  { _tag }: JobState.Transition
): Option.Option<Request> => {
  if (_tag === "AskedToCancel") return Option.some("Cancel")
  return _tag === "Claimed" || _tag === "Released"
    ? Option.filter(request, (asked) => asked === "Cancel")
    : Option.none()
}
