/**
 * Ends the process even where a call to the file system never returns.
 *
 * Node waits for all its threads before it ends, and none of them can be taken out of a system call: on a dead mount
 * even `process.exit` hangs. The C library's `_exit` waits for nobody.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Process from "../host/Process.ts"

/** What ends the process without waiting for its threads. */
let leave: ((code: number) => void) | undefined

/** From now on there may be calls to the file system that never return. */
export const noteCalls: Effect.Effect<void> = Effect.promise(async () => {
  leave = undefined
  // A profiler writes what it has found in the end, and waits for that.
  if (Process.current().env["FANOUT_DEBUG"] === "1") return
  try {
    const { default: koffi } = await import("koffi")
    leave = koffi.load(null).func("void _exit(int code)")
  } catch {
    // Where there is no binary for it, Node's own way has to do.
  }
})

/**
 * Layer that is closed while all else goes on: nothing but time is lost with what is still to be done for it when the
 * process ends. Where that would wait for its threads, the one who closes it does.
 */
export const unawaited = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.effectContext(Effect.gen(function*() {
    const scope = yield* Scope.make()
    // What is stopped while it is built is closed by whoever builds it.
    const building = yield* Effect.acquireRelease(
      Effect.forkDetach(Layer.buildWithScope(layer, scope), { startImmediately: true }),
      (fiber, exit) => {
        const close = Effect.andThen(Fiber.interrupt(fiber), Scope.close(scope, exit))
        return leave === undefined ? close : Effect.asVoid(Effect.forkDetach(close))
      }
    )
    return yield* Fiber.join(building)
  }))

/** Ends the process. What it has to say is written by then. */
export const exit = (code: number, self: Process.Process = process): never => {
  if (leave !== undefined) {
    // The C library knows nothing of what is to be done in the end.
    self.emit("exit", code)
    leave(code)
  }
  return self.exit(code)
}
