/**
 * Reads the boxes that films and the photos of telephones are made of (ISO 14496-12).
 */
import * as Effect from "effect/Effect"
import { latin, type Source, u32, within } from "./source.ts"

/** Box; its content as a source of its own. */
export interface Box {
  readonly type: string
  readonly content: Source
  /**
   * What was wrong with its length: it is more than there is, or says that all of the rest is in it; or the next box
   * was looked for behind it, and it ends there or has all of the rest.
   */
  readonly wrong: "cut" | "open" | "mended" | undefined
}

/** More are never in one place of a file that is sound, fragments of films apart. */
const mostBoxes = 1024

interface Walk<E> {
  readonly take: (box: Box) => Effect.Effect<void, E>
  readonly most?: number
  /** Finds where the next box begins behind the head of one whose length is wrong. */
  readonly next?: (type: string, from: number) => Effect.Effect<number | undefined, E>
}

/** Takes the boxes that are in a source, one behind the other. They end where something else stands. */
export const eachBox = Effect.fnUntraced(function*<E>(source: Source, { most = mostBoxes, next, take }: Walk<E>) {
  const { sizeBytes } = source
  for (let at = 0, boxes = 0; at + 8 <= sizeBytes && boxes < most; boxes++) {
    const head = yield* source.at(at, 8)
    const type = latin(head, 4, 8)
    const short = u32(head, 0)
    const isLong = short === 1 && at + 16 <= sizeBytes
    const long = isLong ? yield* source.at(at + 8, 8) : head
    const start = at + (isLong ? 16 : 8)
    // What has no length of its own has that of all the rest.
    const length = isLong ? u32(long, 0) * 2 ** 32 + u32(long, 4) : short === 0 ? sizeBytes - at : short
    const wrong = length < start - at ? "none" : at + length > sizeBytes ? "cut" : short === 0 ? "open" : undefined
    const found = wrong !== undefined && next !== undefined ? yield* next(type, start) : undefined
    if (wrong === "none" && next === undefined) return
    const end = found ?? (wrong === "none" ? sizeBytes : Math.min(at + length, sizeBytes))
    const content = within(source, start, end)
    yield* take({ type, content, wrong: found !== undefined || wrong === "none" ? "mended" : wrong })
    at = end
  }
})

/** Boxes that are in a source; what is behind the first 1,024 is left. */
export const boxesIn = (source: Source) =>
  Effect.suspend(() => {
    const boxes: Array<Box> = []
    return Effect.as(eachBox(source, { take: (box) => Effect.sync(() => boxes.push(box)) }), boxes)
  })

/** The first box of a type. */
export const find = (boxes: ReadonlyArray<Box>, type: string): Box | undefined => boxes.find((box) => box.type === type)

/** Source without so many of its first bytes, such as the version of a box. */
export const without = (source: Source, bytes: number): Source =>
  within(source, Math.min(bytes, source.sizeBytes), source.sizeBytes)
