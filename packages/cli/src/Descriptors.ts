/**
 * Keeps files that are worked on at the same time within what this process may have open.
 *
 * Each needs some descriptors at once. Where there are not enough of them for all, each would hold some and wait for
 * others to give theirs back.
 */
import { readFileSync } from "node:fs"

/**
 * What one copy has open: two files, and their folders; more where it opens folders again, or another name of a file.
 */
const ofEach = 8

/** What this process has open beside them: Node's own, the database, a walk, threads. */
const own = 40

/** As many as that, or fewer where the limits of this process, as Linux tells them, don't allow it. */
export const within = (limits: string, concurrency: number): number => {
  const [, most] = /^Max open files +(\d+)/m.exec(limits) ?? []
  return most === undefined
    ? concurrency
    : Math.min(concurrency, Math.max(1, Math.floor((Number(most) - own) / ofEach)))
}

/** As many as that, or fewer where this process may not have enough files open. */
export const atMost = (concurrency: number): number => {
  try {
    return within(readFileSync("/proc/self/limits", "latin1"), concurrency)
  } catch {
    return concurrency
  }
}
