/**
 * Finds what cameras and telephones write into a film about where, when and by what it was taken (QuickTime, 3GPP).
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import { type Box, boxesIn, find, without } from "./boxes.ts"
import { latin, type Source, u16, u32 } from "./source.ts"
import * as times from "./times.ts"
import { between, type Fields, text } from "./values.ts"

const mostTextBytes = 4096

const textAt = (source: Source, start: number) =>
  source.sizeBytes <= start || source.sizeBytes - start > mostTextBytes
    ? Effect.succeed("")
    : Effect.map(source.at(start, source.sizeBytes - start), (bytes) => new TextDecoder().decode(bytes))

/** Place as ISO 6709 writes it in degrees: `+47.1234+008.5678+400/`. */
const placeOf = (iso: string | undefined): Fields => {
  const match = /^([+-]\d{2}(?:\.\d{1,12})?)([+-]\d{3}(?:\.\d{1,12})?)([+-]\d{1,6}(?:\.\d{1,12})?)?(?:CRS|\/|$)/
    .exec(iso ?? "")
  const latitude = between(match?.[1], -90, 90)
  const longitude = between(match?.[2], -180, 180)
  if (latitude === undefined || longitude === undefined) return {}
  return { latitude, longitude, altitude: between(match?.[3], -1e6, 1e6) }
}

/** Values by their keys, as Apple's cameras write them. */
const keyed = Effect.fnUntraced(function*(meta: Box) {
  const values = new Map<string, string>()
  // In QuickTime it has no version, in what came of it it has one.
  const [, , , , ...type] = yield* meta.content.at(0, 8)
  const isPlain = latin(Uint8Array.from(type)) === "hdlr"
  const boxes = yield* boxesIn(isPlain ? meta.content : without(meta.content, 4))
  const [keys, list] = [find(boxes, "keys"), find(boxes, "ilst")]
  if (keys === undefined || list === undefined) return values
  const names = yield* boxesIn(without(keys.content, 8))
  const named = yield* Effect.forEach(names, ({ content }) => textAt(content, 0))
  for (const item of yield* boxesIn(list.content)) {
    const index = u32(Uint8Array.from(item.type, (character) => character.charCodeAt(0)), 0)
    const name = named[index - 1]
    const data = find(yield* boxesIn(item.content), "data")
    if (name === undefined || data === undefined) continue
    const isText = u32(yield* data.content.at(0, 4), 0) === 1
    if (isText) values.set(name, yield* textAt(data.content, 8))
  }
  return values
})

/** Which way up a picture is, by the matrix that a track is shown with. */
const orientationOf = (matrix: Uint8Array): number | undefined => {
  const [a, b, c, d] = [0, 4, 12, 16].map((at) => u32(matrix, at) | 0)
  const one = 0x10000
  if (a === one && b === 0 && c === 0 && d === one) return 1
  if (a === 0 && b === one && c === -one && d === 0) return 6
  if (a === -one && b === 0 && c === 0 && d === -one) return 3
  return a === 0 && b === -one && c === one && d === 0 ? 8 : undefined
}

/** Size and direction of a track that shows pictures. */
const trackOf = Effect.fnUntraced(function*(track: Box) {
  const header = find(yield* boxesIn(track.content), "tkhd")
  if (header === undefined) return undefined
  const version = (yield* header.content.at(0, 1))[0]
  const bytes = yield* header.content.at(version === 1 ? 52 : 40, 44)
  const [width, height] = [u16(bytes, 36), u16(bytes, 40)]
  return width === 0 || height === 0 ? undefined : { width, height, orientation: orientationOf(bytes) }
})

/** Degrees and metres in sixteen bits before the point and as many behind it. */
const fixed = (bytes: Uint8Array, offset: number): number => (u32(bytes, offset) | 0) / 65_536

/** Place as 3GPP has it: behind a language, a name up to its zero, and what kind of place it is. */
const located = Effect.fnUntraced(function*(loci: Box) {
  if (loci.content.sizeBytes > mostTextBytes) return {}
  const bytes = yield* loci.content.at(0, loci.content.sizeBytes)
  const end = bytes.indexOf(0, 6)
  if (end === -1 || end + 14 > bytes.length) return {}
  const fields: Fields = {
    longitude: between(fixed(bytes, end + 2), -180, 180),
    latitude: between(fixed(bytes, end + 6), -90, 90),
    altitude: fixed(bytes, end + 10)
  }
  return fields.latitude === undefined || fields.longitude === undefined ? {} : fields
})

/** What QuickTime and 3GPP keep beside the tracks. */
const userData = Effect.fnUntraced(function*(udta: Box) {
  const boxes = yield* boxesIn(udta.content)
  // A length and a language stand before each text.
  const named = (type: string) => {
    const box = find(boxes, `\xa9${type}`)
    return box === undefined ? Effect.undefined : textAt(box.content, 4)
  }
  const loci = find(boxes, "loci")
  const fields: Fields = {
    ...loci === undefined ? {} : yield* located(loci),
    ...placeOf(yield* named("xyz")),
    title: text(yield* named("nam")),
    cameraMake: text(yield* named("mak")),
    cameraModel: text(yield* named("mod")),
    software: text(yield* named("swr"))
  }
  return fields
})

const read = Effect.fnUntraced(function*(source: Source) {
  const moov = find(yield* boxesIn(source), "moov")
  if (moov === undefined) return {}
  const boxes = yield* boxesIn(moov.content)
  const meta = find(boxes, "meta")
  const values = meta === undefined ? new Map<string, string>() : yield* keyed(meta)
  const udta = find(boxes, "udta")
  const user: Fields = udta === undefined ? {} : yield* userData(udta)
  const tracks = yield* Effect.forEach(boxes.filter(({ type }) => type === "trak").slice(0, 16), trackOf)
  const apple = (name: string) => values.get(`com.apple.quicktime.${name}`)
  const fields: Fields = {
    ...tracks.find((track) => track !== undefined),
    ...user,
    ...placeOf(apple("location.ISO6709")),
    takenAt: times.ofIso(apple("creationdate")),
    cameraMake: text(apple("make")) ?? user.cameraMake,
    cameraModel: text(apple("model")) ?? user.cameraModel,
    software: text(apple("software")) ?? user.software
  }
  return fields
})

/** Fields that a film has of its camera; none where it is broken or too large, which others tell. */
export const filmFields = (source: Source): Effect.Effect<Fields, FilesError> =>
  Effect.catchTag(read(source), "Fault", () => Effect.succeed({}))
