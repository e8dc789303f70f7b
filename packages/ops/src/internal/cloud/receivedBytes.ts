/**
 * Gives back the memory of bytes that came over connections.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

type Collect = (options: { readonly type: "minor" }) => void

const isCollect = (value: unknown): value is Collect => typeof value === "function"

/** V8's own function, which it only shows to programs that ask for it. */
const collectOf = (): Collect | undefined => {
  if ("gc" in globalThis && isCollect(globalThis.gc)) return globalThis.gc
  setFlagsFromString("--expose-gc")
  const collect: unknown = runInNewContext("globalThis.gc")
  // What is compiled can only be kept for the next process with the flags that this one was started with.
  setFlagsFromString("--no-expose-gc")
  return isCollect(collect) ? collect : undefined
}

/** With 1 MiB more objects get old that are garbage, with 16 MiB more memory waits. */
const mostBytes = 4 * 2 ** 20

let collect: Collect | undefined
let waitingBytes = 0

/**
 * Is told that so many bytes have come, which nobody keeps. Node makes a buffer of them, of at most 64 KiB, outside of
 * V8's heap. V8 itself goes through all of its heap after each 15 MiB of them; a collection of its young objects finds
 * the same, in a tenth of the time.
 */
export const received = (bytes: number): void => {
  waitingBytes += bytes
  if (waitingBytes < mostBytes) return
  waitingBytes = 0
  collect ??= collectOf()
  collect?.({ type: "minor" })
}
