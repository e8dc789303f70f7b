/**
 * Copies the content of a large file: by sharing its blocks, within the kernel, or through memory, whatever the file
 * systems take, and so that it goes on where it was stopped.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { FilesError } from "../../FilesError.ts"
import { dataFrom } from "../content/dataStretches.ts"
import * as PieceBuffers from "../content/pieceBuffers.ts"
import { PieceSize } from "../content/pieceSize.ts"
import type { CopyError } from "../steps/copyError.ts"
import { onDestination, onSource } from "../steps/sideErrors.ts"
import type { ContentWay, CopiedContent, Copying } from "./contentCopy.ts"
import * as PartialFile from "./partialFile.ts"

/** How much is copied at once through memory, unless there are buffers for more. */
const pieceBytes = 2 ** 20
const small = { least: pieceBytes, most: pieceBytes }

/** How much the kernel copies at once: the least, unless a rate allows less, and the most. A stop waits for that. */
const kernelBytes = { least: 2 ** 23, most: 2 ** 28 }

/** Once in that time it is seen to that what was written is on the device: no more is lost by a power cut. */
const flushMillis = 5000

/** What only the destination can answer, whichever way it is written to. */
const isFull = ({ code }: FilesError): boolean => code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG"

/** One copy of the content of one file. */
class Content {
  bytes: number
  /** How it was copied, or is being copied. */
  way: "reflink" | "kernel" | "chunked" = "kernel"
  private readonly kernelSize = new PieceSize(kernelBytes)
  private readonly memorySize: PieceSize
  private flushed = 0
  /** What may be moved still, of what was waited for. */
  private unused = 0
  private flushedAt = 0
  private flushing: Fiber.Fiber<void> | undefined
  private flushFailed: FilesError | undefined
  private buffer: Uint8Array | undefined
  private readonly copying: Copying

  constructor(copying: Copying, pieces?: PieceBuffers.LargePieces) {
    this.copying = copying
    this.bytes = copying.to.bytes
    if (copying.take !== undefined) this.way = "chunked"
    this.buffer = pieces?.buffers[0]
    this.memorySize = pieces?.size ?? new PieceSize(small)
  }

  /** Shares all blocks of the source, where they are on the same device and that has such a thing. */
  readonly share: Effect.Effect<boolean> = Effect.suspend(() =>
    this.bytes > 0 || this.copying.take !== undefined ?
      Effect.succeed(false) :
      Effect.match(this.copying.to.file.cloneFrom(this.copying.from), {
        onFailure: () => false,
        onSuccess: () => {
          this.way = "reflink"
          this.bytes = this.copying.stat.sizeBytes
          return true
        }
      })
  )

  /** Reads what a run before this one has copied, for those who are to know all bytes. */
  readonly readCopied: Effect.Effect<void, CopyError | Interrupter.Interrupted> = Effect.gen(
    { self: this },
    function*() {
      const { take } = this.copying
      if (take === undefined) return
      for (let at = 0; at < this.bytes;) {
        const buffer = this.ownBuffer(Math.min(this.bytes - at, this.memorySize.bytes))
        const length = yield* onSource(this.copying.from.readAt(buffer, at))
        // It is shorter by now, which shows once it is looked at again.
        if (length === 0) return
        take(buffer.subarray(0, length))
        at += length
        yield* Interrupter.check
      }
    }
  )

  /** Passes a hole, piece by piece where its zeros are to be known: there may be any number of them. */
  readonly skipTo = Effect.fnUntraced({ self: this }, function*(this: Content, end: number) {
    const { take } = this.copying
    if (take === undefined) return yield* this.passed(end - this.bytes)
    const zeros = new Uint8Array(Math.min(end - this.bytes, pieceBytes))
    while (this.bytes < end) {
      const length = Math.min(end - this.bytes, zeros.length)
      take(zeros.subarray(0, length))
      yield* this.passed(length)
      yield* Effect.yieldNow
      yield* Interrupter.check
    }
  })

  /** Copies up to this place, or up to the end of the source if that comes before. */
  readonly copyTo = Effect.fnUntraced({ self: this }, function*(this: Content, end: number) {
    while (this.bytes < end) {
      const most = Math.min(end - this.bytes, this.way === "kernel" ? this.kernelSize.bytes : this.memorySize.bytes)
      const length = yield* this.piece(yield* this.allowed(yield* TaskDispatcher.pieceBytes(most)))
      if (length === 0) return
      this.unused -= length
      yield* this.passed(length)
      yield* this.flushNowAndThen
      yield* Interrupter.check
    }
  })

  /** Waits until so much may be moved. What was not, of what was waited for before, counts: a piece may be shorter. */
  private allowed(most: number): Effect.Effect<number, Interrupter.Interrupted> {
    const more = Math.max(most - this.unused, 0)
    this.unused += more
    return TaskDispatcher.throttle(more).pipe(
      // What waits for its bandwidth is let go when it is to stop.
      Effect.andThen(Interrupter.check),
      // An owner that comes after this one goes on with the same file.
      Effect.andThen(Lease.check),
      Effect.as(most)
    )
  }

