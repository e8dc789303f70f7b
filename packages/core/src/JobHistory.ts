/**
 * How the progress of a job went, for a plot: samples over the whole life of the job, and marks of its turns.
 *
 * The owner of a running job takes a sample each second. A full history drops every other sample and doubles the
 * distance, so a history of any job has at most 240 samples, and takes some 10 KB.
 */
import * as Schema from "effect/Schema"

/**
 * Most samples of a history.
 *
 * @category models
 */
export const mostSamples = 240

/**
 * Most marks of a history. The oldest ones make room for new ones.
 *
 * @category models
 */
export const mostMarks = 64

/**
 * Schema for a turn in the life of a job, and its time in milliseconds since the epoch.
 *
 * - `Started`: an owner began to run the job. `token` is the owner's.
 * - `Set`: somebody changed the job's priority or limits.
 * - `Paused`, `Stopped`, `Ended`: the run of the owner with this `token` ended, by a pause, with its process or its
 *   lease, or as the program ended. A run that was killed has none of these.
 *
 * @category schemas
 */
export const Mark = Schema.Struct({
  at: Schema.Finite,
  kind: Schema.Literals(["Started", "Set", "Paused", "Stopped", "Ended"]),
  token: Schema.Natural
})
export type Mark = typeof Mark.Type

/**
 * One sample: its time in milliseconds since the epoch, the counts up to then, and the tasks that ran at that time.
 *
 * @category models
 */
export interface Sample {
  readonly at: number
  /** Elements that have ended: done, failed and skipped ones. */
  readonly items: number
  readonly failed: number
  readonly bytes: number
  readonly tasks: number
}

/**
 * Schema for the history of a job. Samples are in columns of one length, the oldest sample first, as plots take them.
 * `everyMillis` is the distance of the samples of one run.
 *
 * @category schemas
 */
export class JobHistory extends Schema.Class<JobHistory>("@fanout/core/JobHistory")({
  everyMillis: Schema.Natural,
  at: Schema.Array(Schema.Finite),
  items: Schema.Array(Schema.Natural),
  failed: Schema.Array(Schema.Natural),
  bytes: Schema.Array(Schema.Finite),
  tasks: Schema.Array(Schema.Natural),
  marks: Schema.Array(Mark)
}) {}

/**
 * History of a job that has no samples.
 *
 * @category constructors
 */
export const empty: JobHistory = new JobHistory({
  everyMillis: 1000,
  at: [],
  items: [],
  failed: [],
  bytes: [],
  tasks: [],
  marks: []
})

const halved = <A>(column: ReadonlyArray<A>): ReadonlyArray<A> => column.filter((_, index) => index % 2 === 0)

/**
 * Adds a sample. A sample that is too near to the last one is left out, unless it is the last one of its run.
 *
 * @category constructors
 */
export const withSample = (history: JobHistory, sample: Sample, isLast = false): JobHistory => {
  const { at, bytes, everyMillis, failed, items, marks, tasks } = history
  const distance = sample.at - (at.at(-1) ?? Number.NEGATIVE_INFINITY)
  // Samples are taken each second, and a timer can be early by a little. A clock can have been set back.
  if (!isLast && distance >= 0 && distance < everyMillis - 500) return history
  const isFull = at.length >= mostSamples
  const kept = isFull ? halved : <A>(column: ReadonlyArray<A>) => column
  return new JobHistory({
    everyMillis: isFull ? 2 * everyMillis : everyMillis,
    at: [...kept(at), sample.at],
    items: [...kept(items), sample.items],
    failed: [...kept(failed), sample.failed],
    bytes: [...kept(bytes), sample.bytes],
    tasks: [...kept(tasks), sample.tasks],
    marks
  })
}

/**
 * Adds marks behind the others.
 *
 * @category constructors
 */
export const withMarks = (history: JobHistory, marks: ReadonlyArray<Mark>): JobHistory =>
  marks.length === 0
    ? history
    : new JobHistory({ ...history, marks: [...history.marks, ...marks].slice(-mostMarks) })
