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

/** Waits for the next SIGUSR1, as long as the scope is open: each one that comes while somebody waits ends that. */
export const onUser1: Effect.Effect<Effect.Effect<void>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const waiting = new Set<() => void>()
    const onSignal = () => {
      for (const resume of waiting) resume()
      waiting.clear()
    }
    process.on("SIGUSR1", onSignal)
    const next = Effect.callback<void>((resume) => {
      const goOn = () => resume(Effect.void)
      waiting.add(goOn)
      return Effect.sync(() => void waiting.delete(goOn))
    })
    return { next, onSignal }
  }),
  ({ onSignal }) => Effect.sync(() => void process.off("SIGUSR1", onSignal))
).pipe(Effect.map(({ next }) => next))
