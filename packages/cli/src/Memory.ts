/**
 * Keeps the memory of a long job as it was in its first seconds.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { setFlagsFromString } from "node:v8"

/**
 * After some seconds V8 no longer doubles the space for new objects. It would do so, up to 48 MiB, each time that
 * enough of them have survived a collection: in a job with a million files that happens by chance, sooner or later.
 */
export const settle: Effect.Effect<void, never, Scope.Scope> = Effect.asVoid(Effect.forkScoped(
  Effect.delay(Effect.sync(() => setFlagsFromString("--semi-space-growth-factor=1")), "2 seconds")
))
