import { assert, describe, it } from "@effect/vitest"
import type { MediaRecord } from "@fanout/ops/MediaRecord"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as make from "./mediaBytes.ts"
import * as MediaCorpus from "./mediaCorpus.ts"

/** A file, what it tells of its streams, and its problems. */
type Case = readonly [name: string, bytes: Uint8Array, told: Told]
type Told = { readonly [K in keyof MediaRecord]?: MediaRecord[K] | undefined }

const recordOf = (content: Uint8Array) =>
  Effect.map(
    MediaCorpus.read(content),
    (result): Partial<MediaRecord> => Result.isSuccess(result) ? result.success.record : {}
  )

const rounded = (value: unknown) => typeof value === "number" ? Number(value.toPrecision(12)) : value

const isTold = ([, content, told]: Case) =>
  Effect.gen(function*() {
    const record: Partial<MediaRecord> = { ...yield* recordOf(content) }
    const fields = Object.fromEntries(Object.keys(told).map((field) => [field, rounded(Reflect.get(record, field))]))
    assert.deepStrictEqual(
      fields,
      Object.fromEntries(Object.entries(told).map(([field, value]) => [field, rounded(value)]))
    )
    if (!("problems" in told)) assert.deepStrictEqual(record.problems ?? [], [])
  })

// --- MP4 and QuickTime ----------------------------------------------------------------------------------------------

const { be32, box, join } = make

const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)

/** Configuration of a codec within descriptors, whose lengths may take more bytes than they need. */
const esds = (objectType: number, ...configuration: ReadonlyArray<number>) => {
  const tagged = (tag: number, content: Uint8Array) => join(bytes(tag, 0x80, 0x80, content.length), content)
  const decoder = join(bytes(objectType, 0x15), new Uint8Array(11), tagged(5, bytes(...configuration)))
  return box("esds", be32(0), tagged(3, join(bytes(0, 1, 0), tagged(4, decoder))))
}

/** Of one channel of 96,000 samples of 24 bits. */
const dfLa = box("dfLa", be32(0), be32(0x80000022), new Uint8Array(10), be32(0x17700170), new Uint8Array(20))

const alac = box(
  "alac",
  be32(0),
  be32(4096),
  bytes(0, 24, 40, 10, 14, 6, 0, 255),
  new Uint8Array(8),
  be32(192_000)
)

const stereo = { channels: 2, rate: 48_000 }

const one = (entry: Uint8Array, clockRate = 48_000) => make.soundFilm("isom", [entry, clockRate])
const quickTime = (entry: Uint8Array, clockRate = 48_000) => make.soundFilm("qt  ", [entry, clockRate])

