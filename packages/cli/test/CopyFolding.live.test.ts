import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { isLong, stride } from "../../../test/effort.ts"
import { freshPlace, hasStrace, isRoot, lines, mayMount, meeting, mount, run, works } from "./faults.ts"

const names = ["A", "README", "Same", "a", "other", "readme", "same"]

/** Files and folders whose names are one where case does not count, some of them twice the same file. */
const plant = (source: string): void => {
  for (const folder of [".", "sub", "sub/deep"]) {
    for (const name of ["Dir/x", "dir/x", "dir/y", ...names]) {
      const file = path.join(source, folder, name)
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(file, name.toLowerCase() === "same" ? "same" : `text of ${path.join(folder, name)}`)
    }
  }
  fs.writeFileSync(path.join(source, "LARGE"), Buffer.alloc(9 * 2 ** 20, 1))
  fs.writeFileSync(path.join(source, "large"), Buffer.alloc(9 * 2 ** 20, 2))
  fs.symlinkSync("x", path.join(source, "Link"))
  fs.symlinkSync("y", path.join(source, "link"))
}

/** What all files and links at a path hold, as often as they do. */
const contentsOf = (root: string): ReadonlyArray<string> => {
  const entries = fs.existsSync(root) ? fs.readdirSync(root, { recursive: true, withFileTypes: true }) : []
  return entries.flatMap((entry) => {
    const at = path.join(entry.parentPath, entry.name)
    if (entry.isSymbolicLink()) return [`-> ${fs.readlinkSync(at)}`]
    return entry.isFile() ? [fs.readFileSync(at, "latin1").slice(0, 40)] : []
  }).toSorted()
}

const isNumber = (value: unknown): value is number => typeof value === "number"

/** Copies or moves to a place, and sees to it that all is somewhere, and as much is there as is told. */
const check = (target: string, args: ReadonlyArray<string>, prefix: ReadonlyArray<string> = []): void => {
  const { place, source } = freshPlace()
  plant(source)
  const before = contentsOf(source)
  const { status, stderr, stdout } = run(place, [...args, "--json", "-T", source, target], prefix)
  const message = `${args.join(" ")}: ${stderr}`
  const [from, to] = [contentsOf(source), contentsOf(target)]
  const { failed, tags = {} } = lines(stdout).at(-1) ?? {}
  const told = Object.entries(tags ?? {}).flatMap(([tag, count]) =>
    ["Copied", "Linked", "Moved"].includes(tag) && isNumber(count) ? [count] : []
  ).reduce((sum, count) => sum + count, 0)
  assert.strictEqual(to.length, told, message)
  if (args[0] === "move") assert.deepStrictEqual([...from, ...to].toSorted(), before, message)
  else assert.deepStrictEqual(from, before, message)
  const isSkipped = args.includes("skip")
  assert.strictEqual(status, 1, message)
  // Folders can't be skipped.
  assert.isAtLeast(isNumber(failed) ? failed : 0, isSkipped ? 3 : 10, message)
  if (!isSkipped) assert.include(stdout, "takes both for one name", message)
}

const ways: ReadonlyArray<ReadonlyArray<string>> = [
  ["move"],
  ["move", "--conflict", "overwrite"],
  ["move", "--conflict", "skip"],
  ["copy"],
  ["copy", "--durable"],
  ["copy", "--verify"],
  ["copy", "--checksums", "blake3"],
  ["copy", "--conflict", "overwrite"]
]

