/**
 * Layer that provides the handlers of tasks by the workers of a cluster.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scope from "effect/Scope"
import { ClusterWorkers } from "../../ClusterWorkers.ts"
import { OwnerLiveness } from "../../OwnerLiveness.ts"
import type * as Task from "../../Task.ts"
import * as Numbers from "../numbers.ts"
import type { TaskHandler } from "../task/taskDefinition.ts"
import { ClusterPool } from "./clusterPool.ts"
import { LiveClusters } from "./liveWorkers.ts"
import { versionOf } from "./messages.ts"
import { ClusterLink } from "./wire.ts"

/** How a pool of workers works, as `ClusterOptions` of `@fanout/core/cluster` says it. */
export interface Options {
  readonly grant?: Duration.Input
  readonly patience?: Duration.Input
  readonly program?: string
}

export const layer = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  { grant = "5 seconds", patience = "30 seconds", program }: Options = {}
): Layer.Layer<Task.Handler<R> | ClusterWorkers, never, ClusterLink | OwnerLiveness> =>
  Layer.effectContext(Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Effect.context()
    const run = Effect.runForkWith(context)
    const tasks = Array.from(group.requests.values())
    const pool = new ClusterPool({
      link: yield* ClusterLink,
      liveness: yield* OwnerLiveness,
      clock: yield* Clock.Clock,
      context,
      fork: (effect) => void run(Effect.forkIn(effect, scope, { startImmediately: true })),
      tasks,
      version: versionOf(program),
      grantMillis: Numbers.finiteMillis("A cluster's grant", grant),
      patienceMillis: Numbers.millis("A cluster's patience", patience)
    })
    const live = yield* LiveClusters
    live.add(pool)
    yield* Effect.addFinalizer(() => Effect.sync(() => live.delete(pool)))
    yield* Effect.addFinalizer((exit) => Effect.andThen(pool.close, Scope.close(scope, exit)))
    for (const work of [pool.find, pool.forget, pool.tick]) yield* Effect.forkIn(work, scope)
    const handlers = new Map<string, TaskHandler>()
    for (const [index, task] of tasks.entries()) {
      const definition = { index, task }
      const permits = pool.permitsOf(task)
      const handler = (payload: unknown) => Effect.withFiber((fiber) => pool.run(definition, payload, fiber.context))
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- handlers are erased in a context
      handlers.set(task.key, { tag: task._tag, handler, context: Context.empty(), permits } as unknown as TaskHandler)
    }
    const list = Effect.sync(() => pool.statuses)
    return Context.add(Context.makeUnsafe<Task.Handler<R>>(handlers), ClusterWorkers, { list })
  }))
