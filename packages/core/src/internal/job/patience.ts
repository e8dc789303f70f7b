/**
 * Waits for effects that may never end. The runtime asks an effect to stop, then interrupts the effect, and at last
 * abandons the effect.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Interrupter, stopped } from "../../Interrupter.ts"
import { drainMillis } from "../fanOut/jobRun.ts"

/** Most milliseconds that a finalizer, a codec or a schedule may take. */
const patienceMillis = 60_000

/** Makes an effect die that takes longer than a minute. */
export const promptly = <A, E>(effect: Effect.Effect<A, E>, message = "it takes longer than a minute") =>
  Effect.timeoutOrElse(effect, { duration: patienceMillis, orElse: () => Effect.die(new Error(message)) })

const patiently = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Option.Option<Exit.Exit<A, E>>> =>
  Effect.raceFirst(Effect.asSome(Fiber.await(fiber)), Effect.as(Effect.sleep(patienceMillis), Option.none()))

/**
 * Runs an effect until the effect ends or a signal asks for a stop. After the grace the effect is interrupted. `None`
 * means that the effect did not end even then, and is abandoned.
 */
export const untilStopped = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  signal: Interrupter,
  graceMillis: number
): Effect.Effect<Option.Option<Exit.Exit<A, E>>, never, R> =>
  Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    const fiber = yield* Effect.forkDetach(effect, { startImmediately: true, uninterruptible: false })
    const asked = Effect.ignore(Effect.provideService(stopped, Interrupter, signal))
    const waited = yield* Effect.exit(
      restore(Effect.raceFirst(Fiber.await(fiber), Effect.andThen(asked, Effect.sleep(graceMillis + drainMillis))))
    )
    fiber.interruptUnsafe()
    const exit = yield* patiently(fiber)
    return waited._tag === "Failure" ? yield* Effect.failCause(waited.cause) : exit
  }))

/** Closes a scope. `false` means that a finalizer did not end and is abandoned. */
export const closePatiently = (scope: Scope.Closeable, exit: Exit.Exit<unknown, unknown>): Effect.Effect<boolean> =>
  Effect.forkDetach(Scope.close(scope, exit), { startImmediately: true }).pipe(
    Effect.flatMap(patiently),
    Effect.map(Option.isSome)
  )
