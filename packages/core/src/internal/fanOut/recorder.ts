/**
 * The recording half of a fan-out: counts what elements came to, keeps the rows of those that get one, and flushes
 * both with the checkpoint that belongs to them.
 */
import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { type Ended, type FanOutOptions, FanOutStopped, type OnCommit, type Parts, type PauseOn } from "../../FanOut.ts"
import type { OutcomeRow } from "../../JobStore.ts"
import type { Failure, Outcome } from "../../Outcome.ts"
import { Tally } from "../../Progress.ts"
import * as Kept from "../dispatcher/kept.ts"
import type { TaskDefinition } from "../dispatcher/taskDefinition.ts"
import type { Environment } from "../dispatcher/taskRun.ts"
import { makeOutcomeRow } from "../job/rows.ts"
import { drainMillis, type JobRun } from "../job/run.ts"
import * as Checkpoint from "./checkpoint.ts"
import { Payloads } from "./payloads.ts"
import { FanOutState, type Replacement, type Settlement } from "./state.ts"

const defaults = { concurrency: 64, flushEvery: 192, flushInterval: "250 millis" } as const

/** What of a fan-out its recording depends on. */
export interface Recorded {
  readonly name: string
  readonly task: TaskDefinition
  readonly options: FanOutOptions & {
    readonly parts?: Parts<unknown, unknown>
    readonly pauseOn?: PauseOn<unknown>
    readonly onCommit?: OnCommit<unknown, unknown, unknown, never>
  }
  readonly run: JobRun["Service"]
  readonly environment: Environment
}

export class Recorder {
  readonly state: FanOutState
  readonly header: Checkpoint.Header
  readonly lift: Checkpoint.Lift
  readonly concurrency: number
  /** Whether something could not be recorded: what was to go with it is lost, and runs again. */
  broken = false
  /** Whether more has failed than may, in this run. */
  gaveUp = false
  private readonly spec: Recorded
  private readonly flushEvery: number
  private readonly intervalMillis: number
  private readonly failureLimit: number
  private readonly flushed: () => void

  private rows: Array<OutcomeRow> = []
  private cleared: Array<string> = []
  private ended: Array<Ended<unknown, unknown>> = []
  private unrecorded = 0
  private inFlight = 0
  /** Why this run gave up, or an earlier one. */
  firstFailure: Failure | undefined
  private changed = false
  /** Tasks that wait until their checkpoint is in the store. */
  private waiting: Array<(effect: Effect.Effect<void>) => void> = []
  private readonly dirty = Latch.makeUnsafe(false)
  private isReleased = false
  /** Whether the next flush is due at once, and what tells a flusher that waits for its time. */
  private isDue = false
  private flushNow: (() => void) | undefined
  private isClosing = false
  /** The fiber that waits for the store. */
  private flushing: Fiber.Fiber<unknown, unknown> | undefined
  /** Whether the job was asked to stop so long ago that nobody waits for the store any more. */
  private isLate = false

  constructor(
    spec: Recorded,
    stored: Option.Option<string>,
    on: { readonly unblocked: () => void; readonly flushed: () => void }
  ) {
    const { options, run, task } = spec
    this.spec = spec
    this.flushed = on.flushed
    this.concurrency = atLeastOne("concurrency", options.concurrency ?? defaults.concurrency)
    this.flushEvery = atLeastOne("flushEvery", options.flushEvery ?? defaults.flushEvery)
    this.intervalMillis = Duration.toMillis(Duration.fromInputUnsafe(options.flushInterval ?? defaults.flushInterval))
    this.failureLimit = options.failures === undefined || options.failures === "collect"
      ? Number.POSITIVE_INFINITY
      : options.failures === "failFast"
      ? 0
      : options.failures.maxFailures
    this.lift = Checkpoint.lifting(run.migrations, run.version, spec.name)
    this.state = new FanOutState(spec.name, this.concurrency, new Payloads(task.payload), {
      settled: (settlement) => this.record(settlement),
      replaced: (replacement) => this.replace(replacement),
      unblocked: on.unblocked
    })
    this.header = Option.match(stored, {
      onNone: (): Checkpoint.Header => ({
        finished: false,
        attempt: run.attempt,
        tries: run.tries,
        failures: 0,
        tally: { done: 0, failed: 0, skipped: 0, tags: {}, units: {} },
        reopened: new Set()
      }),
      onSome: (text) => Checkpoint.restore(text, this.state, task.payload, this.lift)
    })
    // Each attempt of a person and each try of the job itself may fail as often as the first.
    if (this.header.attempt !== run.attempt || this.header.tries !== run.tries) this.header.failures = 0
    this.header.tries = run.tries
    if (this.header.attempt !== run.attempt) {
      this.header.attempt = run.attempt
      this.header.finished = this.header.finished && this.header.tally.failed === 0
    }
  }

