/**
 * Counts the work of many concurrent tasks as the progress of one job.
 *
 * Running tasks add amounts to named units (`bytes`, `pages`). The runtime counts the elements. A watcher sees the
 * latest progress that the store has recorded, not every step.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Numbers from "./internal/numbers.ts"
import * as Sums from "./internal/sums.ts"

/**
 * Schema for the counts of a fan-out. `done`, `failed` and `skipped` count elements. `tags` counts the done elements by
 * the `_tag` of their success value. `units` has the sum that done elements added to each unit (`bytes`, …). `causes`
 * counts the failed elements by `Outcome.cause`, and `reasons` the skipped ones by their reasons. Each of these records
 * has at most 32 names, and the sum of all further names as `others`. A reason of more than 64 characters is among the
 * others.
 *
 * @category schemas
 */
export class Tally extends Schema.Class<Tally>("@fanout/core/Progress/Tally")({
  done: Schema.Natural,
  failed: Schema.Natural,
  skipped: Schema.Natural,
  tags: Schema.Record(Schema.String, Schema.Natural),
  units: Schema.Record(Schema.String, Schema.Number),
  causes: Schema.optionalKey(Schema.Record(Schema.String, Schema.Natural)),
  reasons: Schema.optionalKey(Schema.Record(Schema.String, Schema.Natural))
}) {}

/**
 * Schema for the progress of a job: the tally of each fan-out, and the known totals. Of more than 64 fan-outs, those
 * that have ended without a failure are counted together as `(others)`. `units` has the shown amount of each unit, of
 * at most 32 and `others`. The amount includes unfinished tasks and never decreases, even if an unfinished task has to
 * start over. `rates` are per second, over the last ten seconds of the run: of the ended elements as `items`, and of
 * each unit that moves. `startedAt` is the time at which the present or the last run began, in milliseconds since the
 * epoch.
 *
 * @category schemas
 */
export class Progress extends Schema.Class<Progress>("@fanout/core/Progress/Progress")({
  fanOuts: Schema.Record(Schema.String, Tally),
  totals: Schema.Record(Schema.String, Schema.Number),
  units: Schema.Record(Schema.String, Schema.Number),
  rates: Schema.optionalKey(Schema.Record(Schema.String, Schema.Number)),
  startedAt: Schema.optionalKey(Schema.Finite)
}) {
  /**
   * Sum of the tallies of all fan-outs.
   */
  get tally(): Tally {
    return Object.values(this.fanOuts).reduce(addTally, emptyTally)
  }

  /**
   * Number of the elements that have ended: done, failed and skipped ones.
   */
  get items(): number {
    return Object.values(this.fanOuts).reduce((sum, { done, failed, skipped }) => sum + done + failed + skipped, 0)
  }
}

/**
 * Progress of a job that has not begun.
 *
 * @category constructors
 */
export const empty: Progress = new Progress({ fanOuts: {}, totals: {}, units: {} })

const emptyTally = new Tally({ done: 0, failed: 0, skipped: 0, tags: {}, units: {} })

const addTally = (a: Tally, b: Tally): Tally =>
  new Tally({
    done: a.done + b.done,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    tags: addRecords(a.tags, b.tags),
    units: addRecords(a.units, b.units),
    ...a.causes === undefined && b.causes === undefined ? {} : { causes: addRecords(a.causes ?? {}, b.causes ?? {}) },
    ...a.reasons === undefined && b.reasons === undefined
      ? {}
      : { reasons: addRecords(a.reasons ?? {}, b.reasons ?? {}) }
  })

const addRecords = (
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>
): Record<string, number> => Object.fromEntries(Sums.of([Object.entries(a), Object.entries(b)]))

/**
 * Receiver of the progress of the work that runs now.
 *
 * @category models
 */
export interface Reporter {
  readonly addUnsafe: (unit: string, amount: number) => void

  /** Sets the total of a unit. The unit `"items"` stands for the elements. */
  readonly totalUnsafe: (unit: string, total: number) => void
}

/**
 * Reference to the reporter of the work that runs now. The runtime sets the reference for each job and each task.
 * Outside of a job or task, reports are dropped.
 *
 * @category services
 */
export const Reporter: Context.Reference<Reporter> = Context.Reference<Reporter>("@fanout/core/Progress/Reporter", {
  defaultValue: () => ({ addUnsafe: () => {}, totalUnsafe: () => {} })
})

/**
 * Adds an amount to the done work of a unit, such as `"bytes"`.
 *
 * **Gotchas**
 *
 * An amount is a number between -2^53 and 2^53; any other fails the task. A sum may be larger, and is then rounded.
 *
 * If an attempt fails, or is stopped without a checkpoint of its own, its amounts are subtracted again. The shown
 * amount never decreases.
 *
 * @category accessors
 */
export const add = (unit: string, amount: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    Context.get(fiber.context, Reporter).addUnsafe(unit, Numbers.amount(`Progress of "${unit}"`, amount))
    return Effect.void
  })

/**
 * Sets the total of a unit, or of the elements for `"items"`.
 *
 * @category accessors
 */
export const total = (unit: string, amount: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    Context.get(fiber.context, Reporter).totalUnsafe(unit, Numbers.size(`The total of "${unit}"`, amount))
    return Effect.void
  })
