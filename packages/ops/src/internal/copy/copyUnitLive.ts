/**
 * Handler of the task `CopyUnit`: runs the routine of each step.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import type * as Task from "@fanout/core/Task"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Calls } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { now } from "../files/routine.ts"
import * as TemporaryName from "../path/temporaryName.ts"
import { type Filled, type Unit, unsettled, untouched } from "../steps/unit.ts"
import { fill } from "../units/draftFilling.ts"
import { type Limits, settle, type ToSettle } from "../units/placement.ts"
import { removeSources, type SourcesRemoved, type ToRemove } from "../units/sourceRemoval.ts"
import { CopyUnit, ThreadTasks } from "./copyTask.ts"

type Payload = Task.Payload<typeof CopyUnit>

/** Most time of a fill. On a slow disk a unit ends then, with a rest. */
const mostMillis = 1000

/** Further time to finish a folder: its rest would be copied by elements that take longer for each file. */
const finishMillis = 100

/** Fills a draft. Does nothing where calls are not made at once. */
const fillUnit = Effect.fnUntraced(function*(unit: Unit) {
  const { atOnce } = yield* Files.Files
  const stop = yield* Interrupter.Interrupter
  const lease = yield* Lease.Lease
  const clock = yield* Clock.Clock
  const mayPublish = () => lease.isHeldUnsafe()
  const started = clock.currentTimeMillisUnsafe()
  const mayWork = (millis: number) =>
    stop.reason === undefined && lease.isHeldUnsafe() && clock.currentTimeMillisUnsafe() < started + millis
  const { job, token } = lease
  // Leftovers of earlier owners are swept here as at the end of a single folder.
  const isLeftover = token === 1 || Option.isNone(job)
    ? undefined
    : (name: FilePath.FilePath) => TemporaryName.isOf(job.value, name, token)
  const filled = yield* atOnce((calls, isInTime) => {
    // After its time it has some more to finish the folders it has begun.
    let overSince: number | undefined
    const mayBegin = () => mayWork(mostMillis) && isInTime()
    const mayGoOn = () => {
      if (!mayWork(mostMillis + finishMillis)) return false
      if (isInTime()) return true
      overSince ??= clock.currentTimeMillisUnsafe()
      return clock.currentTimeMillisUnsafe() < overSince + finishMillis / 5
    }
    return now(fill, calls, unit, { mayBegin, mayGoOn, mayPublish, isLeftover })
  })
  return Option.getOrElse(filled, (): Filled => untouched(unit))
})

/**
 * Repeats turns of a routine until it is through, also while calls are slow: to start over would take longer. Does
 * nothing where calls are not made at once.
 */
const inTurns = Effect.fnUntraced(function*<A>(
  begun: A,
  isThrough: (done: A) => boolean,
  goOn: (calls: Calls, limits: Limits, before: A) => A
) {
  const { atOnce } = yield* Files.Files
  const lease = yield* Lease.Lease
  const mayPublish = () => lease.isHeldUnsafe()
  const turn = (before: A) => atOnce((calls, mayGoOn) => goOn(calls, { mayGoOn, mayPublish }, before), true)
  let done = yield* turn(begun)
  while (Option.isSome(done) && !isThrough(done.value)) done = yield* turn(done.value)
  return done
})

/** Compares and places. */
const settleUnit = (unit: Unit, waiting: ToSettle) =>
  inTurns(
    unsettled,
    ({ through }) => through === waiting.placements.length,
    (calls, limits, before) => now(settle, calls, unit, waiting, limits, before)
  ).pipe(Effect.map(Option.getOrElse(() => unsettled)))

const removeUnit = (unit: Unit, toRemove: ToRemove) =>
  inTurns<SourcesRemoved>(
    { removed: [], isStuck: false },
    ({ removed }) => removed.length === toRemove.placed.length,
    (calls, limits, before) => now(removeSources, calls, unit, toRemove, limits, before)
  ).pipe(Effect.map(Option.getOrElse((): SourcesRemoved => ({ removed: [], isStuck: toRemove.isAgain }))))

/** Performs a step in this thread. The first step also places the copies that need not wait. */
export const perform = (
  { step, unit }: Payload
): Effect.Effect<Task.Success<typeof CopyUnit>, never, Files.Files> =>
  Effect.gen(function*() {
    switch (step._tag) {
      case "Fill": {
        const filled = yield* fillUnit(unit)
        if (unit.waits || filled.placements.length === 0) return { _tag: "Filled", filled } as const
        return { _tag: "Filled", filled, settled: yield* settleUnit(unit, { ...filled, dropped: [] }) } as const
      }
      case "Settle":
        return { _tag: "Settled", settled: yield* settleUnit(unit, step) } as const
      case "Remove":
        return { _tag: "Removed", ...yield* removeUnit(unit, step) } as const
    }
  })

/** Layer that supplies the handler. */
export const layer: Layer.Layer<Task.Handler<typeof CopyUnit>, never, Files.Files> = ThreadTasks.toLayer(
  Effect.map(Files.Files, (files) => ({
    [CopyUnit._tag]: (payload: Payload) => Effect.provideService(perform(payload), Files.Files, files)
  }))
)
