/**
 * Runs a durable fan-out. The feeder reads elements from the source, the starter takes elements from the ledger and
 * starts their tasks, the ends of the tasks are settled in the ledger, and the flusher records the ledger.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { FailurePolicy, FanOutOptions, OnCommit, OnDone, Parts, PauseOn } from "../../FanOut.ts"
import { Interrupted } from "../../Interrupter.ts"
import type { Tally } from "../../Progress.ts"
import type { Element } from "../../Source.ts"
import { Chain } from "../chain.ts"
import * as Numbers from "../numbers.ts"
import { Signal } from "../signal.ts"
import * as Sums from "../sums.ts"
import type { Deadline } from "../task/deadlines.ts"
import * as Kept from "../task/kept.ts"
import type { TaskDefinition } from "../task/taskDefinition.ts"
import { type Ended, type Ending, type Environment, TaskRun, type Work } from "../task/taskRun.ts"
import { Feeder } from "./feeder.ts"
import { Flusher } from "./flusher.ts"
import { drainMillis, type JobRun } from "./jobRun.ts"
import { type Header, Journal } from "./journal.ts"
import { type Entry, Ledger } from "./ledger.ts"
import { Mismatch, Payloads } from "./payloads.ts"
import { died, Settling } from "./settling.ts"
import * as Checkpoint from "./storedLedger.ts"

const defaults = { concurrency: 64, flushEvery: 192, flushInterval: "250 millis" } as const

/** Tasks that start in a row before other fibers have their turn. A task that does not wait ends within its start. */
const startsInRow = 32

export interface FanOut {
  readonly name: string
  readonly task: TaskDefinition
  readonly source: (after: Option.Option<string>) => Stream.Stream<Element<unknown>, unknown>
  readonly options: FanOutOptions & {
    readonly parts?: Parts<unknown, unknown>
    readonly pauseOn?: PauseOn<unknown>
    readonly onCommit?: OnCommit<unknown, unknown, unknown, never>
    readonly onDone?: OnDone<unknown, unknown, unknown, never>
  }
  /** Whether an element that fails stays unsettled, and the fan-out fails as the element did. */
  readonly leavesFailures: boolean
  readonly run: JobRun["Service"]
  readonly environment: Environment
  /** The context of the fiber that opened the fan-out, with the context of the handler. */
  readonly context: Context.Context<never>
}

/** Opens a fan-out, runs it until it is finished or must stop, and succeeds with the tally. */
export const run = (spec: FanOut): Effect.Effect<Tally, unknown> =>
  // An interruption of the caller does not keep the last flush from the store, unless the job itself stops.
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { name, run } = spec
      const stored = yield* restore(run.store.checkpoint(run.id, name))
      if (run.unfinished.has(name)) return yield* namedTwice(name, "is already open in this job")
      // A second fan-out of this name in the same run is other work, and would be taken for done.
      if (run.ended.has(name)) return yield* namedTwice(name, "has already ended in this run of the job")
      const engine = new Engine(spec, stored)
      const { header, stopped } = engine.ledger.journal
      if (header.finished || stopped !== undefined) engine.close()
      if (header.finished) {
        if (!spec.leavesFailures) run.ended.add(name)
        return engine.ledger.journal.tally
      }
      if (stopped !== undefined) return yield* restore(gaveUpBefore(engine))
      yield* warnOfPool(spec)
      run.unfinished.add(name)
      run.partials.set(name, () => engine.partial)
      const exit = yield* Effect.exit(restore(engine.drive))
      run.partials.delete(name)
      const isStopped = run.signal.reason !== undefined
      const end = conclude(engine, exit)
      const ended = yield* Effect.exit(isStopped ? restore(end) : end)
      engine.close()
      // A fan-out that a stop has ended keeps its job from success. The program may open any other one again.
      if (!isStopped) {
        run.unfinished.delete(name)
        // A fan-out that returns values has ended once its caller has the values.
        if (Exit.isSuccess(ended) && !spec.leavesFailures) run.ended.add(name)
      }
      return yield* ended
    })
  )

const namedTwice = (name: string, what: string) =>
  Effect.die(
    new Error(
      `Fan-out "${name}" ${what}: give each one a name of its own, and in each run of the job the same. ` +
        "To run a part of a program again, give the job a `retry`"
    )
  )

