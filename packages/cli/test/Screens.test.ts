import { assert, describe, it } from "@effect/vitest"
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
import * as Trash from "@fanout/ops/Trash"
import * as Verify from "@fanout/ops/Verify"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
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
import * as ScheduledCommand from "../src/host/ScheduledCommand.ts"
import * as DryRun from "../src/output/DryRun.ts"
import { board, type BoardJob } from "../src/ui/board.ts"
import { title } from "../src/ui/jobText.ts"
import { progressLine } from "../src/ui/progressLine.ts"
import { complain, print } from "../src/ui/View.ts"
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
  for (const folder of [backup, `${backup}/2026`, "/mnt/other"]) disk.folder(folder)
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
  return world.isSlow && path.endsWith("IMG_4020.jpg") ? Effect.sleep("1 hour") : Effect.void
}

const definitions = [Copy.job, Delete.job, Hash.job, Verify.job, ScheduledCommand.job] as const

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
    Verify.layer,
    ScheduledCommand.job.toLayer(({ args }) =>
      args.includes("--dereference")
        ? Effect.fail(new ScheduledCommand.CommandFailed({ sentence: `There is nothing at "/media/ann/CAMERA"` }))
        : Effect.void
    )
  )
  return JobManager.layer({ jobs: definitions, shutdownDeadline: 0 }).pipe(
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

/** Has jobs be done, fail, pause and run, one of each command. */
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
    yield* passing("90 seconds")
    world.isSlow = true
    const hash = yield* manager.start(
      Hash.job,
      yield* Hash.plan({ sources: [photos], algorithm: "blake3", leaveOut: [] })
    )
    yield* passing("2 seconds")
    yield* manager.pause(hash.id)
    yield* passing("1 minute")
    const running = yield* manager.start(Copy.job, yield* copyOf("/mnt/other"), { priority: 1 })
    yield* passing("12 seconds")
    const [tick = copy] = yield* manager.list({ names: ["scheduled"] })
    return {
      shown: { copy: copy.id, verify: verify.id, deletion: deletion.id, hash: hash.id, running: running.id },
      // It is drawn by a fiber of the manager, and another one each time.
      tick: tick.id
    }
  })

type Jobs = Effect.Success<ReturnType<typeof livedIn>>["shown"]

