/**
 * A task that runs on a thread: its stop signal reads memory that the owner shares, what it reports is posted.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Schema from "effect/Schema"
import { Interrupter, type Reason } from "../../Interrupter.ts"
import { Lease } from "../../Lease.ts"
import { Reporter } from "../../Progress.ts"
import { Cell } from "../../TaskCheckpoint.ts"
import { Signal } from "../signal.ts"
import type { Amounts, FromThread, Report } from "./crossing.ts"
import type { Control } from "./sharedMemory.ts"

/** Reports of a running task are at least so far apart, in milliseconds. */
export const reportMillis = 50

/** What tasks of a thread have in common. */
export interface Surroundings {
  readonly post: (message: FromThread) => void
  /** Milliseconds since some moment, also within synchronous code. */
  readonly now: () => number
  /** Has the task that runs then tell what it has to, a while from now. */
  readonly reportLater: () => void
}

/** A task that runs here, as all that it finds in its context. */
export class Attempt implements Interrupter, Cell, Reporter {
  readonly index: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  checkpoint: Schema.Json | undefined
  isEnded = false
  private readonly signal = new Signal()
  private readonly control: Control
  private readonly lease: Lease
  private readonly post: (message: FromThread) => void
  private readonly now: () => number
  private readonly reportLater: () => void
  private readonly batch: number
  private added: Map<string, number> | undefined = undefined
  private totals: Map<string, number> | undefined = undefined
  private saved: Report["saved"] = undefined
  private reportedAt: number
  private waiting: Array<(effect: Effect.Effect<void>) => void> | undefined = undefined

  constructor(
    { now, post, reportLater }: Surroundings,
    { batch, checkpoint, control, index, lease, startedAt }: {
      readonly batch: number
      readonly lease: Lease
      readonly control: Control
      readonly index: number
      readonly checkpoint: Schema.Json | undefined
      readonly startedAt: number
    }
  ) {
    this.control = control
    this.lease = lease
    this.post = post
    this.now = now
    this.reportLater = reportLater
    this.reportedAt = startedAt
    this.batch = batch
    this.index = index
    this.checkpoint = checkpoint
  }

  get reason(): Reason | undefined {
    return this.isEnded ? this.signal.reason : this.control.reasonOf(this.index) ?? this.signal.reason
  }

  requestUnsafe(reason: Reason): void {
    this.signal.requestUnsafe(reason)
  }

  onRequestUnsafe(listener: (reason: Reason) => void): () => void {
    // One that comes too late for the message is told by what is shared.
    const { reason } = this
    if (reason !== undefined) this.signal.requestUnsafe(reason)
    return this.signal.onRequestUnsafe(listener)
  }

  addUnsafe(unit: string, amount: number): void {
    this.added ??= new Map()
    this.added.set(unit, (this.added.get(unit) ?? 0) + amount)
    this.reportIfDue()
  }

  totalUnsafe(unit: string, total: number): void {
    this.totals ??= new Map()
    this.totals.set(unit, total)
    this.reportIfDue()
  }

  saveUnsafe(checkpoint: Schema.Json): void {
    this.checkpoint = checkpoint
    // What is added from here on is not part of what the checkpoint stands for.
    this.saved = { checkpoint, added: addUp(this.saved?.added ?? [], this.added ?? []) }
    this.added = undefined
    this.reportIfDue()
  }

  readonly recorded = Effect.callback<void>((resume) => {
    this.waiting ??= []
    this.waiting.push(resume)
    this.report(true)
  })

  /** The oldest commit that waits is recorded: the owner answers each, in their order. */
  noteRecorded(): void {
    this.waiting?.shift()?.(Effect.void)
  }

  private reportIfDue(): void {
    if (this.now() - this.reportedAt >= reportMillis) this.report(false)
    else this.reportLater()
  }

  /** Tells the owner what there is to tell. */
  report(commits: boolean): void {
    const report = this.takeReport(commits)
    if (report !== undefined) this.post({ _tag: "Report", id: this.batch, ...report })
  }

  /** What there is to tell. */
  takeReport(commits: boolean): Report | undefined {
    const { added, index, saved, totals } = this
    const isEmpty = added === undefined && totals === undefined && saved === undefined
    if (this.isEnded || (!commits && isEmpty)) return undefined
    this.added = undefined
    this.totals = undefined
    this.saved = undefined
    this.reportedAt = this.now()
    return {
      index,
      ...added === undefined ? {} : { added: Array.from(added) },
      ...totals === undefined ? {} : { totals: Array.from(totals) },
      ...saved === undefined ? {} : { saved },
      ...commits ? { commits } : {}
    }
  }

  readonly see = (context: Context.Context<never>): Context.Context<never> => {
    const seen = Context.add(Context.add(Context.add(context, Interrupter, this), Cell, this), Reporter, this)
    return Context.add(seen, Lease, this.lease)
  }
}

const addUp = (left: Amounts, right: Iterable<readonly [string, number]>): Amounts => {
  const sums = new Map(left)
  for (const [unit, amount] of right) sums.set(unit, (sums.get(unit) ?? 0) + amount)
  return Array.from(sums)
}