/** Says that a pool has fewer permits than the fan-out asks for. Otherwise nobody would see why it is slow. */
const warnOfPool = ({ name, options: { concurrency = 0 }, task: { pool } }: FanOut): Effect.Effect<void> =>
  pool === undefined || concurrency <= pool.size ? Effect.void : Effect.logWarning(
    `Fan-out "${name}" asks for ${concurrency} tasks at once, and its pool "${pool.name}" has ${pool.size} permits: ` +
      `${pool.size} run at once. Pools.layer({ ${JSON.stringify(pool.name)}: ${concurrency} }) gives it as many`
  )

/** Fails as the earlier run failed that gave up. */
const gaveUpBefore = ({ ledger: { journal }, spec: { name, run } }: Engine): Effect.Effect<Tally, unknown> =>
  Effect.flatMap(
    run.store.outcomes(run.id, { fanOut: name, tags: ["Failed"], after: 0, limit: 1 }),
    ([first]) => {
      if (first?.[1].outcome._tag === "Failed") journal.firstFailure = first[1].outcome.failure
      return journal.stopped ?? Effect.die(new Error(`Fan-out "${name}" has not given up`))
    }
  )

/** Records the rest, and ends as the fan-out has ended. */
const conclude = (
  { flusher, ledger: { journal }, spec: { run: { signal } } }: Engine,
  exit: Exit.Exit<void, unknown>
): Effect.Effect<Tally, unknown> =>
  Effect.gen(function*() {
    const { header } = journal
    header.finished = Exit.isSuccess(exit) && signal.reason === undefined && journal.stopped === undefined
    // Every row of skipped elements has been read by now: the brackets that are left here had no such row.
    if (header.finished) header.reopened.clear()
    let ended = exit
    if (!flusher.isBroken && signal.reason !== "LeaseLost") {
      const fiber = yield* Effect.forkChild(flusher.flush, { uninterruptible: true })
      const flushed = yield* Effect.uninterruptible(Fiber.await(fiber))
      if (Exit.isFailure(flushed)) ended = flushed
    }
    const { reason } = signal
    const isStopped = reason !== undefined && Exit.hasInterrupts(ended)
    if (Exit.isFailure(ended) && !isStopped) return yield* Effect.failCause(ended.cause)
    if (reason !== undefined) return yield* new Interrupted({ reason })
    return journal.stopped === undefined ? journal.tally : yield* journal.stopped
  })

const limitOf = (policy: FailurePolicy = "collect"): number =>
  policy === "collect"
    ? Number.POSITIVE_INFINITY
    : policy === "failFast"
    ? 0
    : Numbers.times("A fan-out's maxFailures", policy.maxFailures)

/** One open fan-out. */
class Engine {
  readonly spec: FanOut
  readonly ledger: Ledger
  readonly flusher: Flusher
  private readonly feeder: Feeder
  private readonly settling: Settling
  private readonly signal: Signal
  private readonly work: Work
  private readonly concurrency: number
  /** Tasks that have started and not ended; fibers that run what `Settling` gives. */
  private readonly running = new Chain<TaskRun>()
  private readonly telling = new Set<Fiber.Fiber<void, unknown>>()
  /** The failure that has ended the fan-out before the end of its source. */
  private broken: Exit.Failure<unknown, unknown> | undefined
  private isFed = false
  private isStopping = false
  /** Wakes the starter while it waits; the number of changes that could wake it. */
  private goOn: (() => void) | undefined
  private changes = 0
  /** The time until which the flusher waits for the store after the job has to stop. */
  private drain: Deadline | undefined
  private readonly leave: () => void

