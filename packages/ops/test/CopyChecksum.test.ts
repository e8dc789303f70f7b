import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as Effect from "effect/Effect"
import { stride } from "../../../test/effort.ts"
import * as Hasher from "../src/internal/hash/hasher.ts"
import { copy as run, type Options, remembering } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const large = Buffer.alloc(9 * 2 ** 20, "some of it, ")

/** What is told of it has no order: names of all kinds, files that are empty, large, or one of several. */
const contents: Readonly<Record<string, Uint8Array>> = {
  "a": Buffer.from("text of a"),
  "empty": Buffer.alloc(0),
  "folder/b": Buffer.from("text of b"),
  "folder/new\nline": Buffer.from("odd"),
  "folder/\udcff": Buffer.from("no text"),
  "folder/inner/c": Buffer.from("text of c"),
  "large": large
}

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/folder", "/from/folder/inner", "/to"]) disk.folder(folder)
  for (const [name, content] of Object.entries(contents)) disk.file(`/from/${name}`, content)
  disk.symlink("/from/folder/link", "b")
  disk.special("/from/pipe")
  return disk
}

const digest = (algorithm: HashAlgorithm, content: Uint8Array): string => {
  const hasher = Hasher.make(algorithm)
  hasher.update(content)
  return hasher.digest()
}

/** What is to be told of these files, each once. */
const linesOf = (algorithm: HashAlgorithm, files: Readonly<Record<string, Uint8Array>> = contents) =>
  Object.entries(files).map(([name, content]) => `${digest(algorithm, content)}  /to/copy/${name}`).toSorted()

describe.each([["one by one", false], ["together", true]] as const)("checksums of a copy, %s", (_, together) => {
  const copy = (disk: MemoryFiles.Disk, options: Options = {}) =>
    run(disk, { together, checksums: "blake3", ...options })

  it.effect("are told of each file, and hashed as it is copied", () =>
    Effect.gen(function*() {
      for (const checksums of ["blake3", "sha256"] as const) {
        for (const options of [{}, { verify: true }, { durable: true }]) {
          const disk = plant()
          disk.sharesBlocks = true
          let reads = 0

          const { checksums: lines, progress, state } = yield* copy(disk, {
            ...options,
            checksums,
            before: (call, path) =>
              Effect.sync(() => {
                if (call === "read" && path.startsWith("/to/")) reads++
              })
          })

          assert.strictEqual(state, "Completed")
          assert.deepStrictEqual(lines, linesOf(checksums))
          const { Copied, Linked } = progress.tally.tags
          assert.deepStrictEqual([Copied, Linked, progress.tally.skipped], [7, 1, 1])
          if (!("verify" in options)) assert.strictEqual(reads, 0, "no copy was read for that")
        }
      }
    }))

  it.effect("are told once of what is written once more, since it was something else when it was read back", () =>
    Effect.gen(function*() {
      const disk = plant()
      let times = 0
      disk.corrupts = (content) => content.length === 9 && times++ === 0 ? Buffer.from("text of x") : content

      const { checksums, state } = yield* copy(disk, { verify: true })

      assert.deepStrictEqual([state, times > 1], ["Completed", true])
      assert.deepStrictEqual(checksums, linesOf("blake3"))
    }))

  it.effect("are told of none where they are not asked for", () =>
    Effect.gen(function*() {
      const { checksums, state } = yield* run(plant(), { together })
      assert.deepStrictEqual([state, checksums], ["Completed", []])
    }))

  it.effect("are those of what is there where it is left unchanged", () =>
    Effect.gen(function*() {
      const disk = plant()
      yield* run(disk, { together })
      // As long as it was, and of the same time.
      disk.find(FilePath.make("/to/copy/a")).content = Buffer.from("else of a")

      const { checksums, progress } = yield* copy(disk)

      assert.deepStrictEqual(checksums, linesOf("blake3", { ...contents, a: Buffer.from("else of a") }))
      assert.strictEqual(progress.tally.tags["Unchanged"], 8)
      assert.strictEqual(progress.tally.units["bytes"] ?? 0, 0, "nothing was copied")
    }))

  it.effect("are told of the new name, and of none that was left", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.folder("/to/copy")
      disk.file("/to/copy/a", "the old one")
      const { a, ...others } = contents
      const skipped = yield* copy(disk, { conflict: "skip" })
      assert.deepStrictEqual(skipped.checksums, linesOf("blake3", others))

      disk.remove("/to/copy")
      disk.folder("/to/copy")
      disk.file("/to/copy/a", "the old one")
      const renamed = yield* copy(disk, { conflict: "rename" })
      assert.deepStrictEqual(renamed.checksums, linesOf("blake3", { ...others, "a (1)": a ?? Buffer.alloc(0) }))
    }))

  it.effect("are told of each name of a file", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.hardLink("/from/a", "/from/folder/a again")
      const all = { ...contents, "folder/a again": Buffer.from("text of a") }
      const options = { preserve: ["mode", "times", "links"] as const, hardLinks: remembering() }

      const { checksums } = yield* copy(disk, options)

      assert.deepStrictEqual(checksums, linesOf("blake3", all))
      const [one, other] = ["a", "folder/a again"].map((name) => disk.find(FilePath.make(`/to/copy/${name}`)).inode)
      assert.strictEqual(one, other)
    }))

  it.effect("are the same wherever it is paused and goes on", () =>
    Effect.gen(function*() {
      const { large: _, ...small } = contents
      for (const conflict of ["changed", "rename"] as const) {
        const wanted = linesOf("blake3", conflict === "rename" ? small : contents)
        for (let n = 0;; n += 2 * stride(5)) {
          const disk = plant()
          if (conflict === "rename") disk.remove("/from/large")
          let left = n
          const { checksums, state } = yield* copy(disk, {
            conflict,
            goesOn: true,
            before: (call, path) =>
              Effect.suspend(() => {
                const isChange = call === "write" || call === "mkdir" || call === "link" || call === "rename"
                return isChange && left-- === 0 ? Effect.fail(FaultyFiles.error(call, path, "ENOSPC")) : Effect.void
              })
          })
          assert.strictEqual(state, "Completed", `${conflict}, ${n}`)
          assert.deepStrictEqual(checksums, wanted, `${conflict}, ${n}`)
          if (left >= 0) break
        }
      }
    }))

  it.effect("have a place of their own, which is left alone", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.file("/from/folder/sums", "of another copy")

      const inSource = yield* copy(disk, { output: "/from/folder/sums" })
      assert.deepStrictEqual(inSource.checksums, linesOf("blake3"))
      assert.include(inSource.rows, "/from/folder/sums skipped: it is what the lines of this job are written to")
      assert.strictEqual(disk.see("/to/copy/folder/sums"), undefined)

      const inCopy = yield* copy(disk, { output: "/to/copy/folder/sums" })
      assert.strictEqual(inCopy.state, "CompletedWithErrors")
      assert.deepStrictEqual(inCopy.checksums, linesOf("blake3"))
      assert.match(inCopy.rows.join(), /folder\/sums failed: .*the checksums of this job get that name/)
    }))
})

