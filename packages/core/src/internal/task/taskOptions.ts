/**
 * The options that the definition of a task declares.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type { Priority } from "../../Task.ts"

export interface Options {
  /** Gives a payload a name for people and logs. */
  readonly key: (payload: unknown) => string
  readonly pool: string
  /** The name of the rate at which attempts begin. */
  readonly rate: string | undefined
  /** Permits that a payload takes from the pool. A task that weighs more than the pool holds runs alone in the pool. */
  readonly weight: (payload: unknown) => number
  readonly priority: Priority
  /** How long a service that was too busy for an attempt asks to be left alone; `undefined` for any other error. */
  readonly busy: ((error: unknown) => Duration.Input | undefined) | undefined
  /** Most milliseconds that one attempt may take. */
  readonly timeoutMillis: number
  /** The amount of work of a payload, relative to other payloads. */
  readonly cost: (payload: unknown) => number
  /** The delays between a failed attempt and the next attempt. */
  readonly retry: Option.Option<Schedule.Schedule<unknown>>
}

/** The weight of a task that names none. */
export const weighsOne = (): number => 1

/** The annotation of a task that holds the options. */
export class TaskOptions extends Context.Service<TaskOptions, Options>()("@fanout/core/Task/TaskOptions") {}

/** The annotation of a task that carries its handler. The handler runs with the context of its caller. */
export class OwnHandler extends Context.Service<OwnHandler, (payload: unknown) => Effect.Effect<unknown, unknown>>()(
  "@fanout/core/Task/OwnHandler"
) {}
