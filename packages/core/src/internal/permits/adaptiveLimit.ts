/**
 * Finds by itself how many permits are best: a pure state machine that is told what happened and says how many.
 *
 * At a limit that is reached, size = throughput × latency (Little's law). So the one thing sought here, the most of
 * throughput ÷ size^bias, is the most of throughput^(1 − bias) ÷ latency^bias: Kleinrock's power. Of sizes that are as
 * fast the smallest is best, and latency that grows without a gain in throughput counts against a size.
 *
 * Sizes are rungs of a ladder. What each was measured at is remembered for a while, and the next to be measured is the
 * one around the best that may be better still: a unimodal bandit (Combes and Proutiere, 2014) that forgets (Garivier
 * and Moulines, 2011). It goes up a rung or two at a time; down by halves where memory is short, and further where
 * throughput has collapsed. `docs/decisions/0027-adaptive-limits.md` has what else was tried, and numbers.
 */

import type { AdaptiveSize } from "../../Pools.ts"

/** What happened since the sample before. */
export interface Sample {
  readonly millis: number
  /** Pieces of work that were finished, of about the same cost each. */
  readonly completed: number
  /** Permits that are held at its end. */
  readonly inUse: number
  /** Whether anybody waits for permits at its end. A limit that isn't reached says nothing about its size. */
  readonly waiting: boolean
  /** Share of the time for which work stalled for want of memory, from 0 to 1. */
  readonly pressure: number
}

interface Rung {
  readonly size: number
  /** Natural logarithm of its pieces per millisecond, on average of late. */
  readonly rate: number
  /** In how many visits of the fewest pieces it was measured, older ones counting less. */
  readonly weight: number
}

/** A time at one size. What was begun under another size doesn't count. */
interface Visit {
  readonly settling: boolean
  readonly millis: number
  readonly completed: number
  /** After this time it is not waited for more pieces than the fewest: it is slow. */
  readonly patienceMillis: number
}

export interface AdaptiveLimit {
  readonly size: number
  readonly rungs: ReadonlyArray<Rung>
  /** The rung of `size`. */
  readonly at: number
  /** The highest rung that pressure leaves. */
  readonly ceiling: number
  readonly sinceCeilingMillis: number
  readonly visit: Visit
  /** Of the logarithm of a rate that was measured with the fewest pieces, and how many visits tell of it. */
  readonly variance: number
  readonly evidence: number
  /** In which direction to look first: 1 or -1. */
  readonly towards: number
}

/**
 * By how much more throughput a larger size has to pay, in the exponent: twice the size for 3.5 %. With 0.15, as
 * .NET's thread pool asks for (`HillClimbing_Bias`), a device whose throughput nears its most slowly is left at 85 %.
 */
const bias = 0.05

/** Fewest pieces of a visit: they tell a rate within a fifth where the costs of tasks are spread as an exponential. */
const fewestPieces = 24

/** Shortest visit: three samples. .NET's thread pool takes one in 10 to 200 ms. */
const visitMillis = 50

/** A visit with more pieces than so many times the fewest counts no more: a device is not steadier than that. */
const mostWeight = 4

/** What a visit leaves of the weight of older ones: half is forgotten after 23 of them. */
const memory = 0.97

/** A rung with less weight is one of which nothing is known. */
const forgotten = 0.1

/** So many standard deviations may a rung be better than it was measured, when the next one is chosen. */
const hope = 1.5

/** How many rungs from the best are looked at: two are twice its size, or half. */
const reach = 2

/** So many standard deviations from what is remembered, and so far in logarithms, is no chance: the device changed. */
const surprise = 4
const leastSurprise = 0.3

/** Variance to begin with, that of 24 pieces spread as an exponential, and how many visits it counts for. */
const firstVariance = 0.04
const firstEvidence = 2

/** So many times as long as the best rung takes for a size of pieces is waited for them. */
const patience = 2

/**
 * With more pressure there is less to do at once. Android's `lmkd` calls 70 ms of a second partial pressure; a
 * service manager that ends processes (`systemd-oomd`) waits for 60 %.
 */
const mostPressure = 0.1

/** At most once in this time is the ceiling halved or raised by a rung: as long as pressure is measured. */
const ceilingMillis = 1000

export const make = ({ first, least, most }: AdaptiveSize): AdaptiveLimit => {
  const sizes = new Set([least, most, first])
  for (let size = 1; size <= most; size *= 2) {
    for (const rung of [size, size * 1.5]) if (rung >= least && rung <= most && Number.isInteger(rung)) sizes.add(rung)
  }
  const rungs = Array.from(sizes).toSorted((a, b) => a - b).map((size) => ({ size, rate: 0, weight: 0 }))
  return {
    size: first,
    rungs,
    at: rungs.findIndex(({ size }) => size === first),
    ceiling: rungs.length - 1,
    sinceCeilingMillis: 0,
    visit: { settling: true, millis: 0, completed: 0, patienceMillis: Number.POSITIVE_INFINITY },
    variance: firstVariance,
    evidence: firstEvidence,
    // A smaller size is measured sooner, and shows a slow device better.
    towards: -1
  }
}

/** What to do after a sample. */
export const step = (state: AdaptiveLimit, sample: Sample): AdaptiveLimit => {
  const bounded = underPressure(state, sample)
  if (bounded.size !== state.size) return bounded
  if (!sample.waiting) return { ...bounded, visit: { ...bounded.visit, millis: 0, completed: 0 } }
  return measure(bounded, sample)
}

