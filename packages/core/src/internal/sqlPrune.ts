/**
 * Removes finished jobs, a little at a time.
 */
import * as Effect from "effect/Effect"
import type { Fragment } from "effect/sql/Statement"
import type { JobStoreError } from "../JobStoreError.ts"
import type { SqlAccess } from "./sqlAccess.ts"

/** So many rows are removed at once: the driver may be synchronous, and nobody else can write meanwhile. */
const slice = 500

export const makePrune = (access: SqlAccess) => {
  const { dialect, sql } = access
  const operation = "remove finished jobs"

  /** Removes some jobs, and notes what else has to go: a job with many outcomes can't be removed at once. */
  const removeJobs = (finishedBefore: number) =>
    access.transaction(
      operation,
      Effect.gen(function*() {
        const noted = yield* sql<{ readonly job_id: string }>`insert into fanout_pruned (job_id)
          select id from fanout_jobs
          where tag in ('Completed', 'CompletedWithErrors', 'Failed', 'Cancelled') and finished_at < ${finishedBefore}
          limit ${slice} on conflict do nothing returning job_id`
        const ids = noted.map((row) => row.job_id)
        yield* sql`delete from fanout_jobs where ${dialect.isOneOf(sql.literal("id"), ids)}`
        yield* sql`delete from fanout_payloads where ${dialect.isOneOf(sql.literal("job_id"), ids)}`
        return ids.length
      })
    )

  /** Repeats one step until it finds less than a slice to do, letting others run in between. */
  const inSlices = (step: Effect.Effect<number, JobStoreError>) =>
    Effect.gen(function*() {
      let total = 0
      let last = slice
      while (last >= slice) {
        last = yield* step
        total += last
        yield* Effect.yieldNow
      }
      return total
    })

  const removeFrom = (table: Fragment, id: string) =>
    inSlices(access.run(
      operation,
      Effect.map(
        sql`delete from ${table}
          where seq in (select seq from ${table} where job_id = ${id} limit ${slice}) returning seq`,
        (rows) => rows.length
      )
    ))

  const sweep = Effect.gen(function*() {
    const pruned = yield* access.run(operation, sql<{ readonly job_id: string }>`select job_id from fanout_pruned`)
    for (const { job_id: id } of pruned) {
      yield* removeFrom(sql.literal("fanout_outcomes"), id)
      yield* removeFrom(sql.literal("fanout_logs"), id)
      yield* access.run(operation, sql`delete from fanout_checkpoints where job_id = ${id}`)
      yield* access.run(operation, sql`delete from fanout_pruned where job_id = ${id}`)
    }
  })

  return (finishedBefore: number) => Effect.tap(inSlices(removeJobs(finishedBefore)), sweep)
}
