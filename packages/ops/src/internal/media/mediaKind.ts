/**
 * Tells what a file is by how it begins, whatever it is called. Pure.
 */
import * as FilePath from "../../FilePath.ts"
import { latin } from "./byteSource.ts"
import { isAdts, isFrames } from "./mpegAudio.ts"

/** Who reads what a file says of itself. */
export type Form = "jpeg" | "tiff" | "png" | "gif" | "webp" | "heif" | "boxed" | "sound"

/** What a file is. */
export interface MediaKind {
  /** What is to be seen in it; `unsupported` where nothing here renders that. */
  readonly kind: "image" | "video" | "pdf" | "sound" | "unsupported"
  /** As people call it. */
  readonly name: string
  /** What its name may end in. */
  readonly extensions: ReadonlyArray<string>
  /** What metadata is read of. */
  readonly metadata: { readonly form: Form; readonly mimeType: string } | undefined
}

/** So much of a file tells what it is. */
export const headBytes = 8192

const kindOf = (
  kind: MediaKind["kind"],
  name: string,
  extensions: string,
  form?: Form,
  mimeType = ""
): MediaKind => ({
  kind,
  name,
  extensions: extensions.split(" "),
  metadata: form === undefined ? undefined : { form, mimeType }
})

const sound = (type: string): MediaKind => kindOf("sound", type, "", "sound", `audio/${type}`)
const unsupported = (name: string): MediaKind => kindOf("unsupported", name, "")

const jpeg = kindOf("image", "JPEG", "jpg jpeg jpe jfif", "jpeg", "image/jpeg")
const png = kindOf("image", "PNG", "png apng", "png", "image/png")
const gif = kindOf("image", "GIF", "gif", "gif", "image/gif")
const webp = kindOf("image", "WebP", "webp", "webp", "image/webp")
const avif = kindOf("image", "AVIF", "avif avifs", "heif", "image/avif")
const heif = kindOf("image", "HEIF", "heic heif hif", "heif", "image/heif")
// Raw files of cameras are TIFF, too.
const tiff = kindOf("image", "TIFF", "tif tiff dng nef cr2 arw pef", "tiff", "image/tiff")
const svg = kindOf("image", "SVG", "svg")
const pdf = kindOf("pdf", "PDF", "pdf ai")
const mp4 = kindOf("video", "MP4 or QuickTime", "mp4 m4v mov qt 3gp 3g2", "sound", "video/mp4")
const quickTime: MediaKind = { ...mp4, metadata: { form: "sound", mimeType: "video/quicktime" } }
const matroska = kindOf("video", "Matroska or WebM", "mkv webm mka", "sound", "video/matroska")
const avi = kindOf("video", "AVI", "avi")
const mpeg = kindOf("video", "MPEG", "mpg mpeg vob")
const jpeg2000 = kindOf("unsupported", "JPEG 2000", "", "boxed", "image/jp2")
const jpegXl = kindOf("unsupported", "JPEG XL", "", "boxed", "image/jxl")

