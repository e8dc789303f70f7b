import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { stride } from "../../../test/effort.ts"
import { command, runCommand } from "./command.ts"
import { hasStrace, meeting } from "./faults.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-move-"))
const disk = path.join(folder, "disk")
fs.mkdirSync(disk)
const mayMount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=200m", "tmpfs", disk]).status === 0

afterAll(() => {
  spawnSync("umount", [disk])
  fs.rmSync(folder, { recursive: true })
})

const db = path.join(folder, "jobs.db")
const argv = (args: ReadonlyArray<string>) => [...command.slice(1), ...args, "--db", db]
const run = (...args: ReadonlyArray<string>) => runCommand([...args, "--db", db])

/** What a tree is: kind, mode, time and content of each path. */
const treeOf = (root: string): Map<string, string> => {
  const tree = new Map<string, string>()
  if (!fs.existsSync(root)) return tree
  for (const name of ["", ...fs.readdirSync(root, { recursive: true, encoding: "utf8" })]) {
    const at = path.join(root, name)
    const stat = fs.lstatSync(at, { bigint: true })
    const content = stat.isFile()
      ? fs.readFileSync(at, "latin1")
      : stat.isSymbolicLink()
      ? `-> ${fs.readlinkSync(at)}`
      : "a folder"
    tree.set(name, `${stat.mode} ${stat.isDirectory() ? "" : stat.mtimeNs} ${content}`)
  }
  return tree
}

const plant = (root: string): void => {
  for (let i = 0; i < 10; i++) {
    const inner = path.join(root, `folder-${i}`)
    fs.mkdirSync(inner, { recursive: true, mode: 0o750 })
    for (let j = 0; j < 30; j++) {
      const file = path.join(inner, `file-${j}`)
      fs.writeFileSync(file, `${i} ${j} `.repeat(1 + 50 * j))
      fs.utimesSync(file, 1_600_000_000 + i, 1_600_000_000.123 + j)
    }
    fs.symlinkSync("file-0", path.join(inner, "link"))
  }
  fs.linkSync(path.join(root, "folder-0/file-0"), path.join(root, "folder-9/again"))
  fs.writeFileSync(path.join(root, "large"), Buffer.alloc(20_000_000, 3))
}

