/**
 * One attempt of a task: a fiber of its own, and all that the task finds in its context.
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
import { CurrentSlot, releaseUnsafe, type Slot } from "./slot.ts"
import type { TaskRun, Work } from "./taskRun.ts"

/** For so long a task may go on after its fiber was interrupted before that is logged, and before it is given up. */
const overdueMillis = 10_000
const abandonedMillis = 60_000

/** How many attempts may have a span by now, as a sum of shares. */
let spans = 0

/** The stop signal of an attempt, what it reports to, where it keeps its checkpoint, the permits that it holds. */
export class Attempt extends Signal implements Cell, Reporter, Slot {
  readonly work: Work
  readonly weight: number
  held = true
  waiting = 0
  giveUp: Slot["giveUp"] = undefined
  closed = false
  timedOut = false
  /** What a listener to its stop has thrown. */
  died: Cause.Cause<never> | undefined = undefined
  private readonly task: TaskRun
  private fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private onEnd: (exit: Exit.Exit<unknown, unknown>) => void = () => {}
  private isKilled = false
  private timeout: Deadline | undefined = undefined
  private grace: Deadline | undefined = undefined

  constructor(work: Work, task: TaskRun, weight: number) {
    super(work.parent)
    this.work = work
    this.weight = weight
    this.task = task
    task.unit.kept?.restart()
    if (!work.beginsLater) this.begin()
  }

  /** Runs the attempt, and calls back once it has ended. It holds no permits any more by then. */
  run(onEnd: (exit: Exit.Exit<unknown, unknown>) => void): void {
    const { context, run } = this.work
    this.onEnd = onEnd
    const effect = Effect.suspend(() => run(this.task.unit.payload))
    const fiber = Effect.runForkWith(this.see(context))(this.isTraced() ? this.traced(effect) : effect)
    this.fiber = fiber
    if (this.isKilled) fiber.interruptUnsafe()
    fiber.addObserver(this.end)
  }

  private isTraced(): boolean {
    // One that is traced takes from what those before it have saved up.
    spans = Math.min(spans + Context.get(this.work.context, SpanRatio), 2)
    if (spans < 1) return false
    spans--
    return true
  }

  private traced(effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> {
    const { describe, tag } = this.work
    return Effect.suspend(() =>
      Effect.withSpan(effect, `fanout.task ${tag}`, { attributes: { task: describe(this.task.unit.payload) } })
    )
  }

  private readonly end = (exit: Exit.Exit<unknown, unknown>): void => {
    if (this.closed) return
    this.close()
    this.onEnd(exit)
  }

  /** Interrupts the attempt. */
  kill(): void {
    this.isKilled = true
    this.fiber?.interruptUnsafe()
  }

  /** Starts the time that the attempt may take. */
  begin(): void {
    const { environment, options: { timeoutMillis } } = this.work
    if (timeoutMillis === Number.POSITIVE_INFINITY || this.timeout !== undefined || this.closed) return
    this.timeout = environment.deadlines.addUnsafe(timeoutMillis, () => {
      // Whoever stops a task together with others stops it for good; a timeout is this attempt's own.
      if (this.reason !== undefined) return
      this.timedOut = true
      this.requestUnsafe("Timeout")
    })
  }

  get isSuspect(): boolean {
    return this.task.isSuspect
  }

  protected override onDefect(defect: unknown): void {
    this.died ??= Cause.die(defect)
  }

  protected override onStop(): void {
    if (this.closed) return
    const { environment: { deadlines, graceMillis } } = this.work
    this.grace ??= deadlines.addUnsafe(graceMillis, () => {
      // Its end is seen at once, where it comes at once.
      this.grace = deadlines.addUnsafe(overdueMillis, () => this.noteOverdue())
      this.kill()
    })
  }

  private noteOverdue(): void {
    const { context, describe, environment: { deadlines } } = this.work
    const goesOn = (millis: number) =>
      `${describe(this.task.unit.payload)} goes on for ${millis / 1000} s after it was interrupted`
    // Nobody waits any longer for a fiber that does not end, and no other task for its permits.
    this.grace = deadlines.addUnsafe(abandonedMillis - overdueMillis, () => {
      this.died ??= Cause.die(new Error(`${goesOn(abandonedMillis)}, and is left to itself`))
      this.end(Exit.failCause(this.died))
    })
    Effect.runForkWith(context)(Effect.logWarning(goesOn(overdueMillis)))
  }

  // What a fiber does that the task has left behind counts no more.

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

  saveUnsafe(checkpoint: Schema.Json): void {
    if (this.closed) return
    this.task.unit.kept ??= new Kept()
    this.task.unit.kept.save(checkpoint)
    this.work.onChange()
  }

  get recorded(): Effect.Effect<void> {
    return this.work.recorded
  }

  private readonly see = (context: Context.Context<never>): Context.Context<never> => {
    const seen = Context.add(Context.add(context, Interrupter, this), CurrentSlot, this)
    return Context.add(Context.add(seen, Cell, this), Reporter, this)
  }

  noteDone(): void {
    const { options, permits } = this.work
    permits.noteUnsafe(options.cost(this.task.unit.payload))
  }

  private close(): void {
    const { deadlines } = this.work.environment
    this.fiber = undefined
    if (this.timeout !== undefined) deadlines.removeUnsafe(this.timeout)
    if (this.grace !== undefined) deadlines.removeUnsafe(this.grace)
    this.closeUnsafe()
    this.closed = true
    // A fiber that the task has left behind would take them for nobody.
    this.giveUp?.()
    releaseUnsafe(this)
  }
}
