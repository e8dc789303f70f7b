/**
 * Changes many rows in slices: the driver may be synchronous, and nobody else can write during a statement.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import * as Numbers from "../numbers.ts"
import { renameProgress, type Renames } from "../store/fanOutNames.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { decoded, type Statements } from "./queries.ts"

/** Most rows that one statement changes. */
const slice = 500

/** Repeats a step until the step changes fewer than `least` rows. Returns the number of rows that were changed. */
const inSlices = Effect.fnUntraced(function*<E>(step: Effect.Effect<number, E>, least = slice) {
  for (let total = 0;;) {
    const done = yield* step
    total += done
    if (done < least) return total
    yield* Effect.yieldNow
  }
})

/** Changes one slice of the rows of a table that a condition finds, and counts the rows. */
const changeSlice = (sql: SqlClient, change: Fragment, table: "fanout_outcomes" | "fanout_logs", where: Fragment) =>
  Effect.map(
    sql`${change} where seq in (select seq from ${sql.literal(table)} where ${where} limit ${slice}) returning seq`,
    ({ length }) => length
  )

/** Renames the fan-outs of a job, within the transaction that changes the job. */
export const renameFanOuts = Effect.fnUntraced(function*({ sql }: SqlAccess, job: string, renames: Renames) {
  const pairs = Array.from(renames, ([from, to]) => [Rows.toText(from), Rows.toText(to)] as const)
  const sources = new Set(pairs.map(([from]) => from))
  // Where an old name is also a new name, all names change to temporary names first. No text is stored as `\0`, `\1`...
  const aside = pairs.map(([from], index) => [from, `\\${index}`] as const)
  const back = pairs.map(([, to], index) => [`\\${index}`, to] as const)
  const moves = pairs.some(([, to]) => sources.has(to)) ? [...aside, ...back] : pairs
  const change = (name: string, checkpoint: Fragment, rows: Fragment): Statements<unknown> =>
    Effect.andThen(
      sql`${checkpoint} where job_id = ${job} and name = ${name}`,
      inSlices(changeSlice(sql, rows, "fanout_outcomes", sql`job_id = ${job} and fan_out = ${name}`))
    )

  for (const [, to] of pairs) {
    if (!sources.has(to)) yield* change(to, sql`delete from fanout_checkpoints`, sql`delete from fanout_outcomes`)
  }
  for (const [from, to] of moves) {
    const checkpoint = sql`update fanout_checkpoints set name = ${to}`
    yield* change(from, checkpoint, sql`update fanout_outcomes set fan_out = ${to}`)
  }
  const stored = sql`select beat, progress from fanout_jobs where id = ${job}`
  for (const { progress } of yield* decoded("rename a fan-out", stored, Rows.decodePulse)) {
    const renamed = Rows.encodeProgress(renameProgress(progress, renames))
    yield* sql`update fanout_jobs set progress = ${renamed} where id = ${job}`
  }
})

/** Removes finished jobs. */
export const pruneWith = (access: SqlAccess) => {
  const { dialect, sql } = access
  const operation = "remove finished jobs"

  /** Removes some jobs, and notes their ids: `sweep` removes the rest, which can be too much for one transaction. */
  const removeJobs = (finishedBefore: number) => {
    const isOld = sql`tag in ('Completed', 'CompletedWithErrors', 'Failed', 'Cancelled')
      and finished_at < ${finishedBefore}
      and (parent_id is null or not exists (select 1 from fanout_jobs p where p.id = fanout_jobs.parent_id))
      and not exists (select 1 from fanout_jobs c where c.active_parent = fanout_jobs.id)`
    return access.change(
      operation,
      Effect.gen(function*() {
        // The condition is checked again outside, because a process can have retried a job since the rows were chosen.
        const removed = yield* sql<{ readonly id: string }>`delete from fanout_jobs
          where ${isOld} and seq in (select seq from fanout_jobs where ${isOld} limit ${slice}) returning id`
        const rows = removed.map(({ id }) => ({ job_id: id }))
        if (Arr.isArrayNonEmpty(rows)) {
          const ids = rows.map((row) => row.job_id)
          for (const table of ["fanout_payloads", "fanout_tags", "fanout_histories", "fanout_job_tasks"]) {
            yield* sql`delete from ${sql.literal(table)} where ${dialect.isOneOf(sql.literal("job_id"), ids)}`
          }
          yield* sql`insert into fanout_pruned ${sql.insert(rows)} on conflict do nothing`
        }
        return rows.length
      })
    )
  }

  const sweep = Effect.gen(function*() {
    const pruned = yield* access.run(operation, sql<{ readonly job_id: string }>`select job_id from fanout_pruned`)
    for (const { job_id: id } of pruned) {
      for (const table of ["fanout_outcomes", "fanout_logs"] as const) {
        const change = sql`delete from ${sql.literal(table)}`
        yield* inSlices(access.run(operation, changeSlice(sql, change, table, sql`job_id = ${id}`)))
      }
      // The note goes last: a sweep that was interrupted is done again.
      for (const table of ["fanout_checkpoints", "fanout_own_checkpoints", "fanout_pruned"]) {
        yield* access.run(operation, sql`delete from ${sql.literal(table)} where job_id = ${id}`)
      }
    }
  })

  // Jobs are removed until nothing is left to remove, because a child can be removed only after its parent.
  return (finishedBefore: number) =>
    Effect.suspend(() => {
      const before = Numbers.bound("The time before which jobs have finished", finishedBefore)
      return Effect.tap(inSlices(removeJobs(before), 1), sweep)
    })
}
