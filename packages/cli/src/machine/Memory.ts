/**
 * Keeps the memory of a long job as it was in its first seconds.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * After that time V8 no longer doubles the space for new objects. It would do so, up to 48 MiB, each time that
 * enough of them have survived a collection: in a job with a million files that happens by chance, sooner or later.
 */
export const settle = (after: Duration.Input): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(
    Effect.delay(
      Effect.flatMap(Effect.promise(() => import("node:v8")), ({ setFlagsFromString }) => {
        const growBy = (factor: number) => Effect.sync(() => setFlagsFromString(`--semi-space-growth-factor=${factor}`))
        // What is compiled can only be kept for the next process with the flags that this one was started with.
        return Effect.acquireRelease(growBy(1), () => growBy(2))
      }),
      after
    )
  ))
