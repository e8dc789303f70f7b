/**
 * The processes that run jobs now, as their jobs tell of them.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { JobRecord, Lease } from "../../JobRecord.ts"
import type { JobProcess } from "../../JobStatus.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import * as JobTasks from "../../JobTasks.ts"
import type { JobRuntime } from "./runtime.ts"
import { overviewOf } from "./status.ts"

/** Most running jobs that are looked at, the newest ones. */
const most = 1000

/** A job and its lease, at the time when it runs. */
interface Held {
  readonly id: JobRecord["id"]
  readonly lease: typeof Lease.Type
}

/** The pools, threads and workers that one of the jobs of a process has stored. Most often the first one has. */
const usedBy = Effect.fnUntraced(function*({ store }: JobRuntime, jobs: ReadonlyArray<Held>) {
  for (const { id, lease } of jobs) {
    const tasks = Option.getOrUndefined(yield* store.tasks(id))
    // An owner that has just begun has told nothing, and what is there is of the one before.
    if (tasks?.token === lease.token) return tasks
  }
  return JobTasks.empty
})

/** Gives the live processes that run jobs, with their pools, threads and workers. */
export const processesOf = (runtime: JobRuntime): Effect.Effect<ReadonlyArray<JobProcess>, JobStoreError> =>
  Effect.gen(function*() {
    const running = yield* overviewOf(runtime, { states: ["Running"], limit: most })
    const held = running.flatMap(({ isOwnerDead, record: { id, lease } }): ReadonlyArray<Held> =>
      isOwnerDead || Option.isNone(lease) ? [] : [{ id, lease: lease.value }]
    )
    const byOwner = Arr.groupBy(
      held,
      ({ lease: { owner } }): string => `${owner.machine} ${owner.boot} ${owner.process}`
    )
    const processes = Object.entries(byOwner).toSorted(([left], [right]) => left < right ? -1 : 1)
    return yield* Effect.forEach(
      processes,
      ([, jobs]) =>
        Effect.map(usedBy(runtime, jobs), ({ pools, threads, workers }): JobProcess => ({
          owner: jobs[0].lease.owner,
          jobs: jobs.map(({ id }) => id),
          pools,
          threads,
          workers
        }))
    )
  })
