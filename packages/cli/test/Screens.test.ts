import { assert, layer } from "@effect/vitest"
import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import * as CopyPreview from "@fanout/ops/CopyPreview"
import * as Delete from "@fanout/ops/Delete"
import * as DeletePreview from "@fanout/ops/DeletePreview"
import * as Files from "@fanout/ops/Files"
import type * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as path from "node:path"
import { afterAll, beforeAll, vi } from "vitest"
import * as ApiRows from "../src/api/ApiRows.ts"
import { cli } from "../src/Cli.ts"
import { linesOf } from "../src/commands/examination.ts"
import * as Process from "../src/host/Process.ts"
import * as DryRun from "../src/output/DryRun.ts"
import { board } from "../src/ui/board.ts"
import { progressLine, share } from "../src/ui/progressLine.ts"
import * as View from "../src/ui/View.ts"
import { rowsOf } from "./apiRows.ts"
import { eventLines } from "./eventLines.ts"
import {
  backup,
  command,
  copyOf,
  examination,
  type Jobs,
  livedIn,
  overview,
  photos,
  type World,
  worldOf
} from "./livedJobs.ts"
import { onTerminal } from "./terminal.ts"

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

/** Names of all commands below one. */
const namesBelow = ({ subcommands }: Command.Command.Any): ReadonlyArray<string> => {
  const commands = subcommands.flatMap(({ commands }) => commands)
  return [
    ...commands.map(({ name }) => name),
    ...commands.flatMap((command) => namesBelow(command).map((name) => `${command.name} ${name}`))
  ]
}

/** All screens, each behind what somebody types for it. */
const screens = (lived: Jobs): ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown, World>]> => [
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
    Effect.flatMap(columns, (columns) => View.print(linesOf(examination, false, columns).join("\n")))
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
  ...namesBelow(cli).map((name) => [`fanout ${name} --help`, command([...name.split(" "), "--help"])] as const)
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

/** Text without ids that are others each time. */
const known = (text: string, { running: { hashing }, tick }: Jobs): string =>
  text.replaceAll(tick, "of-the-tick-").replaceAll(hashing, "of-the-child")

/** Shows each screen on terminals of all widths before the next one: a change that was made before says the same. */
const shownOf = Effect.fnUntraced(function*(jobs: Jobs) {
  const parts: Record<typeof widths[number], Array<string>> = { 40: [], 80: [], 120: [] }
  for (const [name, screen] of screens(jobs)) {
    for (const columns of widths) {
      const text = yield* onTerminal(columns, screen)
      parts[columns].push(`$ ${name}\n${known(text, jobs).replaceAll(/ +$/gm, "")}`)
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

layer(lived, { timeout: "1 minute" })("jobs that have run for a while", (it) => {
  for (const columns of widths) {
    it.effect(`look on a terminal of ${columns} columns as they did`, ({ expect }) =>
      Effect.gen(function*() {
        const { shown } = yield* Lived
        const file = path.join(import.meta.dirname, "screens", `${columns}-columns.txt`)
        yield* Effect.promise(() => expect(shown[columns].join("\n")).toMatchFileSnapshot(file))
      }))
  }

  it.effect("are told of in the same way in each view", () =>
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

  // The last one has time pass, and a job run.
  for (const [name, rows] of [["api", rowsOf], ["events", eventLines]] as const) {
    it.effect(`tell programs what is in recorded/${name}.txt`, ({ expect }) =>
      Effect.gen(function*() {
        const { jobs } = yield* Lived
        const text = known(yield* rows(jobs), jobs)
        const file = path.join(import.meta.dirname, "recorded", `${name}.txt`)
        yield* Effect.promise(() => expect(text).toMatchFileSnapshot(file))
      }))
  }
})
