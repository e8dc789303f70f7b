/**
 * Remembers how fast jobs were while the page was open: their last minute, for the list.
 */
import type { Row } from "./client.ts"

interface Trail {
  at: number
  readonly rates: Array<number>
}

const everyMillis = 1000
const most = { rates: 60, jobs: 1000 }

const trails = new Map<string, Trail>()

/** Remembers the rate of a job, if it is not too soon. */
export const note = ({ id, progress: { rates }, state }: Row): void => {
  const now = Date.now()
  const trail = trails.get(id) ?? { at: 0, rates: [] }
  if (state !== "Running" || now - trail.at < everyMillis) return
  trail.at = now
  trail.rates.push(rates["bytes"] ?? rates["items"] ?? 0)
  if (trail.rates.length > most.rates) trail.rates.shift()
  // The last is the one that moved last.
  trails.delete(id)
  trails.set(id, trail)
  const [oldest = ""] = trails.keys()
  if (trails.size > most.jobs) trails.delete(oldest)
}

/** Rates of a job, the oldest first. */
export const trailOf = (id: string): ReadonlyArray<number> => trails.get(id)?.rates ?? []

/** Number of rates of a full trail. */
export const fullTrail = most.rates
