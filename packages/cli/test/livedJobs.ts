/**
 * Jobs of each command that have run for a while, on files and in a store in memory, for what is recorded of them.
 */
import * as ChildJobs from "@fanout/core/ChildJobs"
import type { WorkerStatus } from "@fanout/core/ClusterWorkers"
import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import { settle } from "@fanout/core/testing"
import * as Copy from "@fanout/ops/Copy"
import * as Delete from "@fanout/ops/Delete"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as HardLinks from "@fanout/ops/HardLinks"
import * as Hash from "@fanout/ops/Hash"
import * as Media from "@fanout/ops/Media"
import * as MediaTask from "@fanout/ops/MediaTask"
import * as Move from "@fanout/ops/Move"
import * as Thumbnail from "@fanout/ops/Thumbnail"
import * as ThumbnailTask from "@fanout/ops/ThumbnailTask"
import * as ThumbnailVariant from "@fanout/ops/ThumbnailVariant"
import * as Trash from "@fanout/ops/Trash"
import * as Verify from "@fanout/ops/Verify"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { LiveClusters } from "../../core/src/internal/cluster/liveWorkers.ts"
import * as FaultyFiles from "../../ops/test/FaultyFiles.ts"
import * as MemoryFiles from "../../ops/test/MemoryFiles.ts"
import type * as Api from "../src/api/Api.ts"
import { cli } from "../src/Cli.ts"
import { platform, presenter } from "../src/CommandLine.ts"
import type { linesOf } from "../src/commands/examination.ts"
import * as ExitCode from "../src/exit/ExitCode.ts"
import * as Stop from "../src/exit/Stop.ts"
import * as Host from "../src/host/Host.ts"
import * as ScheduledCommand from "../src/host/ScheduledCommand.ts"
import * as Settings from "../src/options/Settings.ts"
import { type BoardJob } from "../src/ui/board.ts"
import { title } from "../src/ui/jobText.ts"
import * as View from "../src/ui/View.ts"

const p = (text: string): FilePath.FilePath => FilePath.make(text)

export const photos = p("/home/ann/Photos")
export const backup = p("/mnt/backup/Photos")

/** Photos of which some can't be read, and a backup of some of them that is not the same. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/home", "/home/ann", photos, `${photos}/2026`, "/home/ann/build", "/mnt", "/mnt/backup"]) {
    disk.folder(folder)
  }
  for (const folder of [backup, `${backup}/2026`, "/mnt/other", "/mnt/nas"]) disk.folder(folder)
  disk.mount("/mnt/nas")
  for (const folder of ["Downloads", "Music"]) {
    disk.folder(`/home/ann/${folder}`)
    for (let n = 10; n < 30; n++) disk.file(`/home/ann/${folder}/${folder}-${n}`, folder.repeat(50_000))
  }
  for (let n = 0; n < 30; n++) disk.file(`${photos}/2026/IMG_${4000 + n}.jpg`, "photo".repeat(20_000))
  for (let n = 0; n < 5; n++) disk.file(`${backup}/2026/IMG_${4000 + n}.jpg`, "older")
  for (let n = 0; n < 40; n++) disk.file(`/home/ann/build/chunk-${n}.js`, "code")
  disk.file(`${photos}/a film with a long name that was made on the last day of the holidays.mov`, "film".repeat(9e5))
  disk.special(`${photos}/pipe`)
  return disk
}

/** What goes wrong with some files; what is slow while that is asked for. */
const before = (world: { isSlow: boolean }): FaultyFiles.Before => (call, path) => {
  if (call !== "open") return Effect.void
  if (path.endsWith("IMG_4010.jpg")) return Effect.fail(FaultyFiles.error(call, path, "EACCES"))
  if (path.endsWith("IMG_4011.jpg")) return Effect.fail(FaultyFiles.error(call, path, "ENOENT"))
  return slow(world, path)
}

const slow = ({ isSlow }: { readonly isSlow: boolean }, path: FilePath.FilePath) =>
  isSlow && /IMG_4020\.jpg|Downloads-25$/.test(path) ? Effect.sleep("1 hour") : Effect.void

const definitions = [
  Copy.job,
  Delete.job,
  Hash.job,
  Media.job,
  Move.job,
  Thumbnail.job,
  Verify.job,
  ScheduledCommand.job
] as const

