/**
 * Decides how much of a large file is done at once, by how long the piece before has taken.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** As long a piece should take: more at once saves little, and a stop waits for it. */
const aimedMillis = { least: 40, most: 160 }

/** Size of the next piece, between two bounds, beginning with the smaller one. */
export class PieceSize {
  bytes: number
  private readonly least: number
  private readonly most: number

  constructor({ least, most }: { readonly least: number; readonly most: number }) {
    this.bytes = least
    this.least = least
    this.most = most
  }

  /** Does a piece, which gives its length, and learns from how long that takes. */
  timed<E, R>(piece: Effect.Effect<number, E, R>): Effect.Effect<number, E, R> {
    return Effect.map(Effect.timed(piece), ([duration, length]) => {
      this.learn(length, Duration.toMillis(duration))
      return length
    })
  }

  private learn(length: number, millis: number): void {
    if (millis > aimedMillis.most) {
      // Where a disk gets slow, half as much would take seconds once more, for which a stop would wait.
      const inTime = 2 ** Math.floor(Math.log2(length * aimedMillis.most / millis))
      this.bytes = Math.max(inTime, this.least)
    } else if (millis < aimedMillis.least && length === this.bytes) {
      this.bytes = Math.min(this.bytes * 4, this.most)
    }
  }
}
