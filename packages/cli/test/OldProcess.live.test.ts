import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { command, watched } from "./command.ts"
import { contentsOf, env, freshPlace } from "./faults.ts"
import { oldCommand } from "./oldCommand.ts"

const files = 40

type Version = readonly [string, string]

const start = (place: string, [program, script]: Version, ...args: ReadonlyArray<string>) =>
  watched(spawn(program, [script, ...args], { env: env(place), cwd: place, stdio: ["ignore", "pipe", "pipe"] }))

const run = (place: string, [program, script]: Version, ...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(program, [script, ...args], {
    encoding: "utf8",
    env: env(place),
    cwd: place
  })
  assert.strictEqual(status, 0, `${args.join(" ")}: ${stderr}`)
  return stdout
}

interface Row {
  readonly id: string
  readonly state: string
}

/** A process of the one version runs a job, beside a process of the other one on the same database. */
const together = async (one: Version, other: Version) => {
  const { place, source, target } = freshPlace()
  fs.mkdirSync(source)
  for (let i = 0; i < files; i++) fs.writeFileSync(path.join(source, `file-${i}`), Buffer.alloc(200_000, i))
  const list = (version: Version): Row | undefined =>
    run(place, version, "jobs", "list", "--json").trim().split("\n").filter((line) => line !== "").map((line) =>
      JSON.parse(line)
    )[0]
  const until = async (state: string, version: Version): Promise<Row> => {
    for (let times = 0; times < 200; times++) {
      const row = list(version)
      if (row?.state === state) return row
      await setTimeout(100)
    }
    throw new Error(`the job is not ${state}: ${JSON.stringify(list(version))}`)
  }

  const first = start(place, one, "copy", "-T", source, target, "--bandwidth", "500K")
  const { id: job } = await until("Running", other)
  run(place, other, "jobs", "show", job)
  run(place, other, "jobs", "pause", job)
  await first.ended
  assert.strictEqual((await until("Paused", one)).id, job)

  const second = start(place, other, "jobs", "resume", job)
  await until("Running", one)
  run(place, one, "jobs", "pause", job)
  await second.ended
  await until("Paused", other)

  const third = start(place, one, "jobs", "resume", job)
  await until("Running", other)
  run(place, other, "jobs", "set", job, "--bandwidth", "off")
  third.child.kill("SIGKILL")
  await third.ended

  const last = await start(place, other, "jobs", "resume", job).ended
  assert.strictEqual(last.code, 0, last.stderr)
  for (const version of [one, other]) assert.strictEqual(list(version)?.state, "Completed")
  assert.deepStrictEqual(contentsOf(target), contentsOf(source))
  const shown = run(place, one, "jobs", "show", job)
  // What the killed process had placed and not recorded is found unchanged.
  const [copied, unchanged] = ["copied", "unchanged"].map((what) => new RegExp(`(\\d+) ${what}`).exec(shown)?.[1] ?? 0)
  assert.strictEqual(Number(copied) + Number(unchanged), files, shown)
  assert.notInclude(shown, "failed")
}

describe("two versions on one database", () => {
  it("let a job of the version before be watched, paused, resumed and taken over", async () => {
    await together(oldCommand, command)
  })

  it("let the version before do so with a job of this one", async () => {
    await together(command, oldCommand)
  })
})