  private record(settlement: Settlement): void {
    const { bracketAfter, cursor, encoded, isRetriable, kept, key, opener, outcome, payload, retryOf, value } =
      settlement
    const { run } = this.spec
    // A retry has run the bracket while the source was still in it.
    if (opener !== undefined && this.header.reopened.delete(opener)) return
    if (retryOf !== undefined) uncount(this.header.tally, retryOf.outcome)
    count(this.header.tally, outcome, kept?.units ?? Kept.noUnits)
    if (retryOf !== undefined) this.cleared.push(retryOf.cursor)
    if (retryOf !== undefined && bracketAfter !== undefined && outcome._tag === "Done") this.header.reopened.add(cursor)
    if (outcome._tag !== "Done" || this.spec.options.keep === "all") {
      this.rows.push(
        makeOutcomeRow({
          fanOut: this.spec.name,
          cursor,
          key,
          payload: outcome._tag === "Done" ? null : encoded ?? null,
          origin: {
            v: run.version,
            isRetriable,
            ...bracketAfter === undefined ? {} : { bracketAfter },
            ...opener === undefined ? {} : { opener },
            ...outcome._tag === "Failed" ? Kept.store(kept) : {}
          },
          outcome,
          attempt: run.attempt,
          at: this.spec.environment.clock.currentTimeMillisUnsafe()
        })
      )
    }
    if (this.spec.options.onCommit !== undefined) {
      this.ended.push({ cursor, payload: isRetriable ? Option.some(payload) : Option.none(), outcome, value })
    }
    this.unrecorded++
    this.changed = true
    if (outcome._tag === "Failed") {
      this.firstFailure ??= outcome.failure
      this.gaveUp = ++this.header.failures > this.failureLimit
    }
  }

  /** What takes the place of an element is counted instead of it. */
  private replace({ cursor, payload, retryOf, units, value }: Replacement): void {
    if (retryOf !== undefined) {
      uncount(this.header.tally, retryOf.outcome)
      this.cleared.push(retryOf.cursor)
    }
    addUnits(this.header.tally, units)
    if (this.spec.options.onCommit !== undefined && Option.isSome(value)) {
      this.ended.push({ cursor, payload: Option.some(payload), outcome: replaced, value })
    }
    this.unrecorded++
    this.changed = true
  }

  /** A row of skipped elements is gone once the element that opens them was done. */
  clearSkipped(row: OutcomeRow, opener: string): void {
    if (!this.header.reopened.delete(opener)) return
    uncount(this.header.tally, row.outcome)
    this.cleared.push(row.cursor)
    this.changed = true
  }

  /** Whether another element may be taken: the outcomes of few enough are on their way to the store. */
  get hasRoom(): boolean {
    return this.unrecorded + this.inFlight < this.flushEvery
  }

  /** Has what a running task has added or saved go with the next flush. */
  readonly noteChange = (): void => {
    this.dirty.openUnsafe()
  }

  /** Lets the flusher go on if something was recorded. This may run it at once. */
  tell(): void {
    if (!this.changed) return
    this.changed = false
    this.dirty.openUnsafe()
    if (this.unrecorded >= this.flushEvery) this.hurry()
  }

  private hurry(): void {
    this.isDue = true
    this.flushNow?.()
  }

  /** Why the fan-out can't go on although it was asked to, if it has given up in this attempt before. */
  get stopped(): FanOutStopped | undefined {
    if (!this.gaveUp && this.header.failures <= this.failureLimit) return undefined
    return new FanOutStopped({
      fanOut: this.spec.name,
      failures: this.header.failures,
      first: this.firstFailure ?? { _tag: "Defect", message: "recorded by an earlier run" }
    })
  }

