/**
 * Stores, changes and reads whole jobs.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Fragment } from "effect/sql/Statement"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import type { ListFilter, Unreadable } from "../../JobStore.ts"
import * as Errors from "../../JobStoreError.ts"
import * as Progress from "../../Progress.ts"
import type { Renames } from "../job/fanOutNames.ts"
import * as Rows from "../job/rows.ts"
import { again, decodedJobs, failWith, selectJobs, type SqlAccess, type Statements } from "./access.ts"
import { namedChild } from "./children.ts"
import { appendLog, forgetLosses, lockOwned } from "./owned.ts"
import { page } from "./pages.ts"
import { renameFanOuts } from "./renames.ts"

export const makeReads = (access: SqlAccess) => {
  const { dialect, sql } = access

  const get = (id: JobId) =>
    Effect.flatMap(
      access.run(
        `read job ${id}`,
        decodedJobs(`read job ${id}`, sql`${selectJobs(sql)} where j.id = ${Rows.toText(id)}`)
      ),
      ([job]) => job === undefined ? failWith(new Errors.JobNotFound({ id })) : Effect.succeed(job)
    )

  const isBefore = ({ createdAt, id }: Pick<JobRecord, "createdAt" | "id">) =>
    sql`created_at <= ${createdAt} and (created_at < ${createdAt}
      or seq < (select seq from fanout_jobs where id = ${Rows.toText(id)}))`

  const pageOf = ({ before, limit, names, parent }: ListFilter, states: ReadonlyArray<Fragment>) => {
    const conditions = [
      ...(names === undefined ? [] : [dialect.isOneOf(sql.literal("name"), names.map(Rows.toText))]),
      ...(parent === undefined ? [] : [sql`parent_id = ${Rows.toText(parent)}`]),
      ...(before === undefined ? [] : [isBefore(before)])
    ]
    const newest = (limit: number) => sql`order by created_at desc, seq desc limit ${limit}`
    // One ordered range of the index for each state: an `in` would have to sort all jobs there are.
    const ofState = (limit: number) => (state: Fragment) =>
      sql`select * from (select seq, created_at from fanout_jobs
        where ${sql.and([state, ...conditions])} ${newest(limit)}) as one`
    return page(
      access,
      "list jobs",
      limit,
      (limit) =>
        sql`${selectJobs(sql)}
          where j.seq in (select seq from (${sql.join(" union all ", false)(states.map(ofState(limit)))}) as each ${
          newest(limit)
        })
          order by j.created_at desc, j.seq desc`,
      Rows.decodeListed
    )
  }

  const ofTags = (states: ListFilter["states"]) =>
    Array.from(new Set(states ?? JobState.Tag.literals), (tag) => sql`tag = ${tag}`)

  const list = (filter: ListFilter) => {
    const states = ofTags(filter.states)
    return states.length === 0 ? Effect.succeed([]) : Effect.map(pageOf(filter, states), ({ read }) => read)
  }

  const unreadable = (filter: ListFilter) => {
    const unknown = sql`not ${dialect.isOneOf(sql.literal("tag"), JobState.Tag.literals)}`
    const states = [...ofTags(filter.states), ...(filter.states === undefined ? [unknown] : [])]
    if (states.length === 0) return Effect.succeed([])
    return Effect.map(
      pageOf(filter, states),
      ({ broken }) => broken.map(({ row, why }): Unreadable => ({ id: String(row["id"]), why }))
    )
  }

  const pulse = (id: JobId) =>
    Effect.flatMap(
      access.read(
        "read a job's progress",
        sql`select beat, progress from fanout_jobs where id = ${Rows.toText(id)}`,
        Rows.decodePulse
      ),
      ([pulse]) => pulse === undefined ? failWith(new Errors.JobNotFound({ id })) : Effect.succeed(pulse)
    )

  return { get, list, unreadable, pulse }
}

/** The active job of the same name that has one of a job's keys, other than the one with id `except`. */
const twinWith = (access: SqlAccess) => ({ exclusive_key, idempotency_key, name }: Rows.JobColumns, except: string) => {
  const { dialect: { indexed }, sql } = access
  return Effect.map(
    decodedJobs(
      "find a job by its key",
      sql`${selectJobs(sql)}
        where j.name = ${name} and j.tag in ('Queued', 'Running', 'Paused') and j.id <> ${except}
          and (${indexed(sql.literal("j.idempotency_key"))} = ${indexed(sql`${idempotency_key}`)}
            or ${indexed(sql.literal("j.exclusive_key"))} = ${indexed(sql`${exclusive_key}`)})
        order by case when j.idempotency_key = ${idempotency_key} then 0 else 1 end limit 1`
    ),
    ([job]) => job
  )
}

