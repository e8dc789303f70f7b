import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import * as make from "../../ops/test/mediaBytes.ts"
import { commandLine, runCommand, watched } from "./command.ts"
import { isHeldUp, slowly } from "./faults.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-metadata-"))
const tree = path.join(folder, "tree")
const [folders, inFolder] = isHeldUp ? [15, 40] : [30, 100]

let count = 0
const database = () => path.join(folder, `state-${count++}`, "jobs.db")

const run = (db: string, args: ReadonlyArray<string>) => runCommand(["--db", db, ...args], { folder })

/** Starts to read what is in the tree, which takes long. */
const start = (db: string, format: string) =>
  watched(
    spawn(...commandLine(["--db", db, "metadata", "tree", format], slowly("pread64", "10ms")), {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"]
    })
  )

type Event = Readonly<Record<string, unknown>>

const events = (stdout: string): ReadonlyArray<Event> =>
  stdout.trimEnd().split("\n").map((line): Event => JSON.parse(line))

const records = (stdout: string): ReadonlyArray<Event> => events(stdout).filter(({ type }) => type === "metadata")

const titled = (title: string) => make.jpeg({ xmp: make.xmp(`<dc:title>${title}</dc:title>`) })

/** A few files of which something is to be said. */
const some = path.join(folder, "some")

/** A name that is no UTF-8, and would be taken for two cells of a table. */
const odd = Buffer.from([0x61, 0xff, 0x2c, 0x22])

