/**
 * Samples of a run: the rates of the last seconds for whoever looks now, the history for whoever looks back, and the
 * times of its tasks with the pools, threads and workers of the process.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as JobHistory from "../../JobHistory.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { JobTasks, type TaskKind } from "../../JobTasks.ts"
import type { Progress } from "../../Progress.ts"
import { briefs } from "../cluster/liveWorkers.ts"
import type { JobRun } from "../fanOut/jobRun.ts"
import { nowMillis } from "../task/deadlines.ts"
import type { Run } from "./runtime.ts"

/** Milliseconds between two samples, and over which rates are taken. */
const everyMillis = 1000
const windowMillis = 10_000

/** The counts of one moment, by unit. The time is that of a clock that nobody sets. */
interface Look {
  readonly at: number
  readonly counts: Readonly<Record<string, number>>
}

const lookAt = (at: number, { items, units }: Progress): Look => ({ at, counts: { ...units, items } })

/** What the counts have grown by in a second. A unit that does not grow is left out. */
const ratesBetween = (first: Look, last: Look): Readonly<Record<string, number>> => {
  const seconds = (last.at - first.at) / 1000
  const more = Object.entries(last.counts).map(([unit, count]) => [unit, count - (first.counts[unit] ?? 0)] as const)
  return Object.fromEntries(more.flatMap(([unit, count]) => count > 0 && seconds > 0 ? [[unit, count / seconds]] : []))
}

export interface Sampler {
  /** Notes a turn. The next sample stores the turn. */
  readonly mark: (kind: JobHistory.Mark["kind"]) => void
  /** Takes a sample each second. */
  readonly run: Effect.Effect<never>
  /** Takes the last sample of a run that has lasted a second. */
  readonly end: Effect.Effect<void>
}

/** Most pools, and most pools of threads, that are told of. */
const mostPools = 32

/** Stores the times of the tasks, and the pools, threads and workers of this process, if they have changed. */
const makeTaskSampler = (
  { id, token }: Pick<Run["record"], "id" | "token">,
  { clusters, pools, store, threads }: Run["runtime"],
  { times }: JobRun["Service"]
): Effect.Effect<void, JobStoreError> => {
  let earlier: ReadonlyArray<TaskKind> | undefined
  let stored: JobTasks | undefined
  return Effect.gen(function*() {
    earlier ??= Option.match(yield* store.tasks(id), { onNone: () => [], onSome: ({ kinds }) => kinds })
    const latest = new JobTasks({
      token,
      kinds: times.with(earlier),
      pools: (yield* pools.status).slice(0, mostPools),
      threads: Array.from(threads, (pool) => pool.statusUnsafe()).slice(0, mostPools),
      workers: briefs(clusters)
    })
    if (Equal.equals(latest, stored)) return
    yield* store.saveTasks(id, token, latest)
    stored = latest
  })
}

/** Makes the sampler of a run. `tasks` gives the number of tasks that run now. */
export const makeSampler = (
  { record: { id, token }, runtime }: Pick<Run, "record" | "runtime">,
  jobRun: JobRun["Service"],
  tasks: () => number
): Sampler => {
  const { clock, store } = runtime
  const began = clock.currentTimeMillisUnsafe()
  let looks: ReadonlyArray<Look> = [lookAt(nowMillis(clock), jobRun.progress)]
  let history: JobHistory.JobHistory | undefined
  let marks: ReadonlyArray<JobHistory.Mark> = [{ at: began, kind: "Started", token }]

  const save = Effect.fnUntraced(function*(sample: JobHistory.Sample, isLast: boolean) {
    const before = history ?? Option.getOrElse(yield* store.history(id), () => JobHistory.empty)
    const noted = marks
    const after = JobHistory.withMarks(JobHistory.withSample(before, sample, isLast), noted)
    if (after !== before) yield* store.saveHistory(id, token, after)
    marks = marks.slice(noted.length)
    history = after
  })

  const saveTasks = makeTaskSampler({ id, token }, runtime, jobRun)

  /** Takes a sample. A job goes on to its end without a sample that dies, or that the store does not take. */
  const sample = (isLast: boolean) =>
    Effect.suspend(() => {
      const at = clock.currentTimeMillisUnsafe()
      const progress = jobRun.latest()
      const look = lookAt(nowMillis(clock), progress)
      looks = [...looks.filter((one) => look.at - one.at <= windowMillis), look]
      jobRun.reportRates(ratesBetween(looks[0] ?? look, look))
      const { items, tally: { failed }, units: { bytes = 0 } } = progress
      const known = { at, items, failed, bytes: Number.isFinite(bytes) ? bytes : 0, tasks: tasks() }
      return Effect.andThen(Effect.ignore(save(known, isLast)), Effect.ignore(saveTasks))
    }).pipe(Effect.catchDefect((defect) => Effect.logDebug(`A sample of job ${id} has died`, defect)))

  return {
    mark: (kind) => {
      marks = [...marks, { at: clock.currentTimeMillisUnsafe(), kind, token }]
    },
    run: Effect.sleep(everyMillis).pipe(Effect.andThen(sample(false)), Effect.forever),
    end: Effect.suspend(() => history === undefined ? Effect.void : sample(true))
  }
}