/** Magic numbers, one character for each byte; what begins with too little to be known by that alone has a form. */
const beginnings: ReadonlyArray<readonly [beginning: string | RegExp, kind: MediaKind]> = [
  ["\xff\xd8\xff", jpeg],
  ["\x89PNG\r\n\x1a\n", png],
  ["GIF8", gif],
  [/^(?:II[*+]\0|MM\0[*+])/, tiff],
  [/^RIFF[^]{4}WEBP/, webp],
  [/^RIFF[^]{4}AVI /, avi],
  [/^RIFF[^]{4}WAVE/, sound("wav")],
  [/^FORM[^]{4}AIF[FC]/, sound("aiff")],
  [/^[^]{4}(?:moov|mdat|wide)/, quickTime],
  ["\x1a\x45\xdf\xa3", matroska],
  [/^OggS[^]*?\x80theora/, kindOf("video", "Ogg", "ogv ogg ogx", "sound", "audio/ogg")],
  ["OggS", sound("ogg")],
  ["0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel", kindOf("video", "Windows Media", "wmv asf", "sound", "video/ms-asf")],
  ["FLV\x01", kindOf("video", "Flash video", "flv")],
  ["\0\0\x01\xba", mpeg],
  ["\0\0\x01\xb3", mpeg],
  ["fLaC", sound("flac")],
  ["MAC ", sound("ape")],
  ["wvpk", sound("wavpack")],
  [/^MP(?:CK|\+)/, sound("musepack")],
  ["DSD ", sound("dsf")],
  ["FRM8", sound("dsd")],
  ["\0\0\0\x0cjP  \r\n\x87\n", jpeg2000],
  ["\xff\x4f\xff\x51", jpeg2000],
  ["\0\0\0\x0cJXL \r\n\x87\n", jpegXl],
  ["\xff\x0a", jpegXl],
  ["8BPS\0", unsupported("PSD")],
  ["II\xbc\x01", unsupported("JPEG XR")],
  ["IIU\0", kindOf("unsupported", "RW2", "", "tiff", "image/x-panasonic-rw2")],
  [/^(?:IIR[OS]|MMOR)/, kindOf("unsupported", "ORF", "", "tiff", "image/x-olympus-orf")],
  ["FUJIFILMCCD-RAW", unsupported("RAF")],
  ["FOVb", unsupported("X3F")],
  ["v/1\x01", unsupported("OpenEXR")],
  [/^#\?(?:RADIANCE|RGBE)/, unsupported("Radiance HDR")],
  ["gimp xcf ", unsupported("XCF")],
  ["qoif", unsupported("QOI")],
  ["DDS |", unsupported("DDS")],
  ["AT&TFORM", unsupported("DjVu")],
  [".RMF", unsupported("RealMedia")],
  // Behind the size and four zeroes, where the pixels are, and how long the next header is.
  [/^BM[^]{4}\0{4}[^]{4}[\f(48@l|]\0{3}/, unsupported("BMP")],
  // How many there are, and of the first of them a zero, its planes and its bits.
  // oxlint-disable-next-line no-control-regex -- these are bytes
  [/^\0\0[\x01\x02]\0[^\0]\0[^]{3}\0[^]{2}[^]\0[^]{3}\0[^]{3}\0/, unsupported("ICO")],
  [/^P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s/, unsupported("PNM")]
]

/** Brands of stills, by what comes behind `image/` in their types. */
const stills: Readonly<Record<string, string>> = {
  heic: "heic",
  heix: "heic",
  heim: "heic",
  heis: "heic",
  hevc: "heic-sequence",
  hevx: "heic-sequence",
  mif1: "heif",
  mif2: "heif",
  msf1: "heif-sequence",
  avif: "avif",
  avis: "avif"
}

/** Files of boxes: stills, films and sounds. A brand that stands for any still says by the others which. */
const ofBrand = (brand: string, others: string): MediaKind => {
  const type = stills[brand]
  if (type !== undefined) {
    const still = type === "avif" || others.includes("avif") ? avif : brand === "msf1" ? mp4 : heif
    return { ...still, metadata: { form: "heif", mimeType: `image/${type}` } }
  }
  if (brand === "crx ") return unsupported("CR3")
  if (brand === "qt  ") return quickTime
  return /^M4[ABP]/.test(brand) ? sound("mp4") : mp4
}

/** What the first bytes of a file say that it is. */
export const sniff = (head: Uint8Array): MediaKind | undefined => {
  const text = latin(head, 0, 1024)
  const found = beginnings.find(([beginning]) =>
    typeof beginning === "string" ? text.startsWith(beginning) : beginning.test(text)
  )
  if (found !== undefined) return found[1]
  if (text.startsWith("ftyp", 4)) return ofBrand(text.slice(8, 12), text.slice(12, 40))
  if (isFrames(head)) return sound(isAdts(head, 0) ? "aac" : "mpeg")
  if (text.includes("%PDF-")) return pdf
  if (/^\s*(?:\xef\xbb\xbf)?\s*<(?:\?xml|!DOCTYPE svg|!--|svg)[^]*?<svg|^\s*<svg/.test(text)) return svg
  const isTransport = text.length > 376 && [0, 188, 376].every((at) => text[at] === "G")
  return isTransport ? kindOf("video", "MPEG transport stream", "ts mts m2ts") : undefined
}

/** What names of images end in, and of nothing else. */
const imageExtensions = new Set([jpeg, png, gif, webp, avif, heif, tiff, svg].flatMap(({ extensions }) => extensions))
const extensions = new Set([...imageExtensions, ...[pdf, mp4, matroska, avi].flatMap(({ extensions }) => extensions)])

const extensionOf = (path: FilePath.FilePath): string =>
  (/\.([a-z0-9]+)$/i.exec(FilePath.name(path))?.[1] ?? "").toLowerCase()

/** Whether something is called a picture. */
export const isCalledImage = (path: FilePath.FilePath): boolean => imageExtensions.has(extensionOf(path))

/** Says that a file is not what it is called, if it is not. */
export const mislabelled = (path: FilePath.FilePath, kind: MediaKind): string | undefined => {
  const extension = extensionOf(path)
  return extensions.has(extension) && !kind.extensions.includes(extension)
    ? `it is called .${extension} and is ${kind.name}`
    : undefined
}