beforeAll(() => {
  for (let i = 0; i < folders; i++) {
    const inner = path.join(tree, `folder-${i}`)
    fs.mkdirSync(inner, { recursive: true })
    for (let j = 0; j < inFolder; j++) fs.writeFileSync(path.join(inner, `photo-${j}`), titled(`${i} ${j}`))
  }
  fs.mkdirSync(some)
  fs.writeFileSync(path.join(some, "film"), make.mov())
  fs.writeFileSync(path.join(some, "photo.txt"), make.jpeg({ exif: make.photo }))
  fs.writeFileSync(path.join(some, "sound"), make.wav("a\u001b[31m, \"b\"\nc"))
  fs.writeFileSync(Buffer.concat([Buffer.from(`${some}/`), odd]), titled("odd"))
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("fanout metadata", () => {
  it("writes a line for each file, by what is in it", () => {
    const { status, stderr, stdout } = run(database(), ["metadata", "some"])
    assert.deepStrictEqual(stdout.split("\n"), [
      "some/a\\xff,\": jpeg, 640 × 480, odd",
      "some/film: quicktime, 1920 × 1080, orientation 6, 0:04, 2024-05-01T12:30:00+02:00, Apple, " +
      "47.375, -8.5333 at 408 m",
      "some/photo.txt: jpeg, 640 × 480, orientation 6, 2024-05-01T12:30:00.25+02:00, Canon EOS R5, " +
      "1/125 s f/2.8 ISO 400, 47.375, -8.53333 at -13 m, Zoë",
      "some/sound: wav, 0:01, PCM 8 kHz, a\\x1b[31m, \"b\"\\nc",
      ""
    ])
    assert.strictEqual(status, 0, stderr)
    assert.match(stderr, /4 read/)
  })

  it("writes records as JSON, with names that can be read back", () => {
    const { status, stdout } = run(database(), ["metadata", "some", "--json"])
    const [first, film, photo, sound] = records(stdout)
    assert.strictEqual(status, 0)
    assert.strictEqual(first?.["name"], "some/a\\ff,\"")
    assert.deepInclude(film, { name: "some/film", mimeType: "video/quicktime", latitude: 47.375, duration: 4 })
    assert.deepInclude(photo, { mimeType: "image/jpeg", takenAt: "2024-05-01T12:30:00.25+02:00", artists: ["Zoë"] })
    assert.deepInclude(sound, { title: "a\u001b[31m, \"b\"\nc" })
    assert.notInclude(stdout, "\u001b")
    assert.notProperty(photo, "raw")
    const raw = records(run(database(), ["metadata", "some/photo.txt", "--json", "--raw"]).stdout)[0]?.["raw"]
    assert.include(JSON.stringify(raw), "\"LensModel\":\"RF50mm F1.8\"")
  })

  it("writes a table by RFC 4180, under one header", () => {
    const lines = run(database(), ["metadata", "some", "--csv"]).stdout.split("\r\n")
    assert.lengthOf(lines, 6)
    assert.match(lines[0] ?? "", /^name,mimeType,sizeBytes,width,height,orientation,takenAt,/)
    assert.match(lines[1] ?? "", /^"some\/a\\ff,""",image\/jpeg,\d+,640,480,,/)
    assert.include(lines[4], ",\"a\u001b[31m, \"\"b\"\"\nc\",")
    const columns = lines[0]?.split(",") ?? []
    assert.strictEqual(lines[3]?.split(",")[columns.indexOf("cameraModel")], "Canon EOS R5")
    assert.strictEqual(run(database(), ["metadata", "/dev/null", "--csv"]).stdout, `${lines[0]}\r\n`)
  })

  it("ends with the same lines, in the order of the walk, after it was killed", async () => {
    const expected = run(database(), ["metadata", "tree", "--csv"]).stdout
    const names = expected.trimEnd().split("\r\n").slice(1).map((line) => line.slice(0, line.indexOf(",")))
    assert.lengthOf(names, folders * inFolder)
    assert.deepStrictEqual(names, names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
    const db = database()
    let killed = 0
    for (let kills = 1; kills <= (isLong ? 3 : 1); kills++) {
      const { child, ended, output } = start(db, "--csv")
      child.stdout.on("data", () => {
        // Behind the header, and behind what was there before.
        if (output.stdout.length > kills * expected.length / 6) child.kill("SIGKILL")
      })
      await ended
      if (child.signalCode === "SIGKILL") killed++
    }
    assert.isAbove(killed, 0)
    const last = run(db, ["metadata", "tree", "--csv"]).stdout
    assert.strictEqual(last, expected)
  })

  it("pauses when it is asked to, and goes on", async () => {
    const db = database()
    const { child, ended } = start(db, "--json")
    // Once: a second one ends it at once.
    child.stdout.once("data", () => child.kill("SIGINT"))
    assert.strictEqual((await ended).code, 130)
    const { status, stdout } = run(db, ["metadata", "tree", "--json"])
    assert.strictEqual(status, 0)
    const read = records(stdout).map(({ title }) => title)
    assert.lengthOf(read, folders * inFolder)
    assert.deepStrictEqual(new Set(read), new Set(titles()))
  })

  const titles = () =>
    Array.from({ length: folders * inFolder }, (_, i) => `${Math.floor(i / inFolder)} ${i % inFolder}`)

  it("puts all lines in place of a file at once, which is not read itself", () => {
    const output = path.join(some, "list.csv")
    fs.writeFileSync(output, make.jpeg())
    const refused = run(database(), ["metadata", "some", "--csv", "-o", "some/list.csv"])
    assert.strictEqual(refused.status, 2)
    assert.match(refused.stderr, /holds something else than lines of this command/)
    assert.deepStrictEqual(fs.readFileSync(output), Buffer.from(make.jpeg()))
    fs.rmSync(output)
    assert.strictEqual(run(database(), ["metadata", "some", "-o", "some/list.csv"]).status, 0)
    const { status, stderr, stdout } = run(database(), ["metadata", "some", "--csv", "-o", "some/list.csv"])
    const text = fs.readFileSync(output, "utf8")
    fs.rmSync(output)
    assert.deepStrictEqual([status, stdout], [0, ""], stderr)
    assert.lengthOf(text.split("\r\n"), 6)
    // The file, and what it is written to until then.
    assert.match(stderr, /4 read, 2 skipped/)
  })

  it("says what could not be read, does the rest, and tries it again", () => {
    const inner = path.join(folder, "mixed")
    fs.mkdirSync(inner)
    fs.writeFileSync(path.join(inner, "broken.jpg"), make.join("\xff\xd8\xff\xe1"))
    fs.writeFileSync(path.join(inner, "good"), titled("good"))
    fs.writeFileSync(path.join(inner, "text.jpg"), "text")
    const db = database()
    assert.strictEqual(run(database(), ["metadata", "mixed/good", "nowhere"]).status, 1)
    const { status, stderr, stdout } = run(db, ["metadata", "mixed", "--json"])
    assert.strictEqual(status, 1, stderr)
    const others = events(stdout).filter(({ outcome, type }) => type === "item" && outcome !== "Done")
    const ends = new Map(others.map(({ error, key, outcome, reason }) => [key, [outcome, reason ?? error]]))
    const broken = path.join(inner, "broken.jpg")
    const why = `Could not read metadata of "${broken}": it ends before what it says it has`
    assert.deepStrictEqual(
      ends,
      new Map([
        [broken, ["Failed", { _tag: "MediaFailed", code: "Malformed", path: broken, why }]],
        [path.join(inner, "text.jpg"), ["Skipped", "it is of no kind that metadata is read of"]]
      ])
    )
    assert.deepStrictEqual(records(stdout).map(({ title }) => title), ["good"])

    fs.writeFileSync(path.join(inner, "broken.jpg"), titled("mended"))
    const retried = run(db, ["jobs", "retry", String(events(stdout).at(-1)?.["id"]), "--json"])
    assert.strictEqual(retried.status, 0, retried.stderr)
    assert.deepInclude(events(retried.stdout).at(-1), { state: "Completed", done: 2, failed: 0, skipped: 1 })
  })

  it("leaves the database of jobs, where that is named as the file for its lines", () => {
    const db = database()
    assert.strictEqual(run(db, ["metadata", "some", "--quiet"]).status, 0)
    for (const end of ["", "-wal"]) {
      const { status, stderr } = run(db, ["metadata", "some", "--output", db + end])
      assert.strictEqual(status, 2, end)
      assert.match(stderr, /is of the database of jobs/, end)
    }
    assert.match(run(db, ["jobs", "list"]).stdout, /metadata/)
  })

  it("ends with 2 where there is nothing to do", () => {
    for (
      const [args, sentence] of [
        [[], /What is to be read/],
        [[""], /empty name/],
        [["-"], /piped in/],
        [["some", "--csv", "--json"], /choose one/],
        [["some", "--raw"], /there has to be --json/],
        [["some", "--raw", "--csv"], /there has to be --json/],
        [["some", "--output", "tree"], /no file that lines could be written to: name another one/],
        [["some", "--output", "nowhere/list"], /does not exist/]
      ] as const
    ) {
      const { status, stderr, stdout } = run(database(), ["metadata", ...args])
      assert.deepStrictEqual([status, stdout], [2, ""], stderr)
      assert.match(stderr, sentence)
    }
  })
})
