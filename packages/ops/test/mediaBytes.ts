/** Makes files of photos, sounds and films, sound ones and hostile ones. */
import { deflateSync } from "node:zlib"

const text = (value: string): Uint8Array => Buffer.from(value, "latin1")

export const join = (...parts: ReadonlyArray<Uint8Array | string>): Uint8Array =>
  Buffer.concat(parts.map((part) => typeof part === "string" ? text(part) : part))

export const be16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value)
export const be32 = (value: number): Uint8Array => join(be16(value >>> 16), be16(value & 0xffff))
export const le16 = (value: number): Uint8Array => be16(value).toReversed()
export const le32 = (value: number): Uint8Array => be32(value).toReversed()

// --- TIFF -----------------------------------------------------------------------------------------------------------

export interface Tag {
  readonly tag: number
  readonly type: number
  readonly count: number
  /** Its value, or where it claims to have one. */
  readonly value: Uint8Array | number
}

export const ascii = (tag: number, value: string): Tag => ({
  tag,
  type: 2,
  count: Buffer.byteLength(value) + 1,
  value: join(Buffer.from(value), "\0")
})

export const short = (tag: number, value: number): Tag => ({ tag, type: 3, count: 1, value: le16(value) })
export const long = (tag: number, value: number): Tag => ({ tag, type: 4, count: 1, value: le32(value) })
export const bytes = (tag: number, ...value: ReadonlyArray<number>): Tag => ({
  tag,
  type: 1,
  count: value.length,
  value: Uint8Array.from(value)
})
export const rationals = (tag: number, ...pairs: ReadonlyArray<readonly [number, number]>): Tag => ({
  tag,
  type: 5,
  count: pairs.length,
  value: join(...pairs.flat().map(le32))
})

/** A directory that stands at this place, with its values behind it. */
export const directory = (start: number, tags: ReadonlyArray<Tag>, count = tags.length): Uint8Array => {
  const values: Array<Uint8Array> = []
  let at = start + 6 + 12 * tags.length
  const entries = tags.map(({ count, tag, type, value }) => {
    const head = join(le16(tag), le16(type), le32(count))
    if (typeof value === "number") return join(head, le32(value))
    if (value.length <= 4) return join(head, value, new Uint8Array(4 - value.length))
    values.push(value)
    at += value.length
    return join(head, le32(at - value.length))
  })
  return join(le16(count), ...entries, le32(0), ...values)
}

const exifTag = 0x8769
const gpsTag = 0x8825

/** A structure of directories, as EXIF has them. */
export const tiff = (
  { exif = [], first = [], gps = [] }: Partial<Readonly<Record<"first" | "exif" | "gps", ReadonlyArray<Tag>>>>,
  mark = ""
): Uint8Array => {
  const links = (exifAt: number, gpsAt: number) => [
    ...first,
    ...exif.length === 0 ? [] : [long(exifTag, exifAt)],
    ...gps.length === 0 ? [] : [long(gpsTag, gpsAt)]
  ]
  const start = 8 + mark.length
  const exifAt = start + directory(start, links(0, 0)).length
  const gpsAt = exifAt + (exif.length === 0 ? 0 : directory(exifAt, exif).length)
  return join(
    "II*\0",
    le32(start),
    mark,
    directory(start, links(exifAt, gpsAt)),
    exif.length === 0 ? "" : directory(exifAt, exif),
    gps.length === 0 ? "" : directory(gpsAt, gps)
  )
}

/** A picture of 128 x 128 pixels, of what these tags say, in one strip or tile of this content. */
export const pixels = (
  content: Uint8Array,
  tags: Readonly<Record<number, number | ReadonlyArray<number>>>
): Uint8Array => {
  const common = { 0x100: 128, 0x101: 128, 0x103: 1, 0x11c: 1, 0x116: 128 }
  const place = 0x142 in tags ? { 0x144: 8, 0x145: content.length } : { 0x111: 8, 0x117: content.length }
  const all = Object.entries({ ...common, ...place, ...tags }).map(([tag, values]): Tag => {
    const list = [values].flat()
    return list.length === 1
      ? long(Number(tag), list[0] ?? 0)
      : { tag: Number(tag), type: 3, count: list.length, value: join(...list.map(le16)) }
  })
  return join("II*\0", le32(8 + content.length), content, directory(8 + content.length, all))
}

