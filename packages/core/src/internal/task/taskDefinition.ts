/**
 * A task with the handler, the compiled schemas and the permits that the runtime needs to run the task.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"
import * as Rpc from "effect/rpc/Rpc"
import { RequestId } from "effect/rpc/RpcMessage"
import type * as Schema from "effect/Schema"
import type { Outcome } from "../../Outcome.ts"
import type { Pools } from "../../Pools.ts"
import type * as Task from "../../Task.ts"
import { type Defect, defectOf } from "../defect.ts"
import type { PayloadCodec } from "../fanOut/payloads.ts"
import { messageOf } from "../messageOf.ts"
import type { PermitPool, Permits } from "../permits/permits.ts"
import type { Share } from "../permits/share.ts"
import type { StoredRates } from "../permits/storedRates.ts"
import { codecsOf } from "./taskCodecs.ts"
import { type Options, OwnHandler, TaskOptions, weighsOne } from "./taskOptions.ts"
import type { Ended } from "./taskRun.ts"
import { Quarantined } from "./threadLost.ts"

/** The handler that a layer puts into a context under the key of a task. */
export interface TaskHandler extends Rpc.Handler<string> {
  /** Permits of the thread pool that runs the handler. These replace the permits of the task's own pool. */
  readonly permits?: PermitPool
}

export interface TaskDefinition {
  readonly tag: string
  readonly options: Options
  readonly permits: Permits
  /** The pool that bounds the tasks, if each task takes one of its permits. */
  readonly pool?: { readonly name: string; readonly size: number }
  /** Whether the handler itself reports the begin of an attempt. A handler that waits for a thread does so. */
  readonly beginsLater: boolean
  readonly payload: PayloadCodec
  /** Calls the handler. The effect needs the services in `context`. */
  readonly handle: (payload: unknown) => Effect.Effect<unknown, unknown>
  readonly context: Context.Context<never>
  /** Encodes the end of the task. Without `keepsAll` the outcome keeps only the `_tag` of a success value. */
  readonly outcome: (ending: Ended, keep: { readonly keepsAll: boolean; readonly keepsStack: boolean }) => Outcome
}

/** Finds a pool by name. The error for an unknown name lists the known pools. */
export const findPool = (pools: Pools["Service"], name: string): PermitPool => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all pools are from `Pools.layer`
  const permits = pools.findUnsafe(name) as PermitPool | undefined
  if (permits !== undefined) return permits
  throw new Error(`There is no pool "${name}", only ${pools.names.join(", ")}: give it a size with Pools.layer`)
}

/** Finds the handler of a task in a context. */
export const handlerOf = (task: Task.Any, context: Context.Context<never>) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- layers of task groups put `TaskHandler`s there
  const found = context.mapUnsafe.get(task.key) as TaskHandler | undefined
  if (found === undefined) throw new Error(`Task "${task._tag}" has no handler here`)
  const call = { client: new Rpc.ServerClient(0), requestId: RequestId(0), headers: Headers.empty, rpc: task }
  return {
    context: found.context,
    permits: found.permits,
    handle: (value: unknown) => {
      const result = found.handler(value, call)
      const effect = Rpc.isWrapper(result) ? result.value : result
      return Effect.isEffect(effect)
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- services of the effect are in `context`
        ? effect as Effect.Effect<unknown, unknown>
        : Effect.die(new Error(`The handler of task "${task._tag}" gave a stream`))
    }
  }
}

/** Makes the definition of a task, with the handler from a context and the permits of a pool. */
export const defineTask = (
  task: Task.Any,
  context: Context.Context<never>,
  pools: Pools["Service"],
  share: Share,
  rates: StoredRates,
  named: string | undefined
): TaskDefinition => {
  const options = Context.getOrUndefined(task.annotations, TaskOptions)
  if (options === undefined) throw new Error(`"${task._tag}" is no task: make it with Task.make`)
  const name = named ?? options.pool
  const own = Context.getOrUndefined(task.annotations, OwnHandler)
  const { permits, ...handler } = own === undefined
    ? handlerOf(task, context)
    : { context: Context.empty(), handle: own, permits: undefined }
  const { encodeError, encodeSuccess, payload } = codecsOf(task)
  const pool = permits ?? findPool(pools, name)
  return {
    tag: task._tag,
    // A thread runs one task at a time, so each task weighs 1.
    options: permits === undefined ? options : { ...options, weight: weighsOne },
    permits: share.permitsOf(name, pool, options.rate === undefined ? undefined : rates(options.rate)),
    ...permits === undefined && options.weight === weighsOne ? { pool: { name, size: pool.most } } : {},
    beginsLater: permits !== undefined,
    payload,
    ...handler,
    outcome: (ending, { keepsAll, keepsStack }) => {
      try {
        return ending._tag === "Done"
          ? { _tag: "Done", value: keepsAll ? encodeSuccess(ending.value) : tagOnly(ending.value) }
          : outcomeOf(ending, options.timeoutMillis, encodeError, keepsStack)
      } catch (thrown) {
        // A value that does not match the schema fails only this task, not the other elements of the fan-out.
        const what = ending._tag === "Done" ? "success" : "error"
        return died({ message: `its ${what} does not match its schema: ${messageOf(thrown)}` })
      }
    }
  }
}

const tagOnly = (value: unknown): Schema.Json =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value._tag === "string"
    ? { _tag: value._tag }
    : null

const outcomeOf = (
  ending: Exclude<Ended, { readonly _tag: "Done" }>,
  timeoutMillis: number,
  encodeError: (error: unknown) => Schema.Json,
  keepsStack: boolean
): Outcome => {
  switch (ending._tag) {
    case "Skipped":
      return { _tag: "Skipped", reason: ending.reason, count: 1 }
    case "TimedOut":
      return { _tag: "Failed", failure: { _tag: "Timeout", millis: timeoutMillis } }
    case "Failed": {
      const error = Cause.findError(ending.cause)
      const defect = ending.cause.reasons.find(Cause.isDieReason)?.defect
      if (defect instanceof Quarantined) {
        return { _tag: "Failed", failure: { _tag: "Quarantined", message: defect.message } }
      }
      if (Result.isFailure(error)) return died(defectOf(ending.cause, keepsStack))
      const { success } = error
      return { _tag: "Failed", failure: { _tag: "Error", error: encodeError(success), message: messageOf(success) } }
    }
  }
}

const died = (defect: Defect): Outcome => ({ _tag: "Failed", failure: { _tag: "Defect", ...defect } })
