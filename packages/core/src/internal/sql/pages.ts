/**
 * Reads as many rows as can be read: one that something else has written, or damaged, must not hold back others.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { JobStoreError } from "../../JobStoreError.ts"
import { lineOf } from "../messageOf.ts"
import type { SqlAccess } from "./access.ts"
import { atMost, exact, type Row } from "./queries.ts"

/** A row that can't be read, and why. */
export interface Broken {
  readonly row: Row
  readonly why: string
}

interface Page<A> {
  readonly read: ReadonlyArray<A>
  readonly broken: ReadonlyArray<Broken>
}

const sorted = <A>(rows: ReadonlyArray<Row>, decode: (row: Row) => A, limit: number): Page<A> => {
  const read: Array<A> = []
  const broken: Array<Broken> = []
  for (const row of rows) {
    if (read.length >= limit) break
    try {
      read.push(decode(row))
    } catch (error) {
      broken.push({ row, why: lineOf(error) })
    }
  }
  return { read, broken }
}

/**
 * Reads the first rows that can be read, `limit` at most, and those between them that can't be. However many these
 * are, it gets behind them.
 */
export const page = Effect.fnUntraced(function*<A>(
  access: SqlAccess,
  operation: string,
  limit: number,
  rows: (limit: number) => Effect.Effect<ReadonlyArray<object>, SqlError>,
  decode: (row: Row) => A,
  onBroken: (broken: Broken) => Effect.Effect<void> = () => Effect.void
): Effect.fn.Return<Page<A>, JobStoreError> {
  for (let wanted = atMost(limit);; wanted = atMost(2 * wanted)) {
    const found = yield* access.run(operation, exact(rows(wanted)))
    const page = sorted(found, decode, atMost(limit))
    yield* Effect.forEach(page.broken, onBroken, { discard: true })
    if (page.read.length >= atMost(limit) || found.length < wanted) return page
  }
})

/** Reads jobs to do something for them, as far as they can be read. Others are told once, and left out for a while. */
export const readable = <A>(
  access: SqlAccess,
  operation: string,
  limit: number,
  rows: (others: (column: string) => Fragment, limit: number) => Effect.Effect<ReadonlyArray<object>, SqlError>,
  decode: (row: Row) => A
): Effect.Effect<ReadonlyArray<A>, JobStoreError> => {
  const { dialect, sql, unreadable } = access
  const others = (now: number) => {
    const passed = Array.from(unreadable.atUnsafe(now))
    return (column: string) =>
      passed.length === 0 ? sql`1 = 1` : sql`not ${dialect.isOneOf(sql.literal(`cast(${column} as text)`), passed)}`
  }
  return Effect.map(
    page(
      access,
      operation,
      limit,
      (wanted) => Effect.flatMap(Clock.currentTimeMillis, (now) => rows(others(now), wanted)),
      decode,
      ({ row, why }) =>
        unreadable.addUnsafe(String(row["seq"]))
          ? Effect.logWarning(`Job ${String(row["id"])} is left as it is: it can't be read: ${why}`)
          : Effect.void
    ),
    ({ read }) => read
  )
}
