/**
 * Keeps the memory of a long job as it was in its first seconds.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Flags of V8, as they are in a job that has begun, and as V8 has them. */
const flags = { "semi-space-growth-factor": [1, 2], "heap-growing-percent": [60, 0] } as const

/**
 * After that time V8 no longer doubles the space for new objects, and collects old ones once there is 1.6
 * times as much as it has found in use. It would double the first, up to 48 MiB, each time that enough new objects have
 * survived a collection: in a job with a million files that happens by chance, sooner or later. Of old objects it
 * would wait for four times as much.
 */
export const settle = (after: Duration.Input): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(
    Effect.delay(
      Effect.flatMap(Effect.promise(() => import("node:v8")), ({ setFlagsFromString }) => {
        const set = (which: 0 | 1) =>
          Effect.sync(() => {
            for (const [name, values] of Object.entries(flags)) setFlagsFromString(`--${name}=${values[which]}`)
          })
        // What is compiled can only be kept for the next process with the flags that this one was started with.
        return Effect.acquireRelease(set(0), () => set(1))
      }),
      after
    )
  ))