  /** Counts what was copied, or is a hole, and keeps how far it has come. */
  private passed(length: number): Effect.Effect<void> {
    this.bytes += length
    return Effect.andThen(this.copying.count(this.bytes), this.copying.to.save(this.bytes, this.flushed))
  }

  private piece(most: number): Effect.Effect<number, CopyError | Interrupter.Interrupted> {
    if (this.way !== "kernel") return this.memorySize.timed(this.throughMemory(most))
    const kernel = this.kernelSize.timed(this.copying.to.file.copyFrom(this.copying.from, this.bytes, most))
    const memory = Effect.suspend(() => {
      this.way = "chunked"
      return this.throughMemory(Math.min(most, this.memorySize.bytes))
    })
    return Effect.matchEffect(kernel, {
      // Through memory it shows on which side that fails.
      onFailure: (error) => isFull(error) ? onDestination(Effect.fail(error)) : memory,
      // Some file systems give nothing like that.
      onSuccess: (length) => length === 0 ? memory : Effect.succeed(length)
    })
  }

  private throughMemory(most: number): Effect.Effect<number, CopyError | Interrupter.Interrupted> {
    const buffer = this.ownBuffer(most)
    return Effect.flatMap(onSource(this.copying.from.readAt(buffer, this.bytes)), (length) => {
      if (length === 0) return Effect.succeed(0)
      const piece = buffer.subarray(0, length)
      const { take } = this.copying
      const write = onDestination(this.copying.to.file.writeAt(piece, this.bytes))
      // Another thread writes meanwhile.
      const both = take === undefined ? write : Effect.all([write, Effect.sync(() => take(piece))], { concurrency: 2 })
      // To read it may have taken any time.
      return Effect.as(Effect.andThen(Lease.check, both), length)
    })
  }

  /** Not cleared first: only what was read into it is used. */
  private ownBuffer(most: number): Uint8Array {
    this.buffer ??= Buffer.allocUnsafeSlow(pieceBytes)
    return this.buffer.subarray(0, most)
  }

  /** Flushes what was written, while more is being written. What could not be flushed may not be whole. */
  private readonly flushNowAndThen: Effect.Effect<void, CopyError, Scope.Scope> = Effect.suspend(() => {
    if (this.flushFailed !== undefined) return onDestination(Effect.fail(this.flushFailed))
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (this.flushedAt === 0) this.flushedAt = now
      if (this.flushing !== undefined || now - this.flushedAt < flushMillis) return Effect.void
      const { bytes } = this
      const flush = Effect.match(this.copying.to.file.sync, {
        onFailure: (error) => {
          this.flushFailed = error
        },
        onSuccess: () => {
          this.flushed = bytes
          this.flushedAt = now
          this.flushing = undefined
        }
      })
      return Effect.map(Effect.forkScoped(flush), (flushing) => {
        this.flushing = flushing
      })
    })
  })

  /** Waits for a flush that is under way: nobody else is told what it has failed with. */
  readonly end: Effect.Effect<void, CopyError> = Effect.suspend(() =>
    Effect.andThen(
      this.flushing === undefined ? Effect.void : Fiber.await(this.flushing),
      Effect.suspend(() => this.flushFailed === undefined ? Effect.void : onDestination(Effect.fail(this.flushFailed)))
    )
  )
}

/** Copies the content, as much of it as the source had when it was opened. */
const copy = Effect.fnUntraced(function*(
  copying: Copying
): Effect.fn.Return<CopiedContent, CopyError | Interrupter.Interrupted, Scope.Scope> {
  const { count, from, request: { options: { keeps } }, stat: { sizeBytes }, to } = copying
  // Only what is hashed goes through memory for sure.
  const pieces = copying.take === undefined ? undefined : yield* PieceBuffers.borrow(sizeBytes)
  const content = new Content(copying, pieces)
  if (yield* content.share) {
    yield* count(sizeBytes)
    return { strategy: content.way, sizeBytes }
  }
  yield* content.readCopied
  if (keeps.has("sparse")) {
    while (content.bytes < sizeBytes) {
      const { bytes } = content
      const { end, start } = yield* dataFrom(from, bytes, sizeBytes)
      yield* content.skipTo(start)
      yield* content.copyTo(end)
      // The source is shorter by now.
      if (content.bytes === bytes) break
    }
  } else {
    yield* content.copyTo(sizeBytes)
  }
  // A hole at the end, or what a run before this one has written of more.
  yield* Lease.check
  yield* onDestination(to.file.truncate(content.bytes))
  yield* content.end
  return { strategy: content.way, sizeBytes: content.bytes }
})

/**
 * The way for files of any size. Results name how the content was copied: `reflink` where it shares the blocks of the
 * source, `kernel` where the kernel has copied it, `chunked` where it went through memory.
 */
export const way: ContentWay = { isLong: true, open: PartialFile.open, copy }
