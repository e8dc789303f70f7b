/**
 * Limits how many jobs run at once in a process, in all and of one name. Each running job has a place. A job that waits
 * for children gives the place back, and gets a place again ahead of queued jobs. So one place is enough for any number
 * of generations.
 */
import * as Effect from "effect/Effect"
import type { Interrupter } from "../../Interrupter.ts"

export class Places {
  /** The number of runs that wait for children. */
  waiting = 0
  /** Places of runs that wait to go on after their children. */
  readonly returning = new Set<Place>()
  readonly limit: number
  private readonly limits: ReadonlyMap<string, number>
  private readonly onFree: () => void
  /** The number of taken places. A run that must not wait takes a place above the limit. */
  private taken = 0
  private readonly takenBy = new Map<string, number>()

  constructor(limit: number, limits: ReadonlyMap<string, number>, onFree: () => void) {
    this.limit = limit
    this.limits = limits
    this.onFree = onFree
  }

  get free(): number {
    return this.limit - this.taken
  }

  /** Whether a job of a name can have a place. */
  isFreeFor(name: string): boolean {
    return this.free > 0 && (this.takenBy.get(name) ?? 0) < (this.limits.get(name) ?? Infinity)
  }

  takeUnsafe(name: string): void {
    this.taken++
    this.takenBy.set(name, (this.takenBy.get(name) ?? 0) + 1)
  }

  giveBackUnsafe(name: string): void {
    this.taken--
    this.takenBy.set(name, (this.takenBy.get(name) ?? 0) - 1)
    for (const place of this.returning) {
      if (this.isFreeFor(place.name)) place.grantUnsafe()
    }
    if (this.free > 0) this.onFree()
  }
}

/** The place of one run. The run has no place while any fiber of the run waits for a child. */
export class Place {
  /** Name of the job. */
  readonly name: string
  private readonly places: Places
  private readonly signal: Interrupter
  private isHeld = true
  private waits = 0
  private resume: (() => void) | undefined = undefined

  constructor(places: Places, name: string, signal: Interrupter) {
    this.places = places
    this.name = name
    this.signal = signal
    places.takeUnsafe(name)
  }

  /**
   * Runs an effect without the place, then waits for a place. After a failure of the effect or a stop of the run, the
   * fiber goes on at once.
   */
  without<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) => {
      this.leaveUnsafe()
      const wait = restore(effect).pipe(Effect.tapCause(() =>
        Effect.sync(() => {
          if (this.isBackUnsafe()) this.grantUnsafe()
        })
      ))
      return Effect.tap(wait, () => Effect.suspend(() => this.isBackUnsafe() ? restore(this.granted) : Effect.void))
    })
  }

  /** Gives the place back after the end of the run. */
  endUnsafe(): void {
    if (this.waits > 0) this.places.waiting--
    this.waits = 0
    if (this.isHeld) this.places.giveBackUnsafe(this.name)
    this.isHeld = false
  }

  grantUnsafe(): void {
    this.isHeld = true
    this.places.takeUnsafe(this.name)
    this.letGoUnsafe()
  }

  private leaveUnsafe(): void {
    // Another fiber of the run may wait for a place. That fiber goes on without a place, since the run waits again.
    this.letGoUnsafe()
    if (this.waits++ > 0) return
    this.places.waiting++
    if (this.isHeld) this.places.giveBackUnsafe(this.name)
    this.isHeld = false
  }

  /** Notes that a fiber no longer waits for a child. Returns whether the fiber was the last one of the run. */
  private isBackUnsafe(): boolean {
    if (this.waits === 0 || --this.waits > 0) return false
    this.places.waiting--
    return true
  }

  private readonly granted = Effect.callback<void>((resume) => {
    if (this.places.isFreeFor(this.name)) {
      this.grantUnsafe()
      return resume(Effect.void)
    }
    const remove = this.signal.onRequestUnsafe(() => {
      if (this.resume !== undefined) this.grantUnsafe()
    })
    this.resume = () => {
      remove()
      resume(Effect.void)
    }
    this.places.returning.add(this)
    if (this.signal.reason !== undefined) this.grantUnsafe()
    return Effect.sync(() => {
      if (this.resume !== undefined) this.grantUnsafe()
    })
  })

  private letGoUnsafe(): void {
    const { resume } = this
    this.resume = undefined
    this.places.returning.delete(this)
    resume?.()
  }
}
