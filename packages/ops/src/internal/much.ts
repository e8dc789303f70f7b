/**
 * Tells how much work there has been, for those who share it with others once there is much.
 *
 * A file itself costs mostly what the owner does anyway, all of its content can be others' work.
 */

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

  /** What a piece adds, and what was not known before of those that are done. */
  weightOf(piece: Known): number {
    const { unsaid } = this
    this.unsaid = 0
    return amountOf(piece) + unsaid
  }

  /** Takes how many bytes of a piece were read, and how long it kept this thread waiting. */
  note(piece: Known, bytes: number, millis: number): void {
    const content = piece.bytes === undefined ? bytes / unit.bytes : 0
    this.unsaid += Math.max(content, millis / unit.millis - amountOf(piece))
  }
}
