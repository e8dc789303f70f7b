import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import * as Pools from "@fanout/core/Pools"
import { layer, settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as HashCheck from "@fanout/ops/HashCheck"
import * as SourceRows from "@fanout/ops/SourceRows"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { createHash } from "node:crypto"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const sum = (text: string, algorithm = "sha256") => createHash(algorithm).update(text).digest("hex")

const plant = (lines: ReadonlyArray<string>): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/in", "/in/folder", "/sums"]) disk.folder(folder)
  for (const name of ["a", "b", "c"]) disk.file(`/in/${name}`, name)
  disk.symlink("/in/link", "a")
  disk.symlink("/in/loose", "nowhere")
  disk.special("/in/pipe")
  disk.file("/sums/SUMS", lines.join("\n"))
  return disk
}

const runtime = layer({ jobs: [HashCheck.job] }).pipe(
  Layer.provide(HashCheck.layer),
  Layer.provide(Pools.layer({ io: 4 }))
)

interface Options {
  readonly before?: FaultyFiles.Before
  readonly algorithm?: HashAlgorithm
  readonly leaveOut?: ReadonlyArray<string>
  /** What happens between the plan and the job. */
  readonly meanwhile?: () => void
  /** What happens before it is retried, if it is. */
  readonly mend?: () => void
}

/** Checks by a job, and gives what each line came to. */
const check = (
  disk: MemoryFiles.Disk,
  { algorithm, before = () => Effect.void, leaveOut = [], meanwhile = () => {}, mend }: Options = {}
) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const store = yield* JobStore
    const payload = yield* HashCheck.plan({
      file: FilePath.make("/sums/SUMS"),
      folder: FilePath.make("/in"),
      leaveOut: leaveOut.map(FilePath.make),
      algorithm: Option.fromUndefinedOr(algorithm)
    })
    meanwhile()
    const { id } = yield* manager.start(HashCheck.job, payload)
    yield* settle
    yield* TestClock.adjust("100 seconds")
    yield* settle
    if (mend !== undefined) {
      mend()
      yield* manager.retry(id)
      yield* settle
      yield* TestClock.adjust("100 seconds")
    }
    const rows = yield* store.outcomes(id, { after: 0, limit: 10_000 })
    const sorter = new SourceRows.Sorter(HashCheck.fromRow)
    const lines = [...sorter.add(rows), ...sorter.end()]
    return {
      state: (yield* manager.get(id)).state._tag,
      lines: lines.map(({ lineNumber, matched, path, status }) =>
        [
          lineNumber,
          path,
          status,
          ...Option.match(matched, { onNone: () => [], onSome: ({ algorithm }) => [algorithm] })
        ].join(" ")
      )
    }
  }).pipe(
    Effect.provide(
      Layer.provideMerge(runtime, Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before)))
    )
  )

