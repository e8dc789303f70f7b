/**
 * The slot of a running task: the permits, which the task gives back while the task waits for other tasks.
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
  /** The number of fibers of the task that wait for other tasks. */
  waiting: number
  /** Lets a fiber that waits for the permits go on without permits. */
  giveUp: (() => void) | undefined
  closed: boolean
  readonly onRequestUnsafe: Interrupter["onRequestUnsafe"]
}

export const CurrentSlot = Context.Reference<Slot | undefined>("@fanout/core/internal/CurrentSlot", {
  defaultValue: () => undefined
})

/** Bytes that count as one unit of work. A task moves 64 KiB in about the time of a small task. */
const pieceBytes = 65_536

/** Counts bytes that the current task has moved as work of the task's pool. */
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
 * Runs an effect that waits for other tasks. The first waiting fiber of a task gives the task's permits back. The last
 * fiber to return takes the permits again, ahead of other tasks of the same priority.
 */
export const waitForOthers = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const slot = Context.get(fiber.context, CurrentSlot)
    if (slot === undefined || slot.closed) return effect
    return Effect.uninterruptibleMask((restore) => {
      slot.waiting++
      // A fiber on the way back is no longer the last fiber, and must go on without permits.
      slot.giveUp?.()
      releaseUnsafe(slot)
      return Effect.flatMap(Effect.exit(restore(effect)), (exit) => Effect.andThen(comeBack(slot), exit))
    })
  })

/**
 * Notes that a fiber has returned. The last fiber takes the permits unless the task must stop. An interrupted fiber
 * takes permits too, since another fiber of the task may go on: the winner of a race waits for the interrupted loser.
 */
const comeBack = (slot: Slot): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    // The fiber may have yielded before this step. The count and the wait must change in one step without a yield.
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
    // `waitUnsafe` has granted permits to another task, and another fiber of this task began to wait meanwhile.
    if (isOver) return cancel()
    slot.giveUp = () => {
      cancel()
      goOn()
    }
    removeListener = onFirstRequest(slot, () => slot.giveUp?.())
  })
