/**
 * Tells how long this thread was ready to run while others did: `/proc/thread-self/schedstat` (sched-stats of Linux).
 */
import * as fs from "node:fs"

/** Milliseconds since the thread began; 0 where the system does not say. */
export const read = (): number => {
  try {
    const [, nanos] = fs.readFileSync("/proc/thread-self/schedstat", "latin1").split(" ")
    return Number(nanos) / 1e6 || 0
  } catch {
    return 0
  }
}
