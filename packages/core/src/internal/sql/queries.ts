/**
 * Puts together the queries of the store, and reads their rows. A row that something else has written or damaged must
 * not hold back other rows.
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { JobRecord } from "../../JobRecord.ts"
import * as Errors from "../../JobStoreError.ts"
import { lineOf } from "../messageOf.ts"
import { atMost } from "../store/pages.ts"
import { PassedOver } from "../store/passed.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import type { Dialect } from "./dialect.ts"

export type Statements<A> = Effect.Effect<A, SqlError | Errors.JobStoreError>

type Found<R = object> = Effect.Effect<ReadonlyArray<R>, SqlError>

export const storageFailure = (operation: string, problem: Errors.StorageFailure["problem"], cause: unknown) =>
  new Errors.JobStoreError({ reason: new Errors.StorageFailure({ operation, problem, cause }) })

export const failWith = (reason: Errors.JobStoreError["reason"]) => Effect.fail(new Errors.JobStoreError({ reason }))

/** The first row, or a failure if no row is found. */
export const firstOr = <A, E>(
  rows: Effect.Effect<ReadonlyArray<A>, E>,
  reason: () => Errors.JobStoreError["reason"]
) => Effect.flatMap(rows, ([row]) => row === undefined ? failWith(reason()) : Effect.succeed(row))

/** All jobs with their payloads. A job whose payload is missing can't be read. */
export const selectJobs = (sql: SqlClient.SqlClient) =>
  sql`select j.*, p.payload from fanout_jobs j left join fanout_payloads p on p.job_id = j.id`

/**
 * Joins queries, each of which reads one range of an index in order. One query with a condition that allows several
 * ranges, such as `in`, would have to sort all rows of the ranges.
 */
export const ranges = (sql: SqlClient.SqlClient, each: ReadonlyArray<Fragment>, operator = "union all"): Fragment =>
  sql.join(` ${operator} `, false)(each.map((range) => sql`select * from (${range}) as one`))

/** Tells whether a database is the store with this id. */
export const isStore = (sql: SqlClient.SqlClient, hasTable: Dialect["hasTable"], id: string) =>
  Effect.flatMap(hasTable("fanout_store"), (exists) =>
    exists
      ? Effect.map(sql`select id from fanout_store where id = ${id}`, Arr.isReadonlyArrayNonEmpty)
      : Effect.succeed(false))

/** Decodes rows. A row that can't be decoded was written by something else, and fails as `Corrupt`. */
export const decoded = <A, R extends object>(
  operation: string,
  rows: Found<R>,
  decode: (row: R) => A
): Statements<ReadonlyArray<A>> =>
  Effect.flatMap(rows, (rows) =>
    Effect.try({
      try: () => rows.map((row) => decode(row)),
      catch: (cause) => storageFailure(operation, "Corrupt", cause)
    }))

/**
 * Reads integers beyond 2^53 as bigints. Otherwise one row with such an integer would make a driver fail for all rows.
 */
export const exact = (rows: Found): Found<Rows.Row> =>
  Effect.map(Effect.provideService(rows, SqlClient.SafeIntegers, true), (rows) => rows.map(withNumbers))

const withNumbers = (row: object): Rows.Row => {
  const numbered: Record<string, unknown> = { ...row }
  for (const column in numbered) {
    const value = numbered[column]
    if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) numbered[column] = Number(value)
  }
  return numbered
}

/** Reads the first of the jobs that a condition finds. */
export const findJob = (
  { sql }: SqlAccess,
  operation: string,
  where: Fragment
): Statements<Option.Option<JobRecord>> =>
  Effect.map(decoded(operation, exact(sql`${selectJobs(sql)} where ${where}`), Rows.decodeStored), Arr.head)

/** Most rows that are remembered, and most characters of each of them. */
const remembered = { rows: 256, characters: 16_384 }

const isSame = (row: Rows.Row, other: Rows.Row): boolean => {
  for (const column in row) if (row[column] !== other[column]) return false
  return true
}

const charactersOf = (row: Rows.Row): number =>
  Object.values(row).reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length : 0), 0)

