/**
 * Renames the fan-outs of a job, within the transaction that changes the job.
 */
import * as Effect from "effect/Effect"
import { renameProgress, type Renames } from "../store/fanOutNames.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { decoded, type Statements } from "./queries.ts"
import { inSlices, slice } from "./slices.ts"

export const renameFanOuts = ({ sql }: SqlAccess, job: string, renames: Renames): Statements<void> => {
  const pairs = Array.from(renames, ([from, to]) => [Rows.toText(from), Rows.toText(to)] as const)
  const sources = new Set(pairs.map(([from]) => from))
  // Where names move up, or change places, all are out of the way first. No name is kept as text that begins so.
  const aside = pairs.map(([from], index) => [from, `\\${index}`] as const)
  const back = pairs.map(([, to], index) => [`\\${index}`, to] as const)
  const moves = pairs.some(([, to]) => sources.has(to)) ? [...aside, ...back] : pairs

  const rowsOf = (name: string) =>
    sql`(select seq from fanout_outcomes where job_id = ${job} and fan_out = ${name} limit ${slice})`
  const clear = Effect.fnUntraced(function*(name: string) {
    yield* sql`delete from fanout_checkpoints where job_id = ${job} and name = ${name}`
    const removed = sql`delete from fanout_outcomes where seq in ${rowsOf(name)} returning seq`
    yield* inSlices(Effect.map(removed, ({ length }) => length))
  })
  const move = Effect.fnUntraced(function*(from: string, to: string) {
    yield* sql`update fanout_checkpoints set name = ${to} where job_id = ${job} and name = ${from}`
    const moved = sql`update fanout_outcomes set fan_out = ${to} where seq in ${rowsOf(from)} returning seq`
    yield* inSlices(Effect.map(moved, ({ length }) => length))
  })

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
