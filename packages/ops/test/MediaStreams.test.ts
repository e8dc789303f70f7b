import { assert, describe, it } from "@effect/vitest"
import type { MediaRecord } from "@fanout/ops/MediaRecord"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as make from "./mediaBytes.ts"
import * as MediaCorpus from "./mediaCorpus.ts"

/** A file, what it tells of its streams, and its problems. */
type Case = readonly [name: string, bytes: Uint8Array, told: Partial<MediaRecord>]

const recordOf = (content: Uint8Array) =>
  Effect.map(
    MediaCorpus.read(content),
    (result): Partial<MediaRecord> => Result.isSuccess(result) ? result.success.record : {}
  )

const isTold = ([, content, told]: Case) =>
  Effect.gen(function*() {
    const record: Partial<MediaRecord> = { ...yield* recordOf(content) }
    const fields = Object.fromEntries(Object.keys(told).map((field) => [field, Reflect.get(record, field)]))
    assert.deepStrictEqual(fields, told)
    if (!("problems" in told)) assert.isUndefined(record.problems)
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
