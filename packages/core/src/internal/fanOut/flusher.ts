/**
 * Records what a fan-out has come to: whenever enough has ended, or some time after anything has.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import { Tally } from "../../Progress.ts"
import type { FanOut } from "./engine.ts"
import { drainMillis } from "./jobRun.ts"
import type { Ledger } from "./ledger.ts"
import * as Checkpoint from "./storedLedger.ts"

type Resume = (effect: Effect.Effect<void>) => void

export class Flusher {
  /** Whether something could not be recorded: what was to go with it is lost, and runs again. */
  isBroken = false
  private readonly spec: FanOut
  private readonly ledger: Ledger
  private readonly intervalMillis: number
  private readonly onFlushed: () => void
  /** Tasks that wait until their checkpoint is in the store. */
  private waiting: Array<Resume> = []
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

  constructor(spec: FanOut, ledger: Ledger, intervalMillis: number, onFlushed: () => void) {
    this.spec = spec
    this.ledger = ledger
    this.intervalMillis = intervalMillis
    this.onFlushed = onFlushed
  }

  /** Has what a running task has added or saved go with the next flush. */
  readonly noteChange = (): void => {
    this.dirty.openUnsafe()
  }

  /** Goes on if something is to be recorded. This may run the flusher at once. */
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

  /**
   * Flushes until it is closed. All who can go on at that moment do so before: what they commit is recorded with it.
   */
  get run(): Effect.Effect<void, unknown> {
    const due = Effect.andThen(Effect.andThen(this.dirty.await, this.untilDue), Effect.yieldNow)
    return Effect.whileLoop({
      while: () => !this.isClosing,
      body: () => Effect.flatMap(due, () => this.isClosing ? Effect.void : this.flush),
      step: () => {}
    })
  }

  /**
   * Waits for the time of the next flush, or until enough has ended. It forks nothing: what a fiber keeps of its
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

  /** Records what has ended. Only `abandon` ends it before the store does. */
  get flush(): Effect.Effect<void, unknown> {
    const { environment: { deadlines }, name, options: { onCommit }, run } = this.spec
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
        return {
          flush: { ...rows, checkpoint: Checkpoint.encode(run.version, ledger) },
          tally: new Tally(ledger.journal.header.tally),
          ...onCommit !== undefined && Arr.isReadonlyArrayNonEmpty(ended) ? { onCommit: onCommit(ended) } : {}
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

  /** Ends it, once what it is recording is recorded. */
  close(): void {
    this.isClosing = true
    this.dirty.openUnsafe()
    this.hurry()
  }
}
