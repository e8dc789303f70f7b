/**
 * Tables that file jobs have of their own in the database of the jobs.
 */
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/** Whether somebody else writes, or makes the tables, just now. */
const isBusy = (error: unknown): boolean =>
  isSqlError(error)
    ? error.reason._tag === "LockTimeoutError"
    : error instanceof Migrator.MigrationError && (error.kind === "Locked" || isBusy(error.cause))

// As long as the store waits for another process, half a minute.
const whileBusy = Schedule.spaced("20 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: "30 seconds" }))

/** Waits while somebody else writes. */
export const waiting = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { schedule: whileBusy, while: isBusy })

/** SQLite's code for a full disk: the way on is another than after any other failure. */
const isFull = (cause: unknown): boolean => Predicate.hasProperty(cause, "errcode") && cause.errcode === 13

/** Says what could not be done, and why. */
export const failure = (operation: string) => (error: SqlError | Migrator.MigrationError): JobStoreError => {
  const cause = isSqlError(error) ? error.reason.cause : error
  const problem = isBusy(error) ? "Busy" : isFull(cause) ? "Full" : "Other"
  return new JobStoreError({ reason: new StorageFailure({ operation, problem, cause }) })
}

/** Makes tables, or brings them up to date. */
export const prepareTables = (table: string, loader: Migrator.Loader, operation: string) =>
(
  sql: SqlClient.SqlClient
): Effect.Effect<void, JobStoreError> =>
  waiting(Migrator.make({})({ loader, table })).pipe(
    Effect.provideService(SqlClient.SqlClient, sql),
    Effect.mapError(failure(operation)),
    Effect.asVoid
  )
