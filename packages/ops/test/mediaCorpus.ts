import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { MediaRecord } from "@fanout/ops/MediaRecord"
import * as Effect from "effect/Effect"
import { brotliCompressSync, deflateSync } from "node:zlib"
import { readMedia } from "../src/internal/media/mediaReader.ts"
import * as make from "./mediaBytes.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** What a file comes to. */
export const read = (content: Uint8Array) => {
  const disk = new MemoryFiles.Disk()
  disk.file("/file", content)
  return Effect.result(readMedia({ path: FilePath.make("/file") })).pipe(
    Effect.provideService(Files.Files, MemoryFiles.make(disk))
  )
}

type Told = Partial<MediaRecord>

/** A file, and what is told of it beside its size and its stream. */
export interface Case {
  readonly name: string
  readonly bytes: Uint8Array
  readonly told: Told
}

// --- EXIF -----------------------------------------------------------------------------------------------------------

type Place = "first" | "exif" | "gps"

const north = [make.ascii(1, "N"), make.rationals(2, [47, 1], [22, 1], [30, 1])]
const west = [make.ascii(3, "W"), make.rationals(4, [8, 1], [32, 1], [24, 1])]

const exifTags: ReadonlyArray<readonly [name: string, place: Place, tags: ReadonlyArray<make.Tag>, told: Told]> = [
  ["make", "first", [make.ascii(0x010f, "Canon")], { cameraMake: "Canon" }],
  ["make-zero", "first", [make.ascii(0x010f, "Canon\0EOS")], { cameraMake: "Canon" }],
  ["model", "first", [make.ascii(0x0110, "EOS R5")], { cameraModel: "EOS R5" }],
  ["orientation", "first", [make.short(0x0112, 8)], { orientation: 8 }],
  ["software", "first", [make.ascii(0x0131, "Firmware 1.8")], { software: "Firmware 1.8" }],
  ["modified", "first", [make.ascii(0x0132, "2024:05:02 08:00:00")], { modifiedAt: "2024-05-02T08:00:00" }],
  ["artist", "first", [make.ascii(0x013b, "Zoë")], { artists: ["Zoë"] }],
  ["copyright", "first", [make.ascii(0x8298, "Somebody")], { copyright: "Somebody" }],
  ["description", "first", [make.ascii(0x010e, "A hill")], { description: "A hill" }],
  ["rating", "first", [make.short(0x4746, 3)], { rating: 3 }],
  ["exposure", "exif", [make.rationals(0x829a, [1, 125])], { exposureSeconds: 0.008 }],
  ["aperture", "exif", [make.rationals(0x829d, [28, 10])], { fNumber: 2.8 }],
  ["iso", "exif", [make.short(0x8827, 400)], { iso: 400 }],
  ["taken", "exif", [make.ascii(0x9003, "2024:05:01 12:30:00")], { takenAt: "2024-05-01T12:30:00" }],
  ["digitized", "exif", [make.ascii(0x9004, "2024:05:01 12:30:00")], { takenAt: "2024-05-01T12:30:00" }],
  ["flash", "exif", [make.short(0x9209, 25)], { flash: true }],
  ["no-flash", "exif", [make.short(0x9209, 16)], { flash: false }],
  ["focal", "exif", [make.rationals(0x920a, [50, 1])], { focalLength: 50 }],
  ["focal35", "exif", [make.short(0xa405, 80)], { focalLengthIn35mm: 80 }],
  ["lens", "exif", [make.ascii(0xa434, "RF50mm F1.8")], { lensModel: "RF50mm F1.8" }],
  ["place", "gps", [...north, ...west], { latitude: 47.375, longitude: -8.54 }],
  ["above", "gps", [...north, ...west, make.bytes(5, 0), make.rationals(6, [25, 2])], { altitude: 12.5 }],
  ["below", "gps", [...north, ...west, make.bytes(5, 1), make.rationals(6, [25, 2])], { altitude: -12.5 }]
]

const headed = (exif: Uint8Array) => make.join("Exif\0\0", exif)

/** Files that EXIF is in. */
const exifKinds: ReadonlyArray<readonly [extension: string, put: (exif: Uint8Array) => Uint8Array]> = [
  ["jpg", (exif) => make.jpeg({ exif })],
  ["png", (exif) => make.png(make.chunk("eXIf", exif))],
  ["webp", (exif) => make.webp(exif, new Uint8Array(0))],
  ["heic", (exif) => make.heic(exif)],
  ["text.png", (exif) => make.png(make.compressedText("Raw profile type exif", make.rawProfile("exif", headed(exif))))],
  [
    "app1.png",
    (exif) => make.png(make.compressedText("Raw profile type APP1", make.rawProfile("generic", headed(exif))))
  ],
  ["jxl", (exif) => make.jpegXl(make.box("Exif", make.be32(0), exif))],
  ["small.jxl", (exif) => make.jpegXl(make.box("brob", "Exif", brotliCompressSync(make.join(make.be32(0), exif))))],
  ["jp2", (exif) => make.jpeg2000(make.box("uuid", "JpgTiffExif->JP2", exif))],
  ["tif", (exif) => exif]
]

