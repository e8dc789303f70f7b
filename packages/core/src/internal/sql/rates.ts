/**
 * Stores rates, and takes their turns by compare-and-set.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { JobStore } from "../../JobStore.ts"
import * as Rows from "../store/rows.ts"
import { type StoredRate, takeTurns } from "../store/turns.ts"
import type { SqlAccess } from "./access.ts"

export const makeRates = (access: SqlAccess): Pick<JobStore["Service"], "rates" | "setRate" | "takeTurns"> => {
  const { dialect, sql } = access
  const all = sql<{ name: string; perSecond: number }>`
    select name, per_second as "perSecond" from fanout_rates order by name`
  const attempt = Effect.fnUntraced(function*(name: string, wanted: number) {
    const now = dialect.now(yield* Clock.currentTimeMillis)
    const [found] = yield* sql<StoredRate & { now: number }>`
      select per_second as "perSecond", free_at as "freeAt", ${now} as now from fanout_rates where name = ${name}`
    if (found === undefined) return { isOver: true, turns: Option.none() }
    const { freeAt, turns } = takeTurns(found, wanted, found.now)
    const isOver = freeAt === found.freeAt || (yield* sql`update fanout_rates set free_at = ${freeAt}
      where name = ${name} and free_at = ${found.freeAt} and per_second = ${found.perSecond} returning name`).length > 0
    return { isOver, turns: Option.some(turns) }
  })
  return {
    rates: access.read("read rates", all, ({ name, perSecond }) => ({ name: Rows.fromText(name), perSecond })),
    setRate: (name, perSecond) => {
      const key = Rows.toText(name)
      const statement = perSecond === null ? sql`delete from fanout_rates where name = ${key}` : sql`
        insert into fanout_rates (name, per_second, free_at) values (${key}, ${perSecond}, 0)
        on conflict (name) do update set per_second = excluded.per_second`
      return access.run("set a rate", Effect.asVoid(statement))
    },
    takeTurns: (name, wanted) => {
      const taken = Effect.repeat(attempt(Rows.toText(name), wanted), { until: ({ isOver }) => isOver })
      return access.run(`take turns of the rate "${name}"`, Effect.map(taken, ({ turns }) => turns))
    }
  }
}
