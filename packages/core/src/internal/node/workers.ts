/**
 * Starts worker threads of Node. Without Effect, so that a process that only hands messages on starts quickly.
 */
import type { ThreadOptions } from "../../threads.ts"
import type { ThreadListener } from "../threads/threadSpawner.ts"

/** What of the options of a pool a single thread is started with. */
export type Options = Pick<ThreadOptions, "module" | "resourceLimits" | "execArgv" | "argv">

/** What a worker is given, apart from anything else that its module may be started with. */
export const dataKey = "@fanout/core/shared"

/** What is used of a worker: declarations of this module are for those who have none of Node's, too. */
interface Started {
  readonly postMessage: (message: unknown) => void
  readonly ref: () => void
  readonly unref: () => void
  readonly terminate: () => Promise<number>
}

export const start = (
  { argv = [], execArgv, module, resourceLimits }: Options,
  shared: SharedArrayBuffer,
  listener: ThreadListener
): Started => {
  // Not every program has threads, and this takes a while to load.
  const { Worker } = process.getBuiltinModule("node:worker_threads")
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
  let hasSpoken = false
  worker.on("message", (message: unknown) => {
    hasSpoken = true
    listener.message(message)
  })
  worker.on("messageerror", (error) => {
    cause = error
    void worker.terminate()
  })
  worker.on("error", (error) => {
    cause = error
  })
  worker.on("exit", (code) => {
    if (cause !== undefined) return listener.ended(textOf(cause))
    const exited = `it exited with code ${code}`
    listener.ended(code === 0 && !hasSpoken ? `${exited}: its module, ${module.href}, did not call runThread` : exited)
  })
  return worker
}

export const textOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)
