/**
 * The permits that a running task holds, so that it can give them back while it waits for other tasks.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Options } from "../../Task.ts"
import type { Permits } from "./permits.ts"

export interface Slot {
  readonly work: {
    readonly permits: Permits
    readonly options: Pick<Options, "weight" | "priority">
  }
  held: boolean
  /** Branches of the task that wait for others now. */
  waiting: number
  closed: boolean
}

export const CurrentSlot = Context.Reference<Slot | undefined>("@fanout/core/internal/CurrentSlot", {
  defaultValue: () => undefined
})

export const releaseUnsafe = (slot: Slot): void => {
  if (!slot.held) return
  slot.held = false
  slot.work.permits.releaseUnsafe(slot.work.options.weight)
}

/**
 * Runs an effect that waits for other tasks. The first branch of a task that waits gives the task's permits back,
 * the last one that returns takes them again, ahead of its class.
 */
export const waitForOthers = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const slot = Context.get(fiber.context, CurrentSlot)
    if (slot === undefined || slot.closed) return effect
    const { options, permits } = slot.work
    return Effect.uninterruptibleMask((restore) => {
      slot.waiting++
      releaseUnsafe(slot)
      return Effect.flatMap(Effect.exit(restore(effect)), (exit) => {
        slot.waiting--
        if (slot.waiting > 0 || slot.closed || slot.held || Exit.hasInterrupts(exit)) return exit
        return Effect.flatMap(restore(permits.take(options.weight, options.priority, true)), () => {
          slot.held = true
          return exit
        })
      })
    })
  })
