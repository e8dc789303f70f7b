/**
 * What the definition of a task says of how it is to be run.
 */
import * as Context from "effect/Context"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type { Priority } from "../../Task.ts"

/** How a task is to be run. */
export interface Options {
  /** Names one payload among others, for people and logs. */
  readonly key: (payload: unknown) => string
  /** Pool whose permits it takes. */
  readonly pool: string
  /** Permits that a payload takes, in whatever the pool counts; what weighs more than the pool runs alone in it. */
  readonly weight: (payload: unknown) => number
  readonly priority: Priority
  /** How long one attempt may take, in milliseconds. */
  readonly timeoutMillis: number
  /** How much work one payload is, compared with others. */
  readonly cost: (payload: unknown) => number
  /** When a failed attempt is made again. */
  readonly retry: Option.Option<Schedule.Schedule<unknown>>
}

/** Annotation of a task that carries how it is to be run. */
export class TaskOptions extends Context.Service<TaskOptions, Options>()("@fanout/core/Task/TaskOptions") {}

/** Most attempts of one task, whatever its schedule says. */
export const maxAttempts = 1000