const entries: ReadonlyArray<Case> = [
  [
    "FLAC of more than the entry has room for",
    one(make.soundEntry("fLaC", stereo, dfLa)),
    { sampleRate: 96_000, channels: 1, bitsPerSample: 24, audioCodec: "fLaC", lossless: true, duration: 2 }
  ],
  [
    "AAC of one channel",
    one(make.soundEntry("mp4a", stereo, esds(0x40, 0x12, 0x08))),
    { sampleRate: 44_100, channels: 1, audioCodec: "MPEG-4/AAC", lossless: false }
  ],
  [
    "AAC of twice the rate by replication, and of two channels by parameters",
    one(make.soundEntry("mp4a", { channels: 1, rate: 22_050 }, esds(0x40, 0xeb, 0x8a, 0x08))),
    { sampleRate: 44_100, channels: 2 }
  ],
  [
    "AAC of a rate that is written out",
    one(make.soundEntry("mp4a", stereo, esds(0x40, 0x17, 0x80, 0x00, 0x64, 0x10))),
    { sampleRate: 200, channels: 2 }
  ],
  [
    "Vorbis, whose configuration is another one",
    one(make.soundEntry("mp4a", stereo, esds(0xdd, 0x12, 0x08))),
    { sampleRate: 48_000, channels: 2 }
  ],
  [
    "AAC of QuickTime, whose configuration is in a box of its own",
    quickTime(make.soundEntry("mp4a", { ...stereo, version: 1 }, box("wave", esds(0x40, 0x12, 0x08)))),
    { sampleRate: 44_100, channels: 1 }
  ],
  [
    "ALAC of a high rate",
    one(make.soundEntry("alac", stereo, alac), 192_000),
    { sampleRate: 192_000, channels: 6, bitsPerSample: 24, audioCodec: "ALAC", lossless: true }
  ],
  [
    "Opus of six channels",
    one(make.soundEntry("Opus", stereo, box("dOps", bytes(0, 6), new Uint8Array(9)))),
    { sampleRate: 48_000, channels: 6, audioCodec: "Opus", lossless: false }
  ],
  [
    "AC-3 of six channels",
    one(make.soundEntry("ac-3", stereo, box("dac3", bytes(0x50, 0x3d, 0xc0)))),
    { sampleRate: 44_100, channels: 6, audioCodec: "AC-3", lossless: false }
  ],
  [
    "Enhanced AC-3 of six channels",
    one(make.soundEntry("ec-3", stereo, box("dec3", bytes(0x06, 0, 0x20, 0x0f, 0)))),
    { sampleRate: 48_000, channels: 6, audioCodec: "ec-3", lossless: false }
  ],
  [
    "Enhanced AC-3 with a stream that depends on it",
    one(make.soundEntry("ec-3", { channels: 8, rate: 48_000 }, box("dec3", bytes(0x06, 0, 0x20, 0x0f, 0x02, 0x02)))),
    { channels: 8 }
  ],
  [
    "True HD, whose rate has no fraction",
    one(make.soundEntry("mlpa", { channels: 8, rate: 1 }), 96_000),
    { sampleRate: 65_536, channels: 8, audioCodec: "mlpa", lossless: true }
  ],
  [
    "samples of MP4 that tell their bits",
    one(make.soundEntry("fpcm", stereo, box("pcmC", be32(0), bytes(1, 32)), box("srat", be32(0), be32(88_200)))),
    { sampleRate: 88_200, bitsPerSample: 32, lossless: true }
  ],
  [
    "samples of 24 bits of QuickTime",
    quickTime(make.soundEntry("in24", { ...stereo, version: 1 })),
    { sampleRate: 48_000, channels: 2, bitsPerSample: 24, audioCodec: "in24", lossless: true }
  ],
  [
    "samples of the second version of QuickTime",
    quickTime(make.soundEntry("lpcm", { bits: 24, channels: 8, rate: 96_000, version: 2 }), 96_000),
    { sampleRate: 96_000, channels: 8, bitsPerSample: 24, audioCodec: "lpcm", lossless: true }
  ],
  [
    "A-law of QuickTime",
    quickTime(make.soundEntry("alaw", { channels: 1, rate: 8000 }), 8000),
    { sampleRate: 8000, channels: 1, bitsPerSample: 8, audioCodec: "A-law 2:1", lossless: false }
  ],
  [
    "a coding whose name is no text",
    quickTime(make.soundEntry("ms\0\x02", { channels: 1, rate: 8000 }), 8000),
    { sampleRate: 8000, channels: 1, problems: ["stsd: FourCC contains invalid characters: 6d 73 00 02 \"ms"] }
  ],
  [
    "the first of two sounds",
    make.soundFilm("isom", [make.soundEntry("mp4a", stereo, esds(0x40, 0x11, 0x90)), 48_000], [
      make.soundEntry("ac-3", { channels: 1, rate: 44_100 }),
      44_100
    ]),
    { sampleRate: 48_000, channels: 2 }
  ],
  [
    "an entry without a rate",
    one(make.soundEntry("mp4a", { channels: 2, rate: 96_000 }), 96_000),
    { sampleRate: 96_000, channels: 2 }
  ]
]

describe("what a film tells of its sound", () => {
  it.effect.each(entries)("is that of %s", isTold)
})

// --- Sounds ---------------------------------------------------------------------------------------------------------

const { be16, id3, le16, le32, riff, riffChunk } = make

/** A file without the end of it. */
const cutAt = (length: number, content: Uint8Array) => content.subarray(0, length)

/** So many frames of layer 3, of two channels and 44,100 samples; the first one begins with this. */
const frames = (count: number, rate: 1 | 9 | 11 = 9, first: Uint8Array | string = "") => {
  const length = { 1: 104, 9: 417, 11: 626 }[rate]
  const frame = (content: Uint8Array | string) => {
    const head = join(bytes(0xff, 0xfb, rate << 4, 0), content)
    return join(head, new Uint8Array(length - head.length))
  }
  return join(frame(first), ...Array.from({ length: count - 1 }, () => frame("")))
}

