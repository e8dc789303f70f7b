/**
 * Compares the content of two files that are open, byte by byte.
 *
 * The first difference ends it, so no hash is needed. A file that takes long goes on behind what was compared before.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { buffersOf, sameBytes } from "../files/byteComparison.ts"
import { edition } from "../files/statComparison.ts"
import { fill } from "./bufferFill.ts"
import { dataFrom } from "./dataStretches.ts"
import * as PieceBuffers from "./pieceBuffers.ts"
import { PieceSize } from "./pieceSize.ts"

/** A file of one of the trees, and what was known of it when it was opened. */
export interface Opened<E> {
  readonly file: Files.OpenFile
  readonly stat: Files.FileStat
  /** Says in which tree a call has failed. */
  readonly blame: (error: FilesError) => E
  /** Reads what is at a place, in the place of the file's own way. */
  readonly readAt?: Files.OpenFile["readAt"]
}

/** How much is read at once of each file that is not large: no more than what is not handed to another thread. */
const pieceBytes = 2 ** 19
const small = { least: pieceBytes, most: pieceBytes }

/** How much may have to be compared again. */
const checkpointBytes = 2 ** 26

const takeBuffers = buffersOf(pieceBytes)

/** Fills the buffer as far as the file goes. */
const fillFrom = <E>(
  { blame, file, stat, readAt = (buffer, at) => file.readAt(buffer, at) }: Opened<E>,
  buffer: Uint8Array,
  offset: number
): Effect.Effect<number, E> =>
  Effect.mapError(
    fill(buffer, offset, (part, at) =>
      // What ends where it should needs not be read once more. Files of the kernel say that they have 0 bytes.
      at > 0 && at === stat.sizeBytes ? Effect.succeed(0) : readAt(part, at)),
    blame
  )

/** Whether less is on the disk than there is: some of it may be holes. */
export const isSparse = ({ allocatedBytes, sizeBytes }: Files.FileStat): boolean => allocatedBytes < sizeBytes

/** How many bytes from here on are holes in both files. */
const sharedHole = <E>(a: Opened<E>, b: Opened<E>, offset: number): Effect.Effect<number> =>
  Effect.map(
    Effect.forEach([a, b], ({ file, stat }) => dataFrom(file, offset, stat.sizeBytes)),
    (stretches) => Math.min(...stretches.map(({ start }) => start)) - offset
  )

/** How far two files were compared, and by what they are known to be those. */
export const Compared = Schema.Struct({ edition: Schema.String, bytes: Schema.Natural })
export type Compared = typeof Compared.Type

/** Where that is kept for when the task is run again: it has one checkpoint for all that it does. */
export interface Kept {
  readonly get: Effect.Effect<Option.Option<Compared>>
  readonly save: (compared: Compared) => Effect.Effect<void>
}

/**
 * Compares two files to the end; gives the place of the first byte that differs, or that only one of them has. What was
 * compared is counted piece by piece.
 */
export const compareContent = <E>(
  a: Opened<E>,
  b: Opened<E>,
  kept: Kept,
  count = (bytes: number): Effect.Effect<void> => Progress.add("bytes", bytes)
): Effect.Effect<Option.Option<number>, E | Interrupter.Interrupted> =>
  Effect.gen(function*() {
    const large = yield* PieceBuffers.borrow(Math.min(a.stat.sizeBytes, b.stat.sizeBytes))
    const { buffers, size } = large ?? { buffers: yield* takeBuffers, size: new PieceSize(small) }
    const editions = `${edition(a.stat)} ${edition(b.stat)}`
    const before = Option.filter(yield* kept.get, ({ edition }) => edition === editions)
    let offset = Option.match(before, { onNone: () => 0, onSome: ({ bytes }) => bytes })
    let savedAt = offset
    const mayHaveHoles = isSparse(a.stat) && isSparse(b.stat)
    const pass = (bytes: number) => {
      offset += bytes
      return count(bytes)
    }
    for (;;) {
      if (mayHaveHoles) yield* pass(yield* sharedHole(a, b, offset))
      const { bytes } = size
      const [inA, inB] = [buffers[0].subarray(0, bytes), buffers[1].subarray(0, bytes)]
      const filled = [size.timed(fillFrom(a, inA, offset)), fillFrom(b, inB, offset)] as const
      const [lengthA, lengthB] = yield* Effect.all(filled, { concurrency: 2 })
      const shared = Math.min(lengthA, lengthB)
      const same = sameBytes(buffers, shared)
      if (same < shared || lengthA !== lengthB) return Option.some(offset + same)
      yield* pass(same)
      if (same < bytes) return Option.none()
      if (offset - savedAt >= checkpointBytes) {
        savedAt = offset
        yield* kept.save({ edition: editions, bytes: offset })
      }
      yield* Interrupter.check
    }
  }).pipe(Effect.scoped)
