/**
 * Stores and reads schedules.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { JobStore } from "../../JobStore.ts"
import { withStored } from "../store/keys.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { insertRows } from "./jobRows.ts"
import { leavingOut } from "./queries.ts"

type Schedules = Pick<
  JobStore["Service"],
  "schedules" | "schedule" | "dueSchedules" | "putSchedule" | "removeSchedule"
>

export const makeSchedules = (access: SqlAccess): Schedules => {
  const { sql } = access

  const nameOf = ({ name }: Rows.Row) => `Schedule "${String(name)}"`
  const read = leavingOut(access, "look for schedules", nameOf, Rows.decodeSchedule)

  const all = sql`select name, schedule from fanout_schedules order by name`

  return {
    schedules: read(Number.POSITIVE_INFINITY, () => all),
    schedule: (name) => {
      const found = sql`select schedule from fanout_schedules where name = ${Rows.toText(name)}`
      return Effect.map(access.read("read a schedule", found, Rows.decodeSchedule), Arr.head)
    },
    dueSchedules: ({ jobs, limit, now }) => {
      const isOfJobs = jobs === undefined ? sql`1 = 1` : access.isOneOf("job", jobs)
      const isDue = sql`next_at <= ${now} and ${isOfJobs}`
      const first = (limit: number) =>
        sql`select name, schedule from fanout_schedules where ${isDue} order by next_at, name limit ${limit}`
      return read(limit, first)
    },
    putSchedule: (given, jobs, dueAt) => {
      const { revision } = given
      const schedule = given.with({ revision: revision + 1 })
      const row = Rows.encodeSchedule(schedule)
      const isDue = dueAt === undefined ? sql`1 = 1` : sql`next_at <= ${dueAt}`
      const put = revision === 0
        ? sql`insert into fanout_schedules ${sql.insert(row)} on conflict do nothing returning name`
        : sql`update fanout_schedules set ${sql.update(row, ["name"])}
          where name = ${row.name} and revision = ${revision} and ${isDue} returning name`
      const statements = Effect.gen(function*() {
        const stored = yield* put
        if (stored.length === 0) return false
        let standing = schedule
        for (const job of jobs) standing = withStored(standing, job.id, (yield* insertRows(access, job)).id)
        if (standing !== schedule) {
          const { schedule: changed } = Rows.encodeSchedule(standing)
          yield* sql`update fanout_schedules set schedule = ${changed} where name = ${row.name}`
        }
        return true
      })
      return access.change("store a schedule", statements)
    },
    removeSchedule: (name) => {
      const removed = sql`delete from fanout_schedules where name = ${Rows.toText(name)} returning name`
      return access.change("remove a schedule", Effect.map(removed, Arr.isReadonlyArrayNonEmpty))
    }
  }
}
