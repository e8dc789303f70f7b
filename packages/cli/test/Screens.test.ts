import { assert, layer } from "@effect/vitest"
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
import * as CopyPreview from "@fanout/ops/CopyPreview"
import * as Delete from "@fanout/ops/Delete"
import * as DeletePreview from "@fanout/ops/DeletePreview"
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
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as path from "node:path"
import { afterAll, beforeAll, vi } from "vitest"
import { LiveClusters } from "../../core/src/internal/cluster/liveWorkers.ts"
import * as FaultyFiles from "../../ops/test/FaultyFiles.ts"
import * as MemoryFiles from "../../ops/test/MemoryFiles.ts"
import * as ApiRows from "../src/api/ApiRows.ts"
import { cli } from "../src/Cli.ts"
import { platform, presenter } from "../src/CommandLine.ts"
import { linesOf } from "../src/commands/examination.ts"
import * as Stop from "../src/exit/Stop.ts"
import * as Host from "../src/host/Host.ts"
import * as Process from "../src/host/Process.ts"
import * as ScheduledCommand from "../src/host/ScheduledCommand.ts"
import * as Settings from "../src/options/Settings.ts"
import * as DryRun from "../src/output/DryRun.ts"
import { board, type BoardJob } from "../src/ui/board.ts"
import { title } from "../src/ui/jobText.ts"
import { progressLine, share } from "../src/ui/progressLine.ts"
import * as View from "../src/ui/View.ts"
import { onTerminal } from "./terminal.ts"

const p = (text: string): FilePath.FilePath => FilePath.make(text)

const photos = p("/home/ann/Photos")
const backup = p("/mnt/backup/Photos")

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

/** All that jobs and commands run on: real jobs, on files and in a store that are in memory. */
const worldOf = (world: { isSlow: boolean }) => {
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

type World = JobManager.JobManager | JobStore | Files.Files | OwnerLiveness.OwnerLiveness

const passing = (time: Parameters<typeof TestClock.adjust>[0]) =>
  Effect.andThen(settle, Effect.andThen(TestClock.adjust(time), settle))

const copyOf = (destination: string) =>
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
const livedIn = (world: { isSlow: boolean }) =>
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
type Jobs = Effect.Success<ReturnType<typeof livedIn>>

/** Runs a command line on what there is, and says what is wrong with it as the process does. */
const command = (args: ReadonlyArray<string>) =>
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
    yield* Command.runWith(cli, { version: "1" })(["--db", ":memory:", ...args]).pipe(
      Effect.provideService(Host.Current, host),
      Effect.provideService(CliOutput.Presenter, presenter),
      Effect.provideService(CliConfig.CliConfig, { builtIns: [Settings.help] }),
      Effect.provide(platform),
      Effect.catch((error) =>
        error instanceof Stop.Stop && error.sentence !== "" ? View.complain(error.sentence) : Effect.void
      )
    )
  })

const overview = (id: JobId) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const [found] = yield* manager.overview({ idPrefix: id })
    if (found === undefined) throw new Error(`There is no job ${id}`)
    const history = yield* manager.history(id)
    return { ...found, history, title: title(found.record) } satisfies BoardJob
  })

const columns = Effect.sync(() => View.columns(Process.current().stdout))

/** What a line of progress looks like while a job runs. */
const progress = (id: JobId) =>
  Effect.gen(function*() {
    const { progress } = yield* overview(id)
    yield* View.print(progressLine(progress, yield* columns, { id, now: yield* Clock.currentTimeMillis }))
  })

const boardOf = ({ resting, running }: Jobs) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const jobs = yield* Effect.forEach([...Object.values(running), resting.hash], overview)
    const now = yield* Clock.currentTimeMillis
    const all = { jobs, counts: yield* manager.counts, selected: running.copying, said: "", now }
    yield* View.print(board(all, { columns: yield* columns, rows: 16 }).join("\n"))
  })

