/**
 * What SQLite says its own way.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { StorageFailure } from "../../JobStoreError.ts"
import type { Dialect } from "./dialect.ts"

type Problem = StorageFailure["problem"]

export const sqlite = (sql: SqlClient): Dialect => ({
  begin: undefined,
  text: sql.literal("text"),
  integer: sql.literal("integer"),
  real: sql.literal("real"),
  // Without `autoincrement` the number of a removed row could be given again, and a reader behind it miss a row.
  seq: sql.literal("integer primary key autoincrement"),
  tableSuffix: sql.literal("strict"),
  freshId: sql.literal("lower(hex(randomblob(16)))"),
  indexed: (text) => text,
  constant: (column) => sql.literal(`${column},`),
  isOneOf: isOneOf(sql),
  deleteOutcomes: (id, fanOut, cursors) =>
    sql`delete from fanout_outcomes
      where job_id = ${id} and fan_out = ${fanOut} and ${isOneOf(sql)(sql.literal("cursor"), cursors)}`,
  insertOutcomes: (id, rows) =>
    Effect.forEach(
      chunks(rows, [64, 8, 1]),
      (chunk) => {
        const places = chunk.map(() => "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").join()
        return sql.unsafe(
          `insert or replace into fanout_outcomes
            (job_id, fan_out, cursor, key, tag, payload, origin, outcome, attempt, at) values ${places}`,
          chunk.flatMap((row) => [
            id,
            row.fan_out,
            row.cursor,
            row.key,
            row.tag,
            row.payload,
            row.origin,
            row.outcome,
            row.attempt,
            row.at
          ])
        )
      },
      { discard: true }
    ),
  hasTable: (table) =>
    Effect.map(
      sql`select 1 from sqlite_master where type = 'table' and name = ${table}`,
      (rows) => rows.length > 0
    ),
  // A transaction that has read can't write once somebody else has, so the first statement is a write. Where the
  // table is missing it fails before it has done anything.
  lockStore: (id) =>
    sql`update fanout_store set id = id where id = ${id} returning id`.pipe(
      Effect.map((rows) => rows.length > 0),
      Effect.catchIf((error) => /no such table/.test(messageOf(error)), () => Effect.succeed(false))
    ),
  problem: sqliteProblem,
  needsNewTransaction: (error) => sqliteCode(error) === 517
})

/** One parameter, so that statements for any number of values are prepared once. */
const isOneOf = (sql: SqlClient): Dialect["isOneOf"] => (column, values) =>
  sql`${column} in (select value from json_each(${JSON.stringify(values)}))`

/** Cuts rows into chunks of few sizes, so that there are few statements to prepare. */
const chunks = <A>(rows: ReadonlyArray<A>, sizes: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<A>> => {
  const found: Array<ReadonlyArray<A>> = []
  let start = 0
  for (const size of sizes) {
    for (; start + size <= rows.length; start += size) found.push(rows.slice(start, start + size))
  }
  return found
}

const messageOf = (error: SqlError): string =>
  Predicate.hasProperty(error.reason.cause, "message") ? String(error.reason.cause.message) : ""

/** Extended result code, as a number or, from some drivers, as a name. */
const sqliteCode = ({ reason: { cause } }: SqlError): string | number => {
  for (const property of ["errcode", "errno", "code"]) {
    const code = Predicate.hasProperty(cause, property) ? cause[property] : undefined
    if (typeof code === "number" || (typeof code === "string" && code.startsWith("SQLITE_"))) return code
  }
  return 1
}

const sqliteProblems: ReadonlyArray<readonly [code: number, name: string, problem: Problem]> = [
  [3, "SQLITE_PERM", "Unreadable"],
  [5, "SQLITE_BUSY", "Busy"],
  [6, "SQLITE_LOCKED", "Busy"],
  [8, "SQLITE_READONLY", "ReadOnly"],
  // The index of the write-ahead log could not grow, which it fails to do on a full disk.
  [4874, "SQLITE_IOERR_SHMSIZE", "Full"],
  [10, "SQLITE_IOERR", "Faulty"],
  [11, "SQLITE_CORRUPT", "Corrupt"],
  [13, "SQLITE_FULL", "Full"],
  [14, "SQLITE_CANTOPEN", "Unreadable"],
  [23, "SQLITE_AUTH", "Unreadable"],
  [26, "SQLITE_NOTADB", "Corrupt"]
]

/** What is wrong, judged by SQLite's result code: the first that fits, so that what is special comes first. */
export const sqliteProblem = (error: SqlError): Problem => {
  if (error.reason._tag === "LockTimeoutError") return "Busy"
  const code = sqliteCode(error)
  const found = sqliteProblems.find(([number, name]) =>
    typeof code === "number"
      ? code === number || (code & 0xff) === number
      : code === name || code.startsWith(`${name}_`)
  )
  return found?.[2] ?? "Other"
}
