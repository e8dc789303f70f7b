import { assert, it } from "@effect/vitest"
import * as Checkpoint from "@fanout/core/Checkpoint"
import { JobContext } from "@fanout/core/JobContext"
import * as JobManager from "@fanout/core/JobManager"
import { layer, settle } from "@fanout/core/testing"
import { CopyOptions } from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TouchedFolders from "../src/internal/copy/touchedFolders.ts"
import * as Place from "../src/internal/path/place.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { complete, job } from "./ownJob.ts"

const names = Array.from({ length: 200 }, (_, index) => `folder${index}`)

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const top of ["/from", "/to"]) {
    disk.folder(top)
    for (const name of names) disk.folder(`${top}/${name}`, { mode: 0o555 })
  }
  return disk
}

/** Opens a folder, as a retry does that puts a file into it. */
const open = (name: string) =>
  Effect.flatMap(
    Place.open(FilePath.make(`/to/${name}/a`)),
    (target) => TouchedFolders.add(FilePath.make(`/from/${name}/a`), target)
  ).pipe(Effect.scoped)

/** Ends a folder, as a move does. */
const end = (name: string, isOpen = false) =>
  Effect.flatMap(
    Place.open(FilePath.make(`/to/${name}`)),
    (place) => TouchedFolders.end(FilePath.make(`/from/${name}`), place, undefined, isOpen)
  ).pipe(
    Effect.scoped,
    Effect.provideService(CopyOptions, { ...CopyOptions.defaultValue(), isMove: true })
  )

/** How many folders are stored, by pages. */
const storedPages = Effect.gen(function*() {
  const pages: Array<number> = []
  for (;;) {
    const name = pages.length === 0 ? "opened folders" : `opened folders ${pages.length}`
    const page = yield* Checkpoint.make(name, Schema.Array(Schema.Struct({ path: Schema.String }))).get
    if (Option.isNone(page)) return pages
    pages.push(page.value.length)
  }
})

/** What runs a program of the job on a disk, and closes what it has left open where it is cancelled. */
const managing = <E>(disk: MemoryFiles.Disk, program: Effect.Effect<void, E, Files.Files | JobContext>) =>
  Layer.provideMerge(
    layer({ jobs: [job] }),
    job.toLayer(() => Effect.orDie(program), { onCancel: (_, __, saved) => TouchedFolders.restoreAll(saved) }).pipe(
      Layer.provideMerge(Layer.succeed(Files.Files, MemoryFiles.make(disk)))
    )
  )

it.effect("folders that a retry opens are stored by pages, however many there are", () => {
  const disk = plant()
  const modes = () => new Set(names.map((name) => disk.find(FilePath.make(`/to/${name}`)).mode))
  const told: Array<ReadonlyArray<number>> = []
  const program = Effect.gen(function*() {
    const touched = yield* TouchedFolders.make
    const within = Effect.provideService(TouchedFolders.TouchedFolders, touched)
    yield* within(Effect.forEach(names, open, { concurrency: 16, discard: true }))
    assert.deepStrictEqual(modes(), new Set([0o755]))
    told.push(yield* storedPages)
    // One that was ended after all is remembered as it is by then, since others may be at it.
    disk.find(FilePath.make("/to/folder70")).mode = 0o550
    yield* within(end("folder70"))
    assert.deepStrictEqual(disk.find(FilePath.make("/to/folder70")).mode, 0o750)
    told.push(yield* storedPages)

    const again = yield* TouchedFolders.make
    assert.strictEqual(again.known.size, 200)
    const transfers = [{ source: FilePath.make("/from"), target: FilePath.make("/to") }]
    yield* Effect.provideService(TouchedFolders.finish(transfers), TouchedFolders.TouchedFolders, again)
    assert.deepStrictEqual(modes(), new Set([0o555, 0o550]))
    told.push(yield* storedPages)
  })
  return Effect.gen(function*() {
    yield* complete
    const full = Array.from({ length: 12 }, () => 16)
    assert.deepStrictEqual(told, [[...full, 8], [...full.with(4, 15), 9], Array.from({ length: 13 }, () => 0)])
  }).pipe(Effect.provide(managing(disk, program)))
})

