/**
 * Runs a durable fan-out: a feeder fills the buffer from the source, a starter takes from it and has tasks run, a flusher
 * records what they come to.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Element } from "../../FanOut.ts"
import { Interrupted } from "../../Interrupter.ts"
import type { OutcomeRow } from "../../JobStore.ts"
import type { Outcome } from "../../Outcome.ts"
import { Tally } from "../../Progress.ts"
import { Chain } from "../chain.ts"
import type { Deadline } from "../dispatcher/deadlines.ts"
import * as Kept from "../dispatcher/kept.ts"
import { type Ended, type Ending, type Environment, TaskRun, type Work } from "../dispatcher/taskRun.ts"
import { drainMillis } from "../job/run.ts"
import { Signal } from "../signal.ts"
import { decodeOrigin } from "./origin.ts"
import { Pausing } from "./pausing.ts"
import { Mismatch } from "./payloads.ts"
import { type Recorded, Recorder } from "./recorder.ts"
import { died, Settling } from "./settling.ts"
import type { Bracket, Entry, FanOutState, Feed, Position } from "./state.ts"

/** Rows that are read at once for a retry. */
const pageSize = 100

type Source = (after: Option.Option<string>) => Stream.Stream<Element<unknown>, unknown>

/** So many tasks are started in a row before others have their turn: one that does not wait has ended by then. */
const startsInRow = 32

export interface FanOut extends Recorded {
  readonly source: Source
  readonly environment: Environment
  /** Context of the fiber that opened the fan-out, with the handler's own. */
  readonly context: Context.Context<never>
}

/** One open fan-out. */
class Engine {
  readonly recorder: Recorder
  private readonly state: FanOutState
  readonly signal: Signal
  readonly spec: FanOut
  private readonly work: Work
  private readonly pausing: Pausing
  private readonly settling: Settling
  readonly concurrency: number
  /** Tasks that were started and have not ended, and fibers that tell of an end. */
  private readonly running = new Chain<TaskRun>()
  private readonly telling = new Set<Fiber.Fiber<void>>()
  /** What has ended the fan-out before its source did. */
  broken: Exit.Failure<unknown, unknown> | undefined

  private unblocked = false
  /** Lets the starter go on, where it waits; and how often something has changed that it waits for. */
  private goOn: (() => void) | undefined
  private changes = 0
  private readonly drained = Latch.makeUnsafe(true)
  private readonly settledOne = Latch.makeUnsafe(false)
  private feeding = true
  /** When the store may take no longer, once the job has to stop. */
  private drain: Deadline | undefined
  private readonly leave: () => void
  stopping = false

  constructor(spec: FanOut, stored: Option.Option<string>) {
    this.spec = spec
    this.signal = new Signal(spec.run.signal)
    this.recorder = new Recorder(spec, stored, {
      unblocked: () => {
        this.unblocked = true
      },
      flushed: () => this.wake()
    })
    this.state = this.recorder.state
    this.settling = new Settling(spec, this.state)
    this.concurrency = this.recorder.concurrency
    const { context, environment, options, run, task } = spec
    this.pausing = new Pausing(options.pauseOn, context)
    this.work = {
      run: task.handle,
      context,
      options: options.priority === undefined ? task.options : { ...task.options, priority: options.priority },
      permits: task.permits,
      describe: (payload) =>
        `Task "${task.tag}" of "${task.options.key(payload)}" in fan-out "${spec.name}" of job ${run.id}`,
      parent: this.signal,
      onChange: this.recorder.noteChange,
      onTotal: (unit, total) => run.reporter.totalUnsafe(unit, total),
      recorded: this.recorder.recorded,
      beginsLater: task.beginsLater,
      environment
    }
    this.signal.onRequestUnsafe(() => this.stop())
    // Its own signal may have a reason by then that is as hard.
    this.leave = run.signal.onRequestUnsafe(() => {
      const { deadlines, graceMillis } = environment
      this.drain ??= deadlines.addUnsafe(graceMillis + drainMillis, this.recorder.abandon)
    })
  }

  // -- running

  /** Takes elements and has their tasks run, until all of them have ended. */
  get starter(): Effect.Effect<void> {
    return Effect.whileLoop({
      while: () => !this.over,
      body: () => {
        for (let i = 0; i < startsInRow; i++) {
          const { changes } = this
          if (!this.startNext()) return this.over ? Effect.void : this.waitSince(changes)
        }
        return Effect.yieldNow
      },
      step: () => {}
    })
  }

