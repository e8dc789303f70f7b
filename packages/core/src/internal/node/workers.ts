/**
 * Starts worker threads of Node. This module loads no Effect, so that a process that only hands on messages starts
 * quickly.
 */
import type { ThreadOptions } from "../../threads.ts"
import type { ThreadListener } from "../threads/threadSpawner.ts"

/** Options of a pool that concern a single thread. */
export type Options = Pick<ThreadOptions, "module" | "resourceLimits" | "execArgv" | "argv">

/** Name under which a worker finds its shared memory in `workerData`. */
export const dataKey = "@fanout/core/shared"

/** A worker without Node's types: who uses the declarations of this module may not have those. */
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
  // Loaded late: not every program has threads, and the module takes a while to load.
  const { Worker } = process.getBuiltinModule("node:worker_threads")
  const worker = new Worker(module, {
    workerData: { [dataKey]: shared },
    argv: Array.from(argv),
    stdout: true,
    ...resourceLimits === undefined ? {} : { resourceLimits },
    ...execArgv === undefined ? {} : { execArgv: Array.from(execArgv) }
  })
  // What a thread prints is not part of the result of this program, which may go to its standard output.
  worker.stdout.on("data", (chunk: Uint8Array) => process.stderr.write(chunk))
  // Node tells of a lack of memory or an uncaught error first, then that the thread has ended.
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
