/**
 * Finds by itself how many permits are best: a pure state machine that takes samples and says how many.
 *
 * The best size has the most of throughput ÷ size^bias. At a limit that is reached, size = throughput × latency
 * (Little's law), so this is also the most of throughput^(1 − bias) ÷ latency^bias: Kleinrock's power. Of sizes that
 * are equally fast the smallest is best.
 *
 * Sizes are rungs of a ladder. The rate of each rung is remembered for a while. The next rung to be measured is one
 * around the best that may be better still: a unimodal bandit (Combes and Proutiere, 2014) that forgets (Garivier and
 * Moulines, 2011). It goes up a rung or two at a time, down by halves where memory is short, and further down where
 * throughput has collapsed. `docs/decisions/0027-adaptive-limits.md` compares other ways, with numbers.
 */

import type { AdaptiveSize } from "../../Pools.ts"

/** What happened since the sample before. */
export interface Sample {
  readonly millis: number
  /** Pieces of work that were finished, of about the same cost each. */
  readonly completed: number
  /** Tasks for which the service behind the pool was too busy. */
  readonly refused: number
  /** Permits that are held at the end. */
  readonly inUse: number
  /** Whether anybody waits for permits at the end. A limit that isn't reached says nothing about its size. */
  readonly waiting: boolean
  /** Share of the time for which work stalled for want of memory, from 0 to 1. */
  readonly pressure: number
}

interface Rung {
  readonly size: number
  /** Natural logarithm of pieces per millisecond, on average of late. */
  readonly rate: number
  /** How many visits of the fewest pieces have measured the rate; older visits count less. */
  readonly weight: number
}

/** A time at one size. */
interface Visit {
  /** Whether pieces still end that were begun at another size. These don't count. */
  readonly settling: boolean
  readonly millis: number
  readonly completed: number
  /** After this time the rung is slow, and the fewest pieces are enough. */
  readonly patienceMillis: number
}

export interface AdaptiveLimit {
  readonly size: number
  readonly rungs: ReadonlyArray<Rung>
  /** The rung of `size`. */
  readonly at: number
  /** The highest rung that memory pressure and a busy service allow. */
  readonly ceiling: number
  readonly sinceCeilingMillis: number
  /** Tasks that were refused since the ceiling was set. */
  readonly refused: number
  readonly visit: Visit
  /** Variance of the logarithm of a rate that the fewest pieces have measured, and how many visits tell of it. */
  readonly variance: number
  readonly evidence: number
  /** In which direction to look first: 1 or -1. */
  readonly towards: number
}

/**
 * How much throughput a larger size has to gain: 3.5 % for twice the size. With 0.15, the bias of .NET's thread pool
 * (`HillClimbing_Bias`), a device whose throughput grows slowly towards its maximum is left at 85 % of that.
 */
const bias = 0.05

/** Fewest pieces of a visit. They tell a rate within a fifth, where costs of tasks are spread as an exponential. */
const fewestPieces = 24

/** Shortest visit: three samples. .NET's thread pool takes one in 10 to 200 ms. */
const visitMillis = 50

/** Most weight of a visit, however many pieces it has: no device is steadier than that. */
const mostWeight = 4

/** Share of the weight of older visits that a visit leaves. After 23 visits half is forgotten. */
const memory = 0.97

/** Nothing is known of a rung with less weight. */
const forgotten = 0.1

/** When the next rung is chosen, it may be better than measured by so many standard deviations. */
const hope = 1.5

/** How many rungs from the best are considered. Two rungs are twice the size, or half. */
const reach = 2

/** A rate that is so many standard deviations, and so far in logarithms, from the known one is of another device. */
const surprise = 4
const leastSurprise = 0.3

/** The first variance is that of 24 pieces spread as an exponential. It counts as so many visits. */
const firstVariance = 0.04
const firstEvidence = 2

/** A visit waits so many times as long for its pieces as the best rung would take. */
const patience = 2

