/**
 * Lets work stop at a safe point, with the reason for the stop.
 *
 * Fiber interruption stops work anywhere. An `Interrupter` stops work only where the work yields `check`, with the
 * reason as a typed value. So the work can tell a pause from a cancel and leaves nothing half done. Fiber interruption
 * is the hard stop for work that reaches no safe point.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { onFirstRequest, Signal } from "./internal/signal.ts"

/**
 * Schema for why work must stop.
 *
 * **Details**
 *
 * - `Pause`: somebody asked for a pause, or the job paused itself. The work can go on later.
 * - `Cancel`: nobody wants the work any more.
 * - `Shutdown`: this process ends. Another process, or the next run, goes on.
 * - `LeaseLost`: another process may own the job by now. The work must publish nothing.
 * - `Timeout`: the attempt took longer than its task or job allows.
 * - `Sibling`: a fan-out stopped its other tasks, because it gave up at its first failures or can't record outcomes.
 *
 * @category models
 */
export const Reason = Schema.Literals(["Pause", "Cancel", "Shutdown", "LeaseLost", "Timeout", "Sibling"])
export type Reason = typeof Reason.Type

/**
 * Error that ends work at a safe point after a stop was requested.
 *
 * @category errors
 */
export class Interrupted
  extends Schema.TaggedError<Interrupted>("@fanout/core/Interrupter/Interrupted")("Interrupted", {
    reason: Reason
  })
{
  override get message(): string {
    return `Stopped: ${this.reason}`
  }
}

/**
 * Stop signal of one unit of work. The first request counts, except that a harder reason replaces a softer one.
 * `LeaseLost` replaces all other reasons, `Cancel` all except `LeaseLost`, and each other reason replaces `Pause`.
 *
 * @category models
 */
export interface Interrupter {
  /** Why the work must stop, or `undefined` while it may go on. */
  readonly reason: Reason | undefined

  /** Asks the work, and all work that it has started, to stop. */
  readonly requestUnsafe: (reason: Reason) => void

  /**
   * Calls the listener when a stop is requested (at once if one was requested before), and again for a harder reason.
   * Returns a function that removes the listener.
   */
  readonly onRequestUnsafe: (listener: (reason: Reason) => void) => () => void
}

// Work outside of a job is never asked to stop, and no request of one such work reaches another.
const inert: Interrupter = {
  reason: undefined,
  requestUnsafe: () => {},
  onRequestUnsafe: () => () => {}
}

/**
 * Creates a stop signal that belongs to nothing yet.
 *
 * @category constructors
 */
export const makeUnsafe = (): Interrupter => new Signal()

/**
 * Reference to the stop signal of the work that runs now. The runtime sets the reference for each job and each task.
 * Outside of jobs and tasks, the signal never asks to stop.
 *
 * @category services
 */
export const Interrupter: Context.Reference<Interrupter> = Context.Reference<Interrupter>("@fanout/core/Interrupter", {
  defaultValue: () => inert
})

/**
 * Safe point: succeeds if nobody has asked the work to stop, else fails with the reason.
 *
 * @category accessors
 */
export const check: Effect.Effect<void, Interrupted> = Effect.withFiber((fiber) => {
  const { reason } = Context.get(fiber.context, Interrupter)
  return reason === undefined ? Effect.void : Effect.fail(new Interrupted({ reason }))
})

/**
 * Reads why the work must stop, without stopping the work, for finalizers.
 *
 * @category accessors
 */
export const reason: Effect.Effect<Option.Option<Reason>> = Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromUndefinedOr(Context.get(fiber.context, Interrupter).reason))
)

/**
 * Waits until a stop is requested, then fails with the reason. Race it with work that waits for an event from outside.
 *
 * @category accessors
 */
export const stopped: Effect.Effect<never, Interrupted> = Effect.withFiber((fiber) => {
  const interrupter = Context.get(fiber.context, Interrupter)
  return Effect.callback<never, Interrupted>((resume) => {
    const remove = onFirstRequest(interrupter, (reason) => resume(Effect.fail(new Interrupted({ reason }))))
    return Effect.sync(remove)
  })
})