/** What decodes pictures, and reads them, without doing so. */
const decoders = (world: { readonly isSlow: boolean }) =>
  Layer.mergeAll(
    ThumbnailTask.ProcessTasks.toLayer({
      [ThumbnailTask.MakeThumbnails._tag]: ({ path, variants }) =>
        Effect.andThen(
          slow(world, path),
          path.endsWith("IMG_4012.jpg")
            ? Effect.fail(new ThumbnailTask.ThumbnailFailed({ code: "Corrupt", path, why: "it ends too soon" }))
            : Effect.succeed({ _tag: "Made" as const, contentId: FilePath.name(path), notes: [], variants })
        )
    }),
    MediaTask.ThreadTasks.toLayer({
      [MediaTask.ReadMedia._tag]: ({ path }) =>
        Effect.as(slow(world, path), { _tag: "Read" as const, record: { mimeType: "image/jpeg", sizeBytes: 100_000 } })
    })
  )

/** A command of a schedule that starts a job, as its child. */
const scheduled = ScheduledCommand.job.toLayer(({ args }) =>
  Effect.gen(function*() {
    if (args.includes("--dereference")) {
      return yield* new ScheduledCommand.CommandFailed({ sentence: `There is nothing at "/media/ann/CAMERA"` })
    }
    const payload = yield* Effect.orDie(Hash.plan({ sources: [photos], algorithm: "sha256", leaveOut: [] }))
    yield* Effect.orDie(ChildJobs.run("command", Hash.job, payload))
  })
)

const self = new OwnerLiveness.Owner({ machine: "52b7c1 node1 pid:[4026531836]", boot: "", process: "4711-8813" })

/** Workers of a cluster that the process takes part in. */
const workers: ReadonlyArray<WorkerStatus> = [
  {
    _tag: "Connected",
    address: "node1.example:7433",
    since: 0,
    inHand: 64,
    ended: 120_400,
    perSecond: 1041.3,
    greetingMillis: 3,
    silentMillis: 200,
    isLeaving: false,
    refuses: []
  },
  {
    _tag: "Connected",
    address: "node2.example:7433",
    since: 0,
    inHand: 0,
    ended: 7,
    perSecond: 0,
    greetingMillis: 4,
    silentMillis: 3100,
    isLeaving: false,
    refuses: [["@fanout/ops/HashFile", "has another version of it, with other schemas"]]
  },
  { _tag: "Connecting", address: "node3.example:7433" },
  { _tag: "Unusable", address: "node4.example:7433", why: "can't be reached: connect ECONNREFUSED 10.0.0.4:7433" }
]

/** What the machine of the jobs is found to be. */
export const examination = {
  checks: [
    { what: "fanout", state: "ok", found: "1.0.0, on Node 24.21.0" },
    { what: "system calls", state: "ok", found: "by descriptor, through the C library" },
    { what: "open files", state: "lacking", found: "256: `ulimit -n 4096` lets more files be worked on at once" },
    { what: "/mnt/nas", state: "ok", found: "nfs4 at /mnt/nas, on another machine (nas:/photos)" },
    { what: "database", state: "broken", found: "/home/ann/.local/state/fanout/jobs.db is damaged: row 7 missing" }
  ],
  pools: [{ name: "io", size: 16, bounds: { least: 4, most: 64 }, why: "finds its size: 4 for each core" }]
} satisfies Api.Examination & Parameters<typeof linesOf>[0]

/** All that jobs and commands run on: real jobs, on files and in a store that are in memory. */
export const worldOf = (world: { isSlow: boolean }) => {
  const files = FaultyFiles.intercept(MemoryFiles.make(plant()), before(world))
  const programs = Layer.mergeAll(
    Copy.layer,
    Delete.layer,
    Hash.layer,
    Media.layer,
    Move.layer,
    Thumbnail.layer,
    Verify.layer,
    scheduled
  ).pipe(Layer.provide(decoders(world)))
  return JobManager.layer({ jobs: definitions, shutdownDeadline: 0, concurrency: 8 }).pipe(
    Layer.provide(programs),
    Layer.provide([HardLinks.layerNone, Layer.succeed(Trash.Trash, { trash: () => Effect.void })]),
    Layer.provideMerge(Layer.mergeAll(
      Layer.fresh(MemoryJobStore.layer),
      Pools.layer(),
      Layer.succeed(OwnerLiveness.OwnerLiveness, { self, isDead: () => Effect.succeed(false) }),
      Layer.succeed(LiveClusters, new Set([{ statuses: workers }])),
      Layer.succeed(Files.Files, { ...files, atOnce: () => Effect.succeedNone })
    ))
  )
}

export type World = JobManager.JobManager | JobStore | Files.Files | OwnerLiveness.OwnerLiveness

export const passing = (time: Parameters<typeof TestClock.adjust>[0]) =>
  Effect.andThen(settle, Effect.andThen(TestClock.adjust(time), settle))

export const copyOf = (destination: string) =>
  Copy.plan({
    sources: [photos],
    destination: p(destination),
    noTargetDirectory: destination === backup,
    conflict: destination === backup ? "error" : "changed"
  })