  private get over(): boolean {
    if (this.running.size + this.telling.size > 0) return false
    const { active, feed, ready, segment } = this.state
    return this.stopping ||
      (!this.feeding && active.size === 0 && ready.length === 0 && segment === undefined && feed === undefined)
  }

  // A task may be told of a stop, and have this go on, before this is.
  private readonly mayTake = (): boolean => !this.stopping && this.signal.reason === undefined && this.recorder.hasRoom

  /** Starts the next task; `false` where there is nothing to start for now. */
  private startNext(): boolean {
    if (this.running.size >= this.concurrency || !this.mayTake()) return false
    const entry = this.guarded(() => this.state.take(this.mayTake))
    const { feed } = this.state
    if (feed === undefined || feed.left <= feed.low) this.drained.openUnsafe()
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

  /** Takes what a task has come to. */
  private ended(entry: Entry, ending: Ending, task: TaskRun): void {
    this.running.delete(task)
    if (ending._tag === "Unavailable") {
      this.breakWith(Exit.failCause(ending.cause))
    } else {
      const pause = this.pausing.after(ending)
      if (pause !== undefined) this.run(pause)
      else if (ending._tag !== "Stopped") this.settle(entry, ending)
    }
    this.wake()
  }

  private settle(entry: Entry, ending: Ended): void {
    const told = this.guarded(() => this.settling.settle(entry, ending))
    this.tell()
    this.settledOne.openUnsafe()
    if (told !== undefined) this.run(told)
  }

  /** Runs what tells of an end. The fan-out is not over before it has ended. */
  private run(effect: Effect.Effect<void>): void {
    const fiber = Effect.runForkWith(this.spec.context)(effect)
    this.telling.add(fiber)
    fiber.addObserver((exit) => {
      this.telling.delete(fiber)
      if (Exit.hasDies(exit)) this.breakWith(exit)
      this.wake()
    })
  }

  /** Breaks the fan-out where a source or a program has given what can't be. */
  private guarded<A>(step: () => A): A | undefined {
    try {
      return step()
    } catch (defect) {
      this.breakWith(Exit.die(defect))
      return undefined
    }
  }

  /** Takes nothing more, and fails with this. What runs goes on. */
  failWith(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) return
    this.broken ??= exit
    this.stop()
  }

  /** The same, where nothing comes of what runs now, either. */
  breakWith(exit: Exit.Exit<unknown, unknown>): void {
    this.failWith(exit)
    if (Exit.isFailure(exit)) this.signal.requestUnsafe("Sibling")
  }

  /** Ends all that runs, as soon as can be. */
  kill(): void {
    if (this.signal.reason === undefined) this.signal.requestUnsafe("Cancel")
    for (const task of this.running.toArray()) task.kill()
    for (const fiber of this.telling) fiber.interruptUnsafe()
  }

  /**
   * Tells everybody who waits for a change. Opening a latch may run who waits for it at once, so this is only called
   * when the state is whole.
   */
  private tell(): void {
    this.recorder.tell()
    if (this.recorder.gaveUp) this.signal.requestUnsafe("Sibling")
    if (this.unblocked) {
      this.unblocked = false
      this.wake()
    }
  }

  /** Has the starter look again for what to do. */
  wake(): void {
    this.changes++
    this.goOn?.()
  }

  /** Waits for a change, unless one has come since so many: a fiber may give way before it waits. */
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

  /** Takes nothing more. What runs goes on. */
  stop(): void {
    this.stopping = true
    this.drained.openUnsafe()
    this.settledOne.openUnsafe()
    this.wake()
  }

  /** Belongs to its job no longer. */
  close(): void {
    this.signal.closeUnsafe()
    this.leave()
    if (this.drain !== undefined) this.spec.environment.deadlines.removeUnsafe(this.drain)
    this.recorder.release()
  }

  /** Units that unsettled elements have added so far. */
  get partial(): Map<string, number> {
    const sum = new Map<string, number>()
    for (const { kept } of this.state.active.toArray()) {
      for (const [unit, amount] of kept?.units ?? Kept.noUnits) sum.set(unit, (sum.get(unit) ?? 0) + amount)
    }
    return sum
  }

  // -- feeding

  /** Feeds what is to be run, in order: the rest of a retried part, failed rows, then the source. */
  readonly feeder: Effect.Effect<void, unknown> = Effect.suspend(() =>
    Effect.gen({ self: this }, function*() {
      if (this.state.segment !== undefined) yield* this.pump(this.state.segment, this.state.segment.root)
      if (this.recorder.header.tally.failed > 0 || this.recorder.header.reopened.size > 0) yield* this.feedRows
      yield* this.pump(this.state.main, undefined)
      if (!this.stopping && this.state.main.bracket !== this.state.root) {
        return yield* Effect.die(new Error(`The source of fan-out "${this.spec.name}" ended in an open bracket`))
      }
    })
  )

