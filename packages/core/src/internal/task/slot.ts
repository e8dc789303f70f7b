/**
 * The permits that a running task holds, so that it can give them back while it waits for other tasks.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Interrupter } from "../../Interrupter.ts"
import type { Permits } from "../permits/permits.ts"
import { onFirstRequest } from "../signal.ts"
import type { Options } from "./taskOptions.ts"

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
      return Effect.flatMap(Effect.exit(restore(effect)), (exit) => Effect.andThen(comeBack(slot), exit))
    })
  })

/**
 * Notes that a branch has returned. The last one takes permits, unless its task is to stop: also where it was
 * interrupted, for then another branch goes on, as the winner of a race does that waits for the loser.
 */
const comeBack = (slot: Slot): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    // A fiber may give way before it is here: whether it is the last one, and that it waits then, is one step.
    slot.waiting--
    if (slot.waiting > 0 || slot.closed) return resume(Effect.void)
    const { options, permits } = slot.work
    let isGranted = false
    let isOver = false
    let removeListener = () => {}
    const goOn = () => {
      isOver = true
      slot.giveUp = undefined
      removeListener()
      resume(Effect.void)
    }
    slot.giveUp = goOn
    const cancel = permits.waitUnsafe(slot.weight, options.priority, true, () => {
      isGranted = true
      if (isOver) return permits.releaseUnsafe(slot.weight)
      slot.held = true
      goOn()
    })
    if (isGranted) return
    // Another branch has begun to wait, of a task that was granted permits just now.
    if (isOver) return cancel()
    slot.giveUp = () => {
      cancel()
      goOn()
    }
    removeListener = onFirstRequest(slot, () => slot.giveUp?.())
  })
