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
 * Schema for what a fan-out has come to.
 *
 * **Details**
 *
 * `done`, `failed` and `skipped` count elements; `tags` counts the done ones by the `_tag` of
 * their success value, `units` sums what they added (`bytes`, …).
 *
 * @category schemas
 * @since 0.1.0
 */
export class Tally extends Schema.Class<Tally>("@fanout/core/Progress/Tally")({
  done: Schema.Natural,
  failed: Schema.Natural,
  skipped: Schema.Natural,
  tags: Schema.Record(Schema.String, Schema.Natural),
  units: Schema.Record(Schema.String, Schema.Number)
}) {}

/**
 * Schema for the progress of a job: what each fan-out has come to, and the totals as far as they are known.
 *
 * **Details**
 *
 * `units` is what is shown of each unit: it includes unfinished tasks and never goes back,
 * even where such a task has to start over.
 *
 * @category schemas
 * @since 0.1.0
 */
export class Progress extends Schema.Class<Progress>("@fanout/core/Progress/Progress")({
  fanOuts: Schema.Record(Schema.String, Tally),
  totals: Schema.Record(Schema.String, Schema.Number),
  units: Schema.Record(Schema.String, Schema.Number)
}) {
  /**
   * Sum of what all fan-outs have come to.
   *
   * @since 0.1.0
   */
  get tally(): Tally {
    return Object.values(this.fanOuts).reduce(addTally, emptyTally)
  }
}

/**
 * Progress of a job that has done nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const empty: Progress = new Progress({ fanOuts: {}, totals: {}, units: {} })

const emptyTally = new Tally({ done: 0, failed: 0, skipped: 0, tags: {}, units: {} })

const addTally = (a: Tally, b: Tally): Tally =>
  new Tally({
    done: a.done + b.done,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    tags: addRecords(a.tags, b.tags),
    units: addRecords(a.units, b.units)
  })

const addRecords = (
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>
): Record<string, number> => {
  const sum = { ...a }
  for (const key of Object.keys(b)) sum[key] = (sum[key] ?? 0) + (b[key] ?? 0)
  return sum
}

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