/** A table of so many frames in so many bytes, as two encoders write it. */
const xing = (name: "Xing" | "Info", count: number, size: number) =>
  join(new Uint8Array(32), name, be32(3), be32(count), be32(size))
const vbri = (count: number, size: number) =>
  join(new Uint8Array(32), "VBRI", be16(1), be16(0), be16(75), be32(size), be32(count))

/** Silence in frames of the lowest rate, and more behind it. */
const silence = (table: Uint8Array | string = "") => join(frames(100, 1, table), frames(900, 11))
const silenceBytes = silence().length
const second = 44_100 / 1152

const ended = (stream: number, position: number, flags: number, content: Uint8Array | string) => {
  const packet = join(content)
  const place = join(le32(position), le32(position < 0 ? -1 : 0))
  const counts = join(le32(stream), le32(0), le32(0))
  const sizes = [...Array.from({ length: Math.floor(packet.length / 255) }, () => 255), packet.length % 255]
  return join("OggS\0", bytes(flags), place, counts, bytes(sizes.length, ...sizes), packet)
}

const vorbis = (...pages: ReadonlyArray<Uint8Array>) =>
  join(
    ended(
      7,
      0,
      2,
      join("\x01vorbis", le32(0), bytes(2), le32(44_100), le32(0), le32(320_000), le32(0), bytes(0xb8, 1))
    ),
    ended(7, 0, 0, join("\x03vorbis", le32(4), "test", le32(1), le32(7), "TITLE=A", bytes(1))),
    ...pages
  )

/** 500 x 498 pixels of 32 x 32 blocks of 16, at 25 a second, as wide as this for their height. */
const theora = (across: number, down: number, ...pages: ReadonlyArray<Uint8Array>) => {
  const u24 = (value: number) => be32(value).subarray(1)
  const pixels = join(be16(32), be16(32), u24(500), u24(498), bytes(0, 0))
  const rest = join(be32(25), be32(1), u24(across), u24(down), bytes(0), u24(900_000), be16(0x00c0))
  return join(ended(7, 0, 2, join("\x80theora", bytes(3, 2, 1), pixels, rest)), ...pages)
}

const iff = (type: string, content: Uint8Array | string) => {
  const inner = join(content)
  return join(type, be32(inner.length), inner, inner.length % 2 === 0 ? "" : "\0")
}

/** A second of AIFF-C, in one channel of 22,254.5 samples of 16 bits, of this coding. */
const aifc = (coding: string, count: number) => {
  const rate = join(be16(0x400d), be32(0xaddd0000), be32(0))
  const common = iff("COMM", join(be16(1), be32(count), be16(16), rate, coding, "\0\0"))
  const content = join("AIFC", common, iff("SSND", new Uint8Array(22_262)))
  return join("FORM", be32(content.length), content)
}

const wavOf = (tag: number, bits: number, extended: Uint8Array | string = "") =>
  riff(
    "WAVE",
    riffChunk("fmt ", join(le16(tag), le16(1), le32(8000), le32(1000 * bits), le16(bits / 8), le16(bits), extended)),
    riffChunk("data", new Uint8Array(1000 * bits))
  )

/** Eight seconds of the seventh version: frames without content. */
const musepack = (rate: number, last: number) => {
  const head = join("MP+\x07", le32(300), bytes(0, 0, 0xa0 | rate, 0x1b), new Uint8Array(8), le32(last))
  return join(head, new Uint8Array(756))
}

/** Blocks of WavPack of the same second: of two channels, one, and two. */
const wavPack = (samples: number) => {
  const block = (flags: number, content = new Uint8Array(100)) =>
    join(
      "wvpk",
      le32(24 + content.length),
      le16(0x410),
      be16(0),
      le32(samples),
      le32(0),
      le32(44_100),
      le32(flags),
      le32(0),
      content
    )
  const is44 = 9 << 23
  return join(block(0x801 | is44), block(0x005 | is44), block(0x1001 | is44))
}

/** A FLAC of 40 seconds of which there are the last frames, as ffmpeg writes them. */
const flac = join(
  "fLaC\x80\0\0\x22",
  Buffer.from("120012000028b70032390ac44370001aeaa0ece60f02c3584f6d214992bf78f452ab", "hex"),
  ...["fff8598cc5bc85", "fff8598cc5bd82", "fff8798cc5be0e9f18"].flatMap((head) => [
    Buffer.from(head, "hex"),
    new Uint8Array(1000)
  ])
)

