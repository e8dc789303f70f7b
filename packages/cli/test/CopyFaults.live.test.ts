import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { command } from "./command.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-faults-"))
const disk = path.join(folder, "disk")
const source = path.join(folder, "source")

const mount = (...options: ReadonlyArray<string>) => spawnSync("mount", [...options, disk]).status === 0
fs.mkdirSync(disk)
const mayMount = mount("-t", "tmpfs", "-o", "size=4m", "tmpfs")
if (mayMount) spawnSync("umount", [disk])

const run = (args: ReadonlyArray<string>) => {
  const db = path.join(folder, "jobs.db")
  const { status, stderr, stdout } = spawnSync(process.execPath, [...command.slice(1), ...args, "--db", db], {
    encoding: "utf8"
  })
  return { status, stderr, stdout }
}

const files = (root: string) => fs.readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted()

beforeAll(() => {
  fs.mkdirSync(path.join(source, "inner"), { recursive: true })
  for (let i = 0; i < 80; i++) fs.writeFileSync(path.join(source, "inner", `file-${i}`), Buffer.alloc(100_000, i))
})

afterEach(() => void spawnSync("umount", [disk]))

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe.skipIf(!mayMount)("fanout copy to a disk that is too small", () => {
  it.each<readonly [what: string, before: string, after: string]>([
    ["bytes", "size=4m", "size=64m"],
    ["inodes", "nr_inodes=40,size=64m", "nr_inodes=1000"]
  ])("is paused when it is out of %s, leaves what was there, and goes on when there is room", (what, before, after) => {
    assert.isTrue(mount("-t", "tmpfs", "-o", before, "tmpfs"))
    const target = path.join(disk, "copy")
    fs.mkdirSync(path.join(target, "inner"), { recursive: true })
    // The last one is there, and would be replaced.
    const old = path.join(target, "inner", "file-9")
    fs.writeFileSync(old, "the old one")

    const full = run(["copy", "-T", source, target])

    assert.strictEqual(full.status, 4, full.stderr)
    assert.match(full.stdout + full.stderr, /is paused.*disk/)
    assert.match(full.stdout + full.stderr, /jobs resume/)
    const [job = "{}"] = run(["jobs", "list", "--json"]).stdout.trim().split("\n")
    assert.include(JSON.parse(job), { state: "Paused", by: "disk" })
    assert.match(run(["jobs", "logs", JSON.parse(job).id]).stdout, /ENOSPC/, what)
    const there = files(target)
    assert.isTrue(there.every((name) => /^inner(\/file-\d+)?$/.test(name)), there.join())
    for (const name of there.filter((name) => name.includes("/"))) {
      const content = fs.readFileSync(path.join(target, name))
      assert.isTrue(
        content.equals(fs.readFileSync(path.join(source, name))) || (name === "inner/file-9" && content.length === 11),
        name
      )
    }

    assert.isTrue(mount("-o", `remount,${after}`))
    const resumed = run(["jobs", "resume", JSON.parse(job).id])
    assert.strictEqual(resumed.status, 0, resumed.stderr)
    const { status, stdout } = spawnSync("diff", ["-r", source, target], { encoding: "utf8" })
    assert.deepStrictEqual({ status, stdout }, { status: 0, stdout: "" })
  })

  it.each([[[]], [["--durable"]]])("leaves the old one of a large file that does not fit, with %j", (options) => {
    assert.isTrue(mount("-t", "tmpfs", "-o", "size=12m", "tmpfs"))
    const [from, target] = [path.join(folder, "large"), path.join(disk, "copy")]
    fs.mkdirSync(from, { recursive: true })
    fs.mkdirSync(target)
    fs.writeFileSync(path.join(from, "large"), Buffer.alloc(9 * 2 ** 20, "new"))
    const old = Buffer.alloc(6 * 2 ** 20, "old")
    fs.writeFileSync(path.join(target, "large"), old)

    const full = run(["copy", ...options, "-T", from, target])

    assert.strictEqual(full.status, 4, full.stderr)
    assert.match(full.stderr, /is paused because the disk is full/)
    assert.deepStrictEqual(fs.readdirSync(target), ["large"])
    assert.isTrue(fs.readFileSync(path.join(target, "large")).equals(old))
    assert.isTrue(mount("-o", "remount,size=64m"))
    const resumed = run(["copy", ...options, "-T", from, target])
    assert.strictEqual(resumed.status, 0, resumed.stderr)
    assert.deepStrictEqual(fs.readdirSync(target), ["large"])
    assert.strictEqual(spawnSync("diff", ["-r", from, target], { encoding: "utf8" }).stdout, "")
  })
})

const image = path.join(folder, "image")
const stick = path.join(folder, "stick")
const plug = () => spawnSync("mount", ["-o", "loop", image, stick]).status === 0
const mayPlug = mayMount && spawnSync("mkfs.ext4", ["-V"]).error === undefined

describe.skipIf(!mayPlug)("fanout copy from a disk that is unplugged", () => {
  afterEach(() => void spawnSync("umount", [stick]))

  it("is paused, counts nothing as vanished, and goes on when the disk is back", () => {
    fs.mkdirSync(stick)
    fs.writeFileSync(image, "")
    fs.truncateSync(image, 32 * 2 ** 20)
    assert.strictEqual(spawnSync("mkfs.ext4", ["-q", image]).status, 0)
    assert.isTrue(plug())
    fs.cpSync(source, path.join(stick, "photos"), { recursive: true })
    // It is paused for lack of room first, so that the disk can be unplugged meanwhile.
    assert.isTrue(mount("-t", "tmpfs", "-o", "size=4m", "tmpfs"))
    const args = ["copy", "-T", path.join(stick, "photos"), path.join(disk, "photos")]
    assert.strictEqual(run(args).status, 4)
    assert.isTrue(mount("-o", "remount,size=64m"))
    assert.strictEqual(spawnSync("umount", [stick]).status, 0)

    const unplugged = run(args)

    assert.strictEqual(unplugged.status, 4, unplugged.stderr)
    assert.match(unplugged.stdout + unplugged.stderr, /is paused.*device/)
    assert.notMatch(unplugged.stdout + unplugged.stderr, /vanished|failed/)
    assert.isTrue(plug())
    const { status, stderr } = run(args)
    assert.strictEqual(status, 0, stderr)
    const same = spawnSync("diff", ["-r", path.join(stick, "photos"), path.join(disk, "photos")], { encoding: "utf8" })
    assert.deepStrictEqual([same.status, same.stdout], [0, ""])
  })
})
