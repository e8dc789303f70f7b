/**
 * A task on its worker: it waits until the worker begins it, runs to the end of one attempt, and reports.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Reason } from "../../Interrupter.ts"
import { Linked } from "../chain.ts"
import { Signal } from "../signal.ts"
import { nowMillis } from "../task/deadlines.ts"
import { Kept, noUnits, type Units as Amounts } from "../task/kept.ts"
import { type Ending as TaskEnding, type Environment, TaskRun, type Unit } from "../task/taskRun.ts"
import { AttemptTimer, type Times } from "../task/taskTimes.ts"
import type { HostedLease } from "./hostedLease.ts"
import type { HostSession } from "./hostSession.ts"
import type { PostedTask, Report, Units } from "./messages.ts"
import type { HostTask } from "./workerHost.ts"

export class HostedTask extends Linked<HostedTask> implements Times {
  readonly id: number
  readonly kind: HostTask
  readonly lease: HostedLease
  readonly session: HostSession
  /** Whether the session knows that there is something to report. */
  hasNews = false
  readonly signal = new Signal()
  readonly clock: Clock.Clock
  /** For how long the handler ran, if it did. */
  ranMillis: number | undefined = undefined
  private readonly lossesBefore: number
  private readonly unit: Unit
  private readonly attempt: number
  private run: TaskRun | undefined = undefined
  /** Amounts that the owner was told, and the checkpoint that it has. */
  private told: Amounts = noUnits
  private toldCheckpoint: Schema.Json | undefined
  private toldStarts = 0
  private totals: Map<string, number> | undefined = undefined
  /** Commits that wait for the owner's word, and how many of them the owner was told. */
  private readonly commits: Array<(effect: Effect.Effect<void>) => void> = []
  private newCommits = 0

  constructor(
    [id, , , , { attempt = 1, saved } = {}]: PostedTask,
    payload: unknown,
    kind: HostTask,
    lease: HostedLease,
    session: HostSession,
    clock: Clock.Clock
  ) {
    super()
    this.id = id
    this.kind = kind
    this.lease = lease
    this.session = session
    this.clock = clock
    this.lossesBefore = lease.losses
    this.attempt = attempt
    this.unit = { payload, kept: saved === undefined ? undefined : new Kept(saved) }
    this.toldCheckpoint = saved
  }

  get hasBegun(): boolean {
    return this.run !== undefined
  }

  /** Whether the lease was over at some time since the task came. */
  get hasLostLease(): boolean {
    return this.lease.losses !== this.lossesBefore
  }

  /** Runs the task once. */
  begin(environment: Environment, onEnd: (ending: TaskEnding) => void): void {
    const { kind: { context, definition }, lease, session, signal } = this
    const run = this.run = new TaskRun(
      {
        run: definition.handle,
        context: lease.contextOf(context),
        options: definition.options,
        tag: definition.tag,
        permits: definition.permits,
        describe: () => `Task "${definition.tag}" of "${definition.options.key(this.unit.payload)}"`,
        parent: signal,
        onChange: () => session.noteChange(this),
        onTotal: (unit, total) => {
          if (!Number.isFinite(total)) return
          this.totals ??= new Map()
          this.totals.set(unit, total)
          session.noteChange(this)
        },
        recorded: Effect.callback<void>((resume) => {
          this.commits.push(resume)
          this.newCommits++
          session.noteChange(this)
        }),
        beginsLater: definition.beginsLater,
        environment,
        times: this
      },
      this.unit,
      onEnd
    )
    run.attempts = this.attempt - 1
    run.start()
  }

  ask(): AttemptTimer {
    return new AttemptTimer(this, 1, nowMillis(this.clock))
  }

  /** Notes that the handler ran, once more if its thread was lost. */
  add(_waited: number, ran: number): void {
    this.ranMillis = (this.ranMillis ?? 0) + ran
  }

  /** Asks the task to stop. */
  stop(reason: Reason): void {
    this.signal.requestUnsafe(reason)
  }

  /** Interrupts the fiber of the task. */
  interrupt(): void {
    if (this.signal.reason === undefined) this.signal.requestUnsafe("Cancel")
    this.run?.kill()
  }

  /** Notes that the store has so many more commits of the task. They are answered in their order. */
  noteRecorded(count: number): void {
    for (const resume of this.commits.splice(0, count)) resume(Effect.void)
  }

  /** What the owner was not told yet; nothing where there is no news. */
  takeReport(): Report | undefined {
    const { newCommits: commits, totals, unit: { kept } } = this
    this.hasNews = false
    if (kept === undefined && totals === undefined && commits === 0) return undefined
    const startsOver = kept !== undefined && kept.starts > this.toldStarts
    if (startsOver) this.told = noUnits
    const saved = kept?.checkpoint === undefined || (kept.checkpoint === this.toldCheckpoint && !startsOver)
      ? undefined
      : { checkpoint: kept.checkpoint, added: since(this.told, kept.saved), ...startsOver ? { startsOver } : {} }
    const added = since(saved === undefined ? this.told : kept?.saved ?? noUnits, kept?.units ?? this.told)
    if (saved === undefined && added.length === 0 && totals === undefined && commits === 0) return undefined
    const report: Report = {
      id: this.id,
      ...saved === undefined ? {} : { saved },
      ...added.length > 0 ? { added } : {},
      ...totals === undefined ? {} : { totals: Array.from(totals) },
      ...commits > 0 ? { commits } : {}
    }
    this.told = new Map(kept?.units)
    this.toldCheckpoint = kept?.checkpoint
    this.toldStarts = kept?.starts ?? 0
    this.totals = undefined
    this.newCommits = 0
    return report
  }
}

/** What amounts have grown by; less than 0 where a task has begun once more. JSON has no other numbers than these. */
const since = (before: Amounts, now: Amounts): Units =>
  Array.from(now, ([unit, amount]) => [unit, amount - (before.get(unit) ?? 0)] as const)
    .filter(([, more]) => more !== 0 && Number.isFinite(more))
