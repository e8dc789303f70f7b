/**
 * A task that runs on a thread: all that it finds in its context. Its stop signal reads memory that the owner shares;
 * what it reports is posted.
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
import * as Sums from "../sums.ts"
import { numbered } from "../task/numbered.ts"
import type { Posted, Report } from "./crossing.ts"
import type { ThreadBatch } from "./threadBatch.ts"

/** Reports of a running task are at least so far apart. */
export const reportMillis = 50

export class Attempt implements Interrupter, Cell, Reporter {
  readonly batch: ThreadBatch
  readonly index: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  checkpoint: Schema.Json | undefined
  isEnded = false
  private readonly number: number
  private readonly signal = new Signal()
  /** Has the running task report in `reportMillis`. */
  private readonly reportLater: () => void
  private added: Map<string, number> | undefined = undefined
  private totals: Map<string, number> | undefined = undefined
  private saved: Report["saved"] = undefined
  private reportedAt: number
  private waiting: Array<(effect: Effect.Effect<void>) => void> | undefined = undefined

  constructor(
    batch: ThreadBatch,
    index: number,
    [, , checkpoint, number = 1]: Posted,
    startedAt: number,
    reportLater: () => void
  ) {
    this.batch = batch
    this.index = index
    this.checkpoint = checkpoint
    this.number = number
    this.reportedAt = startedAt
    this.reportLater = reportLater
  }

  /** The context of a handler, with this attempt in it. */
  readonly see = (context: Context.Context<never>): Context.Context<never> => {
    const withStop = Context.add(numbered(context, this.number), Interrupter, this)
    return Context.add(Context.add(Context.add(withStop, Cell, this), Reporter, this), Lease, this.batch)
  }

  // -- the stop signal

  get reason(): Reason | undefined {
    return this.isEnded ? this.signal.reason : this.batch.control.reasonOf(this.index) ?? this.signal.reason
  }

  requestUnsafe(reason: Reason): void {
    this.signal.requestUnsafe(reason)
  }

  onRequestUnsafe(listener: (reason: Reason) => void): () => void {
    // The shared memory tells of a request before its message is there.
    const { reason } = this
    if (reason !== undefined) this.signal.requestUnsafe(reason)
    return this.signal.onRequestUnsafe(listener)
  }

  // -- what the task reports

  addUnsafe(unit: string, amount: number): void {
    this.added ??= new Map()
    Sums.add(this.added, unit, amount)
    this.reportIfDue()
  }

  totalUnsafe(unit: string, total: number): void {
    this.totals ??= new Map()
    this.totals.set(unit, total)
    this.reportIfDue()
  }

  saveUnsafe(checkpoint: Schema.Json, startsOver = false): void {
    this.checkpoint = checkpoint
    // Amounts that are added later are not part of this checkpoint.
    this.saved = startsOver
      ? { checkpoint, added: [], startsOver }
      : { ...this.saved, checkpoint, added: Array.from(Sums.of([this.saved?.added ?? [], this.added ?? []])) }
    this.added = undefined
    this.reportIfDue()
  }

  /** Waits until what was saved is in the store. */
  readonly recorded = Effect.callback<void>((resume) => {
    this.waiting ??= []
    this.waiting.push(resume)
    this.report(true)
  })

  /** Notes an answer of the owner, which answers commits in their order. */
  noteRecorded(): void {
    this.waiting?.shift()?.(Effect.void)
  }

  private reportIfDue(): void {
    if (this.batch.now() - this.reportedAt >= reportMillis) this.report(false)
    else this.reportLater()
  }

  report(commits: boolean): void {
    const report = this.takeReport(commits)
    if (report !== undefined) this.batch.tell({ _tag: "Report", id: this.batch.id, ...report })
  }

  /** What the owner has not been told; nothing where there is no news, unless a commit needs an answer. */
  takeReport(commits: boolean): Report | undefined {
    const { added, index, saved, totals } = this
    const isEmpty = added === undefined && totals === undefined && saved === undefined
    if (this.isEnded || (!commits && isEmpty)) return undefined
    this.added = undefined
    this.totals = undefined
    this.saved = undefined
    this.reportedAt = this.batch.now()
    return {
      index,
      ...added === undefined ? {} : { added: Array.from(added) },
      ...totals === undefined ? {} : { totals: Array.from(totals) },
      ...saved === undefined ? {} : { saved },
      ...commits ? { commits } : {}
    }
  }
}
