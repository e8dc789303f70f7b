/**
 * Finds what cameras and telephones write into a film about where, when and by what it was taken (QuickTime, 3GPP).
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import { type Box, boxesIn, find, without } from "./boxes.ts"
import { type Fault, type Source, u32 } from "./source.ts"
import * as times from "./times.ts"
import { between, type Fields, first, positive, text, texts } from "./values.ts"

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
  const boxes = yield* boxesIn(without(meta.content, 4))
  const [keys, list] = [find(boxes, "keys"), find(boxes, "ilst")]
  if (keys === undefined || list === undefined) return values
  const names = yield* boxesIn(without(keys.content, 8))
  const named = yield* Effect.forEach(names, ({ content }) => textAt(content, 0))
  for (const item of yield* boxesIn(list.content)) {
    const index = u32(Uint8Array.from(item.type, (character) => character.charCodeAt(0)), 0)
    const name = named[index - 1]
    const data = find(yield* boxesIn(item.content), "data")
    if (name === undefined || data === undefined || data.content.sizeBytes < 8) continue
    const isText = u32(yield* data.content.at(0, 4), 0) === 1
    if (isText) values.set(name, yield* textAt(data.content, 8))
  }
  return values
})

/** Nothing of what is broken. */
const orNone = <A>(effect: Effect.Effect<A, FilesError | Fault>) =>
  Effect.catchTag(effect, "Fault", () => Effect.undefined)

/** A number of sixteen bits before the point and as many behind it. */
const fixed = (bytes: Uint8Array, offset: number): number => (u32(bytes, offset) | 0) / 65_536

/** Which way up a picture is, by the matrix that a track is shown with. */
const orientationOf = (matrix: Uint8Array): number | undefined => {
  const [a, b, c, d] = [0, 4, 12, 16].map((at) => u32(matrix, at) | 0)
  const one = 0x10000
  if (a === one && b === 0 && c === 0 && d === one) return 1
  if (a === 0 && b === one && c === -one && d === 0) return 6
  if (a === -one && b === 0 && c === 0 && d === -one) return 3
  return a === 0 && b === -one && c === one && d === 0 ? 8 : undefined
}

/** Content of the box that this path leads to. */
const contentAt = Effect.fnUntraced(function*(box: Box, ...path: ReadonlyArray<string>) {
  let at: Box | undefined = box
  for (const type of path) at = at === undefined ? undefined : find(yield* boxesIn(at.content), type)
  return at?.content
})

/** How many pictures a second a track has on average. */
const frameRateOf = Effect.fnUntraced(function*(track: Box) {
  const header = yield* contentAt(track, "mdia", "mdhd")
  const sizes = yield* contentAt(track, "mdia", "minf", "stbl", "stsz")
  if (header === undefined || sizes === undefined) return undefined
  const isLong = (yield* header.at(0, 1))[0] === 1
  const bytes = yield* header.at(isLong ? 20 : 12, isLong ? 12 : 8)
  const duration = isLong ? u32(bytes, 4) * 2 ** 32 + u32(bytes, 8) : u32(bytes, 4)
  // No camera takes more.
  return positive(between(u32(yield* sizes.at(8, 4), 0) * u32(bytes, 0) / duration, 0, 1e6))
})

/** How wide a pixel of a track is for its height. */
const aspectOf = Effect.fnUntraced(function*(track: Box) {
  const described = yield* contentAt(track, "mdia", "minf", "stbl", "stsd")
  const [entry] = described === undefined ? [] : yield* boxesIn(without(described, 8))
  const ratio = entry === undefined ? undefined : find(yield* boxesIn(without(entry.content, 78)), "pasp")?.content
  const bytes = ratio === undefined ? undefined : yield* ratio.at(0, 8)
  return bytes === undefined ? undefined : positive(u32(bytes, 0) / u32(bytes, 4))
})

/** Size and direction of a track that shows pictures, and its frames. */
const trackOf = Effect.fnUntraced(function*(track: Box) {
  const header = yield* contentAt(track, "tkhd")
  if (header === undefined) return undefined
  const version = (yield* header.at(0, 1))[0]
  const bytes = yield* header.at(version === 1 ? 52 : 40, 44)
  const [width, height] = [Math.round(fixed(bytes, 36)), Math.round(fixed(bytes, 40))] as const
  if (width <= 0 || height <= 0) return undefined
  return {
    width,
    height,
    orientation: orientationOf(bytes),
    frameRate: yield* orNone(frameRateOf(track)),
    aspect: yield* orNone(aspectOf(track))
  }
})

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
    description: first(text(yield* named("des")), text(yield* named("cmt"))),
    artists: texts(yield* named("ART")),
    album: text(yield* named("alb")),
    composers: texts(yield* named("wrt")),
    genres: texts(yield* named("gen")),
    copyright: text(yield* named("cpy")),
    releasedAt: times.ofIso(yield* named("day")),
    cameraMake: text(yield* named("mak")),
    cameraModel: text(yield* named("mod")),
    software: text(yield* named("swr"))
  }
  return fields
})

/** What a copy of the boxes of a film tells of its camera, and of the first track that shows pictures. */
export const filmOf = Effect.fnUntraced(function*(source: Source) {
  const moov = find(yield* boxesIn(source), "moov")
  const boxes = moov === undefined ? [] : yield* boxesIn(moov.content)
  const meta = find(boxes, "meta")
  const values = meta === undefined ? undefined : yield* orNone(keyed(meta))
  const udta = find(boxes, "udta")
  const user: Fields = (udta === undefined ? undefined : yield* orNone(userData(udta))) ?? {}
  const tracks = boxes.filter(({ type }) => type === "trak").slice(0, 16)
  const shown = yield* Effect.forEach(tracks, (track) => orNone(trackOf(track)))
  const apple = (name: string) => values?.get(`com.apple.quicktime.${name}`)
  const camera: Fields = {
    ...user,
    ...placeOf(apple("location.ISO6709")),
    takenAt: times.ofIso(apple("creationdate")),
    cameraMake: text(apple("make")) ?? user.cameraMake,
    cameraModel: text(apple("model")) ?? user.cameraModel,
    software: text(apple("software")) ?? user.software
  }
  return { camera, track: shown.find((track) => track !== undefined) }
})