  /** Records what has ended. Only `abandon` ends it before the store does. */
  get flush(): Effect.Effect<void, unknown> {
    const { environment: { deadlines }, name, options: { onCommit }, run } = this.spec
    return Effect.withFiber((fiber) => {
      this.dirty.closeUnsafe()
      this.isDue = false
      this.flushing = fiber
      const limit = this.isLate ? deadlines.addUnsafe(drainMillis, this.abandon) : undefined
      let recorded: typeof this.waiting = []
      const flushed = run.flush(name, () => {
        const flush = { rows: this.rows, cleared: this.cleared }
        const { ended } = this
        this.rows = []
        this.cleared = []
        this.ended = []
        recorded = this.waiting
        this.waiting = []
        this.inFlight = this.unrecorded
        this.unrecorded = 0
        const tally = new Tally(this.header.tally)
        const checkpoint = Checkpoint.encode(run.version, this.header, this.state)
        return {
          flush: { ...flush, checkpoint },
          tally,
          ...onCommit !== undefined && Arr.isArrayNonEmpty(ended) ? { onCommit: onCommit(ended) } : {}
        }
      })
      return Effect.onExit(Effect.interruptible(flushed), (exit) =>
        Effect.sync(() => {
          this.flushing = undefined
          if (limit !== undefined) deadlines.removeUnsafe(limit)
          if (Exit.isFailure(exit)) {
            this.broken = true
            this.waiting.push(...recorded)
            return
          }
          this.inFlight = 0
          for (const resume of recorded) resume(Effect.void)
          this.flushed()
        })).pipe(
          Effect.onInterrupt(() =>
            Effect.logWarning(`Fan-out "${name}" of job ${run.id} has to stop, and what it records did not end`)
          )
        )
    })
  }

  /** Waits for the next flush, which it makes come at once. */
  readonly recorded = Effect.callback<void>((resume) => {
    if (this.isReleased) return resume(Effect.interrupt)
    this.waiting.push(resume)
    this.dirty.openUnsafe()
    this.hurry()
  })

  /** Interrupts who waits to be recorded: nothing is any more. */
  release(): void {
    this.isReleased = true
    for (const resume of this.waiting.splice(0)) resume(Effect.interrupt)
  }

  /** Waits for the store no longer. What it is doing for the program may never end, and hold up all others. */
  readonly abandon = (): void => {
    this.isLate = true
    this.flushing?.interruptUnsafe()
  }

  /**
   * Waits for the time of the next flush, or until enough was settled. It forks nothing: what a fiber keeps of its
   * children would outlive them by far, at hundreds of flushes a second.
   */
  private readonly untilDue = Effect.callback<void>((resume) => {
    if (this.isDue) return resume(Effect.void)
    const { deadlines } = this.spec.environment
    const end = () => {
      deadlines.removeUnsafe(deadline)
      this.flushNow = undefined
      resume(Effect.void)
    }
    const deadline = deadlines.addUnsafe(this.intervalMillis, end)
    this.flushNow = end
    return Effect.sync(end)
  })

  /**
   * Records whenever enough has been settled, or some time after anything has, until it is closed. All who can go on at
   * that moment do so before: what they commit is recorded with it.
   */
  get flusher(): Effect.Effect<void, unknown> {
    const due = Effect.andThen(Effect.andThen(this.dirty.await, this.untilDue), Effect.yieldNow)
    return Effect.whileLoop({
      while: () => !this.isClosing,
      body: () => Effect.flatMap(due, () => this.isClosing ? Effect.void : this.flush),
      step: () => {}
    })
  }

  /** Ends the flusher, once what it is recording is recorded. */
  close(): void {
    this.isClosing = true
    this.dirty.openUnsafe()
    this.hurry()
  }
}

const count = (counts: Checkpoint.Counts, outcome: Outcome, units: ReadonlyMap<string, number>): void => {
  if (outcome._tag === "Failed") {
    counts.failed++
  } else if (outcome._tag === "Skipped") {
    counts.skipped += outcome.count
  } else {
    const { count = 1, value } = outcome
    counts.done += count
    const tag = tagOf(value)
    if (tag !== undefined) counts.tags[tag] = (counts.tags[tag] ?? 0) + count
    addUnits(counts, units)
  }
}

const addUnits = (counts: Checkpoint.Counts, units: ReadonlyMap<string, number>): void => {
  for (const [unit, amount] of units) counts.units[unit] = (counts.units[unit] ?? 0) + amount
}

/** What an element has come to that others count instead of. */
const replaced: Outcome = { _tag: "Done", value: null, count: 0 }

const uncount = (counts: Checkpoint.Counts, outcome: Outcome): void => {
  if (outcome._tag === "Failed") counts.failed--
  else if (outcome._tag === "Skipped") counts.skipped -= outcome.count
}

const tagOf = (value: Schema.Json): string | undefined =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value["_tag"] === "string"
    ? value["_tag"]
    : undefined

/** A limit that an option sets. Less than one would leave a fan-out waiting for ever, or ended before it began. */
const atLeastOne = (option: string, value: number): number => {
  if (Number.isInteger(value) && value >= 1) return value
  throw new Error(`A fan-out's ${option} has to be a whole number, at least 1; it was given ${value}`)
}
