/**
 * Renames the fan-outs of a job, within the transaction that changes the job.
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { renameProgress, type Renames } from "../job/fanOutNames.ts"
import * as Rows from "../job/rows.ts"
import { decoded, type SqlAccess, type Statements } from "./access.ts"

/** So many rows are changed at once: the driver may be synchronous, and a fan-out can have any number. */
const slice = 500

export const renameFanOuts = ({ sql }: SqlAccess, job: string, renames: Renames): Statements<void> => {
  const pairs = Array.from(renames, ([from, to]) => [Rows.toText(from), Rows.toText(to)] as const)
  const sources = new Set(pairs.map(([from]) => from))
  // Where names move up, or change places, all are out of the way first. No name is kept as text that begins so.
  const aside = pairs.map(([from], index) => [from, `\\${index}`] as const)
  const back = pairs.map(([, to], index) => [`\\${index}`, to] as const)
  const moves = pairs.some(([, to]) => sources.has(to)) ? [...aside, ...back] : pairs

  const inSlices = (change: (rows: Fragment) => Effect.Effect<ReadonlyArray<unknown>, SqlError>, name: string) => {
    const rows = sql`(select seq from fanout_outcomes where job_id = ${job} and fan_out = ${name} limit ${slice})`
    const step: Effect.Effect<void, SqlError> = Effect.flatMap(
      change(rows),
      (changed) => changed.length < slice ? Effect.void : Effect.andThen(Effect.yieldNow, step)
    )
    return step
  }

  const clear = (name: string) =>
    Effect.andThen(
      sql`delete from fanout_checkpoints where job_id = ${job} and name = ${name}`,
      inSlices((rows) => sql`delete from fanout_outcomes where seq in ${rows} returning seq`, name)
    )
  const move = (from: string, to: string) =>
    Effect.andThen(
      sql`update fanout_checkpoints set name = ${to} where job_id = ${job} and name = ${from}`,
      inSlices((rows) => sql`update fanout_outcomes set fan_out = ${to} where seq in ${rows} returning seq`, from)
    )

  return Effect.gen(function*() {
    for (const [, to] of pairs) if (!sources.has(to)) yield* clear(to)
    for (const [from, to] of moves) yield* move(from, to)
    const stored = sql`select beat, progress from fanout_jobs where id = ${job}`
    for (const { progress } of yield* decoded("rename a fan-out", stored, Rows.decodePulse)) {
      const renamed = renameProgress(progress, renames)
      yield* sql`update fanout_jobs set progress = ${Rows.encodeProgress(renamed)} where id = ${job}`
    }
  })
}
