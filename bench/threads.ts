// What a task costs that does nothing on a thread, beside piscina and tinypool: many at a time, and one after the
// other. And whether memory grows with their number. Each pool has a process of its own: threads of one that have
// nothing to do slow down those of another.
import { layerThreads } from "@fanout/core/threads"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Rpc from "effect/rpc/Rpc"
import { RequestId } from "effect/rpc/RpcMessage"
import { spawnSync } from "node:child_process"
import { Piscina } from "piscina"
import { Tinypool } from "tinypool"
import { Tasks } from "./internal/emptyTask.ts"
import { median } from "./measure.ts"

const size = 2
const inFlight = 256
const rounds = 5
const counts = { many: 50_000, oneByOne: 2000 }

/** Runs so many tasks, so many at a time. */
type Run = (count: number, concurrency: number) => Promise<unknown>

const promises = (run: (payload: { readonly n: number }) => Promise<unknown>): Run => (count, concurrency) => {
  let next = 0
  const lane = async () => {
    while (next < count) await run({ n: next++ })
  }
  return Promise.all(Array.from({ length: concurrency }, lane))
}

const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, n) => n)

/** Median microseconds for each task, many at a time and one by one. */
const measure = async (run: Run) => {
  const timed = async (count: number, concurrency: number): Promise<number> => {
    const start = performance.now()
    await run(count, concurrency)
    return (performance.now() - start) * 1000 / count
  }
  const [many, oneByOne]: [Array<number>, Array<number>] = [[], []]
  // The first round is for the threads to start in.
  for (let round = 0; round <= rounds; round++) {
    many.push(await timed(counts.many, inFlight))
    oneByOne.push(await timed(counts.oneByOne, 1))
  }
  return { many: median(many.slice(1)), oneByOne: median(oneByOne.slice(1)) }
}

const show = (name: string, { many, oneByOne }: Awaited<ReturnType<typeof measure>>): void => {
  console.log(`${name.padEnd(20)}${many.toFixed(2).padStart(7)} µs a task, ${oneByOne.toFixed(1)} there and back`)
}

const peer = {
  filename: new URL("./internal/peerThread.mjs", import.meta.url).href,
  minThreads: size,
  maxThreads: size
}

const pool = layerThreads(Tasks, { module: new URL("./internal/thread.ts", import.meta.url), size })

const ours = Effect.gen(function*() {
  const handler = yield* Tasks.accessHandler("bench/Empty")
  const call = { client: new Rpc.ServerClient(0), requestId: RequestId(0), headers: Headers.empty }
  const run: Run = (count, concurrency) =>
    Effect.runPromise(Effect.forEach(range(count), (n) => handler({ n }, call), { concurrency, discard: true }))
  show("fanout", yield* Effect.promise(() => measure(run)))
  const resident = () => process.memoryUsage().rss / 2 ** 20
  const before = resident()
  for (let i = 0; i < 20; i++) yield* Effect.promise(() => run(counts.many, inFlight))
  console.log(`1,000,000 more of them: ${before.toFixed(0)} MiB resident before, ${resident().toFixed(0)} after`)
}).pipe(Effect.provide(pool))

const contenders: Readonly<Record<string, () => Promise<void>>> = {
  fanout: () => Effect.runPromise(ours),
  piscina: async () => {
    const piscina = new Piscina(peer)
    show("piscina", await measure(promises((payload) => piscina.run(payload))))
    await piscina.destroy()
  },
  tinypool: async () => {
    const tinypool = new Tinypool(peer)
    show("tinypool", await measure(promises((payload) => tinypool.run(payload))))
    await tinypool.destroy()
  },
  "tinypool-64": async () => {
    const tinypool = new Tinypool({ ...peer, concurrentTasksPerWorker: 64 })
    show("tinypool, 64 a time", await measure(promises((payload) => tinypool.run(payload))))
    await tinypool.destroy()
  }
}

const run = contenders[process.argv[2] ?? ""]
if (run !== undefined) await run()
else {
  for (const name of Object.keys(contenders)) {
    spawnSync(process.execPath, [...process.execArgv, import.meta.filename, name], { stdio: "inherit" })
  }
}