/** Three seconds of WavPack, in blocks of a second. */
const longWavPack = join(...[0, 1, 2].map((index) => {
  const place = join(le32(3 * 44_100), le32(index * 44_100), le32(44_100))
  return join("wvpk", le32(124), le16(0x410), be16(0), place, le32(0x1801 | (9 << 23)), le32(0), new Uint8Array(100))
}))

const asf = (statedBytes: number) => {
  const guid = (hex: string) => Buffer.from(hex, "hex")
  const object = (name: string, content: Uint8Array) => join(guid(name), le32(content.length + 24), le32(0), content)
  const times = join(new Uint8Array(16), le32(30_000_000), new Uint8Array(12))
  const properties = join(
    new Uint8Array(16),
    le32(statedBytes),
    le32(0),
    times,
    new Uint8Array(8),
    le32(2),
    le32(3200),
    le32(3200),
    le32(0xffffffff)
  )
  const inner = object("a1dcab8c47a9cf118ee400c00c205365", properties)
  return join(guid("3026b2758e66cf11a6d900aa0062ce6c"), le32(inner.length + 30), le32(0), le32(1), bytes(1, 2), inner)
}

const cut = (length: number, content: Uint8Array): readonly [bytes: Uint8Array, told: Told] => [
  cutAt(length, content),
  { problems: [`it is cut: it has ${length} of ${content.length} bytes`] }
]

const manyRates = ["its frames are of several rates, and no table tells how many there are"]
const otherFrames = ["its table tells of other frames than there are"]
const noLastPage = ["it has no last page, so it may be cut"]

