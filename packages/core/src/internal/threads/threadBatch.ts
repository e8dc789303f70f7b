/**
 * A batch of tasks on its thread: the lease of its job, and the endings that the owner does not know yet.
 */
import type * as Clock from "effect/Clock"
import * as Option from "effect/Option"
import * as Transferable from "effect/workers/Transferable"
import type { JobId } from "../../JobId.ts"
import type { Instant, Lease } from "../../Lease.ts"
import { type Batch, defect, type Ended, type Ending, type FromThread, type Report } from "./crossing.ts"
import { Control } from "./sharedMemory.ts"
import type { Port } from "./threadSpawner.ts"

/** For so long endings wait for those that follow. */
const postMillis = 2

/** How a thread is connected to its owner. */
export interface Link {
  readonly shared: SharedArrayBuffer
  readonly port: Port
  readonly clock: Clock.Clock
}

export class ThreadBatch implements Lease {
  readonly id: number
  readonly control: Control
  readonly job: Option.Option<JobId>
  readonly token: number
  /** Whether the running task has seen that the lease is over. */
  isLost = false
  /** Whether all tasks have ended: the memory of the batch is another one's then. */
  isOver = false
  /** What endings have to move instead of copying it. */
  readonly transfers = Transferable.makeCollectorUnsafe()
  private readonly link: Link
  private postedAt: number
  private indexes: Array<number> = []
  private endings: Array<Ending> = []
  private times: Array<number> = []
  private reports: Array<Report> = []

  constructor({ id, lease: [job, token] }: Batch, link: Link) {
    this.id = id
    this.control = new Control(link.shared, id)
    this.job = Option.fromNullOr(job)
    this.token = token
    this.link = link
    this.postedAt = this.now()
  }

  /** Milliseconds since some moment, the same for the whole machine; they also pass within synchronous code. */
  now(): number {
    return Number(this.link.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  tell(message: FromThread): void {
    this.link.port.postUnsafe(message)
  }

  // -- the lease, by clocks that are the same for the whole machine

  isHeldUnsafe(): boolean {
    if (this.isOver) return false
    const { monotonicNanos, wallMillis } = this.control.heldUntil()
    const { clock } = this.link
    this.isLost ||= clock.monotonicTimeNanosUnsafe() >= monotonicNanos || clock.currentTimeMillisUnsafe() >= wallMillis
    return !this.isLost
  }

  heldUntilUnsafe(): Option.Option<Instant> {
    return Option.some(this.control.heldUntil())
  }

  // -- the endings

  add(index: number, ending: Ending, begunAt: number, endedAt: number, report: Report | undefined): void {
    this.indexes.push(index)
    this.endings.push(ending)
    this.times.push(begunAt, endedAt)
    if (report !== undefined) this.reports.push(report)
  }

  /** Leaves out time that was not spent on tasks of the batch. */
  leaveOut(millis: number): void {
    this.postedAt += millis
  }

  postIfDue(now: number): void {
    if (now - this.postedAt >= postMillis) this.post(now, false)
  }

  post(now: number, isLast: boolean): void {
    const { endings, id, indexes, postedAt, reports, times } = this
    if (indexes.length === 0 && !isLast) return
    const ended: Ended = { _tag: "Ended", id, indexes, endings, times, millis: now - postedAt, isLast }
    const message = reports.length > 0 ? { ...ended, reports } : ended
    try {
      this.link.port.postUnsafe(message, Array.from(new Set(this.transfers.clearUnsafe())))
    } catch {
      // An ending that can't be copied is a defect of its own task.
      this.tell({ ...message, endings: endings.map(copied) })
    }
    this.indexes = []
    this.endings = []
    this.times = []
    this.reports = []
    this.postedAt = now
  }
}

const copied = (ending: Ending): Ending => {
  try {
    return structuredClone(ending)
  } catch (error) {
    return defect(error)
  }
}
