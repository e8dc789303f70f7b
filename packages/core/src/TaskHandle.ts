/**
 * Handle of a task that runs in the background, and how the task ended.
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type { Interrupted } from "./Interrupter.ts"

/**
 * How a task ended.
 *
 * **Details**
 *
 * - `Done` and `Failed`: the task ran to its end. A defect is a failure of its task alone.
 * - `Skipped`: the handler had nothing to do.
 * - `Cancelled`: the task was asked to stop. It stopped, or was interrupted after the grace period.
 * - `Aborted`: the task was interrupted at once.
 * - `TimedOut`: the last attempt took longer than the task allows.
 * - `Shutdown`: the task is unfinished, because its dispatcher or the dispatching work stopped first.
 *
 * @category models
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
 * Handle of a dispatched task.
 *
 * @category models
 */
export interface TaskHandle<out A, out E> {
  /** Waits for the end of the task. Fails only if the waiting work itself is asked to stop. */
  readonly await: Effect.Effect<TaskStatus<A, E>, Interrupted>

  /** Asks the task to stop at its next safe point and to free its permits. The handle stays open. */
  readonly pause: Effect.Effect<void>

  /** Queues a paused task again. The task goes on from its own checkpoint, or from the start. */
  readonly resume: Effect.Effect<void>

  /** Asks the task to stop for good, interrupts it after the grace period, and waits for its end. */
  readonly cancel: Effect.Effect<void>

  /** Interrupts the task at once and waits for its end. */
  readonly abort: Effect.Effect<void>
}