/** What a camera says of a photo that was taken in Zurich. */
export const photo = tiff({
  first: [
    ascii(0x010f, "Canon"),
    ascii(0x0110, "Canon EOS R5"),
    short(0x0112, 6),
    ascii(0x0131, "Firmware 1.8"),
    ascii(0x0132, "2024:05:02 08:00:00"),
    ascii(0x013b, "Zoë")
  ],
  exif: [
    rationals(0x829a, [1, 125]),
    rationals(0x829d, [28, 10]),
    short(0x8827, 400),
    ascii(0x9003, "2024:05:01 12:30:00"),
    ascii(0x9011, "+02:00"),
    short(0x9209, 1),
    rationals(0x920a, [50, 1]),
    ascii(0x9291, "25"),
    short(0xa405, 80),
    ascii(0xa434, "RF50mm F1.8")
  ],
  gps: [
    ascii(0x01, "N"),
    rationals(0x02, [47, 1], [22, 1], [30, 1]),
    ascii(0x03, "W"),
    rationals(0x04, [8, 1], [32, 1], [0, 1]),
    bytes(0x05, 1),
    rationals(0x06, [25, 2]),
    rationals(0x07, [10, 1], [29, 1], [59, 1]),
    ascii(0x1d, "2024:05:01")
  ]
})

// --- Pictures -------------------------------------------------------------------------------------------------------

const segment = (marker: number, content: Uint8Array): Uint8Array =>
  join(Uint8Array.of(0xff, marker), be16(content.length + 2), content)

export const xmp = (inner: string): Buffer => {
  const description = `<rdf:Description rdf:about="">${inner}</rdf:Description>`
  return Buffer.from(`<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>${description}</rdf:RDF></x:xmpmeta>`)
}

/** Data sets of IPTC: numbers and texts. */
export const iptc = (...sets: ReadonlyArray<readonly [number, string]>): Uint8Array =>
  join(...sets.map(([number, value]) => {
    const bytes = Buffer.from(value)
    return join(Uint8Array.of(0x1c, 2, number), be16(bytes.length), bytes)
  }))

export interface Carries {
  readonly exif?: Uint8Array
  readonly xmp?: Uint8Array
  readonly iptc?: Uint8Array
}

/** Data sets of IPTC among what Photoshop keeps. */
export const resource = (datasets: Uint8Array): Uint8Array =>
  join("8BIM", be16(0x404), be16(0), be32(datasets.length), datasets)

/** A JPEG whose picture itself is nothing. */
export const jpeg = ({ exif, iptc, xmp }: Carries = {}): Uint8Array =>
  join(
    "\xff\xd8",
    exif === undefined ? "" : segment(0xe1, join("Exif\0\0", exif)),
    xmp === undefined ? "" : segment(0xe1, join("http://ns.adobe.com/xap/1.0/\0", xmp)),
    iptc === undefined
      ? ""
      : segment(0xed, join("Photoshop 3.0\0", resource(iptc))),
    segment(0xc0, join(Uint8Array.of(8), be16(480), be16(640), Uint8Array.of(1, 1, 0x11, 0))),
    "\xff\xda\0\x02\xff\xd9"
  )

export const chunk = (type: string, content: Uint8Array | string): Uint8Array => {
  const bytes = typeof content === "string" ? text(content) : content
  return join(be32(bytes.length), type, bytes, be32(0))
}

export const png = (...chunks: ReadonlyArray<Uint8Array>): Uint8Array =>
  join("\x89PNG\r\n\x1a\n", chunk("IHDR", join(be32(640), be32(480), "\x08\x02\0\0\0")), ...chunks, chunk("IEND", ""))

export const riffChunk = (type: string, content: Uint8Array): Uint8Array =>
  join(type, le32(content.length), content, content.length % 2 === 0 ? "" : "\0")

export const riff = (type: string, ...chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const content = join(type, ...chunks)
  return join("RIFF", le32(content.length), content)
}

export const webp = (exif: Uint8Array, packet: Uint8Array): Uint8Array =>
  riff(
    "WEBP",
    riffChunk("VP8X", join("\x0c\0\0\0", Uint8Array.of(0x7f, 2, 0), Uint8Array.of(0xdf, 1, 0))),
    riffChunk("EXIF", exif),
    riffChunk("XMP ", packet)
  )