describe.skipIf(!works("cc", "--version"))("names that a preloaded library folds (needs cc)", () => {
  const { place } = freshPlace()
  const library = path.join(place, "folding.so")
  const target = path.join(place, "folded")
  const prefix = ["env", `LD_PRELOAD=${library}`, `FOLDED=${target}`]
  let count = 0
  const fresh = (): string => path.join(target, String(count++))

  const build = (): void => {
    if (fs.existsSync(library)) return
    fs.mkdirSync(target)
    const source = path.join(import.meta.dirname, "folding.c")
    const { status, stderr } = spawnSync("cc", ["-shared", "-fPIC", "-o", library, source, "-ldl"], {
      encoding: "utf8"
    })
    assert.strictEqual(status, 0, stderr)
  }

  it.each(ways.map((way) => ({ name: way.join(" "), way })))("cost no file: $name", ({ way }) => {
    build()
    const there = fresh()
    fs.mkdirSync(there)
    check(there, way, prefix)
    if (way[0] === "copy") check(fresh(), way, prefix)
  })

  it("cost no file where they are those of several sources", () => {
    build()
    const { place } = freshPlace()
    const there = fresh()
    fs.mkdirSync(there)
    for (const [file, text] of [["x/a", "1"], ["y/A", "2"], ["x/Dir/f", "3"], ["y/dir/f", "4"]] as const) {
      fs.mkdirSync(path.dirname(path.join(place, file)), { recursive: true })
      fs.writeFileSync(path.join(place, file), text)
    }
    const { status } = run(place, ["move", "x/a", "y/A", "x/Dir", "y/dir", there], prefix)
    assert.deepStrictEqual([status, contentsOf(there)], [1, ["1", "3"]])
    assert.deepStrictEqual(["y/A", "y/dir/f"].map((file) => fs.readFileSync(path.join(place, file), "latin1")), [
      "2",
      "4"
    ])
  })

  it.skipIf(!hasStrace)(
    "cost no file where a move is killed, and runs again (needs strace)",
    { timeout: 1_800_000 },
    () => {
      build()
      const calls = isLong ? ["renameat2", "renameat", "unlinkat", "linkat", "mkdirat"] : ["renameat2", "unlinkat"]
      for (const call of calls) {
        for (const nth of isLong ? Array.from({ length: 20 }, (_, n) => n + 1) : [2, 7]) {
          const { place, source } = freshPlace()
          plant(source)
          const [before, there] = [contentsOf(source), fresh()]
          fs.mkdirSync(there)
          const args = ["move", "-T", source, there]
          run(place, args, [...meeting({ calls: [call], fault: `signal=KILL:when=${nth}` }), ...prefix])
          const { stderr } = run(place, args, prefix)
          assert.deepStrictEqual(
            [...contentsOf(source), ...contentsOf(there)].toSorted(),
            before,
            `${call} ${nth} ${stderr}`
          )
        }
      }
    }
  )
})

const mayFuse = isRoot && mayMount && fs.existsSync("/dev/fuse")

describe.skipIf(!mayFuse)("names that a file system folds (needs root, FUSE)", () => {
  const tried = ways.filter((_, n) => n % stride(3) === 0)

  const makeImage = (): { readonly image: string; readonly disk: string } => {
    const { place, target: disk } = freshPlace()
    const image = path.join(place, "image")
    fs.writeFileSync(image, "")
    fs.truncateSync(image, 128 * 2 ** 20)
    return { image, disk }
  }

  it.skipIf(!works("lowntfs-3g", "--version") || !works("mkfs.ntfs", "--version"))(
    "cost no file on NTFS (needs lowntfs-3g, mkfs.ntfs)",
    () => {
      const { disk, image } = makeImage()
      assert.isTrue(works("mkfs.ntfs", "-q", "-F", "-f", image))
      mount(disk, "-t", "fuse.lowntfs-3g", "-o", "ignore_case", image)
      for (const [n, way] of tried.entries()) check(path.join(disk, String(n)), way)
    }
  )

  it.skipIf(["mkfs.exfat", "mount.exfat-fuse"].some((name) => spawnSync(name, ["-V"]).error !== undefined))(
    "cost no file on exFAT, where each spelling has an inode of its own (needs mount.exfat-fuse, mkfs.exfat)",
    () => {
      const { disk, image } = makeImage()
      assert.isTrue(works("mkfs.exfat", image))
      mount(disk, "-t", "exfat-fuse", "-o", "loop", image)
      for (const [n, way] of tried.entries()) check(path.join(disk, String(n)), way)
    }
  )
})
