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
import * as PairCursor from "./internal/verify/pairCursor.ts"
import { EntryFailed } from "./internal/verify/verifyEntry.ts"

const placeOf = (cursor: string): PairCursor.PairCursor =>
  Option.getOrElse(
    PairCursor.parse(cursor),
    () => ({ path: FilePath.empty, side: "end" as const, apart: Option.none() })
  )

interface Placed {
  readonly place: PairCursor.PairCursor
}

interface Waiting extends Placed {
  readonly row: OutcomeRow
}

const byPlace = Order.mapInput(PairCursor.order, ({ place }: Placed) => place)

/** How many of what is sorted are in: all before the first that is not. */
const countOf = (sorted: ReadonlyArray<Waiting>, isIn: (place: PairCursor.PairCursor) => boolean): number => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = sorted[middle]
    if (at !== undefined && isIn(at.place)) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Puts rows into the order of the walk.
 *
 * **Gotchas**
 *
 * It keeps what comes behind an element that is not settled yet: a large file that takes as long as all others keeps
 * all of their rows.
 *
 * @category models
 * @since 0.1.0
 */
export class Sorter {
  private readonly waiting: Array<Waiting> = []
  private first: string | undefined

  /** Takes the rows that were recorded next. */
  add(rows: ReadonlyArray<OutcomeRow>): void {
    const fresh = rows.map((row) => ({ row, place: placeOf(row.cursor) })).toSorted(byPlace)
    const [next] = fresh
    if (next === undefined) return
    // Rows are recorded nearly in order, so there are few behind the first of them.
    const behind = this.waiting.splice(this.countUpTo(next.place))
    for (const one of [...behind, ...fresh].toSorted(byPlace)) this.waiting.push(one)
  }

  /**
   * Gives those that nothing can come before any more, by a frontier that was read before the rows were. Each
   * frontier is a later one than those before it.
   */
  take({ last, unsettled }: Frontier.Frontier): ReadonlyArray<OutcomeRow> {
    // As long as the same one is the first, all before it were given.
    if (this.first !== undefined && unsettled.includes(this.first)) return []
    const [first] = unsettled.map((cursor) => ({ cursor, place: placeOf(cursor) })).toSorted(byPlace)
    this.first = first?.cursor
    if (first !== undefined) {
      return this.giveFirst(countOf(this.waiting, (place) => PairCursor.order(place, first.place) < 0))
    }
    return Option.isNone(last) ? [] : this.giveFirst(this.countUpTo(placeOf(last.value)))
  }

  /** Gives what is left, once the job rests. */
  get rest(): ReadonlyArray<OutcomeRow> {
    return this.giveFirst(this.waiting.length)
  }

  private countUpTo(end: PairCursor.PairCursor): number {
    const last = this.waiting.at(-1)
    return last === undefined || PairCursor.order(last.place, end) <= 0
      ? this.waiting.length
      : countOf(this.waiting, (place) => PairCursor.order(place, end) <= 0)
  }

  private giveFirst(count: number): ReadonlyArray<OutcomeRow> {
    return count === 0 ? [] : this.waiting.splice(0, count).map(({ row }) => row)
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

const decode = Schema.decodeUnknownOption(Schema.toCodecJson(EntryFailed))

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