/** Halves the ceiling under pressure, and raises it by a rung at a time afterwards. */
const underPressure = (state: AdaptiveLimit, sample: Sample): AdaptiveLimit => {
  const sinceCeilingMillis = state.sinceCeilingMillis + sample.millis
  if (sinceCeilingMillis < ceilingMillis) return { ...state, sinceCeilingMillis }
  if (sample.pressure <= mostPressure) {
    return { ...state, sinceCeilingMillis: 0, ceiling: Math.min(state.ceiling + 1, state.rungs.length - 1) }
  }
  const ceiling = below(state, state.size / 2)
  return visiting({ ...state, sinceCeilingMillis: 0, ceiling }, ceiling, Number.POSITIVE_INFINITY)
}

/** The highest rung up to a size, or the lowest. */
const below = ({ rungs }: AdaptiveLimit, size: number): number =>
  Math.max(0, rungs.findLastIndex((rung) => rung.size <= size))

const visiting = (state: AdaptiveLimit, at: number, patienceMillis: number): AdaptiveLimit => {
  const size = state.rungs[at]?.size ?? state.size
  return { ...state, at, size, visit: { settling: size !== state.size, millis: 0, completed: 0, patienceMillis } }
}

/**
 * Adds a sample to the visit, and ends that with enough of them.
 *
 * As many pieces as permits are one turn. A visit begins and ends with one: tasks of one length that were begun
 * together end together as well, and part of a turn would tell any rate.
 */
const measure = (state: AdaptiveLimit, sample: Sample): AdaptiveLimit => {
  const { visit } = state
  // Beyond the limit still, those under way tell of the size that was before.
  if (visit.settling && sample.inUse > state.size) return state
  const millis = visit.millis + sample.millis
  const completed = visit.completed + sample.completed
  const turned = completed >= state.size || millis > visit.patienceMillis
  if (visit.settling && turned) return { ...state, visit: { ...visit, settling: false, millis: 0, completed: 0 } }
  if (visit.settling || !turned || completed < fewestPieces || millis < visitMillis) {
    return { ...state, visit: { ...visit, millis, completed } }
  }
  return learn(state, Math.log(completed / millis), Math.min(completed / fewestPieces, mostWeight))
}

/** Remembers what a visit has measured, and chooses the next. */
const learn = (state: AdaptiveLimit, rate: number, weight: number): AdaptiveLimit => {
  const here = state.rungs[state.at]
  if (here === undefined || here.weight <= forgotten) {
    return choose({ ...state, rungs: remembering(state, { rate, weight }) })
  }
  const off = rate - here.rate
  const spread = 1 / weight + 1 / here.weight
  if (Math.abs(off) > Math.max(surprise * Math.sqrt(state.variance * spread), leastSurprise)) {
    return startOver(state, rate, weight, off)
  }
  const total = here.weight * memory + weight
  const evidence = state.evidence * memory + 1
  return choose({
    ...state,
    evidence,
    variance: state.variance + (off * off / spread - state.variance) / evidence,
    rungs: remembering(state, { rate: here.rate + off * weight / total, weight: total })
  })
}

const remembering = (state: AdaptiveLimit, measured: Omit<Rung, "size">): ReadonlyArray<Rung> =>
  state.rungs.map((rung, index) =>
    index === state.at ? { size: rung.size, ...measured } : { ...rung, weight: rung.weight * memory }
  )

/** Forgets what was measured on another device, or on other work. */
const startOver = (state: AdaptiveLimit, rate: number, weight: number, off: number): AdaptiveLimit => {
  const anew: AdaptiveLimit = {
    ...state,
    variance: firstVariance,
    evidence: firstEvidence,
    towards: off < 0 ? -1 : 1,
    rungs: state.rungs.map((rung) => ({ ...rung, weight: 0 }))
  }
  if (off > -Math.LN2) return choose({ ...anew, rungs: remembering(anew, { rate, weight }) })
  // Collapsed: what is under way may take long to get through, so half of all doublings are left at once.
  const least = state.rungs[0]?.size ?? 1
  return visiting(anew, below(state, Math.sqrt(state.size * least)), Number.POSITIVE_INFINITY)
}

/** Goes to the rung that may be best, of those around the one that was. */
const choose = (state: AdaptiveLimit): AdaptiveLimit => {
  const { ceiling, rungs, towards, variance } = state
  const best = rungs.reduce(
    (found, rung, index) => index <= ceiling && worth(rung) > worth(rungs[found]) ? index : found,
    state.at
  )
  const promise = (index: number): number => {
    const rung = rungs[index]
    if (rung === undefined || index > ceiling) return Number.NEGATIVE_INFINITY
    return rung.weight > forgotten ? worth(rung) + hope * Math.sqrt(variance / rung.weight) : Number.POSITIVE_INFINITY
  }
  let next = best
  for (let steps = reach; steps > 0; steps--) {
    for (const index of [best + steps * towards, best - steps * towards]) {
      if (promise(index) > promise(next)) next = index
    }
  }
  const { rate, size } = rungs[next] ?? { rate: 0, size: 0 }
  return visiting(state, next, patience * size / Math.exp(rungs[best]?.rate ?? rate))
}

/** Logarithm of what is sought. Nothing is worth less than what is not known. */
const worth = (rung: Rung | undefined): number =>
  rung === undefined || rung.weight <= forgotten ? Number.NEGATIVE_INFINITY : rung.rate - bias * Math.log(rung.size)
