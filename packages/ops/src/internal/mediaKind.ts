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

/** Pictures and films that nothing here renders. They are known, so that they can be told by their names. */
export interface Unsupported {
  readonly kind: "unsupported"
  readonly name: string
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
const tiff = image("TIFF", "tif", "tiff", "dng", "nef", "cr2", "arw", "pef")
const svg = image("SVG", "svg")
const pdf: MediaKind = { kind: "pdf", name: "PDF", extensions: ["pdf", "ai"] }
const mp4 = video("MP4 or QuickTime", "mp4", "m4v", "mov", "qt", "3gp", "3g2")
const matroska = video("Matroska or WebM", "mkv", "webm", "mka")
const avi = video("AVI", "avi")
const flv = video("Flash video", "flv")
const mpeg = video("MPEG", "mpg", "mpeg", "vob")
const transport = video("MPEG transport stream", "ts", "mts", "m2ts")
const asf = video("Windows Media", "wmv", "asf")
const ogg = video("Ogg", "ogv", "ogg", "ogx")

const unsupported = (name: string): Unsupported => ({ kind: "unsupported", name })

const bmp = unsupported("BMP")
const ico = unsupported("ICO")
const pnm = unsupported("PNM")
const cr3 = unsupported("CR3")
const jpeg2000 = unsupported("JPEG 2000")
const jpegXl = unsupported("JPEG XL")
const orf = unsupported("ORF")
const radiance = unsupported("Radiance HDR")

/** Magic numbers at the beginning, one character for each byte. */
const beginnings: ReadonlyArray<readonly [beginning: string, kind: MediaKind | Unsupported]> = [
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
  ["0&\xb2u\x8ef\xcf\x11", asf],
  ["\0\0\0\x0cjP  \r\n\x87\n", jpeg2000],
  ["\xff\x4f\xff\x51", jpeg2000],
  ["\0\0\0\x0cJXL \r\n\x87\n", jpegXl],
  ["\xff\x0a", jpegXl],
  ["8BPS\0", unsupported("PSD")],
  ["II\xbc\x01", unsupported("JPEG XR")],
  ["IIU\0", unsupported("RW2")],
  ["IIRO", orf],
  ["IIRS", orf],
  ["MMOR", orf],
  ["FUJIFILMCCD-RAW", unsupported("RAF")],
  ["FOVb", unsupported("X3F")],
  ["v/1\x01", unsupported("OpenEXR")],
  ["#?RADIANCE", radiance],
  ["#?RGBE", radiance],
  ["gimp xcf ", unsupported("XCF")],
  ["qoif", unsupported("QOI")],
  ["DDS |", unsupported("DDS")],
  ["AT&TFORM", unsupported("DjVu")],
  [".RMF", unsupported("RealMedia")]
]

/** What begins with too little to be known by that alone. */
const forms: ReadonlyArray<readonly [form: RegExp, kind: MediaKind | Unsupported]> = [
  // Behind the size and four zeroes, where the pixels are, and how long the next header is.
  [/^BM[^]{4}\0{4}[^]{4}[\f(48@l|]\0{3}/, bmp],
  // How many there are, and of the first of them a zero, its planes and its bits.
  // oxlint-disable-next-line no-control-regex -- these are bytes
  [/^\0\0[\x01\x02]\0[^\0]\0[^]{3}\0[^]{2}[^]\0[^]{3}\0[^]{3}\0/, ico],
  [/^P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s/, pnm],
  [/^OggS[^]*?\x80theora/, ogg]
]

const heifBrands = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "mif2"])
// Sound in the same container.
const soundBrands = new Set(["M4A ", "M4B ", "M4P "])

const ofBoxes = (brand: string, text: string): MediaKind | Unsupported | undefined => {
  // A brand that stands for any image says by the others which.
  if (brand === "avif" || brand === "avis" || (heifBrands.has(brand) && text.slice(8, 40).includes("avif"))) return avif
  if (heifBrands.has(brand)) return heif
  if (brand === "crx ") return cr3
  return soundBrands.has(brand) ? undefined : mp4
}

/** What the first bytes of a file say that it is. */
export const sniff = (head: Uint8Array): MediaKind | Unsupported | undefined => {
  const text = Buffer.from(head).toString("latin1")
  const found = beginnings.find(([beginning]) => text.startsWith(beginning)) ?? forms.find(([form]) => form.test(text))
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
