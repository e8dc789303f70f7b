import { afterAll, assert, describe, it, type TestContext } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { mount } from "../../../bench/internal/slowFileSystem.ts"
import { startStopwatch } from "../../../test/stopwatch.ts"
import { command } from "./command.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-stuck-"))
const db = path.join(folder, "state", "jobs.db")

const argv = (args: ReadonlyArray<string>) => [...command.slice(1), "--db", db, ...args]

const jobs = (): string => spawnSync(process.execPath, argv(["jobs", "list", "--json"]), { encoding: "utf8" }).stdout

/** Starts a command, and presses Ctrl-C once its job has been running for a moment. */
const interrupt = async (args: ReadonlyArray<string>, presses: number) => {
  const child = spawn(process.execPath, argv(args), { cwd: folder, stdio: ["ignore", "pipe", "pipe"] })
  let text = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => text += chunk.toString())
  const exited = once(child, "exit")
  while (child.exitCode === null && !jobs().includes("\"state\":\"Running\"")) await setTimeout(100)
  await setTimeout(500)
  const elapsed = startStopwatch()
  for (let i = 0; i < presses; i++) {
    child.kill("SIGINT")
    await setTimeout(200)
  }
  const [code]: ReadonlyArray<unknown> = await exited
  return { code, text, millis: elapsed() }
}

/** Runs a test with files on a file system that never answers who reads one, where it can be mounted. */
const onDeadMount = async (skip: TestContext["skip"], test: (dead: string) => Promise<void>): Promise<void> => {
  const dead = fs.mkdtempSync(path.join(folder, "dead-"))
  const unmount = await mount(dead, 0, "read")
  if (typeof unmount === "string") return skip(unmount)
  try {
    for (const name of ["a", "b", "c"]) fs.writeFileSync(path.join(dead, name), name)
    await test(dead)
  } finally {
    unmount()
  }
}

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("a call that never returns", () => {
  it(
    "holds up neither a hash that is stopped nor its exit code",
    ({ skip }) =>
      onDeadMount(skip, async (dead) => {
        const { code, millis, text } = await interrupt(["hash", dead, "--json"], 1)
        assert.strictEqual(code, 130, text)
        assert.isBelow(millis, 4000)
        assert.match(text, /"code":130/)
        assert.match(jobs(), /"state":"Paused"/)
      })
  )

  it("ends a copy with the second Ctrl-C", ({ skip }) =>
    onDeadMount(skip, async (dead) => {
      const { code, millis, text } = await interrupt(["copy", dead, "copied", "--json"], 2)
      assert.strictEqual(code, 130, text)
      assert.isBelow(millis, 4000)
    }))
})
