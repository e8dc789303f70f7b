/**
 * Ends the process even where a call to the file system never returns.
 *
 * Node waits for all its threads before it ends, and none of them can be taken out of a system call: on a dead mount
 * even `process.exit` hangs. The C library's `_exit` waits for nobody.
 */
import * as Effect from "effect/Effect"
import type * as Koffi from "koffi"
import { createRequire } from "node:module"

const exitAtOnce = (): ((code: number) => void) | undefined => {
  try {
    const koffi: typeof Koffi = createRequire(import.meta.url)("koffi")
    return koffi.load(null).func("void _exit(int code)")
  } catch {
    // Where there is no binary for it, Node's own way has to do.
    return undefined
  }
}

/** From now on, nothing holds up the end of the process once its exit code is settled. */
export const neverWait: Effect.Effect<void> = Effect.sync(() => {
  // A profiler writes what it has found after that.
  if (process.env["FANOUT_DEBUG"] === "1") return
  const exit = exitAtOnce()
  if (exit !== undefined) process.once("exit", exit)
})
