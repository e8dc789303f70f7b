import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { command, runCommand } from "./command.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-trust-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

const db = path.join(folder, "jobs.db")
const argv = (args: ReadonlyArray<string>) => [...command.slice(1), ...args, "--db", db]
const run = (...args: ReadonlyArray<string>) => runCommand([...args, "--db", db])

const out = (program: string, ...args: ReadonlyArray<string>): string =>
  spawnSync(program, args, { encoding: "utf8" }).stdout

const isRoot = process.getuid?.() === 0
const hasTools = ["setfattr", "setfacl", "getfattr", "getfacl"].every((tool) =>
  spawnSync(tool, ["--version"]).error === undefined
)
/** What tells one tree from another, in one text. */
const everythingOf = (root: string): string =>
  [
    out("find", root, "-printf", "%P %y %m %U %G %s %T@ %l\n").split("\n").toSorted((a, b) => a < b ? -1 : 1).join(
      "\n"
    ),
    out("getfattr", "-R", "-P", "-h", "-d", "-m", "^(user|trusted)", root).replaceAll(root, ""),
    out("getfacl", "-R", "-P", "-n", "-p", root).replaceAll(root, "")
  ].join("\n").replaceAll(path.basename(root), "")

describe("fanout copy --preserve", () => {
  const source = path.join(folder, "everything")
  const target = path.join(folder, "copy")

  it.skipIf(!isRoot || !hasTools)("keeps all that a tree has, and holes are no content", () => {
    fs.mkdirSync(path.join(source, "inner", "empty"), { recursive: true })
    const at = (name: string) => path.join(source, name)
    for (const name of ["a", "b", "inner/c"]) fs.writeFileSync(at(name), `text of ${name}`)
    fs.linkSync(at("a"), at("inner/a again"))
    fs.linkSync(at("a"), at("inner/empty/a once more"))
    fs.symlinkSync("../nowhere", at("inner/link"))
    spawnSync("truncate", ["-s", "1G", at("holes")])
    const holes = fs.openSync(at("holes"), "r+")
    fs.writeSync(holes, "in the middle", 500_000_000)
    fs.closeSync(holes)
    fs.chownSync(at("b"), 1234, 5678)
    fs.lchownSync(at("inner/link"), 12, 34)
    fs.chownSync(at("inner"), 56, 78)
    fs.chmodSync(at("b"), 0o6751)
    spawnSync("setfattr", ["-n", "user.k", "-v", "value", at("a")])
    spawnSync("setfattr", ["-n", "user.of a folder", "-v", "0x00ff", at("inner")])
    spawnSync("setfattr", ["-h", "-n", "trusted.of a link", "-v", "0x00ff", at("inner/link")])
    spawnSync("setfacl", ["-m", "u:4321:rw", at("b")])
    spawnSync("setfacl", ["-d", "-m", "g:4321:rx", at("inner")])
    for (const name of ["inner/empty", "inner", "."]) fs.utimesSync(at(name), 1_500_000_000, 1_500_000_000.123456)

    const { status, stderr } = run("copy", "--preserve", "all", "-T", source, target)

    assert.strictEqual(status, 0, stderr)
    assert.strictEqual(stderr, "")
    assert.strictEqual(everythingOf(target), everythingOf(source))
    assert.strictEqual(out("diff", "-r", "--no-dereference", source, target), "")
    assert.strictEqual(
      fs.statSync(path.join(target, "inner/empty/a once more")).ino,
      fs.statSync(path.join(target, "a")).ino
    )
    assert.isBelow(fs.statSync(path.join(target, "holes")).blocks * 512, 2 ** 20)

    // Without owners folders are copied with all that is in them.
    const whole = path.join(folder, "copied whole")
    assert.strictEqual(run("copy", "--preserve", "mode,times,xattr", "-T", source, whole).status, 0)
    const attributes = (root: string) =>
      out("getfattr", "-h", "-m", "trusted", "-d", path.join(root, "inner/link")).replace(/^#.*/, "")
    assert.strictEqual(attributes(whole), attributes(source))
  })

  it.skipIf(!isRoot || !hasTools)("keeps modes where folders have files inherit others", () => {
    const modes = [0o644, 0o664, 0o644, 0o600]
    const plain = path.join(folder, "plain")
    const strict = path.join(folder, "strict")
    for (const at of [plain, strict]) fs.mkdirSync(at)
    modes.forEach((mode, index) => {
      fs.writeFileSync(path.join(plain, `${index}`), "text")
      fs.chmodSync(path.join(plain, `${index}`), mode)
    })
    // Nobody else may read what is made in there.
    spawnSync("setfacl", ["-d", "-m", "u::rwx,u:4321:rw,g::---,m::rw,o::---", strict])
    assert.strictEqual(run("copy", plain, strict).status, 0)
    const copied = modes.map((_, index) => fs.statSync(path.join(strict, "plain", `${index}`)).mode & 0o7777)
    assert.deepStrictEqual(copied, modes)
  })

  it("says what it does not know", () => {
    const { status, stderr } = run("copy", "--preserve", "mode,colour", "/nowhere", "/nowhere else")
    assert.strictEqual(status, 2)
    assert.match(stderr, /"colour" is nothing to preserve.*xattr/)
  })
})

describe("fanout copy of a large file", () => {
  /** What the file is written to until it is whole. */
  const partial = (target: string): fs.Stats | undefined => {
    const name = fs.readdirSync(target).find((name) => name.startsWith(".fanout-"))
    return name === undefined ? undefined : fs.statSync(path.join(target, name))
  }

  const hasStrace = spawnSync("strace", ["-V"]).error === undefined

  it.skipIf(!hasStrace)("goes on where it was killed, with the same file", async () => {
    const source = path.join(folder, "large")
    const target = path.join(folder, "large copy")
    fs.mkdirSync(target)
    const content = Buffer.alloc(2 ** 20)
    const file = fs.openSync(source, "w")
    for (let i = 0; i < 200; i++) {
      content.writeUInt32LE(i, 100)
      fs.writeSync(file, content)
    }
    fs.closeSync(file)
    const args = ["copy", source, target]
    // A tenth of a second for each 8 MiB: what is recorded is as much as a quarter of a second ago.
    const slowly = ["-f", "-qq", "-o", "/dev/null", "-e", "inject=copy_file_range:delay_enter=100ms"]
    const copying = spawn("strace", [...slowly, process.execPath, ...argv(args)], { stdio: "ignore", detached: true })
    const ended = new Promise((resolve) => copying.once("exit", resolve))
    while (copying.exitCode === null && copying.signalCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      if ((partial(target)?.size ?? 0) > 100 * 2 ** 20) process.kill(-(copying.pid ?? 0), "SIGKILL")
    }
    await ended
    const killed = partial(target)
    assert.isDefined(killed)

    const { status, stderr } = run(...args)

    assert.strictEqual(status, 0, stderr)
    assert.deepStrictEqual(fs.readdirSync(target), ["large"])
    assert.strictEqual(out("cmp", source, path.join(target, "large")), "")
    assert.strictEqual(fs.statSync(path.join(target, "large")).ino, killed?.ino)
  })
})

const memory = "/dev/shm"
const mayCross = fs.existsSync(memory) && fs.statSync(memory).dev !== fs.statSync(folder).dev &&
  spawnSync("strace", ["-V"]).error === undefined

describe.skipIf(!mayCross)("fanout copy from one file system to another (needs strace, and memory as another)", () => {
  it("has the kernel copy what is large, and asks no other thread in vain", () => {
    const source = fs.mkdtempSync(path.join(memory, "fanout-trust-"))
    const target = path.join(folder, "from another")
    try {
      const sizes = { small: 1000, middle: 3_000_000, large: 20_000_000 }
      for (const [name, size] of Object.entries(sizes)) {
        fs.writeFileSync(path.join(source, name), Buffer.alloc(size, name))
      }
      const trace = path.join(folder, "calls of a copy")
      const told = ["-f", "-qq", "-o", trace, "-e", "trace=sendfile,read,copy_file_range", "-e", "read=none"]
      const args = [...told, process.execPath, ...argv(["copy", "-T", source, target])]
      const { status, stderr } = spawnSync("strace", args, { encoding: "utf8" })
      assert.strictEqual(status, 0, stderr)
      assert.strictEqual(out("diff", "-r", source, target), "")
      const calls = fs.readFileSync(trace, "utf8").split("\n")
      const sent = calls.flatMap((call) => /sendfile(?:\(| resumed>).* = (\d+)$/.exec(call)?.[1] ?? []).map(Number)
      // Pieces of the middle one are less than a megabyte. On a busy machine they may be begun anew.
      const ofLarge = sent.filter((bytes) => bytes > 1_000_000)
      assert.strictEqual(ofLarge.reduce((sum, bytes) => sum + bytes, 0), sizes.large)
      assert.isAtMost(ofLarge.length, 3)
      assert.isEmpty(calls.filter((call) => /copy_file_range\(.*, [1-9]\d{6,}, 0\)/.test(call)))
    } finally {
      fs.rmSync(source, { recursive: true })
    }
  })
})

describe("fanout copy --verify", () => {
  const image = path.join(folder, "image")
  const disk = path.join(folder, "disk")
  const mayMount = isRoot && spawnSync("mkfs.ext4", ["-V"]).error === undefined

  afterAll(() => void spawnSync("umount", [disk]))

  it.skipIf(!mayMount)("reads each copy back from the device", () => {
    fs.mkdirSync(disk)
    fs.writeFileSync(image, "")
    fs.truncateSync(image, 128 * 2 ** 20)
    assert.strictEqual(spawnSync("mkfs.ext4", ["-q", image]).status, 0)
    assert.strictEqual(spawnSync("mount", ["-o", "loop", image, disk]).status, 0)
    const source = path.join(folder, "to verify")
    fs.mkdirSync(source)
    for (let i = 0; i < 20; i++) fs.writeFileSync(path.join(source, `small-${i}`), Buffer.alloc(100_000, i))
    fs.writeFileSync(path.join(source, "large"), Buffer.alloc(20_000_000, 7))
    // What the process has read from devices, as it knows itself when it ends.
    const noted = path.join(folder, "io")
    const note = path.join(folder, "note.mjs")
    fs.writeFileSync(
      note,
      `import * as fs from "node:fs"
      process.on("exit", () => fs.writeFileSync(${JSON.stringify(noted)}, fs.readFileSync("/proc/self/io")))`
    )
    const readBytes = (...options: ReadonlyArray<string>): number => {
      const args = ["--import", note, ...argv(["copy", ...options, "-T", source, path.join(disk, options.join())])]
      // It ends the way in which Node ends then, and that is told.
      const env = { ...process.env, FANOUT_DEBUG: "1" }
      const { status, stderr, stdout } = spawnSync(process.execPath, args, { encoding: "utf8", env })
      assert.strictEqual(status, 0, stderr)
      if (options.includes("--verify")) assert.match(stdout, /21 copied.* 21 verified/)
      return Number(/^read_bytes: (\d+)/m.exec(fs.readFileSync(noted, "utf8"))?.[1])
    }

    assert.isBelow(readBytes("--conflict=changed"), 2_000_000)
    assert.isAtLeast(readBytes("--verify"), 22_000_000)
  })
})
