/**
 * Defines units of parallel work.
 *
 * A task **is** an annotated `Rpc`: `RpcGroup` gives its handlers a layer, and servers, threads and cluster entities
 * accept a task unchanged. The provided layer decides where a task runs. The job that dispatches the task does not.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { jsonCodec } from "./internal/jsonCodec.ts"
import * as Numbers from "./internal/numbers.ts"
import { retrySchedule } from "./internal/task/retrySchedule.ts"
import { type Options, TaskOptions, weighsOne } from "./internal/task/taskOptions.ts"
import { Interrupted } from "./Interrupter.ts"

/**
 * Schema for how urgent a task is. The most urgent task takes the next free permit. Waiting makes a task more urgent.
 *
 * @category models
 */
export const Priority = Schema.Literals(["critical", "high", "normal", "low"])
export type Priority = typeof Priority.Type

/**
 * Reference to the share of attempts that have a span of their own, `fanout.task TAG`: from 0 (none, the default) to 1
 * (all). A span costs more than a small task, so a small share is enough for a million tasks.
 *
 * @category services
 */
export const SpanRatio: Context.Reference<number> = Context.Reference<number>("@fanout/core/Task/SpanRatio", {
  defaultValue: () => 0
})

/**
 * Reference to the number of the attempt that runs the handler: 1 for the first attempt of a task, 2 for the second.
 * Outside of a task it is 1.
 *
 * **Details**
 *
 * The number counts every attempt that the runtime has begun: those that failed, those that took too long, and those
 * that were lost with their thread or child process, even if the handler itself had not begun there.
 *
 * **Gotchas**
 *
 * Nothing stores the number. It is 1 again when an element runs in the next run of its job, be it after a pause, a
 * crash or a retry, and when a paused `TaskHandle` is resumed. So 1 does not say that an element has never run before.
 *
 * @category services
 */
export const CurrentAttempt: Context.Reference<number> = Context.Reference<number>(
  "@fanout/core/Task/CurrentAttempt",
  { defaultValue: () => 1 }
)

/**
 * Error of a handler that has nothing to do for its payload, with the reason. The task is skipped, neither done nor
 * failed.
 *
 * @category errors
 */
export class Skipped extends Schema.TaggedError<Skipped>("@fanout/core/Task/Skipped")("Skipped", {
  reason: Schema.String
}) {
  override get message(): string {
    return `Skipped: ${this.reason}`
  }
}

/**
 * Error that a `retry` schedule receives for an attempt that took longer than its task allows.
 *
 * @category errors
 */
export class TimedOut extends Schema.TaggedError<TimedOut>("@fanout/core/Task/TimedOut")("TimedOut", {
  millis: Schema.Number
}) {
  override get message(): string {
    return `Took longer than ${this.millis} ms`
  }
}

/**
 * Type of the schemas of a task's payload, success and error: any schema that needs no services.
 *
 * @category models
 */
export type Codec = Schema.Codec<unknown, unknown>

/**
 * Task with its tag and the schemas of its payload, success and error.
 *
 * @category models
 */
export interface Task<
  Tag extends string,
  Payload extends Schema.Top,
  Success extends Schema.Top,
  Error extends Schema.Top
> extends Rpc.Rpc<Tag, Payload, Success, Schema.Union<readonly [Error, typeof Interrupted, typeof Skipped]>> {}

/**
 * When a failure is followed by another try: a schedule whose input is the error, or the options that `Effect.retry`
 * takes. Without a `schedule` the next try begins at once.
 *
 * @category models
 */
export type Retry<E> =
  | Schedule.Schedule<unknown, E>
  | {
    readonly schedule?: Schedule.Schedule<unknown, E>
    /** How many tries may follow the first. */
    readonly times?: number
    /** Whether this error may be followed by another try. */
    readonly while?: (error: E) => boolean
  }

/**
 * Any task.
 *
 * @category models
 */
export type Any = Rpc.AnyWithProps

/**
 * Payload of a task.
 *
 * @category models
 */
export type Payload<T extends Any> = Rpc.Payload<T>

/**
 * Success value of a task.
 *
 * @category models
 */
export type Success<T extends Any> = Rpc.Success<T>

/**
 * Typed error of a task, as its definition names it, without `Interrupted` and `Skipped`.
 *
 * @category models
 */
export type Failure<T extends Any> = Exclude<Rpc.Error<T>, Interrupted | Skipped>

/**
 * Handler of a task, which running the task requires.
 *
 * @category models
 */
export type Handler<T extends Any> = Rpc.ToHandler<T>

