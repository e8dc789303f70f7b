/**
 * Layer of a worker: the tasks that a process runs for owners of jobs.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import { OwnerLiveness } from "../../OwnerLiveness.ts"
import { Pools } from "../../Pools.ts"
import type * as Task from "../../Task.ts"
import { ThreadsUnavailable } from "../../ThreadsUnavailable.ts"
import { makePermits } from "../permits/permits.ts"
import { Share } from "../permits/share.ts"
import { makeDeadlines } from "../task/deadlines.ts"
import { defineTask, findPool, handlerOf, type TaskDefinition } from "../task/taskDefinition.ts"
import { TaskOptions } from "../task/taskOptions.ts"
import { shapeOf, versionOf } from "./messages.ts"
import { HostPool, type HostTask, WorkerHost } from "./workerHost.ts"

/** Service that runs tasks for owners which are connected. */
export class ClusterHost extends Context.Service<ClusterHost, WorkerHost>()("@fanout/core/internal/ClusterHost") {}

type Refuse<R extends Task.Any> = (payload: Task.Payload<R>) => Effect.Effect<Option.Option<string>>

/** How a worker works, as `WorkerOptions` of `@fanout/core/cluster` says it. */
export interface Options<in R extends Task.Any> {
  readonly refuse?: Refuse<R> | undefined
  readonly program?: string | undefined
}

/** Has others run what this worker refuses: they do so where a worker can't start the threads that a task needs. */
const refusing =
  <R extends Task.Any>(refuse: Refuse<R>, handle: TaskDefinition["handle"]): TaskDefinition["handle"] => (payload) =>
    Effect.flatMap(
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- decoded by the schema of a task of the group
      refuse(payload as Task.Payload<R>),
      Option.match({
        onNone: () => handle(payload),
        onSome: (why) => Effect.die(new ThreadsUnavailable({ why }))
      })
    )

export const layer = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  { program, refuse }: Options<R> = {}
): Layer.Layer<ClusterHost, never, Task.Handler<R> | Pools | OwnerLiveness> =>
  Layer.effect(
    ClusterHost,
    Effect.gen(function*() {
      const context = yield* Effect.context<Task.Handler<R>>()
      const pools = yield* Pools
      const { self } = yield* OwnerLiveness
      const clock = yield* Clock.Clock
      const deadlines = makeDeadlines(clock)
      yield* Effect.forkScoped(deadlines.watch)
      const share = new Share({ clock, deadlines }, {})
      // The owner of a job keeps the rate at which its tasks begin.
      const noRate = () => makePermits(Number.POSITIVE_INFINITY, clock)
      const known = new Map<unknown, HostPool>()
      const kinds = new Map<string, HostTask>()
      for (const task of group.requests.values()) {
        const options = Context.getUnsafe(task.annotations, TaskOptions)
        const own = handlerOf(task, context).permits
        const permits = own ?? findPool(pools, options.pool)
        const pool = known.get(permits) ?? new HostPool(own === undefined ? options.pool : "threads", permits)
        known.set(permits, pool)
        const defined = defineTask(task, context, pools, share, noRate, undefined)
        const definition = {
          ...defined,
          // The owner tries a task again.
          options: { ...defined.options, busy: undefined, retry: Option.none() },
          ...refuse === undefined ? {} : { handle: refusing(refuse, defined.handle) }
        }
        const services = Context.merge(context, defined.context)
        kinds.set(task._tag, { task, shape: shapeOf(task), definition, context: services, pool })
      }
      const host = new WorkerHost(kinds, versionOf(program), { clock, self, deadlines }, context)
      yield* Effect.addFinalizer(() => host.close)
      return host
    })
  )
