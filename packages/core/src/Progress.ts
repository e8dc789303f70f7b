/**
 * Counts what was done, from many tasks at once, into one picture.
 *
 * Tasks add to named units (`bytes`, `pages`) while they run; the runtime counts the
 * items. What a watcher sees is conflated and includes only what the store has recorded.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * Schema for the count of one unit: how many are done, and of how many once that is known.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Count = Schema.Struct({ done: Schema.Number, total: Schema.optionalKey(Schema.Number) })

/**
 * Schema for the progress of a job.
 *
 * **Details**
 *
 * `items` counts settled elements of all fan-outs, `tags` the done ones by the `_tag`
 * of their success, `units` what tasks added themselves.
 *
 * @category schemas
 * @since 0.1.0
 */
export class Progress extends Schema.Class<Progress>("@fanout/core/Progress/Progress")({
  items: Count,
  failed: Schema.Natural,
  skipped: Schema.Natural,
  tags: Schema.Record(Schema.String, Schema.Natural),
  units: Schema.Record(Schema.String, Count)
}) {}

/**
 * Progress of a job that has done nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const empty: Progress = new Progress({ items: { done: 0 }, failed: 0, skipped: 0, tags: {}, units: {} })

/**
 * Where the work that runs now reports to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reporter {
  /** Adds to what is done of a unit. */
  readonly addUnsafe: (unit: string, amount: number) => void

  /** Sets how many there are in all of a unit; of the items themselves for `"items"`. */
  readonly totalUnsafe: (unit: string, total: number) => void
}

/**
 * Reference to where the work that runs now reports to. The runtime sets it for each
 * job and each task; outside of them reports go nowhere.
 *
 * @category services
 * @since 0.1.0
 */
export const Reporter: Context.Reference<Reporter> = Context.Reference<Reporter>("@fanout/core/Progress/Reporter", {
  defaultValue: () => ({ addUnsafe: () => {}, totalUnsafe: () => {} })
})

/**
 * Adds an amount to what is done of a unit, such as `"bytes"`.
 *
 * **Gotchas**
 *
 * What an attempt added is taken back when the attempt fails or is stopped without
 * a checkpoint of its own; what is shown never goes back.
 *
 * @category accessors
 * @since 0.1.0
 */
export const add = (unit: string, amount: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    Context.get(fiber.context, Reporter).addUnsafe(unit, amount)
    return Effect.void
  })

/**
 * Sets how many there are in all of a unit, or of the items for `"items"`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const total = (unit: string, amount: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    Context.get(fiber.context, Reporter).totalUnsafe(unit, amount)
    return Effect.void
  })
