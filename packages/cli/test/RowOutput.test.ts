import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import { JobStore, OutcomeRow } from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Outcome from "@fanout/core/Outcome"
import { Sorter } from "@fanout/ops/Verify"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as RowOutput from "../src/output/RowOutput.ts"
import { counters, record } from "./records.ts"

const id = JobId.make("k1")

const rowsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => {
    const key = String(i).padStart(6, "0")
    const failure = Outcome.Failure.cases.Defect.make({ message: "differs" })
    return new OutcomeRow({
      fanOut: "entries",
      payload: null,
      origin: null,
      attempt: 1,
      at: 0,
      key,
      cursor: `./${key}`,
      outcome: Outcome.Outcome.cases.Failed.make({ failure })
    })
  })

/** Output of a job that has recorded these rows, and what it writes, by calls. To read a page of rows takes a while. */
const outputOf = (rows: ReadonlyArray<OutcomeRow>, unsettled: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const written: Array<ReadonlyArray<string>> = []
    let reads = 0
    const store = JobStore.of({
      ...(yield* JobStore),
      get: () => Effect.succeed(record({ _tag: "Running", ...counters })),
      checkpoint: () =>
        Effect.succeedSome(JSON.stringify({
          main: { frontier: rows.at(-1)?.cursor ?? null },
          entries: unsettled.map((c) => ({ c })),
          brackets: []
        })),
      outcomes: (_, { after, limit }) => {
        if (after === 0) reads++
        const page = rows.slice(after, after + limit).map((row, i) => [after + i + 1, row] as const)
        return Effect.delay(Effect.succeed(page), "150 millis")
      }
    })
    const sink: RowOutput.Sink = {
      write: (bytes) =>
        Effect.sync(() => {
          written.push(Buffer.from(bytes).toString().trim().split("\n"))
        }),
      finish: Effect.void
    }
    const order = RowOutput.compared("entries", new Sorter())
    const output = yield* RowOutput.make(id, { order, textOf: ({ cursor }) => `${cursor}\n` }, sink).pipe(
      Effect.provideService(JobStore, store)
    )
    return { output, written, reads: () => reads }
  }).pipe(Effect.provide(MemoryJobStore.layer))

describe("RowOutput", () => {
  it.effect("rests after its work, however long that has taken", () =>
    Effect.gen(function*() {
      const { output, reads } = yield* outputOf([], ["./a"])
      const begin = Effect.tap(Effect.forkChild(output.write(Effect.void)), TestClock.adjust(0))

      const first = yield* begin
      yield* TestClock.adjust("150 millis")
      yield* Fiber.join(first)
      const before = reads()
      yield* begin
      const atOnce = reads()
      yield* TestClock.adjust("100 millis")
      yield* begin

      assert.deepStrictEqual([before, atOnce, reads()], [1, 1, 2])
    }))

  it.effect("writes what has waited page by page, and clears the line once", () =>
    Effect.gen(function*() {
      const rows = rowsOf(2 * RowOutput.page + 88)
      const cursors = rows.map(({ cursor }) => cursor)
      for (const isOver of [false, true]) {
        let cleared = 0
        const { output, written } = yield* outputOf(rows, isOver ? ["./000000"] : [])
        const clear = Effect.sync(() => {
          cleared++
        })
        const last = record({ _tag: "Completed", ...counters })

        const fiber = yield* Effect.forkChild(isOver ? output.end(last) : output.write(clear))
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(fiber)

        assert.deepStrictEqual(written.map((lines) => lines.length), [RowOutput.page, RowOutput.page, 88])
        assert.deepStrictEqual([written.flat(), cleared], [cursors, isOver ? 0 : 1])
      }
    }))

  it.effect("leaves to the end what it was about to write when it was interrupted", () =>
    Effect.gen(function*() {
      const rows = rowsOf(3)
      const { output, written } = yield* outputOf(rows, [])

      const first = yield* Effect.forkChild(output.write(Effect.never))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      const second = yield* Effect.forkChild(output.end(record({ _tag: "Completed", ...counters })))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(second)

      assert.deepStrictEqual(written, [rows.map(({ cursor }) => cursor)])
    }))
})
