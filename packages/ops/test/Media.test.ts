import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import * as Pools from "@fanout/core/Pools"
import { layer, settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import { FilesError } from "@fanout/ops/FilesError"
import * as Media from "@fanout/ops/Media"
import * as MediaTaskLive from "@fanout/ops/MediaTaskLive"
import * as SourceRows from "@fanout/ops/SourceRows"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as make from "./mediaBytes.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { tellEnding } from "./tellEnding.ts"

const named = (title: string) => make.jpeg({ xmp: make.xmp(`<dc:title>${title}</dc:title>`) })

/** Photos and others, which sort otherwise than their folders do. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/in", "/in/b"]) disk.folder(folder)
  disk.file("/in/b.jpg", named("second"))
  disk.file("/in/b/c.txt", named("first"))
  disk.file("/in/broken", "\xff\xd8\xff\xff")
  disk.file("/in/text.jpg", "text")
  disk.symlink("/in/link", "b.jpg")
  disk.symlink("/named", "in")
  disk.special("/in/pipe")
  return disk
}

const runtime = layer({ jobs: [Media.job] }).pipe(
  Layer.provide(Media.layer.pipe(Layer.provide([MediaTaskLive.layer, Pools.layer()])))
)

interface Options {
  readonly before?: FaultyFiles.Before
  readonly sources?: readonly [string, ...ReadonlyArray<string>]
  readonly output?: string
  readonly leaveOut?: ReadonlyArray<string>
  readonly raw?: boolean
}

/** Reads metadata by a job, and gives its lines in the order of the walk. */
const run = (
  disk: MemoryFiles.Disk,
  { before = () => Effect.void, leaveOut = [], output, raw, sources: [first, ...others] = ["/in"] }: Options = {}
) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const store = yield* JobStore
    const payload = yield* Media.plan({
      sources: [FilePath.make(first), ...others.map(FilePath.make)],
      leaveOut: leaveOut.map(FilePath.make),
      ...(output === undefined ? {} : { output: FilePath.make(output) }),
      ...(raw === undefined ? {} : { raw })
    })
    const { id } = yield* manager.start(Media.job, payload)
    // What reads files is loaded by the first of them, in real time: the deadline must not have come by then.
    const isUnderWay = Effect.map(manager.get(id), ({ state }) => state._tag === "Queued" || state._tag === "Running")
    while (yield* isUnderWay) {
      yield* settle
      yield* TestClock.adjust("10 millis")
    }
    const rows = yield* store.outcomes(id, { after: 0, limit: 1000 })
    const sorter = new SourceRows.Sorter((row) => [Media.fromRow(row)])
    const lines = [...sorter.add(rows), ...sorter.end()]
    return {
      state: (yield* manager.get(id)).state._tag,
      lines: lines.map(({ place, record, row }) =>
        `${place.source}/${place.path} ${
          Option.match(record, {
            onSome: ({ mimeType, raw, title }) => `${mimeType} ${title}${raw === undefined ? "" : " raw"}`,
            onNone: () => tellEnding(row.outcome)
          })
        }`
      )
    }
  }).pipe(
    Effect.provide(
      Layer.provideMerge(runtime, Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before)))
    )
  )

const all = [
  "0/b/c.txt image/jpeg first",
  "0/b.jpg image/jpeg second",
  "0/broken Could not read metadata of \"/in/broken\": it ends before what it says it has",
  "0/pipe it is no file, folder or link",
  "0/text.jpg it is of no kind that metadata is read of"
]

describe("Media", () => {
  it.effect("reads every file by what is in it, in the order of the walk", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run(plant()), { state: "CompletedWithErrors", lines: all })
    }))

  it.effect("is paused where what it reads is on another file system by now", () =>
    Effect.gen(function*() {
      const disk = plant()
      const before: FaultyFiles.Before = (call, path) =>
        Effect.sync(() => {
          if (call !== "scandir" || path !== "/in/b") return
          for (const device of disk.fileSystems.keys()) disk.fileSystems.set(device, "another")
          disk.remove("/in/b/c.txt")
        })
      assert.deepStrictEqual(yield* run(disk, { before }), { state: "Paused", lines: [] })
    }))

  it.effect("follows a link that was named, and passes over those in folders", () =>
    Effect.gen(function*() {
      const { lines } = yield* run(plant(), { sources: ["/named", "/in/b.jpg"] })
      assert.deepStrictEqual(lines, [...all, "1/ image/jpeg second"])
    }))

  it.effect("fails for a link that was named and leads nowhere", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.symlink("/lost", "nowhere")
      assert.deepStrictEqual(yield* run(disk, { sources: ["/lost"] }), {
        state: "CompletedWithErrors",
        lines: ["0/ \"/lost\" is a link that leads to nothing that can be read"]
      })
    }))

  it.effect("leaves out the database of its own job, and what its lines are written to", () =>
    Effect.gen(function*() {
      const { lines } = yield* run(plant(), { leaveOut: ["/in/broken"], output: "/in/text.jpg" })
      assert.deepStrictEqual(lines, [
        ...all.slice(0, 2),
        "0/broken it belongs to the database of this job",
        all[3],
        "0/text.jpg it is what the lines of this job are written to"
      ])
    }))

  it.effect("keeps all tags where these are asked for", () =>
    Effect.gen(function*() {
      const { lines } = yield* run(plant(), { sources: ["/in/b.jpg"], raw: true })
      assert.deepStrictEqual(lines, ["0/ image/jpeg second raw"])
    }))

  it.effect("tells what can't be read, and what has vanished", () =>
    Effect.gen(function*() {
      const fails = (code: string, at: string): FaultyFiles.Before => (call, path) =>
        call === "open" && path === at
          ? Effect.fail(new FilesError({ call, code, path, target: Option.none() }))
          : Effect.void
      const denied = yield* run(plant(), { before: fails("EACCES", "/in/b.jpg") })
      assert.strictEqual(denied.lines[1], "0/b.jpg Could not open \"/in/b.jpg\": permission denied (EACCES)")
      const gone = yield* run(plant(), { before: fails("ENOENT", "/in/b.jpg") })
      assert.strictEqual(gone.lines[1], "0/b.jpg it vanished")
    }))
})