const checks: Parameters<typeof linesOf>[0]["checks"] = [
  { what: "fanout", state: "ok", found: "1.0.0, on Node 24.21.0" },
  { what: "system calls", state: "ok", found: "by descriptor, through the C library" },
  { what: "open files", state: "lacking", found: "256: `ulimit -n 4096` lets more files be worked on at once" },
  { what: "/mnt/nas", state: "ok", found: "nfs4 at /mnt/nas, on another machine (nas:/photos)" },
  { what: "database", state: "broken", found: "/home/ann/.local/state/fanout/jobs.db is damaged: row 7 missing" }
]
const pools: Parameters<typeof linesOf>[0]["pools"] = [{
  name: "io",
  size: 16,
  bounds: { least: 4, most: 64 },
  why: "finds its size: 4 for each core"
}]

const shown = { json: false, quiet: false }

/** What would be done, told of the first so many steps. */
const dryRun = <E extends object, T extends object>(
  steps: Stream.Stream<E, never, Files.Files>,
  telling: DryRun.Telling<E, T>,
  most: number
) =>
  Effect.flatMap(Files.Files, (files) =>
    Effect.ignore(
      DryRun.tell(Stream.provideService(Stream.take(steps, most), Files.Files, files), telling, shown)
    ))

/** Names of all commands. */
const names = [
  "copy move delete hash verify thumbnail metadata jobs schedule serve ui doctor new".split(" "),
  "list show watch logs pause resume cancel retry set prune work processes limit".split(" ")
    .map((word) => `jobs ${word}`),
  "add list show pause resume run remove".split(" ").map((word) => `schedule ${word}`),
  "new job"
].flat()