/** A WebP that has but a picture. */
export const plainWebp = (type: "VP8 " | "VP8L", content: Uint8Array): Uint8Array =>
  riff("WEBP", riffChunk(type, content))

export const box = (type: string, ...content: ReadonlyArray<Uint8Array | string>): Uint8Array => {
  const inner = join(...content)
  return join(be32(inner.length + 8), type, inner)
}

/** A block as ImageMagick puts it among the texts of a PNG: as digits, on lines, behind its name and length. */
export const rawProfile = (type: string, block: Uint8Array): Uint8Array => {
  const lines = Buffer.from(block).toString("hex").replaceAll(/.{72}/g, "$&\n")
  return text(`\n${type}\n${String(block.length).padStart(8)}\n${lines}\n`)
}

/** A chunk of PNG with a text that is compressed. */
export const compressedText = (keyword: string, content: Uint8Array): Uint8Array =>
  chunk("zTXt", join(keyword, "\0\0", deflateSync(content)))

/** A GIF of 640 x 480 pixels with these blocks before its picture. */
export const gif = (...extensions: ReadonlyArray<Uint8Array>): Uint8Array =>
  join("GIF89a", le16(640), le16(480), Uint8Array.of(0x80, 0, 0), new Uint8Array(6), ...extensions, ",\0")

const pieces = (content: Uint8Array): Uint8Array =>
  content.length === 0
    ? Uint8Array.of(0)
    : join(Uint8Array.of(Math.min(content.length, 255)), content.subarray(0, 255), pieces(content.subarray(255)))

/** A block of GIF for a program of this name. XMP is not in pieces. */
export const gifBlock = (name: string, content: Uint8Array): Uint8Array => {
  const end = Uint8Array.from({ length: 258 }, (_, index) => index === 0 ? 1 : 256 - Math.min(index, 256))
  return join("!\xff\x0b", name, name.startsWith("XMP") ? join(content, end) : pieces(content))
}

/** A JPEG XL of 640 x 480 pixels with these boxes before its picture. */
export const jpegXl = (...boxes: ReadonlyArray<Uint8Array>): Uint8Array => {
  // The height less one in nine bits behind those that tell so, and that the width is four thirds of it.
  const size = (479 << 3) | (3 << 12)
  return join(
    box("JXL ", "\r\n\x87\n"),
    box("ftyp", "jxl ", be32(0), "jxl "),
    ...boxes,
    box("jxlc", "\xff\n", le16(size), "\0\0")
  )
}

/** A JPEG 2000 of 640 x 480 pixels with these boxes behind its picture. */
export const jpeg2000 = (...boxes: ReadonlyArray<Uint8Array>): Uint8Array =>
  join(
    box("jP  ", "\r\n\x87\n"),
    box("ftyp", "jp2 ", be32(0), "jp2 "),
    box("jp2h", box("ihdr", be32(480), be32(640), "\0\x03\x07\x07\0\0")),
    box("jp2c", "\xff\x4f\xff\x51"),
    ...boxes
  )

/** A HEIC with EXIF behind its tables. */
export const heic = (exif: Uint8Array): Uint8Array => {
  const item = join(be32(6), "Exif\0\0", exif)
  const head = box("ftyp", "heic", be32(0), "mif1heic")
  const tables = (offset: number) =>
    box(
      "meta",
      be32(0),
      box("iinf", be32(0), be16(1), box("infe", be32(0x02000000), be16(7), be16(0), "Exif\0")),
      box("iprp", box("ipco", box("ispe", be32(0), be32(512), be32(512)), box("ispe", be32(0), be32(640), be32(480)))),
      box("iloc", be32(0), be16(0x4400), be16(1), be16(7), be16(0), be16(1), be32(offset), be32(item.length))
    )
  return join(head, tables(head.length + tables(0).length), item)
}

