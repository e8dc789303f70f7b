/**
 * What databases say differently, in one place: `sqliteDialect.ts` and `postgresDialect.ts` say it.
 *
 * Everything else of the store is SQL that they share.
 */
import type * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { StorageFailure } from "../../JobStoreError.ts"
import type { OutcomeColumns } from "../store/rows.ts"
import { postgres } from "./postgresDialect.ts"
import { sqlite } from "./sqliteDialect.ts"

export interface Dialect {
  /** Statement that begins a transaction of the store's own, where the client's might begin another kind. */
  readonly begin: string | undefined
  /** Type of a column for text, compared byte by byte. */
  readonly text: Fragment
  /** Type of a column for numbers up to 2^53. */
  readonly integer: Fragment
  readonly real: Fragment
  /** Type of a column that numbers its rows and never gives a number twice. */
  readonly seq: Fragment
  readonly tableSuffix: Fragment
  /** Expression for text that is unique in the world. */
  readonly freshId: Fragment
  /** What stands for text in an index, whatever its length. */
  readonly indexed: (text: Fragment) => Fragment
  /** What an index begins with whose rows all have the same in a column: that column and a comma, or nothing. */
  readonly constant: (column: string) => Fragment
  readonly isOneOf: (column: Fragment, values: ReadonlyArray<string>) => Fragment
  readonly deleteOutcomes: (
    id: string,
    fanOut: string,
    cursors: ReadonlyArray<string>
  ) => Effect.Effect<unknown, SqlError>
  /** Inserts rows, or replaces those of the same element, in the order given. */
  readonly insertOutcomes: (id: string, rows: ReadonlyArray<OutcomeColumns>) => Effect.Effect<unknown, SqlError>
  readonly hasTable: (table: string) => Effect.Effect<boolean, SqlError>
  /** Whether the database is the store with this id. Locks it for writing where looking first could cost that lock. */
  readonly lockStore: (id: string) => Effect.Effect<boolean, SqlError>
  readonly problem: (error: SqlError) => StorageFailure["problem"]
  /** Whether trying again can help only in another transaction. */
  readonly needsNewTransaction: (error: SqlError) => boolean
}

/** Dialect of a client. A client of a database without one is a mistake of the program. */
export const of = (sql: SqlClient): Dialect =>
  sql.onDialectOrElse({
    sqlite: () => sqlite(sql),
    pg: () => postgres(sql),
    orElse: () => {
      throw new Error("SqlJobStore knows no dialect for this kind of database")
    }
  })

/** Kind of a client's database. */
export const kind = (sql: SqlClient): string =>
  sql.onDialectOrElse({ sqlite: () => "sqlite", pg: () => "pg", orElse: () => "another" })