  constructor(spec: FanOut, stored: Option.Option<string>) {
    const { context, environment, name, options, run, task } = spec
    this.spec = spec
    this.concurrency = Numbers.count("A fan-out's concurrency", options.concurrency ?? defaults.concurrency)
    const lift = Checkpoint.lifting(run.migrations, run.version, name)
    const journal = {
      fanOut: name,
      run,
      clock: environment.clock,
      keepsAll: options.keep === "all",
      hasCommit: (options.onCommit ?? options.onDone) !== undefined,
      most: Numbers.count("A fan-out's flushEvery", options.flushEvery ?? defaults.flushEvery),
      failureLimit: limitOf(options.failures)
    }
    const makeLedger = (header?: Header) =>
      new Ledger(name, this.concurrency, new Payloads(task.payload), new Journal(journal, header))
    this.ledger = Option.match(stored, {
      onNone: makeLedger,
      onSome: (text) => Checkpoint.restore(text, lift, makeLedger)
    })
    this.settling = new Settling(spec, this.ledger)
    this.feeder = new Feeder(spec, this.ledger, lift, this.concurrency, {
      fed: () => {
        this.tell()
        this.wake()
      },
      failed: (cause) => {
        const pause = this.settling.pauseAfter(cause)
        if (!Effect.isEffect(pause)) return pause?.cause ?? cause
        this.run(pause)
        return undefined
      }
    })
    const interval = Numbers.finiteMillis("A fan-out's flushInterval", options.flushInterval ?? defaults.flushInterval)
    this.flusher = new Flusher(spec, this.ledger, interval, () => this.wake())
    this.signal = new Signal(run.signal)
    this.work = {
      run: task.handle,
      context,
      options: options.priority === undefined ? task.options : { ...task.options, priority: options.priority },
      permits: task.permits,
      tag: task.tag,
      describe: (payload) =>
        `Task "${task.tag}" of "${task.options.key(payload)}" in fan-out "${name}" of job ${run.id}`,
      parent: this.signal,
      onChange: this.flusher.noteChange,
      onTotal: (unit, total) => run.reporter.totalUnsafe(unit, total),
      recorded: this.flusher.recorded,
      beginsLater: task.beginsLater,
      environment,
      times: run.times.of(task.tag)
    }
    this.signal.onRequestUnsafe(() => this.stop())
    // The signal of the job is asked, because the signal of the fan-out can hold an earlier reason of equal weight.
    this.leave = run.signal.onRequestUnsafe(() => {
      const { deadlines, graceMillis } = environment
      this.drain ??= deadlines.addUnsafe(graceMillis + drainMillis, this.flusher.abandon)
    })
  }

  /** Leaves the job. */
  close(): void {
    this.signal.closeUnsafe()
    this.leave()
    if (this.drain !== undefined) this.spec.environment.deadlines.removeUnsafe(this.drain)
    this.flusher.release()
  }

  /** Runs feeder, starter and flusher. Fails with the failure that ended them before the end of the source. */
  readonly drive: Effect.Effect<void, unknown> = Effect.uninterruptibleMask((restore) =>
    Effect.gen({ self: this }, function*() {
      const feeder = yield* Effect.forkChild(Effect.onExit(Effect.interruptible(this.feeder.run), this.onFed))
      const flusher = yield* Effect.forkChild(Effect.onExit(this.flusher.run, this.onFlushed), {
        uninterruptible: true
      })
      const starter = yield* Effect.forkChild(this.starter, { uninterruptible: true })
      const exit = yield* Effect.exit(restore(Fiber.await(starter)))
      if (Exit.isFailure(exit)) {
        // The caller was interrupted: no task may go on.
        this.kill()
        yield* Fiber.await(starter)
      }
      this.isFed = true
      yield* Fiber.interrupt(feeder)
      this.flusher.close()
      yield* Fiber.await(flusher)
      if (this.broken !== undefined) return yield* Effect.failCause(this.broken.cause)
      if (Exit.isFailure(exit)) return yield* exit
    })
  )

  private readonly onFed = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.sync(() => {
      // `drive` interrupts a feeder that nobody needs any more. That is no failure.
      if (!this.isFed) this.failWith(exit)
      // The starter can end as soon as `isFed` is set, so the failure is set before.
      this.isFed = true
      this.wake()
    })

  private readonly onFlushed = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.sync(() => {
      this.breakWith(exit)
      this.flusher.release()
    })

  // -- take, run, settle

  /** Takes elements and starts their tasks, until the last task has ended. */
  private get starter(): Effect.Effect<void> {
    return Effect.whileLoop({
      while: () => !this.isOver,
      body: () => {
        for (let i = 0; i < startsInRow; i++) {
          const { changes } = this
          if (!this.startNext()) return this.isOver ? Effect.void : this.waitSince(changes)
        }
        return Effect.yieldNow
      },
      step: () => {}
    })
  }

