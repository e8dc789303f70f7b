import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import { MediaRecord } from "@fanout/ops/MediaRecord"
import { mostBytes } from "@fanout/ops/MediaTask"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { brotliCompressSync } from "node:zlib"
import { readMedia } from "../src/internal/media/mediaReader.ts"
import * as make from "./mediaBytes.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const path = FilePath.make("/file")

const tooLarge = "a compressed block of it is broken, or is larger than any"

/** A file that may claim to be larger than what is made of it; the rest are zeroes. */
class World {
  bytesRead = 0
  readonly files: Files.Files["Service"]

  constructor(content: Uint8Array, sizeBytes = content.length) {
    const disk = new MemoryFiles.Disk()
    disk.file("/file", content)
    const inner = MemoryFiles.make(disk)
    this.files = {
      ...inner,
      open: (path) =>
        Effect.map(inner.open(path), (file): Files.OpenFile => ({
          ...file,
          stat: Effect.map(file.stat, (stat) => ({ ...stat, sizeBytes })),
          readAt: (buffer, offset) =>
            Effect.map(file.readAt(buffer, offset), (length) => {
              const there = Math.max(0, Math.min(buffer.length, sizeBytes - offset))
              buffer.fill(0, length, there)
              this.bytesRead += there
              return there
            })
        }))
    }
  }

  readonly read = (raw = false) =>
    readMedia({ path, raw }).pipe(
      Effect.map(({ record }) => record),
      Effect.provideService(Files.Files, this.files)
    )
}

const read = (content: Uint8Array, raw?: boolean) => new World(content).read(raw)

/** What a file fails or is skipped with, and how much was read of it. */
const failure = (content: Uint8Array, sizeBytes?: number) =>
  Effect.gen(function*() {
    const world = new World(content, sizeBytes)
    const result = yield* Effect.result(world.read())
    assert.isTrue(Result.isFailure(result), JSON.stringify(result))
    const error = Result.isFailure(result) ? result.failure : undefined
    const code = error?._tag === "MediaFailed" ? error.code : error?._tag
    return { code, message: error?.message ?? "", bytesRead: world.bytesRead }
  })

/** What the photo of a camera comes to, wherever it is kept. */
const photo = {
  orientation: 6,
  takenAt: "2024-05-01T12:30:00.25+02:00",
  modifiedAt: "2024-05-02T08:00:00",
  cameraMake: "Canon",
  cameraModel: "Canon EOS R5",
  lensModel: "RF50mm F1.8",
  software: "Firmware 1.8",
  exposureSeconds: 0.008,
  fNumber: 2.8,
  iso: 400,
  focalLength: 50,
  focalLengthIn35mm: 80,
  flash: true,
  latitude: 47.375,
  longitude: -8.533333333,
  altitude: -12.5,
  gpsAt: "2024-05-01T10:29:59Z",
  artists: ["Zoë"]
}

const size = { width: 640, height: 480 }

