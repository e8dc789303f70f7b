/**
 * How many jobs run at once in a process. One that waits for its children gives its place to others, and gets one again
 * ahead of those that are queued; so any number of generations gets on with one place.
 */
import * as Effect from "effect/Effect"
import type { Interrupter } from "../../Interrupter.ts"

export class Places {
  /** Runs that wait for their children. */
  waiting = 0
  private readonly limit: number
  private readonly onFree: () => void
  private taken = 0
  private readonly returning = new Set<Place>()

  constructor(limit: number, onFree: () => void) {
    this.limit = limit
    this.onFree = onFree
  }

  get free(): number {
    return this.limit - this.taken
  }

  /** Takes a place, free or not. */
  takeUnsafe(): void {
    this.taken++
  }

  giveBackUnsafe(): void {
    this.taken--
    for (const place of this.returning) {
      if (this.free <= 0) return
      place.grantUnsafe()
    }
    if (this.free > 0) this.onFree()
  }

  queueUnsafe(place: Place): void {
    this.returning.add(place)
  }

  unqueueUnsafe(place: Place): void {
    this.returning.delete(place)
  }
}

/** Place of one run, which has none while any of its fibers waits for a child. */
export class Place {
  private readonly places: Places
  private readonly signal: Interrupter
  private isHeld = true
  private waits = 0
  private resume: (() => void) | undefined = undefined

  constructor(places: Places, signal: Interrupter) {
    this.places = places
    this.signal = signal
    places.takeUnsafe()
  }

  /**
   * Waits for something without the place, and then for a place. Where the wait fails, and where the run is stopped,
   * it goes on at once.
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

  /** Gives back what the run has. Nothing of it runs any more. */
  endUnsafe(): void {
    if (this.waits > 0) this.places.waiting--
    this.waits = 0
    if (this.isHeld) this.places.giveBackUnsafe()
    this.isHeld = false
  }

  grantUnsafe(): void {
    this.isHeld = true
    this.places.takeUnsafe()
    this.letGoUnsafe()
  }

  private leaveUnsafe(): void {
    // A fiber of the same run that was on its way back goes on without: the run waits again.
    this.letGoUnsafe()
    if (this.waits++ > 0) return
    this.places.waiting++
    if (this.isHeld) this.places.giveBackUnsafe()
    this.isHeld = false
  }

  /** Notes that a fiber waits no more; tells whether it was the last one of the run. */
  private isBackUnsafe(): boolean {
    if (this.waits === 0 || --this.waits > 0) return false
    this.places.waiting--
    return true
  }

  private readonly granted = Effect.callback<void>((resume) => {
    if (this.places.free > 0) {
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
    this.places.queueUnsafe(this)
    if (this.signal.reason !== undefined) this.grantUnsafe()
    return Effect.sync(() => {
      if (this.resume !== undefined) this.grantUnsafe()
    })
  })

  private letGoUnsafe(): void {
    const { resume } = this
    this.resume = undefined
    this.places.unqueueUnsafe(this)
    resume?.()
  }
}
