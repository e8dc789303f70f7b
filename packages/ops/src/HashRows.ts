/**
 * Gives the rows of a hash job in the order of its source, as soon as they are recorded.
 *
 * @since 0.1.0
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as HashCursor from "./HashCursor.ts"

/**
 * Puts rows back into the order of the source.
 *
 * **Gotchas**
 *
 * It keeps what comes behind a file that is not recorded yet: a large file that takes as long as all others keeps them
 * all. So does one that had failed and was retried, until the end.
 *
 * @category models
 * @since 0.1.0
 */
export class Sorter {
  private readonly waiting = new Map<number, OutcomeRow>()
  private next = 0

  /** Takes the rows that were recorded next, and gives those whose turn it is. */
  add(rows: ReadonlyArray<OutcomeRow>): ReadonlyArray<OutcomeRow> {
    const sorted: Array<OutcomeRow> = []
    for (const row of rows) this.waiting.set(HashCursor.numberOf(row.cursor), row)
    for (let row = this.waiting.get(this.next); row !== undefined; row = this.waiting.get(++this.next)) {
      this.waiting.delete(this.next)
      sorted.push(row)
    }
    return sorted
  }

  /** Gives what is left, once the job is over. */
  get rest(): ReadonlyArray<OutcomeRow> {
    const left = Array.from(this.waiting).toSorted(([a], [b]) => a - b).map(([, row]) => row)
    this.waiting.clear()
    return left
  }
}
