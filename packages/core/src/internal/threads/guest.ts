/**
 * The thread that a pool is on, as one of the pool's: what runs there is a guest. Messages are handed on as they are.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Thread, ThreadListener } from "./threadSpawner.ts"
import { type Handler, serve } from "./worker.ts"

/** Nobody is called from within what posts. */
const soon = (run: () => void): void => void Promise.resolve().then(run)

export const spawn =
  (handlers: ReadonlyMap<string, Handler>, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) =>
  (shared: SharedArrayBuffer, listener: ThreadListener): Thread => {
    let receive: (message: unknown) => void = () => {}
    const fiber = fork(serve(handlers, shared, {
      postUnsafe: (message) => soon(() => listener.message(message)),
      listenUnsafe: (listen) => {
        receive = listen
      }
    }, { isGuest: true }))
    fiber.addObserver(() => soon(() => listener.ended("it has left")))
    return {
      postUnsafe: (message) => soon(() => receive(message)),
      holdUnsafe: () => {},
      terminate: Effect.asVoid(Fiber.interrupt(fiber))
    }
  }
