import { assert, describe, it } from "@effect/vitest"
import type { Ended, Parts } from "@fanout/core/FanOut"
import * as Interrupter from "@fanout/core/Interrupter"
import * as JobId from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Progress from "@fanout/core/Progress"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"

const half = TaskCheckpoint.make(Schema.BigInt)

/** Doubles numbers, as many of them as it can. */
const Double = Task.make("test/Double", {
  payload: { numbers: Schema.Array(Schema.Number) },
  success: Schema.Array(Schema.NullOr(Schema.Number)),
  key: ({ numbers }) => numbers.join(),
  pool: "io"
})
class Tasks extends RpcGroup.make(Double) {}

type Payload = Task.Payload<typeof Double>
type Doubles = Task.Success<typeof Double>

const parts: Parts<Payload, Doubles> = ({ cursor, payload: { numbers } }, doubles) => {
  const part = (n: number) => ({ cursor: `${cursor}/${n}`, payload: { numbers: [n] } })
  if (Option.isNone(doubles)) {
    return numbers.length === 1 ? undefined : numbers.map((n) => ({ _tag: "Item", ...part(n) }))
  }
  const failed = numbers.filter((_, i) => doubles.value[i] === null)
  const failure = { _tag: "Error", error: null, message: "it is odd" } as const
  const count = numbers.length - failed.length
  const value = { _tag: "Doubled", numbers: doubles.value.filter((n) => n !== null) }
  return [
    ...failed.map((n): Element<Payload> & { readonly _tag: "Settled" } => {
      const { cursor, payload } = part(n)
      return { _tag: "Settled", cursor, key: String(n), outcome: { _tag: "Failed", failure }, retry: { payload } }
    }),
    ...(count === 0 ? [] : [{ _tag: "Settled", cursor, key: "", outcome: { _tag: "Done", value, count } } as const])
  ]
}

interface Options {
  readonly attempt?: number
  readonly elements: ReadonlyArray<Element<Payload>>
  readonly isOdd?: (n: number) => boolean
  readonly kills?: (n: number) => boolean
}

/** Runs one attempt of a job, and gives what came of it. */
const run = (id: string, { attempt = 1, elements, isOdd = () => false, kills = () => false }: Options) =>
  Effect.gen(function*() {
    const ran: Array<string> = []
    const committed: Array<Ended<Payload, Doubles>> = []
    const handlers = Tasks.toLayer({
      "test/Double": Effect.fnUntraced(function*({ numbers }) {
        ran.push(numbers.join())
        yield* Progress.add("looked", numbers.length)
        if (numbers.some(kills)) return yield* Effect.die(new Error("killed"))
        return numbers.map((n) => isOdd(n) ? null : 2 * n)
      })
    })
    const { exit } = yield* asRun(
      id,
      () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("numbers", Double, (after) => Stream.fromIterable(Option.isSome(after) ? [] : elements), {
            keep: "all",
            parts,
            onCommit: (ended) => Effect.sync(() => committed.push(...ended))
          })
        ).pipe(Effect.provide(handlers)),
      { attempt }
    )
    const store = yield* JobStore.JobStore
    const rows = yield* store.outcomes(JobId.make(id), { after: 0, limit: 100 })
    const { done, failed, tags, units } = Exit.isSuccess(exit) ? exit.value : yield* Effect.die(exit)
    return {
      ran,
      committed,
      tally: { done, failed, doubled: tags["Doubled"] ?? 0, looked: units["looked"] ?? 0 },
      rows: rows.map(([, { cursor, outcome }]) => [cursor, outcome._tag] as const)
        .toSorted(([a], [b]) => a < b ? -1 : 1)
    }
  })

const item = (cursor: string, ...numbers: ReadonlyArray<number>): Element<Payload> => ({
  _tag: "Item",
  cursor,
  payload: { numbers }
})

const withStore = Effect.provide([pools, MemoryJobStore.layer])

