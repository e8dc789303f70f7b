import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import sharp from "sharp"
import { commandLine, runCommand, watched } from "./command.ts"
import { isHeldUp, slowly } from "./faults.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "fanout-thumbnail-")))
const tree = path.join(folder, "tree")
const pictureCount = isHeldUp ? 24 : 120

let count = 0
/** A database and a folder for thumbnails that nothing else uses. */
const fresh = () => {
  const db = path.join(folder, `state-${count}`, "jobs.db")
  const output = path.join(folder, `out-${count++}`)
  const argv = (args: ReadonlyArray<string>, prefix?: ReadonlyArray<string>) =>
    commandLine(["--db", db, ...args], prefix)
  const run = (args: ReadonlyArray<string>, prefix: ReadonlyArray<string> = []) =>
    runCommand(["--db", db, ...args], { folder, prefix })
  /** Starts to make thumbnails in a group of its own, and waits until there are some. */
  const startSlow = async () => {
    const { child, ended } = watched(
      spawn(...argv(["thumbnail", "tree", "-o", output], slowly("renameat", "100ms")), {
        cwd: folder,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"]
      })
    )
    while (thumbnails(output).length < 10) {
      assert.isNull(child.exitCode, "it ended too soon")
      await setTimeout(2)
    }
    return { child, ended }
  }
  return { output, run, startSlow }
}

const lines = (stdout: string): ReadonlyArray<Record<string, unknown>> =>
  stdout.trim().split("\n").map((line) => JSON.parse(line))

const thumbnails = (output: string): ReadonlyArray<string> =>
  fs.globSync("*/*/*/*", { cwd: output }).map((file) => path.basename(file))

/** Processes that decode, those of this command alone: their parent is given. */
const childrenOf = (pid: number | undefined): ReadonlyArray<number> =>
  fs.globSync(`/proc/${pid}/task/*/children`).flatMap((file) => fs.readFileSync(file, "latin1").match(/\d+/g) ?? [])
    .map(Number)

const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\sZ/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