const exifCases: ReadonlyArray<Case> = exifKinds.flatMap(([extension, put]) =>
  exifTags.map(([name, place, tags, told]) => ({
    name: `exif-${name}.${extension}`,
    bytes: put(make.tiff({ [place]: tags })),
    told
  }))
)

// --- XMP ------------------------------------------------------------------------------------------------------------

/** How a property may be written. */
type Form = "attribute" | "element" | "Alt" | "Bag" | "Seq"

const spaces = {
  aux: "http://ns.adobe.com/exif/1.0/aux/",
  dc: "http://purl.org/dc/elements/1.1/",
  exif: "http://ns.adobe.com/exif/1.0/",
  exifEX: "http://cipa.jp/exif/1.0/",
  photoshop: "http://ns.adobe.com/photoshop/1.0/",
  tiff: "http://ns.adobe.com/tiff/1.0/",
  xmp: "http://ns.adobe.com/xap/1.0/"
} as const

const simple: ReadonlyArray<Form> = ["attribute", "element"]

const xmpTags: ReadonlyArray<
  readonly [space: keyof typeof spaces, name: string, forms: ReadonlyArray<Form>, value: string, told: Told]
> = [
  ["xmp", "Rating", simple, "4", { rating: 4 }],
  ["xmp", "CreatorTool", simple, "Bridge", { software: "Bridge" }],
  ["xmp", "CreateDate", simple, "2024-05-01T12:30:00", { takenAt: "2024-05-01T12:30:00" }],
  ["xmp", "ModifyDate", simple, "2024-05-02T08:00:00", { modifiedAt: "2024-05-02T08:00:00" }],
  ["photoshop", "DateCreated", simple, "2024-05-01T12:30:00", { takenAt: "2024-05-01T12:30:00" }],
  ["exif", "DateTimeOriginal", simple, "2024-05-01T12:30:00", { takenAt: "2024-05-01T12:30:00" }],
  ["tiff", "Make", simple, "Canon", { cameraMake: "Canon" }],
  ["tiff", "Model", simple, "EOS R5", { cameraModel: "EOS R5" }],
  ["tiff", "Orientation", simple, "6", { orientation: 6 }],
  ["aux", "Lens", simple, "50mm F1.8", { lensModel: "50mm F1.8" }],
  ["exifEX", "LensModel", simple, "50mm F1.8", { lensModel: "50mm F1.8" }],
  ["dc", "title", ["Alt"], "A &amp; B", { title: "A & B" }],
  ["dc", "description", ["Alt"], "A hill", { description: "A hill" }],
  ["dc", "rights", ["Alt"], "Somebody", { copyright: "Somebody" }],
  ["dc", "creator", ["Seq"], "Zoë", { artists: ["Zoë"] }],
  ["dc", "subject", ["Bag"], "hills", { keywords: ["hills"] }]
]

/** A property by this prefix, which may be none: then its namespace is that of the element. */
const property = (space: string, prefix: string, name: string, form: Form, rdf: string, value: string): string => {
  const declared = `xmlns${prefix === "" ? "" : `:${prefix}`}="${space}"`
  const called = prefix === "" ? name : `${prefix}:${name}`
  if (form === "attribute") return `<${rdf}:Description ${rdf}:about="" ${declared} ${called}="${value}"/>`
  const language = form === "Alt" ? " xml:lang='x-default'" : ""
  const content = form === "element"
    ? value
    : `<${rdf}:${form}>\n <${rdf}:li${language}>${value}</${rdf}:li>\n</${rdf}:${form}>`
  return `<${rdf}:Description ${rdf}:about=""><${called} ${declared}>${content}</${called}></${rdf}:Description>`
}

const packet = (rdf: string, inner: string): Uint8Array =>
  Buffer.from(
    `<?xpacket begin="\u{feff}" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><${rdf}:RDF ` +
      `xmlns:${rdf}="http://www.w3.org/1999/02/22-rdf-syntax-ns#">${inner}</${rdf}:RDF></x:xmpmeta><?xpacket end="w"?>`
  )

const xmpName = Buffer.from("be7acfcb97a942e89c71999491e3afac", "hex")

