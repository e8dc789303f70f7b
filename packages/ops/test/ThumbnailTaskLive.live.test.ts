import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import type * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as FilePath from "@fanout/ops/FilePath"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import { folderOf, MakeThumbnails } from "@fanout/ops/ThumbnailTask"
import * as ThumbnailTaskLive from "@fanout/ops/ThumbnailTaskLive"
import * as ThumbnailVariant from "@fanout/ops/ThumbnailVariant"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import sharp from "sharp"
import { pixels } from "./mediaBytes.ts"
import { oddFiles, picture } from "./pictures.ts"
import { testFolder } from "./TestFolder.ts"

const layer = Layer.mergeAll(
  ThumbnailTaskLive.layer.pipe(Layer.provide(SystemFiles.layer)),
  TaskDispatcher.layer.pipe(Layer.provide(Pools.layer()))
)

const isInstalled = (program: string) => spawnSync(program, ["-version"]).error === undefined

/** Made once: that takes a second. */
const odd = oddFiles()

/** A folder with odd files, and one for their thumbnails. */
const place = Effect.gen(function*() {
  const folder = yield* testFolder
  const output = FilePath.join(folder, FilePath.make("out"))
  yield* Effect.promise(async () => {
    fs.mkdirSync(output)
    for (const [name, bytes] of Object.entries(await odd)) fs.writeFileSync(path.join(folder, name), bytes)
  })
  const make = (name: string, options: Partial<Task.Payload<typeof MakeThumbnails>> = {}) =>
    TaskDispatcher.TaskDispatcher.use((_) =>
      _.run(MakeThumbnails, {
        path: FilePath.join(folder, FilePath.make(name)),
        output,
        variants: ThumbnailVariant.defaults,
        format: "webp",
        ...options
      })
    )
  const sizeOf = (contentId: string, file: string) =>
    Effect.promise(async () => {
      const { format, height, width } = await sharp(path.join(output, folderOf(contentId), file)).metadata()
      return `${format} ${width} x ${height}`
    })
  return { folder, output, make, sizeOf }
})

