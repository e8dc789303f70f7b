/**
 * Tells by its first bytes what a file is. Names say nothing.
 */
import { latin, u16, u32 } from "./source.ts"

/** Who reads it. */
export type Form = "jpeg" | "tiff" | "png" | "webp" | "heif" | "sound"

/** What a file is. */
export interface Kind {
  readonly form: Form
  readonly mimeType: string
}

/** So many of the first bytes tell what a file is. */
export const headLength = 8192

const image = (form: Form, type: string): Kind => ({ form, mimeType: `image/${type}` })
const sound = (mimeType: string): Kind => ({ form: "sound", mimeType })

const still: Readonly<Record<string, string>> = {
  heic: "heic",
  heix: "heic",
  heim: "heic",
  heis: "heic",
  hevc: "heic-sequence",
  hevx: "heic-sequence",
  mif1: "heif",
  msf1: "heif-sequence",
  avif: "avif",
  avis: "avif"
}

/** Files of boxes: stills, films and sounds. Raw photos of Canon are such, too, and are not read. */
const ofBrand = (brand: string): Kind | undefined => {
  const picture = still[brand]
  if (picture !== undefined) return image("heif", picture)
  if (brand === "crx ") return undefined
  if (brand === "qt  ") return sound("video/quicktime")
  return sound(brand.startsWith("M4A") || brand.startsWith("M4B") ? "audio/mp4" : "video/mp4")
}

/** Boxes that a film of the time before brands may begin with. */
const oldBoxes = new Set(["moov", "mdat", "wide"])

const inRiff: Readonly<Record<string, Kind>> = {
  "WEBP": image("webp", "webp"),
  "WAVE": sound("audio/wav")
}

const inIff: Readonly<Record<string, Kind>> = {
  "AIFF": sound("audio/aiff"),
  "AIFC": sound("audio/aiff")
}

const signatures: ReadonlyArray<readonly [bytes: string, kind: Kind]> = [
  ["\xff\xd8\xff", image("jpeg", "jpeg")],
  ["\x89PNG\r\n\x1a\n", image("png", "png")],
  ["II*\0", image("tiff", "tiff")],
  ["MM\0*", image("tiff", "tiff")],
  ["II+\0", image("tiff", "tiff")],
  ["MM\0+", image("tiff", "tiff")],
  ["IIU\0", image("tiff", "x-panasonic-rw2")],
  ["IIRO", image("tiff", "x-olympus-orf")],
  ["IIRS", image("tiff", "x-olympus-orf")],
  ["MMOR", image("tiff", "x-olympus-orf")],
  ["fLaC", sound("audio/flac")],
  ["OggS", sound("audio/ogg")],
  ["\x1a\x45\xdf\xa3", sound("video/matroska")],
  ["\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", sound("video/ms-asf")],
  ["MAC ", sound("audio/ape")],
  ["wvpk", sound("audio/wavpack")],
  ["MPCK", sound("audio/musepack")],
  ["MP+", sound("audio/musepack")],
  ["DSD ", sound("audio/dsf")],
  ["FRM8", sound("audio/dsd")]
]

/** What a file is that begins with these bytes, if it is of a kind that metadata is read of. */
export const kindOf = (head: Uint8Array): Kind | undefined => {
  const start = latin(head, 0, 16)
  const found = signatures.find(([bytes]) => start.startsWith(bytes))
  if (found !== undefined) return found[1]
  const second = start.slice(4, 8)
  const third = start.slice(8, 12)
  if (second === "ftyp") return ofBrand(third)
  if (start.startsWith("RIFF")) return inRiff[third]
  if (start.startsWith("FORM")) return inIff[third]
  if (oldBoxes.has(second) && u32(head, 0) >= 8) return sound("video/quicktime")
  if (!isFrames(head)) return undefined
  return sound(isAdts(head, 0) ? "audio/aac" : "audio/mpeg")
}

/** So many bytes tell how long a tag is. */
export const tagHeadLength = 10

/** How many bytes a tag of ID3v2 takes that begins here, which any sound may come behind; 0 if there is none. */
export const tagLength = (head: Uint8Array): number => {
  if (latin(head, 0, 3) !== "ID3" || head.length < tagHeadLength) return 0
  const [flags = 0, ...sizes] = head.subarray(5, tagHeadLength)
  const footer = (flags & 0x10) === 0 ? 0 : tagHeadLength
  return tagHeadLength + footer + sizes.reduce((sum, size) => sum * 128 + (size & 127), 0)
}

/** What comes behind tags of ID3v2, if nothing is known of it. */
export const tagged: Kind = sound("audio/mpeg")

const layer3: Readonly<Record<"one" | "two", ReadonlyArray<number>>> = {
  one: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  two: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
}
const rates = [44_100, 48_000, 32_000] as const

/** Whether a frame of AAC may begin here: it has no layer. */
const isAdts = (bytes: Uint8Array, at: number): boolean => (u16(bytes, at) & 0xfff6) === 0xfff0

/** Length of the frame of sound that begins here: of MPEG layer 3 or AAC, the two that begin without a signature. */
const frameLength = (bytes: Uint8Array, at: number): number | undefined => {
  const [, second = 0, third = 0] = bytes.subarray(at, at + 3)
  if (u16(bytes, at) >>> 4 !== 0xfff && u16(bytes, at) >>> 5 !== 0x7ff) return undefined
  const version = (second >> 3) & 3
  const layer = (second >> 1) & 3
  if (isAdts(bytes, at)) return ((u16(bytes, at + 3) & 0x3ff) << 3) | ((bytes[at + 5] ?? 0) >> 5)
  const rate = rates[(third >> 2) & 3]
  const isOne = version === 3
  const kilobits = layer3[isOne ? "one" : "two"][third >> 4]
  if (layer !== 1 || version === 1 || rate === undefined || kilobits === undefined || kilobits === 0) return undefined
  const perSecond = isOne ? rate : version === 2 ? rate / 2 : rate / 4
  return Math.floor((isOne ? 144_000 : 72_000) * kilobits / perSecond) + ((third >> 1) & 1)
}

/** Whether these are frames one behind the other: one alone is a pattern of bits that any file may begin with. */
const isFrames = (head: Uint8Array): boolean => {
  let at = 0
  for (let frames = 0; frames < 3; frames++) {
    const length = at + 6 > head.length ? undefined : frameLength(head, at)
    if (length === undefined || length < 7) return false
    at += length
  }
  return true
}
