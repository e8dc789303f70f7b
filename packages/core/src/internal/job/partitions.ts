/**
 * Runs one child for each element of a source, and sums up what all of them have come to.
 *
 * The children are all that is stored: a run that goes on finds them by their names, and counts those that have ended
 * again. So memory does not grow with their number.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Partitioned } from "../../ChildJobs.ts"
import type { Interrupted } from "../../Interrupter.ts"
import type * as Job from "../../Job.ts"
import type { JobId } from "../../JobId.ts"
import type { JobManagerError } from "../../JobManagerError.ts"
import type { StateCounts } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { empty, Progress, Tally } from "../../Progress.ts"
import type { Element, Source } from "../../Source.ts"
import { runOf } from "../fanOut/jobRun.ts"
import * as Numbers from "../numbers.ts"
import * as Sums from "../sums.ts"
import { Children } from "./childrenOfRun.ts"

/** Milliseconds between two looks at the progress of the children. */
const lookMillis = 1000

export interface Partitions<E, R> {
  readonly name: string
  readonly job: Job.Any
  readonly source: Source<unknown, E, R>
  readonly concurrency: number
  readonly priority: number | undefined
}

const itemsOf = ({ done, failed, skipped }: Tally) => done + failed + skipped

/** Adds up what is counted by name, of which each tally has some names. */
const named = (counts: ReadonlyArray<Readonly<Record<string, number>> | undefined>): Record<string, number> => {
  const all: Record<string, number> = {}
  for (const [name, count] of counts.flatMap((some) => Object.entries(some ?? {}))) Sums.addIn(all, name, count)
  return all
}

const sum = (tallies: ReadonlyArray<Tally>): Tally => {
  const fanOuts = Object.fromEntries(tallies.map((tally, index) => [index, tally]))
  const { causes: _, reasons: __, ...counts } = new Progress({ fanOuts, totals: {}, units: {} }).tally
  const causes = named(tallies.map((tally) => tally.causes))
  const reasons = named(tallies.map((tally) => tally.reasons))
  return new Tally({
    ...counts,
    ...Object.keys(causes).length === 0 ? {} : { causes },
    ...Object.keys(reasons).length === 0 ? {} : { reasons }
  })
}

/** Units that elements have added which have not ended yet. */
const unsettled = (children: Iterable<Progress>): ReadonlyMap<string, number> => {
  const sum = new Map<string, number>()
  for (const { tally, units } of children) {
    const ended = new Map(Object.entries(tally.units))
    for (const [unit, amount] of Object.entries(units)) Sums.add(sum, unit, amount - (ended.get(unit) ?? 0))
  }
  return sum
}

export const partitioned = Effect.fnUntraced(function*<E, R>(
  { concurrency, job, name, priority, source }: Partitions<E, R>
): Effect.fn.Return<Partitioned, E | Interrupted | JobManagerError | JobStoreError, R | Children> {
  yield* Effect.sync(() => Numbers.count(`The concurrency of "${name}"`, concurrency))
  const children = yield* Children
  const run = yield* runOf(name)
  let tally = sum([])
  const states: { -readonly [State in keyof StateCounts]: StateCounts[State] } = {}
  const active = new Map<JobId, Progress>()

  const show = (isLast: boolean) => {
    const now = sum([tally, ...Array.from(active.values(), (progress) => progress.tally)])
    const shown = run.latest().fanOuts[name]
    // A run that goes on counts the children anew, and the progress that people see does not go back.
    return isLast || shown === undefined || itemsOf(now) >= itemsOf(shown) ? run.show(name, now) : Effect.void
  }
  const look = Effect.gen(function*() {
    for (const id of Array.from(active.keys())) {
      const progress = yield* children.progress(id)
      if (active.has(id)) active.set(id, progress)
    }
    yield* show(false)
  })
  const runChild = Effect.fnUntraced(function*(element: Element<unknown>) {
    if (element._tag !== "Item") {
      return yield* Effect.die(new Error(`The source of "${name}" has to give items, and gave ${element._tag}`))
    }
    const id = yield* children.start(`${name} ${element.cursor}`, job, element.payload, priority)
    active.set(id, empty)
    const { state } = yield* children.await(id)
    const progress = yield* children.progress(id)
    active.delete(id)
    tally = sum([tally, progress.tally])
    states[state._tag] = (states[state._tag] ?? 0) + 1
  })
  const all = Stream.runDrain(Stream.mapEffect(source(Option.none()), runChild, { concurrency, unordered: true }))
  // A look that fails is made again. If the store does not work, the wait for the children tells.
  const looks = Effect.forever(Effect.delay(Effect.ignore(look), lookMillis))
  run.partials.set(active, () => unsettled(active.values()))
  yield* Effect.raceFirst(all, looks).pipe(
    Effect.ensuring(Effect.sync(() => run.partials.delete(active)))
  )
  yield* show(true)
  return { tally, states }
})
