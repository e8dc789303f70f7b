/**
 * What the queries of the store share: how they are put together, and how their rows are read.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { JobRecord } from "../../JobRecord.ts"
import * as Errors from "../../JobStoreError.ts"
import * as Rows from "../store/rows.ts"

export const storageFailure = (operation: string, problem: Errors.StorageFailure["problem"], cause: unknown) =>
  new Errors.JobStoreError({ reason: new Errors.StorageFailure({ operation, problem, cause }) })

export type Statements<A> = Effect.Effect<A, SqlError | Errors.JobStoreError>

/** Decodes rows; what can't be decoded was written by something else. */
export const decoded = <A, R extends object>(
  operation: string,
  rows: Effect.Effect<ReadonlyArray<R>, SqlError>,
  decode: (row: R) => A
): Statements<ReadonlyArray<A>> =>
  Effect.flatMap(rows, (rows) =>
    Effect.try({
      try: () => rows.map((row) => decode(row)),
      catch: (cause) => storageFailure(operation, "Corrupt", cause)
    }))

/** Rows with their numbers as text or whole, also those that are too large for a number: a driver gives no row then. */
export const exact = (
  rows: Effect.Effect<ReadonlyArray<object>, SqlError>
): Effect.Effect<ReadonlyArray<Row>, SqlError> =>
  Effect.map(Effect.provideService(rows, SqlClient.SafeIntegers, true), (rows) => rows.map(withNumbers))

export type Row = Readonly<Record<string, unknown>>

const withNumbers = (row: object): Row =>
  Object.fromEntries(
    Object.entries(row).map(([column, value]: readonly [string, unknown]) => [
      column,
      typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value
    ])
  )

/** Decodes rows of `selectJobs`. */
export const decodedJobs = (
  operation: string,
  rows: Effect.Effect<ReadonlyArray<object>, SqlError>
): Statements<ReadonlyArray<JobRecord>> => decoded(operation, exact(rows), Rows.decodeStored)

/** All jobs with their payloads; without one the job can't be read. */
export const selectJobs = (sql: SqlClient.SqlClient) =>
  sql`select j.*, p.payload from fanout_jobs j left join fanout_payloads p on p.job_id = j.id`

export const failWith = (reason: Errors.JobStoreError["reason"]) => Effect.fail(new Errors.JobStoreError({ reason }))

/** The first row, or a failure. */
export const firstOr = <A, E>(rows: Effect.Effect<ReadonlyArray<A>, E>, reason: Errors.JobStoreError["reason"]) =>
  Effect.flatMap(rows, ([row]) => row === undefined ? failWith(reason) : Effect.succeed(row))

/**
 * One ordered range of an index after the other. With a condition that allows for several ranges, as `in` is, all rows
 * of them would have to be sorted.
 */
export const ranges = (sql: SqlClient.SqlClient, each: ReadonlyArray<Fragment>, operator = "union all"): Fragment =>
  sql.join(` ${operator} `, false)(each.map((range) => sql`select * from (${range}) as one`))

/** A number that any database takes for a limit. */
export const atMost = (limit: number) => Math.min(Math.max(0, Math.floor(limit)), 2 ** 31 - 1)
