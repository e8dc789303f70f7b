/**
 * Tells how much work there has been, for those who share it with others once there is much.
 *
 * A file itself costs mostly what the owner does anyway, all of its content can be others' work.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** So many files take so many milliseconds, unless they come slowly. */
const unit = { files: 64, bytes: 2 ** 19, millis: 0.7 } as const

/** What of a piece of work is known before it is done. */
export interface Known {
  readonly files: number
  /** How much content is to be read, where that is known. */
  readonly bytes?: number | undefined
}

/** How much of it is known. */
export const amountOf = ({ bytes = 0, files }: Known): number => files / unit.files + bytes / unit.bytes

/** How much there was to do by now. */
export class Much {
  private unsaid = 0
  private readonly clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  /** What a piece adds, and what was not known before of those that are done. */
  weightOf(piece: Known): number {
    const { unsaid } = this
    this.unsaid = 0
    return amountOf(piece) + unsaid
  }

  /** Does a piece here, and takes how long that keeps this thread, and how much is read that was not known of. */
  timed<A, E, R>(
    piece: Known,
    work: Effect.Effect<A, E, R>,
    bytesOf: (done: A) => number = () => 0
  ): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const started = this.clock.monotonicTimeNanosUnsafe()
      return Effect.onExit(work, (exit) =>
        Effect.sync(() => {
          const millis = Number(this.clock.monotonicTimeNanosUnsafe() - started) / 1e6
          const read = piece.bytes === undefined && Exit.isSuccess(exit) ? bytesOf(exit.value) : 0
          this.unsaid += Math.max(read / unit.bytes, millis / unit.millis - amountOf(piece))
        }))
    })
  }
}

/** Starts to tell. */
export const make: Effect.Effect<Much> = Effect.clockWith((clock) => Effect.succeed(new Much(clock)))