/** A HEIC with EXIF and XMP within its tables, which are of these newer versions. */
export const heicInside = (version: 1 | 2, exif: Uint8Array, packet: Uint8Array): Uint8Array => {
  const item = join(be32(6), "Exif\0\0", exif)
  const id = version === 1 ? be16 : be32
  const place = (of: number, offset: number, length: number) =>
    join(id(of), be16(1), be16(0), be32(0), be16(1), new Uint8Array(8), be32(offset), be32(0), be32(length))
  return join(
    box("ftyp", "heic", be32(0), "mif1heic"),
    box(
      "meta",
      be32(0),
      box(
        "iinf",
        join(be32(0x01000000), be32(2)),
        box("infe", be32(0x02000000), be16(7), be16(0), "Exif\0"),
        box("infe", be32(0x03000000), be32(8), be16(0), "mime\0application/rdf+xml\0")
      ),
      box("iprp", box("ipco", box("ispe", be32(0), be32(640), be32(480)), box("ispe", be32(0), be32(512), be32(512)))),
      box("idat", item, packet),
      box(
        "iloc",
        join(be32(version * 0x01000000), be16(0x8844), id(2)),
        place(7, 0, item.length),
        place(8, item.length, packet.length)
      )
    )
  )
}

// --- Sounds and films -----------------------------------------------------------------------------------------------

/** One second of silence, in one channel of 8,000 samples of 16 bits. */
export const wav = (title: string): Uint8Array =>
  riff(
    "WAVE",
    riffChunk("fmt ", join(le16(1), le16(1), le32(8000), le32(16_000), le16(2), le16(16))),
    riffChunk("LIST", join("INFO", riffChunk("INAM", join(title, "\0")))),
    riffChunk("data", new Uint8Array(16_000))
  )

/** Frames of MPEG 1 layer 3 of 128 kbit/s at 44.1 kHz. */
const frames = (count: number): Uint8Array => {
  const frame = join("\xff\xfb\x90\x00", new Uint8Array(413))
  return join(...Array.from({ length: count }, () => frame))
}

const synchsafe = (size: number): Uint8Array =>
  Uint8Array.of((size >>> 21) & 127, (size >>> 14) & 127, (size >>> 7) & 127, size & 127)

type Frame = readonly [id: string, value: string | Uint8Array]

/** A tag of ID3v2: texts, or frames of these bytes. */
export const id3 = (...tags: ReadonlyArray<Frame>): Uint8Array => {
  const inner = join(...tags.map(([id, value]) => {
    const content = typeof value === "string" ? join("\x03", Buffer.from(value)) : value
    return join(id, synchsafe(content.length), "\0\0", content)
  }))
  return join("ID3\x04\0\0", synchsafe(inner.length), inner)
}

export const mp3 = (...tags: ReadonlyArray<Frame>): Uint8Array =>
  join(tags.length === 0 ? "" : id3(...tags), frames(40))

/** Frames of AAC at 44.1 kHz in two channels. */
export const adts = (): Uint8Array => {
  const frame = join("\xff\xf1\x50\x80", Uint8Array.of(200 >> 3, ((200 & 7) << 5) | 0x1f, 0xfc), new Uint8Array(193))
  return join(...Array.from({ length: 40 }, () => frame))
}

/** A TIFF of wide offsets, of 640 x 480 pixels. */
export const bigTiff = (make: string): Uint8Array => {
  const le64 = (value: number) => join(le32(value), le32(0))
  const entry = (tag: number, type: number, count: number, value: Uint8Array) =>
    join(le16(tag), le16(type), le64(count), value, new Uint8Array(8 - value.length))
  return join(
    "II+\0\x08\0\0\0",
    le64(16),
    le64(3),
    entry(0x100, 3, 1, le16(640)),
    entry(0x101, 16, 1, le64(480)),
    entry(0x10f, 2, make.length + 1, le64(16 + 8 + 3 * 20 + 8)),
    le64(0),
    `${make}\0`
  )
}

/** An element of Matroska; one of an unknown size has all of the rest in it. */
export const element = (id: number, ...content: ReadonlyArray<Uint8Array | string>): Uint8Array => {
  const inner = join(...content)
  const name = be32(id)
  return join(
    name.subarray(name.findIndex((byte) => byte !== 0)),
    join(Uint8Array.of(0x10), be32(inner.length).subarray(1)),
    inner
  )
}

/** A WebM of Opus with these elements behind its table of tracks, which is behind some bytes that are left free. */
export const webm = (...elements: ReadonlyArray<Uint8Array>): Uint8Array => {
  const audio = element(0xe1, element(0xb5, be32(0x473b8000)), element(0x9f, Uint8Array.of(2)))
  const track = element(
    0xae,
    element(0xd7, Uint8Array.of(1)),
    element(0x83, Uint8Array.of(2)),
    element(0x86, "A_OPUS"),
    audio
  )
  return join(
    element(0x1a45dfa3, element(0x4282, "webm")),
    element(0x18538067, element(0x1654ae6b, track), ...elements)
  )
}

