/**
 * Tells how much two pieces of content have in common.
 */

/** How many of the first bytes are the same: `length`, if all of these are. */
export const sameBytes = ([a, b]: readonly [a: Buffer, b: Buffer], length: number): number => {
  const isSame = (from: number, to: number) => a.compare(b, from, to, from, to) === 0
  if (isSame(0, length)) return length
  let [low, high] = [0, length]
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (isSame(low, middle)) low = middle
    else high = middle
  }
  return low
}
