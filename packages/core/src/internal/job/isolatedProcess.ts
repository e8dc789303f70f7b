/**
 * A process within a test: a manager with pools and a scope of its own, on the store of the test.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as Job from "../../Job.ts"
import * as JobManager from "../../JobManager.ts"
import { JobStore } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import * as OwnerLiveness from "../../OwnerLiveness.ts"
import * as Pools from "../../Pools.ts"

interface Isolated {
  readonly manager: JobManager.JobManager["Service"]
  readonly pools: Pools.Pools["Service"]
  /** Shuts the process down. */
  readonly close: Effect.Effect<void>
  /** Makes the store of the process answer nothing any more. For all others the process is dead. */
  readonly silence: Effect.Effect<void>
}

/** Starts a process. */
export const startIsolated = <const Jobs extends ReadonlyArray<Job.Any>, E, R>(
  options: JobManager.Options<Jobs>,
  sizes: Readonly<Record<string, number>> | undefined,
  programs: Layer.Layer<Job.ToProgram<Jobs[number]>, E, R>
): Effect.Effect<Isolated, E | JobStoreError, JobStore | Scope.Scope | R> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const answers = Latch.makeUnsafe(true)
    const context = yield* JobManager.layer<Jobs>({ shutdownDeadline: 0, ...options }).pipe(
      Layer.provide(programs),
      Layer.provideMerge(Layer.fresh(Pools.layer(sizes))),
      Layer.provide(Layer.fresh(OwnerLiveness.layerBlind)),
      Layer.provide(Layer.succeed(JobStore, answeringWhile(answers, yield* JobStore))),
      Layer.buildWithScope(scope)
    )
    return {
      manager: Context.get(context, JobManager.JobManager),
      pools: Context.get(context, Pools.Pools),
      close: Scope.close(scope, Exit.void),
      silence: Effect.sync(() => answers.closeUnsafe())
    }
  })

/** A store that answers like another one while a latch is open. */
const answeringWhile = (answers: Latch.Latch, store: JobStore["Service"]): JobStore["Service"] =>
  new Proxy(store, {
    get: (target, name, receiver) => {
      const method: unknown = Reflect.get(target, name, receiver)
      if (Effect.isEffect(method)) return Effect.andThen(answers.await, method)
      return typeof method === "function"
        ? (...args: ReadonlyArray<unknown>) => Effect.andThen(answers.await, Effect.suspend(() => method(...args)))
        : method
    }
  })
