/**
 * A task on its worker: it waits until the worker begins it, runs to the end of one attempt, and reports.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Reason } from "../../Interrupter.ts"
import { Lease } from "../../Lease.ts"
import { Linked } from "../chain.ts"
import { Signal } from "../signal.ts"
import { Kept, noUnits, type Units as Amounts } from "../task/kept.ts"
import { type Ending as TaskEnding, type Environment, TaskRun, type Unit } from "../task/taskRun.ts"
import type { HostedLease } from "./hostedLease.ts"
import type { PostedTask, Report, Units } from "./messages.ts"
import type { HostTask } from "./workerHost.ts"

/** Who a task tells of its news. */
export interface Listener {
  /** There is something to report. */
  readonly noteNews: (task: HostedTask) => void
  readonly noteEnd: (task: HostedTask, ending: TaskEnding) => void
}

export class HostedTask extends Linked<HostedTask> {
  readonly id: number
  readonly kind: HostTask
  readonly lease: HostedLease
  readonly session: Listener
  /** Whether the session knows that there is something to report. */
  hasNews = false
  readonly signal = new Signal()
  private readonly lossesBefore: number
  private readonly unit: Unit
  private readonly attempt: number
  private run: TaskRun | undefined = undefined
  /** Amounts that the owner was told, and the checkpoint that it has. */
  private told: Amounts = noUnits
  private toldCheckpoint: PostedTask["saved"] | undefined
  private toldStarts = 0
  private totals: Map<string, number> | undefined = undefined
  /** Commits that wait for the owner's word, and how many of them the owner was told. */
  private readonly commits: Array<(effect: Effect.Effect<void>) => void> = []
  private newCommits = 0

  constructor(
    { attempt = 1, id, saved }: PostedTask,
    payload: unknown,
    kind: HostTask,
    lease: HostedLease,
    session: Listener
  ) {
    super()
    this.id = id
    this.kind = kind
    this.lease = lease
    this.session = session
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

  /** Runs the task once. Its owner tries it again. */
  begin(context: Context.Context<never>, environment: Environment, onEnd: (ending: TaskEnding) => void): void {
    const { kind: { definition }, lease, session, signal } = this
    const run = this.run = new TaskRun(
      {
        run: definition.handle,
        context: Context.add(Context.merge(context, definition.context), Lease, lease),
        options: { ...definition.options, retry: Option.none() },
        tag: definition.tag,
        permits: definition.permits,
        describe: () => `Task "${definition.tag}" of "${definition.options.key(this.unit.payload)}"`,
        parent: signal,
        onChange: () => session.noteNews(this),
        onTotal: (unit, total) => {
          if (!Number.isFinite(total)) return
          this.totals ??= new Map()
          this.totals.set(unit, total)
          session.noteNews(this)
        },
        recorded: Effect.callback<void>((resume) => {
          this.commits.push(resume)
          this.newCommits++
          session.noteNews(this)
        }),
        beginsLater: definition.beginsLater,
        environment,
        // The owner of the job times its tasks.
        times: undefined
      },
      this.unit,
      onEnd
    )
    run.attempts = this.attempt - 1
    run.start()
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
