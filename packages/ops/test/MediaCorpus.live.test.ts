import { assert, describe, it } from "@effect/vitest"
import type { MediaRecord } from "@fanout/ops/MediaRecord"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as make from "./mediaBytes.ts"
import * as MediaCorpus from "./mediaCorpus.ts"
import { testFolder } from "./TestFolder.ts"

const isInstalled = (program: string, version: string) => spawnSync(program, [version]).error === undefined

const run = (program: string, args: ReadonlyArray<string>): string => {
  const { error, stdout } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 28 })
  if (error !== undefined) throw error
  return stdout
}

const recordOf = (content: Uint8Array) =>
  Effect.map(
    MediaCorpus.read(content),
    (result): Partial<MediaRecord> => Result.isSuccess(result) ? result.success.record : {}
  )

/** Notes for each field that another program tells of where it tells something else. */
class Agreement {
  private readonly compared = new Set<string>()
  private readonly differing: Array<string> = []

  add(file: string, field: string, ours: unknown, others: ReadonlyArray<unknown>): void {
    if (others.length === 0) return
    this.compared.add(field)
    const isSame = others.some((other) => isAlike(ours, other))
    if (!isSame) {
      this.differing.push(`${file}: ${field} is ${JSON.stringify(ours)}, and ${JSON.stringify(others)} there`)
    }
  }

  /** Each of these fields was compared, and all that were are the same in each file. */
  mayNotFall(fields: ReadonlyArray<string>): void {
    assert.deepStrictEqual(this.differing, [])
    assert.deepStrictEqual(fields.filter((field) => !this.compared.has(field)), [])
  }
}

const digits = (value: unknown): string => String(value).replaceAll(/\D/g, "")

/** Whether two programs mean the same: times and numbers are written in many ways. */
const isAlike = (ours: unknown, other: unknown): boolean => {
  if (Array.isArray(ours)) return [other].flat().map(String).join("; ") === ours.map(String).join("; ")
  if (typeof ours === "boolean") return (Number(other) & 1) === Number(ours)
  if (typeof ours === "number") return Math.abs(ours - Number(other)) <= Math.abs(ours) * 0.02
  if (typeof ours === "string" && /^\d{4}-\d\d/.test(ours)) {
    const [a, b] = [digits(ours), digits(other)]
    return a.startsWith(b) || b.startsWith(a)
  }
  return String(ours) === String(other)
}

/** What exiftool calls what a field tells of. */
const tagsOf: Readonly<Partial<Record<keyof MediaRecord, ReadonlyArray<string>>>> = {
  cameraMake: ["Make"],
  cameraModel: ["Model"],
  lensModel: ["LensModel", "Lens"],
  software: ["Software", "CreatorTool"],
  orientation: ["Orientation"],
  takenAt: ["DateTimeOriginal", "CreateDate", "DateCreated"],
  modifiedAt: ["ModifyDate"],
  exposureSeconds: ["ExposureTime"],
  fNumber: ["FNumber"],
  iso: ["ISO"],
  focalLength: ["FocalLength"],
  focalLengthIn35mm: ["FocalLengthIn35mmFormat"],
  flash: ["Flash"],
  latitude: ["GPSLatitude"],
  longitude: ["GPSLongitude"],
  altitude: ["GPSAltitude"],
  title: ["Title", "ObjectName"],
  description: ["Description", "Caption-Abstract", "ImageDescription", "Comment"],
  artists: ["Artist", "Creator", "By-line", "Author"],
  copyright: ["Copyright", "Rights", "CopyrightNotice"],
  keywords: ["Subject", "Keywords"],
  rating: ["Rating"],
  album: ["Album"],
  albumArtist: ["AlbumArtist", "Albumartist", "Band"],
  composers: ["Composer"],
  genres: ["Genre"],
  releasedAt: ["Year", "RecordingTime", "Date", "ContentCreateDate"],
  frameRate: ["VideoFrameRate"],
  sampleRate: ["AudioSampleRate", "SampleRate"],
  channels: ["AudioChannels", "Channels", "NumChannels"]
}

describe.skipIf(!isInstalled("exiftool", "-ver"))("records beside exiftool (needs exiftool)", () => {
  it.live("are the same in each field that both tell of", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      for (const { bytes, name } of MediaCorpus.cases) fs.writeFileSync(path.join(folder, name), bytes)
      const lines: ReadonlyArray<Record<string, unknown>> = JSON.parse(
        run("exiftool", ["-j", "-n", "-a", "-G1", folder])
      )
      const others = new Map(lines.map((line) => [path.basename(String(line["SourceFile"])), Object.entries(line)]))
      const agreement = new Agreement()
      for (const { bytes, name, told } of MediaCorpus.cases) {
        const record: Readonly<Record<string, unknown>> = yield* recordOf(bytes)
        for (const [field, tags = []] of Object.entries(tagsOf)) {
          if (!(field in told)) continue
          const found = others.get(name)?.filter(([tag]) => tags.includes(tag.slice(tag.indexOf(":") + 1))) ?? []
          agreement.add(name, field, record[field], found.map(([, value]) => value))
        }
      }
      agreement.mayNotFall(Object.keys(tagsOf))
    }))
})