/**
 * Pressure up to which the ceiling stays. Android's `lmkd` calls 70 ms of a second partial pressure; `systemd-oomd`,
 * which ends processes, waits for 60 %.
 */
const mostPressure = 0.1

/** The ceiling changes at most once in the time for which pressure is measured. */
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
    refused: 0,
    visit: { settling: true, millis: 0, completed: 0, patienceMillis: Number.POSITIVE_INFINITY },
    variance: firstVariance,
    evidence: firstEvidence,
    // A smaller size is measured sooner, and better on a slow device.
    towards: -1
  }
}

/** The state after a sample. */
export const step = (state: AdaptiveLimit, sample: Sample): AdaptiveLimit => {
  const bounded = underPressure(state, sample)
  if (bounded.size !== state.size) return bounded
  if (!sample.waiting) return { ...bounded, visit: { ...bounded.visit, millis: 0, completed: 0 } }
  return measure(bounded, sample)
}

/**
 * Halves the ceiling under memory pressure, sets it a rung lower where a service was too busy, and raises it by a rung
 * at a time afterwards.
 */
const underPressure = (state: AdaptiveLimit, sample: Sample): AdaptiveLimit => {
  const sinceCeilingMillis = state.sinceCeilingMillis + sample.millis
  const refused = state.refused + sample.refused
  if (sinceCeilingMillis < ceilingMillis) return { ...state, sinceCeilingMillis, refused }
  const anew = { ...state, sinceCeilingMillis: 0, refused: 0 }
  if (sample.pressure <= mostPressure && refused === 0) {
    return { ...anew, ceiling: Math.min(state.ceiling + 1, state.rungs.length - 1) }
  }
  const ceiling = sample.pressure > mostPressure ? below(state, state.size / 2) : Math.max(0, state.at - 1)
  return visiting({ ...anew, ceiling }, ceiling, Number.POSITIVE_INFINITY)
}

/** The highest rung up to a size, or the lowest. */
const below = ({ rungs }: AdaptiveLimit, size: number): number =>
  Math.max(0, rungs.findLastIndex((rung) => rung.size <= size))

const visiting = (state: AdaptiveLimit, at: number, patienceMillis: number): AdaptiveLimit => {
  const size = state.rungs[at]?.size ?? state.size
  return { ...state, at, size, visit: { settling: size !== state.size, millis: 0, completed: 0, patienceMillis } }
}

/**
 * Adds a sample to the visit, and ends the visit once there is enough of it.
 *
 * As many pieces as permits are a turn. A visit has whole turns: tasks of one length that begin together also end
 * together, so a part of a turn would tell any rate.
 */
const measure = (state: AdaptiveLimit, sample: Sample): AdaptiveLimit => {
  const { visit } = state
  // As long as more permits are held than there are, tasks end that began at the size before.
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

/** Remembers the rate of a visit, and chooses the next rung. */
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

/** Forgets all rates, since they are of another device or of other work. */
const startOver = (state: AdaptiveLimit, rate: number, weight: number, off: number): AdaptiveLimit => {
  const anew: AdaptiveLimit = {
    ...state,
    variance: firstVariance,
    evidence: firstEvidence,
    towards: off < 0 ? -1 : 1,
    rungs: state.rungs.map((rung) => ({ ...rung, weight: 0 }))
  }
  if (off > -Math.LN2) return choose({ ...anew, rungs: remembering(anew, { rate, weight }) })
  // After a collapse the tasks under way may take long, so half of all doublings are left at once.
  const least = state.rungs[0]?.size ?? 1
  return visiting(anew, below(state, Math.sqrt(state.size * least)), Number.POSITIVE_INFINITY)
}

/** Goes to the rung that may be best, of those around the best one so far. */
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

/** Logarithm of throughput ÷ size^bias. A rung of which nothing is known is worth least. */
const worth = (rung: Rung | undefined): number =>
  rung === undefined || rung.weight <= forgotten ? Number.NEGATIVE_INFINITY : rung.rate - bias * Math.log(rung.size)
