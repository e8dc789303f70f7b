/**
 * Removes finished jobs, a little at a time.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Fragment } from "effect/sql/Statement"
import type { SqlAccess } from "./access.ts"
import { inSlices, slice } from "./slices.ts"

export const makePrune = (access: SqlAccess) => {
  const { dialect, sql } = access
  const operation = "remove finished jobs"

  /** Removes some jobs, and notes what else has to go: a job with many outcomes can't be removed at once. */
  const removeJobs = (finishedBefore: number) => {
    const isOld = sql`tag in ('Completed', 'CompletedWithErrors', 'Failed', 'Cancelled')
      and finished_at < ${finishedBefore}
      and (parent_id is null or not exists (select 1 from fanout_jobs p where p.id = fanout_jobs.parent_id))
      and not exists (select 1 from fanout_jobs c where c.active_parent = fanout_jobs.id)`
    return access.transaction(
      operation,
      Effect.gen(function*() {
        // Once more outside: another process can have had a job retried since the rows were chosen.
        const removed = yield* sql<{ readonly id: string }>`delete from fanout_jobs
          where ${isOld} and seq in (select seq from fanout_jobs where ${isOld} limit ${slice}) returning id`
        const rows = removed.map(({ id }) => ({ job_id: id }))
        if (Arr.isArrayNonEmpty(rows)) {
          const ids = rows.map((row) => row.job_id)
          yield* sql`delete from fanout_payloads where ${dialect.isOneOf(sql.literal("job_id"), ids)}`
          yield* sql`insert into fanout_pruned ${sql.insert(rows)} on conflict do nothing`
        }
        return rows.length
      })
    )
  }

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
      yield* access.run(operation, sql`delete from fanout_own_checkpoints where job_id = ${id}`)
      yield* access.run(operation, sql`delete from fanout_pruned where job_id = ${id}`)
    }
  })

  return (finishedBefore: number) =>
    // Each step can make others possible: children go after their parents.
    Effect.tap(inSlices(removeJobs(finishedBefore), 1), sweep)
}
