/**
 * The permits that a running task holds, so that it can give them back while it waits for other tasks.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Interrupter } from "../../Interrupter.ts"
import type { Options } from "../../Task.ts"
import type { Permits } from "./permits.ts"

export interface Slot {
  readonly work: {
    readonly permits: Permits
    readonly options: Pick<Options, "priority">
  }
  readonly weight: number
  held: boolean
  /** Branches of the task that wait for others now. */
  waiting: number
  /** Lets a branch that waits for the permits go on without them. */
  giveUp: (() => void) | undefined
  closed: boolean
  readonly onRequestUnsafe: Interrupter["onRequestUnsafe"]
}

export const CurrentSlot = Context.Reference<Slot | undefined>("@fanout/core/internal/CurrentSlot", {
  defaultValue: () => undefined
})

/** So many bytes that a task moves are one piece of work: as many as take about as long as a small task. */
const pieceBytes = 65_536

/** Counts what the running task has got through, where it has permits. */
export const noteMoved = (bytes: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    Context.get(fiber.context, CurrentSlot)?.work.permits.noteUnsafe(bytes / pieceBytes)
    return Effect.void
  })

export const releaseUnsafe = (slot: Slot): void => {
  if (!slot.held) return
  slot.held = false
  slot.work.permits.releaseUnsafe(slot.weight)
}

/**
 * Runs an effect that waits for other tasks. The first branch of a task that waits gives the task's permits back,
 * the last one that returns takes them again, ahead of its class.
 */
export const waitForOthers = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const slot = Context.get(fiber.context, CurrentSlot)
    if (slot === undefined || slot.closed) return effect
    return Effect.uninterruptibleMask((restore) => {
      slot.waiting++
      // It is not the last one that has returned then, or two branches would take permits for one task.
      slot.giveUp?.()
      releaseUnsafe(slot)
      return Effect.flatMap(Effect.exit(restore(effect)), (exit) => {
        slot.waiting--
        if (slot.waiting > 0 || slot.closed || slot.held) return exit
        return Effect.flatMap(Effect.exit(restore(take(slot, false))), (taken) => {
          if (Exit.isSuccess(taken)) return exit
          // Where the task is not to stop, another branch of it goes on: the winner of a race waits for the loser.
          return Effect.andThen(take(slot, true), Exit.failCause(taken.cause))
        })
      })
    })
  })

/** Takes permits back; where the fiber was interrupted, for another branch of its task, unless that is stopped. */
const take = (slot: Slot, forAnother: boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const { options, permits } = slot.work
    let removeListener = () => {}
    const end = () => {
      slot.giveUp = undefined
      removeListener()
      resume(Effect.void)
    }
    const cancel = permits.waitUnsafe(slot.weight, options.priority, true, () => {
      slot.held = true
      end()
    })
    if (slot.held) return
    slot.giveUp = () => {
      cancel()
      end()
    }
    if (forAnother) removeListener = slot.onRequestUnsafe(() => slot.giveUp?.())
    return Effect.sync(() => {
      slot.giveUp = undefined
      slot.held = false
      cancel()
    })
  })
