/**
 * Stores, changes and reads whole jobs.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Fragment } from "effect/sql/Statement"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import type { ListFilter, Unreadable } from "../../JobStore.ts"
import * as Errors from "../../JobStoreError.ts"
import * as Progress from "../../Progress.ts"
import type { Renames } from "../store/fanOutNames.ts"
import * as Rows from "../store/rows.ts"
import { again, type SqlAccess } from "./access.ts"
import { namedChild } from "./children.ts"
import { appendLog, forgetLosses, lockOwned } from "./owned.ts"
import { page } from "./pages.ts"
import { decodedJobs, failWith, firstOr, ranges, selectJobs, type Statements } from "./queries.ts"
import { renameFanOuts } from "./renames.ts"

export const makeReads = (access: SqlAccess) => {
  const { sql } = access

  const get = (id: JobId) => {
    const operation = `read job ${id}`
    const rows = decodedJobs(operation, sql`${selectJobs(sql)} where j.id = ${Rows.toText(id)}`)
    return firstOr(access.run(operation, rows), new Errors.JobNotFound({ id }))
  }

  const isBefore = ({ createdAt, id }: Pick<JobRecord, "createdAt" | "id">) =>
    sql`created_at <= ${createdAt} and (created_at < ${createdAt}
      or seq < (select seq from fanout_jobs where id = ${Rows.toText(id)}))`

  const pageOf = ({ before, limit, names, parent }: ListFilter, states: ReadonlyArray<Fragment>) => {
    const conditions = [
      ...(names === undefined ? [] : [access.isOneOf("name", names)]),
      ...(parent === undefined ? [] : [sql`parent_id = ${Rows.toText(parent)}`]),
      ...(before === undefined ? [] : [isBefore(before)])
    ]
    const newest = (limit: number) => sql`order by created_at desc, seq desc limit ${limit}`
    const ofState = (limit: number) => (state: Fragment) =>
      sql`select seq, created_at from fanout_jobs where ${sql.and([state, ...conditions])} ${newest(limit)}`
    return page(
      access,
      "list jobs",
      limit,
      (limit) =>
        sql`${selectJobs(sql)}
          where j.seq in (select seq from (${ranges(sql, states.map(ofState(limit)))}) as each ${newest(limit)})
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
    const unknown = sql`not ${access.isOneOf("tag", JobState.Tag.literals)}`
    const states = [...ofTags(filter.states), ...(filter.states === undefined ? [unknown] : [])]
    if (states.length === 0) return Effect.succeed([])
    return Effect.map(
      pageOf(filter, states),
      ({ broken }) => broken.map(({ row, why }): Unreadable => ({ id: String(row["id"]), why }))
    )
  }

  const pulse = (id: JobId) =>
    firstOr(
      access.read(
        "read a job's progress",
        sql`select beat, progress from fanout_jobs where id = ${Rows.toText(id)}`,
        Rows.decodePulse
      ),
      new Errors.JobNotFound({ id })
    )

  return { get, list, unreadable, pulse }
}

/** The active job of the same name that has one of a job's keys, other than the one with id `except`. */
const twin = (
  { dialect: { indexed }, sql }: SqlAccess,
  { exclusive_key, idempotency_key, name }: Rows.JobColumns,
  except: string
) =>
  Effect.map(
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

/** Fails after another job was in the way, which the caller does not find any more. */
const keyFreed = again("The job that had the key has just finished")

const exists = ({ sql }: SqlAccess, id: string) =>
  Effect.map(sql`select 1 from fanout_jobs where id = ${id}`, Arr.isReadonlyArrayNonEmpty)

/** Stores a job, or finds the one in its place: the active one that has its keys. To be run in a transaction. */
export const insertRows = Effect.fnUntraced(function*(
  access: SqlAccess,
  record: JobRecord,
  inPlace: (columns: Rows.JobColumns) => Statements<JobRecord | undefined> = (columns) => twin(access, columns, "")
) {
  const { sql } = access
  const { id } = record
  const { columns, payload } = Rows.encodeJob(record.with({ revision: 1 }))
  const row = { ...columns, progress: Rows.encodeProgress(Progress.empty) }
  const inserted = yield* sql`insert into fanout_jobs ${sql.insert(row)} on conflict do nothing returning id`
  if (inserted.length > 0) {
    yield* sql`insert into fanout_payloads (job_id, payload) values (${columns.id}, ${payload})`
    return Rows.decodeJob({ ...columns, payload })
  }
  const other = yield* inPlace(columns)
  if (other !== undefined) return other
  return yield* (yield* exists(access, columns.id)) ? failWith(new Errors.JobConflict({ id })) : keyFreed
})

const replaceRows = Effect.fnUntraced(function*(
  access: SqlAccess,
  { columns, payload }: ReturnType<typeof Rows.encodeJob>,
  { id, revision }: JobRecord
) {
  const { sql } = access
  const replaced = yield* sql`update fanout_jobs set ${sql.update(columns, ["id"])}
    where id = ${columns.id} and revision = ${revision} returning id`
  if (replaced.length === 0) {
    const isStored = yield* exists(access, columns.id)
    return yield* failWith(isStored ? new Errors.JobConflict({ id }) : new Errors.JobNotFound({ id }))
  }
  yield* sql`update fanout_payloads set payload = ${payload} where job_id = ${columns.id} and payload <> ${payload}`
})

export const makeChanges = (access: SqlAccess) => {
  const insert = (record: JobRecord) =>
    record.revision === 0
      ? access.joinTransaction("store a job", insertRows(access, record))
      : failWith(new Errors.JobConflict({ id: record.id }))

  const insertChild = (record: JobRecord, token: number) => {
    const parent = Option.getOrUndefined(record.parent)
    if (parent === undefined || record.revision !== 0) return failWith(new Errors.JobConflict({ id: record.id }))
    const named = namedChild(access, parent.id, parent.name)
    return access.transaction(
      "store a child",
      Effect.gen(function*() {
        const owner = yield* lockOwned(access, parent.id, token)
        const stored = yield* insertRows(
          access,
          record,
          (columns) =>
            Effect.flatMap(named, (named) => named === undefined ? twin(access, columns, "") : Effect.succeed(named))
        )
        if (stored.id === record.id) yield* forgetLosses(access, parent.id, owner)
        return stored
      })
    )
  }

  const put = (record: JobRecord, line: string, renames: ReadonlyArray<Renames> = []) => {
    const { id, revision, updatedAt } = record
    const encoded = Rows.encodeJob(record.with({ revision: revision + 1 }))
    const { columns, payload } = encoded
    const replace = Effect.gen(function*() {
      yield* replaceRows(access, encoded, record)
      for (const step of renames) yield* renameFanOuts(access, columns.id, step)
      yield* appendLog(access, id, { at: updatedAt, level: "Info", message: line })
      return Rows.decodeJob({ ...columns, payload })
    })
    const keyTaken = Effect.flatMap(
      twin(access, columns, columns.id),
      (by): Statements<never> => by === undefined ? keyFreed : failWith(new Errors.KeyTaken({ id, by: by.id }))
    )
    return access.transaction("change a job", replace, keyTaken)
  }

  return { insert, insertChild, put }
}
