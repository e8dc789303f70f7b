/**
 * The dialect of SQLite.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { messageOf } from "../messageOf.ts"
import type { Dialect, Problem } from "./dialect.ts"

export const sqlite = (sql: SqlClient): Dialect => ({
  begin: undefined,
  text: sql.literal("text"),
  integer: sql.literal("integer"),
  real: sql.literal("real"),
  // Without `autoincrement` a new row could get the number of a removed row, and a reader that is behind that number
  // would miss the new row.
  seq: sql.literal("integer primary key autoincrement"),
  tableSuffix: sql.literal("strict"),
  freshId: sql.literal("lower(hex(randomblob(16)))"),
  indexed: (text) => text,
  constant: (column) => sql.literal(`${column},`),
  // All processes that use the file are on one machine.
  now: (millis) => sql`${millis}`,
  isOneOf: isOneOf(sql),
  deleteOutcomes: (id, fanOut, cursors) =>
    sql`delete from fanout_outcomes
      where job_id = ${id} and fan_out = ${fanOut} and ${isOneOf(sql)(sql.literal("cursor"), cursors)}`,
  insertOutcomes: (id, rows) =>
    Effect.forEach(
      chunks(rows.map((row) => Object.assign({ job_id: id }, row)), [64, 8, 1]),
      (chunk) => sql`insert or replace into fanout_outcomes ${sql.insert(chunk)}`,
      { discard: true }
    ),
  hasTable: (table) =>
    Effect.map(
      sql`select 1 from sqlite_master where type = 'table' and name = ${table}`,
      Arr.isReadonlyArrayNonEmpty
    ),
  // The first statement is a write: a transaction that has read can't write after somebody else has written. If the
  // table is missing, the statement fails and changes nothing.
  lockStore: (id) =>
    sql`update fanout_store set id = id where id = ${id} returning id`.pipe(
      Effect.map(Arr.isReadonlyArrayNonEmpty),
      Effect.catchIf(({ reason }) => /no such table/.test(messageOf(reason.cause)), () => Effect.succeed(false))
    ),
  notify: () => Effect.void,
  // The first number tells of commits by other connections, the second one of changes by this one.
  version: () => sql`select data_version || ' ' || total_changes() as version from pragma_data_version`,
  problem: sqliteProblem,
  needsNewTransaction: (error) => sqliteCode(error) === 517
})

/** The values are one parameter, so that one prepared statement serves any number of values. */
const isOneOf = (sql: SqlClient): Dialect["isOneOf"] => (column, values) =>
  sql`${column} in (select value from json_each(${JSON.stringify(values)}))`

/** Cuts rows into chunks of few sizes, so that few statements have to be prepared. */
const chunks = <A>(rows: ReadonlyArray<A>, sizes: ReadonlyArray<number>) => {
  let rest = rows
  return sizes.flatMap((size) => {
    const whole = rest.slice(0, rest.length - rest.length % size)
    rest = rest.slice(whole.length)
    return Arr.chunksOf(whole, size)
  })
}

/** Extended result code: a number, or a name from some drivers. */
const sqliteCode = ({ reason: { cause } }: SqlError): string | number => {
  for (const property of ["errcode", "errno", "code"]) {
    const code = Predicate.hasProperty(cause, property) ? cause[property] : undefined
    if (typeof code === "number" || (typeof code === "string" && code.startsWith("SQLITE_"))) return code
  }
  return 1
}

const sqliteProblems: ReadonlyArray<readonly [code: number, name: string, problem: Problem]> = [
  [3, "SQLITE_PERM", "Denied"],
  [5, "SQLITE_BUSY", "Busy"],
  [6, "SQLITE_LOCKED", "Busy"],
  [8, "SQLITE_READONLY", "ReadOnly"],
  // The index of the write-ahead log can't grow on a full disk.
  [4874, "SQLITE_IOERR_SHMSIZE", "Full"],
  [10, "SQLITE_IOERR", "Faulty"],
  [11, "SQLITE_CORRUPT", "Corrupt"],
  [13, "SQLITE_FULL", "Full"],
  [14, "SQLITE_CANTOPEN", "Unreadable"],
  [23, "SQLITE_AUTH", "Denied"],
  [26, "SQLITE_NOTADB", "Corrupt"]
]

/** What is wrong, by SQLite's result code. The first entry that fits counts, so special codes come first. */
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
