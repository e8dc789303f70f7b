/**
 * Tells what a file is by how it begins, whatever it is called. Pure.
 */
import * as FilePath from "../FilePath.ts"

/** What a file is. */
export interface MediaKind {
  readonly kind: "image" | "video" | "pdf"
  /** As people call it. */
  readonly name: string
  /** What its name may end in. */
  readonly extensions: ReadonlyArray<string>
}

/** So much of a file tells what it is. */
export const headBytes = 1024

const image = (name: string, ...extensions: ReadonlyArray<string>): MediaKind => ({ kind: "image", name, extensions })
const video = (name: string, ...extensions: ReadonlyArray<string>): MediaKind => ({ kind: "video", name, extensions })

const jpeg = image("JPEG", "jpg", "jpeg", "jpe", "jfif")
const png = image("PNG", "png", "apng")
const gif = image("GIF", "gif")
const webp = image("WebP", "webp")
const avif = image("AVIF", "avif", "avifs")
const heif = image("HEIF", "heic", "heif", "hif")
// Raw files of cameras are TIFF, too.
const tiff = image("TIFF", "tif", "tiff", "dng", "nef", "cr2", "arw", "orf", "pef")
const svg = image("SVG", "svg")
const pdf: MediaKind = { kind: "pdf", name: "PDF", extensions: ["pdf", "ai"] }
const mp4 = video("MP4 or QuickTime", "mp4", "m4v", "mov", "qt", "3gp", "3g2")
const matroska = video("Matroska or WebM", "mkv", "webm", "mka")
const avi = video("AVI", "avi")
const flv = video("Flash video", "flv")
const mpeg = video("MPEG", "mpg", "mpeg", "vob")
const transport = video("MPEG transport stream", "ts", "mts", "m2ts")
const asf = video("Windows Media", "wmv", "asf")

/** Magic numbers at the beginning, one character for each byte. */
const beginnings: ReadonlyArray<readonly [beginning: string, kind: MediaKind]> = [
  ["\xff\xd8\xff", jpeg],
  ["\x89PNG\r\n\x1a\n", png],
  ["GIF8", gif],
  ["II*\0", tiff],
  ["MM\0*", tiff],
  ["II+\0", tiff],
  ["MM\0+", tiff],
  ["\x1aE\xdf\xa3", matroska],
  ["FLV\x01", flv],
  ["\0\0\x01\xba", mpeg],
  ["\0\0\x01\xb3", mpeg],
  ["0&\xb2u\x8ef\xcf\x11", asf]
]

const heifBrands = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "mif2"])
// Sound and raw pictures in the same container.
const otherBrands = new Set(["M4A ", "M4B ", "M4P ", "crx "])

const ofBoxes = (brand: string, text: string): MediaKind | undefined => {
  // A brand that stands for any image says by the others which.
  if (brand === "avif" || brand === "avis" || (heifBrands.has(brand) && text.slice(8, 40).includes("avif"))) return avif
  if (heifBrands.has(brand)) return heif
  return otherBrands.has(brand) ? undefined : mp4
}

/** What the first bytes of a file say that it is. */
export const sniff = (head: Uint8Array): MediaKind | undefined => {
  const text = Buffer.from(head).toString("latin1")
  const found = beginnings.find(([beginning]) => text.startsWith(beginning))
  if (found !== undefined) return found[1]
  const type = text.slice(4, 8)
  if (type === "ftyp") return ofBoxes(text.slice(8, 12), text)
  if (type === "moov" || type === "mdat" || type === "wide") return mp4
  if (text.startsWith("RIFF")) return ({ "WEBP": webp, "AVI ": avi } as Record<string, MediaKind>)[text.slice(8, 12)]
  if (text.includes("%PDF-")) return pdf
  if (/^\s*(?:\xef\xbb\xbf)?\s*<(?:\?xml|!DOCTYPE svg|!--|svg)[^]*?<svg|^\s*<svg/.test(text)) return svg
  const isTransport = text.length > 376 && [0, 188, 376].every((at) => text[at] === "G")
  return isTransport ? transport : undefined
}

/** What names of images end in, and of nothing else. */
const imageExtensions = new Set([jpeg, png, gif, webp, avif, heif, tiff, svg].flatMap(({ extensions }) => extensions))
const extensions = new Set([...imageExtensions, ...[pdf, mp4, matroska, avi].flatMap(({ extensions }) => extensions)])

const extensionOf = (path: FilePath.FilePath): string => /\.([a-z0-9]+)$/i.exec(FilePath.name(path))?.[1] ?? ""

/** Whether something is called a picture. */
export const isCalledImage = (path: FilePath.FilePath): boolean => imageExtensions.has(extensionOf(path).toLowerCase())

/** Says that a file is not what it is called, if it is not. */
export const mislabelled = (path: FilePath.FilePath, kind: MediaKind): string | undefined => {
  const extension = extensionOf(path).toLowerCase()
  return extensions.has(extension) && !kind.extensions.includes(extension)
    ? `it is called .${extension} and is ${kind.name}`
    : undefined
}
