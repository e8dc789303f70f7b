import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { isLong } from "../../../test/effort.ts"
import { commandLine, runCommand } from "./command.ts"
import { slowly } from "./faults.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-cache-"))
const tree = path.join(folder, "tree")
const inFolder = isLong ? 100 : 50
const fileCount = 12 * inFolder
const told = (count: number) => count.toLocaleString("en")
const isInstalled = (program: string) => spawnSync(program, ["--version"]).error === undefined

// Where nothing names the file system nothing is remembered.
const type = spawnSync("stat", ["-f", "-c", "%t", folder], { encoding: "utf8" }).stdout.trim()
const hasName = process.platform === "linux" && ["ef53", "9123683e", "1021994"].includes(type)

let count = 0
const database = () => path.join(folder, `state-${count++}`, "jobs.db")

const argv = (db: string, args: ReadonlyArray<string>, prefix?: ReadonlyArray<string>) =>
  commandLine(["--db", db, "hash", ...args], prefix)

const run = (db: string, args: ReadonlyArray<string>, prefix: ReadonlyArray<string> = []) =>
  runCommand(["--db", db, "hash", ...args], { folder, prefix })

beforeAll(async () => {
  for (let i = 0; i < 12; i++) {
    const inner = path.join(tree, `folder-${i}`)
    fs.mkdirSync(inner, { recursive: true })
    for (let j = 0; j < inFolder; j++) fs.writeFileSync(path.join(inner, `file-${j}`), `${i} ${j}\n`.repeat(j))
  }
  // Files that were written within the last two seconds are not remembered.
  await setTimeout(2100)
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe.skipIf(!hasName)("fanout hash --cache", () => {
  it("prints the same as without, the first time and the second, which takes all from the cache", () => {
    const plain = run(database(), ["tree"])
    const db = database()
    const first = run(db, ["--cache", "tree"])
    const second = run(db, ["--cache", "tree"])
    assert.deepStrictEqual([first.status, first.stdout], [0, plain.stdout], first.stderr)
    assert.deepStrictEqual([second.status, second.stdout], [0, plain.stdout], second.stderr)
    assert.match(first.stderr, new RegExp(`: ${told(fileCount)} hashed, [\\d.]+ KiB in`))
    assert.match(second.stderr, new RegExp(`: ${told(fileCount)} hashed, ${told(fileCount)} from the cache in`))
    const { stderr } = run(db, ["--cache", "--algo", "md5", "tree"])
    assert.notMatch(stderr, /from the cache/)
    assert.notMatch(run(db, ["tree"]).stderr, /from the cache/)
  })

  it.skipIf(!isInstalled("strace"))("opens each file the second time, and reads none", () => {
    const db = database()
    const trace = path.join(folder, "trace")
    const calls = (args: ReadonlyArray<string>) => {
      const through = ["strace", "-f", "-y", "-s0", "-o", trace, "-e", "trace=read,pread64,fstatfs"]
      const { status, stderr } = run(db, args, through)
      assert.strictEqual(status, 0, stderr)
      const ours = fs.readFileSync(trace, "utf8").split("\n").filter((line) => line.includes(`<${tree}/folder-`))
      return {
        reads: ours.filter((line) => /\bp?read(64)?\(/.test(line)).length,
        asked: ours.filter((line) => /\bfstatfs\(/.test(line)).length
      }
    }
    assert.deepStrictEqual(calls(["--cache", "tree"]), { reads: fileCount, asked: fileCount })
    assert.deepStrictEqual(calls(["--cache", "tree"]), { reads: 0, asked: fileCount })
  })

  it("reads what was written, although its time was set back", async () => {
    const db = database()
    const file = path.join(tree, "folder-7", "file-40")
    const before = run(db, ["--cache", "tree"]).stdout
    const { atimeNs, mtimeNs, size } = fs.statSync(file, { bigint: true })
    const written = Date.now()
    fs.writeFileSync(file, "x".repeat(Number(size)))
    const set = spawnSync("touch", ["-d", `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs).slice(-9)}`, file])
    assert.strictEqual(set.status, 0)
    assert.strictEqual(fs.statSync(file, { bigint: true }).mtimeNs, mtimeNs)
    assert.isAbove(Number(atimeNs), 0)

    const after = run(db, ["--cache", "tree"])
    const isYoung = Date.now() < written + 2000
    assert.match(after.stderr, new RegExp(`${told(fileCount - 1)} from the cache`))
    assert.strictEqual(after.stdout, run(database(), ["tree"]).stdout)
    assert.notStrictEqual(after.stdout, before)
    const again = run(db, ["--cache", "tree"])
    // It was too young to be remembered, unless that took long.
    if (isYoung) assert.match(again.stderr, new RegExp(`${told(fileCount - 1)} from the cache`))
    await setTimeout(2100)
    run(db, ["--cache", "tree"])
    assert.match(run(db, ["--cache", "tree"]).stderr, new RegExp(`${told(fileCount)} from the cache`))
  })

  it("remembers of a run that was killed what it has recorded, and goes on", async () => {
    const db = database()
    const expected = run(database(), ["tree"]).stdout
    const child = spawn(...argv(db, ["--cache", "tree"], slowly("openat", "5ms")), {
      cwd: folder,
      stdio: ["ignore", "pipe", "ignore"]
    })
    const closed = once(child, "close")
    await once(child.stdout, "data")
    child.kill("SIGKILL")
    await closed

    const other = run(db, ["--cache", "tree", "tree/folder-3"])
    assert.match(other.stderr, /from the cache/)
    const second = run(db, ["--cache", "tree"])
    assert.deepStrictEqual([second.status, second.stdout], [0, expected], second.stderr)
    assert.match(run(db, ["--cache", "tree"]).stderr, new RegExp(`${told(fileCount)} from the cache`))
  })

  it("is refused where the database is gone with the command", () => {
    const { status, stderr } = run(":memory:", ["--cache", "tree"])
    assert.strictEqual(status, 2)
    assert.match(stderr, /nothing of it would be there/)
  })

  it("is made once by commands that need it at the same time", async () => {
    const db = database()
    const codes = await Promise.all([0, 1, 2].map(async (i) => {
      const child = spawn(...argv(db, ["--cache", `tree/folder-${i}`]), { cwd: folder, stdio: "ignore" })
      await once(child, "close")
      return child.exitCode
    }))
    assert.deepStrictEqual(codes, [0, 0, 0])
    assert.match(run(db, ["--cache", "tree"]).stderr, new RegExp(`${3 * inFolder} from the cache`))
  })

  it("is what tells one command from another that goes on with a job", () => {
    const db = database()
    run(db, ["--cache", "tree"])
    const { stdout } = spawnSync(...commandLine(["--db", db, "jobs", "list", "--json"]), {
      encoding: "utf8"
    })
    const [id = ""] = /[0-9a-z]{12}/.exec(stdout) ?? []
    const shown = spawnSync(...commandLine(["--db", db, "jobs", "show", id]), {
      encoding: "utf8"
    })
    assert.match(shown.stdout, /with blake3 or from the cache/)
  })
})