const xmpKinds: ReadonlyArray<readonly [extension: string, put: (xmp: Uint8Array) => Uint8Array]> = [
  ["jpg", (xmp) => make.jpeg({ xmp })],
  ["png", (xmp) => make.png(make.chunk("iTXt", make.join("XML:com.adobe.xmp\0\0\0\0\0", xmp)))],
  ["webp", (xmp) => make.webp(make.tiff({ first: [make.short(0x011a, 72)] }), xmp)],
  ["text.png", (xmp) => make.png(make.compressedText("Raw profile type xmp", make.rawProfile("xmp", xmp)))],
  ["small.png", (xmp) => make.png(make.chunk("iTXt", make.join("XML:com.adobe.xmp\0\x01\0\0\0", deflateSync(xmp))))],
  ["gif", (xmp) => make.gif(make.gifBlock("NETSCAPE2.0", Uint8Array.of(1, 0, 0)), make.gifBlock("XMP DataXMP", xmp))],
  ["jxl", (xmp) => make.jpegXl(make.box("xml ", xmp))],
  ["small.jxl", (xmp) => make.jpegXl(make.box("brob", "xml ", brotliCompressSync(xmp)))],
  ["jp2", (xmp) => make.jpeg2000(make.box("uuid", xmpName, xmp))],
  ["heic", (xmp) => make.heicInside(1, make.tiff({ first: [make.short(0x011a, 72)] }), xmp)],
  ["tif", (xmp) => make.tiff({ first: [{ tag: 0x2bc, type: 1, count: xmp.length, value: xmp }] })]
]

const xmpCases: ReadonlyArray<Case> = xmpKinds.flatMap(([extension, put]) =>
  xmpTags.flatMap(([space, name, forms, value, told]) =>
    forms.flatMap((form) =>
      // An attribute has no namespace unless it has a prefix.
      [space, "ns0", ...form === "attribute" ? [] : [""]].flatMap((prefix) =>
        ["rdf", "r"].map((rdf) => ({
          name: `xmp-${name}-${form}-${prefix}-${rdf}.${extension}`,
          bytes: put(packet(rdf, property(spaces[space], prefix, name, form, rdf, value))),
          told
        }))
      )
    )
  )
)

// --- IPTC, and texts of PNG -----------------------------------------------------------------------------------------

const iptcTags: ReadonlyArray<readonly [number: number, value: string, told: Told]> = [
  [5, "A title", { title: "A title" }],
  [25, "hills", { keywords: ["hills"] }],
  [55, "20240501", { takenAt: "2024-05-01" }],
  [80, "Zo", { artists: ["Zo"] }],
  [116, "Somebody", { copyright: "Somebody" }],
  [120, "A hill", { description: "A hill" }]
]

const iptcName = Buffer.from("33c7a4d2b81d4723a0baf1a3e097ad38", "hex")

const iptcKinds: ReadonlyArray<readonly [extension: string, put: (iptc: Uint8Array) => Uint8Array]> = [
  ["jpg", (iptc) => make.jpeg({ iptc })],
  [
    "png",
    (iptc) => make.png(make.compressedText("Raw profile type iptc", make.rawProfile("iptc", make.resource(iptc))))
  ],
  ["gif", (iptc) => make.gif(make.gifBlock("MGKIPTC0000", iptc))],
  ["8bim.gif", (iptc) => make.gif(make.gifBlock("MGK8BIM0000", make.resource(iptc)))],
  ["jp2", (iptc) => make.jpeg2000(make.box("uuid", iptcName, iptc))]
]

const iptcCases: ReadonlyArray<Case> = iptcKinds.flatMap(([extension, put]) =>
  iptcTags.map(([number, value, told]) => ({
    name: `iptc-${number}.${extension}`,
    bytes: put(make.iptc([number, value])),
    told
  }))
)

const pngTexts: ReadonlyArray<readonly [keyword: string, value: string, told: Told]> = [
  ["Title", "A title", { title: "A title" }],
  ["Author", "Zo", { artists: ["Zo"] }],
  ["Description", "A hill", { description: "A hill" }],
  ["Copyright", "Somebody", { copyright: "Somebody" }],
  ["Software", "Paint", { software: "Paint" }]
]

const pngCases: ReadonlyArray<Case> = pngTexts.flatMap(([keyword, value, told]) => [
  { name: `ztext-${keyword}.png`, bytes: make.png(make.compressedText(keyword, Buffer.from(value))), told },
  { name: `text-${keyword}.png`, bytes: make.png(make.chunk("tEXt", `${keyword}\0${value}`)), told },
  { name: `itext-${keyword}.png`, bytes: make.png(make.chunk("iTXt", `${keyword}\0\0\0\0\0${value}`)), told }
])

// --- Sounds and films -----------------------------------------------------------------------------------------------

