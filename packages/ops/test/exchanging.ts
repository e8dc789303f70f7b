import * as Effect from "effect/Effect"
import { Worker } from "node:worker_threads"

const exchange = `
  const koffi = require("koffi")
  const { workerData: { pairs, stop } } = require("node:worker_threads")
  const renameat2 = koffi.load(null).func("int renameat2(int, const char *, int, const char *, uint)")
  while (Atomics.load(stop, 0) === 0) {
    for (const [a, b] of pairs) {
      if (renameat2(-100, a, -100, b, 2) !== 0) throw new Error("errno " + koffi.errno())
      Atomics.add(stop, 1, 1)
    }
  }`

/** Exchanges what has these names, over and over, as long as the scope is open. Gives how often that was. */
export const exchanging = (pairs: ReadonlyArray<readonly [string, string]>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const stop = new Int32Array(new SharedArrayBuffer(8))
      return { stop, worker: new Worker(exchange, { eval: true, workerData: { pairs, stop } }) }
    }),
    ({ stop, worker }) =>
      Effect.promise(() => {
        Atomics.store(stop, 0, 1)
        return new Promise((resolve) => worker.once("exit", resolve))
      })
  ).pipe(Effect.map(({ stop }) => () => Atomics.load(stop, 1)))
