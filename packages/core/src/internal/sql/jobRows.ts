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
import type { JobStore, ListFilter, Unreadable } from "../../JobStore.ts"
import * as Errors from "../../JobStoreError.ts"
import * as Progress from "../../Progress.ts"
import * as Numbers from "../numbers.ts"
import { standsFor } from "../store/keys.ts"
import { isToCancel } from "../store/request.ts"
import * as Rows from "../store/rows.ts"
import { again, type SqlAccess } from "./access.ts"
import { appendLog, asOwner } from "./belongings.ts"
import { takePlace } from "./concurrencies.ts"
import { exact, failWith, findJob, page, ranges, remembering, selectJobs, type Statements } from "./queries.ts"
import { renameFanOuts } from "./slices.ts"

type Service = JobStore["Service"]

// --- Reads ----------------------------------------------------------------------------------------------------------

/** Reads the child of a name that is not cancelled. */
const namedChild = (access: SqlAccess, parent: JobId, name: string) => {
  const { dialect: { indexed }, sql } = access
  return findJob(
    access,
    "find a child",
    sql`j.parent_id = ${Rows.toText(parent)} and j.tag <> 'Cancelled'
      and ${indexed(sql.literal("j.parent_name"))} = ${indexed(sql`${Rows.toText(name)}`)}`
  )
}

export const makeReads = (
  access: SqlAccess
): Pick<Service, "get" | "pulse" | "child" | "childTags" | "childCounts" | "counts" | "version"> => {
  const { sql } = access
  const decode = remembering(Rows.decodeStored)
  return {
    get: (id) => {
      const found = exact(sql`${selectJobs(sql)} where j.id = ${Rows.toText(id)}`)
      return access.readJob(id, `read job ${id}`, found, decode)
    },
    pulse: (id) => {
      const found = sql`select beat, progress from fanout_jobs where id = ${Rows.toText(id)}`
      return access.readJob(id, "read a job's progress", found, Rows.decodePulse)
    },
    child: (parent, name) => {
      const isCancelled = sql`j.parent_id = ${Rows.toText(parent)} and j.tag = 'Cancelled'
        and j.parent_name = ${Rows.toText(name)} order by j.seq desc limit 1`
      const found = Effect.flatMap(
        namedChild(access, parent, name),
        (found) => Option.isSome(found) ? Effect.succeed(found) : findJob(access, "find a child", isCancelled)
      )
      return access.run("find a child", found)
    },
    childTags: (parent) => {
      const ofTag = (tag: JobState.Tag) =>
        sql`select tag from fanout_jobs where parent_id = ${Rows.toText(parent)} and tag = ${tag} limit 1`
      const found = sql`${ranges(sql, JobState.Tag.literals.map(ofTag))}`
      return access.read("look for children", found, Rows.decodeTag)
    },
    childCounts: (parents) => {
      const found = sql`select parent_id, tag, cast(count(*) as integer) as count from fanout_jobs
        where ${access.isOneOf("parent_id", parents)} group by parent_id, tag`
      return Effect.map(access.read("count children", found, Rows.decodeChildCount), (counts) => {
        const all = new Map<JobId, Record<string, number>>()
        for (const { count, parent, tag } of counts) all.set(parent, { ...all.get(parent), [tag]: count })
        return all
      })
    },
    // An unknown state is left to `unreadable`.
    counts: Effect.map(
      access.read(
        "count jobs",
        sql`select tag, cast(count(*) as integer) as count from fanout_jobs
          where ${access.isOneOf("tag", JobState.Tag.literals)} group by tag`,
        Rows.decodeStateCount
      ),
      Object.fromEntries
    ),
    version: Effect.suspend(() => {
      const { hearing } = access
      const found = access.run("look for changes", access.dialect.version(hearing.listeners > 0))
      return Effect.map(found, ([row]) => `${hearing.times} ${String(row?.["version"])}`)
    })
  }
}