const soundTags: ReadonlyArray<readonly [id3: string, vorbis: string, itunes: string, value: string, told: Told]> = [
  ["TIT2", "TITLE", "\xa9nam", "Song", { title: "Song" }],
  ["TPE1", "ARTIST", "\xa9ART", "Zoë", { artists: ["Zoë"] }],
  ["TALB", "ALBUM", "\xa9alb", "Record", { album: "Record" }],
  ["TPE2", "ALBUMARTIST", "aART", "Band", { albumArtist: "Band" }],
  ["TCOM", "COMPOSER", "\xa9wrt", "Writer", { composers: ["Writer"] }],
  ["TCON", "GENRE", "\xa9gen", "Polka", { genres: ["Polka"] }],
  ["TCOP", "COPYRIGHT", "cprt", "Somebody", { copyright: "Somebody" }],
  ["TDRC", "DATE", "\xa9day", "2001", { releasedAt: "2001" }]
]

/** Sounds with one tag each, in each of the ways that tags are written. */
const soundCases: ReadonlyArray<Case> = [
  ...soundTags.flatMap(([id3, vorbis, itunes, value, told]): ReadonlyArray<Case> => [
    { name: `id3-${id3}.mp3`, bytes: make.mp3([id3, value]), told },
    { name: `id3-${id3}.aac`, bytes: make.join(make.id3([id3, value]), make.adts()), told },
    { name: `vorbis-${vorbis}.flac`, bytes: make.flac([[vorbis, value]]), told },
    {
      name: `behind-${vorbis}.flac`,
      bytes: make.join(make.id3(["TXXX", "\x03a\0b"]), make.flac([[vorbis, value]])),
      told
    },
    { name: `itunes-${vorbis}.m4a`, bytes: make.playable("isom", [1, 1], make.itunes([itunes, value])), told },
    { name: `itunes-${vorbis}.mov`, bytes: make.playable("qt  ", [1, 1], make.itunes([itunes, value])), told }
  ]),
  { name: "id3-TRCK.mp3", bytes: make.mp3(["TRCK", "3/9"]), told: { track: 3, trackCount: 9 } },
  { name: "id3-TPOS.mp3", bytes: make.mp3(["TPOS", "1/2"]), told: { disc: 1, discCount: 2 } },
  { name: "id3-COMM.mp3", bytes: make.mp3(["COMM", make.join("\x03eng\0Live")]), told: { description: "Live" } },
  { name: "vorbis-TRACKNUMBER.flac", bytes: make.flac([["TRACKNUMBER", "3"]]), told: { track: 3 } },
  {
    name: "itunes-trkn.m4a",
    bytes: make.playable("isom", [1, 1], make.itunes(["trkn", [3, 9]])),
    told: { track: 3, trackCount: 9 }
  },
  ...[1, 64, 128, 196, 255].map((number, index) => ({
    name: `id3-POPM-${number}.mp3`,
    bytes: make.mp3(["POPM", make.join("a@b\0", Uint8Array.of(number, 0, 0, 0, 0))]),
    told: { rating: index + 1 }
  })),
  ...(["isom", "qt  "] as const).map((brand) => ({
    name: `streams.${brand === "isom" ? "mp4" : "mov"}`,
    bytes: make.playable(brand, [16, 11]),
    told: {
      duration: 3.003,
      frameRate: 30_000 / 1001,
      sampleRate: 44_100,
      channels: 2,
      videoCodec: "avc1",
      displayWidth: 512
    }
  }))
]

/** One file for each kind, tag, form and prefix. */
export const cases: ReadonlyArray<Case> = [...exifCases, ...xmpCases, ...iptcCases, ...pngCases, ...soundCases]

/** A file of each kind with much in it, to be broken. */
export const full: ReadonlyArray<readonly [kind: string, bytes: Uint8Array]> = [
  ...exifKinds.map(([extension, put]) => [extension, put(make.photo)] as const),
  [
    "xmp.jpg",
    make.jpeg({ exif: make.photo, xmp: xmpCases[0]?.bytes ?? new Uint8Array(0), iptc: make.iptc([25, "a"]) })
  ],
  ["heic inside", make.heicInside(2, make.photo, packet("rdf", ""))],
  ["big.tif", make.bigTiff("Maker of big ones")],
  ["mp3", make.mp3(...soundTags.map(([id3, , , value]) => [id3, value] as const))],
  ["flac", make.flac(soundTags.map(([, vorbis, , value]) => [vorbis, value]))],
  ["wav", make.wav("Silence")],
  [
    "mp4",
    make.playable("isom", [16, 11], make.itunes(...soundTags.map(([, , itunes, value]) => [itunes, value] as const)))
  ],
  ["mov", make.playable("qt  ", [16, 11])],
  ["telephone.mov", make.mov()],
  ["webm", make.webm(make.element(0x1549a966, make.element(0x4489, Uint8Array.of(0x44, 0x7a, 0, 0))))]
]