/**
 * Defines a task.
 *
 * **Details**
 *
 * - `key` names a payload for people; its JSON by default.
 * - `pool` is `"io"` by default, `weight` (permits) 1, `priority` `"normal"`. A weight may depend on the payload, for
 *   example for a pool that counts bytes.
 * - `rate` names a rate of the job store: the attempts of all tasks of that name, in all processes of the store, begin
 *   at the rate that `JobManager.setRate` sets, and without waiting while none is set. A task waits for its turn
 *   without permits. A retry waits as well. A task that runs outside of a job can't have a rate: that is a defect.
 * - `cost` is the work of a payload compared with a payload of cost 1, the default. The cost decides how many tasks a
 *   thread gets at once.
 * - `busy` tells of which errors a service was too busy, such as status 429 or 503, and how long it asks to be left
 *   alone: 0 if it did not say, and any time that is negative or not finite counts as 0. The pool of the task then
 *   hands out no permits for so long, and an adaptive pool gets smaller. The task is tried again after that
 *   time, and after at least 0.1 s, twice as long after each refusal, up to 5 s. That counts as no failed attempt,
 *   until a service was busy for 10 minutes. Give each service a pool of its own.
 * - `timeout` is for each attempt; none by default.
 * - `retry` repeats a failed attempt while the schedule goes on, up to the 1,000th attempt. The input of the schedule
 *   is the error of the attempt, or `TimedOut`. An attempt that ended with `Interrupted` or `Skipped` is never
 *   repeated. The task gives its permits back between attempts. A schedule that dies fails the task. A handler reads
 *   the number of its attempt with `CurrentAttempt`. Numbers and times begin anew in each run of the job; the
 *   `deadline` of its start does not.
 *
 * A handler may fail with the task's own error, with `Interrupted` (from `Interrupter.check`) or with `Skipped`.
 *
 * **Gotchas**
 *
 * Effect finds a handler by the tag alone: give tags a namespace, `"@scope/package/Name"`. A dispatcher dies when it
 * meets two definitions of one tag.
 *
 * @category constructors
 */
export const make = <
  const Tag extends string,
  P extends Codec | Schema.Struct.Fields = Schema.Void,
  S extends Codec = Schema.Void,
  E extends Codec = Schema.Never
>(tag: Tag, options: {
  readonly payload?: P
  readonly success?: S
  readonly error?: E
  readonly key?: (
    payload: P extends Schema.Struct.Fields ? Schema.Struct<P>["Type"] : P extends Schema.Top ? P["Type"] : never
  ) => string
  readonly pool?: string
  readonly weight?:
    | number
    | ((
      payload: P extends Schema.Struct.Fields ? Schema.Struct<P>["Type"] : P extends Schema.Top ? P["Type"] : never
    ) => number)
  readonly rate?: string
  readonly priority?: Priority
  readonly cost?: (
    payload: P extends Schema.Struct.Fields ? Schema.Struct<P>["Type"] : P extends Schema.Top ? P["Type"] : never
  ) => number
  readonly busy?: (error: E extends Schema.Top ? E["Type"] : never) => Duration.Input | undefined
  readonly timeout?: Duration.Input
  readonly retry?: Retry<E extends Schema.Top ? E["Type"] | TimedOut : never>
}): Task<Tag, P extends Schema.Struct.Fields ? Schema.Struct<P> : P extends Schema.Top ? P : never, S, E> => {
  const rpc = Rpc.make(tag, {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fields, and none, are fine for `Rpc.make`
    payload: options.payload as Schema.Top,
    success: options.success as Schema.Top | undefined ?? Schema.Void,
    error: Schema.Union([options.error as Schema.Top | undefined ?? Schema.Never, Interrupted, Skipped])
  })
  const task = rpc.annotate(TaskOptions, {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the annotation is for payloads of any task
    key: options.key as ((payload: unknown) => string) | undefined ?? jsonOf(rpc.payloadSchema),
    pool: options.pool ?? "io",
    rate: options.rate,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same
    weight: sizeOf(`The weight of task "${tag}"`, options.weight as Size | undefined),
    priority: options.priority ?? "normal",
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same
    cost: sizeOf(`The cost of task "${tag}"`, options.cost as Size | undefined),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same
    busy: options.busy as Options["busy"],
    timeoutMillis: Numbers.millis(`The timeout of task "${tag}"`, options.timeout ?? Duration.infinity),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same
    retry: retrySchedule(`task "${tag}"`, options.retry as Retry<unknown> | undefined)
  })
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the signature has checked what annotations erase
  return task as never
}

/** JSON of a payload by its schema. A plain value may have no JSON. */
const jsonOf = (schema: Schema.Top): Options["key"] => {
  let encode: ((payload: unknown) => unknown) | undefined
  return (payload) => {
    if (payload === undefined) return ""
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- schemas of tasks need no services
    encode ??= Schema.encodeSync(jsonCodec(schema as Codec))
    return JSON.stringify(encode(payload))
  }
}

type Size = number | ((payload: unknown) => number)

/** Checks a size: a task whose weight is infinite or not a number would wait for ever or hold back all others. */
const sizeOf = (what: string, size?: Size): Options["weight"] => {
  if (size === undefined) return weighsOne
  if (typeof size === "function") return (payload) => Numbers.size(what, size(payload))
  const checked = Numbers.size(what, size)
  return () => checked
}

/**
 * Settles the task that runs now as skipped.
 *
 * @category accessors
 */
export const skip = (reason: string): Effect.Effect<never, Skipped> => Effect.fail(new Skipped({ reason }))
