/**
 * Ends the process even where a call to the file system never returns.
 *
 * Node waits for all its threads before it ends, and none of them can be taken out of a system call: on a dead mount
 * even `process.exit` hangs. The C library's `_exit` waits for nobody.
 */
import * as Effect from "effect/Effect"
import type * as Koffi from "koffi"
import { createRequire } from "node:module"

let mayHang = false

/** From now on there may be calls to the file system that never return. */
export const noteCalls: Effect.Effect<void> = Effect.sync(() => {
  // A profiler writes what it has found in the end, and waits for that.
  mayHang = process.env["FANOUT_DEBUG"] !== "1"
})

/** The C library's `_exit`, where it can be reached. */
const exitAtOnce = (): ((code: number) => void) | undefined => {
  try {
    const koffi: typeof Koffi = createRequire(import.meta.url)("koffi")
    return koffi.load(null).func("void _exit(int code)")
  } catch {
    // Where there is no binary for it, Node's own way has to do.
    return undefined
  }
}

/** Ends the process. What it has to say is written by then. */
export const exit = (code: number): never => {
  const atOnce = mayHang ? exitAtOnce() : undefined
  if (atOnce !== undefined) {
    // The C library knows nothing of what is to be done in the end.
    process.emit("exit", code)
    atOnce(code)
  }
  return process.exit(code)
}
