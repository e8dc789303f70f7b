/**
 * How long the tasks of a job waited and ran, and how its process uses pools, threads and workers of a cluster.
 *
 * The owner of a running job stores these figures once a second, if they have changed. A job that is over within a
 * second has none. The times of all owners of a job are counted together. Pools, threads and workers are those of the
 * process that stored them last.
 *
 * **Details**
 *
 * Each attempt of a task counts in two histograms of its kind:
 *
 * - *Waiting* is the time from when the attempt asks for permits until its handler begins. It has the waits for a turn
 *   of a rate, for the limits of the job, for permits of the pool, and for a thread. The pause before a further attempt
 *   is no part of it.
 * - *Running* is the time from the begin of the handler to its end, however it ends. It has the time in which the
 *   handler waits for other tasks or for bandwidth, without a permit.
 *
 * A thread takes both times of each of its tasks by itself, also of tasks that it got as a batch. So a task of a batch
 * waits while those before it run. Of a task that was lost with its thread, the owner takes the times. A worker of a
 * cluster tells how long each of its tasks ran. The ways of the task and of its result count as waiting.
 *
 * To read a clock for each attempt would slow tiny tasks down. So while a process begins more than 40,000 attempts of a
 * kind in a second, it times one in 16, which counts for all of them. Each 1,000 attempts decide about the next ones.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { WorkerStatus } from "./ClusterWorkers.ts"
import { PoolStatus } from "./Pools.ts"

/**
 * Most kinds of tasks that are counted apart. The tasks of all other kinds count as the kind `others`.
 *
 * @category models
 */
export const mostKinds = 32

/**
 * Upper bounds of the buckets of a histogram, in milliseconds: 0.1, and each time √2 as much. The last bucket has none:
 * its bound is `Infinity`.
 *
 * @category models
 */
export const upperMillis: ReadonlyArray<number> = Array.from(
  { length: 48 },
  (_, index) => index === 47 ? Number.POSITIVE_INFINITY : 0.1 * 2 ** (index / 2)
)

/**
 * Schema for a histogram: the number of attempts in each bucket of `upperMillis`, without the empty buckets at its end.
 *
 * @category schemas
 */
export const Histogram = Schema.Array(Schema.Natural)
export type Histogram = typeof Histogram.Type

/**
 * Counts the attempts of a histogram.
 *
 * @category accessors
 */
export const countOf = (histogram: Histogram): number => histogram.reduce((sum, count) => sum + count, 0)

/**
 * Gives the milliseconds within which a share of all attempts lay, such as 0.5 or 0.95. This is the upper bound of a
 * bucket, so the true time is up to √2 times smaller. It is `Infinity` in the last bucket, and `undefined` where there
 * are no attempts.
 *
 * @category accessors
 */
export const quantile = (histogram: Histogram, share: number): number | undefined => {
  const wanted = share * countOf(histogram)
  let sum = 0
  for (const [index, count] of histogram.entries()) {
    sum += count
    if (count > 0 && sum >= wanted) return upperMillis[index]
  }
  return undefined
}

/**
 * Schema for the times of one kind of task: of all tasks with one definition, of one `forEach`, or of `runEffect`.
 * `name` is the name of the definition, `forEach "…"` or `effect`, of which the first 100 characters count.
 *
 * @category schemas
 */
export const TaskKind = Schema.Struct({ name: Schema.String, waiting: Histogram, running: Histogram })
export type TaskKind = typeof TaskKind.Type

/**
 * Schema for a pool of threads or of child processes.
 *
 * - `name`: the tasks that it runs, the first three of them.
 * - `size`: the most threads that it has at the same time, with the calling thread if that takes part.
 * - `alive`, `busy`: threads that it has now, and those of them that have tasks.
 * - `queued`: tasks that have permits and wait for a thread.
 * - `ended`: tasks that have ended on its threads so far.
 * - `lost`: threads that were lost so far and replaced.
 * - `abandoned`: threads that were given up and have not ended since.
 *
 * @category schemas
 */
export const ThreadsStatus = Schema.Struct({
  name: Schema.String,
  size: Schema.Natural,
  alive: Schema.Natural,
  busy: Schema.Natural,
  queued: Schema.Natural,
  ended: Schema.Natural,
  lost: Schema.Natural,
  abandoned: Schema.Natural
})
export type ThreadsStatus = typeof ThreadsStatus.Type

/**
 * Schema for what is known of the tasks of a job. `token` is that of the owner whose `pools`, `threads` and
 * `workers` these are, and 0 if no owner has stored any. There are at most 32 pools, 32 pools of threads and 128
 * workers. Of a worker, `silentMillis` is in whole seconds, and a reason has at most 300 characters.
 *
 * @category schemas
 */
export class JobTasks extends Schema.Class<JobTasks>("@fanout/core/JobTasks")({
  token: Schema.Natural,
  kinds: Schema.Array(TaskKind),
  pools: Schema.Array(PoolStatus),
  threads: Schema.Array(ThreadsStatus),
  workers: Schema.Array(WorkerStatus).pipe(Schema.withDecodingDefaultKey(Effect.succeed([])))
}) {}

/**
 * What is known of the tasks of a job that has stored nothing.
 *
 * @category constructors
 */
export const empty: JobTasks = new JobTasks({ token: 0, kinds: [], pools: [], threads: [], workers: [] })
