/**
 * Stores which processes claim jobs, each for a while.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { JobStore } from "../../JobStore.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { leavingOut } from "./queries.ts"

export const makeClaimers = (access: SqlAccess): Pick<JobStore["Service"], "announce" | "claimers"> => {
  const { dialect, sql } = access
  const now = Effect.map(Clock.currentTimeMillis, dialect.now)
  const nameOf = ({ owner }: Rows.Row) => `The process ${String(owner)}`
  const read = leavingOut(access, "read which processes claim jobs", nameOf, Rows.decodeClaimer)
  return {
    announce: (claimer, millis) => {
      const row = Rows.encodeClaimer(claimer)
      const statements = Effect.gen(function*() {
        const since = yield* now
        yield* sql`delete from fanout_claimers where until <= ${since}`
        yield* claimer.places === 0 ? sql`delete from fanout_claimers where owner = ${row.owner}` : sql`
          insert into fanout_claimers (owner, names, places, until)
          values (${row.owner}, ${row.names}, ${row.places}, ${since} + ${millis})
          on conflict (owner) do update set names = excluded.names, places = excluded.places, until = excluded.until`
      })
      return access.transaction("announce a process", statements)
    },
    claimers: Effect.flatMap(now, (since) => {
      const found = sql`select owner, names, places from fanout_claimers where until > ${since} order by owner`
      return read(Number.POSITIVE_INFINITY, () => found)
    })
  }
}
