/**
 * Turns the signals that stop programs into a wish that can be granted in peace.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Process from "../host/Process.ts"
import * as ExitCode from "./ExitCode.ts"
import * as ProcessExit from "./ProcessExit.ts"

const names: ReadonlyArray<ExitCode.Signal> = ["SIGHUP", "SIGINT", "SIGTERM"]

/** Listens from now on: the effect ends with the first signal that comes; the second one ends the process at once. */
export const listen: Effect.Effect<Effect.Effect<ExitCode.Signal>, never, Scope.Scope> = Effect.gen(function*() {
  const self = Process.current()
  const { promise, resolve } = Promise.withResolvers<ExitCode.Signal>()
  let isFirst = true
  const onSignal = (signal: NodeJS.Signals) => {
    const known = names.find((name) => name === signal) ?? "SIGTERM"
    if (!isFirst) ProcessExit.exit(ExitCode.ofSignal(known), self)
    isFirst = false
    resolve(known)
  }
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const name of names) self.off(name, onSignal)
    })
  )
  for (const name of names) self.on(name, onSignal)
  return Effect.promise(() => promise)
})

/**
 * Hears SIGUSR1 from now on, to the end of the process: if nobody does, Node opens its debugger, or the signal ends the
 * process.
 */
export const hearUser1 = (): void => void Process.current().on("SIGUSR1", () => {})

/** Waits for the next SIGUSR1. */
export const user1: Effect.Effect<void> = Effect.callback<void>((resume) => {
  const goOn = () => resume(Effect.void)
  const self = Process.current()
  self.once("SIGUSR1", goOn)
  return Effect.sync(() => void self.off("SIGUSR1", goOn))
})