describe.each(
  [
    ["on the same file system", false],
    ["to another file system", true]
  ] as const
)("checksums of a move %s", (_, isElsewhere) => {
  const plantMove = (): MemoryFiles.Disk => {
    const disk = plant()
    disk.remove("/from/pipe")
    disk.hardLink("/from/a", "/from/folder/a again")
    disk.remove("/to")
    if (isElsewhere) disk.device = 2n
    disk.folder("/to")
    return disk
  }
  const wanted = linesOf("sha256", { ...contents, "folder/a again": Buffer.from("text of a") })
  const move = (disk: MemoryFiles.Disk, options: Options = {}) =>
    run(disk, { moves: true, conflict: "overwrite", hardLinks: remembering(), checksums: "sha256", ...options })

  it.effect("are told of each file", () =>
    Effect.gen(function*() {
      const disk = plantMove()
      const { checksums, progress, state } = yield* move(disk)
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(checksums, wanted)
      assert.strictEqual(progress.tally.tags["Moved"], 9)
      assert.strictEqual(disk.see("/from"), undefined)
    }))

  it.effect("are the same wherever it is stopped and goes on", () =>
    Effect.gen(function*() {
      const small = wanted.filter((line) => !line.endsWith("/large"))
      const others: Array<string> = []
      for (const conflict of ["overwrite", "rename"] as const) {
        for (let n = 0;; n += 3 * stride(5)) {
          const disk = plantMove()
          disk.remove("/from/large")
          let [left, isPlanned, stoppedAt] = [n, false, ""]
          const { checksums, state } = yield* move(disk, {
            conflict,
            goesOn: true,
            before: (call, path) =>
              Effect.suspend(() => {
                isPlanned ||= call === "open"
                // What ends the walk is told, and is nothing that it goes on with.
                if (!isPlanned || (call === "lstat" && path === "/from") || left-- !== 0) return Effect.void
                stoppedAt = `${conflict}, ${n}: ${call} ${path}`
                return Effect.fail(FaultyFiles.error(call, path, "ENOSPC"))
              })
          })
          if (left >= 0) break
          if (state === "Completed") assert.deepStrictEqual(checksums, small, stoppedAt)
          else others.push(stoppedAt)
        }
      }
      assert.deepStrictEqual(others, [])
    }))
})
