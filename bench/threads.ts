// What a task costs that does nothing on a thread, beside piscina and tinypool: many at a time, and one after the
// other. And whether memory grows with their number.
import { layerThreads } from "@fanout/core/node"
import * as ThreadPool from "@fanout/core/ThreadPool"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import { RequestId } from "effect/rpc/RpcMessage"
import { Piscina } from "piscina"
import { Tinypool } from "tinypool"
import { Tasks } from "./internal/emptyTask.ts"
import { median } from "./measure.ts"

const size = 2
const inFlight = 256
const rounds = 5
const counts = { many: 50_000, oneByOne: 2000 }

const pool = ThreadPool.layer(Tasks, { size }).pipe(
  Layer.provide(layerThreads({ module: new URL("./internal/thread.ts", import.meta.url) }))
)

const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, n) => n)

/** Microseconds for each of so many tasks, so many at a time. */
type Contender = (count: number, concurrency: number) => Promise<number>

const timed = async (count: number, run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await run()
  return (performance.now() - start) * 1000 / count
}

const promises = (run: (payload: { readonly n: number }) => Promise<unknown>): Contender => (count, concurrency) => {
  let next = 0
  const lane = async () => {
    while (next < count) await run({ n: next++ })
  }
  return timed(count, () => Promise.all(Array.from({ length: concurrency }, lane)))
}

const peer = {
  filename: new URL("./internal/peerThread.mjs", import.meta.url).href,
  minThreads: size,
  maxThreads: size
}

await Effect.runPromise(
  Effect.gen(function*() {
    const handler = yield* Tasks.accessHandler("bench/Empty")
    const call = { client: new Rpc.ServerClient(0), requestId: RequestId(0), headers: Headers.empty }
    const each = (count: number, concurrency: number) =>
      Effect.forEach(range(count), (n) => handler({ n }, call), { concurrency, discard: true })
    const piscina = new Piscina(peer)
    const tinypool = new Tinypool(peer)
    const tuned = new Tinypool({ ...peer, concurrentTasksPerWorker: 64 })
    const contenders: ReadonlyArray<readonly [name: string, Contender]> = [
      ["fanout", (count, concurrency) => timed(count, () => Effect.runPromise(each(count, concurrency)))],
      ["piscina", promises((payload) => piscina.run(payload))],
      ["tinypool", promises((payload) => tinypool.run(payload))],
      ["tinypool, 64 for each thread", promises((payload) => tuned.run(payload))]
    ]
    const measured = contenders.map(() => ({ many: new Array<number>(), oneByOne: new Array<number>() }))
    for (let round = -1; round < rounds; round++) {
      for (const [i, [, run]] of contenders.entries()) {
        const many = yield* Effect.promise(() => run(counts.many, inFlight))
        const oneByOne = yield* Effect.promise(() => run(counts.oneByOne, 1))
        // The first round is for the threads to start in.
        if (round >= 0) measured[i]?.many.push(many)
        if (round >= 0) measured[i]?.oneByOne.push(oneByOne)
      }
    }
    for (const [i, [name]] of contenders.entries()) {
      const [many, one] = [median(measured[i]?.many ?? []), median(measured[i]?.oneByOne ?? [])]
      console.log(
        `${name.padEnd(30)}${many.toFixed(2).padStart(7)} µs a task, ${one.toFixed(1).padStart(6)} there and back`
      )
    }
    yield* Effect.promise(() => Promise.all([piscina.destroy(), tinypool.destroy(), tuned.destroy()]))
    const resident = () => process.memoryUsage().rss / 2 ** 20
    const before = resident()
    yield* Effect.promise(() => Effect.runPromise(each(1_000_000, inFlight)))
    console.log(
      `1,000,000 more tasks of fanout: ${before.toFixed(0)} MiB resident before, ${resident().toFixed(0)} after`
    )
  }).pipe(Effect.provide(pool))
)
