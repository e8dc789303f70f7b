import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import { rows } from "../../../test/rows.ts"
import type { Instead } from "./clusterInstead.ts"
import { Process, startWorkers, until } from "./clusterProcesses.ts"
import type { Registry } from "./clusterTasks.ts"
import { programs } from "./postgresProcess.ts"
import { PostgresDatabase } from "./postgresServer.ts"

const root = path.resolve(import.meta.dirname, "../../..")
const pictures = path.join(root, "examples/images/tasks.ts")
const home = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-programs-"))
const work = path.join(home, "work")
const seals = path.join(home, "seals")

interface Program {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly database: string
}

const digestOf = (file: string): string => createHash("sha256").update(fs.readFileSync(file)).digest("hex")

/** Runs a program in a new folder, and gives what it prints, its files, and what is recorded of its job. */
const comesTo = ({ args, database, file }: Program, instead: Instead) =>
  Effect.gen(function*() {
    fs.rmSync(work, { recursive: true, force: true })
    fs.mkdirSync(work)
    const { output } = yield* Effect.acquireUseRelease(
      Effect.sync(() =>
        new Process(file, args, {
          NODE_OPTIONS: `--import=${new URL("./clusterInstead.ts", import.meta.url).href}`,
          FANOUT_INSTEAD: JSON.stringify(instead)
        }, ["env", "--chdir", work])
      ),
      (program) => Effect.as(until("end", () => !program.isAlive, 240_000), program),
      ({ end }) => end
    )
    const files = fs.readdirSync(work).filter((name) => !name.startsWith(database)).toSorted()
    const recorded = (sql: string) => rows(path.join(work, database), sql)
    return {
      // Without what the runtime logs, which is about threads.
      prints: output.split("\n").filter((line) => !line.startsWith("[")),
      files: files.map((name) => [name, digestOf(path.join(work, name))]),
      jobs: recorded("select name, state, exit, token from fanout_jobs"),
      fanOuts: recorded("select name, checkpoint from fanout_checkpoints order by name"),
      outcomes: recorded(
        "select fan_out, cursor, key, tag, payload, outcome, attempt from fanout_outcomes order by fan_out, cursor"
      )
    }
  })

describe.skipIf(programs === undefined)("programs for threads", () => {
  let database: PostgresDatabase
  beforeAll(async () => {
    database = await PostgresDatabase.open()
    const chapter = fs.readFileSync(path.join(root, "docs/guide/06-cpu.md"), "utf8")
    fs.mkdirSync(seals)
    fs.symlinkSync(path.join(root, "node_modules"), path.join(seals, "node_modules"))
    for (const [, name = "", text = ""] of chapter.matchAll(/^```ts\n\/\/ file: (\S+)\n([\s\S]*?)^```$/gm)) {
      fs.writeFileSync(path.join(seals, name), text)
    }
  })
  afterAll(() => fs.rmSync(home, { recursive: true }))

  /** What a program comes to on each of these places. */
  const onEach = Effect.fnUntraced(
    function*(program: Program, module: string, places: ReadonlyArray<Instead["place"]>) {
      const registry: Registry = yield* database.schema
      yield* startWorkers(registry, 3, { tasks: { module }, cpu: 1 })
      return yield* Effect.forEach(places, (place) => comesTo(program, { place, registry, module }))
    }
  )

  it.live("come to the same on fibers, threads, processes and workers", () =>
    Effect.gen(function*() {
      const program = { file: path.join(seals, "sealMain.ts"), args: [], database: "club.db" }
      const module = path.join(seals, "seal.ts")
      const [first, ...others] = yield* onEach(program, module, ["fibers", "threads", "processes", "workers"])

      assert.match(first?.prints.join("\n") ?? "", /^200 seals, \d+ hashes\n$/)
      for (const other of others) assert.deepStrictEqual(other, first)
    }))

  // Each place takes some 9 seconds of processor time.
  const places = isLong ? ["threads", "fibers", "processes", "workers"] as const : ["threads", "workers"] as const
  it.live("draw the same pictures", () =>
    Effect.gen(function*() {
      const program = { file: path.join(root, "examples/images/main.ts"), args: [work], database: "jobs.db" }
      const [first, ...others] = yield* onEach(program, pictures, places)

      assert.deepStrictEqual(first?.prints, ["Started", "160 drawn, 160 shrunk, 4 strips", ""])
      assert.deepStrictEqual([first?.files.length, first?.outcomes.length], [324, 324])
      for (const other of others) assert.deepStrictEqual(other, first)
    }), 1_200_000)
})
