/**
 * Memory that a thread shares with its owner: who has which task of a batch that it was given, which must stop, and how
 * long the job is surely the owner's.
 *
 * Both sides read and write it at any time, also while the thread is inside of synchronous code. A task is claimed by
 * compare-and-set, so that it either runs there or is taken back, never both.
 */
import type { Reason } from "../../Interrupter.ts"
import type { Instant } from "../../Lease.ts"

const pending = 0
const running = 1
const finished = 2
const revoked = 3

const reasons: ReadonlyArray<Reason> = ["Pause", "Cancel", "Shutdown", "LeaseLost", "Timeout", "Sibling"]

/** An instant that never comes. */
export const forEver: Instant = { monotonicNanos: 2n ** 62n, wallMillis: 2 ** 52 }

/** Two words of 64 bits before the cells of a batch. */
const leaseBytes = 16

export class Control {
  /** States of the tasks, then their reasons to stop. */
  private readonly cells: Int32Array
  private readonly size: number
  /** Until when the lease is held: nanoseconds of the monotonic clock, microseconds of the wall clock. */
  private readonly lease: BigInt64Array

  /** What belongs to one of the two batches that a thread may have, which are numbered one after the other. */
  constructor(shared: SharedArrayBuffer, batch: number) {
    const bytes = shared.byteLength / 2
    const start = (batch % 2) * bytes
    this.lease = new BigInt64Array(shared, start, leaseBytes / BigInt64Array.BYTES_PER_ELEMENT)
    this.cells = new Int32Array(shared, start + leaseBytes, (bytes - leaseBytes) / Int32Array.BYTES_PER_ELEMENT)
    this.size = this.cells.length / 2
  }

  /** Memory for two batches of so many tasks. */
  static allocate(size: number): SharedArrayBuffer {
    return new SharedArrayBuffer(2 * (leaseBytes + size * 2 * Int32Array.BYTES_PER_ELEMENT))
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

  /** Says how long the job of the batch is surely the owner's. */
  holdUntil({ monotonicNanos, wallMillis }: Instant): void {
    Atomics.store(this.lease, 0, monotonicNanos)
    Atomics.store(this.lease, 1, BigInt(Math.trunc(wallMillis * 1000)))
  }

  // -- the thread

  heldUntil(): Instant {
    return { monotonicNanos: Atomics.load(this.lease, 0), wallMillis: Number(Atomics.load(this.lease, 1)) / 1000 }
  }

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