it.effect("a folder that is open when a retry comes to its end gets the mode that it is to have", () => {
  const disk = plant()
  const modes = () => ["/to/folder0", "/to/folder1"].map((path) => disk.find(FilePath.make(path)).mode)
  const program = Effect.gen(function*() {
    const touched = yield* TouchedFolders.make
    const within = Effect.provideService(TouchedFolders.TouchedFolders, touched)
    yield* within(Effect.forEach(["folder0", "folder1"], open))
    yield* within(end("folder0"))
    // Its source has a mode that is like that of one that was opened.
    yield* within(end("folder1", true))
    assert.deepStrictEqual(modes(), [0o755, 0o755])
    yield* within(TouchedFolders.finish([{ source: FilePath.make("/from"), target: FilePath.make("/to") }]))
  })
  return Effect.gen(function*() {
    yield* complete
    assert.deepStrictEqual(modes(), [0o555, 0o755])
  }).pipe(Effect.provide(managing(disk, program)))
})

it.effect("a folder that a run before this one has written in gets the time of before", () => {
  const disk = plant()
  const folder = disk.find(FilePath.make("/to/folder0"))
  folder.mode = 0o755
  const { modifiedNanos } = folder.times
  const program = Effect.gen(function*() {
    const first = yield* TouchedFolders.make
    yield* Effect.provideService(open("folder0"), TouchedFolders.TouchedFolders, first)
    disk.file("/to/folder0/a", "text")
    assert.notStrictEqual(folder.times.modifiedNanos, modifiedNanos)
    // It is killed, and another one goes on.
    const second = yield* TouchedFolders.make
    const within = Effect.provideService(TouchedFolders.TouchedFolders, second)
    yield* within(TouchedFolders.finish([{ source: FilePath.make("/from"), target: FilePath.make("/to") }]))
  })
  return Effect.gen(function*() {
    yield* complete
    assert.strictEqual(folder.times.modifiedNanos, modifiedNanos)
  }).pipe(Effect.provide(managing(disk, program)))
})

it.effect("folders that a run has left open are closed where the job is cancelled, unless somebody has since", () => {
  const disk = plant()
  const opened = names.slice(0, 4)
  const [first, second, third] = ["/to/folder0", "/to/folder1", "/to/folder2"].map((path) =>
    disk.find(FilePath.make(path))
  )
  const seen = () => [first, second, third].map((folder) => [folder?.mode, folder?.times.modifiedNanos])
  const before = seen()
  // It ends without having closed them, as one that is killed.
  const program = Effect.gen(function*() {
    const touched = yield* TouchedFolders.make
    const within = Effect.provideService(TouchedFolders.TouchedFolders, touched)
    yield* within(Effect.forEach(opened, open, { discard: true }))
    yield* (yield* JobContext).pause("disk", "stopped")
  })
  return Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const { id } = yield* manager.start(job, undefined)
    yield* Effect.repeat(settle, { times: 20 })
    assert.strictEqual((yield* manager.get(id)).state._tag, "Paused")
    assert.deepStrictEqual(seen().map(([mode]) => mode), [0o755, 0o755, 0o755])
    for (const name of opened) disk.file(`/to/${name}/a`, "text")
    if (third !== undefined) third.mode = 0o700
    disk.remove("/to/folder3")
    disk.folder("/to/folder3", { mode: 0o755 })

    yield* manager.cancel(id)
    yield* Effect.repeat(settle, { times: 20 })
    assert.strictEqual((yield* manager.get(id)).state._tag, "Cancelled")

    const after = seen()
    assert.deepStrictEqual(after.slice(0, 2), before.slice(0, 2))
    assert.deepStrictEqual(after[2]?.[0], 0o700)
    assert.strictEqual(disk.find(FilePath.make("/to/folder3")).mode, 0o755)
  }).pipe(Effect.provide(managing(disk, program)))
})
