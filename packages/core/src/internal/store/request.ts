/**
 * Decides what a request makes of a job. A job can be asked to pause, to pause with its parent, or to be cancelled.
 *
 * Requests have weights, and only a heavier request replaces a request. A person takes back any pause. A parent takes
 * back only a pause with the parent. Nobody takes back a cancel.
 */
import * as Option from "effect/Option"
import type { JobRecord, Request } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"

/** What a person wants of a job, or a parent wants of its children. */
export type Wish = "Run" | "Pause" | "Cancel"

export type By = "person" | "parent"

type Job = Pick<JobRecord, "state" | "request" | "token">

/** What a wish makes of a job: a transition, or a request to the owner that runs the job. */
export type Step = JobState.Transition | { readonly _tag: "Asked"; readonly request: Option.Option<Request> }

/** States of jobs that are not finished. */
export const activeTags: ReadonlyArray<JobState.Tag> = ["Queued", "Running", "Paused"]

/** Most children that `JobStore.astray` gives at once. */
export const astrayLimit = 100

const weights: Record<Request, number> = { PauseWithParent: 1, Pause: 2, Cancel: 3 }

export const isToCancel = ({ request }: Pick<JobRecord, "request">): boolean => Option.contains(request, "Cancel")

/** The request to a job. A paused job counts as asked to pause until somebody resumes the job. */
const askedOf = ({ request, state }: Job): Request | undefined => {
  if (state._tag !== "Paused") return Option.getOrUndefined(request)
  return state.by === "parent" ? "PauseWithParent" : "Pause"
}

/** What a parent wants of its children. `undefined` stands for a parent that is removed. */
export const wishOf = (parent: Pick<JobRecord, "state" | "request"> | undefined): Wish => {
  if (parent === undefined || JobState.isTerminal(parent.state) || isToCancel(parent)) return "Cancel"
  return parent.state._tag === "Paused" || Option.isSome(parent.request) ? "Pause" : "Run"
}

/** What the wish of a parent makes of a child; `undefined` if the child is in step already. */
export const stepOf = (child: Job, wish: Wish): Step | undefined =>
  JobState.isTerminal(child.state) ? undefined : stepTo(child, wish, "parent")

/** What the wish of a person makes of a job; `undefined` if nothing changes. `JobState` may refuse the transition. */
export const stepAsked = (job: Job, wish: Wish): Step | undefined => stepTo(job, wish, "person")

const stepTo = (job: Job, wish: Wish, by: By): Step | undefined => {
  const { state, token } = job
  const isRunning = state._tag === "Running"
  const asked = askedOf(job)
  const weight = asked === undefined ? 0 : weights[asked]
  const pause = by === "parent" ? "PauseWithParent" : "Pause"
  if (wish === "Run") {
    const endsWait = by === "person" && "waits" in state && state.waits !== undefined
    if (asked === undefined && JobState.isActive(state) && !endsWait) return undefined
    if (by === "parent" && weight > weights[pause]) return undefined
    return isRunning && asked !== "Cancel" && !endsWait
      ? { _tag: "Asked", request: Option.none() }
      : { _tag: "Resumed" }
  }
  const request = wish === "Cancel" ? wish : pause
  if (weight >= weights[request] || (wish === "Cancel" && state._tag === "Cancelled")) return undefined
  if (isRunning) return { _tag: "Asked", request: Option.some(request) }
  if (wish === "Pause") return { _tag: "Paused", by }
  // A job that has run may have left something behind, so the job is queued for the next owner to clean up.
  return { _tag: token === 0 ? "Cancelled" : "AskedToCancel" }
}

/** The transition of a job whose run has ended, or whose owner was lost. `own` is the transition without a request. */
export const stepAtEnd = (request: Option.Option<Request>, own: JobState.Transition): JobState.Transition => {
  if (own._tag === "Succeeded" || Option.isNone(request)) return own
  if (request.value === "Cancel") {
    // An owner that is lost has not cleaned up, so the next owner does.
    return own._tag === "Released" && own.why === "OwnerLost" ? own : { _tag: "Cancelled" }
  }
  return own._tag === "Failed" || own._tag === "Paused"
    ? own
    : { _tag: "Paused", by: request.value === "Pause" ? "person" : "parent" }
}

/** The request that remains after a transition: a cancel remains until an owner has cleaned up. */
export const requestAfter = (
  request: Option.Option<Request>,
  { _tag }: JobState.Transition
): Option.Option<Request> => {
  if (_tag === "AskedToCancel") return Option.some("Cancel")
  return _tag === "Claimed" || _tag === "Released"
    ? Option.filter(request, (asked) => asked === "Cancel")
    : Option.none()
}
