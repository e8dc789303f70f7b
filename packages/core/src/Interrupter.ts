/**
 * Lets work stop at a place of its own choosing, and says why it must.
 *
 * Fiber interruption stops work anywhere; an `Interrupter` stops it only where it
 * yields `check`, with a reason as a typed value, so that a pause can be told from
 * a cancel and nothing is left half done. Fiber interruption is the hard stop under it.
 *
 * @since 0.1.0
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
 * - `Pause`: somebody asked for a pause, or the job paused itself; it can go on later.
 * - `Cancel`: the work is not wanted any more.
 * - `Shutdown`: this process ends; another one, or the next run, goes on.
 * - `LeaseLost`: another process may own the job by now; nothing may be published.
 * - `Timeout`: the attempt took longer than its task or job allows.
 * - `Sibling`: a fan-out stopped the rest that gives up at the first failures, or can't record what they come to.
 *
 * @category models
 * @since 0.1.0
 */
export const Reason = Schema.Literals(["Pause", "Cancel", "Shutdown", "LeaseLost", "Timeout", "Sibling"])

/**
 * Why work must stop.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * Error that unwinds work which reached a safe point after it was asked to stop.
 *
 * @category errors
 * @since 0.1.0
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
 * Stop signal of one unit of work. The first request counts, except that a harder reason replaces a softer
 * one: `LeaseLost` any other, `Cancel` all but that, and each of the rest a `Pause`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Interrupter {
  /** Why the work must stop, or `undefined` while it may go on. */
  readonly reason: Reason | undefined

  /** Asks the work, and all work started under it, to stop. */
  readonly requestUnsafe: (reason: Reason) => void

  /**
   * Calls the listener when a stop is requested (at once if it has been), again for a harder one. Returns how to
   * remove it.
   */
  readonly onRequestUnsafe: (listener: (reason: Reason) => void) => () => void
}

// What runs outside of a job is never asked to stop, and no request of one reaches another.
const inert: Interrupter = {
  reason: undefined,
  requestUnsafe: () => {},
  onRequestUnsafe: () => () => {}
}

/**
 * Creates a stop signal that belongs to nothing yet.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (): Interrupter => new Signal()

/**
 * Reference to the stop signal of the work that runs now. The runtime sets it for
 * each job and each task; outside of them nothing ever asks to stop.
 *
 * @category services
 * @since 0.1.0
 */
export const Interrupter: Context.Reference<Interrupter> = Context.Reference<Interrupter>("@fanout/core/Interrupter", {
  defaultValue: () => inert
})

/**
 * Safe point: goes on while nobody asked the work to stop, else fails with the reason.
 *
 * @category accessors
 * @since 0.1.0
 */
export const check: Effect.Effect<void, Interrupted> = Effect.withFiber((fiber) => {
  const { reason } = Context.get(fiber.context, Interrupter)
  return reason === undefined ? Effect.void : Effect.fail(new Interrupted({ reason }))
})

/**
 * Reads why the work must stop, without stopping it; for finalizers.
 *
 * @category accessors
 * @since 0.1.0
 */
export const reason: Effect.Effect<Option.Option<Reason>> = Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromUndefinedOr(Context.get(fiber.context, Interrupter).reason))
)

/**
 * Waits until a stop is requested, then fails with the reason. Race it with work
 * that waits for something from outside.
 *
 * @category accessors
 * @since 0.1.0
 */
export const stopped: Effect.Effect<never, Interrupted> = Effect.withFiber((fiber) => {
  const interrupter = Context.get(fiber.context, Interrupter)
  return Effect.callback<never, Interrupted>((resume) => {
    const remove = onFirstRequest(interrupter, (reason) => resume(Effect.fail(new Interrupted({ reason }))))
    return Effect.sync(remove)
  })
})
