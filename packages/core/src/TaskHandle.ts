/**
 * A task that runs by itself, and how it ended.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type { Interrupted } from "./Interrupter.ts"

/**
 * How a task ended.
 *
 * **Details**
 *
 * - `Done` and `Failed`: it ran to its end. A defect is a failure of its task alone.
 * - `Skipped`: its handler said that there is nothing to do.
 * - `Cancelled`: it was asked to stop, and did, or was interrupted after the grace period.
 * - `Aborted`: it was interrupted at once.
 * - `TimedOut`: its last attempt took longer than its task allows.
 * - `Shutdown`: it is unfinished; what ran it stopped first.
 *
 * @category models
 * @since 0.1.0
 */
export type TaskStatus<A, E> =
  | { readonly _tag: "Done"; readonly value: A }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<E> }
  | { readonly _tag: "Skipped"; readonly reason: string }
  | { readonly _tag: "Cancelled" }
  | { readonly _tag: "Aborted" }
  | { readonly _tag: "TimedOut" }
  | { readonly _tag: "Shutdown" }

/**
 * A task that was dispatched.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskHandle<out A, out E> {
  /** Waits for the end. Fails only when the waiting work itself is asked to stop. */
  readonly await: Effect.Effect<TaskStatus<A, E>, Interrupted>

  /** Asks the task to stop at its next safe point and frees its permits; the handle stays open. */
  readonly pause: Effect.Effect<void>

  /** Queues a paused task again: from its own checkpoint, or from the start. */
  readonly resume: Effect.Effect<void>

  /** Asks the task to stop for good, interrupts it after the grace period, and waits for its end. */
  readonly cancel: Effect.Effect<void>

  /** Interrupts the task at once and waits for its end. */
  readonly abort: Effect.Effect<void>
}
