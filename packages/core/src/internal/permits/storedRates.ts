/**
 * The rates of the store, as the tasks of this process wait for them.
 *
 * For each rate a fiber takes turns in the store while tasks wait, and hands each one out at its time, as a pool hands
 * out permits: by priority, and fairly between the jobs. A turn that comes back is for the next task.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { JobStore } from "../../JobStore.ts"
import { nowMillis } from "../task/deadlines.ts"
import { makeTurns, type PermitPool } from "./permits.ts"

/** The longest time between two looks at a rate that tasks wait for, or that is not set. */
const pollMillis = 250

/** Finds the turns of a rate by its name. */
export type StoredRates = (name: string) => PermitPool

export const makeRates = (
  store: JobStore["Service"],
  clock: Clock.Clock,
  fork: (effect: Effect.Effect<void>) => void
): StoredRates => {
  const rates = new Map<string, PermitPool>()
  const next = Effect.fnUntraced(function*(name: string, turns: PermitPool) {
    yield* turns.crowded
    const taken = yield* Effect.exit(store.takeTurns(name, turns.waiting))
    const since = nowMillis(clock)
    if (Exit.isFailure(taken)) {
      yield* Effect.logWarning(`Tasks wait for the rate "${name}", which can't be read`, taken.cause)
      return yield* Effect.sleep("5 seconds")
    }
    if (Option.isNone(taken.value)) {
      turns.resizeUnsafe(Number.POSITIVE_INFINITY)
      yield* Effect.sleep(pollMillis)
      return turns.resizeUnsafe(0)
    }
    const { count, everyMillis, inMillis } = taken.value.value
    if (count === 0) yield* Effect.sleep(Math.min(Math.ceil(inMillis), pollMillis))
    for (let turn = 0; turn < count; turn++) {
      const wait = since + inMillis + turn * everyMillis - nowMillis(clock)
      if (wait > 0) yield* Effect.sleep(Math.ceil(wait))
      turns.resizeUnsafe(turns.size + 1)
    }
  })
  return (name) => {
    const turns = rates.get(name) ?? makeTurns(clock)
    if (!rates.has(name)) fork(Effect.forever(next(name, turns)))
    rates.set(name, turns)
    return turns
  }
}
