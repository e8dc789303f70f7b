/**
 * Stores schedules, and with the move of one to its next tick the jobs of those before it.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { JobRecord } from "../../JobRecord.ts"
import type { JobSchedule } from "../../JobSchedule.ts"
import type { JobStore } from "../../JobStore.ts"
import { PassedOver } from "../store/passed.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { insertRows } from "./jobs.ts"
import { page } from "./pages.ts"

export const makeSchedules = (access: SqlAccess) => {
  const { sql } = access

  const told = new PassedOver<unknown>()
  const read = (limit: number, rows: (limit: number) => Effect.Effect<ReadonlyArray<object>, SqlError>) =>
    Effect.map(
      page(access, "look for schedules", limit, rows, Rows.decodeSchedule, ({ row: { name }, why }) =>
        told.addUnsafe(name)
          ? Effect.logWarning(`Schedule "${String(name)}" is left as it is: it can't be read: ${why}`)
          : Effect.void),
      ({ read }) =>
        read
    )

  const schedules = read(
    Number.POSITIVE_INFINITY,
    () => sql`select name, schedule from fanout_schedules order by name`
  )

  const schedule = (name: string) =>
    Effect.map(
      access.read(
        "read a schedule",
        sql`select schedule from fanout_schedules where name = ${Rows.toText(name)}`,
        Rows.decodeSchedule
      ),
      Arr.head
    )

  const dueSchedules = ({ jobs, limit, now }: Parameters<JobStore["Service"]["dueSchedules"]>[0]) => {
    const isOfJobs = jobs === undefined ? sql`1 = 1` : access.isOneOf("job", jobs)
    return read(
      limit,
      (limit) =>
        sql`select name, schedule from fanout_schedules where next_at <= ${now} and ${isOfJobs}
          order by next_at, name limit ${limit}`
    )
  }

  const putSchedule = (schedule: JobSchedule, jobs: ReadonlyArray<JobRecord>, dueAt?: number) => {
    const { revision } = schedule
    const row = Rows.encodeSchedule(schedule.with({ revision: revision + 1 }))
    const isDue = dueAt === undefined ? sql`1 = 1` : sql`next_at <= ${dueAt}`
    const put = revision === 0
      ? sql`insert into fanout_schedules ${sql.insert(row)} on conflict do nothing returning name`
      : sql`update fanout_schedules set ${sql.update(row, ["name"])}
        where name = ${row.name} and revision = ${revision} and ${isDue} returning name`
    return access.transaction(
      "store a schedule",
      Effect.flatMap(put, (rows) =>
        rows.length === 0
          ? Effect.succeed(false)
          : Effect.as(Effect.forEach(jobs, (job) => insertRows(access, job), { discard: true }), true))
    )
  }

  const removeSchedule = (name: string) =>
    access.run(
      "remove a schedule",
      Effect.map(
        sql`delete from fanout_schedules where name = ${Rows.toText(name)} returning name`,
        Arr.isReadonlyArrayNonEmpty
      )
    )

  return { schedules, schedule, dueSchedules, putSchedule, removeSchedule }
}
