/**
 * A `SqlClient` on Node's own SQLite.
 *
 * One connection, one statement at a time. What can't be opened is a `SqlError`, and a transaction that SQLite has
 * already rolled back (on a full disk, for one) is not rolled back again.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, isSqlError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import { whileBusy } from "../sql/access.ts"
import { sqliteProblem } from "../sql/sqliteDialect.ts"

/** A Node that lacks SQLite could not load this module if it were imported, and would say nothing but that. */
const sqliteOfNode = () => {
  const { node } = process.versions
  if (Number.parseInt(node, 10) < 24) throw new Error(`@fanout/core/node needs Node.js 24 or newer; this is v${node}.`)
  return process.getBuiltinModule("node:sqlite")
}

const sqlite = sqliteOfNode()

/** More different statements than the store has. */
const cachedStatements = 256

interface SqliteConnection extends Connection {
  readonly database: DatabaseSync
}

const attempt = <A>(operation: string, evaluate: () => A): Effect.Effect<A, SqlError> =>
  Effect.try({
    try: evaluate,
    catch: (cause) => {
      // The classifier looks for the code under the name that other drivers give it.
      const known = Predicate.isObject(cause) && Predicate.hasProperty(cause, "errcode")
        ? Object.assign(cause, { errno: cause.errcode })
        : cause
      const message = cause instanceof Error ? cause.message : String(cause)
      return new SqlError({ reason: classifySqliteError(known, { message, operation }) })
    }
  })

/** Statements are prepared once; the one that was not used for the longest time is forgotten first. */
const statements = (database: DatabaseSync) => {
  const cache = new Map<string, StatementSync>()
  return (sql: string): StatementSync => {
    const found = cache.get(sql)
    const statement = found ?? database.prepare(sql)
    cache.delete(sql)
    cache.set(sql, statement)
    if (cache.size > cachedStatements) cache.delete(cache.keys().next().value ?? "")
    return statement
  }
}

const isInput = (value: unknown): value is SQLInputValue =>
  typeof value === "string" || typeof value === "number" || value === null || typeof value === "bigint" ||
  ArrayBuffer.isView(value)

const inputs = (params: ReadonlyArray<unknown>): ReadonlyArray<SQLInputValue> => {
  if (params.every(isInput)) return params
  throw new TypeError("SQLite keeps text, numbers, bytes and null")
}

const connect = (database: DatabaseSync): SqliteConnection => {
  const prepared = statements(database)
  const fresh = (sql: string) => database.prepare(sql)
  const run = (prepare: (sql: string) => StatementSync, sql: string, params: ReadonlyArray<unknown>, arrays: boolean) =>
    Effect.withFiber((fiber) =>
      attempt("execute", () => {
        const statement = prepare(sql)
        statement.setReadBigInts(Context.get(fiber.context, SqlClient.SafeIntegers))
        statement.setReturnArrays(arrays)
        return statement.all(...inputs(params))
      })
    )
  const values = (prepare: (sql: string) => StatementSync, sql: string, params: ReadonlyArray<unknown>) =>
    Effect.map(run(prepare, sql, params, true), (rows: ReadonlyArray<unknown>) => rows.filter(Array.isArray))
  return {
    database,
    execute: (sql, params, transform) => transformed(run(prepared, sql, params, false), transform),
    executeRaw: (sql, params) => attempt("execute", () => prepared(sql).run(...inputs(params))),
    executeStream: () => Stream.die(new Error("SQLite gives all rows of a statement at once")),
    executeValues: (sql, params) => values(prepared, sql, params),
    executeValuesUnprepared: (sql, params) => values(fresh, sql, params),
    executeUnprepared: (sql, params, transform) => transformed(run(fresh, sql, params, false), transform)
  }
}

/** This client has no transformation of rows. One that the caller lends the connection to can have. */
const transformed = <A extends object, E>(
  rows: Effect.Effect<ReadonlyArray<A>, E>,
  transform: (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
) => transform === undefined ? rows : Effect.map(rows, transform)

/** Opens a database for one connection, with a write-ahead log. */
const open = (options: Options): DatabaseSync => {
  const { busyTimeoutMillis, filename, synchronous } = options
  const database = new sqlite.DatabaseSync(filename, { timeout: busyTimeoutMillis })
  try {
    const { journal_mode: mode } = database.prepare("PRAGMA journal_mode = WAL").get() ?? {}
    if (mode !== "wal" && filename !== ":memory:") {
      throw new Error(`its journal is "${String(mode)}" and can't be a log`)
    }
    database.exec(`PRAGMA synchronous = ${synchronous}`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

interface Options {
  readonly filename: string
  readonly busyTimeoutMillis: number
  readonly synchronous: "NORMAL" | "FULL"
}

/** Opens a database until the scope is closed. */
const opened = (options: Options) =>
  Effect.gen(function*() {
    const database = yield* Effect.acquireRelease(
      attempt("open", () => open(options)),
      (database) => Effect.sync(() => database.close())
    )
    return {
      ...SqlClient.makeSqliteAcquirers({
        connection: Effect.succeed(connect(database)),
        semaphore: yield* Semaphore.make(1),
        isTransaction: ({ database }) => database.isTransaction
      }),
      compiler: Statement.makeCompilerSqlite(),
      driver: "fanout-sqlite",
      spanAttributes: [["db.system.name", "sqlite"]] as const,
      prepareTransactionControls: true,
      releaseSavepoint: (name: string) => `RELEASE SAVEPOINT ${name}`
    }
  })

/** Client of a database, for whoever tries again by itself what meets a lock. */
export const make = (
  options: Options
): Effect.Effect<SqlClient.SqlClient, SqlError, Scope.Scope | Reactivity.Reactivity> =>
  Effect.flatMap(opened(options), SqlClient.make)

const isBusy = (error: unknown): boolean => isSqlError(error) && sqliteProblem(error) === "Busy"

/**
 * Client that waits where somebody else writes. It does so without its connection, so that reading goes on. A
 * transaction waits before it begins, and has the lock then: one that has read could not write any more once somebody
 * else has.
 */
export const makeWaiting = (
  options: Options
): Effect.Effect<SqlClient.SqlClient, SqlError, Scope.Scope | Reactivity.Reactivity> =>
  Effect.gen(function*() {
    const settings = yield* opened(options)
    const client = yield* SqlClient.make({
      ...settings,
      beginTransaction: "BEGIN IMMEDIATE",
      borrower: (f) => {
        const attempt = settings.borrower(f)
        // To prepare a retry costs half as much as a small statement.
        return Effect.catchIf(attempt, isBusy, () => Effect.retry(attempt, { schedule: whileBusy, while: isBusy }))
      }
    })
    const { withTransaction } = client
    return Object.assign(client, {
      withTransaction: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.suspend(() => {
          let hasBegun = false
          const inside = Effect.suspend(() => {
            hasBegun = true
            return effect
          })
          return Effect.retry(withTransaction(inside), {
            schedule: whileBusy,
            while: (error) => !hasBegun && isBusy(error)
          })
        })
    })
  })