/** A FLAC of a second of two channels of 44,100 samples of 16 bits, without its frames. */
export const flac = (comments: ReadonlyArray<readonly [name: string, value: string]>): Uint8Array => {
  // Rate, channels, bits and samples take 20, 3, 5 and 36 bits.
  const stream = join(be16(4096), be16(4096), new Uint8Array(6), be32(0x0ac442f0), be32(44_100), new Uint8Array(16))
  const texts = comments.map(([name, value]) => Buffer.from(`${name}=${value}`))
  const tags = join(le32(4), "test", le32(texts.length), ...texts.flatMap((text) => [le32(text.length), text]))
  const block = (type: number, content: Uint8Array) =>
    join(Uint8Array.of(type), be32(content.length).subarray(1), content)
  return join("fLaC", block(0, stream), block(0x84, tags))
}

const upright = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000].map(be32)
const turned = [0, 0x10000, 0, 0xffff0000, 0, 0, 0, 0, 0x40000000].map(be32)

/** A film of 4 seconds without a picture; its one track is shown with this matrix. */
const filmOf = (brand: string, matrix: ReadonlyArray<Uint8Array>, ...beside: ReadonlyArray<Uint8Array>): Uint8Array => {
  const size = [be16(1920), be16(0), be16(1080), be16(0)]
  const track = box(
    "tkhd",
    be32(1),
    new Uint8Array(8),
    be32(1),
    be32(0),
    be32(4000),
    new Uint8Array(16),
    ...matrix,
    ...size
  )
  const media = box(
    "mdia",
    box("mdhd", new Uint8Array(12), be32(1000), be32(4000), be32(0)),
    box("hdlr", be32(0), "mhlrvide", new Uint8Array(13))
  )
  const header = box("mvhd", new Uint8Array(12), be32(1000), be32(4000), new Uint8Array(80))
  return join(
    box("ftyp", brand, be32(0), brand),
    box("mdat", new Uint8Array(64)),
    box("moov", header, box("trak", track, media), ...beside)
  )
}

/** A film with this beside its tracks. */
export const film = (...userData: ReadonlyArray<Uint8Array>): Uint8Array =>
  filmOf("isom", upright, box("udta", ...userData))

/** A film that is shown with this matrix, by its first two rows. */
export const turnedFilm = (a: number, b: number, c: number, d: number): Uint8Array =>
  filmOf("isom", [a, b, 0, c, d, 0, 0, 0, 0x4000].map((value) => be32(value * 0x10000)))

/** A text of QuickTime, of no language. */
export const quickTimeText = (type: string, value: string): Uint8Array => box(type, be16(value.length), be16(0), value)

/** A film as a telephone makes it that was held upright, with the place and time it was taken at. */
export const mov = (): Uint8Array => {
  const keys = ["com.apple.quicktime.location.ISO6709", "com.apple.quicktime.creationdate", "com.apple.quicktime.make"]
  const values = ["+47.3750-008.5333+0408.000/", "2024-05-01T12:30:00+0200", "Apple"]
  const items = values.map((value, index) => {
    const data = box("data", be32(1), be32(0), value)
    return join(be32(data.length + 8), be32(index + 1), data)
  })
  const meta = box(
    "meta",
    box("hdlr", be32(0), be32(0), "mdta", new Uint8Array(14)),
    box("keys", be32(0), be32(keys.length), ...keys.map((key) => box("mdta", key))),
    box("ilst", ...items)
  )
  return filmOf("qt  ", turned, meta)
}

/** How a track of MP4 (version 0) or QuickTime (1 and 2) describes its sound, with boxes of its codec behind that. */
export const soundEntry = (
  type: string,
  { bits = 16, channels, rate, version = 0 }: {
    readonly bits?: number
    readonly channels: number
    readonly rate: number
    readonly version?: 0 | 1 | 2
  },
  ...boxes: ReadonlyArray<Uint8Array>
): Uint8Array => {
  const head = join(new Uint8Array(6), be16(1), be16(version), new Uint8Array(6))
  if (version === 2) {
    const wide = Buffer.alloc(8)
    wide.writeDoubleBE(rate)
    const fixed = join(be16(3), be16(16), be16(0xfffe), be16(0), be32(65_536), be32(72))
    return box(type, head, fixed, wide, be32(channels), be32(0x7f000000), be32(bits), new Uint8Array(12), ...boxes)
  }
  const own = join(be16(channels), be16(bits), be32(0), be16(rate > 65_535 ? 0 : rate), be16(0))
  return box(type, head, own, new Uint8Array(version === 1 ? 16 : 0), ...boxes)
}

