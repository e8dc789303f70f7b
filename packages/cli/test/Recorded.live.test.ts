/**
 * Bytes that programs read, and exit codes: rows of `--json` and `--csv`, checksums and summaries. They are kept in the
 * folder `recorded`; `-u` writes them anew. Read a difference as a program would that was written for them.
 */
import { describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import sharp from "sharp"
import { freshPlace, run } from "./faults.ts"

const time = new Date("2020-02-02T02:02:02Z")

/** A tree with a file of each sort, and a copy that differs. */
const plant = async (place: string): Promise<void> => {
  const write = (name: string, content: string | Uint8Array): void => {
    const file = path.join(place, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, content)
    fs.utimesSync(file, time, time)
  }
  for (const name of ["Photos", "Backup"]) {
    write(`${name}/2020/notes.txt`, `notes of ${name}`)
    write(`${name}/2020/same.txt`, "same")
  }
  const create = { width: 120, height: 80, channels: 3, background: "#336699" } as const
  write("Photos/a.jpg", await sharp({ create }).jpeg().toBuffer())
  write("Photos/broken.jpg", "no picture")
  write("Photos/comma, \"quote\"\nand line.txt", "odd name")
  fs.symlinkSync("a.jpg", path.join(place, "Photos/link"))
  fs.symlinkSync("nowhere", path.join(place, "Photos/broken"))
  write("Backup/only-here.txt", "only here")
  write("Inbox/letter.txt", "letter")
  write("Inbox/2020/letter.txt", "older letter")
  write("sums", `${"0".repeat(64)}  Photos/a.jpg\n${"0".repeat(64)}  Photos/gone.jpg\nno line of these\n`)
}

/** Command lines, in an order in which one finds what the one before left. */
const commands: ReadonlyArray<ReadonlyArray<string>> = [
  ["copy", "--dry-run", "--json", "-T", "Photos", "Backup"],
  ["copy", "--json", "--conflict", "error", "-T", "Photos", "Backup"],
  ["copy", "--json", "-T", "Photos", "Copy"],
  ["copy", "--json", "-T", "Photos", "Copy"],
  ["copy", "--json", "--verify", "--checksums", "copied.b3", "Photos", "Inbox"],
  ["copy", "-T", "Photos", "Copy"],
  ["copy", "--quiet", "-T", "Photos", "Copy"],
  ["copy", "--json", "missing", "Copy"],
  ["copy", "--json", "-T", "Photos", "Photos/inside"],
  ["verify", "--json", "Photos", "Backup"],
  ["verify", "Photos", "Backup"],
  ["verify", "--json", "Photos", "Copy"],
  ["hash", "--json", "Photos"],
  ["hash", "--algo", "sha256", "Photos"],
  ["hash", "--check", "sums"],
  ["hash", "--json", "--check", "sums"],
  ["hash", "--check", "missing"],
  ["metadata", "--json", "Photos"],
  ["metadata", "--csv", "Photos"],
  ["metadata", "Photos/a.jpg"],
  ["thumbnail", "--json", "Photos", "--output", "Thumbnails"],
  ["move", "--dry-run", "--json", "Inbox", "Archive"],
  ["move", "--json", "-T", "Inbox", "Archive"],
  ["move", "--json", "-T", "Inbox", "Archive"],
  ["delete", "--dry-run", "--json", "Copy"],
  ["delete", "--json", "Copy/2020", "Copy/missing"],
  ["delete", "--json", "Copy"],
  ["schedule", "add", "nightly", "--cron", "0 3 * * *", "--tz", "UTC", "--", "copy", "-T", "Photos", "Backup"],
  ["schedule", "show", "nightly", "--json"],
  ["jobs", "list", "--json", "--name", "copy"],
  ["jobs", "show", "nope", "--json"],
  ["jobs", "prune", "--older-than", "0s", "--json"],
  ["jobs", "list", "--json"],
  ["jobs", "list"],
  ["jobs", "lst"],
  ["nope"]
]

/** Rows that tell what stands at the moment: how many there are, and what they say, depends on when somebody looks. */
const passing = /^\{"v":1,"type":"(?:progress|state|log)"/

/** Lines about items come in the order in which these have ended. */
const isRow = (line: string): boolean => /^(?:\{"v":1,|failed {3})/.test(line)

const inOrder = (counts: string): string =>
  JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(counts)).toSorted(([a], [b]) => a < b ? -1 : 1)))

/** Takes out what is another one each time: ids, times, and the place. */
const settled = (text: string, place: string): string => {
  const lines = text.replaceAll(place, "/place")
    .replaceAll(
      /("id":|\b[Jj]ob |jobs (?:retry|show|watch)(?: --all)? )"?[0-9a-z]{12}\b"?/g,
      (_, before) => `${before}ID`
    )
    .replaceAll(/("(?:\w*At|at|millis|seq)":)\d+/g, (_, before) => `${before}0`)
    .replaceAll(/(?<="next":\[[\d,]*)\d{13}/g, "0")
    .replaceAll(/\d+(?:\.\d+)? (?:ms|s)\b/g, "TIME")
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*Z?/g, "DATE")
    // Totals are told if the count was over before the job.
    .replaceAll(/"(rates|totals)":\{[^}]*\}/g, "\"$1\":{}")
    // The first of a kind of endings names it, and elements end in any order.
    .replaceAll(/("(?:tags|reasons|causes|units)":)(\{[^{}]*\})/g, (_, before, counts) => `${before}${inOrder(counts)}`)
    .split("\n").filter((line) => !passing.test(line))
  return [...lines.filter(isRow).toSorted((a, b) => a < b ? -1 : 1), ...lines.filter((line) => !isRow(line))].join("\n")
}

describe("what programs read", () => {
  it("stays as it was recorded", async ({ expect }) => {
    const { place } = freshPlace()
    await plant(place)
    const parts = commands.map((args) => {
      const { status, stderr, stdout } = run(place, args)
      const shown = [["stdout", stdout], ["stderr", stderr]].flatMap(([name = "", text = ""]) =>
        text === "" ? [] : [`[${name}]\n${settled(text, place)}`]
      )
      return [`$ fanout ${args.join(" ")}`, ...shown, `[exit ${status}]\n`].join("\n")
    })
    const file = path.join(import.meta.dirname, "recorded", "commands.txt")
    await expect(parts.join("\n")).toMatchFileSnapshot(file)
  })
})