/** All screens, each behind what somebody types for it. */
const screens = (lived: Jobs): ReadonlyArray<readonly [string, Effect.Effect<void, unknown, World>]> => [
  ["fanout copy Photos /mnt/other", progress(lived.running.copying)],
  ["fanout move Downloads /mnt/nas", progress(lived.running.moving)],
  ["fanout thumbnail Photos thumbnails", progress(lived.running.thumbnailing)],
  ["fanout metadata --raw Photos", progress(lived.running.reading)],
  ["fanout hash Photos", progress(lived.running.hashing)],
  ["fanout verify Photos /mnt/backup/Photos", progress(lived.resting.verify)],
  ["fanout delete build", progress(lived.resting.deletion)],
  ["fanout jobs list", command(["jobs", "list"])],
  ["fanout jobs list --state queued", command(["jobs", "list", "--state", "queued"])],
  ...Object.entries(lived.resting).flatMap(([name, id]) =>
    ["show", "watch", "logs"].map((word) => [`fanout jobs ${word} ${name}`, command(["jobs", word, id])] as const)
  ),
  ...Object.entries(lived.running).map(([name, id]) =>
    [`fanout jobs show ${name}`, command(["jobs", "show", id])] as const
  ),
  ["fanout jobs logs copying", command(["jobs", "logs", lived.running.copying])],
  ["fanout jobs show --all copy", command(["jobs", "show", "--all", lived.resting.copy])],
  ["fanout jobs show --limit 1 copy", command(["jobs", "show", "--limit", "1", lived.resting.copy])],
  ["fanout jobs processes", command(["jobs", "processes"])],
  ["fanout jobs limit", command(["jobs", "limit"])],
  ["fanout jobs limit copy 2", command(["jobs", "limit", "copy", "2"])],
  ["fanout jobs limit club/Mailing 0", command(["jobs", "limit", "club/Mailing", "0"])],
  ["fanout jobs limit --rate api 1200.5", command(["jobs", "limit", "--rate", "api", "1200.5"])],
  ["fanout jobs limit", command(["jobs", "limit"])],
  ["fanout jobs limit --json", command(["jobs", "limit", "--json"])],
  ["fanout jobs limit copy off", command(["jobs", "limit", "copy", "off"])],
  ["fanout jobs limit --rate api off", command(["jobs", "limit", "--rate", "api", "off"])],
  ["fanout jobs limit copy 2.5", command(["jobs", "limit", "copy", "2.5"])],
  ["fanout jobs limit copy", command(["jobs", "limit", "copy"])],
  ["fanout jobs limit copy many", command(["jobs", "limit", "copy", "many"])],
  ["fanout jobs limit", command(["jobs", "limit"])],
  ["fanout jobs watch", boardOf(lived)],
  ["fanout jobs set copying", command(["jobs", "set", lived.running.copying, "--bandwidth", "20MB"])],
  ["fanout schedule list", command(["schedule", "list"])],
  ["fanout schedule show nightly", command(["schedule", "show", "nightly"])],
  [
    "fanout doctor",
    Effect.flatMap(columns, (columns) => View.print(linesOf({ checks, pools }, false, columns).join("\n")))
  ],
  [
    "fanout copy --dry-run Photos /mnt/backup/Photos",
    Effect.flatMap(copyOf(backup), (payload) => dryRun(CopyPreview.entries(payload), DryRun.copy("copy"), 9))
  ],
  [
    "fanout delete --dry-run Photos",
    Effect.flatMap(
      Delete.plan({ paths: [photos], trash: false, oneFileSystem: true }),
      (payload) => dryRun(DeletePreview.entries(payload), DryRun.remove, 4)
    )
  ],
  ["fanout jobs show nope", command(["jobs", "show", "nope"])],
  ["fanout jobs lst", command(["jobs", "lst"])],
  ["fanout jobs list --state done --sinec 1d", command(["jobs", "list", "--state", "done", "--sinec", "1d"])],
  ["fanout jobs set copying", command(["jobs", "set", lived.running.copying])],
  ["fanout jobs pause copy", command(["jobs", "pause", lived.resting.copy])],
  ["fanout jobs retry deletion", command(["jobs", "retry", lived.resting.deletion])],
  ["fanout jobs prune --older-than soon", command(["jobs", "prune", "--older-than", "soon"])],
  ["fanout schedule show nihgtly", command(["schedule", "show", "nihgtly"])],
  ["fanout schedule add nightly --cron '61 * * * *' -- copy a b", command(addition("61 * * * *", "copy", "a", "b"))],
  ["fanout schedule add nightly --cron @daily -- jobs list", command(addition("@daily", "jobs", "list"))],
  ["fanout delete gone", command(["delete", "gone"])],
  ["fanout copy Photos", command(["copy", "Photos"])],
  ["fanout move --conflict never a b", command(["move", "--conflict", "never", "a", "b"])],
  ["fanout hash --algo md6 Photos", command(["hash", "--algo", "md6", "Photos"])],
  ["fanout copy --bandwidth fast a b", command(["copy", "--bandwidth", "fast", "a", "b"])],
  ["fanout", command([])],
  ...names.map((name) => [`fanout ${name} --help`, command([...name.split(" "), "--help"])] as const)
]

const addition = (cron: string, ...words: ReadonlyArray<string>) => [
  "schedule",
  "add",
  "nightly",
  "--cron",
  cron,
  "--",
  ...words
]

// Times are told as the clock on the wall shows them.
beforeAll(() => void vi.stubEnv("TZ", "UTC"))
afterAll(() => void vi.unstubAllEnvs())

const widths = [40, 80, 120] as const

/** Shows each screen on terminals of all widths before the next one: a change that was made before says the same. */
const shownOf = Effect.fnUntraced(function*(jobs: Jobs) {
  const { running: { hashing }, tick } = jobs
  const parts: Record<typeof widths[number], Array<string>> = { 40: [], 80: [], 120: [] }
  for (const [name, screen] of screens(jobs)) {
    for (const columns of widths) {
      const text = yield* onTerminal(columns, screen)
      const known = text.replaceAll(tick, "of-the-tick-").replaceAll(hashing, "of-the-child")
      parts[columns].push(`$ ${name}\n${known.replaceAll(/ +$/gm, "")}`)
    }
  }
  return parts
})