beforeAll(async () => {
  for (let n = 0; n < pictureCount; n++) {
    const inner = path.join(tree, `d${n % 4}`)
    fs.mkdirSync(inner, { recursive: true })
    const picture = sharp({ create: { width: 1200, height: 900, channels: 3, background: "#336699" } })
      .withExif({ IFD0: { ImageDescription: String(n) } })
    fs.writeFileSync(path.join(inner, `p${n}.jpg`), await picture.jpeg().toBuffer())
  }
  const odd = path.join(folder, "odd")
  fs.mkdirSync(odd)
  const whole = fs.readFileSync(path.join(tree, "d0/p0.jpg"))
  fs.writeFileSync(Buffer.concat([Buffer.from(`${odd}/`), Buffer.from([0x66, 0xff, 0x0a]), Buffer.from(".jpg")]), whole)
  fs.writeFileSync(path.join(odd, "half.jpg"), whole.subarray(0, whole.length / 2))
  fs.writeFileSync(path.join(odd, "notes.txt"), "no picture")
  fs.writeFileSync(path.join(odd, "film.mp4"), Buffer.from("\0\0\0\x20ftypisom\0\0\0\0isomiso2avc1mp41", "latin1"))
  fs.writeFileSync(path.join(odd, "paper.pdf"), "%PDF-1.4\n")
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("fanout thumbnail", () => {
  it("makes thumbnails by content, and leaves them the next time", () => {
    const { output, run } = fresh()
    const first = run(["thumbnail", "tree", "--output", output])
    assert.strictEqual(first.status, 0, first.stderr)
    assert.match(first.stdout, new RegExp(`is done: ${pictureCount} made, .* in `))
    const made = thumbnails(output)
    assert.lengthOf(made, 3 * pictureCount)
    assert.deepStrictEqual(new Set(made), new Set(["grid@1x.webp", "grid@2x.webp", "detail@1x.webp"]))

    const second = run(["thumbnail", "tree", "tree/d0/p0.jpg", "--output", output, "--size", "icon@1x,grid@1x"])
    assert.strictEqual(second.status, 0, second.stderr)
    assert.lengthOf(thumbnails(output), 4 * pictureCount)
    const third = run(["thumbnail", "tree", "-o", output])
    assert.match(third.stdout, new RegExp(`is done: ${pictureCount} existing in `))
  })

  it("tells in lines of JSON what became of each file, and which programs it lacks", () => {
    const { output, run } = fresh()
    const { status, stderr, stdout } = run(["thumbnail", "odd", "-o", output, "--json"], ["env", "PATH="])
    assert.deepStrictEqual([status, stderr], [1, ""])
    const all = lines(stdout)
    const named = (name: string) => all.find(({ key }) => typeof key === "string" && key.endsWith(name))
    const made = all.find(({ type }) => type === "thumbnail")
    assert.deepInclude(made, {
      v: 1,
      key: path.join(folder, "odd/f\\xff\\n.jpg"),
      did: "Made",
      variants: ["grid@1x", "grid@2x", "detail@1x"],
      notes: []
    })
    assert.lengthOf(fs.readdirSync(path.join(output, String(made?.["folder"]))), 3)
    assert.deepInclude(named("film.mp4"), { outcome: "Skipped", reason: "needs ffmpeg, which is not installed" })
    assert.deepInclude(named("paper.pdf"), { outcome: "Skipped", reason: "needs pdftoppm, which is not installed" })
    assert.deepInclude(named("notes.txt"), { outcome: "Skipped", reason: "it is no image, video or PDF" })
    assert.deepInclude(named("half.jpg"), { outcome: "Failed", why: "Error" })
    assert.deepInclude(all.at(-1), { type: "summary", done: 1, failed: 1, skipped: 3, code: 1 })

    // What has failed is tried again, and nothing else.
    fs.copyFileSync(path.join(tree, "d0/p4.jpg"), path.join(folder, "odd/half.jpg"))
    const retried = run(["jobs", "retry", String(all.at(-1)?.["id"])])
    assert.strictEqual(retried.status, 0, retried.stderr)
    assert.match(retried.stdout, /is done: 2 made, 3 skipped/)
    fs.truncateSync(path.join(folder, "odd/half.jpg"), 1000)
  })

  it("goes on when it was killed, with no process left and no half of a file", async () => {
    const { output, run, startSlow } = fresh()
    const { child, ended } = await startSlow()
    const children = childrenOf(child.pid)
    assert.isNotEmpty(children)
    child.kill("SIGKILL")
    await ended
    for (let waited = 0; waited < 500 && children.some(isAlive); waited++) await setTimeout(10)
    assert.isFalse(children.some(isAlive))
    const before = thumbnails(output).length
    assert.isBelow(before, 3 * pictureCount)
    for (const file of fs.globSync("*/*/*/*", { cwd: output })) await sharp(path.join(output, file)).stats()

    const { status, stderr, stdout } = run(["thumbnail", "tree", "-o", output])
    assert.strictEqual(status, 0, stderr)
    assert.match(stderr, /Going on with job/)
    assert.match(stdout, /is done: \d+ made/)
    assert.lengthOf(thumbnails(output), 3 * pictureCount)
    assert.deepStrictEqual(fs.readdirSync(output).filter((name) => name.startsWith(".")), [])
  })

  it("pauses at a signal that the whole group of the terminal gets, and is resumed", async () => {
    const { output, run, startSlow } = fresh()
    const { child, ended } = await startSlow()
    if (child.pid !== undefined) process.kill(-child.pid, "SIGINT")
    const { code, stderr: said } = await ended
    assert.strictEqual(code, 130)
    assert.match(said, /is paused/)
    assert.notMatch(said, /failed/)
    const resumed = run(["thumbnail", "tree", "-o", output])
    assert.strictEqual(resumed.status, 0, resumed.stderr)
    assert.lengthOf(thumbnails(output), 3 * pictureCount)
  })

  it("ends with 2 where it was asked for what it can't do", () => {
    for (
      const [args, sentence] of [
        [["tree"], /Name a folder with --output/],
        [["--output", "out"], /What are thumbnails to be made of/],
        [["", "--output", "out"], /empty name/],
        [["tree", "--output", ""], /empty name/],
        [["tree", "--output", "odd/notes.txt"], /exists/],
        [["tree", "--output", "nowhere/out"], /does not exist/],
        [["odd", "tree/..", "--output", "."], /is in ".*", where thumbnails are made of nothing/],
        [["tree", "--output", "out", "--size", "huge"], /"huge" names no sizes/],
        [["tree", "--output", "out", "--format", "png"], /webp/]
      ] as const
    ) {
      const { status, stderr, stdout } = fresh().run(["thumbnail", ...args])
      assert.deepStrictEqual([status, stdout], [2, ""], stderr)
      assert.match(stderr, sentence)
    }
  })

  it("fails for a source that is not there, and makes the rest", () => {
    const { output, run } = fresh()
    const { status, stderr } = run(["thumbnail", "nowhere", "tree/d0/p0.jpg", "-o", output])
    assert.strictEqual(status, 1)
    assert.match(stderr, /nowhere: .*does not exist/)
    assert.match(stderr, /1 made, 1 failed/)
  })
})