describe("ThumbnailTaskLive", () => {
  it.live("makes each size, and nothing twice", () =>
    Effect.gen(function*() {
      const { folder, make, output, sizeOf } = yield* place
      const made = yield* make("photo.jpg")
      assert.strictEqual(made._tag, "Made")
      const { contentId } = made
      assert.match(contentId, /^[0-9a-f]{16}$/)
      const files = fs.readdirSync(path.join(output, folderOf(contentId))).toSorted()
      assert.deepStrictEqual(files, ["detail@1x.webp", "grid@1x.webp", "grid@2x.webp"])
      const sizes = yield* Effect.forEach(files, (file) => sizeOf(contentId, file))
      assert.deepStrictEqual(sizes, ["webp 1024 x 768", "webp 256 x 192", "webp 512 x 384"])

      fs.renameSync(path.join(folder, "photo.jpg"), path.join(folder, "renamed"))
      const before = fs.statSync(path.join(output, folderOf(contentId), "grid@1x.webp")).ino
      assert.deepStrictEqual(yield* make("renamed"), { _tag: "Existing", contentId })
      const more = yield* make("renamed", { variants: ["icon@1x", "grid@1x"] })
      assert.deepStrictEqual("variants" in more && more.variants, ["icon@1x"])
      assert.strictEqual(fs.statSync(path.join(output, folderOf(contentId), "grid@1x.webp")).ino, before)
      fs.truncateSync(path.join(output, folderOf(contentId), "grid@1x.webp"))
      const again = yield* make("renamed")
      assert.deepStrictEqual("variants" in again && again.variants, ["grid@1x"])
      assert.strictEqual(yield* sizeOf(contentId, "grid@1x.webp"), "webp 256 x 192")
      // Nothing else is left in there.
      assert.deepStrictEqual(fs.readdirSync(output), [contentId.slice(0, 2)])
    }).pipe(Effect.provide(layer)))

  it.live("turns upright what a camera held otherwise", () =>
    Effect.gen(function*() {
      const { make, output, sizeOf } = yield* place
      const made = yield* make("turned.jpg")
      assert.deepInclude(made, { notes: ["turned upright"] })
      assert.strictEqual(yield* sizeOf(made.contentId, "grid@2x.webp"), "webp 384 x 512")
      const { data, info } = yield* Effect.promise(() =>
        sharp(path.join(output, folderOf(made.contentId), "grid@2x.webp")).raw().toBuffer({ resolveWithObject: true })
      )
      // The red corner was at the top left, and is at the top right.
      const redAt = (x: number, y: number) => data[(y * info.width + x) * info.channels] ?? 0
      assert.isBelow(redAt(30, 30), 60)
      assert.isAbove(redAt(info.width - 30, 30), 200)
    }).pipe(Effect.provide(layer)))

  it.live("says what was done with what is odd", () =>
    Effect.gen(function*() {
      const { make } = yield* place
      const notes = (name: string) => Effect.map(make(name), (made) => "notes" in made ? made.notes : [])
      const small = "not enlarged to grid@2x, detail@1x: it has 300 x 200 pixels"
      assert.deepStrictEqual(yield* notes("small.png"), [small])
      const wide = "not enlarged to detail@1x: it has 600 x 400 pixels"
      assert.deepStrictEqual(yield* notes("animated.gif"), ["first of 3 frames", wide])
      assert.deepStrictEqual(yield* notes("pages.tiff"), ["first of 3 pages", wide])
      assert.deepStrictEqual(yield* notes("cmyk.jpg"), ["converted from CMYK to sRGB"])
      assert.deepStrictEqual(yield* notes("deep.png"), ["reduced from 16 bits to 8"])
      assert.deepStrictEqual(yield* notes("mislabelled.png"), ["it is called .png and is JPEG"])
      assert.deepStrictEqual(yield* notes("clear.png"), [])
    }).pipe(Effect.provide(layer)))

  it.live("tells why there is no thumbnail", () =>
    Effect.gen(function*() {
      const { make } = yield* place
      const endOf = (name: string) =>
        Effect.map(Effect.result(make(name)), (result) => {
          if (Result.isSuccess(result)) return result.success._tag
          const error = result.failure
          return error._tag === "ThumbnailFailed" ? `${error.code}: ${error.why}` : error.message
        })
      assert.match(yield* endOf("truncated.jpg"), /^Truncated: .*premature end/)
      assert.match(yield* endOf("corrupt.png"), /^Corrupt: .*corrupt\.png" can't be decoded as PNG: /)
      assert.match(yield* endOf("huge.svg"), /^TooLarge: /)
      assert.match(yield* endOf("text.jpg"), /^Mislabelled: .*is called an image/)
      assert.strictEqual(yield* endOf("empty.jpg"), "Skipped: it is empty")
      assert.strictEqual(yield* endOf("notes.txt"), "Skipped: it is no image, video or PDF")
      assert.strictEqual(yield* endOf("nowhere.jpg"), "Skipped: it vanished")
      if (isInstalled("ffmpeg")) assert.match(yield* endOf("broken.mp4"), /^Corrupt: .*ffmpeg makes no picture/)
      if (isInstalled("pdftoppm")) assert.match(yield* endOf("broken.pdf"), /^Corrupt: .*pdftoppm makes no picture/)
    }).pipe(Effect.provide(layer)))

  it.live("makes no blank picture of what its decoder leaves blank", () =>
    Effect.gen(function*() {
      const { folder, make } = yield* place
      const jpeg = yield* Effect.promise(() => picture(128, 128).jpeg({ chromaSubsampling: "4:2:0" }).toBuffer())
      const ycc = { 0x102: [8, 8, 8], 0x106: 6, 0x115: 3, 0x142: 128, 0x143: 128, 0x212: [2, 2] }
      const oldJpeg = { ...ycc, 0x103: 6, 0x200: 1, 0x201: 8, 0x202: jpeg.length }
      const tiles = (offsets: ReadonlyArray<number>) => ({ ...ycc, 0x144: offsets, 0x145: [24_576, 24_576] })
      const tile = new Uint8Array(24_576).fill(88)
      const blank = [
        // All of it, of which the decoder knows nothing.
        [
          "old-style.tif",
          "Unsupported",
          /: tiff2vips: Old-style JPEG compression support is not configured;/,
          pixels(jpeg, oldJpeg)
        ],
        // One of two.
        ["one.tif", "Corrupt", /Seek error/, pixels(tile, { ...tiles([8, 60_000]), 0x100: 256 })],
        [
          "float.tif",
          "Unsupported",
          /samples of float/,
          pixels(new Uint8Array(65_536).fill(63), { 0x102: 32, 0x106: 1, 0x153: 3 })
        ]
      ] as const
      for (const [name, code, why, bytes] of blank) {
        fs.writeFileSync(path.join(folder, name), bytes)
        const error = yield* Effect.flip(make(name))
        assert.deepInclude(error, { code }, error.message)
        assert.match(error.message, why)
      }
      // What has holes of its own is made, also where something else is odd.
      const clear = pixels(new Uint8Array(65_536), { 0x102: [8, 8, 8, 8], 0x106: 2, 0x115: 4 })
      for (const [name, bytes] of [["whole.tif", pixels(tile, ycc)], ["clear.tif", clear]] as const) {
        fs.writeFileSync(path.join(folder, name), bytes)
        assert.strictEqual((yield* make(name))._tag, "Made")
      }
    }).pipe(Effect.provide(layer)))

  it.live("says of each picture that is not supported that it is not, and by its name", () =>
    Effect.gen(function*() {
      const { folder, make } = yield* place
      const lab = { 0x102: [8, 8, 8], 0x106: 8, 0x115: 3 }
      const planes = { ...lab, 0x106: 6, 0x11c: 2, 0x111: [8, 8, 8], 0x117: [16_384, 16_384, 16_384] }
      const twelve = { 0x102: [12, 12, 12], 0x106: 2, 0x115: 3 }
      const files = [
        ["lab.tif", "TIFF", pixels(new Uint8Array(49_152), lab)],
        ["planes.tif", "TIFF", pixels(new Uint8Array(16_384), planes)],
        ["twelve.tif", "TIFF", pixels(new Uint8Array(73_728), twelve)],
        ["a.bmp", "BMP", Buffer.from("BM\x36\0\x0c\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "latin1")],
        ["a.psd", "PSD", Buffer.from("8BPS\0\x01")],
        ["a.jp2", "JPEG 2000", Buffer.from("\0\0\0\x0cjP  \r\n\x87\n", "latin1")]
      ] as const
      for (const [name, kind, bytes] of files) {
        fs.writeFileSync(path.join(folder, name), bytes)
        const error = yield* Effect.flip(make(name))
        assert.deepInclude(error, { code: "Unsupported" }, error.message)
        assert.include(error.message, ` ${kind}`)
        const said = error.message.split("; ")
        assert.lengthOf(new Set(said), said.length, error.message)
      }
    }).pipe(Effect.provide(layer)))

  it.live("makes nothing of what ends too soon, whatever it is", () =>
    Effect.gen(function*() {
      const { folder, make } = yield* place
      for (const format of ["jpeg", "png", "webp", "gif", "tiff", "avif"] as const) {
        const name = `half.${format}`
        yield* Effect.promise(async () => {
          const bytes = await picture(1600, 1200).toFormat(format).toBuffer()
          fs.writeFileSync(path.join(folder, name), bytes.subarray(0, bytes.length * 0.7))
        })
        const error = yield* Effect.flip(make(name))
        assert.strictEqual(error._tag, "ThumbnailFailed")
        assert.match("code" in error ? error.code : "", /^(?:Truncated|Corrupt)$/, `${name}: ${error.message}`)
        assert.notInclude(error.message, "\n")
      }
    }).pipe(Effect.provide(layer)))

  it.live("encodes as it is asked to, whatever the picture is", () =>
    Effect.gen(function*() {
      const { make, sizeOf } = yield* place
      for (const [format, extension, name] of [["avif", "avif", "heif"], ["jpeg", "jpg", "jpeg"]] as const) {
        for (const file of ["photo.jpg", "clear.png", "deep.png"]) {
          const { contentId } = yield* make(file, { format, variants: ["icon@1x"] })
          assert.match(yield* sizeOf(contentId, `icon@1x.${extension}`), new RegExp(`^${name} 128 x `))
        }
      }
    }).pipe(Effect.provide(layer)))

  it.live.skipIf(!isInstalled("ffmpeg"))(
    "takes a frame of a video a tenth of its duration after its beginning",
    () =>
      Effect.gen(function*() {
        const { folder, make, output, sizeOf } = yield* place
        // Black for a second, and then white.
        const source = "color=black:size=640x360:duration=0.5[a];color=white:size=640x360:duration=9.5[b];[a][b]concat"
        const args = ["-loglevel", "error", "-f", "lavfi", "-i", source, path.join(folder, "-clip.mp4")]
        const { status, stderr } = spawnSync("ffmpeg", args, { encoding: "utf8" })
        assert.strictEqual(status, 0, stderr)
        const made = yield* make("-clip.mp4")
        assert.deepInclude(made, { notes: ["frame at 10 %"] })
        assert.strictEqual(yield* sizeOf(made.contentId, "detail@1x.webp"), "webp 640 x 360")
        const { channels } = yield* Effect.promise(() =>
          sharp(path.join(output, folderOf(made.contentId), "detail@1x.webp")).stats()
        )
        assert.isAbove(channels[0]?.mean ?? 0, 230)
      }).pipe(Effect.provide(layer))
  )

  it.live.skipIf(!isInstalled("ffmpeg"))(
    "shows a film whose pixels are not square as wide as it is seen",
    () =>
      Effect.gen(function*() {
        const { folder, make, sizeOf } = yield* place
        const shapes = [["wide", "16/11", "512 x 288"], ["tall", "1/2", "313 x 512"], [
          "square",
          "1",
          "352 x 288"
        ]] as const
        for (const [name, shape, size] of shapes) {
          const source = "color=white:size=352x288:duration=1"
          const file = path.join(folder, `${name}.mp4`)
          const { stderr } = spawnSync("ffmpeg", [
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            source,
            "-vf",
            `setsar=${shape}`,
            file
          ], { encoding: "utf8" })
          assert.strictEqual(stderr, "")
          assert.strictEqual(yield* sizeOf((yield* make(`${name}.mp4`)).contentId, "grid@2x.webp"), `webp ${size}`)
        }
      }).pipe(Effect.provide(layer))
  )

  it.live.skipIf(!isInstalled("ffmpeg"))("skips what has sound alone", () =>
    Effect.gen(function*() {
      const { folder, make } = yield* place
      const args = ["-loglevel", "error", "-f", "lavfi", "-i", "sine=duration=1", path.join(folder, "song.mp4")]
      assert.strictEqual(spawnSync("ffmpeg", args).status, 0)
      assert.strictEqual((yield* Effect.flip(make("song.mp4"))).message, "Skipped: it has sound, and no picture")
    }).pipe(Effect.provide(layer)))

  it.live.skipIf(!isInstalled("ffmpeg"))("reads no other file that a video names", () =>
    Effect.gen(function*() {
      const { folder, make } = yield* place
      const other = path.join(folder, "other.mp4")
      const args = ["-loglevel", "error", "-f", "lavfi", "-i", "color=white:size=64x64:duration=1", other]
      assert.strictEqual(spawnSync("ffmpeg", args).status, 0)
      // A manifest of DASH that has in its fourth byte what QuickTime may have there.
      const profiles = "urn:mpeg:dash:profile:isoff-on-demand:2011"
      const manifest = [
        `<!--wide--><MPD profiles="${profiles}" type="static" mediaPresentationDuration="PT1S" minBufferTime="PT1S">`,
        "<Period><AdaptationSet contentType=\"video\" mimeType=\"video/mp4\">",
        "<Representation id=\"1\" bandwidth=\"1000\" mimeType=\"video/mp4\">",
        `<BaseURL>file://${other}</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>`
      ]
      fs.writeFileSync(path.join(folder, "film.mp4"), manifest.join(""))
      assert.deepInclude(yield* Effect.flip(make("film.mp4")), { code: "Corrupt" })
    }).pipe(Effect.provide(layer)))

  it.live("makes nothing of a video that changes while its frame is taken", () =>
    Effect.gen(function*() {
      const { folder, make, output } = yield* place
      const file = path.join(folder, "film.mp4")
      fs.writeFileSync(file, "\0\0\0\x14ftypisom\0\0\0\0isom")
      yield* Effect.promise(() => picture(64, 48).png().toFile(path.join(folder, "frame.png")))
      // What writes to the file is the program itself: nobody is earlier or later.
      const program = `#!/bin/sh\nprintf more >> "${file}"\ncat "${path.join(folder, "frame.png")}"\n`
      fs.writeFileSync(path.join(folder, "ffmpeg"), program, { mode: 0o755 })
      const before = process.env["PATH"]
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["PATH"] = `${folder}:${before}`
        }),
        () =>
          Effect.sync(() => {
            process.env["PATH"] = before
          })
      )
      assert.deepInclude(yield* Effect.flip(make("film.mp4")), { code: "Changed" })
      assert.deepStrictEqual(fs.readdirSync(output), [])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live.skipIf(!isInstalled("pdftoppm"))("takes the first page of a PDF", () =>
    Effect.gen(function*() {
      const { folder, make, sizeOf } = yield* place
      const objects = ["/Catalog/Pages 2 0 R", "/Pages/Kids[3 0 R]/Count 1", "/Page/Parent 2 0 R/MediaBox[0 0 300 400]"]
      const body = objects.map((type, n) => `${n + 1} 0 obj<</Type${type}>>endobj\n`).join("")
      fs.writeFileSync(path.join(folder, "paper.pdf"), `%PDF-1.4\n${body}trailer<</Root 1 0 R>>\n`)
      const made = yield* make("paper.pdf")
      assert.deepInclude(made, { notes: ["first page"] })
      assert.strictEqual(yield* sizeOf(made.contentId, "grid@2x.webp"), "webp 384 x 512")
    }).pipe(Effect.provide(layer)))
})