/** Films and sounds as ffmpeg writes them with what it always has; others are made where it has more. */
const made: ReadonlyArray<readonly [name: string, args: ReadonlyArray<string>]> = [
  ["film.mp4", ["-c:v", "mpeg4", "-c:a", "aac", "-movflags", "faststart"]],
  ["film.mov", ["-c:v", "mpeg4", "-c:a", "pcm_s16le"]],
  ["film.mkv", ["-c:v", "mpeg4", "-c:a", "flac"]],
  ["wide.mp4", ["-vf", "setsar=16/11", "-c:v", "mpeg4", "-c:a", "aac"]],
  ["wide.mov", ["-vf", "setsar=16/11", "-c:v", "mpeg4", "-c:a", "aac"]],
  ["wide.mkv", ["-vf", "setsar=16/11", "-c:v", "mpeg4", "-c:a", "aac"]],
  ["h264.mp4", ["-c:v", "libx264", "-c:a", "aac"]],
  ["film.webm", ["-c:v", "libvpx", "-c:a", "libopus"]],
  ["sound.flac", ["-vn", "-c:a", "flac"]],
  ["sound.wav", ["-vn"]],
  ["sound.aiff", ["-vn", "-write_id3v2", "1"]],
  ["sound.aac", ["-vn", "-c:a", "aac", "-write_id3v2", "1"]],
  ["sound.m4a", ["-vn", "-c:a", "aac"]],
  ["sound.wma", ["-vn", "-c:a", "wmav2"]],
  ["sound.mp3", ["-vn", "-c:a", "libmp3lame"]],
  ["vorbis.ogg", ["-vn", "-c:a", "libvorbis"]],
  ["opus.ogg", ["-vn", "-c:a", "libopus"]]
]

const sources = ["testsrc=size=176x144:rate=30000/1001:duration=2", "sine=sample_rate=48000:duration=2"]

const quotient = (ratio: unknown): number => {
  const [above = NaN, below = 1] = String(ratio).split(/[/:]/).map(Number)
  return above / below
}

type Tags = Readonly<Record<string, string>>

interface Probed {
  readonly streams: ReadonlyArray<Readonly<Record<string, unknown>> & { readonly tags?: Tags }>
  readonly format: { readonly duration?: string; readonly tags?: Tags }
}

/** Fields as ffprobe tells of them. */
const probe = (file: string): Readonly<Record<string, unknown>> => {
  const args = ["-v", "error", "-of", "json", "-show_format", "-show_streams", file]
  const { format, streams }: Probed = JSON.parse(run("ffprobe", args))
  const [film, sound] = ["video", "audio"].map((type) => streams.find((stream) => stream["codec_type"] === type))
  const texts = { ...format.tags, ...sound?.tags }
  const tags = Object.fromEntries(Object.entries(texts).map(([name, value]) => [name.toLowerCase(), value]))
  const aspect = quotient(film?.["sample_aspect_ratio"])
  return {
    width: film?.["width"],
    height: film?.["height"],
    frameRate: film === undefined ? undefined : quotient(film["avg_frame_rate"]),
    displayWidth: aspect > 1 ? Number(film?.["width"]) * aspect : undefined,
    duration: Number(format.duration),
    sampleRate: Number(sound?.["sample_rate"]),
    channels: sound?.["channels"],
    title: tags["title"],
    artists: tags["artist"],
    album: tags["album"]
  }
}

describe.skipIf(!isInstalled("ffmpeg", "-version"))("records beside ffprobe (needs ffmpeg)", () => {
  it.live("are the same in each field that both tell of, also behind tags and where a film is cut", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const agreement = new Agreement()
      const texts = ["title=A title", "artist=Zoë", "album=Record"].flatMap((text) => ["-metadata", text])
      const inputs = sources.flatMap((source) => ["-f", "lavfi", "-i", source])
      for (const [name, args] of made) {
        const file = path.join(folder, name)
        const { status } = spawnSync("ffmpeg", ["-v", "error", ...inputs, "-ac", "2", ...texts, ...args, file])
        if (status !== 0) continue
        const bytes = fs.readFileSync(file)
        const record: Readonly<Record<string, unknown>> = yield* recordOf(bytes)
        for (const [field, value] of Object.entries(probe(file))) {
          // It has no length of its own, and all of it would have to be read.
          const isUnknown = field === "duration" && name.endsWith(".aac")
          if (value !== undefined && !isUnknown) agreement.add(name, field, record[field], [value])
        }
        if (name === "film.mp4") {
          const cut: Readonly<Record<string, unknown>> = yield* recordOf(bytes.subarray(0, bytes.length / 2))
          assert.deepInclude(cut, { ...record, sizeBytes: cut["sizeBytes"] })
        }
        if (!name.startsWith("film") && !/mp4|mov|mkv|m4a/.test(name)) {
          const behind: Readonly<Record<string, unknown>> = yield* recordOf(
            make.join(make.id3(["TXXX", "\x03a\0b"]), bytes)
          )
          const stream = ["mimeType", "sampleRate", "channels", "audioCodec"]
          assert.deepStrictEqual(stream.map((field) => behind[field]), stream.map((field) => record[field]), name)
        }
      }
      agreement.mayNotFall(["width", "height", "frameRate", "displayWidth", "duration", "sampleRate", "channels"])
      agreement.mayNotFall(["title", "artists", "album"])
    }))
})