/** Runs a command line on what there is, and says what is wrong with it as the process does. */
const command = (args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const services = Layer.succeedContext(yield* Effect.context<World>())
    const nothing = () => Effect.die(new Error("No command of these starts a job"))
    const host: Host.Host = { folder: p("/home/ann"), services, find: nothing, start: nothing, run: nothing }
    yield* Command.runWith(cli, { version: "1" })(["--db", ":memory:", ...args]).pipe(
      Effect.provideService(Host.Current, host),
      Effect.provideService(CliOutput.Presenter, presenter),
      Effect.provideService(CliConfig.CliConfig, { builtIns: [GlobalFlag.Help, GlobalFlag.Version] }),
      Effect.provide(platform),
      // Help is printed by the console.
      Effect.provideService(Console.Console, {
        ...console,
        log: (text: string) => void process.stdout.write(`${text}\n`)
      }),
      Effect.catch((error) =>
        error instanceof Stop.Stop && error.sentence !== "" ? complain(error.sentence) : Effect.void
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

/** What a line of progress looks like while a job runs. */
const progress = (id: JobId, columns: number) =>
  Effect.gen(function*() {
    const { progress } = yield* overview(id)
    yield* print(progressLine(progress, columns, { id, now: yield* Clock.currentTimeMillis }))
  })

const boardOf = (jobs: Jobs, columns: number) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const running = [yield* overview(jobs.running), yield* overview(jobs.hash)]
    const now = yield* Clock.currentTimeMillis
    const all = { jobs: running, counts: yield* manager.counts, selected: jobs.running, said: "", now }
    yield* print(board(all, { columns, rows: 12 }).join("\n"))
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

/** All screens, each behind what somebody types for it. */
const screens = (
  jobs: Jobs,
  columns: number
): ReadonlyArray<readonly [string, Effect.Effect<void, unknown, World>]> => [
  ["fanout --help", command(["--help"])],
  ["fanout copy --help", command(["copy", "--help"])],
  ["fanout jobs list --help", command(["jobs", "list", "--help"])],
  ["fanout copy Photos /mnt/other", progress(jobs.running, columns)],
  ["fanout hash Photos", progress(jobs.hash, columns)],
  ["fanout verify Photos /mnt/backup/Photos", progress(jobs.verify, columns)],
  ["fanout delete build", progress(jobs.deletion, columns)],
  ["fanout jobs list", command(["jobs", "list"])],
  ["fanout jobs list --state queued", command(["jobs", "list", "--state", "queued"])],
  ...Object.entries(jobs).flatMap(([name, id]) =>
    (name === "running" ? ["show", "logs"] : ["show", "watch", "logs"]).map((word) =>
      [`fanout jobs ${word} ${name}`, command(["jobs", word, id])] as const
    )
  ),
  ["fanout jobs show --all copy", command(["jobs", "show", "--all", jobs.copy])],
  ["fanout jobs show --limit 1 copy", command(["jobs", "show", "--limit", "1", jobs.copy])],
  ["fanout jobs processes", command(["jobs", "processes"])],
  ["fanout jobs watch", boardOf(jobs, columns)],
  ["fanout jobs set running", command(["jobs", "set", jobs.running, "--bandwidth", "20MB"])],
  ["fanout schedule list", command(["schedule", "list"])],
  ["fanout schedule show nightly", command(["schedule", "show", "nightly"])],
  ["fanout doctor", print(linesOf({ checks, pools }, false, columns).join("\n"))],
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
  ["fanout jobs set running", command(["jobs", "set", jobs.running])],
  ["fanout jobs prune --older-than soon", command(["jobs", "prune", "--older-than", "soon"])],
  ["fanout schedule show nihgtly", command(["schedule", "show", "nihgtly"])]
]

// Times are told as the clock on the wall shows them.
beforeAll(() => void vi.stubEnv("TZ", "UTC"))
afterAll(() => void vi.unstubAllEnvs())

/** Does something with what there is once jobs have run for a while. */
const afterAWhile = <A, E>(use: (lived: Effect.Success<ReturnType<typeof livedIn>>) => Effect.Effect<A, E, World>) => {
  const world = { isSlow: false }
  const lived = Effect.flatMap(livedIn(world), use)
  // Before anything waits: whoever looks each second would look all the years.
  return Effect.andThen(
    TestClock.setTime(Date.UTC(2026, 10, 29, 17, 0)),
    Effect.provide(Random.withSeed(lived, "screens"), worldOf(world))
  )
}

const parsed = (lines: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  lines.trim().split("\n").map((line) => JSON.parse(line))

describe("the terminal", () => {
  for (const columns of [40, 80, 120]) {
    it.effect(`shows all that it shows in ${columns} columns`, ({ expect }) =>
      afterAWhile(Effect.fnUntraced(function*({ shown, tick }) {
        const parts: Array<string> = []
        for (const [name, screen] of screens(shown, columns)) {
          const text = yield* onTerminal(columns, screen)
          parts.push(`$ ${name}\n${text.replaceAll(/ +$/gm, "").replaceAll(tick, "of-the-tick-")}`)
        }
        const file = path.join(import.meta.dirname, "screens", `${columns}-columns.txt`)
        yield* Effect.promise(() => expect(parts.join("\n")).toMatchFileSnapshot(file))
      })))
  }

  it.effect("says the same of a job in each view of it", () =>
    afterAWhile(Effect.fnUntraced(function*({ shown }) {
      const list = yield* onTerminal(500, command(["jobs", "list"]))
      const listed = parsed(yield* onTerminal(500, command(["jobs", "list", "--json"])))
      for (const [name, id] of Object.entries(shown)) {
        const row = ApiRows.job(yield* overview(id), ApiRows.nothingElse)
        const { done, elements, failed, folders, reasons, skipped, vanished } = row.progress
        const numbers = { done, elements, failed, folders, reasons, skipped, vanished }
        assert.deepInclude(listed.find((one) => one["id"] === id), numbers, name)
        assert.deepInclude(parsed(yield* onTerminal(500, command(["jobs", "show", id, "--json"])))[0], numbers, name)
        assert.include(list.split("\n").find((line) => line.startsWith(id)), `  ${row.counted}  `, name)
        assert.include(yield* onTerminal(500, command(["jobs", "show", id])), `\nprogress  ${row.counted}\n`, name)
        if (name === "running") continue
        const watched = command(["jobs", "watch", id])
        assert.include(yield* onTerminal(500, watched), `: ${row.counted}.`, name)
        const last = parsed(yield* onTerminal(500, command(["jobs", "watch", id, "--json"]))).at(-1)
        assert.deepInclude(last, { type: "summary", ...numbers }, name)
      }
      const [copy] = listed.slice(-1)
      const { done, elements, folders, vanished } = copy ?? {}
      // Folders have an end each. Of 31 files, 6 failed, and one vanished; the pipe was skipped.
      assert.deepStrictEqual({ done, elements, folders, vanished }, { done: 24, elements: 36, folders: 2, vanished: 1 })
    })))
})
