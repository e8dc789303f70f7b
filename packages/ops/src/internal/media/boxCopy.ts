/**
 * Copies what is sound of the boxes of a film into a small one: what tells of its streams, and its tags.
 *
 * Boxes of the copy are as long as they say, and none is cut. So whoever reads it needs not give up all of them for
 * one; and each of them can be left out.
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import { headAt, mostBoxes } from "./boxes.ts"
import { type Fault, headOf, latin, type Source, u32, within } from "./byteSource.ts"

/** Which boxes are copied: all of one, or those in it that have a name here. `*` is any other one. */
type Shape = "whole" | Shapes
interface Shapes {
  readonly [type: string]: Shape
}

const meta: Shapes = { hdlr: "whole", keys: "whole", ilst: { "*": { "*": "whole" } } }

const shapes: Shapes = {
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

/** Where the next box of these begins that fits into what it is in. */
const nextOf = (source: Source, from: number, shapes: Shapes) =>
  Effect.map(headOf(source, mostGapBytes, from), (bytes) => {
    for (let at = 0; at + 8 <= bytes.length; at++) {
      const size = u32(bytes, at)
      const fits = size >= 8 && from + at + size <= source.sizeBytes
      if (fits && Object.hasOwn(shapes, latin(bytes, at + 4, at + 8))) return from + at
    }
    return undefined
  })

/** Copies what is sound, and tells what is not; and why something could not be read at all. */
export const copyBoxes = Effect.fnUntraced(function*(source: Source) {
  const problems = new Set<string>()
  let fault: Fault | undefined
  let gaps = 0

  const tolerate = (effect: Effect.Effect<void, FilesError | Fault>) =>
    Effect.catchTag(effect, "Fault", (found) =>
      Effect.sync(() => {
        fault ??= found
        problems.add(found.why)
      }))

  /** Takes boxes of these shapes, one behind the other. They end where something else stands. */
  const takeAll = Effect.fnUntraced(function*(
    boxes: Array<Copied>,
    source: Source,
    shapes: Shapes,
    place: "file" | "box" | "cut"
  ): Effect.fn.Return<void, FilesError | Fault> {
    const { sizeBytes } = source
    // Each box of a file costs what is read there, and that has an end.
    const most = place === "file" ? Infinity : mostBoxes
    for (let at = 0, met = 0; at + 8 <= sizeBytes && met < most; met++) {
      const { headBytes, isOpen, length, type } = headAt(yield* headOf(source, 16, at), 0, sizeBytes - at)
      const start = at + headBytes
      const isNone = length < headBytes
      const isLong = at + length > sizeBytes
      const isMissed = (isNone || isLong || isOpen) && type !== "mdat" && gaps++ < mostGaps
      const next = isMissed ? yield* nextOf(source, start, shapes) : undefined
      at = next ?? (isNone || isLong ? sizeBytes : at + length)
      const shape = Object.hasOwn(shapes, type) ? shapes[type] : shapes["*"]
      const isCut = isLong && next === undefined
      const isMended = isNone || next !== undefined
      // What is in one that is cut is so, too; the last one of a file needs no length.
      const isWrong = place !== "cut" && (isMended || isCut || (isOpen && place !== "file"))
      if (isWrong && (isMended || shape !== undefined || type === "mdat")) {
        problems.add(isCut ? `${type} ends before what it says it has` : `${type} is not as long as it says`)
      }
      if (shape !== undefined && !(isCut && shape === "whole")) {
        yield* take(boxes, type, within(source, start, at), shape, isCut || place === "cut" ? "cut" : "box")
      }
    }
  })

  const take = Effect.fnUntraced(function*(
    boxes: Array<Copied>,
    type: string,
    content: Source,
    shape: Shape,
    place: "box" | "cut"
  ): Effect.fn.Return<void, FilesError | Fault> {
    if (shape === "whole") {
      const inner = Effect.map(content.at(0, content.sizeBytes), (bytes) => bytes.slice())
      return yield* tolerate(Effect.map(inner, (inner) => void boxes.push({ type, inner })))
    }
    // A box of tags has no version in QuickTime, and has one in what came of it.
    const isVersioned = type === "meta" && latin(yield* headOf(content, 8, 0), 4, 8) !== "hdlr"
    const inner: Array<Copied> = []
    boxes.push({ type, inner })
    yield* takeAll(inner, isVersioned ? within(content, 4, content.sizeBytes) : content, shape, place)
  })

  const boxes: Array<Copied> = []
  yield* tolerate(takeAll(boxes, source, shapes, "file"))
  return { boxes, problems, fault }
})
