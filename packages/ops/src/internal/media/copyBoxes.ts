/**
 * Copies what is sound of the boxes of a film into a small one: what tells of its streams, and its tags.
 *
 * Boxes of the copy are as long as they say, and none is cut. So whoever reads it needs not give up all of them for
 * one; and each of them can be left out.
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import { type Box, eachBox, without } from "./boxes.ts"
import { type Fault, latin, type Source, u32 } from "./source.ts"

/** Which boxes are copied: all of one, or those in it that have a name here. `*` is any other one. */
type Shape = "whole" | { readonly [type: string]: Shape }

const meta: Shape = { hdlr: "whole", keys: "whole", ilst: { "*": { "*": "whole" } } }

const shape: Shape = {
  ftyp: "whole",
  moov: {
    mvhd: "whole",
    trak: {
      tkhd: "whole",
      mdia: {
        mdhd: "whole",
        hdlr: "whole",
        // QuickTime has another `hdlr` in it, which tells nothing of the stream and is taken for that one.
        minf: { stbl: { stsd: "whole", stts: "whole", stsz: "whole" } }
      }
    },
    udta: { "*": "whole", meta },
    meta
  },
  moof: { traf: { tfhd: "whole", trun: "whole" } }
}

/** A box that was copied: with all of its bytes, or with others in it. */
export interface Copied {
  readonly type: string
  readonly inner: Uint8Array | ReadonlyArray<Copied>
}

/** What was copied, and what of the original is broken. */
export interface Copy {
  readonly boxes: ReadonlyArray<Copied>
  readonly problems: ReadonlyArray<string>
  /** Why something could not be read at all. */
  readonly fault: Fault | undefined
}

/** Bytes of boxes, one behind the other. */
export const bytesOf = (boxes: ReadonlyArray<Copied>): Uint8Array =>
  Buffer.concat(boxes.flatMap(({ inner, type }) => {
    const content = inner instanceof Uint8Array ? inner : bytesOf(inner)
    // All others of these have but boxes in them.
    const version = type === "meta" ? 4 : 0
    const head = Buffer.alloc(8 + version)
    head.writeUInt32BE(head.length + content.length)
    head.write(type, 4, "latin1")
    return [head, content]
  }))

/** Boxes that have bytes in them, each alone in those that it is in. */
export const leavesOf = (boxes: ReadonlyArray<Copied>): ReadonlyArray<{ leaf: Copied; alone: Copied }> =>
  boxes.flatMap((box) =>
    box.inner instanceof Uint8Array
      ? [{ leaf: box, alone: box }]
      : leavesOf(box.inner).map(({ alone, leaf }) => ({ leaf, alone: { type: box.type, inner: [alone] } }))
  )

/** Boxes without some that have bytes in them. */
export const leaveOut = (boxes: ReadonlyArray<Copied>, out: ReadonlyMap<Copied, unknown>): ReadonlyArray<Copied> =>
  boxes.filter((box) => !out.has(box)).map((box) =>
    box.inner instanceof Uint8Array ? box : { type: box.type, inner: leaveOut(box.inner, out) }
  )

/** How far is looked for the next box behind one whose length is wrong, and how often. */
const mostGapBytes = 2 ** 16
const mostGaps = 16

class Copying {
  readonly problems: Array<string> = []
  fault: Fault | undefined
  private gaps = 0
  private isWithinCut = false

  /** Boxes of these shapes, as far as there is something sound. */
  readonly boxes = Effect.fnUntraced({ self: this }, function*(
    this: Copying,
    source: Source,
    shapes: Exclude<Shape, "whole">,
    most?: number
  ) {
    const copied: Array<Copied> = []
    const isFile = most !== undefined
    const shapeOf = (type: string) => Object.hasOwn(shapes, type) ? shapes[type] : shapes["*"]
    const walk = eachBox(source, {
      take: (box) => this.take(copied, box, shapeOf(box.type), isFile),
      next: (type, from) => type === "mdat" ? Effect.undefined : this.next(source, from, shapes),
      ...isFile ? { most } : {}
    })
    yield* this.tolerate(walk)
    return copied
  })

  /** Where the next box of these begins that fits into what it is in. */
  private next(source: Source, from: number, shapes: Exclude<Shape, "whole">) {
    const length = Math.min(mostGapBytes, source.sizeBytes - from)
    if (length < 8 || this.gaps++ >= mostGaps) return Effect.undefined
    return Effect.map(source.at(from, length), (bytes) => {
      for (let at = 0; at + 8 <= length; at++) {
        const size = u32(bytes, at)
        const fits = size >= 8 && from + at + size <= source.sizeBytes
        if (fits && Object.hasOwn(shapes, latin(bytes, at + 4, at + 8))) return from + at
      }
      return undefined
    })
  }

  private tolerate(effect: Effect.Effect<void, FilesError | Fault>): Effect.Effect<void, FilesError> {
    return Effect.catchTag(effect, "Fault", (fault) =>
      Effect.sync(() => {
        this.fault ??= fault
        this.problems.push(fault.why)
      }))
  }

  private take(
    copied: Array<Copied>,
    { content, type, wrong }: Box,
    shape: Shape | undefined,
    isInFile: boolean
  ): Effect.Effect<void, FilesError> {
    const isCut = wrong === "cut"
    // What is in one that is cut is so, too; the last one of a file needs no length.
    const isTold = wrong !== undefined && !(wrong === "open" && isInFile) && !this.isWithinCut
    if (isTold && (shape !== undefined || type === "mdat" || wrong === "mended")) {
      this.problems.push(isCut ? `${type} ends before what it says it has` : `${type} is not as long as it says`)
    }
    if (shape === undefined || (isCut && shape === "whole")) return Effect.void
    const { isWithinCut } = this
    this.isWithinCut ||= isCut
    const inner: Effect.Effect<Copied["inner"], FilesError | Fault> = shape === "whole"
      ? Effect.map(content.at(0, content.sizeBytes), (bytes) => bytes.slice())
      : Effect.flatMap(
        type === "meta" ? unversioned(content) : Effect.succeed(content),
        (content) => this.boxes(content, shape)
      )
    const taking = this.tolerate(Effect.map(inner, (inner) => void copied.push({ type, inner })))
    return Effect.map(taking, () => {
      this.isWithinCut = isWithinCut
    })
  }
}

/** Content of a box of tags. In QuickTime it has no version, in what came of it it has one. */
const unversioned = (content: Source) =>
  Effect.map(content.at(0, 8), (bytes) => latin(bytes, 4, 8) === "hdlr" ? content : without(content, 4))

/** Copies what is sound, and tells what is not. */
export const copyBoxes = Effect.fnUntraced(function*(source: Source) {
  const copying = new Copying()
  // Each of them costs what is read there, and that has an end.
  const boxes = yield* copying.boxes(source, shape, Infinity)
  const copy: Copy = { boxes, problems: copying.problems, fault: copying.fault }
  return copy
})
