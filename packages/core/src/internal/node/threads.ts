/**
 * Threads of a `ThreadPool` as worker threads of Node.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as os from "node:os"
import { parentPort, Worker, workerData } from "node:worker_threads"
import type { ThreadSpawner } from "../../ThreadSpawner.ts"
import type { Port } from "../../ThreadWorker.ts"

export interface Options {
  readonly module: URL
  readonly resourceLimits?: {
    readonly maxOldGenerationSizeMb?: number
    readonly maxYoungGenerationSizeMb?: number
    readonly stackSizeMb?: number
  }
  readonly execArgv?: ReadonlyArray<string>
  readonly argv?: ReadonlyArray<string>
}

/** What a worker is given, apart from anything else that its module may be started with. */
const dataKey = "@fanout/core/shared"

export const spawner = ({ argv = [], execArgv, module, resourceLimits }: Options): ThreadSpawner["Service"] => ({
  parallelism: os.availableParallelism(),
  spawnUnsafe: (shared, listener) => {
    const worker = new Worker(module, {
      workerData: { [dataKey]: shared },
      argv: Array.from(argv),
      stdout: true,
      ...resourceLimits === undefined ? {} : { resourceLimits },
      ...execArgv === undefined ? {} : { execArgv: Array.from(execArgv) }
    })
    // What a program writes is its result, often one that other programs read: what a thread prints is not part of it.
    worker.stdout.on("data", (chunk: Uint8Array) => process.stderr.write(chunk))
    // Out of memory and uncaught errors are told first, then that the thread has ended.
    let cause: unknown
    worker.on("message", listener.message)
    worker.on("messageerror", (error) => {
      cause = error
      void worker.terminate()
    })
    worker.on("error", (error) => {
      cause = error
    })
    worker.on("exit", (code) => listener.ended(cause === undefined ? `it exited with code ${code}` : textOf(cause)))
    worker.unref()
    return {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
      postUnsafe: (message) => worker.postMessage(message),
      holdUnsafe: (hasWork) => hasWork ? worker.ref() : worker.unref(),
      terminate: Effect.promise(() => worker.terminate()).pipe(Effect.asVoid)
    }
  }
})

const textOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** Runs a program that serves the owner, and exits with it. */
export const run = (program: (shared: SharedArrayBuffer, port: Port) => Effect.Effect<void, unknown>): void => {
  const data: unknown = workerData
  const shared = typeof data === "object" && data !== null && dataKey in data ? data[dataKey] : undefined
  const port = parentPort
  if (port === null || !(shared instanceof SharedArrayBuffer)) {
    throw new Error("A thread's module is started by layerThreads, as a worker thread")
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