describe("MediaTaskLive", () => {
  it.effect("reads the same of a photo in each kind of file", () =>
    Effect.gen(function*() {
      const kinds = [
        ["image/jpeg", make.jpeg({ exif: make.photo }), size],
        ["image/png", make.png(make.chunk("eXIf", make.photo)), size],
        ["image/webp", make.webp(make.photo, make.xmp("")), size],
        ["image/heic", make.heic(make.photo), size],
        ["image/tiff", make.photo, {}]
      ] as const
      for (const [mimeType, content, size] of kinds) {
        const record = yield* read(content)
        assert.deepStrictEqual(record, { mimeType, sizeBytes: content.length, ...size, ...photo })
        assert.isTrue(Schema.is(MediaRecord)(record))
      }
    }))

  it.effect.each([1, 2] as const)(
    "finds what a HEIC keeps within its tables, in version %d of these",
    (version) =>
      Effect.gen(function*() {
        const content = make.heicInside(version, make.photo, make.xmp("<xmp:Rating>4</xmp:Rating>"))
        assert.deepStrictEqual(yield* read(content), {
          mimeType: "image/heic",
          sizeBytes: content.length,
          ...size,
          ...photo,
          rating: 4
        })
      })
  )

  it.effect("takes no orientation that is none", () =>
    Effect.gen(function*() {
      const packets = ["1.5", "0", "9", "-1"].map((value) => make.xmp(`<tiff:Orientation>${value}</tiff:Orientation>`))
      for (const xmp of packets) assert.notProperty(yield* read(make.jpeg({ xmp })), "orientation")
    }))

  it.effect("takes the rest of a photo whose IPTC claims more than it has", () =>
    Effect.gen(function*() {
      const iptc = make.join(make.iptc([25, "two"]), Uint8Array.of(0x1c, 2, 80, 0x7f, 0xff))
      const { cameraModel, keywords, problems } = yield* read(make.jpeg({ exif: make.photo, iptc }))
      assert.deepStrictEqual({ cameraModel, keywords }, { cameraModel: photo.cameraModel, keywords: ["two"] })
      assert.lengthOf(problems ?? [], 1)
      assert.match(problems?.[0] ?? "", /^IPTC: /)
    }))

  it.effect("takes what people have written from XMP and IPTC", () =>
    Effect.gen(function*() {
      const record = yield* read(make.jpeg({
        xmp: make.xmp(
          "<dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">007 &amp; &#x263A;</rdf:li></rdf:Alt></dc:title>" +
            "<dc:subject><rdf:Bag><rdf:li>one</rdf:li><rdf:li>two</rdf:li></rdf:Bag></dc:subject>" +
            "<xmp:Rating>4</xmp:Rating><exif:GPSLatitude>47,22.5N</exif:GPSLatitude>" +
            "<exif:GPSLongitude>8,32,0W</exif:GPSLongitude><photoshop:DateCreated>2024-05</photoshop:DateCreated>"
        ),
        iptc: make.iptc([25, "two"], [25, "drei"], [120, "Grüße"], [80, "Zoë"], [55, "20240501"])
      }))
      const { mimeType: _, sizeBytes: __, ...rest } = record
      assert.deepStrictEqual(rest, {
        ...size,
        takenAt: "2024-05",
        latitude: 47.375,
        longitude: -8.533333333,
        title: "007 & ☺",
        description: "Grüße",
        artists: ["Zoë"],
        keywords: ["one", "two", "drei"],
        rating: 4
      })
    }))

  it.effect("takes what people have written from the texts of a PNG, and XMP that is among them", () =>
    Effect.gen(function*() {
      const content = make.png(
        make.chunk("tEXt", "Title\0Caf\xe9"),
        make.chunk("iTXt", make.join("Description\0\0\0de\0Beschreibung\0", Buffer.from("☺ gut"))),
        make.chunk("tEXt", "Author\0Zo\xeb"),
        make.chunk("tEXt", "Creation Time\x002024:05:01 12:30:00"),
        make.chunk("iTXt", "Copyright\0\x01\0\0\0compressed"),
        make.chunk("tEXt", "Software"),
        make.chunk("iTXt", make.join("XML:com.adobe.xmp\0\0\0\0\0", make.xmp("<xmp:Rating>4</xmp:Rating>")))
      )
      assert.deepStrictEqual(yield* read(content), {
        mimeType: "image/png",
        sizeBytes: content.length,
        ...size,
        takenAt: "2024-05-01T12:30:00",
        title: "Café",
        description: "☺ gut",
        artists: ["Zoë"],
        rating: 4,
        problems: [tooLarge]
      })
    }))

  it.effect("takes the size of a JPEG XL as it is written, and of a JPEG 2000 that has no boxes", () =>
    Effect.gen(function*() {
      const sizes = [
        // 64 x 40 in eights, 501 x 333 in two sizes, and 1600 x 900 as 16:9.
        [make.join("\xff\n", Uint8Array.of(0x09, 0x0e, 0, 0)), 64, 40],
        [make.join("\xff\n", Uint8Array.of(0x60, 0x0a, 0xe8, 0x0f)), 501, 333],
        [make.join("\xff\n", Uint8Array.of(0x1a, 0x1c, 0x05, 0)), 1600, 900],
        [make.join("\xff\x4f\xff\x51\0\0\0\0", ...[311, 213, 10, 10].map(make.be32)), 301, 203]
      ] as const
      for (const [content, width, height] of sizes) {
        assert.deepInclude(yield* read(content), { width, height })
      }
    }))

  it.effect("takes the texts of a GIF, and what programs keep in it", () =>
    Effect.gen(function*() {
      const comment = make.join("!\xfe\x06A hill\0")
      const content = make.gif(comment, make.gifBlock("MGKIPTC0000", make.iptc([25, "a".repeat(300)])))
      assert.deepInclude(yield* read(content), { ...size, description: "A hill", keywords: ["a".repeat(300)] })
    }))

  it.effect("takes what XMP has in attributes and as it stands", () =>
    Effect.gen(function*() {
      const { rating, takenAt, title } = yield* read(make.jpeg({
        xmp: make.xmp(
          "<rdf:Description xmp:Rating='3' photoshop:DateCreated=\"2024-05-01T12:30+0200\"/>" +
            "<dc:title><![CDATA[a &amp; <b>]]></dc:title>"
        )
      }))
      assert.deepStrictEqual({ rating, takenAt, title }, {
        rating: 3,
        takenAt: "2024-05-01T12:30+02:00",
        title: "a &amp; <b>"
      })
    }))

  it.effect("goes by what prefixes of XMP stand for, whatever they are", () =>
    Effect.gen(function*() {
      const rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
      const packet = (inner: string) =>
        `<m:xapmeta xmlns:m="adobe:ns:meta/"><r:RDF xmlns:r="${rdf}" xmlns:d='http://purl.org/dc/elements/1.1/'>${inner}` +
        "</r:RDF></m:xapmeta>"
      const inner =
        "<r:Description xmlns:xap=\"http://ns.adobe.com/xap/1.0/\" xap:Rating=\"4\" xap:CreatorTool='Bridge'>" +
        "<d:title><r:Alt><r:li xml:lang='de'>Titel</r:li><r:li xml:lang='x-default'>Title</r:li></r:Alt></d:title>" +
        "<subject xmlns='http://purl.org/dc/elements/1.1/'><r:Bag><r:li>one</r:li><r:li>two</r:li></r:Bag></subject>" +
        "<d:creator><r:Seq><r:li>Zoë</r:li></r:Seq></d:creator></r:Description>"
      const told = { rating: 4, software: "Bridge", title: "Title", keywords: ["one", "two"], artists: ["Zoë"] }
      const { mimeType: _, sizeBytes: __, ...record } = yield* read(make.jpeg({ xmp: Buffer.from(packet(inner)) }))
      assert.deepStrictEqual(record, { ...size, ...told })
      // A prefix that stands for something else is something else.
      const other = "<r:Description xmlns:dc='urn:other' dc:title='no' xmlns:xmp='urn:more/' xmp:Rating='3'/>"
      const { mimeType: ___, sizeBytes: ____, ...none } = yield* read(make.jpeg({ xmp: Buffer.from(packet(other)) }))
      assert.deepStrictEqual(none, size)
    }))

  it.effect("reads XMP in UTF-16 as well, with a mark of the order of bytes and without", () =>
    Effect.gen(function*() {
      const packet = make.xmp("<dc:title>Zoë ☺</dc:title>").toString()
      for (const text of [packet, `\ufeff${packet}`]) {
        const little = Buffer.from(text, "utf16le")
        for (const bytes of [little, Buffer.from(little).swap16()]) {
          const content = make.tiff({ first: [{ tag: 0x2bc, type: 1, count: bytes.length, value: bytes }] })
          assert.strictEqual((yield* read(content)).title, "Zoë ☺")
        }
      }
    }))

  it.effect("tells that XMP ends too soon, and what was before that", () =>
    Effect.gen(function*() {
      const xmp = make.xmp("<dc:title>One</dc:title><xmp:Rating>4</xmp:Rating>")
      const { problems, title } = yield* read(make.jpeg({ xmp: xmp.subarray(0, xmp.indexOf("xmp:Rating")) }))
      assert.deepStrictEqual({ problems, title }, { problems: ["XMP: it ends within a tag"], title: "One" })
    }))

  it.effect("takes a property of XMP that stands behind many others", () =>
    Effect.gen(function*() {
      const ancestors = `<photoshop:DocumentAncestors>${
        "<rdf:li>a</rdf:li>".repeat(3000)
      }</photoshop:DocumentAncestors>`
      const { title } = yield* read(make.jpeg({ xmp: make.xmp(`${ancestors}<dc:title>Title</dc:title>`) }))
      assert.strictEqual(title, "Title")
    }))

  it.effect("reads IPTC that is no UTF-8, and its time", () =>
    Effect.gen(function*() {
      const iptc = make.join(
        make.iptc([55, "20240501"], [60, "123000+0200"]),
        Uint8Array.of(0x1c, 2, 120, 0, 5),
        "Gr\xfc\xdfe"
      )
      const { description, takenAt } = yield* read(make.jpeg({ iptc }))
      assert.deepStrictEqual({ description, takenAt }, { description: "Grüße", takenAt: "2024-05-01T12:30:00+02:00" })
    }))

  it.effect("knows the size of a WebP that has but a picture, lossy or not", () =>
    Effect.gen(function*() {
      const lossy = make.join("\x10\0\0\x9d\x01\x2a", make.le16(640 | 0x4000), make.le16(480))
      const lossless = make.join("\x2f", make.le32(639 | 479 << 14), "\0\0\0\0\0")
      for (const content of [make.plainWebp("VP8 ", lossy), make.plainWebp("VP8L", lossless)]) {
        assert.deepStrictEqual(yield* read(content), { mimeType: "image/webp", sizeBytes: content.length, ...size })
      }
    }))

  it.effect("reads TIFF of the other byte order", () =>
    Effect.gen(function*() {
      const { be16, be32, join } = make
      const content = join(
        join("MM\0*", be32(8), be16(3)),
        join(be16(0x100), be16(3), be32(1), be16(640), be16(0)),
        join(be16(0x101), be16(4), be32(1), be32(480)),
        join(be16(0x10f), be16(2), be32(6), be32(50)),
        join(be32(0), "Canon\0")
      )
      const record = { mimeType: "image/tiff", sizeBytes: content.length, ...size, cameraMake: "Canon" }
      assert.deepStrictEqual(yield* read(content), record)
    }))

  it.effect("knows the size of the picture that a small one comes before", () =>
    Effect.gen(function*() {
      const picture = (start: number, isSmall: 0 | 1, width: number, ...tags: ReadonlyArray<make.Tag>) =>
        make.directory(
          start,
          [make.long(0xfe, isSmall), make.long(0x100, width), make.long(0x101, width * 3 / 4)].concat(tags)
        )
      const [first, second, third] = [8, 70, 112]
      const others = make.join(make.le32(second), make.le32(third))
      const content = make.join(
        make.join("II*\0", make.le32(first)),
        picture(first, 1, 160, { tag: 0x14a, type: 4, count: 2, value: others }),
        picture(second, 1, 320),
        picture(third, 0, 640)
      )
      const { height, width } = yield* read(content)
      assert.deepStrictEqual({ height, width }, size)
    }))

  it.effect("gives no time a zone that it has not, and none that is none", () =>
    Effect.gen(function*() {
      const taken = (time: string, zone = "") =>
        Effect.map(
          read(make.jpeg({ exif: make.tiff({ exif: [make.ascii(0x9003, time), make.ascii(0x9011, zone)] }) })),
          ({ takenAt }) => takenAt
        )
      assert.strictEqual(yield* taken("2024:05:01 12:30:00"), "2024-05-01T12:30:00")
      assert.strictEqual(yield* taken("2024:05:01 12:30:00", "+2"), "2024-05-01T12:30:00")
      assert.strictEqual(yield* taken("2024:02:29 12:30:00", "-09:30"), "2024-02-29T12:30:00-09:30")
      for (const time of ["2023:02:29 12:30:00", "0000:00:00 00:00:00", "    :  :     :  :  ", "2024:05:01 24:00:00"]) {
        assert.isUndefined(yield* taken(time, "+02:00"))
      }
    }))

  it.effect("reads sounds", () =>
    Effect.gen(function*() {
      const { bitrate: _, ...sound } = yield* read(make.wav("Silence"))
      assert.deepInclude(sound, {
        mimeType: "audio/wav",
        title: "Silence",
        duration: 1,
        audioCodec: "PCM",
        sampleRate: 8000,
        channels: 1,
        bitsPerSample: 16,
        lossless: true
      })
      const tagged = yield* read(make.mp3(["TIT2", "Sång"], ["TPE1", "A"], ["TRCK", "3/9"], ["TDRC", "2001-05"]))
      assert.deepInclude(tagged, {
        mimeType: "audio/mpeg",
        title: "Sång",
        artists: ["A"],
        track: 3,
        trackCount: 9,
        releasedAt: "2001-05",
        sampleRate: 44_100,
        bitrate: 128_000
      })
      assert.deepInclude(yield* read(make.mp3()), { mimeType: "audio/mpeg", lossless: false })
    }))

  it.effect("tells what a sound is that comes behind tags, whatever it is", () =>
    Effect.gen(function*() {
      const before = make.join(make.id3(["TIT2", "Before"]), make.id3(["TPE1", "A"]))
      const sounds = [
        ["audio/flac", make.flac([["TITLE", "Song"]]), { sampleRate: 44_100, channels: 2, duration: 1, title: "Song" }],
        ["audio/aac", make.adts(), { sampleRate: 44_100, channels: 2, title: "Before", artists: ["A"] }],
        ["audio/mpeg", make.mp3(), { sampleRate: 44_100, bitrate: 128_000, title: "Before", artists: ["A"] }],
        ["audio/mpeg", make.join(new Uint8Array(100), make.mp3()), { sampleRate: 44_100, title: "Before" }],
        ["audio/wav", make.wav("Silence"), {
          sampleRate: 8000,
          title: "Silence",
          problems: ["the tag before it was left out"]
        }]
      ] as const
      for (const [mimeType, sound, told] of sounds) {
        const content = make.join(before, sound)
        const record = yield* read(content)
        assert.deepInclude(record, { mimeType, sizeBytes: content.length, ...told })
      }
      assert.strictEqual((yield* read(make.adts())).mimeType, "audio/aac")
    }))

  it.effect("gives as many stars as programs mean by their numbers", () =>
    Effect.gen(function*() {
      const stars = (number: number) =>
        Effect.map(read(make.mp3(["POPM", make.join("a@b\0", Uint8Array.of(number, 0, 0, 0, 0))])), ({ rating }) =>
          rating)
      const numbers = [0, 1, 31, 32, 64, 95, 96, 128, 159, 160, 196, 223, 224, 255]
      assert.deepStrictEqual(yield* Effect.forEach(numbers, stars), [undefined, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5])
    }))

  it.effect("takes what people have written of a film or sound wherever programs write it", () =>
    Effect.gen(function*() {
      const tag = (name: string, value: string) =>
        make.element(0x67c8, make.element(0x45a3, name), make.element(0x4487, Buffer.from(value)))
      const tags = [["ALBUM", "Record"], ["ALBUM_ARTIST", "Band"], ["COMMENT", "Live"], ["COPYRIGHT", "C"], [
        "DATE",
        "2001"
      ]]
      const matroska = make.webm(
        make.element(0x1254c367, make.element(0x7373, ...tags.map(([name = "", value = ""]) => tag(name, value))))
      )
      const told = { album: "Record", albumArtist: "Band", description: "Live", copyright: "C", releasedAt: "2001" }
      assert.deepInclude(yield* read(matroska), told)
      const user = [["ART", "Zo"], ["alb", "Record"], ["cmt", "Live"], ["cpy", "C"], ["gen", "Polka"], ["day", "2001"]]
      const film = make.playable(
        "qt  ",
        [1, 1],
        ...user.map(([name = "", value = ""]) => make.quickTimeText(`\xa9${name}`, value))
      )
      const { albumArtist: _, ...rest } = told
      assert.deepInclude(yield* read(film), { ...rest, artists: ["Zo"], genres: ["Polka"] })
      // Neither of these says how it is encoded.
      for (const title of ["S\xe5ng", Buffer.from("Sång").toString("latin1")]) {
        assert.strictEqual((yield* read(make.wav(title))).title, "Sång")
      }
    }))

  it.effect("takes no comment that iTunes has measured for what somebody has written", () =>
    Effect.gen(function*() {
      const comment = (name: string, value: string) => ["COMM", make.join(`\x03eng${name}\0${value}`)] as const
      const measured = [
        comment("iTunNORM", " 00000A2C 00000B1D"),
        comment("iTunPGAP", "0"),
        comment("iTunSMPB", " 0 0")
      ]
      const described = (...comments: ReadonlyArray<ReturnType<typeof comment>>) =>
        Effect.map(read(make.mp3(["TIT2", "T"], ...measured, ...comments)), ({ description }) => description)
      assert.strictEqual(yield* described(), undefined)
      assert.strictEqual(yield* described(comment("", "Live")), "Live")
      assert.strictEqual(yield* described(comment("Other", "Named"), comment("", "Live")), "Live")
      assert.strictEqual(yield* described(comment("Other", "Named")), "Named")
    }))

  it.effect("takes of a text what stands before its first zero", () =>
    Effect.gen(function*() {
      const exif = make.tiff({
        first: [
          make.ascii(0x010f, "ABC\0junk"),
          make.ascii(0x0110, "\0junk"),
          make.ascii(0x0131, " a \0\0"),
          make.ascii(0x8298, "Photographer \0Editor")
        ]
      })
      const { mimeType: _, sizeBytes: __, ...record } = yield* read(make.jpeg({ exif }))
      assert.deepStrictEqual(record, {
        ...size,
        cameraMake: "ABC",
        software: "a",
        // Both are in one field.
        copyright: "Photographer\nEditor"
      })
    }))

  it.effect("tells no time of a film from before there were any", () =>
    Effect.gen(function*() {
      const since1904 = (seconds: number) => {
        const film = Buffer.from(make.film())
        film.writeUInt32BE(seconds, film.indexOf("mvhd") + 8)
        return Effect.map(read(film), ({ encodedAt }) => encodedAt)
      }
      const until1970 = 2_082_844_800
      for (const seconds of [0, 1, 694_224_000, until1970]) assert.isUndefined(yield* since1904(seconds))
      assert.strictEqual(yield* since1904(until1970 + 1), "1970-01-01T00:00:01Z")
    }))

  it.effect("reads raw photos that are TIFF but for their head, and TIFF of wide offsets", () =>
    Effect.gen(function*() {
      const photo = Buffer.from(make.tiff({
        first: [
          make.short(4, 10),
          make.short(5, 20),
          make.short(6, 490),
          make.short(7, 660),
          make.ascii(0x010f, "Maker")
        ]
      }))
      const marked = (mark: string) => make.join(mark, photo.subarray(4))
      const told = (mimeType: string) => ({ mimeType, cameraMake: "Maker" })
      assert.deepInclude(yield* read(marked("IIU\0")), { ...told("image/x-panasonic-rw2"), ...size })
      for (const mark of ["IIRO", "IIRS"]) assert.deepInclude(yield* read(marked(mark)), told("image/x-olympus-orf"))
      assert.deepInclude(yield* read(make.bigTiff("Maker of big ones")), { cameraMake: "Maker of big ones", ...size })
    }))

  it.effect("knows that the first picture of a CR2 is a small one", () =>
    Effect.gen(function*() {
      const exif = [make.short(0xa002, 640), make.short(0xa003, 480)]
      const photo = Buffer.from(make.tiff({ first: [make.short(0x100, 160), make.short(0x101, 120)], exif }))
      const { height, width } = yield* read(photo)
      assert.deepStrictEqual({ height, width }, { height: 120, width: 160 })
      // Its head is longer by what tells that it is one.
      const moved = make.tiff({ first: [make.short(0x100, 160), make.short(0x101, 120)], exif }, "CR\x02\0\0\0\0\0")
      const raw = yield* read(moved)
      assert.deepStrictEqual({ height: raw.height, width: raw.width }, { height: 480, width: 640 })
    }))

  it.effect("reads where, when and how a film was taken", () =>
    Effect.gen(function*() {
      const record = yield* read(make.mov())
      assert.deepInclude(record, {
        mimeType: "video/quicktime",
        width: 1920,
        height: 1080,
        orientation: 6,
        takenAt: "2024-05-01T12:30:00+02:00",
        cameraMake: "Apple",
        latitude: 47.375,
        longitude: -8.5333,
        altitude: 408,
        duration: 4
      })
    }))

  const playable = {
    width: 352,
    height: 288,
    orientation: 1,
    title: "A film",
    duration: 3.003,
    audioCodec: "MPEG-4/AAC",
    videoCodec: "avc1",
    bitrate: 34_453.125,
    sampleRate: 44_100,
    channels: 2,
    bitsPerSample: 16,
    lossless: false,
    frameRate: 30_000 / 1001,
    displayWidth: 512,
    displayHeight: 288
  }

  it.effect("reads the same of the streams of a film, whether it is MP4 or QuickTime", () =>
    Effect.gen(function*() {
      for (const [brand, mimeType] of [["isom", "video/mp4"], ["qt  ", "video/quicktime"]] as const) {
        const { container: _, sizeBytes: __, ...record } = yield* read(make.playable(brand, [16, 11]))
        assert.deepStrictEqual(record, { mimeType, ...playable })
      }
    }))

  it.effect("tells how wide a film is seen only where its pixels are not square", () =>
    Effect.gen(function*() {
      const seen = (across: number, down: number) =>
        Effect.map(read(make.playable("isom", [across, down])), (film) => [film.displayWidth, film.displayHeight])
      assert.deepStrictEqual(yield* seen(1, 1), [undefined, undefined])
      assert.deepStrictEqual(yield* seen(0, 0), [undefined, undefined])
      assert.deepStrictEqual(yield* seen(1, 2), [176, 288])
    }))

  it.effect("keeps of a film what could be read, whichever of its boxes is broken, and tells that", () =>
    Effect.gen(function*() {
      const whole = Buffer.from(make.playable("isom", [16, 11]))
      const broken = (type: string, length: number) => {
        const bytes = Buffer.from(whole)
        bytes.writeUInt32BE(length, bytes.indexOf(type) - 4)
        return bytes
      }
      const cut = yield* read(whole.subarray(0, whole.length - 1))
      assert.deepInclude(cut, { ...playable, problems: ["mdat ends before what it says it has"] })
      // Behind a box whose length is wrong is found what is next.
      for (const type of ["ftyp", "mvhd", "trak", "tkhd", "mdia", "mdhd", "hdlr", "stsd", "stts", "stsz", "udta"]) {
        for (const length of [0, 4, 2 ** 30]) {
          const { problems, ...film } = yield* read(broken(type, length))
          const isLast = type === "stsz" || type === "udta"
          const told = isLast ? { mimeType: "video/mp4", videoCodec: "avc1", audioCodec: "MPEG-4/AAC" } : playable
          assert.deepInclude(film, told, `${type} of ${length}`)
          assert.isDefined(problems, `${type} of ${length}`)
        }
      }
      // What is in a box may be broken as well.
      for (const type of ["tkhd", "mdhd", "stsd", "stts"]) {
        const bytes = Buffer.from(whole)
        bytes.fill(0xff, bytes.indexOf(type) + 4, bytes.indexOf(type) + 16)
        const { audioCodec, problems, title } = yield* read(bytes)
        assert.deepInclude({ audioCodec, title }, { audioCodec: "MPEG-4/AAC", title: "A film" }, type)
        assert.match(problems?.[0] ?? "", new RegExp(`^${type}: `))
      }
    }))

  it.effect("keeps of a sound what stands before what is broken, and tells that", () =>
    Effect.gen(function*() {
      const duration = (...bytes: ReadonlyArray<number>) =>
        make.element(0x1549a966, make.element(0x4489, Uint8Array.of(...bytes)))
      const opus = {
        mimeType: "audio/webm",
        container: "EBML/webm",
        audioCodec: "OPUS",
        sampleRate: 48_000,
        channels: 2
      }
      const told = Effect.fnUntraced(function*(content: Uint8Array) {
        const { sizeBytes: _, ...record } = yield* read(content)
        return record
      })
      assert.deepStrictEqual(yield* told(make.webm()), opus)
      assert.deepStrictEqual(yield* told(make.webm(duration(0x44, 0x7a, 0, 0))), { ...opus, duration: 1 })
      // Nor do elements behind the one that is broken get lost.
      const title = make.element(
        0x1254c367,
        make.element(0x7373, make.element(0x67c8, make.element(0x45a3, "ALBUM"), make.element(0x4487, "Record")))
      )
      const { problems, ...record } = yield* told(make.webm(duration(0x44, 0x7a, 0), title))
      // What else there is, is not known.
      assert.deepStrictEqual(record, { ...opus, mimeType: "video/webm", album: "Record" })
      assert.deepStrictEqual(problems, ["Invalid IEEE-754 float length: 3"])
    }))

  it.effect("knows which way up a film is", () =>
    Effect.gen(function*() {
      const turns = [[1, 0, 0, 1], [-1, 0, 0, -1], [0, 1, -1, 0], [0, -1, 1, 0], [2, 0, 0, 1]] as const
      const films = yield* Effect.forEach(turns, ([a, b, c, d]) => read(make.turnedFilm(a, b, c, d)))
      assert.deepStrictEqual(films.map(({ orientation }) => orientation), [1, 3, 6, 8, undefined])
    }))

  it.effect("reads boxes whose length takes eight bytes, and what stands behind them", () =>
    Effect.gen(function*() {
      const film = Buffer.from(make.film(make.quickTimeText("\xa9nam", "A film")))
      const long = (type: string, content: Uint8Array) =>
        make.join(make.be32(1), type, make.be32(0), make.be32(16 + content.length), content)
      const moov = film.indexOf("moov")
      const { title } = yield* read(make.join(
        film.subarray(0, moov - 4),
        long("mdat", new Uint8Array(5)),
        long("moov", film.subarray(moov + 4))
      ))
      assert.strictEqual(title, "A film")
      // One of the time before brands may begin with such a box.
      const old = make.join(long("mdat", new Uint8Array(5)), film.subarray(moov - 4))
      assert.deepInclude(yield* read(old), { mimeType: "video/quicktime", title: "A film" })
    }))

  it.effect("reads what QuickTime and 3GPP have of it", () =>
    Effect.gen(function*() {
      const place = make.join(make.be32(0), "\x15\xc7Zurich\0\0", make.be32(-8.5 * 65_536), make.be32(47.375 * 65_536))
      const { mimeType: _, sizeBytes: __, ...fields } = yield* read(make.film(
        make.box("loci", place, make.be32(408 * 65_536), "\0\0"),
        make.quickTimeText("\xa9nam", "A film"),
        make.quickTimeText("\xa9mak", "Canon"),
        make.quickTimeText("\xa9mod", "EOS"),
        make.quickTimeText("\xa9swr", "1.8")
      ))
      assert.deepInclude(fields, {
        title: "A film",
        cameraMake: "Canon",
        cameraModel: "EOS",
        software: "1.8",
        latitude: 47.375,
        longitude: -8.5,
        altitude: 408
      })
      const { latitude, longitude } = yield* read(make.film(make.quickTimeText("\xa9xyz", "-33.5000+151.2500/")))
      assert.deepStrictEqual([latitude, longitude], [-33.5, 151.25])
      assert.isUndefined((yield* read(make.film(make.quickTimeText("\xa9xyz", "+99.5+008/")))).latitude)
    }))

  it.effect("gives all tags where these are asked for", () =>
    Effect.gen(function*() {
      const { raw } = yield* read(
        make.jpeg({ exif: make.photo, xmp: make.xmp("<dc:title>\u001b[31m</dc:title>") }),
        true
      )
      assert.include(JSON.stringify(raw?.["ifd0"]), "\"Make\":\"Canon\"")
      assert.include(JSON.stringify(raw?.["gps"]), "\"GPSAltitudeRef\":[1]")
      assert.deepStrictEqual(raw?.["xmp"], { "dc:title": ["\u001b[31m"] })
      assert.isUndefined((yield* read(make.jpeg({ exif: make.photo }))).raw)
    }))

  it.effect("gives values of EXIF by their types, and of IPTC as they are", () =>
    Effect.gen(function*() {
      const tag = (tag: number, type: number, count: number, bytes: ReadonlyArray<number>): make.Tag => ({
        tag,
        type,
        count,
        value: Uint8Array.from(bytes)
      })
      const first = [
        tag(0xfe0e, 1, 2, [1, 255]),
        tag(0xfe01, 2, 6, [97, 0, 98, 32, 0, 0]),
        tag(0xfe02, 3, 2, [1, 0, 255, 255]),
        tag(0xfe03, 4, 1, [255, 255, 255, 255]),
        tag(0xfe04, 5, 2, [1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        tag(0xfe06, 6, 2, [1, 255]),
        tag(0xfe07, 7, 1, [3]),
        tag(0xfe08, 8, 1, [254, 255]),
        tag(0xfe09, 9, 1, [254, 255, 255, 255]),
        tag(0xfe0a, 10, 1, [254, 255, 255, 255, 4, 0, 0, 0]),
        tag(0xfe0b, 11, 1, [0, 0, 192, 63]),
        tag(0xfe0c, 12, 1, [0, 0, 0, 0, 0, 0, 248, 63]),
        tag(0xfe0d, 7, 17, Array.from({ length: 17 }, () => 1))
      ]
      const { raw } = yield* read(
        make.jpeg({ exif: make.tiff({ first }), iptc: make.iptc([10, "8"], [25, "a"]) }),
        true
      )
      assert.deepStrictEqual(raw?.["ifd0"], {
        0xfe0e: [1, 255],
        0xfe01: "a\0b",
        0xfe02: [1, 65_535],
        0xfe03: 4_294_967_295,
        0xfe04: [0.5],
        0xfe06: [1, -1],
        0xfe07: 3,
        0xfe08: -2,
        0xfe09: -2,
        0xfe0a: -0.5,
        0xfe0b: 1.5,
        0xfe0c: 1.5,
        0xfe0d: { bytes: 17 }
      })
      assert.deepStrictEqual(raw?.["iptc"], { Urgency: "8", Keywords: "a" })
    }))

  it.effect("skips what is of no kind that it knows, whatever it begins like", () =>
    Effect.gen(function*() {
      for (const content of ["", "a", "plain text", "\xff\xfe\0U\0T\0F", "%PDF-1.7", "FLV\x01", "RIFF\0\0\0\0AVI "]) {
        assert.strictEqual((yield* failure(make.join(content))).code, "Skipped", content)
      }
      const names = [["%PDF-1.7", "PDF"], ["FLV\x01", "Flash video"], ["8BPS\0\x01", "PSD"], [
        "\0\0\0\x18ftypcrx ",
        "CR3"
      ]] as const
      for (const [content, name] of names) {
        const { message } = yield* failure(make.join(content))
        assert.strictEqual(message, `Skipped: it is ${name}, which no metadata is read of`)
      }
    }))

  it.effect("tells what is malformed from what is of another kind", () =>
    Effect.gen(function*() {
      for (
        const content of [
          "\xff\xd8\xff\xe0",
          "\x89PNG\r\n\x1a\n",
          "II*\0\xff\xff\xff\xff",
          "fLaC",
          "\0\0\0\x0cftypheic"
        ]
      ) {
        const { code, message } = yield* failure(make.join(content))
        assert.strictEqual(code, "Malformed", content)
        assert.match(message, /^Could not read metadata of "\/file": /)
      }
    }))

  it.effect("keeps what stands before what is broken", () =>
    Effect.gen(function*() {
      const whole = make.jpeg({ exif: make.photo })
      const { problems, sizeBytes: _, ...record } = yield* read(whole.subarray(0, whole.length - 10))
      assert.deepStrictEqual(record, { mimeType: "image/jpeg", ...photo })
      assert.deepStrictEqual(problems, ["it ends before what it says it has"])
    }))
})

describe("hostile files", () => {
  const jpegOf = (first: ReadonlyArray<make.Tag>) => make.jpeg({ exif: make.tiff({ first }) })
  const sound = make.ascii(0x010f, "Canon")

  it.effect("are not believed how much they have", () =>
    Effect.gen(function*() {
      const claims = [
        { tag: 0x0110, type: 2, count: 2 ** 31, value: 8 },
        { tag: 0x0110, type: 5, count: 2 ** 32 - 1, value: 8 },
        { tag: 0x0110, type: 2, count: 100, value: 2 ** 32 - 1 },
        { tag: 0x0110, type: 99, count: 100, value: 8 }
      ]
      for (const claim of claims) {
        const { cameraMake, cameraModel } = yield* read(jpegOf([claim, sound]))
        assert.deepStrictEqual([cameraMake, cameraModel], ["Canon", undefined])
      }
      const many = make.join("II*\0", make.le32(8), make.directory(8, [sound], 65_535))
      const { cameraMake, problems } = yield* read(make.jpeg({ exif: many }))
      assert.strictEqual(cameraMake, "Canon")
      assert.deepStrictEqual(problems, ["the first directory claims 65535 entries"])
    }))

  it.effect("may lead in circles, or say the same thing many times", () =>
    Effect.gen(function*() {
      const circle = yield* read(jpegOf([sound, make.long(0x8769, 8), make.long(0x8825, 8)]))
      assert.strictEqual(circle.cameraMake, "Canon")
      const value = { type: 3, count: 30_000, value: 8 }
      const same = make.directory(8, Array.from({ length: 500 }, (_, tag) => ({ tag: 0x1000 + tag, ...value })))
      const world = new World(make.join("II*\0", make.le32(8), same, new Uint8Array(70_000)))
      const { problems } = yield* world.read()
      assert.deepStrictEqual(problems, ["the values of the first directory are larger than any camera's"])
      assert.isAtMost(world.bytesRead, 2 ** 17 + 2 ** 16)
    }))

  it.effect("have packets that are read in time, and change nothing but their record", () =>
    Effect.gen(function*() {
      const packets = [
        "<a:b>".repeat(10_000),
        "<__proto__:polluted>yes</__proto__:polluted><constructor:keys>yes</constructor:keys>",
        "<dc:title a=\"".repeat(4000),
        "<dc:title>&a;&#1114112;&#xd800;</dc:title>",
        "<![CDATA[".repeat(6000),
        "<!--".repeat(10_000)
      ]
      for (const packet of packets) yield* read(make.jpeg({ xmp: Buffer.from(packet) }), true)
      assert.isFalse("polluted" in {})
      assert.strictEqual(typeof Object.keys, "function")
    }))

  it.effect("have as much IPTC as they like", () =>
    Effect.gen(function*() {
      const value = Buffer.concat(Array.from({ length: 2 ** 17 }, () => make.iptc([25, "a"])))
      const { keywords } = yield* read(make.tiff({ first: [{ tag: 0x83bb, type: 7, count: value.length, value }] }))
      assert.deepStrictEqual(keywords, ["a"])
    }))

  it.effect("of 2 GiB cost as much as is looked at of them", () =>
    Effect.gen(function*() {
      const huge = 2 ** 31
      const claims = [
        make.join(make.box("ftyp", "isom", make.be32(0)), make.be32(huge - 16), "moov", make.be32(huge - 24), "udta"),
        make.join(make.box("ftyp", "heic", make.be32(0)), make.be32(huge - 16), "meta", make.be32(0)),
        make.join("\x89PNG\r\n\x1a\n", make.be32(huge - 100), "eXIf"),
        make.join("ID3\x04\0\0\x7f\x7f\x7f\x7f", "TIT2\x7f\x7f\x7f\x7f\0\0"),
        make.join("\x1a\x45\xdf\xa3\x08\0\0\0\x7f\xff\xff\xff"),
        make.join("RIFF", make.le32(huge), "WAVE", "LIST", make.le32(huge - 100), "INFO", "INAM", make.le32(huge - 200))
      ]
      for (const claim of claims) {
        const world = new World(claim, huge)
        yield* Effect.result(world.read())
        assert.isAtMost(world.bytesRead, 2 ** 17)
      }
    }))

  it.effect("may say that a piece is as large as it can be", () =>
    Effect.gen(function*() {
      const world = new World(make.join("fLaC\x84\xff\xff\xff"), 2 ** 31)
      yield* Effect.result(world.read())
      assert.isAtMost(world.bytesRead, mostBytes)
    }))

  it.effect("may be compressed a thousand times", () =>
    Effect.gen(function*() {
      const zeroes = new Uint8Array(2 ** 24)
      const pictures = [
        make.png(make.compressedText("Raw profile type exif", zeroes)),
        make.jpegXl(make.box("brob", "xml ", brotliCompressSync(zeroes)))
      ]
      for (const content of pictures) assert.deepStrictEqual((yield* read(content)).problems, [tooLarge])
    }))

  it.effect("nest as deep as they like", () =>
    Effect.gen(function*() {
      let inner = make.box("udta")
      for (let depth = 0; depth < 4000; depth++) inner = make.box("udta", inner)
      const world = new World(make.join(make.box("ftyp", "isom", make.be32(0)), make.box("moov", inner)))
      yield* Effect.result(world.read())
      assert.isAtMost(world.bytesRead, mostBytes)
    }))

  it.effect("that would have to be read in whole are given up, with what was found until then", () =>
    Effect.gen(function*() {
      // Each of the boxes is looked at, and there are more than may be.
      const boxes = Array.from({ length: 10_000 }, () => make.box("free", new Uint8Array(6000)))
      const { bytesRead, code } = yield* failure(make.join(make.box("ftyp", "isom", make.be32(0)), ...boxes))
      assert.strictEqual(code, "TooMuch")
      assert.isAtMost(bytesRead, mostBytes)

      const { duration, problems } = yield* read(make.join(make.mov(), ...boxes))
      assert.strictEqual(duration, 4)
      assert.deepStrictEqual(problems, [`more than ${mostBytes} bytes of it would have to be read`])
    }))
})