/** Gives the same value again for a row that is as it was, of those that were decoded last: to decode takes longest. */
export const remembering = <A>(decode: (row: Rows.Row) => A): (row: Rows.Row) => A => {
  const known = new Map<unknown, { readonly row: Rows.Row; readonly value: A }>()
  return (row) => {
    const { seq } = row
    const before = known.get(seq)
    known.delete(seq)
    const now = before !== undefined && isSame(row, before.row) ? before : { row, value: decode(row) }
    if (now === before || charactersOf(row) <= remembered.characters) known.set(seq, now)
    if (known.size > remembered.rows) known.delete(known.keys().next().value)
    return now.value
  }
}

/** A row that can't be read, and why. */
export interface Broken {
  readonly row: Rows.Row
  readonly why: string
}

/**
 * Reads the first rows that can be read, at most `limit`, and the rows between them that can't be read. The query is
 * repeated with higher limits until enough rows can be read.
 */
export const page = Effect.fnUntraced(function*<A>(
  access: SqlAccess,
  operation: string,
  limit: number,
  rows: (limit: number) => Found,
  decode: (row: Rows.Row) => A,
  onBroken: (broken: Broken) => Effect.Effect<void> = () => Effect.void
): Effect.fn.Return<{ readonly read: ReadonlyArray<A>; readonly broken: ReadonlyArray<Broken> }, Errors.JobStoreError> {
  const most = atMost(limit)
  for (let wanted = most;; wanted = atMost(2 * wanted)) {
    const read: Array<A> = []
    const broken: Array<Broken> = []
    const found = yield* access.run(operation, exact(rows(wanted)))
    for (const row of found) {
      if (read.length >= most) break
      try {
        read.push(decode(row))
      } catch (error) {
        broken.push({ row, why: lineOf(error) })
      }
    }
    yield* Effect.forEach(broken, onBroken, { discard: true })
    if (read.length >= most || found.length < wanted) return { read, broken }
  }
})

/** Warns of something that can't be read, once in a process. */
const warn = (told: PassedOver<string>, key: unknown, what: string, why: string) =>
  told.addUnsafe(String(key)) ? Effect.logWarning(`${what} is left as it is: it can't be read: ${why}`) : Effect.void

/** Makes a read of the rows that can be read. Warns of the leavingOut, each of which `name` names. */
export const leavingOut = <A>(
  access: SqlAccess,
  operation: string,
  name: (row: Rows.Row) => string,
  decode: (row: Rows.Row) => A
) => {
  const told = new PassedOver<string>()
  const warnOf = ({ row, why }: Broken) => warn(told, name(row), name(row), why)
  return (limit: number, rows: (limit: number) => Found): Effect.Effect<ReadonlyArray<A>, Errors.JobStoreError> =>
    Effect.map(page(access, operation, limit, rows, decode, warnOf), ({ read }) => read)
}

/**
 * Reads the jobs that can be read, to do something for them. Jobs that can't be read are reported once, and left out of
 * the query for a minute: `others` is the condition for that.
 */
export const readable = <A>(
  access: SqlAccess,
  operation: string,
  limit: number,
  rows: (others: (column: string) => Fragment, limit: number) => Found,
  decode: (row: Rows.Row) => A
): Effect.Effect<ReadonlyArray<A>, Errors.JobStoreError> => {
  const { dialect, sql, unreadable } = access
  const othersAt = (now: number) => {
    const passed = Array.from(unreadable.atUnsafe(now))
    return (column: string) =>
      passed.length === 0 ? sql`1 = 1` : sql`not ${dialect.isOneOf(sql.literal(`cast(${column} as text)`), passed)}`
  }
  const rowsNow = (wanted: number) => Effect.flatMap(Clock.currentTimeMillis, (now) => rows(othersAt(now), wanted))
  const onBroken = ({ row, why }: Broken) => warn(unreadable, row["seq"], `Job ${String(row["id"])}`, why)
  return Effect.map(page(access, operation, limit, rowsNow, decode, onBroken), ({ read }) => read)
}
