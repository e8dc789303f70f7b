import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { command } from "./command.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-doctor-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

const database = path.join(folder, "jobs.db")

const doctor = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [...command.slice(1), "doctor", ...args], {
    encoding: "utf8"
  })
  return { status, stderr, stdout, lines: stdout.split("\n") }
}

describe("fanout doctor", () => {
  it("tells the sizes of pools and their reasons, and makes no database", () => {
    const { lines, status, stderr } = doctor("--json", "--db", database, folder, "/proc")
    assert.deepStrictEqual([status, stderr], [0, ""])
    const found = lines.filter((line) => line !== "").map((line) => JSON.parse(line))
    const pools = found.filter(({ type }) => type === "pool")
    assert.deepStrictEqual(pools.map(({ name }) => name), ["cpu", "db", "io", "network"])
    assert.isTrue(pools.every(({ size, why }) => size >= 1 && why !== ""))
    assert.include(found.find(({ what }) => what === "/proc").found, "proc at /proc, in memory")
    assert.isFalse(fs.existsSync(database))
  })

  it("follows links, and says what is not there", () => {
    const link = path.join(folder, "link")
    fs.symlinkSync("/proc", link)
    const gone = path.join(folder, "gone")
    const { lines, status } = doctor("--json", "--db", database, link, gone)
    const found = lines.filter((line) => line !== "").map((line) => JSON.parse(line))
    assert.strictEqual(status, 0)
    assert.strictEqual(found.find(({ what }) => what === link).found, "/proc: proc at /proc, in memory (proc)")
    const { found: why, state } = found.find(({ what }) => what === gone)
    assert.match(`${state}: ${why}`, /^lacking: does not exist: .+ at \//)
  })

  it("says what is lacking without the programs that some work needs", () => {
    const { status, stdout } = spawnSync(process.execPath, [...command.slice(1), "doctor", "--db", database], {
      encoding: "utf8",
      env: { ...process.env, PATH: "" }
    })
    assert.strictEqual(status, 0)
    assert.match(stdout, /^- +ffmpeg +not found in PATH: videos get no thumbnails$/m)
  })

  it("names a job whose process is gone", async () => {
    const source = path.join(folder, "source")
    fs.writeFileSync(source, Buffer.alloc(2 ** 24))
    const words = ["copy", "--bandwidth", "1MiB", "--json", source, path.join(folder, "copy"), "--db", database]
    const child = spawn(process.execPath, [...command.slice(1), ...words])
    await once(child.stdout, "data")
    child.kill("SIGKILL")
    await once(child, "exit")
    await sleep(50)
    const { status, stdout } = doctor("--db", database)
    assert.strictEqual(status, 0)
    assert.match(stdout, /1 running/)
    assert.match(stdout, /has lost its process: `fanout jobs resume \w+` goes on with it/)
  })

  it("exits with 1 where the database is damaged", () => {
    const damaged = path.join(folder, "damaged.db")
    const bytes = fs.readFileSync(database)
    fs.writeFileSync(damaged, bytes.fill(0xff, 5000, bytes.length))
    const noise = path.join(folder, "noise.db")
    fs.writeFileSync(noise, Buffer.alloc(5000, 7))
    for (const file of [damaged, noise]) {
      const { status, stderr, stdout } = doctor("--db", file)
      assert.strictEqual(status, 1, stdout)
      assert.match(stdout, /^BAD +database/m)
      assert.strictEqual(stderr, "")
    }
  })

  it("refuses a name that is none", () => {
    assert.strictEqual(doctor("").status, 2)
  })
})
