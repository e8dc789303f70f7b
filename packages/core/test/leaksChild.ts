// Runs tasks that end in every way there is, one way of starting them, and tells what is left of them.
import * as Interrupter from "@fanout/core/Interrupter"
import * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Pools from "@fanout/core/Pools"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { make as makeDispatcher } from "../src/internal/job/dispatcher.ts"
import { asRun, attachedTo, runningJob } from "./fanOutHarness.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const [start = "", given = "0"] = process.argv.slice(2)
const count = Number(given)

class Bad extends Schema.TaggedError<Bad>("Bad")("Bad", { n: Schema.Number }) {}

const ends = Object.entries({
  "is done": 3,
  fails: 3,
  dies: 2,
  skips: 2,
  "interrupts itself": 1,
  "stops at its timeout": 1,
  hangs: 2,
  "waits for others": 1,
  listens: 1
}).flatMap(([end, times]) => Array.from({ length: times }, () => end))

const once = { payload: { n: Schema.Number }, error: Bad, timeout: "1 millis" } as const
const Once = Task.make("test/Once", once)
const Twice = Task.make("test/Twice", {
  ...once,
  retry: Schedule.spaced("1 millis").pipe(Schedule.upTo({ times: 1 }))
})
const Inner = Task.make("test/Inner", { ...once, pool: "cpu" })
class Tasks extends RpcGroup.make(Once, Twice, Inner) {}

const seen: Record<string, number> = {}
const bytes: Array<number> = []
let attempts = 0

/** What is in use after a tenth of the attempts, and of each that follows. */
const measure = () => {
  if (++attempts % Math.floor(count / 10) !== 0) return
  collectGarbage()
  bytes.push(process.memoryUsage().heapUsed)
}

const act = ({ n }: { readonly n: number }): Effect.Effect<void, Bad | Interrupter.Interrupted | Task.Skipped> =>
  Effect.suspend((): Effect.Effect<void, Bad | Interrupter.Interrupted | Task.Skipped> => {
    measure()
    // As if by chance, but always the same.
    const end = ends[Math.imul(n + 1, 0x9e3779b1) >>> 8 & 15] ?? "hangs"
    seen[end] = (seen[end] ?? 0) + 1
    switch (end) {
      case "is done":
        return Effect.void
      case "fails":
        return Effect.fail(new Bad({ n }))
      case "dies":
        return Effect.die("a defect")
      case "skips":
        return Task.skip("so it goes")
      case "interrupts itself":
        return Effect.interrupt
      case "stops at its timeout":
        return Interrupter.stopped
      case "waits for others":
        return Effect.flatMap(TaskDispatcher.Current, Effect.fromOption).pipe(
          Effect.flatMap(({ run }) => run(Inner, { n: n + 1 })),
          Effect.ignore,
          Effect.provide(inner)
        )
      case "listens":
        return Effect.map(Interrupter.Interrupter, (signal) => void signal.onRequestUnsafe(() => {}))
      default:
        return Effect.never
    }
  })

const handlers: Layer.Layer<Task.Handler<typeof Once | typeof Twice | typeof Inner>> = Tasks.toLayer({
  "test/Once": act,
  "test/Twice": act,
  "test/Inner": ({ n }) => n % 3 === 0 ? Effect.never : Effect.void
})
const inner = await Effect.runPromise(Effect.scoped(Layer.build(handlers)))

/** Does something for each of the numbers, 64 at a time, in fibers that live as long as the program. */
const each = (use: (n: number) => Effect.Effect<void, never, Layer.Success<typeof handlers>>) => {
  let n = 0
  const lane = Effect.whileLoop({ while: () => n < count, body: () => use(n++), step: () => {} })
  return Effect.all(Array.from({ length: 64 }, () => lane), { concurrency: "unbounded", discard: true })
}

const withDispatcher = ({ dispatch, dispatchMany, run }: TaskDispatcher.Dispatcher) => {
  const taskOf = (n: number) => n % 2 === 0 ? Once : Twice
  const program: Record<string, Effect.Effect<void, never, Layer.Success<typeof handlers>>> = {
    run: each((n) => Effect.exit(run(taskOf(n), { n }))),
    // Whoever waits is interrupted while half of these run.
    interrupted: each((n) => Effect.exit(Effect.timeout(run(taskOf(n), { n }), n % 2))),
    dispatch: each((n) =>
      Effect.flatMap(dispatch(taskOf(n), { n }), (handle) => {
        const acts = [handle.cancel, handle.abort, Effect.andThen(handle.pause, handle.resume)]
        const act = acts[n % 5] ?? Effect.void
        return Effect.andThen(act, Effect.ignore(handle.await))
      })
    ),
    dispatchMany: each((n) =>
      n % 16 > 0 ? Effect.void : Effect.flatMap(
        dispatchMany(taskOf(n), Array.from({ length: 16 }, (_, i) => ({ n: n + i }))),
        Effect.forEach((handle) => Effect.ignore(handle.await), { discard: true })
      )
    )
  }
  return program[start] ?? Effect.die(new Error(`Nothing is started by "${start}"`))
}

const held = Effect.map(
  Effect.flatMap(Pools.Pools, ({ status }) => status),
  (pools) => pools.reduce((sum, { held, waiting }) => sum + Math.abs(held) + Math.abs(waiting), 0)
)

/** Tells what is left while whoever has run the tasks still lives. */
const tell = (signal: Interrupter.Interrupter) =>
  Effect.map(held, (held) => {
    collectGarbage()
    bytes.push(process.memoryUsage().heapUsed)
    process.stdout.write(JSON.stringify({ bytes, attached: attachedTo(signal), held, seen }))
  })

/** An application's dispatcher, but one with less patience. */
const application = Effect.gen(function*() {
  const signal = Interrupter.makeUnsafe()
  const { dispatcher } = yield* makeDispatcher(signal, 1)
  yield* withDispatcher(dispatcher)
  // Its own is attached as long as it lives.
  yield* tell(signal)
}).pipe(Effect.scoped)

const elements = Stream.range(0, count - 1).pipe(
  Stream.rechunk(64),
  Stream.map((n): Element<{ readonly n: number }> => ({ _tag: "Item", cursor: `${n}`, payload: { n } }))
)

/** The program of a job, on a store that keeps no row: they are memory that is meant. */
const job = Effect.gen(function*() {
  const store = yield* JobStore.JobStore
  yield* runningJob("job")
  yield* asRun("job", (signal) =>
    Effect.gen(function*() {
      const { fanOut } = yield* TaskDispatcher.TaskDispatcher
      const both = [fanOut("once", Once, () => Stream.filter(elements, ({ cursor }) => Number(cursor) % 2 === 0))]
      yield* Effect.all(
        [...both, fanOut("twice", Twice, () => Stream.filter(elements, ({ cursor }) => Number(cursor) % 2 === 1))],
        { concurrency: "unbounded", discard: true }
      )
      yield* tell(signal)
    }), { store: { ...store, flush: () => Effect.void }, graceMillis: 1 })
}).pipe(Effect.provide(MemoryJobStore.layer))

await Effect.runPromise(
  (start === "fanOut" ? job : application).pipe(
    Effect.provide([handlers, Pools.layer({ io: 64, cpu: 64 })]),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
)
