/**
 * Gives the differences that a comparison has recorded in the order of its walk, as soon as nothing can come before
 * them any more.
 *
 * @since 0.1.0
 */
import type * as Frontier from "@fanout/core/Frontier"
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import type { Difference } from "./Difference.ts"
import * as FilePath from "./FilePath.ts"
import * as PairCursor from "./PairCursor.ts"
import { EntryDiffers } from "./VerifyEntry.ts"

const placeOf = (cursor: string): PairCursor.PairCursor =>
  Option.getOrElse(
    PairCursor.parse(cursor),
    () => ({ path: FilePath.empty, side: "end" as const, apart: Option.none() })
  )

/**
 * Puts rows into the order of the walk.
 *
 * @category models
 * @since 0.1.0
 */
export class Sorter {
  private waiting: Array<{ readonly row: OutcomeRow; readonly place: PairCursor.PairCursor }> = []

  /** Takes the rows that were recorded next. */
  add(rows: ReadonlyArray<OutcomeRow>): void {
    for (const row of rows) this.waiting.push({ row, place: placeOf(row.cursor) })
  }

  /** Gives those that nothing can come before any more, by a frontier that was read before the rows were. */
  take({ last, unsettled }: Frontier.Frontier): ReadonlyArray<OutcomeRow> {
    const first = unsettled.map(placeOf).reduce<PairCursor.PairCursor | undefined>(
      (first, place) => first === undefined || PairCursor.order(place, first) < 0 ? place : first,
      undefined
    )
    if (first !== undefined) return this.takeIf((place) => PairCursor.order(place, first) < 0)
    if (Option.isNone(last)) return []
    const end = placeOf(last.value)
    return this.takeIf((place) => PairCursor.order(place, end) <= 0)
  }

  /** Gives what is left, once the job rests. */
  get rest(): ReadonlyArray<OutcomeRow> {
    return this.takeIf(() => true)
  }

  private takeIf(isIn: (place: PairCursor.PairCursor) => boolean): ReadonlyArray<OutcomeRow> {
    const taken = this.waiting.filter(({ place }) => isIn(place))
    if (taken.length > 0) this.waiting = this.waiting.filter(({ place }) => !isIn(place))
    const byPlace = Order.mapInput(PairCursor.order, ({ place }: typeof taken[number]) => place)
    return taken.toSorted(byPlace).map(({ row }) => row)
  }
}

/**
 * A difference that was recorded, and where. `difference` is `None` where something else has gone wrong.
 *
 * @category models
 * @since 0.1.0
 */
export interface Line {
  /** Path under both trees; empty for the trees themselves. */
  readonly path: FilePath.FilePath
  readonly difference: Option.Option<Difference>
  readonly why: string
}

const decode = Schema.decodeUnknownOption(Schema.toCodecJson(EntryDiffers))

/**
 * Reads the difference from a row; `None` where there is none, as of what was skipped.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lineOf = ({ cursor, outcome }: OutcomeRow): Option.Option<Line> => {
  if (outcome._tag !== "Failed") return Option.none()
  const { failure } = outcome
  const error = failure._tag === "Error" ? decode(failure.error) : Option.none()
  return Option.some({
    path: placeOf(cursor).path,
    difference: Option.map(error, ({ difference }) => difference),
    why: Outcome.message(failure)
  })
}
