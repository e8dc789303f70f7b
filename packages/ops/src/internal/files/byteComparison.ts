/**
 * Tells how much two pieces of content have in common.
 */
import * as Effect from "effect/Effect"

type Buffers = readonly [a: Uint8Array, b: Uint8Array]

/** Takes two buffers until the scope ends. For small files it takes longer to make some than to use them. */
export const buffersOf = (bytes: number) => {
  const spare: Array<Buffers> = []
  return Effect.acquireRelease(
    // Not cleared first: only what was read into them is compared.
    Effect.sync((): Buffers => spare.pop() ?? [Buffer.allocUnsafeSlow(bytes), Buffer.allocUnsafeSlow(bytes)]),
    (buffers) => Effect.sync(() => spare.push(buffers))
  )
}

/** How many of the first bytes are the same: `length`, if all of these are. */
export const sameBytes = ([a, b]: Buffers, length: number): number => {
  const isSame = (from: number, to: number) => Buffer.compare(a.subarray(from, to), b.subarray(from, to)) === 0
  if (isSame(0, length)) return length
  let [low, high] = [0, length]
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (isSame(low, middle)) low = middle
    else high = middle
  }
  return low
}
