/**
 * Models the life of a job as a pure state machine. `transition` is the only implementation of the diagram in
 * `docs/job-lifecycle.md`: every change of a job's state goes through it.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const counters = { attempt: Schema.Natural, tries: Schema.Natural }

/**
 * Most elements that one retry can choose.
 *
 * @category models
 */
export const mostChosen = 1000

/**
 * Schema for the failed elements that a retry is limited to: elements by the sequence numbers of their rows, as
 * `JobManager.outcomePage` gives them, or all elements of one `Outcome.cause`.
 *
 * @category schemas
 */
export const Choice = Schema.Union([
  Schema.Struct({
    elements: Schema.Array(Schema.Natural).check(Schema.isMinLength(1), Schema.isMaxLength(mostChosen))
  }),
  Schema.Struct({ cause: Schema.String })
])
export type Choice = typeof Choice.Type

/**
 * What an attempt is limited to: failed elements of the job itself, or one child of it by its name. The attempt of the
 * child is limited in the same way, by its own `only`.
 *
 * @category models
 */
export type Only = Choice | { readonly child: string; readonly only?: Only }

/**
 * Schema for what an attempt is limited to.
 *
 * @category schemas
 */
export const Only: Schema.Codec<Only> = Schema.Union([
  ...Choice.members,
  Schema.Struct({ child: Schema.String, only: Schema.optionalKey(Schema.suspend((): Schema.Codec<Only> => Only)) })
])

const untilOver = {
  ...counters,
  failedAt: Schema.optionalKey(Schema.Finite),
  deadline: Schema.optionalKey(Schema.Finite),
  only: Schema.optionalKey(Only)
}

/**
 * Schema for the cause of a pause: `person`, `parent` (the parent of the job is paused), or a name that the job chose.
 *
 * @category models
 */
export const PausedBy = Schema.NonEmptyString
export type PausedBy = typeof PausedBy.Type

/**
 * Schema for what a job waits for, after a pause that ends by itself: the name of the pause, the time at which the wait
 * began in milliseconds since the epoch, and how often the job has looked in vain since then.
 *
 * @category schemas
 */
export const Wait = Schema.Struct({ by: PausedBy, since: Schema.Finite, looks: Schema.Natural })
export type Wait = typeof Wait.Type

const untilSeen = { ...untilOver, waits: Schema.optionalKey(Wait) }

/**
 * Schema for the states of a job.
 *
 * **Details**
 *
 * - `attempt` counts from 1. A person who retries the job raises it.
 * - `tries` counts the runs that the job's own `retry` has added within the attempt.
 * - `failedAt` is the time of the program's first failure in the attempt, in milliseconds since the epoch. The job's
 *   own `retry` counts from this time. A job that has not failed has no `failedAt`.
 * - `deadline` is the time by which the attempt must be over, in milliseconds since the epoch, if it has such a time.
 * - `only` is what the attempt runs again of what has failed, if it does not run all of it again.
 * - `waits`: the job is paused by a name whose pause ends by itself. `availableAt` of the record is the time of the
 *   next look. The owner of a running job has looked before the program began.
 *
 * @category models
 */
export const JobState = Schema.TaggedUnion({
  Queued: untilSeen,
  Running: untilSeen,
  Paused: { ...untilOver, by: PausedBy },
  Completed: counters,
  CompletedWithErrors: counters,
  Failed: counters,
  Cancelled: counters
})
export type JobState = typeof JobState.Type

/**
 * Schema for the names of the states.
 *
 * @category models
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
export type Tag = typeof Tag.Type

/**
 * Schema for the transitions between the states of a job.
 *
 * **Details**
 *
 * - `Claimed`: an owner starts to run the job.
 * - `Succeeded`: the program succeeded, with or without failed elements.
 * - `Failed`: the program failed, died, or took too long.
 * - `Backoff`: the program failed at the time `at`. The job's own `retry` runs the program again later.
 * - `Paused`: the job stopped at a safe point and waits for somebody to resume it.
 * - `Waits`: the job stopped at a safe point and waits for something that it looks for itself.
 * - `Resumed`: somebody lets a paused job go on, or does not let it wait any longer. A job that looks
 *   meanwhile runs after the look, whatever the look finds.
 * - `Released`: the owner shut down or was lost. Another owner may claim the job.
 * - `Retried`: somebody wants the failed elements, or the failed program, to run again. The new attempt has its own
 *   `deadline` and its own `only`, or none.
 * - `AskedToCancel`: somebody cancelled a job that has run. The next owner cleans up after the job and cancels it.
 * - `Cancelled`: the clean-up has ended, or the job never ran.
 * - `Abandoned`: somebody ended a job that no live process runs, without a clean-up.
 *
 * @category models
 */
