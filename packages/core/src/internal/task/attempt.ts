/**
 * One attempt of a task. An attempt is a fiber, and supplies the services that the task finds in the context.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Schema from "effect/Schema"
import { Interrupter } from "../../Interrupter.ts"
import { Reporter } from "../../Progress.ts"
import { SpanRatio } from "../../Task.ts"
import { Cell } from "../../TaskCheckpoint.ts"
import { Signal } from "../signal.ts"
import type { Deadline } from "./deadlines.ts"
import { Kept } from "./kept.ts"
import { numbered } from "./numbered.ts"
import { CurrentSlot, type Slot } from "./slot.ts"
import type { TaskRun, Work } from "./taskRun.ts"
import type { AttemptTimer } from "./taskTimes.ts"

/** Time from the interruption of a fiber that does not end to a warning. */
const overdueMillis = 10_000
/** Time from the interruption of a fiber that does not end to the forced end of the attempt. */
const abandonedMillis = 60_000

/** Spans that attempts may still open. Each attempt adds its `SpanRatio`, and each span takes 1 away. */
let spans = 0

/** The stop signal, progress reporter, checkpoint cell and permit slot of an attempt. */
export class Attempt extends Signal implements Cell, Reporter, Slot {
  readonly work: Work
  readonly weight: number
  held = true
  waiting = 0
  giveUp: Slot["giveUp"] = undefined
  closed = false
  timedOut = false
  /** A defect of a stop listener, or the reason why the runtime gave the fiber up. */
  died: Cause.Cause<never> | undefined = undefined
  private readonly task: TaskRun
  private readonly timer: AttemptTimer | undefined
  private fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private onEnd: (exit: Exit.Exit<unknown, unknown>) => void = () => {}
  private isKilled = false
  private timeout: Deadline | undefined = undefined
  private grace: Deadline | undefined = undefined

  constructor(work: Work, task: TaskRun, weight: number, timer: AttemptTimer | undefined) {
    super(work.parent)
    this.work = work
    this.weight = weight
    this.task = task
    this.timer = timer
    task.unit.kept?.restart()
    if (!work.beginsLater) this.begin()
  }

  /** Runs the attempt. `onEnd` has to give the permits back. */
  run(onEnd: (exit: Exit.Exit<unknown, unknown>) => void): void {
    const { context, run } = this.work
    this.onEnd = onEnd
    const effect = Effect.suspend(() => run(this.task.unit.payload))
    const withStop = Context.add(Context.add(numbered(context, this.number), Interrupter, this), CurrentSlot, this)
    const withServices = Context.add(Context.add(withStop, Cell, this), Reporter, this)
    const fiber = Effect.runForkWith(withServices)(this.maybeTraced(effect))
    this.fiber = fiber
    if (this.isKilled) fiber.interruptUnsafe()
    fiber.addObserver(this.end)
  }