/** A track of `count` samples of 100 bytes, each of so many of so many parts of a second. */
const trackWith = (
  id: number,
  handler: "vide" | "soun",
  time: { readonly scale: number; readonly delta: number; readonly count: number },
  entry: Uint8Array,
  width: number,
  height: number
): Uint8Array => {
  const duration = be32(time.delta * time.count)
  const place = join(new Uint8Array(16), ...upright, be16(width), be16(0), be16(height), be16(0))
  // QuickTime has this in it, too: it tells how bytes are reached.
  const data = box("hdlr", be32(0), "dhlrurl ", new Uint8Array(13))
  return box(
    "trak",
    box("tkhd", be32(1), new Uint8Array(8), be32(id), be32(0), duration, place),
    box(
      "mdia",
      box("mdhd", new Uint8Array(12), be32(time.scale), duration, be32(0)),
      box("hdlr", be32(0), "mhlr", handler, new Uint8Array(13)),
      box(
        "minf",
        data,
        box(
          "stbl",
          box("stsd", be32(0), be32(1), entry),
          box("stts", be32(0), be32(1), be32(time.count), be32(time.delta)),
          box("stsz", be32(0), be32(100), be32(time.count))
        )
      )
    )
  )
}

/** A film of 3 seconds with a sound of 2, whose pixels are as wide as this for their height; its tables come first. */
export const playable = (
  brand: "isom" | "qt  ",
  [across, down]: readonly [number, number],
  ...beside: ReadonlyArray<Uint8Array>
): Uint8Array => {
  const aspect = box("pasp", be32(across), be32(down))
  const size = join(be16(352), be16(288))
  const picture = box("avc1", new Uint8Array(6), be16(1), new Uint8Array(16), size, new Uint8Array(50), aspect)
  const sound = box(
    "mp4a",
    new Uint8Array(6),
    be16(1),
    new Uint8Array(8),
    be16(2),
    be16(16),
    be32(0),
    be32(44_100 * 65_536)
  )
  const header = box("mvhd", new Uint8Array(12), be32(1000), be32(3000), new Uint8Array(80))
  const video = trackWith(1, "vide", { scale: 30_000, delta: 1001, count: 90 }, picture, 352, 288)
  const audio = trackWith(2, "soun", { scale: 44_100, delta: 1024, count: 86 }, sound, 0, 0)
  const user = box("udta", ...beside.length > 0 ? beside : [quickTimeText("\xa9nam", "A film")], new Uint8Array(4))
  return join(
    box("ftyp", brand, be32(0), brand),
    box("moov", header, video, audio, user),
    box("mdat", new Uint8Array(17_600))
  )
}

/** Sounds of 2 seconds, one for each of these entries and rates of their clocks. */
export const soundFilm = (
  brand: "isom" | "qt  ",
  ...tracks: ReadonlyArray<readonly [entry: Uint8Array, clockRate: number]>
): Uint8Array => {
  const header = box("mvhd", new Uint8Array(12), be32(1000), be32(2000), new Uint8Array(80))
  const traks = tracks.map(([entry, scale], index) =>
    trackWith(index + 1, "soun", { scale, delta: scale / 50, count: 100 }, entry, 0, 0)
  )
  return join(box("ftyp", brand, be32(0), brand), box("moov", header, ...traks), box("mdat", new Uint8Array(10_000)))
}

/** Tags as iTunes writes them: texts, and numbers of how many. */
export const itunes = (
  ...tags: ReadonlyArray<readonly [type: string, value: string | readonly [number, number]]>
): Uint8Array => {
  const items = tags.map(([type, value]) => {
    const isText = typeof value === "string"
    const content = isText ? Buffer.from(value) : join(be16(0), be16(value[0]), be16(value[1]), be16(0))
    return box(type, box("data", be32(isText ? 1 : 0), be32(0), content))
  })
  return box("meta", be32(0), box("hdlr", be32(0), be32(0), "mdirappl", new Uint8Array(9)), box("ilst", ...items))
}
