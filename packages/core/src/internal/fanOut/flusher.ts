/** Records the ends and the checkpoint of a fan-out: after `flushEvery` ends, or `flushInterval` after a change. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type { Ended } from "../../FanOut.ts"
import type { FanOut } from "./engine.ts"
import { drainMillis } from "./jobRun.ts"
import type { Ledger } from "./ledger.ts"
import * as Checkpoint from "./storedLedger.ts"

/** The part of the program in the transaction of a flush. */
const commitOf = (
  { onCommit, onDone }: FanOut["options"],
  ended: ReadonlyArray<Ended<unknown, unknown>>
): Effect.Effect<void, unknown> | undefined => {
  if (!Arr.isReadonlyArrayNonEmpty(ended)) return undefined
  // An element that parts have replaced is not done by itself: it counts 0.
  const done = ended.flatMap(({ cursor, outcome, payload, value }) =>
    outcome._tag === "Done" && outcome.count !== 0 && Option.isSome(payload) && Option.isSome(value)
      ? [{ cursor, payload: payload.value, value: value.value }]
      : []
  )
  return Effect.andThen(
    onCommit?.(ended) ?? Effect.void,
    onDone !== undefined && Arr.isReadonlyArrayNonEmpty(done) ? onDone(done) : Effect.void
  )
}

type Resume = (effect: Effect.Effect<void>) => void

export class Flusher {
  /** Whether a flush has failed. The ends of the flush are lost, and their elements run again. */
  isBroken = false
  private readonly spec: FanOut
  private readonly ledger: Ledger
  private readonly intervalMillis: number
  private readonly onFlushed: () => void
  /** Tasks that wait until the store has their checkpoint. */
  private waiting: Array<Resume> = []
  private readonly dirty = Latch.makeUnsafe(false)
  private isReleased = false
  /** Whether the next flush is due at once; the function that ends the wait for its time. */
  private isDue = false
  private flushNow: (() => void) | undefined
  private isClosing = false
  /** The fiber that waits for the store. */
  private flushing: Fiber.Fiber<unknown, unknown> | undefined
  /** Whether the time is over that a stopping job has for the store. */
  private isLate = false

  constructor(spec: FanOut, ledger: Ledger, intervalMillis: number, onFlushed: () => void) {
    this.spec = spec
    this.ledger = ledger
    this.intervalMillis = intervalMillis
    this.onFlushed = onFlushed
  }

  /** Notes progress or a checkpoint of a running task. The next flush records both. */
  readonly noteChange = (): void => {
    this.dirty.openUnsafe()
  }

  /** Wakes the flusher if the journal has changed. The flusher can run within this call. */
  tell(): void {
    const { isChanged, isFull } = this.ledger.journal
    if (!isChanged) return
    this.dirty.openUnsafe()
    if (isFull) this.hurry()
  }

  private hurry(): void {
    this.isDue = true
    this.flushNow?.()
  }

  /** Flushes until `close`. Each flush yields once before, so that fibers that are ready can add their commits. */
  get run(): Effect.Effect<void, unknown> {
    const due = Effect.andThen(Effect.andThen(this.dirty.await, this.untilDue), Effect.yieldNow)
    return Effect.whileLoop({
      while: () => !this.isClosing,
      body: () => Effect.flatMap(due, () => this.isClosing ? Effect.void : this.flush),
      step: () => {}
    })
  }

  /**
   * Waits for the time of the next flush, or for enough ends. The wait forks no fiber: at hundreds of flushes a second
   * the records that a fiber keeps of its children would pile up.
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

  /** Records all unrecorded ends. Only `abandon` interrupts a flush. */
  get flush(): Effect.Effect<void, unknown> {
    const { environment: { deadlines }, name, options, run } = this.spec
    const { ledger } = this
    return Effect.withFiber((fiber) => {
      this.dirty.closeUnsafe()
      this.isDue = false
      this.flushing = fiber
      const limit = this.isLate ? deadlines.addUnsafe(drainMillis, this.abandon) : undefined
      let waiting: Array<Resume> = []
      const flushed = run.flush(name, () => {
        const { ended, ...rows } = ledger.journal.takeBatch()
        waiting = this.waiting.splice(0)
        const onCommit = commitOf(options, ended)
        return {
          flush: { ...rows, checkpoint: Checkpoint.encode(run.version, ledger) },
          tally: ledger.journal.tally,
          ...onCommit === undefined ? {} : { onCommit }
        }
      })
      return Effect.onExit(Effect.interruptible(flushed), (exit) =>
        Effect.sync(() => {
          this.flushing = undefined
          if (limit !== undefined) deadlines.removeUnsafe(limit)
          if (Exit.isFailure(exit)) {
            this.isBroken = true
            this.waiting.push(...waiting)
            return
          }
          ledger.journal.recorded()
          for (const resume of waiting) resume(Effect.void)
          this.onFlushed()
        })).pipe(
          Effect.onInterrupt(() =>
            Effect.logWarning(`Fan-out "${name}" of job ${run.id} has to stop, and what it records did not end`)
          )
        )
    })
  }

  /** Makes the next flush due at once, and waits for its end. */
  readonly recorded = Effect.callback<void>((resume) => {
    if (this.isReleased) return resume(Effect.interrupt)
    this.waiting.push(resume)
    this.dirty.openUnsafe()
    this.hurry()
  })

  /** Interrupts the tasks that wait for a flush. No flush comes any more. */
  release(): void {
    this.isReleased = true
    for (const resume of this.waiting.splice(0)) resume(Effect.interrupt)
  }

  /** Stops waiting for the store. An `onCommit` of the program may never end, and would hold up all other fan-outs. */
  readonly abandon = (): void => {
    this.isLate = true
    this.flushing?.interruptUnsafe()
  }

  /** Ends the flusher after the flush in flight. */
  close(): void {
    this.isClosing = true
    this.dirty.openUnsafe()
    this.hurry()
  }
}
