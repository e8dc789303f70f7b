/**
 * Threads of a pool as worker threads of Node.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as os from "node:os"
import type { Port, ThreadSpawner } from "../threads/threadSpawner.ts"
import { dataKey, type Options, start, textOf } from "./workers.ts"

export const spawner = (options: Options): ThreadSpawner["Service"] => ({
  parallelism: os.availableParallelism(),
  spawnUnsafe: (shared, listener) => {
    const worker = start(options, shared, listener)
    worker.unref()
    return {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
      postUnsafe: (message) => worker.postMessage(message),
      holdUnsafe: (hasWork) => hasWork ? worker.ref() : worker.unref(),
      terminate: Effect.promise(() => worker.terminate()).pipe(Effect.asVoid)
    }
  }
})

/** Runs a program that serves the owner. The thread ends with it. */
export const run = (program: (shared: SharedArrayBuffer, port: Port) => Effect.Effect<void, unknown>): void => {
  const { parentPort: port, workerData } = process.getBuiltinModule("node:worker_threads")
  const data: unknown = workerData
  const shared = typeof data === "object" && data !== null && dataKey in data ? data[dataKey] : undefined
  if (port === null || !(shared instanceof SharedArrayBuffer)) {
    throw new Error("A thread's module is started by layerThreads or layerProcesses, as a worker thread")
  }
  const owner: Port = {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- core has no name for what can be moved
    postUnsafe: (message, transfers = []) => port.postMessage(message, transfers as Array<ArrayBuffer>),
    listenUnsafe: (receive) => {
      port.on("message", receive)
    }
  }
  Effect.runFork(program(shared, owner)).addObserver((exit) => {
    if (Exit.isFailure(exit)) owner.postUnsafe({ _tag: "Broken", why: textOf(Cause.squash(exit.cause)) })
    port.close()
  })
}
