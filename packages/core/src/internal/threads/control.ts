/**
 * Memory that a thread shares with its owner: who has which task of a batch that it was given, and which must stop.
 *
 * Both sides read and write it at any time, also while the thread is inside of synchronous code. A task is claimed by
 * compare-and-set, so that it either runs there or is taken back, never both.
 */
import type { Reason } from "../../Interrupter.ts"

const pending = 0
const running = 1
const finished = 2
const revoked = 3

const reasons: ReadonlyArray<Reason> = ["Pause", "Cancel", "Shutdown", "LeaseLost", "Timeout", "Sibling"]

export class Control {
  /** States of the tasks, then their reasons to stop. */
  private readonly cells: Int32Array
  private readonly size: number

  /** What belongs to one of the two batches that a thread may have, which are numbered one after the other. */
  constructor(shared: SharedArrayBuffer, batch: number) {
    const bytes = shared.byteLength / 2
    this.cells = new Int32Array(shared, (batch % 2) * bytes, bytes / Int32Array.BYTES_PER_ELEMENT)
    this.size = this.cells.length / 2
  }

  /** Memory for two batches of so many tasks. */
  static allocate(size: number): SharedArrayBuffer {
    return new SharedArrayBuffer(size * 4 * Int32Array.BYTES_PER_ELEMENT)
  }

  // -- the owner

  /** Gives a cell to a task that is about to be posted. No task is left of the batch that had it before. */
  prepare(index: number): void {
    Atomics.store(this.cells, this.size + index, 0)
    Atomics.store(this.cells, index, pending)
  }

  /** Takes a task back; false if it was claimed before. */
  revoke(index: number): boolean {
    return Atomics.compareExchange(this.cells, index, pending, revoked) === pending
  }

  isPending(index: number): boolean {
    return Atomics.load(this.cells, index) === pending
  }

  isRunning(index: number): boolean {
    return Atomics.load(this.cells, index) === running
  }

  request(index: number, reason: Reason): void {
    Atomics.store(this.cells, this.size + index, reasons.indexOf(reason) + 1)
  }

  // -- the thread

  claim(index: number): boolean {
    return Atomics.compareExchange(this.cells, index, pending, running) === pending
  }

  finish(index: number): void {
    Atomics.store(this.cells, index, finished)
  }

  reasonOf(index: number): Reason | undefined {
    return reasons[Atomics.load(this.cells, this.size + index) - 1]
  }
}
