/**
 * Gives what the rows of a job tell, one that hashes for one, in the order of its source, as soon as they are recorded.
 */
import type { OutcomeRow } from "@fanout/core/JobStore"

/** Which numbers there were, one bit for each. */
class Numbers {
  private bits = new Uint8Array(1024)
  /** One more than the highest. */
  end = 0

  /** Adds the first of so many. */
  add(number: number, count: number): void {
    const byte = number >>> 3
    if (byte >= this.bits.length) {
      const bits = new Uint8Array(Math.max(byte + 1, this.bits.length * 2))
      bits.set(this.bits)
      this.bits = bits
    }
    this.bits[byte] = (this.bits[byte] ?? 0) | (1 << (number & 7))
    this.end = Math.max(this.end, number + count)
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
 * What a row tells of one thing, or of so many that follow one another; `number` is the place of the first in the order
 * of the source, from 0 on.
 *
 * @category models
 */
export interface Line {
  readonly number: number
  readonly count?: number
  /** Where it comes among those that have no place in that order, and come last; empty for others. */
  readonly latePlace?: string
}

const byPlace = (a: Line, b: Line): number =>
  a.number === b.number ? (a.latePlace ?? "") < (b.latePlace ?? "") ? -1 : 1 : a.number - b.number

/**
 * Puts lines back into the order of the source.
 *
 * **Details**
 *
 * It holds the lines that come next, so many of them; of those behind them it only knows that they were there, in
 * one bit each. Their rows have to be read again once it is their turn: `rereadAfter` says from where.
 *
 * A line that comes although its turn is over, since it had failed and was retried, is given last.
 *
 * @category models
 */
export class Sorter<L extends Line> {
  /**
   * Number of the row behind which rows have to be read again, and go on being read. It holds until rows are added.
   */
  rereadAfter: number | undefined = undefined
  private readonly linesOf: (row: OutcomeRow) => ReadonlyArray<L>
  private readonly most: number
  private readonly waiting = new Map<number, L>()
  private readonly late = new Map<string, L>()
  private readonly seen = new Numbers()
  private next = 0
  /** The first row that was left for another time, and the last one that was read. */
  private firstLeft: number | undefined = undefined
  private lastRead = 0
  /** The row that was read last, and up to where reading was when it began anew: until then much may still come. */
  private position = 0
  private rereadTo = 0

  /** `most` is of how many things lines may be held, those that are still to come included: 16,384 by default. */
  constructor(linesOf: (row: OutcomeRow) => ReadonlyArray<L>, most = 2 ** 14) {
    this.linesOf = linesOf
    this.most = most
  }

  /** Takes rows with their numbers, in the order in which they were recorded, and gives the lines whose turn it is. */
  add(rows: ReadonlyArray<readonly [seq: number, row: OutcomeRow]>): ReadonlyArray<L> {
    for (const [seq, row] of rows) {
      const isNew = seq > this.lastRead
      this.lastRead = Math.max(this.lastRead, seq)
      for (const line of this.linesOf(row)) this.addLine(line, seq, isNew)
    }
    this.position = rows.at(-1)?.[0] ?? this.position
    return this.take(false)
  }

  private addLine(line: L, seq: number, isNew: boolean): void {
    const { count = 1, latePlace = "", number } = line
    if (latePlace !== "" || number < this.next) {
      if (isNew) this.late.set(`${number} ${latePlace}`, line)
      return
    }
    this.seen.add(number, count)
    if (number < this.next + this.most) this.waiting.set(number, line)
    else this.firstLeft = Math.min(this.firstLeft ?? seq, seq)
  }

  /**
   * Says that all rows were read and no more come, so that nothing is waited for. Gives those whose turn it is then:
   * the rest of them, unless some have to be read again.
   */
  end(): ReadonlyArray<L> {
    const given = this.take(true)
    if (this.rereadAfter !== undefined) return given
    const late = Array.from(this.late.values()).toSorted(byPlace)
    this.late.clear()
    return [...given, ...late]
  }

  private take(isOver: boolean): ReadonlyArray<L> {
    const given: Array<L> = []
    this.rereadAfter = undefined
    while (this.next < this.seen.end) {
      const line = this.waiting.get(this.next)
      if (line !== undefined) {
        this.waiting.delete(this.next)
        given.push(line)
        this.next += line.count ?? 1
      } else if (
        this.firstLeft !== undefined && this.seen.has(this.next) && (isOver || this.position >= this.rereadTo)
      ) {
        this.rereadAfter = this.firstLeft - 1
        this.rereadTo = this.lastRead
        this.firstLeft = undefined
        // One that is not found then was removed by a retry.
        this.seen.remove(this.next)
        break
      } else if (isOver) {
        this.next++
      } else {
        break
      }
    }
    return given
  }
}
