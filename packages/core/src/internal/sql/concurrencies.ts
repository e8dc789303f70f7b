/**
 * Stores how many jobs of a name may run at the same time, and lets no more of them begin.
 *
 * The row of a name is locked by each job of the name that begins, up to the end of its transaction. So such jobs begin
 * one after the other, and each one sees those that have begun before.
 */
import * as Effect from "effect/Effect"
import type { Fragment } from "effect/sql/Statement"
import type { JobStore } from "../../JobStore.ts"
import { ConcurrencyReached } from "../../JobStoreError.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { failWith } from "./queries.ts"

/** Whether the job in the row `job` has a place of its own: a child of a job of the same name has none. */
const hasPlace = ({ sql }: SqlAccess, job: string) => {
  const parent = sql.literal(`p.id = ${job}.parent_id and p.name = ${job}.name`)
  return sql`not exists (select 1 from fanout_jobs p where ${parent})`
}

const taken = (access: SqlAccess, name: Fragment) =>
  access.sql`select cast(count(*) as integer) as taken from fanout_jobs r
    where r.tag = 'Running' and r.name = ${name} and ${hasPlace(access, "r")}`

/** The names of which no more jobs may begin. */
export const fullNames = (access: SqlAccess): Fragment =>
  access.sql`select c.name from fanout_concurrencies c where c.most <= (${taken(access, access.sql`c.name`)})`

/** Takes a place for a queued job of this revision, in the transaction that lets the job run. */
export const takePlace = Effect.fnUntraced(function*(
  access: SqlAccess,
  { id, name }: Pick<Rows.JobColumns, "id" | "name">,
  revision: number
) {
  const { sql } = access
  const [limit] = yield* sql<{ most: number }>`update fanout_concurrencies set most = most
    where name = ${name} and exists (select 1 from fanout_jobs q
      where q.id = ${id} and q.revision = ${revision} and q.tag = 'Queued' and ${hasPlace(access, "q")}) returning most`
  if (limit === undefined) return
  const [running] = yield* taken(access, sql`${name}`)
  if (Number(running?.["taken"]) < limit.most) return
  return yield* failWith(new ConcurrencyReached({ job: Rows.fromText(name), most: limit.most }))
})

export const makeConcurrencies = (
  access: SqlAccess
): Pick<JobStore["Service"], "concurrencies" | "setConcurrency"> => {
  const { sql } = access
  const all = sql<{ name: string; most: number }>`select name, most from fanout_concurrencies order by name`
  return {
    concurrencies: access.read("read concurrencies", all, ({ most, name }) => ({ name: Rows.fromText(name), most })),
    setConcurrency: (name, most) => {
      const key = Rows.toText(name)
      const statement = most === null ? sql`delete from fanout_concurrencies where name = ${key}` : sql`
        insert into fanout_concurrencies (name, most) values (${key}, ${most})
        on conflict (name) do update set most = excluded.most`
      // Managers that hear of changes look whether more jobs may begin now.
      return access.change("set a concurrency", Effect.asVoid(statement))
    }
  }
}
