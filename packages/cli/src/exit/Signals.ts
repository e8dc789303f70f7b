/**
 * Turns the signals that stop programs into a wish that can be granted in peace.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ExitCode from "./ExitCode.ts"
import * as ProcessExit from "./ProcessExit.ts"

const names: ReadonlyArray<ExitCode.Signal> = ["SIGHUP", "SIGINT", "SIGTERM"]

/** Listens from now on: the effect ends with the first signal that comes; the second one ends the process at once. */
export const listen: Effect.Effect<Effect.Effect<ExitCode.Signal>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const { promise, resolve } = Promise.withResolvers<ExitCode.Signal>()
    let isFirst = true
    const onSignal = (signal: NodeJS.Signals) => {
      const known = names.find((name) => name === signal) ?? "SIGTERM"
      if (!isFirst) ProcessExit.exit(ExitCode.ofSignal(known))
      isFirst = false
      resolve(known)
    }
    for (const name of names) process.on(name, onSignal)
    return { first: Effect.promise(() => promise), onSignal }
  }),
  ({ onSignal }) =>
    Effect.sync(() => {
      for (const name of names) process.off(name, onSignal)
    })
).pipe(Effect.map(({ first }) => first))

/** Those who wait for SIGUSR1. */
const waiting = new Set<() => void>()

/**
 * Hears SIGUSR1 from now on, to the end of the process: if nobody does, Node opens its debugger, or the signal ends the
 * process.
 */
export const hearUser1 = (): void => {
  process.on("SIGUSR1", () => {
    const all = Array.from(waiting)
    waiting.clear()
    for (const resume of all) resume()
  })
}

/** Waits for the next SIGUSR1. */
export const user1: Effect.Effect<void> = Effect.callback<void>((resume) => {
  const goOn = () => resume(Effect.void)
  waiting.add(goOn)
  return Effect.sync(() => void waiting.delete(goOn))
})