const existsWith = ({ sql }: SqlAccess) => (id: string) =>
  Effect.map(sql`select 1 from fanout_jobs where id = ${id}`, (rows) => rows.length > 0)

/** Stores a job, or finds the active one that has its keys. To be run in a transaction. */
export const insertRowsWith = (access: SqlAccess) => {
  const { sql } = access
  const exists = existsWith(access)
  const twin = twinWith(access)
  return (
    record: JobRecord,
    found: (columns: Rows.JobColumns) => Statements<JobRecord | undefined> = (columns) => twin(columns, "")
  ): Statements<JobRecord> =>
    Effect.gen(function*() {
      const { id } = record
      const { columns, payload } = Rows.encodeJob(record.with({ revision: 1 }))
      const row = { ...columns, progress: Rows.encodeProgress(Progress.empty) }
      const inserted = yield* sql`insert into fanout_jobs ${sql.insert(row)} on conflict do nothing returning id`
      if (inserted.length > 0) {
        yield* sql`insert into fanout_payloads (job_id, payload) values (${columns.id}, ${payload})`
        return Rows.decodeJob({ ...columns, payload })
      }
      const other = yield* found(columns)
      if (other !== undefined) return other
      return yield* (yield* exists(columns.id))
        ? failWith(new Errors.JobConflict({ id }))
        : again("The job that had the key has just finished")
    })
}

export const makeInserts = (access: SqlAccess) => {
  const insertRows = insertRowsWith(access)
  const twin = twinWith(access)

  const insert = (record: JobRecord) =>
    record.revision === 0
      ? Effect.flatMap(
        access.inCallersTransaction("store a job", insertRows(record)),
        Option.match({
          onNone: () => access.transaction("store a job", insertRows(record)),
          onSome: Effect.succeed
        })
      )
      : failWith(new Errors.JobConflict({ id: record.id }))

  const insertChild = (record: JobRecord, token: number) => {
    const parent = Option.getOrUndefined(record.parent)
    if (parent === undefined || record.revision !== 0) return failWith(new Errors.JobConflict({ id: record.id }))
    return access.transaction(
      "store a child",
      Effect.gen(function*() {
        const owner = yield* lockOwned(access, parent.id, token)
        const stored = yield* insertRows(
          record,
          (columns) =>
            Effect.flatMap(
              namedChild(access, parent.id, parent.name),
              (named) => named === undefined ? twin(columns, "") : Effect.succeed(named)
            )
        )
        if (stored.id === record.id) yield* forgetLosses(access, parent.id, owner)
        return stored
      })
    )
  }

  return { insert, insertChild }
}

export const makePut = (access: SqlAccess) => {
  const { sql } = access
  const exists = existsWith(access)
  const twin = twinWith(access)

  const put = (record: JobRecord, line: string, renames: ReadonlyArray<Renames> = []) => {
    const { id, revision } = record
    const { columns, payload } = Rows.encodeJob(record.with({ revision: revision + 1 }))
    const replace = Effect.gen(function*() {
      const replaced = yield* sql`update fanout_jobs set ${sql.update(columns, ["id"])}
        where id = ${columns.id} and revision = ${revision} returning id`
      if (replaced.length === 0) {
        return yield* failWith(
          (yield* exists(columns.id)) ? new Errors.JobConflict({ id }) : new Errors.JobNotFound({ id })
        )
      }
      yield* sql`update fanout_payloads set payload = ${payload} where job_id = ${columns.id} and payload <> ${payload}`
      for (const step of renames) yield* renameFanOuts(access, columns.id, step)
      yield* appendLog(access, id, { at: record.updatedAt, level: "Info", message: line })
      return Rows.decodeJob({ ...columns, payload })
    })
    const keyTaken = Effect.flatMap(twin(columns, columns.id), (by): Statements<never> =>
      by === undefined
        ? again("The job that had the key has just finished")
        : failWith(new Errors.KeyTaken({ id, by: by.id })))
    return access.transaction("change a job", replace, keyTaken)
  }

  return { put }
}
