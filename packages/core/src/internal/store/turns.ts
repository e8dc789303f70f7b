/**
 * Decides which turns of a rate the next process may take.
 *
 * A rate is one time, `freeAt`, from which on no turn is taken. A process takes a few turns at once, and lets a task
 * begin at the time of each. Turns that nobody uses are lost.
 */
import type { Turns } from "../../JobStore.ts"

/** Time whose turns a process takes at once, and time that nobody has used and that still counts. */
const batchMillis = 100

/** How far ahead turns are taken, so that each process gets the next ones while those of another one pass. */
const aheadMillis = 250

export interface StoredRate {
  readonly perSecond: number
  readonly freeAt: number
}

/** Takes at most `wanted` turns. If none can be taken now, `inMillis` tells when to ask again. */
export const takeTurns = (
  { freeAt, perSecond }: StoredRate,
  wanted: number,
  now: number
): { readonly freeAt: number; readonly turns: Turns } => {
  const everyMillis = 1000 / perSecond
  if (perSecond === 0) return { freeAt, turns: { count: 0, inMillis: everyMillis, everyMillis } }
  // It is later only after the clock was set back, or after the rate was raised.
  const latest = now + aheadMillis + Math.max(batchMillis, everyMillis)
  const first = Math.min(Math.max(freeAt, now - batchMillis), latest)
  const isTooFar = first > now + aheadMillis
  const count = isTooFar ? 0 : Math.max(1, Math.min(wanted, Math.floor(batchMillis / everyMillis)))
  const inMillis = first - now - (isTooFar ? aheadMillis : 0)
  return { freeAt: first + count * everyMillis, turns: { count, inMillis, everyMillis } }
}