describe("HashCheck", () => {
  it.effect("is paused where what it checks is on another file system by now", () =>
    Effect.gen(function*() {
      const disk = plant([`${sum("a")}  a`, `${sum("a")}  gone`])
      const { lines, state } = yield* check(disk, {
        before: (call, path) =>
          Effect.sync(() => {
            if (path !== "/in/gone" || call === "fstatfs") return
            for (const device of disk.fileSystems.keys()) disk.fileSystems.set(device, "another")
          })
      })
      assert.deepStrictEqual([state, lines.filter((line) => !line.includes(" ok"))], ["Paused", []])
      assert.strictEqual((yield* check(plant([`${sum("a")}  gone`]))).state, "CompletedWithErrors")
    }))

  it.effect.each([false, true])(
    "opens nothing of the database of its own job (with another name: %s)",
    (isLinked) =>
      Effect.gen(function*() {
        const others = isLinked ? ["other"] : []
        const names = ["folder/db", "folder/../folder/db", "/in/folder/db-wal", "leads", ...others]
        const disk = plant([...names, "a", "other/db"].map((name) => `${sum("a")}  ${name}`))
        for (const name of ["db", "db-wal"]) disk.file(`/in/folder/${name}`, "a")
        disk.symlink("/in/leads", "folder/db")
        if (isLinked) disk.hardLink("/in/folder/db", "/in/other")
        else disk.folder("/in/other")
        if (!isLinked) disk.file("/in/other/db", "a")
        const opened: Array<string> = []
        const { lines } = yield* check(disk, {
          leaveOut: ["/in/folder/db", "/in/folder/db-wal"],
          before: (call, path) => Effect.sync(() => void (call === "open" && opened.push(path)))
        })
        // No link is opened: that fails. Folders are.
        const unlinked = ["/sums/SUMS", "/in/leads", "/in/a", "/in/other/db"]
        const expected = isLinked ? ["/sums/SUMS", "/in/a"] : unlinked
        const found = opened.filter((path) => disk.see(path)?.kind !== "folder")
        assert.deepStrictEqual(new Set(found), new Set(expected))
        assert.deepStrictEqual(lines, [
          ...names.map((name, index) => `${index + 1} ${name} unreadable`),
          `${names.length + 1} a ok sha256`,
          `${names.length + 2} other/db ${isLinked ? "missing" : "ok sha256"}`
        ])
      })
  )

  it.effect("finds no file where a name ends with a slash, beside others and alone", () =>
    Effect.gen(function*() {
      const names = ["a/", "b", "a"]
      for (const some of [names, ["a/"]]) {
        const { lines } = yield* check(plant(some.map((name) => `${sum(name.slice(0, 1))}  ${name}`)))
        assert.deepStrictEqual(
          lines,
          some.map((name, index) => `${index + 1} ${name} ${name === "a/" ? "missing" : "ok sha256"}`)
        )
      }
    }))

  it.effect("tells of every line what it came to, in order", () =>
    Effect.gen(function*() {
      const disk = plant([
        "# of both styles",
        `${sum("a")}  a`,
        `SHA512 (b) = ${sum("b", "sha512")}`,
        "",
        `${sum("a")}  link`,
        `${sum("a")}  /in/a`,
        `${sum("a")}  b`,
        `${sum("a")}  gone`,
        `${sum("a")}  loose`,
        `${sum("a")}  a/inside`,
        `${sum("a")}  folder`,
        `${sum("a")}  pipe`,
        `${sum("a")}  c`,
        "nothing",
        `${sum("a").slice(0, 16)}  a`
      ])
      const { lines, state } = yield* check(disk, {
        before: FaultyFiles.failing("EACCES", (_, path) => path === "/in/c")
      })

      assert.strictEqual(state, "CompletedWithErrors")
      assert.deepStrictEqual(lines, [
        "2 a ok sha256",
        "3 b ok sha512",
        "5 link ok sha256",
        "6 /in/a ok sha256",
        "7 b changed",
        "8 gone missing",
        "9 loose missing",
        "10 a/inside missing",
        "11 folder unreadable",
        "12 pipe unreadable",
        "13 c unreadable",
        "14  malformed",
        "15  malformed"
      ])
    }))

  it.effect("tries again what was not well, and only that", () =>
    Effect.gen(function*() {
      const disk = plant([`${sum("a")}  a`, `${sum("d")}  d`, `${sum("new b")}  b`, `${sum("c")}  c`, "nothing"])
      const opened: Array<string> = []
      const { lines, state } = yield* check(disk, {
        before: (call, path) => Effect.sync(() => void (call === "open" && opened.push(path))),
        mend: () => {
          disk.file("/in/d", "d")
          opened.length = 0
        }
      })
      assert.strictEqual(state, "CompletedWithErrors")
      assert.deepStrictEqual(lines, [
        "1 a ok sha256",
        "2 d ok sha256",
        "3 b changed",
        "4 c ok sha256",
        "5  malformed"
      ])
      assert.notInclude(opened, "/in/a")
      assert.notInclude(opened, "/in/c")
    }))

  it.effect("checks lines of several algorithms, and those of one that is not told by what others were of", () =>
    Effect.gen(function*() {
      const names = Array.from({ length: 4000 }, (_, n) => `${n}`)
      const other = (n: number) => n % 1000 === 999 ? "sha512" : "sha256"
      const disk = plant(names.map((name, n) => `${sum(name, other(n))}  ${name}`))
      for (const name of names) disk.file(`/in/${name}`, name)
      let reads = 0
      const { lines, state } = yield* check(disk, {
        before: (call, path) => Effect.sync(() => void (call === "read" && path.startsWith("/in/") && reads++))
      })
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(lines, names.map((name, n) => `${n + 1} ${name} ok ${other(n)}`))
      // The first ones are tried by BLAKE3, too.
      assert.isBelow(reads, 1.75 * names.length)
    }))

  it.effect("finds what a name leads to, through links and dots above it too", () =>
    Effect.gen(function*() {
      const disk = plant([
        `${sum("d")}  to-folder/d`,
        `${sum("d")}  to-folder/link`,
        `${sum("a")}  ./a`,
        `${sum("a")}  folder/../a`,
        `${sum("a")}  to-folder/../a`
      ])
      disk.file("/in/folder/d", "d")
      disk.symlink("/in/folder/link", "d")
      disk.symlink("/in/to-folder", "folder")

      assert.deepStrictEqual((yield* check(disk)).lines, [
        "1 to-folder/d ok sha256",
        "2 to-folder/link ok sha256",
        "3 ./a ok sha256",
        "4 folder/../a ok sha256",
        "5 to-folder/../a ok sha256"
      ])
    }))

  it.effect("ends well where all is well, and keeps to the algorithm that is asked for", () =>
    Effect.gen(function*() {
      const lines = [`${sum("a")}  a`, `${sum("b")}  b`]

      assert.deepStrictEqual(yield* check(plant(lines)), {
        state: "Completed",
        lines: ["1 a ok sha256", "2 b ok sha256"]
      })
      assert.deepStrictEqual((yield* check(plant(lines), { algorithm: "blake3" })).lines, [
        "1 a changed",
        "2 b changed"
      ])
    }))

  it.effect("numbers lines across the pieces in which the file is read", () =>
    Effect.gen(function*() {
      const names = Array.from({ length: 3000 }, (_, index) => index % 3 === 0 ? "a" : "b")
      const { lines } = yield* check(plant(["# comment", ...names.map((name) => `${sum("a")}  ${name}`)]))

      assert.deepStrictEqual(
        lines,
        names.map((name, i) => `${i + 2} ${name} ${name === "a" ? "ok sha256" : "changed"}`)
      )
    }))

  it.effect("refuses a file by which nothing can be checked", () =>
    Effect.gen(function*() {
      const refused = (lines: ReadonlyArray<string>) => Effect.map(Effect.flip(check(plant(lines))), String)

      assert.match(yield* refused(["junk", "# more"]), /No line of "\/sums\/SUMS" is a checksum/)
      assert.match(yield* refused([]), /No line of/)
      assert.match(yield* refused([`${sum("a").slice(0, 16)}  a`]), /content ids of samples/)
      const disk = plant([])
      disk.remove(FilePath.make("/sums/SUMS"))
      assert.match(String(yield* Effect.flip(check(disk))), /does not exist/)
      disk.special("/sums/SUMS")
      assert.match(String(yield* Effect.flip(check(disk))), /no file that can be read again/)
    }))

  it.effect("fails where the checksum file is another one by then", () =>
    Effect.gen(function*() {
      const disk = plant([`${sum("a")}  a`])
      const meanwhile = () => {
        disk.change(FilePath.make("/sums/SUMS"), (text) => `${text}\n${text}`)
      }

      assert.deepStrictEqual(yield* check(disk, { meanwhile }), { state: "Failed", lines: [] })
    }))
})
