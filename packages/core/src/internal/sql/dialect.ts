/**
 * Describes where SQLite and Postgres differ. The rest of the store is SQL that both take.
 */
import type * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { StorageFailure } from "../../JobStoreError.ts"
import type { OutcomeColumns } from "../store/rows.ts"
import { postgres } from "./postgresDialect.ts"
import { sqlite } from "./sqliteDialect.ts"

export type Problem = StorageFailure["problem"]

export interface Dialect {
  /** Statement that begins a transaction of the store; `undefined` for the statement of the client. */
  readonly begin: string | undefined
  /** Type of a column of text, which is compared byte by byte. */
  readonly text: Fragment
  /** Type of a column of integers up to 2^53. */
  readonly integer: Fragment
  readonly real: Fragment
  /** Type of a column that numbers the rows of a table, and never gives a number twice. */
  readonly seq: Fragment
  readonly tableSuffix: Fragment
  /** Expression for text that is unique in the world. */
  readonly freshId: Fragment
  /** Expression that stands for text of any length in an index. */
  readonly indexed: (text: Fragment) => Fragment
  /** Beginning of an index whose rows all have the same value in a column: the column and a comma, or nothing. */
  readonly constant: (column: string) => Fragment
  /** Time that all processes agree on: `millis` of the caller's clock, or the time of the server. */
  readonly now: (millis: number) => Fragment
  readonly isOneOf: (column: Fragment, values: ReadonlyArray<string>) => Fragment
  readonly deleteOutcomes: (
    id: string,
    fanOut: string,
    cursors: ReadonlyArray<string>
  ) => Effect.Effect<unknown, SqlError>
  /** Inserts rows in this order, and removes older rows of the same elements. */
  readonly insertOutcomes: (id: string, rows: ReadonlyArray<OutcomeColumns>) => Effect.Effect<unknown, SqlError>
  readonly hasTable: (table: string) => Effect.Effect<boolean, SqlError>
  /** Whether the database is the store with this id. On SQLite, the store is locked for writing then. */
  readonly lockStore: (id: string) => Effect.Effect<boolean, SqlError>
  /** Tells whoever listens for changes of the store with this id, once the open transaction, if any, is committed. */
  readonly notify: (id: string) => Effect.Effect<unknown, SqlError>
  /**
   * Reads one row whose `version` changes with each commit. Where this process hears of changes, it need change with
   * those of owners only.
   */
  readonly version: (hears: boolean) => Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, SqlError>
  readonly problem: (error: SqlError) => Problem
  /** Whether only a new transaction can get around an error. */
  readonly needsNewTransaction: (error: SqlError) => boolean
}

/** Dialect of a client. A client of another kind of database is a mistake of the program. */
export const of = (sql: SqlClient): Dialect =>
  sql.onDialectOrElse({
    sqlite: () => sqlite(sql),
    pg: () => postgres(sql),
    orElse: () => {
      throw new Error("SqlJobStore knows no dialect for this kind of database")
    }
  })

/** How many connections a client has at most, if it says so as the `PgClient` of `@effect/sql-pg` does. */
export const mostConnections = (client: object): number =>
  Predicate.hasProperty(client, "config") && Predicate.hasProperty(client.config, "maxConnections") &&
    typeof client.config.maxConnections === "number"
    ? client.config.maxConnections
    : Number.POSITIVE_INFINITY

/** Kind of a client's database. */
export const kind = (sql: SqlClient): string =>
  sql.onDialectOrElse({ sqlite: () => "sqlite", pg: () => "pg", orElse: () => "another" })