const sounds: ReadonlyArray<Case> = [
  [
    "an MP3 with the table of Fraunhofer",
    silence(vbri(1000, silenceBytes)),
    { duration: 1000 / second, bitrate: silenceBytes * 8 / (1000 / second), sampleRate: 44_100, channels: 2 }
  ],
  [
    "an MP3 with the table of Xing behind a tag",
    join(id3(["TIT2", "A"]), silence(xing("Xing", 1000, silenceBytes)), "TAG", new Uint8Array(125)),
    { duration: 1000 / second, bitrate: silenceBytes * 8 / (1000 / second), title: "A" }
  ],
  [
    "an MP3 whose table says that the rate is constant",
    frames(100, 9, xing("Info", 100, 41_700)),
    { duration: 100 / second, bitrate: 128_000 }
  ],
  ["an MP3 of a constant rate", frames(200), { duration: 200 * 417 * 8 / 128_000, bitrate: 128_000 }],
  ["an MP3 of several rates", silence(), { duration: undefined, bitrate: undefined, problems: manyRates }],
  [
    "an MP3 behind another one",
    join(frames(100, 9, xing("Xing", 100, 41_700)), frames(100)),
    { duration: undefined, bitrate: undefined, problems: otherFrames }
  ],
  [
    "an MP3 whose table has few frames for its bytes",
    silence(xing("Xing", 10, silenceBytes)),
    { duration: undefined, bitrate: undefined, problems: otherFrames }
  ],
  [
    "an MP3 that is cut",
    cutAt(20_000, silence(xing("Xing", 1000, silenceBytes))),
    {
      duration: 1000 / second,
      bitrate: silenceBytes * 8 / (1000 / second),
      problems: [`it is cut: it has 20000 of ${silenceBytes} bytes`]
    }
  ],
  ["AAC, whose first frames are no mean", make.adts(), { sampleRate: 44_100, channels: 2, bitrate: undefined }],
  [
    "Musepack of 44,100 samples",
    musepack(0, 0x80000000 + (152 << 20)),
    { sampleRate: 44_100, channels: 2, duration: (300 * 1152 - 1000) / 44_100, audioCodec: "Musepack SV7" }
  ],
  [
    "Musepack of 37,800 samples, whose last frame is whole",
    musepack(2, 0),
    { sampleRate: 37_800, channels: 2, duration: (300 * 1152 - 481) / 37_800, lossless: false }
  ],
  [
    "A-law of AIFF-C",
    aifc("alaw", 22_254),
    { sampleRate: 22_254.5, bitsPerSample: 8, lossless: false, audioCodec: "A-law 2:1", duration: 22_254 / 22_254.5 }
  ],
  [
    "AIFF-C whose samples are counted in packets",
    aifc("ima4", 348),
    { bitsPerSample: 4, lossless: false, duration: 348 * 64 / 22_254.5, bitrate: 22_262 * 8 / (348 * 64 / 22_254.5) }
  ],
  ["AIFF-C of the other byte order", aifc("sowt", 22_254), { bitsPerSample: 16, lossless: true }],
  ["WAV of an extended format", wavOf(0xfffe, 32, join(le16(22), le16(32), le32(4), le16(3), new Uint8Array(14))), {
    bitsPerSample: 32,
    lossless: true
  }],
  ["WAV of A-law", wavOf(6, 8), { bitsPerSample: 8, lossless: false }],
  ["WavPack of five channels", wavPack(44_100), { channels: 5, duration: 1, sampleRate: 44_100 }],
  ["WavPack of a length that was not known", wavPack(2 ** 32 - 1), { duration: undefined, bitrate: undefined }],
  [
    "Vorbis, whose mean is another one than the one that was asked for",
    vorbis(ended(7, 88_200, 4, new Uint8Array(4973))),
    { duration: 2, bitrate: 20_080, title: "A" }
  ],
  [
    "Vorbis without its last page",
    vorbis(ended(7, 44_100, 0, new Uint8Array(4000)), ended(7, -1, 0, new Uint8Array(100))),
    { duration: 1, problems: noLastPage }
  ],
  [
    "Theora that leaves rows and columns of its blocks out",
    theora(0, 0, ended(7, 3 * 64 + 47, 4, "")),
    {
      width: 500,
      height: 498,
      displayWidth: undefined,
      frameRate: 25,
      duration: 2,
      audioCodec: undefined,
      bitrate: undefined
    }
  ],
  ["Theora whose pixels are wide", theora(16, 11, ended(7, 0, 4, "")), {
    width: 500,
    displayWidth: 727,
    displayHeight: 498
  }],
  ["Windows Media of no rate that is known", asf(0), { duration: 3, bitrate: undefined }],
  ["FLAC", flac, { duration: 40, bitrate: 3023 * 8 / 40 }],
  [
    "FLAC that is cut",
    cutAt(2000, flac),
    { duration: 40, bitrate: undefined, problems: ["it is cut: it has 1760256 of 1764000 samples"] }
  ],
  ["WavPack", longWavPack, { duration: 3, channels: 2, bitrate: 3 * 124 * 8 / 3 }],
  [
    "WavPack that is cut",
    cutAt(300, longWavPack),
    { duration: 3, bitrate: undefined, problems: ["it is cut: it has 88200 of 132300 samples"] }
  ],
  ["WAV that is cut", ...cut(4000, wavOf(1, 16))],
  ["AIFF that is cut", ...cut(4000, aifc("sowt", 22_254))],
  ["Matroska that is cut", ...cut(200, make.webm(make.element(0xec, new Uint8Array(200))))],
  ["Windows Media that is cut", asf(9000), { problems: ["it is cut: it has 134 of 9000 bytes"] }]
]

describe("what a sound tells of itself", () => {
  it.effect.each(sounds)("is that of %s", isTold)

  it.effect("is that of its last page where more would have to be read than is allowed", () =>
    isTold([
      "Vorbis",
      vorbis(
        ...Array.from({ length: 560 }, (_, page) => ended(7, page * 44_100, 0, new Uint8Array(65_000))),
        ended(7, 560 * 44_100, 4, new Uint8Array(100))
      ),
      { duration: 560, title: "A", problems: ["more than 33554432 bytes of it would have to be read"] }
    ]))
})

const steady = ["sampleRate", "channels", "bitsPerSample", "lossless", "width", "height"] as const

describe("what a file tells that ends too soon", () => {
  it.effect.each([...entries, ...sounds].filter(([name]) => !name.startsWith("Matroska")))(
    "is that of %s, or is not told",
    ([, content]) =>
      Effect.gen(function*() {
        const whole = yield* recordOf(content)
        const wrong: Array<string> = []
        for (let end = 0; end < content.length; end += Math.max(1, Math.floor(content.length / 97))) {
          const record = yield* recordOf(cutAt(end, content))
          const changed = steady.filter((field) => record[field] !== undefined && record[field] !== whole[field])
          wrong.push(...changed.map((field) => `${end} of ${content.length}: ${field} is ${String(record[field])}`))
        }
        assert.deepStrictEqual(wrong, [])
      })
  )
})
