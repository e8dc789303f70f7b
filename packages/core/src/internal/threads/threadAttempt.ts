/**
 * A task that runs on a thread: its stop signal reads memory that the owner shares, what it reports is posted.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Schema from "effect/Schema"
import { Interrupter, type Reason } from "../../Interrupter.ts"
import { Reporter } from "../../Progress.ts"
import { Cell } from "../../TaskCheckpoint.ts"
import { Signal } from "../signal.ts"
import type { Control } from "./control.ts"
import type { FromThread } from "./crossing.ts"

/** Reports of a running task are at least so far apart, in milliseconds. */
const reportMillis = 50

/** What tasks of a thread have in common. */
export interface Surroundings {
  readonly control: Control
  readonly post: (message: FromThread) => void
  /** Milliseconds since some moment, also within synchronous code. */
  readonly now: () => number
}

/** A task that runs here, as all that it finds in its context. */
export class Attempt implements Interrupter, Cell, Reporter {
  readonly index: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  checkpoint: Schema.Json | undefined
  isEnded = false
  private readonly signal = new Signal()
  private readonly control: Control
  private readonly post: (message: FromThread) => void
  private readonly now: () => number
  private readonly batch: number
  private added = new Map<string, number>()
  private totals = new Map<string, number>()
  private saved: Schema.Json | undefined = undefined
  private reportedAt = 0
  private waiting: Array<(effect: Effect.Effect<void>) => void> = []

  constructor(
    { control, now, post }: Surroundings,
    { batch, checkpoint, index }: {
      readonly batch: number
      readonly index: number
      readonly checkpoint: Schema.Json | undefined
    }
  ) {
    this.control = control
    this.post = post
    this.now = now
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
    this.added.set(unit, (this.added.get(unit) ?? 0) + amount)
    this.reportIfDue()
  }

  totalUnsafe(unit: string, total: number): void {
    this.totals.set(unit, total)
    this.reportIfDue()
  }

  saveUnsafe(checkpoint: Schema.Json): void {
    this.checkpoint = checkpoint
    this.saved = checkpoint
    this.reportIfDue()
  }

  readonly recorded = Effect.callback<void>((resume) => {
    this.waiting.push(resume)
    this.report(true)
  })

  noteRecorded(): void {
    const { waiting } = this
    this.waiting = []
    for (const resume of waiting) resume(Effect.void)
  }

  private reportIfDue(): void {
    if (this.now() - this.reportedAt >= reportMillis) this.report(false)
  }

  /** Tells the owner what there is to tell. */
  report(commits: boolean): void {
    const { added, batch, index, saved, totals } = this
    if (this.isEnded || (!commits && added.size === 0 && totals.size === 0 && saved === undefined)) return
    this.post({
      _tag: "Report",
      id: batch,
      index,
      added,
      totals,
      ...saved === undefined ? {} : { saved },
      commits
    })
    this.added = new Map()
    this.totals = new Map()
    this.saved = undefined
    this.reportedAt = this.now()
  }

  readonly see = (context: Context.Context<never>): Context.Context<never> =>
    Context.add(Context.add(Context.add(context, Interrupter, this), Cell, this), Reporter, this)
}
