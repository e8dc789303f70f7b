/**
 * Models the life of a job as a pure state machine.
 *
 * Every change of a job goes through `transition`, so the diagram in
 * `docs/job-lifecycle.md` has exactly one implementation.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const counters = { attempt: Schema.Natural, tries: Schema.Natural }

const untilOver = { ...counters, failedAt: Schema.optionalKey(Schema.Finite) }

/**
 * Schema for who or what paused a job: `person`, `parent` where the job that started it is paused, or the name that the
 * job itself gave for it.
 *
 * @category models
 * @since 0.1.0
 */
export const PausedBy = Schema.NonEmptyString

/**
 * Who or what paused a job.
 *
 * @category models
 * @since 0.1.0
 */
export type PausedBy = typeof PausedBy.Type

/**
 * Schema for the states a job can be in.
 *
 * **Details**
 *
 * `attempt` counts from 1 and is raised when somebody retries the job; `tries` counts how often the job's own
 * retry has run its program again within the attempt. `failedAt` is when the program first failed in the attempt, which
 * that retry counts from; a job that has not failed has none.
 *
 * @category models
 * @since 0.1.0
 */
export const JobState = Schema.TaggedUnion({
  Queued: untilOver,
  Running: untilOver,
  Paused: { ...untilOver, by: PausedBy },
  Completed: counters,
  CompletedWithErrors: counters,
  Failed: counters,
  Cancelled: counters
})

/**
 * State of a job at one instant.
 *
 * @category models
 * @since 0.1.0
 */
export type JobState = typeof JobState.Type

/**
 * Schema for the names of the states.
 *
 * @category models
 * @since 0.1.0
 */
export const Tag = Schema.Literals([
  "Queued",
  "Running",
  "Paused",
  "Completed",
  "CompletedWithErrors",
  "Failed",
  "Cancelled"
])

/**
 * Name of a state.
 *
 * @category models
 * @since 0.1.0
 */
export type Tag = typeof Tag.Type

/**
 * Schema for what moves a job from one state to the next.
 *
 * **Details**
 *
 * - `Claimed`: an owner starts to run it.
 * - `Succeeded`: its program succeeded, with or without failed items.
 * - `Failed`: its program failed, died, or took too long.
 * - `Backoff`: its program failed at a time, and the job's own retry runs it again later.
 * - `Paused`: it stopped at a safe point and waits.
 * - `Resumed`: somebody lets a paused job go on.
 * - `Released`: its owner shut down or was lost; another may claim it.
 * - `Retried`: somebody wants the failed items, or the failed program, run again.
 * - `AskedToCancel`: it is not wanted any more, and has run: its next owner cleans up after it, and cancels it.
 * - `Cancelled`: it is cleaned up after, or never ran.
 *
 * @category models
 * @since 0.1.0
 */
export const Transition = Schema.TaggedUnion({
  Claimed: {},
  Succeeded: { withErrors: Schema.Boolean },
  Failed: {},
  Backoff: { at: Schema.Finite },
  Paused: { by: PausedBy },
  Resumed: {},
  Released: { why: Schema.Literals(["Shutdown", "OwnerLost"]) },
  Retried: {},
  AskedToCancel: {},
  Cancelled: {}
})

/**
 * What moves a job from one state to the next.
 *
 * @category models
 * @since 0.1.0
 */
export type Transition = typeof Transition.Type

/**
 * State of a job that was just accepted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const initial: JobState = JobState.cases.Queued.make({ attempt: 1, tries: 0 })

/**
 * Checks whether a job is over. Only a retry starts it again.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isTerminal = JobState.isAnyOf(["Completed", "CompletedWithErrors", "Failed", "Cancelled"])

/**
 * Checks whether a job still has an effect on new ones with the same key.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isActive = JobState.isAnyOf(["Queued", "Running", "Paused"])

/**
 * Computes the next state, or `None` where the transition is not allowed.
 *
 * @category transitions
 * @since 0.1.0
 */
export const transition = (state: JobState, by: Transition): Option.Option<JobState> => {
  const { attempt, tries } = state
  const kept = { attempt, tries, ..."failedAt" in state ? { failedAt: state.failedAt } : {} }
  const { Cancelled, Completed, CompletedWithErrors, Failed, Paused, Queued, Running } = JobState.cases
  const from = (allowed: ReadonlyArray<Tag>, next: JobState) =>
    allowed.includes(state._tag) ? Option.some(next) : Option.none()
  return Transition.match(by, {
    Claimed: () => from(["Queued"], Running.make(kept)),
    Succeeded: ({ withErrors }) =>
      from(["Running"], (withErrors ? CompletedWithErrors : Completed).make({ attempt, tries })),
    Failed: () => from(["Running"], Failed.make({ attempt, tries })),
    Backoff: ({ at }) => from(["Running"], Queued.make({ failedAt: at, ...kept, tries: tries + 1 })),
    Paused: ({ by }) =>
      from(
        // A person's pause outlasts that of a parent.
        state._tag === "Paused" && state.by === "parent" && by === "person" ? ["Paused"] : ["Queued", "Running"],
        Paused.make({ ...kept, by })
      ),
    Resumed: () => from(["Paused"], Queued.make(kept)),
    Released: () => from(["Running"], Queued.make(kept)),
    Retried: () => from(["CompletedWithErrors", "Failed"], Queued.make({ attempt: attempt + 1, tries: 0 })),
    AskedToCancel: () => from(["Queued", "Paused", "Failed"], Queued.make({ attempt, tries })),
    Cancelled: () => from(["Queued", "Running", "Paused"], Cancelled.make({ attempt, tries }))
  })
}
