/**
 * Finds what cameras and telephones write into a film about where, when and by what it was taken (QuickTime, 3GPP).
 */
import type { Copied } from "./boxCopy.ts"
import { boxesIn, find } from "./boxes.ts"
import { latin, u32, u64 } from "./byteSource.ts"
import { between, type Fields, firstText, positive, text, texts } from "./recordValues.ts"
import { ofSoundEntry } from "./soundEntry.ts"
import * as tagTimes from "./tagTimes.ts"

const mostTextBytes = 4096

const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined || bytes.length > mostTextBytes ? undefined : new TextDecoder().decode(bytes)

/** What is in a box; nothing where there is none of that type, or all of it was copied. */
const inside = (boxes: ReadonlyArray<Copied>, type: string): ReadonlyArray<Copied> => {
  const inner = find(boxes, type)?.inner
  return inner === undefined || inner instanceof Uint8Array ? [] : inner
}

/** Bytes of the box that this path leads to. */
const bytesAt = (boxes: ReadonlyArray<Copied>, ...path: ReadonlyArray<string>): Uint8Array | undefined => {
  const [type = "", ...rest] = path
  if (rest.length > 0) return bytesAt(inside(boxes, type), ...rest)
  const inner = find(boxes, type)?.inner
  return inner instanceof Uint8Array ? inner : undefined
}

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
const keyed = (meta: ReadonlyArray<Copied>): ReadonlyMap<string, string> => {
  const names = boxesIn(bytesAt(meta, "keys")?.subarray(8) ?? new Uint8Array(0))
  const values = new Map<string, string>()
  for (const { inner, type } of inside(meta, "ilst")) {
    const name = names[u32(Buffer.from(type, "latin1"), 0) - 1]?.content
    const data = inner instanceof Uint8Array ? undefined : bytesAt(inner, "data")
    const value = data === undefined || u32(data, 0) !== 1 ? undefined : textOf(data.subarray(8))
    if (name !== undefined && value !== undefined) values.set(textOf(name) ?? "", value)
  }
  return values
}

/** A number of sixteen bits before the point and as many behind it. */
const fixed = (bytes: Uint8Array, offset: number): number => (u32(bytes, offset) | 0) / 65_536

/** Ways to be turned, by the first two rows of the matrix that a track is shown with. */
const orientations: Readonly<Record<string, number>> = { "1,0,0,1": 1, "-1,0,0,-1": 3, "0,1,-1,0": 6, "0,-1,1,0": 8 }

/** How many ticks the clock of a track has in a second, and for how many it lasts. */
const clockOf = (mdia: ReadonlyArray<Copied>): { readonly rate: number; readonly ticks: number } => {
  const header = bytesAt(mdia, "mdhd") ?? new Uint8Array(0)
  return header[0] === 1
    ? { rate: u32(header, 20), ticks: u64(header, 24) }
    : { rate: u32(header, 12), ticks: u32(header, 16) }
}

/** How many pictures a second a track has on average. */
const frameRateOf = (mdia: ReadonlyArray<Copied>): number | undefined => {
  const sizes = bytesAt(mdia, "minf", "stbl", "stsz")
  const { rate, ticks } = clockOf(mdia)
  // No camera takes more.
  return sizes === undefined ? undefined : positive(between(u32(sizes, 8) * rate / ticks, 0, 1e6))
}

/** What the first track with a sound says of it. */
const soundOf = (traks: ReadonlyArray<ReadonlyArray<Copied>>): Fields => {
  const mdia = traks.map((trak) => inside(trak, "mdia")).find((mdia) => {
    const handler = bytesAt(mdia, "hdlr")
    return handler !== undefined && latin(handler, 8, 12) === "soun"
  })
  const table = mdia === undefined ? undefined : bytesAt(mdia, "minf", "stbl", "stsd")
  return mdia === undefined || table === undefined ? {} : ofSoundEntry(table, clockOf(mdia).rate)
}

/** How wide a pixel of a track is for its height. */
const aspectOf = (mdia: ReadonlyArray<Copied>): number | undefined => {
  const [entry] = boxesIn(bytesAt(mdia, "minf", "stbl", "stsd")?.subarray(8) ?? new Uint8Array(0))
  const ratio = entry === undefined ? undefined : find(boxesIn(entry.content.subarray(78)), "pasp")?.content
  return ratio === undefined ? undefined : positive(u32(ratio, 0) / u32(ratio, 4))
}

/** Size and direction of a track that shows pictures, and its frames. */
const trackOf = (trak: ReadonlyArray<Copied>) => {
  const header = bytesAt(trak, "tkhd")
  if (header === undefined) return undefined
  const bytes = header.subarray(header[0] === 1 ? 52 : 40)
  const [width, height] = [Math.round(fixed(bytes, 36)), Math.round(fixed(bytes, 40))] as const
  if (width <= 0 || height <= 0) return undefined
  const orientation = orientations[[0, 4, 12, 16].map((at) => fixed(bytes, at)).join()]
  const mdia = inside(trak, "mdia")
  return { width, height, orientation, frameRate: frameRateOf(mdia), aspect: aspectOf(mdia) }
}

/** Place as 3GPP has it: behind a language, a name up to its zero, and what kind of place it is. */
const located = (loci: Uint8Array): Fields => {
  const end = loci.indexOf(0, 6)
  if (end === -1 || end + 14 > loci.length) return {}
  const longitude = between(fixed(loci, end + 2), -180, 180)
  const latitude = between(fixed(loci, end + 6), -90, 90)
  return latitude === undefined || longitude === undefined
    ? {}
    : { latitude, longitude, altitude: fixed(loci, end + 10) }
}

/** What QuickTime and 3GPP keep beside the tracks. */
const userData = (udta: ReadonlyArray<Copied>): Fields => {
  // A length and a language stand before each text.
  const named = (type: string) => textOf(bytesAt(udta, `\xa9${type}`)?.subarray(4))
  return {
    ...located(bytesAt(udta, "loci") ?? new Uint8Array(0)),
    ...placeOf(named("xyz")),
    title: text(named("nam")),
    description: firstText(named("des"), named("cmt")),
    artists: texts(named("ART")),
    album: text(named("alb")),
    composers: texts(named("wrt")),
    genres: texts(named("gen")),
    copyright: text(named("cpy")),
    releasedAt: tagTimes.ofIso(named("day")),
    cameraMake: text(named("mak")),
    cameraModel: text(named("mod")),
    software: text(named("swr"))
  }
}

/** What the boxes of a film tell of its camera, of the first track that shows pictures, and of the first sound. */
export const filmOf = (boxes: ReadonlyArray<Copied>) => {
  const moov = inside(boxes, "moov")
  const values = keyed(inside(moov, "meta"))
  const user = userData(inside(moov, "udta"))
  const apple = (name: string) => values.get(`com.apple.quicktime.${name}`)
  const camera: Fields = {
    ...user,
    ...placeOf(apple("location.ISO6709")),
    takenAt: tagTimes.ofIso(apple("creationdate")),
    cameraMake: text(apple("make")) ?? user.cameraMake,
    cameraModel: text(apple("model")) ?? user.cameraModel,
    software: text(apple("software")) ?? user.software
  }
  const traks = moov.flatMap(({ inner, type }) => type === "trak" && !(inner instanceof Uint8Array) ? [inner] : [])
  const track = traks.map(trackOf).find((track) => track !== undefined)
  return { camera, track, sound: soundOf(traks) }
}