const moveOf = (name: string, destination: string) =>
  Copy.plan({
    sources: [p(`/home/ann/${name}`)],
    destination: p(destination),
    noTargetDirectory: false,
    conflict: "error",
    preserve: ["mode", "times"]
  })

const thumbnailsOf = Thumbnail.plan({
  sources: [photos],
  output: p("/home/ann/thumbnails"),
  variants: ThumbnailVariant.defaults,
  format: "webp"
})

/** Has jobs be done, fail, pause and run, of each command one that is over and one that runs. */
export const livedIn = (world: { isSlow: boolean }) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const folder = p("/home/ann")
    const args = ["copy", "--dereference", "-T", "Photos", "/mnt/backup/Photos"]
    yield* manager.schedule(ScheduledCommand.job, { args, folder }, { name: "nightly", cron: "1 17 * * *" })
    yield* manager.schedule(ScheduledCommand.job, { args: ["hash", "Music", "-o", "music.b3"], folder }, {
      name: "weekly",
      cron: "0 4 * * 0"
    })
    const copy = yield* manager.start(Copy.job, yield* copyOf(backup))
    const verify = yield* manager.start(
      Verify.job,
      yield* Verify.plan({ a: photos, b: backup, ignore: [], leaveOut: [] })
    )
    const request = { paths: [p("/home/ann/build")] as const, trash: false, oneFileSystem: true }
    const deletion = yield* manager.start(Delete.job, yield* Delete.plan(request))
    const move = yield* manager.start(Move.job, yield* moveOf("Music", "/mnt/nas"))
    const thumbnail = yield* manager.start(Thumbnail.job, yield* thumbnailsOf)
    const metadata = yield* manager.start(Media.job, yield* Media.plan({ sources: [photos], leaveOut: [] }))
    yield* passing("90 seconds")
    world.isSlow = true
    const hash = yield* manager.start(
      Hash.job,
      yield* Hash.plan({ sources: [photos], algorithm: "blake3", leaveOut: [] })
    )
    yield* passing("2 seconds")
    yield* manager.pause(hash.id)
    yield* passing("1 minute")
    const copying = yield* manager.start(Copy.job, yield* copyOf("/mnt/other"), { priority: 1 })
    const moving = yield* manager.start(Move.job, yield* moveOf("Downloads", "/mnt/nas"))
    const thumbnailing = yield* manager.start(Thumbnail.job, yield* thumbnailsOf)
    const reading = yield* manager.start(Media.job, yield* Media.plan({ sources: [photos], leaveOut: [], raw: true }))
    yield* passing("1 second")
    const parent = yield* manager.start(ScheduledCommand.job, { args: ["hash", "Photos", "--algo", "sha256"], folder })
    yield* passing("11 seconds")
    const [hashing = copy] = yield* manager.list({ parent: parent.id })
    const [tick = copy] = (yield* manager.list({ names: ["scheduled"] })).toReversed()
    return {
      resting: {
        copy: copy.id,
        verify: verify.id,
        deletion: deletion.id,
        move: move.id,
        thumbnail: thumbnail.id,
        metadata: metadata.id,
        hash: hash.id
      },
      running: {
        copying: copying.id,
        moving: moving.id,
        thumbnailing: thumbnailing.id,
        reading: reading.id,
        parent: parent.id,
        hashing: hashing.id
      },
      // Fibers of the manager draw this one and that of the child, and others each time.
      tick: tick.id
    }
  })

/** Ids of the jobs. */
export type Jobs = Effect.Success<ReturnType<typeof livedIn>>

/** Runs a command line on what there is, says what is wrong with it as the process does, and gives its exit code. */
export const command = (args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const services = Layer.succeedContext(yield* Effect.context<World>())
    const nothing = () => Effect.die(new Error("No command of these starts a job"))
    const host: Host.Host = {
      folder: p("/home/ann"),
      services,
      find: () => Effect.succeedNone,
      start: nothing,
      run: nothing
    }
    return yield* Command.runWith(cli, { version: "1" })(["--db", ":memory:", ...args]).pipe(
      Effect.provideService(Host.Current, host),
      Effect.provideService(CliOutput.Presenter, presenter),
      Effect.provideService(CliConfig.CliConfig, { builtIns: [Settings.help] }),
      Effect.provide(platform),
      Effect.as(ExitCode.success),
      Effect.catch((error) => {
        const { code, sentence } = error instanceof Stop.Stop ? error : Stop.withCode(ExitCode.usage)
        return Effect.as(sentence === "" ? Effect.void : View.complain(sentence), code)
      })
    )
  })

export const overview = (id: JobId) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const [found] = yield* manager.overview({ idPrefix: id })
    if (found === undefined) throw new Error(`There is no job ${id}`)
    const history = yield* manager.history(id)
    return { ...found, history, title: title(found.record) } satisfies BoardJob
  })
