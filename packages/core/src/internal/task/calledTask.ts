/**
 * A task whose handler runs elsewhere, on a thread or another machine: the services of the caller, and the caller's
 * wait for the end.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import { Interrupter } from "../../Interrupter.ts"
import { Lease } from "../../Lease.ts"
import { Reporter } from "../../Progress.ts"
import { Cell } from "../../TaskCheckpoint.ts"
import { Attempt } from "./attempt.ts"

type Amounts = ReadonlyArray<readonly [unit: string, amount: number]>

/** News of a task since its last report. A field without news is left out: a million tasks may have a report each. */
export interface News {
  /** The last checkpoint, with the amounts that were added before it: all of them, where the task has begun anew. */
  readonly saved?: { readonly checkpoint: Schema.Json; readonly added: Amounts; readonly startsOver?: true }
  /** The amounts that were added after it. */
  readonly added?: Amounts
  readonly totals?: Amounts
}

export class CalledTask {
  readonly payload: unknown
  readonly interrupter: Interrupter
  readonly reporter: Reporter
  readonly cell: Cell
  readonly lease: Lease
  /** The attempt that has called the handler; none where something else has called it. */
  readonly attempt: Attempt | undefined
  /** Whether a thread may have died of the task. */
  readonly isSuspect: boolean
  removeListener: () => void = () => {}
  isSettled = false
  /** Completes at the end of a task whose fiber was interrupted. */
  ended: Deferred.Deferred<void> | undefined = undefined
  private readonly resume: (end: Effect.Effect<unknown, unknown>) => void

  /** `context` is that of the caller's fiber. */
  constructor(payload: unknown, context: Context.Context<never>, resume: CalledTask["resume"]) {
    this.payload = payload
    this.resume = resume
    this.interrupter = Context.get(context, Interrupter)
    this.reporter = Context.get(context, Reporter)
    this.cell = Context.get(context, Cell)
    this.lease = Context.get(context, Lease)
    this.attempt = this.interrupter instanceof Attempt ? this.interrupter : undefined
    this.isSuspect = this.attempt?.isSuspect ?? false
  }

  /**
   * True while the lease is held and nothing has asked this task to stop. A thread that has stopped the task because of
   * an outdated lease may run it again then.
   */
  get mayGoOn(): boolean {
    const { ended, interrupter, isSettled, lease } = this
    return lease.isHeldUnsafe() && interrupter.reason === undefined && !isSettled && ended === undefined
  }

  /** Takes what the task has reported. */
  note({ added = [], saved, totals = [] }: News): void {
    const { cell, reporter } = this
    if (saved !== undefined) {
      if (saved.startsOver === true) cell.saveUnsafe(saved.checkpoint, true)
      for (const [unit, amount] of saved.added) reporter.addUnsafe(unit, amount)
      cell.saveUnsafe(saved.checkpoint)
    }
    for (const [unit, amount] of added) reporter.addUnsafe(unit, amount)
    for (const [unit, total] of totals) reporter.totalUnsafe(unit, total)
  }

  settle(end: Effect.Effect<unknown, unknown>): void {
    if (this.isSettled) return
    this.isSettled = true
    this.removeListener()
    if (this.ended === undefined) this.resume(end)
    else Deferred.doneUnsafe(this.ended, Exit.void)
  }
}