  private maybeTraced(effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> {
    const { context, tag } = this.work
    const ratio = Context.get(context, SpanRatio)
    if (ratio > 0) spans = Math.min(spans + ratio, 2)
    if (spans < 1) return effect
    spans--
    return Effect.suspend(() => Effect.withSpan(effect, `fanout.task ${tag}`, { attributes: { task: this.described } }))
  }

  /** Names the task, also where the key of its payload can't be told. */
  private get described(): string {
    const { describe, tag } = this.work
    try {
      return describe(this.task.unit.payload)
    } catch {
      return `Task "${tag}"`
    }
  }

  private readonly end = (exit: Exit.Exit<unknown, unknown>): void => {
    if (this.closed) return
    this.close()
    this.onEnd(exit)
  }

  kill(): void {
    this.isKilled = true
    this.fiber?.interruptUnsafe()
  }

  /** Notes that the handler begins, which starts the timeout of the attempt. A pool of threads may tell it again. */
  begin(): void {
    const { beginsLater, environment, options: { timeoutMillis } } = this.work
    if (beginsLater) this.timer?.begin()
    if (timeoutMillis === Number.POSITIVE_INFINITY || this.timeout !== undefined || this.closed) return
    this.timeout = environment.deadlines.addUnsafe(timeoutMillis, () => {
      // An earlier stop ends the task for good, and a timeout ends only this attempt.
      if (this.reason !== undefined) return
      this.timedOut = true
      this.requestUnsafe("Timeout")
    })
  }

  /** Notes when a thread began and ended the handler, by the monotonic clock in milliseconds. */
  noteRan(begunAt: number, endedAt: number): void {
    if (this.work.beginsLater && !this.closed) this.timer?.ran(begunAt, endedAt)
  }

  /** The number of this attempt among those of its task. */
  get number(): number {
    return this.task.attempts
  }

  /** Notes that a pool of threads or workers has the handler begin once more within this attempt. */
  noteAgain(): void {
    this.task.attempts++
    this.task.unit.kept?.restart()
  }

  get isSuspect(): boolean {
    return this.task.isSuspect
  }

  get losses(): number {
    return this.task.losses
  }

  protected override onDefect(defect: unknown): void {
    this.died ??= Cause.die(defect)
  }

  protected override onStop(): void {
    if (this.closed) return
    const { environment: { deadlines, graceMillis } } = this.work
    // Another process may run the task by now, so it has no grace.
    if (this.reason === "LeaseLost") this.interrupt()
    else this.grace ??= deadlines.addUnsafe(graceMillis, () => this.interrupt())
  }

  private interrupt(): void {
    const { deadlines } = this.work.environment
    if (this.grace !== undefined) deadlines.removeUnsafe(this.grace)
    // `kill` may end the attempt at once, and the end removes the deadline.
    this.grace = deadlines.addUnsafe(overdueMillis, () => this.noteOverdue())
    this.kill()
  }

  private noteOverdue(): void {
    const { context, environment: { deadlines } } = this.work
    const goesOn = (millis: number) => `${this.described} goes on for ${millis / 1000} s after it was interrupted`
    // The end of the attempt frees the permits for other tasks, although the fiber still runs.
    this.grace = deadlines.addUnsafe(abandonedMillis - overdueMillis, () => {
      this.died ??= Cause.die(new Error(`${goesOn(abandonedMillis)}, and is left to itself`))
      this.end(Exit.failCause(this.died))
    })
    Effect.runForkWith(context)(Effect.logWarning(goesOn(overdueMillis)))
  }

  // A closed attempt ignores the reports of a fiber that still runs.

  addUnsafe(unit: string, amount: number): void {
    if (this.closed) return
    this.task.unit.kept ??= new Kept()
    this.task.unit.kept.add(unit, amount)
    this.work.onChange()
  }

  totalUnsafe(unit: string, total: number): void {
    if (!this.closed) this.work.onTotal(unit, total)
  }

  get checkpoint(): Schema.Json | undefined {
    return this.task.unit.kept?.checkpoint
  }

  saveUnsafe(checkpoint: Schema.Json, startsOver = false): void {
    if (this.closed) return
    this.task.unit.kept ??= new Kept()
    this.task.unit.kept.save(checkpoint, startsOver)
    this.work.onChange()
  }

  get recorded(): Effect.Effect<void> {
    return this.work.recorded
  }

  noteDone(): void {
    const { options, permits } = this.work
    permits.noteUnsafe(options.cost(this.task.unit.payload))
  }

  private close(): void {
    const { deadlines } = this.work.environment
    this.fiber = undefined
    this.timer?.end()
    if (this.timeout !== undefined) deadlines.removeUnsafe(this.timeout)
    if (this.grace !== undefined) deadlines.removeUnsafe(this.grace)
    this.closeUnsafe()
    this.closed = true
    // A fiber that still runs must not take permits any more.
    this.giveUp?.()
  }
}
