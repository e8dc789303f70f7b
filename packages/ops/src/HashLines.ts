/**
 * Gives what a hash job has come to in the order of its walk, as soon as that is recorded.
 *
 * @since 0.1.0
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Hash from "./Hash.ts"
import { Hashed } from "./HashFile.ts"
import * as TreeCursor from "./TreeCursor.ts"

const decodeHashed = Schema.decodeUnknownOption(Schema.toCodecJson(Hashed))

/**
 * What one file came to; `hashed` is `None` where it failed or was skipped.
 *
 * @category models
 * @since 0.1.0
 */
export interface Line {
  readonly row: OutcomeRow
  /** Which of the sources it is in, and where. */
  readonly place: Pick<TreeCursor.TreeCursor, "source" | "path">
  readonly hashed: Option.Option<typeof Hashed.Type>
}

/**
 * Puts rows back into the order of the walk.
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
  private readonly waiting = new Map<number, Line>()
  private next = 0

  /** Takes the rows that were recorded next, and gives those whose turn it is. */
  add(rows: ReadonlyArray<OutcomeRow>): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    for (const row of rows) {
      const { outcome } = row
      const place = Option.getOrThrow(TreeCursor.parse(Hash.placeOf(row.cursor)))
      const hashed = outcome._tag === "Done" ? decodeHashed(outcome.value) : Option.none()
      this.waiting.set(Hash.numberOf(row.cursor), { row, place, hashed })
      this.take(lines)
    }
    return lines
  }

  /** Gives what is left, once the job is over. */
  get rest(): ReadonlyArray<Line> {
    const left = Array.from(this.waiting).toSorted(([a], [b]) => a - b).map(([, line]) => line)
    this.waiting.clear()
    return left
  }

  private take(lines: Array<Line>): void {
    for (let line = this.waiting.get(this.next); line !== undefined; line = this.waiting.get(++this.next)) {
      this.waiting.delete(this.next)
      lines.push(line)
    }
  }
}