describe("an element that stands for many", () => {
  it.effect("counts as many, and what fails among them has its own row and is retried by itself", () =>
    Effect.gen(function*() {
      yield* runningJob("some")
      const elements = [item("a", 1, 2, 3), item("b", 4)]
      const first = yield* run("some", { elements, isOdd: (n) => n === 2 })
      assert.deepStrictEqual(first.tally, { done: 3, failed: 1, doubled: 3, looked: 4 })
      assert.deepStrictEqual(first.rows, [["a", "Done"], ["a/2", "Failed"], ["b", "Done"]])
      const again = yield* run("some", { attempt: 2, elements })
      assert.deepStrictEqual(again.ran, ["2"])
      assert.deepStrictEqual(again.tally, { done: 4, failed: 0, doubled: 4, looked: 5 })
      assert.deepStrictEqual(again.rows, [["a", "Done"], ["a/2", "Done"], ["b", "Done"]])
    }).pipe(withStore))

  it.effect("runs one by one when its task dies, so that one of them fails", () =>
    Effect.gen(function*() {
      yield* runningJob("dies")
      const { ran, rows, tally } = yield* run("dies", { elements: [item("a", 1, 2, 3)], kills: (n) => n === 2 })
      assert.deepStrictEqual(ran, ["1,2,3", "1", "2", "3"])
      assert.deepStrictEqual(tally, { done: 2, failed: 1, doubled: 2, looked: 2 })
      assert.deepStrictEqual(rows, [["a/1", "Done"], ["a/2", "Failed"], ["a/3", "Done"]])
    }).pipe(withStore))

  it.effect("takes the place of a row that is retried", () =>
    Effect.gen(function*() {
      yield* runningJob("row")
      const failure = { _tag: "Error", error: null, message: "the source could not say" } as const
      const elements: ReadonlyArray<Element<Payload>> = [{
        _tag: "Settled",
        cursor: "a",
        key: "a",
        outcome: { _tag: "Failed", failure },
        retry: { payload: { numbers: [1, 2] } }
      }]
      assert.deepStrictEqual((yield* run("row", { elements })).tally, { done: 0, failed: 1, doubled: 0, looked: 0 })
      const { rows, tally } = yield* run("row", { attempt: 2, elements, isOdd: () => true })
      assert.deepStrictEqual(tally, { done: 0, failed: 2, doubled: 0, looked: 2 })
      assert.deepStrictEqual(rows, [["a/1", "Failed"], ["a/2", "Failed"]])
    }).pipe(withStore))

  it.effect("hands on to those in its place what it has saved, also where these have not run before a stop", () =>
    Effect.gen(function*() {
      yield* runningJob("handed")
      const elements = [item("a", 1, 2)]
      const known: Array<readonly [string, bigint | null]> = []
      let isFirst = true
      const go = asRun(
        "handed",
        (signal) =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut("numbers", Double, (after) => Stream.fromIterable(Option.isSome(after) ? [] : elements), {
              concurrency: 1,
              parts: ({ cursor, payload: { numbers } }) =>
                numbers.length === 1 ? undefined : numbers.map((n) => ({
                  _tag: "Item",
                  cursor: `${cursor}/${n}`,
                  payload: { numbers: [n] },
                  checkpoint: half.encode(BigInt(n) * 10n)
                }))
            })
          ).pipe(Effect.provide(Tasks.toLayer({
            "test/Double": Effect.fnUntraced(function*({ numbers }) {
              known.push([numbers.join(), Option.getOrNull(yield* half.get)])
              if (numbers.length === 1 && isFirst) signal.requestUnsafe("Pause")
              yield* Interrupter.check
              return numbers
            })
          })))
      )
      yield* go
      isFirst = false
      const { exit } = yield* go
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(known, [["1,2", null], ["1", 10n], ["1", 10n], ["2", 20n]])
    }).pipe(withStore))

  it.effect("is told to who records with it, with all that its task gave", () =>
    Effect.gen(function*() {
      yield* runningJob("told")
      const { committed } = yield* run("told", { elements: [item("a", 1, 2)], isOdd: (n) => n === 1 })
      const told = committed.map(({ cursor, outcome, value }) => [cursor, outcome, Option.getOrNull(value)])
      assert.deepStrictEqual(told, [
        ["a", { _tag: "Done", value: null, count: 0 }, [null, 4]],
        ["a/1", { _tag: "Failed", failure: { _tag: "Error", error: null, message: "it is odd" } }, null],
        ["a", { _tag: "Done", value: { _tag: "Doubled", numbers: [4] }, count: 1 }, null]
      ])
    }).pipe(withStore))
})