  /** Nothing more is fed. The starter may end at once, so what the feeder ended with is known by then. */
  endFeeding(): void {
    this.feeding = false
    this.wake()
  }

  private pump(position: Position, until: Bracket | undefined): Effect.Effect<void, unknown> {
    return Effect.scoped(Effect.gen({ self: this }, function*() {
      const pull = yield* Stream.toPull(this.spec.source(Option.fromUndefinedOr(position.frontier)))
      const goesOn = position.frontier !== undefined
      const feed: Feed = { position, until, goesOn, chunks: [], index: 0, left: 0, low: this.concurrency, ended: false }
      this.state.feed = feed
      let end: Exit.Exit<void, unknown> = Exit.void
      while (!feed.ended && !this.stopping) {
        const pulled = yield* Effect.exit(Pull.catchDone(pull, () => Effect.undefined))
        // What a failing source gave before is still run.
        if (Exit.isFailure(pulled)) end = pulled
        if (Exit.isFailure(pulled) || pulled.value === undefined) break
        feed.chunks.push(pulled.value)
        feed.left += pulled.value.length
        this.drained.closeUnsafe()
        this.wake()
        if (feed.left > feed.low) yield* this.drained.await
      }
      feed.low = 0
      while (feed.left > 0 && !feed.ended && !this.stopping) {
        this.drained.closeUnsafe()
        this.wake()
        yield* this.drained.await
      }
      if (!this.stopping) this.state.feed = undefined
      return yield* end
    }))
  }

  private get feedRows(): Effect.Effect<void, unknown> {
    return Effect.andThen(
      this.feedRowsOf(["Failed", "Skipped"]),
      // What opens a bracket and failed in a retry too is a newer row than that of what was skipped with it at first.
      Effect.suspend(() => this.recorder.header.reopened.size > 0 ? this.feedRowsOf(["Skipped"]) : Effect.void)
    )
  }

  private feedRowsOf(tags: ReadonlyArray<Outcome["_tag"]>): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      const { name, run } = this.spec
      for (let after = 0;;) {
        const page = yield* run.store.outcomes(run.id, { fanOut: name, tags, after, limit: pageSize })
        for (const [seq, row] of page) {
          after = seq
          if (this.stopping) return
          if (row.attempt >= run.attempt) continue
          const { isRetriable, opener, v } = decodeOrigin(row.origin)
          if (opener !== undefined) {
            this.recorder.clearSkipped(row, this.recorder.lift(v).cursor(opener))
            this.tell()
          } else if (isRetriable && row.outcome._tag === "Failed") {
            yield* this.retryRow(row)
          }
        }
        if (page.length < pageSize) return
      }
    })
  }

  private retryRow(row: OutcomeRow): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      const { bracketAfter, v, ...saved } = decodeOrigin(row.origin)
      const opens = bracketAfter !== undefined
      const { cursor: lift, payload: liftPayload } = this.recorder.lift(v)
      const encoded = liftPayload(row.payload)
      const payload = this.spec.task.payload.decode(encoded)
      const cursor = lift(row.cursor)
      const { root } = this.state
      const bracket = opens ? this.state.makeBracket(undefined, cursor) : root
      bracket.outstanding++
      // The failed end of a bracket runs again like an item: its bracket is long settled.
      const entry = this.state.enter(opens ? "open" : "item", cursor, payload, encoded, bracket, {
        kept: this.state.retried.get(cursor) ?? Kept.restore(saved),
        retryOf: row,
        bracketAfter: opens ? lift(bracketAfter) : undefined
      })
      this.state.retried.delete(cursor)
      this.state.ready.push(entry)
      this.wake()
      // At most as many rows are taken as tasks may be unsettled.
      while (!this.stopping && (opens ? this.state.active.has(entry) : this.state.active.size >= this.concurrency)) {
        this.settledOne.closeUnsafe()
        yield* this.settledOne.await
      }
      if (this.state.segment?.root === bracket) yield* this.pump(this.state.segment, bracket)
    })
  }
}

