/**
 * Stores schedules, and with the move of one to its next tick the jobs of those before it.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { JobRecord } from "../../JobRecord.ts"
import type { JobSchedule } from "../../JobSchedule.ts"
import type { JobStore } from "../../JobStore.ts"
import * as Rows from "../job/rows.ts"
import { atMost, type SqlAccess } from "./access.ts"
import { insertRowsWith } from "./jobs.ts"

export const makeSchedules = (access: SqlAccess) => {
  const { dialect, sql } = access
  const insertRows = insertRowsWith(access)

  const schedules = access.read(
    "list schedules",
    sql`select schedule from fanout_schedules order by name`,
    Rows.decodeSchedule
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
    const isOfJobs = jobs === undefined ? sql`1 = 1` : dialect.isOneOf(sql.literal("job"), jobs.map(Rows.toText))
    return access.read(
      "look for schedules",
      sql`select schedule from fanout_schedules where next_at <= ${now} and ${isOfJobs}
          order by next_at, name limit ${atMost(limit)}`,
      Rows.decodeSchedule
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
          : Effect.as(Effect.forEach(jobs, (job) => insertRows(job), { discard: true }), true))
    )
  }

  const removeSchedule = (name: string) =>
    access.run(
      "remove a schedule",
      Effect.map(
        sql`delete from fanout_schedules where name = ${Rows.toText(name)} returning name`,
        (rows) => rows.length > 0
      )
    )

  return { schedules, schedule, dueSchedules, putSchedule, removeSchedule }
}