  private get isOver(): boolean {
    return this.running.size + this.telling.size === 0 && (this.isStopping || (this.isFed && this.ledger.isEmpty))
  }

  // The signal is asked, because a task can hear of a stop, and wake the starter, before the engine hears of it.
  private readonly mayTake = (): boolean =>
    !this.isStopping && !this.settling.isPausing && this.signal.reason === undefined && this.ledger.journal.hasRoom

  /** Starts the next task. Gives `false` if no task can start now. */
  private startNext(): boolean {
    if (this.running.size >= this.concurrency || !this.mayTake()) return false
    const entry = this.guarded(() => this.ledger.take(this.mayTake))
    this.feeder.noteTaken()
    this.tell()
    if (entry === undefined) return false
    if (entry.encoded instanceof Mismatch) {
      this.settle(entry, died(entry.encoded))
    } else {
      const task = new TaskRun(this.work, entry, (ending) => this.ended(entry, ending, task))
      this.running.add(task)
      task.start()
    }
    return true
  }

  /** Receives the end of a task. */
  private ended(entry: Entry, ending: Ending, task: TaskRun): void {
    this.running.delete(task)
    if (ending._tag === "Unavailable") this.breakWith(Exit.failCause(ending.cause))
    else if (ending._tag !== "Stopped") this.settle(entry, ending)
    this.wake()
  }

  private settle(entry: Entry, ending: Ended): void {
    const told = this.guarded(() => this.settling.settle(entry, ending))
    this.feeder.noteSettled()
    this.tell()
    if (told !== undefined) this.run(told)
  }

  /** Runs an effect that pauses the job, logs a defect or fails the fan-out. The fan-out waits for its end. */
  private run(effect: Effect.Effect<void, unknown>): void {
    const fiber = Effect.runForkWith(this.spec.context)(effect)
    this.telling.add(fiber)
    fiber.addObserver((exit) => {
      this.telling.delete(fiber)
      if (Exit.hasDies(exit) || Exit.hasFails(exit)) this.breakWith(exit)
      this.wake()
    })
  }

  /** Tells flusher and signal of a change. Both can run code at once, so the ledger must be consistent here. */
  private tell(): void {
    this.flusher.tell()
    if (this.ledger.journal.stopped !== undefined) this.signal.requestUnsafe("Sibling")
  }

  /** Makes the starter look again for a task to start. */
  private wake(): void {
    this.changes++
    this.goOn?.()
  }

  /** Waits for a change after `changes` of them. A fiber can yield before it waits, so one can be there already. */
  private waitSince(changes: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const goOn = () => {
        this.goOn = undefined
        resume(Effect.void)
      }
      if (changes === this.changes) this.goOn = goOn
      else goOn()
    })
  }

  // -- stopping

  /** Breaks the fan-out with the defect that a step throws: a source or a program has given impossible elements. */
  private guarded<A>(step: () => A): A | undefined {
    try {
      return step()
    } catch (defect) {
      this.breakWith(Exit.die(defect))
      return undefined
    }
  }

  /** Starts no more tasks. Running tasks go on. */
  private stop(): void {
    this.isStopping = true
    this.feeder.stop()
    this.wake()
  }

  /** Stops, and fails with this exit. */
  private failWith(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) return
    this.broken ??= exit
    this.stop()
  }

  /** Stops, fails with this exit, and makes running tasks stop. */
  private breakWith(exit: Exit.Exit<unknown, unknown>): void {
    this.failWith(exit)
    if (Exit.isFailure(exit)) this.signal.requestUnsafe("Sibling")
  }

  /** Interrupts all tasks. */
  private kill(): void {
    if (this.signal.reason === undefined) this.signal.requestUnsafe("Cancel")
    for (const task of this.running.toArray()) task.kill()
    for (const fiber of this.telling) fiber.interruptUnsafe()
  }

  /** The units that unsettled elements have added so far. */
  get partial(): Map<string, number> {
    return Sums.of(this.ledger.active.toArray().map(({ kept }) => kept?.units ?? Kept.noUnits))
  }
}