/** Opens a fan-out, runs it until it is finished or must stop, and gives the tally. */
export const run = (spec: FanOut): Effect.Effect<Tally, unknown> =>
  // What it has come to is recorded also where whoever waits for it is interrupted, unless its job is stopped that way.
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { name, run } = spec
      const stored = yield* restore(run.store.checkpoint(run.id, name))
      if (run.unfinished.has(name)) return yield* namedTwice(name, "is already open in this job")
      // A later run finds it ended; in this one it would be other work that is taken for done.
      if (run.ended.has(name)) return yield* namedTwice(name, "has already ended in this run of the job")
      const engine = new Engine(spec, stored)
      if (engine.recorder.header.finished || engine.recorder.stopped !== undefined) engine.close()
      if (engine.recorder.header.finished) {
        run.ended.add(name)
        return new Tally(engine.recorder.header.tally)
      }
      if (engine.recorder.stopped !== undefined) return yield* restore(gaveUpBefore(engine))
      run.unfinished.add(name)
      run.partials.set(name, () => engine.partial)
      const exit = yield* Effect.exit(restore(drive(engine)))
      run.partials.delete(name)
      const isStopped = run.signal.reason !== undefined
      const end = conclude(spec, engine, exit)
      const ended = yield* Effect.exit(isStopped ? restore(end) : end)
      engine.close()
      // Only what a stop has ended keeps its job from having succeeded: all else the program may open again.
      if (!isStopped) {
        run.unfinished.delete(name)
        if (Exit.isSuccess(ended)) run.ended.add(name)
      }
      return yield* ended
    })
  )

/** Fails as an earlier run did that gave up. */
const gaveUpBefore = ({ recorder, spec: { name, run } }: Engine): Effect.Effect<Tally, unknown> =>
  Effect.flatMap(
    run.store.outcomes(run.id, { fanOut: name, tags: ["Failed"], after: 0, limit: 1 }),
    ([first]) => {
      if (first?.[1].outcome._tag === "Failed") recorder.firstFailure = first[1].outcome.failure
      return recorder.stopped ?? Effect.die(new Error(`Fan-out "${name}" has not given up`))
    }
  )

const namedTwice = (name: string, what: string) =>
  Effect.die(
    new Error(`Fan-out "${name}" ${what}: give each one a name of its own, and in each run of the job the same`)
  )

/** Runs feeder, starter and flusher; fails with what ended them before the source did. */
const drive = (engine: Engine): Effect.Effect<void, unknown> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      let isOver = false
      const onFed = (exit: Exit.Exit<unknown, unknown>) =>
        Effect.sync(() => {
          if (!isOver) engine.failWith(exit)
          engine.endFeeding()
        })
      const onFlushed = (exit: Exit.Exit<unknown, unknown>) =>
        Effect.sync(() => {
          engine.breakWith(exit)
          engine.recorder.release()
        })
      const feeder = yield* Effect.forkChild(Effect.onExit(Effect.interruptible(engine.feeder), onFed))
      const flusher = yield* Effect.forkChild(Effect.onExit(engine.recorder.flusher, onFlushed), {
        uninterruptible: true
      })
      const starter = yield* Effect.forkChild(engine.starter, { uninterruptible: true })
      const exit = yield* Effect.exit(restore(Fiber.await(starter)))
      if (Exit.isFailure(exit)) {
        // Whoever waited for the fan-out was interrupted: nothing of it may go on.
        engine.kill()
        yield* Fiber.await(starter)
      }
      isOver = true
      yield* Fiber.interrupt(feeder)
      engine.recorder.close()
      yield* Fiber.await(flusher)
      if (engine.broken !== undefined) return yield* Effect.failCause(engine.broken.cause)
      if (Exit.isFailure(exit)) return yield* exit
    })
  )

/** Records the last of it, and says how it ended. */
const conclude = (spec: FanOut, engine: Engine, exit: Exit.Exit<void, unknown>): Effect.Effect<Tally, unknown> =>
  Effect.gen(function*() {
    const { signal } = spec.run
    const { recorder } = engine
    recorder.header.finished = Exit.isSuccess(exit) && signal.reason === undefined && recorder.stopped === undefined
    // What was still to be cleared of these had no row.
    if (recorder.header.finished) recorder.header.reopened.clear()
    let ended = exit
    if (!recorder.broken && signal.reason !== "LeaseLost") {
      const fiber = yield* Effect.forkChild(recorder.flush, { uninterruptible: true })
      const flushed = yield* Effect.uninterruptible(Fiber.await(fiber))
      if (Exit.isFailure(flushed)) ended = flushed
    }
    const { reason } = signal
    const isStopped = reason !== undefined && Exit.hasInterrupts(ended)
    if (Exit.isFailure(ended) && !isStopped) return yield* Effect.failCause(ended.cause)
    if (reason !== undefined) return yield* new Interrupted({ reason })
    return recorder.stopped === undefined ? new Tally(recorder.header.tally) : yield* recorder.stopped
  })