/** Jobs that have run for a while, and all screens of them. */
class Lived extends Context.Service<Lived, {
  readonly jobs: Jobs
  readonly shown: Effect.Success<ReturnType<typeof shownOf>>
}>()("test/Lived") {}

const lived = Layer.suspend(() => {
  const world = { isSlow: false }
  const jobs = Random.withSeed(livedIn(world), "screens")
  return Layer.effect(
    Lived,
    Effect.flatMap(jobs, (jobs) => Effect.map(shownOf(jobs), (shown) => ({ jobs, shown })))
  ).pipe(
    Layer.provideMerge(worldOf(world)),
    // Before anything waits: whoever looks each second would look all the years.
    Layer.provide(Layer.effectDiscard(TestClock.setTime(Date.UTC(2026, 10, 29, 17, 0))))
  )
})

const parsed = (lines: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  lines.trim().split("\n").map((line) => JSON.parse(line))

layer(lived, { timeout: "1 minute" })("the terminal", (it) => {
  for (const columns of widths) {
    it.effect(`shows all that it shows in ${columns} columns`, ({ expect }) =>
      Effect.gen(function*() {
        const { shown } = yield* Lived
        const file = path.join(import.meta.dirname, "screens", `${columns}-columns.txt`)
        yield* Effect.promise(() => expect(shown[columns].join("\n")).toMatchFileSnapshot(file))
      }))
  }

  it.effect("says the same of a job in each view of it", () =>
    Effect.gen(function*() {
      const { jobs: { resting, running } } = yield* Lived
      const list = yield* onTerminal(500, command(["jobs", "list"]))
      const listed = parsed(yield* onTerminal(500, command(["jobs", "list", "--json"])))
      for (const [name, id] of Object.entries({ ...resting, ...running })) {
        // A command of a schedule has a job of its own, which counts.
        if (id === running.parent) continue
        const row = ApiRows.job(yield* overview(id), ApiRows.nothingElse)
        const { done, elements, failed, folders, reasons, skipped, vanished } = row.progress
        const numbers = { done, elements, failed, folders, reasons, skipped, vanished }
        assert.deepInclude(listed.find((one) => one["id"] === id), numbers, name)
        assert.deepInclude(parsed(yield* onTerminal(500, command(["jobs", "show", id, "--json"])))[0], numbers, name)
        assert.include(list.split("\n").find((line) => line.startsWith(id)), `  ${row.counted}  `, name)
        assert.include(yield* onTerminal(500, command(["jobs", "show", id])), `\nprogress  ${row.counted}\n`, name)
        if (name in running) {
          const done = share((yield* overview(id)).progress)
          assert.match(list.split("\n").find((line) => line.startsWith(id)) ?? "", new RegExp(` {2}${done} `), name)
          const told = yield* onTerminal(500, command(["jobs", "show", id]))
          assert.strictEqual(/^done {6}(.*)$/m.exec(told)?.[1], done, name)
          continue
        }
        const watched = command(["jobs", "watch", id])
        assert.include(yield* onTerminal(500, watched), `: ${row.counted}.`, name)
        const last = parsed(yield* onTerminal(500, command(["jobs", "watch", id, "--json"]))).at(-1)
        assert.deepInclude(last, { type: "summary", ...numbers }, name)
      }
      const [copy] = listed.slice(-1)
      const { done, elements, folders, vanished } = copy ?? {}
      // Folders have an end each. Of 31 files, 6 failed, and one vanished; the pipe was skipped.
      assert.deepStrictEqual({ done, elements, folders, vanished }, { done: 24, elements: 36, folders: 2, vanished: 1 })
    }))
})