export const Transition = Schema.TaggedUnion({
  Claimed: {},
  Succeeded: { withErrors: Schema.Boolean },
  Failed: {},
  Backoff: { at: Schema.Finite },
  Paused: { by: PausedBy },
  Waits: { wait: Wait },
  Resumed: {},
  Released: { why: Schema.Literals(["Shutdown", "OwnerLost"]) },
  Retried: { deadline: untilOver.deadline, only: untilOver.only },
  AskedToCancel: {},
  Cancelled: {},
  Abandoned: {}
})
export type Transition = typeof Transition.Type

/**
 * State of a newly accepted job.
 *
 * @category constructors
 */
export const initial: typeof JobState.cases.Queued.Type = JobState.cases.Queued.make({ attempt: 1, tries: 0 })

/**
 * Checks whether a job is over. Only a retry starts such a job again.
 *
 * @category predicates
 */
export const isTerminal = JobState.isAnyOf(["Completed", "CompletedWithErrors", "Failed", "Cancelled"])

/**
 * Checks whether a job is active, so that a new job with the same key is not stored.
 *
 * @category predicates
 */
export const isActive = JobState.isAnyOf(["Queued", "Running", "Paused"])

/**
 * Computes the next state, or `None` if the transition is not allowed.
 *
 * @category transitions
 */
export const transition = (state: JobState, by: Transition): Option.Option<JobState> => {
  const { attempt, tries } = state
  const kept = {
    attempt,
    tries,
    ..."failedAt" in state ? { failedAt: state.failedAt } : {},
    ..."deadline" in state ? { deadline: state.deadline } : {},
    ..."only" in state ? { only: state.only } : {}
  }
  const { Cancelled, Completed, CompletedWithErrors, Failed, Paused, Queued, Running } = JobState.cases
  const waits = "waits" in state ? { waits: state.waits } : {}
  const from = (allowed: ReadonlyArray<Tag>, next: JobState) =>
    allowed.includes(state._tag) ? Option.some(next) : Option.none()
  return Transition.match(by, {
    Claimed: () => from(["Queued"], Running.make({ ...kept, ...waits })),
    Succeeded: ({ withErrors }) =>
      from(["Running"], (withErrors ? CompletedWithErrors : Completed).make({ attempt, tries })),
    Failed: () => from(["Running"], Failed.make({ attempt, tries })),
    Backoff: ({ at }) => from(["Running"], Queued.make({ failedAt: at, ...kept, tries: tries + 1 })),
    Paused: ({ by }) =>
      from(
        // A person's pause outlasts the pause of a parent.
        state._tag === "Paused" && state.by === "parent" && by === "person" ? ["Paused"] : ["Queued", "Running"],
        Paused.make({ ...kept, by })
      ),
    Waits: ({ wait }) => from(["Running"], Queued.make({ ...kept, waits: wait })),
    Resumed: () =>
      state._tag === "Running"
        ? from("waits" in state ? ["Running"] : [], Running.make(kept))
        : from("waits" in state ? ["Queued"] : ["Paused"], Queued.make(kept)),
    Released: () => from(["Running"], Queued.make({ ...kept, ...waits })),
    Retried: ({ _tag, ...fresh }) =>
      from(["CompletedWithErrors", "Failed"], Queued.make({ attempt: attempt + 1, tries: 0, ...fresh })),
    AskedToCancel: () => from(["Queued", "Paused", "Failed"], Queued.make({ attempt, tries })),
    Cancelled: () => from(["Queued", "Running", "Paused"], Cancelled.make({ attempt, tries })),
    Abandoned: () => from(["Queued", "Running", "Paused"], Cancelled.make({ attempt, tries }))
  })
}
