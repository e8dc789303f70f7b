/**
 * Copies the content of a file through memory.
 *
 * @since 0.1.0
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import { CopyError, Reason } from "../CopyError.ts"
import type { Copied, CopyRequest } from "../CopyStrategy.ts"
import type * as Files from "../Files.ts"
import * as Place from "../Place.ts"
import { keepAttributes } from "./attributes.ts"
import { createDraft } from "./placing.ts"
import { onDestination, onSource } from "./sides.ts"

/** How a strategy copies content. */
export interface ContentOptions {
  readonly strategy: string
  /** How much is read at once of a file of this size. */
  readonly bufferBytes: (sizeBytes: number) => number
}

/** How many bytes of a file were counted, by whichever try. */
interface Counted {
  bytes: number
}

/** Counts a file up to here. What a try before this one has counted is not counted once more. */
const count = (counted: Counted, copied: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const more = copied - counted.bytes
    if (more <= 0) return Effect.void
    counted.bytes = copied
    return Progress.add("bytes", more)
  })

/**
 * Copies all there is up to the end of the file, whatever its size was said to be: files in `/proc` say 0, others
 * grow, some for ever. A read that gives less than was asked for, and exactly up to that size, has met the end.
 */
const pump = Effect.fnUntraced(function*(
  from: Files.OpenFile,
  to: Files.OpenFile,
  sizeBytes: number,
  bufferBytes: number,
  counted: Counted
): Effect.fn.Return<number, CopyError | Interrupter.Interrupted> {
  // Not cleared first: only what was read into it is written.
  const buffer = Buffer.allocUnsafeSlow(bufferBytes)
  for (let copied = 0;;) {
    const length = yield* onSource(from.read(buffer))
    if (length === 0) return copied
    yield* onDestination(to.write(length === buffer.length ? buffer : buffer.subarray(0, length)))
    copied += length
    yield* count(counted, copied)
    if (length < buffer.length && copied === sizeBytes) return copied
    yield* Interrupter.check
  }
})

/** Whether a file was written to while it was read, as far as its size and time tell. */
export const isChanged = (before: Files.FileStat, after: Files.FileStat): boolean =>
  before.modifiedNanos !== after.modifiedNanos || before.sizeBytes !== after.sizeBytes

const copyOnce = Effect.fnUntraced(
  function*(request: CopyRequest, { bufferBytes, strategy }: ContentOptions, counted: Counted) {
    const { source } = request
    const from = yield* onSource(source.folder.open(source.name))
    const stat = yield* onSource(from.stat)
    if (stat.kind !== "file") {
      return yield* new CopyError({ reason: Reason.cases.KindChanged.make({ path: Place.path(source) }) })
    }
    const draft = yield* createDraft(request)
    const sizeBytes = yield* pump(from, draft.file, stat.sizeBytes, bufferBytes(stat.sizeBytes), counted)
    if (isChanged(stat, yield* onSource(from.stat))) {
      return yield* new CopyError({ reason: Reason.cases.Changed.make({ path: Place.path(source) }) })
    }
    const lost = yield* keepAttributes(draft.file, stat)
    yield* draft.place
    return { strategy, sizeBytes, lost }
  },
  Effect.scoped
)

/** Copies a file where nobody sees it, and then puts it in its place. */
export const copyContent = (
  request: CopyRequest,
  options: ContentOptions
): Effect.Effect<Copied, CopyError | Interrupter.Interrupted> =>
  Effect.suspend(() => {
    const copy = copyOnce(request, options, { bytes: 0 })
    // Once more each: what was not supported is remembered, and what goes on changing is told.
    return Effect.catchReason(copy, "CopyError", "Unsupported", () => copy).pipe(
      (copied) => Effect.catchReason(copied, "CopyError", "Changed", () => copied)
    )
  })
