/**
 * A store that stops to answer: the process behind it is dead for all others.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { JobStore } from "../../JobStore.ts"

/** Gives a store that answers like another one until `silence` runs, and never after. */
export const silenceable = (
  store: JobStore["Service"]
): { readonly store: JobStore["Service"]; readonly silence: Effect.Effect<void> } => {
  const answers = Latch.makeUnsafe(true)
  return {
    silence: Effect.sync(() => answers.closeUnsafe()),
    store: new Proxy(store, {
      get: (target, name, receiver) => {
        const method: unknown = Reflect.get(target, name, receiver)
        if (Effect.isEffect(method)) return Effect.andThen(answers.await, method)
        return typeof method === "function"
          ? (...args: ReadonlyArray<unknown>) => Effect.andThen(answers.await, Effect.suspend(() => method(...args)))
          : method
      }
    })
  }
}