describe("fanout move", () => {
  it("is another name on the same file system", () => {
    const [source, target] = [path.join(folder, "here"), path.join(folder, "there")]
    plant(source)
    const original = treeOf(source)
    const { ino } = fs.statSync(source)

    const { status, stderr, stdout } = run("move", "-T", source, target)

    assert.strictEqual(status, 0, stderr)
    assert.match(stdout, /1 moved/)
    assert.isFalse(fs.existsSync(source))
    assert.strictEqual(fs.statSync(target).ino, ino)
    assert.deepStrictEqual(treeOf(target), original)
  })

  it.skipIf(!mayMount)("takes all with it to another file system, and from there into a folder that is there", () => {
    const [source, target] = [path.join(folder, "to the disk"), path.join(disk, "on the disk")]
    plant(source)
    const [original, names] = [treeOf(source), 10 * 31 + 2]

    const across = run("move", "-T", source, target)

    assert.strictEqual(across.status, 0, across.stderr)
    assert.match(across.stdout, new RegExp(`: ${names} moved, 11 folders, 301 verified`))
    assert.isFalse(fs.existsSync(source))
    assert.deepStrictEqual(treeOf(target), original)

    const merged = path.join(disk, "merged")
    fs.mkdirSync(merged, { mode: 0o755 })
    const within = run("move", "-T", target, merged)

    assert.strictEqual(within.status, 0, within.stderr)
    assert.match(within.stdout, new RegExp(`: ${names} moved, 11 folders`))
    assert.isFalse(fs.existsSync(target))
    original.delete("")
    const moved = treeOf(merged)
    moved.delete("")
    assert.deepStrictEqual(moved, original)
    fs.rmSync(merged, { recursive: true })
  })

  it("merges into a folder that is there, and says what it would do", () => {
    const [source, target] = [path.join(folder, "more"), path.join(folder, "merged")]
    fs.mkdirSync(path.join(source, "inner"), { recursive: true })
    fs.mkdirSync(path.join(target, "inner"), { recursive: true })
    for (const name of ["a", "inner/b"]) fs.writeFileSync(path.join(source, name), `new ${name}`)
    fs.writeFileSync(path.join(target, "inner", "b"), "the old one")
    fs.writeFileSync(path.join(target, "inner", "c"), "stays")

    const dry = run("move", "--dry-run", "-T", source, target)
    assert.strictEqual(dry.status, 0)
    assert.match(
      dry.stdout,
      /create +.*merged\/a\nreplace +.*merged\/inner\/b\nNothing was done\. 1 would be created, 1/
    )
    assert.strictEqual(run("move", "--conflict", "skip", "-T", source, target).status, 0)
    assert.deepStrictEqual(fs.readdirSync(source, { recursive: true }), ["inner", "inner/b"])
    assert.strictEqual(run("move", "-T", source, target).status, 0)
    assert.isFalse(fs.existsSync(source))
    assert.strictEqual(fs.readFileSync(path.join(target, "inner", "b"), "utf8"), "new inner/b")
    assert.deepStrictEqual(fs.readdirSync(path.join(target, "inner")), ["b", "c"])
  })

  it("refuses what can't be", () => {
    const source = path.join(folder, "a folder")
    fs.mkdirSync(source)
    assert.strictEqual(run("move", source).status, 2)
    assert.strictEqual(run("move", source, path.join(source, "inner")).status, 2)
    assert.strictEqual(run("move", path.join(folder, "nothing"), folder).status, 2)
    const dot = run("move", `${source}/.`, path.join(folder, "elsewhere"))
    assert.strictEqual(dot.status, 2)
    assert.match(dot.stderr, /name the folder itself/)
    fs.symlinkSync(source, path.join(folder, "link"))
    const link = run("move", `${path.join(folder, "link")}/`, path.join(folder, "elsewhere"))
    assert.strictEqual(link.status, 2)
    assert.match(link.stderr, /is a link/)
    assert.isTrue(fs.existsSync(source))
  })

  it.skipIf(!mayMount)("has each file whole in one place, whenever it is killed, and goes on", async () => {
    const [source, target] = [path.join(folder, "source"), path.join(disk, "target")]
    plant(source)
    const original = treeOf(source)
    const args = ["move", "-T", source, target]
    let kills = 0
    for (let round = 0; round < 12; round += stride(3)) {
      const moving = spawn(process.execPath, argv(args), { stdio: "ignore" })
      const ended = new Promise((resolve) => moving.once("exit", resolve))
      // Some before it begins, some right after a file was removed.
      const timer = setTimeout(() => moving.kill("SIGKILL"), 80 + 25 * round)
      await ended
      clearTimeout(timer)
      if (moving.signalCode === "SIGKILL") kills++
      const [here, there] = [treeOf(source), treeOf(target)]
      for (const [name, what] of original) {
        if (what.endsWith("a folder")) continue
        assert.isTrue(here.get(name) === what || there.get(name) === what, `${name} after ${round}`)
      }
      if (moving.exitCode === 0) break
    }
    assert.isAbove(kills, 1)

    const { status, stderr } = fs.existsSync(source) ? run(...args) : { status: 0, stderr: "" }

    assert.strictEqual(status, 0, stderr)
    assert.isFalse(fs.existsSync(source))
    assert.deepStrictEqual(treeOf(target), original)
    const inodes = ["folder-0/file-0", "folder-9/again"].map((name) => fs.statSync(path.join(target, name)).ino)
    assert.strictEqual(inodes[0], inodes[1])
  })

  it.skipIf(!mayMount || !hasStrace)(
    "has a source by its name again where it is cancelled after a kill right before that was to be removed",
    async () => {
      const [source, target] = [path.join(folder, "put aside"), path.join(disk, "cancelled")]
      fs.mkdirSync(path.join(source, "inner"), { recursive: true })
      for (const name of ["a", "b"]) fs.writeFileSync(path.join(source, "inner", name), `text of ${name}`)
      const held = meeting({ calls: ["renameat"], fault: "delay_exit=60s", paths: [source] })
      const [file = "", ...rest] = [...held, process.execPath, ...argv(["move", "-T", source, target])]
      const child = spawn(file, rest, { stdio: "ignore", detached: true })
      const isAside = () => fs.readdirSync(source).some((name) => fs.existsSync(path.join(source, name, "inner", "a")))
      while (!isAside()) {
        assert.isNull(child.exitCode)
        await sleep(10)
      }
      process.kill(-(child.pid ?? 0), "SIGKILL")
      await once(child, "close")

      const [, id = ""] = /^(\S+) .*move/m.exec(run("jobs", "list").stdout) ?? []
      const { status, stderr } = run("jobs", "cancel", id)

      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(fs.readdirSync(source), ["inner"])
      for (const name of ["a", "b"]) {
        assert.strictEqual(fs.readFileSync(path.join(source, "inner", name), "utf8"), `text of ${name}`)
      }
      assert.deepStrictEqual(fs.readdirSync(target).filter((name) => name.startsWith(".")), [])
    }
  )
})