export const makeLists = (access: SqlAccess) => {
  const { sql } = access
  // Who shows jobs reads the same ones again and again, and most of them have not changed.
  const decode = remembering(Rows.decodeListed)

  const isBefore = ({ createdAt, id }: Pick<JobRecord, "createdAt" | "id">) =>
    sql`created_at <= ${createdAt} and (created_at < ${createdAt}
      or seq < (select seq from fanout_jobs where id = ${Rows.toText(id)}))`

  const hasKey = (key: string) => {
    const column = sql.literal("idempotency_key")
    const wanted = Rows.toText(key)
    return sql`${access.dialect.indexed(column)} = ${access.dialect.indexed(sql`${wanted}`)} and ${column} = ${wanted}`
  }

  /** No character comes behind the last one of Unicode, in any database's order of bytes. */
  const beginsWith = (prefix: string) =>
    sql`id >= ${Rows.toText(prefix)} and id < ${`${Rows.toText(prefix)}\u{10ffff}`}`

  const hasTag = (tag: string) => sql`id in (select job_id from fanout_tags where tag = ${Rows.toText(tag)})`

  const pageOf = (
    { before, idempotencyKey, idPrefix, limit, names, parent, schedule, since, states, tag }: ListFilter,
    others: ReadonlyArray<Fragment>
  ) => {
    const ofStates = Array.from(new Set(states ?? JobState.Tag.literals), (tag) => sql`tag = ${tag}`)
    if (ofStates.length + others.length === 0) return Effect.succeed({ read: [], broken: [] })
    const few = [
      ...(idPrefix === undefined ? [] : [beginsWith(idPrefix)]),
      ...(idempotencyKey === undefined ? [] : [hasKey(idempotencyKey)]),
      ...(tag === undefined ? [] : [hasTag(tag)]),
      ...(schedule === undefined ? [] : [sql`schedule = ${Rows.toText(schedule)}`])
    ]
    // The jobs of a key, a tag, a schedule, or the beginning of an id are few. With a range for each state, SQLite
    // would read all jobs of the state. The expression keeps the database from the index of the states.
    const isWanted = states === undefined ? sql`1 = 1` : access.isOneOf("coalesce(tag, '')", states)
    const wanted = few.length === 0 ? [...ofStates, ...others] : [sql.and([...few, isWanted])]
    const conditions = [
      ...(names === undefined ? [] : [access.isOneOf("name", names)]),
      ...(parent === undefined ? [] : [sql`parent_id = ${Rows.toText(parent)}`]),
      ...(since === undefined ? [] : [sql`created_at >= ${Numbers.bound("The since of a list", since)}`]),
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
          where j.seq in (select seq from (${ranges(sql, wanted.map(ofState(limit)))}) as each ${newest(limit)})
          order by j.created_at desc, j.seq desc`,
      decode
    )
  }

  const listWithPulse: Service["listWithPulse"] = (filter) =>
    Effect.map(Effect.suspend(() => pageOf(filter, [])), ({ read }) => read)

  const unreadable: Service["unreadable"] = (filter) => {
    const unknown = sql`not ${access.isOneOf("tag", JobState.Tag.literals)}`
    return Effect.map(
      Effect.suspend(() => pageOf(filter, filter.states === undefined ? [unknown] : [])),
      ({ broken }) => broken.map(({ row, why }): Unreadable => ({ id: String(row["id"]), why }))
    )
  }

  return {
    list: (filter: ListFilter) => Effect.map(listWithPulse(filter), Arr.map(({ record }) => record)),
    listWithPulse,
    unreadable
  }
}

// --- Changes --------------------------------------------------------------------------------------------------------

/** Finds the active job, other than the job with id `except`, that has the name and one of the keys of a job. */
const twin = (access: SqlAccess, { exclusive_key, idempotency_key, name }: Rows.JobColumns, except: string) => {
  const { dialect: { indexed }, sql } = access
  return findJob(
    access,
    "find a job by its key",
    sql`j.name = ${name} and j.tag in ('Queued', 'Running', 'Paused') and j.id <> ${except}
      and (${indexed(sql.literal("j.idempotency_key"))} = ${indexed(sql`${idempotency_key}`)}
        or ${indexed(sql.literal("j.exclusive_key"))} = ${indexed(sql`${exclusive_key}`)})
      order by case when j.idempotency_key = ${idempotency_key} then 0 else 1 end limit 1`
  )
}

/** Fails if another job was in the way, but is not found any more. */
const keyFreed = again("The job that had the key has just finished")

const exists = ({ sql }: SqlAccess, id: string) =>
  Effect.map(sql`select 1 from fanout_jobs where id = ${id}`, Arr.isReadonlyArrayNonEmpty)

/**
 * Stores a job, within a transaction. Returns the stored job, or the job in the new job's place: `named`, or else the
 * active job that has one of the keys.
 */
export const insertRows = Effect.fnUntraced(function*(
  access: SqlAccess,
  record: JobRecord,
  named: Statements<Option.Option<JobRecord>> = Effect.succeedNone
) {
  const { sql } = access
  const { id } = record
  const { columns, payload } = Rows.encodeJob(record.with({ revision: 1 }))
  const row = { ...columns, progress: Rows.encodeProgress(Progress.empty) }
  const inserted = yield* sql`insert into fanout_jobs ${sql.insert(row)} on conflict do nothing returning id`
  if (inserted.length > 0) {
    yield* sql`insert into fanout_payloads (job_id, payload) values (${columns.id}, ${payload})`
    const tags = record.tags.map((tag) => ({ tag: Rows.toText(tag), job_id: columns.id }))
    if (Arr.isArrayNonEmpty(tags)) yield* sql`insert into fanout_tags ${sql.insert(tags)}`
    return Rows.decodeJob({ ...columns, payload })
  }
  const other = yield* named
  const inPlace = Option.isSome(other) ? other : yield* twin(access, columns, "")
  if (Option.isSome(inPlace)) return inPlace.value
  return yield* (yield* exists(access, columns.id)) ? failWith(new Errors.JobConflict({ id })) : keyFreed
})

export const makeChanges = (access: SqlAccess): Pick<Service, "insert" | "insertAll" | "insertChild" | "put"> => {
  const { sql } = access
  return {
    insert: (record) =>
      record.revision === 0
        ? access.joinTransaction("store a job", insertRows(access, record))
        : failWith(new Errors.JobConflict({ id: record.id })),
    insertAll: (records) => {
      const old = records.find(({ revision }) => revision !== 0)
      if (old !== undefined) return failWith(new Errors.JobConflict({ id: old.id }))
      const insert = (record: JobRecord) =>
        Effect.flatMap(insertRows(access, record), (stored) =>
          standsFor(stored, record)
            ? Effect.succeed(stored)
            : failWith(new Errors.KeyTaken({ id: record.id, by: stored.id })))
      return access.joinTransaction("store jobs", Effect.forEach(records, insert))
    },
    insertChild: (record, token) => {
      const parent = Option.getOrUndefined(record.parent)
      if (parent === undefined || record.revision !== 0) return failWith(new Errors.JobConflict({ id: record.id }))
      const { id, name } = parent
      const store = insertRows(access, record, namedChild(access, id, name))
      return access.changeApart("store a child", asOwner(access, { id, token }, store, (job) => job.id === record.id))
    },
    put: (record, line, renames = [], beat) => {
      const { id, revision, updatedAt } = record
      const { columns, payload } = Rows.encodeJob(record.with({ revision: revision + 1 }))
      const replace = Effect.gen(function*() {
        if (record.state._tag === "Running" && !isToCancel(record)) yield* takePlace(access, columns, revision)
        const replaced = yield* sql`update fanout_jobs set ${sql.update(columns, ["id"])}
          where id = ${columns.id} and revision = ${revision}
            and ${beat === undefined ? sql`1 = 1` : sql`beat = ${beat}`} returning id`
        if (replaced.length === 0) {
          const isStored = yield* exists(access, columns.id)
          return yield* failWith(isStored ? new Errors.JobConflict({ id }) : new Errors.JobNotFound({ id }))
        }
        yield* sql`update fanout_payloads set payload = ${payload}
          where job_id = ${columns.id} and payload <> ${payload}`
        for (const step of renames) yield* renameFanOuts(access, columns.id, step)
        yield* appendLog(access, id, { at: updatedAt, level: "Info", message: line })
        return Rows.decodeJob({ ...columns, payload })
      })
      const keyTaken = Effect.flatMap(
        twin(access, columns, columns.id),
        (by): Statements<never> => Option.isNone(by) ? keyFreed : failWith(new Errors.KeyTaken({ id, by: by.value.id }))
      )
      return access.change("change a job", replace, keyTaken)
    }
  }
}
