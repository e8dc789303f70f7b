/**
 * Memory that a thread shares with its owner: who has which task of the batch that it was given, and which must stop.
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
  readonly buffer: SharedArrayBuffer
  /** States of the tasks, then their reasons to stop. */
  private readonly cells: Int32Array
  private readonly size: number

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.cells = new Int32Array(buffer)
    this.size = this.cells.length / 2
  }

  static make(size: number): Control {
    return new Control(new SharedArrayBuffer(size * 2 * Int32Array.BYTES_PER_ELEMENT))
  }

  // -- the owner

  /** Gives a cell to a task that is about to be posted. No task of the batch before it is left. */
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
