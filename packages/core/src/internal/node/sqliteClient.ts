/**
 * A `SqlClient` on Node's own SQLite, with one connection and one statement at a time.
 *
 * By hand, since Effect's client needs more than a plain `npm install` (`docs/decisions/0006-sqlite-client.md`). Here a
 * database that can't be opened is a `SqlError`, and a transaction that SQLite has already rolled back, on a full disk
 * for one, is not rolled back again.
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

/** An import would fail on an older Node with a message that tells nobody what to do. */
const sqliteOfNode = () => {
  const { node } = process.versions
  if (Number.parseInt(node, 10) < 24) throw new Error(`@fanout/core/node needs Node.js 24 or newer; this is v${node}.`)
  return process.getBuiltinModule("node:sqlite")
}

const sqlite = sqliteOfNode()

/** More statements than the store has. */
const cachedStatements = 256

interface SqliteConnection extends Connection {
  readonly database: DatabaseSync
}

const attempt = <A>(operation: string, evaluate: () => A): Effect.Effect<A, SqlError> =>
  Effect.try({
    try: evaluate,
    catch: (cause) => {
      // The classifier expects the code under the name that other drivers use.
      const known = Predicate.isObject(cause) && Predicate.hasProperty(cause, "errcode")
        ? Object.assign(cause, { errno: cause.errcode })
        : cause
      const message = cause instanceof Error ? cause.message : String(cause)
      return new SqlError({ reason: classifySqliteError(known, { message, operation }) })
    }
  })

/** Prepares each statement once, and forgets the one that was not used for the longest time. */
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

type Run = (sql: string, params: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<object>, SqlError>

const connect = (database: DatabaseSync): SqliteConnection => {
  const prepared = statements(database)
  const fresh = (sql: string) => database.prepare(sql)
  const all = (prepare: (sql: string) => StatementSync, arrays: boolean): Run => (sql, params) =>
    Effect.withFiber((fiber) =>
      attempt("execute", () => {
        const statement = prepare(sql)
        statement.setReadBigInts(Context.get(fiber.context, SqlClient.SafeIntegers))
        statement.setReturnArrays(arrays)
        return statement.all(...inputs(params))
      })
    )
  // This client transforms no rows. Another client that is lent the connection may do so.
  const rows = (run: Run): Connection["execute"] => (sql, params, transform) =>
    transform === undefined ? run(sql, params) : Effect.map(run(sql, params), transform)
  const values = (run: Run): Connection["executeValues"] => (sql, params) =>
    Effect.map(run(sql, params), (rows: ReadonlyArray<unknown>) => rows.filter(Array.isArray))
  return {
    database,
    execute: rows(all(prepared, false)),
    executeRaw: (sql, params) => attempt("execute", () => prepared(sql).run(...inputs(params))),
    executeStream: () => Stream.die(new Error("SQLite gives all rows of a statement at once")),
    executeValues: values(all(prepared, true)),
    executeValuesUnprepared: values(all(fresh, true)),
    executeUnprepared: rows(all(fresh, false))
  }
}

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

/** Client that fails where it meets a lock, for a caller that tries again by itself. */
export const make = (
  options: Options
): Effect.Effect<SqlClient.SqlClient, SqlError, Scope.Scope | Reactivity.Reactivity> =>
  Effect.flatMap(opened(options), SqlClient.make)

const isBusy = (error: unknown): boolean => isSqlError(error) && sqliteProblem(error) === "Busy"

/**
 * Client that waits where somebody else writes. It gives its connection back meanwhile, so that reading goes on. A
 * transaction takes the lock when it begins: after a read it could not write any more once somebody else has.
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
        // A retry is prepared only when it is needed: to prepare it costs half as much as a small statement.
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
