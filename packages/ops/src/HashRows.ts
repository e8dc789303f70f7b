/**
 * Gives the rows of a hash job in the order of its source, as soon as they are recorded.
 *
 * @since 0.1.0
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as HashCursor from "./HashCursor.ts"

/** Which numbers there were, one bit for each. */
class Numbers {
  private bits = new Uint8Array(1024)
  /** One more than the highest. */
  end = 0

  add(number: number): void {
    const byte = number >>> 3
    if (byte >= this.bits.length) {
      const bits = new Uint8Array(Math.max(byte + 1, this.bits.length * 2))
      bits.set(this.bits)
      this.bits = bits
    }
    this.bits[byte] = (this.bits[byte] ?? 0) | (1 << (number & 7))
    this.end = Math.max(this.end, number + 1)
  }

  remove(number: number): void {
    const byte = number >>> 3
    this.bits[byte] = (this.bits[byte] ?? 0) & ~(1 << (number & 7))
  }

  has(number: number): boolean {
    return ((this.bits[number >>> 3] ?? 0) & (1 << (number & 7))) !== 0
  }
}

/**
 * Puts rows back into the order of the source.
 *
 * **Details**
 *
 * It holds the rows that come next, of so many elements; of those behind them it only knows that they were there, in
 * one bit each. Their rows have to be read again once it is their turn: `rereadAfter` says from where.
 *
 * A row that comes although its element's turn is over, since the element had failed and was retried, is given last.
 *
 * @category models
 * @since 0.1.0
 */
export class Sorter {
  /**
   * Number of the row behind which rows have to be read again, and go on being read. It holds until rows are added.
   */
  rereadAfter: number | undefined = undefined
  private readonly most: number
  private readonly waiting = new Map<number, OutcomeRow>()
  private readonly late = new Map<number, OutcomeRow>()
  private readonly seen = new Numbers()
  private next = 0
  /** The first row that was left for another time, and the last one that was read. */
  private firstLeft: number | undefined = undefined
  private lastRead = 0
  /** The row that was read last, and up to where reading was when it began anew: until then much may still come. */
  private position = 0
  private rereadTo = 0

  /** `most` is of how many elements rows may be held, those that are still to come included: 16,384 by default. */
  constructor(most = 2 ** 14) {
    this.most = most
  }

  /** Takes rows with their numbers, in the order in which they were recorded, and gives those whose turn it is. */
  add(rows: ReadonlyArray<readonly [seq: number, row: OutcomeRow]>): ReadonlyArray<OutcomeRow> {
    for (const [seq, row] of rows) {
      const isNew = seq > this.lastRead
      this.lastRead = Math.max(this.lastRead, seq)
      const number = HashCursor.numberOf(row.cursor)
      if (number < this.next) {
        if (isNew) this.late.set(number, row)
        continue
      }
      this.seen.add(number)
      if (number < this.next + this.most) this.waiting.set(number, row)
      else this.firstLeft = Math.min(this.firstLeft ?? seq, seq)
    }
    this.position = rows.at(-1)?.[0] ?? this.position
    return this.take(false)
  }

  /**
   * Says that all rows were read and no more come, so that nothing is waited for. Gives those whose turn it is then:
   * the rest of them, unless some have to be read again.
   */
  end(): ReadonlyArray<OutcomeRow> {
    const given = this.take(true)
    if (this.rereadAfter !== undefined) return given
    const late = Array.from(this.late).toSorted(([a], [b]) => a - b).map(([, row]) => row)
    this.late.clear()
    return [...given, ...late]
  }

  private take(isOver: boolean): ReadonlyArray<OutcomeRow> {
    const given: Array<OutcomeRow> = []
    this.rereadAfter = undefined
    for (; this.next < this.seen.end; this.next++) {
      const row = this.waiting.get(this.next)
      if (row !== undefined) {
        this.waiting.delete(this.next)
        given.push(row)
      } else if (
        this.firstLeft !== undefined && this.seen.has(this.next) && (isOver || this.position >= this.rereadTo)
      ) {
        this.rereadAfter = this.firstLeft - 1
        this.rereadTo = this.lastRead
        this.firstLeft = undefined
        // One that is not found then was removed by a retry.
        this.seen.remove(this.next)
        break
      } else if (!isOver) break
    }
    return given
  }
}
