/**
 * Memory that a thread shares with its owner: the state of each task of a batch, the reason why a task must stop, and
 * until when the job is surely owned.
 *
 * Both sides read and write at any time, also while the thread is in synchronous code. A task is claimed by
 * compare-and-set, so it either runs on the thread or is taken back, never both.
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

/** Two words of 64 bits, before the cells of a batch. */
const leaseBytes = 16

export class Control {
  /** State and reason to stop of each task. */
  private readonly cells: Int32Array
  /** Until when the lease is held: nanoseconds of the monotonic clock, microseconds of the wall clock. */
  private readonly lease: BigInt64Array

  /** A thread has two batches at most, and these have consecutive numbers. So each takes half of the memory. */
  constructor(shared: SharedArrayBuffer, batch: number) {
    const bytes = shared.byteLength / 2
    const start = (batch % 2) * bytes
    this.lease = new BigInt64Array(shared, start, 2)
    this.cells = new Int32Array(shared, start + leaseBytes, (bytes - leaseBytes) / Int32Array.BYTES_PER_ELEMENT)
  }

  /** Memory for two batches of up to `size` tasks. */
  static allocate(size: number): SharedArrayBuffer {
    return new SharedArrayBuffer(2 * (leaseBytes + size * 2 * Int32Array.BYTES_PER_ELEMENT))
  }

  // -- the owner

  /** Sets the cell of a task that is about to be posted. No task of the batch that had this half before is left. */
  prepare(index: number): void {
    Atomics.store(this.cells, 2 * index + 1, 0)
    Atomics.store(this.cells, 2 * index, pending)
  }

  /** Takes a task back; false if it was claimed before. */
  revoke(index: number): boolean {
    return Atomics.compareExchange(this.cells, 2 * index, pending, revoked) === pending
  }

  isPending(index: number): boolean {
    return Atomics.load(this.cells, 2 * index) === pending
  }

  isRunning(index: number): boolean {
    return Atomics.load(this.cells, 2 * index) === running
  }

  request(index: number, reason: Reason): void {
    Atomics.store(this.cells, 2 * index + 1, reasons.indexOf(reason) + 1)
  }

  /** Tells until when the job of the batch is surely owned. */
  holdUntil({ monotonicNanos, wallMillis }: Instant): void {
    Atomics.store(this.lease, 0, monotonicNanos)
    Atomics.store(this.lease, 1, BigInt(Math.trunc(wallMillis * 1000)))
  }

  // -- the thread

  heldUntil(): Instant {
    return { monotonicNanos: Atomics.load(this.lease, 0), wallMillis: Number(Atomics.load(this.lease, 1)) / 1000 }
  }

  claim(index: number): boolean {
    return Atomics.compareExchange(this.cells, 2 * index, pending, running) === pending
  }

  finish(index: number): void {
    Atomics.store(this.cells, 2 * index, finished)
  }

  reasonOf(index: number): Reason | undefined {
    return reasons[Atomics.load(this.cells, 2 * index + 1) - 1]
  }
}
