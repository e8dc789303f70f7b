import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import * as Pools from "@fanout/core/Pools"
import { layer, settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Filter from "@fanout/ops/Filter"
import * as Hash from "@fanout/ops/Hash"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as SourceRows from "@fanout/ops/SourceRows"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { createHash } from "node:crypto"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import * as Hasher from "../src/internal/hash/hasher.ts"
import * as SampledHash from "../src/internal/hash/sampledHash.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { tellEnding } from "./tellEnding.ts"

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

/** A tree to hash, whose files sort otherwise than their folders do. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/in", "/in/b", "/in/empty"]) disk.folder(folder)
  disk.file("/in/b.txt", "second")
  disk.file("/in/b/c", "first")
  disk.file("/in/nothing", "")
  disk.file("/in/z", "last".repeat(1_000_000))
  disk.symlink("/in/link", "b/c")
  disk.symlink("/named", "in")
  disk.special("/in/pipe")
  return disk
}

const runtime = layer({ jobs: [Hash.job] }).pipe(
  Layer.provide(Layer.provide(Hash.layer, Pools.layer()))
)

interface Options {
  readonly algorithm?: HashAlgorithm | "sampled"
  readonly before?: FaultyFiles.Before
  readonly sources?: readonly [string, ...ReadonlyArray<string>]
  readonly output?: string
  readonly leaveOut?: ReadonlyArray<string>
  /** What happens before each retry. */
  readonly retries?: ReadonlyArray<() => void>
  readonly rules?: ReadonlyArray<string>
}

/** Hashes by a job, and gives its lines in the order of the walk. */
const hash = (
  disk: MemoryFiles.Disk,
  { algorithm = "sha256", before = () => Effect.void, leaveOut = [], output, retries = [], ...given }: Options = {}
) =>
  Effect.gen(function*() {
    const { sources: [first, ...others] = ["/in"] } = given
    const manager = yield* JobManager.JobManager
    const store = yield* JobStore
    const payload = yield* Hash.plan({
      sources: [FilePath.make(first), ...others.map(FilePath.make)],
      algorithm,
      leaveOut: leaveOut.map(FilePath.make),
      ...(given.rules === undefined ? {} : { rules: given.rules.map((rule) => Filter.Rule.make(rule)) }),
      ...(output === undefined ? {} : { output: FilePath.make(output) })
    })
    const { id } = yield* manager.start(Hash.job, payload)
    yield* settle
    yield* TestClock.adjust("10 seconds")
    for (const prepare of retries) {
      prepare()
      yield* manager.retry(id)
      yield* settle
      yield* TestClock.adjust("10 seconds")
    }
    const rows = yield* store.outcomes(id, { after: 0, limit: 1000 })
    const sorter = new SourceRows.Sorter(Hash.fromRow)
    const lines = [...sorter.add(rows), ...sorter.end()]
    const { tally } = yield* manager.progress(id)
    return {
      done: tally.done,
      bytes: tally.units["bytes"],
      state: (yield* manager.get(id)).state._tag,
      counts: lines.map(({ count }) => count),
      lines: lines.flatMap(({ files, place, row }) =>
        files.length > 0
          ? files.map(({ digest, path }) => `${place.source}/${path} ${digest}`)
          : [`${place.source}/${place.path} ${tellEnding(row.outcome)}`]
      )
    }
  }).pipe(
    Effect.provide(
      Layer.provideMerge(runtime, Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before)))
    )
  )

const all = [
  `0/b/c ${sha256("first")}`,
  `0/b.txt ${sha256("second")}`,
  `0/nothing ${sha256("")}`,
  "0/pipe it is no file, folder or link",
  `0/z ${sha256("last".repeat(1_000_000))}`
]

describe("Hash", () => {
  it.effect("hashes every file, in the order of the walk", () =>
    Effect.gen(function*() {
      const { bytes, lines, state } = yield* hash(plant())
      assert.deepStrictEqual({ bytes, state, lines }, { bytes: 4_000_011, state: "Completed", lines: all })
    }))

  it.effect("leaves out what rules say, also of a folder that is listed by a retry", () =>
    Effect.gen(function*() {
      const disk = plant()
      for (const folder of ["/in/b/out", "/in/b/kept"]) disk.folder(folder)
      for (const path of ["b/out/a", "b/kept/b.tmp", "b/kept/c", "b/d.tmp"]) disk.file(`/in/${path}`, "first")
      disk.special("/in/b/e.tmp")
      const rules = ["*.tmp", "/b/out/", "!/b/kept/b.tmp"]
      const lines = [
        ...["b/c", "b/kept/b.tmp", "b/kept/c"].map((path) => `0/${path} ${sha256("first")}`),
        ...all.slice(1)
      ]
      assert.deepStrictEqual((yield* hash(disk, { rules })).lines, lines)

      let isFailing = true
      const before = FaultyFiles.failing("EIO", (call, path) => isFailing && call === "scandir" && path === "/in/b")
      const retried = yield* hash(disk, { rules, before, retries: [() => void (isFailing = false)] })
      assert.deepStrictEqual(retried.lines.filter((line) => !line.endsWith(" ")).toSorted(), lines.toSorted())
    }))

  it.effect("is paused where what it hashes is on another file system by now, and skips nothing", () =>
    Effect.gen(function*() {
      for (const gone of ["open /in/b/c", "open /in/z", "scandir /in/b", "scandir /in"]) {
        const disk = plant()
        disk.remove("/in/pipe")
        const before: FaultyFiles.Before = (call, path) =>
          Effect.suspend(() => {
            if (`${call} ${path}` !== gone) return Effect.void
            // Its mount point is there, and empty.
            for (const device of disk.fileSystems.keys()) disk.fileSystems.set(device, "another")
            return Effect.fail(FaultyFiles.error(call, path, "ENOENT"))
          })
        const { lines, state } = yield* hash(disk, { before })
        assert.deepStrictEqual([state, lines.filter((line) => !all.includes(line))], ["Paused", []], gone)
      }
    }))

  it.effect("counts what it reads of samples", () =>
    Effect.gen(function*() {
      const { bytes } = yield* hash(plant(), { algorithm: "sampled" })
      // Of a large file 8 KiB at both ends, and four times 10 KiB between.
      assert.strictEqual(bytes, 11 + 56 * 1024)
    }))

  it.effect("gives files of any size the ids of their samples, in the order of the walk", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/in", "/in/b", "/in/c"]) disk.folder(folder)
      const sizes = [102_401, 0, 102_400, 1, 200_000, 102_399, 0, 300_000]
      const expected: Array<string> = []
      for (const [n, size] of sizes.entries()) {
        const path = n < 3 ? `${n}` : n < 6 ? `b/${n}` : `c/${n}`
        const content = Uint8Array.from({ length: size }, (_, i) => (i + n) % 251)
        disk.file(`/in/${path}`, content)
        const readAt = (buffer: Uint8Array, offset: number) =>
          Effect.sync(() => {
            const piece = content.subarray(offset, offset + buffer.length)
            buffer.set(piece)
            return piece.length
          })
        const id = Option.getOrThrow(yield* SampledHash.compute(Hasher.make("blake3"), size, readAt))
        expected.push(n === 6 ? `0/${path} it vanished` : `0/${path} ${id}`)
      }
      const before: FaultyFiles.Before = (call, path) =>
        call === "open" && path === "/in/c/6" ? Effect.fail(FaultyFiles.error(call, path, "ENOENT")) : Effect.void

      const { lines, state } = yield* hash(disk, { algorithm: "sampled", before })

      assert.deepStrictEqual({ state, lines }, { state: "Completed", lines: expected })
    }))

  it.effect("follows a link that was named, and passes over those in folders", () =>
    Effect.gen(function*() {
      const { lines } = yield* hash(plant(), { sources: ["/named", "/in/link"] })
      assert.deepStrictEqual(lines, [...all, `1/ ${sha256("first")}`])
    }))

  it.effect("fails for a link that was named and leads nowhere", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.symlink("/lost", "nowhere")
      const { lines, state } = yield* hash(disk, { sources: ["/lost", "/in/b"] })
      assert.deepStrictEqual({ lines, state }, {
        lines: ["0/ \"/lost\" is a link that leads to nothing that can be read", `1/c ${sha256("first")}`],
        state: "CompletedWithErrors"
      })
    }))

  it.effect("leaves out the database of its own job", () =>
    Effect.gen(function*() {
      const { lines } = yield* hash(plant(), { leaveOut: ["/in/z"] })
      assert.deepStrictEqual(lines.at(-1), "0/z it belongs to the database of this job")
    }))

  it.effect.each(["sha256", "sampled"] as const)(
    "opens no other name of the database of its own job (%s)",
    (algorithm) =>
      Effect.gen(function*() {
        const disk = plant()
        const large = new Uint8Array(2 ** 20 + 1)
        for (const [name, content] of [["db", "text"], ["db-shm", large]] as const) {
          disk.file(`/${name}`, content)
          disk.hardLink(`/${name}`, `/in/b/${name} too`)
        }
        const before: FaultyFiles.Before = (call, path) =>
          call === "open" && path.includes("db") ? Effect.die(`${path} was opened`) : Effect.void
        const leaveOut = ["/db", "/db-wal", "/db-shm"]
        const { lines, state } = yield* hash(disk, { algorithm, before, leaveOut })
        const ending = "it belongs to the database of this job"
        assert.deepStrictEqual({ state, lines: lines.filter((line) => line.includes("db")) }, {
          state: "Completed",
          lines: [`0/b/db too ${ending}`, `0/b/db-shm too ${ending}`]
        })
        const named = yield* hash(disk, { algorithm, before, leaveOut, sources: ["/in/b/db too"] })
        assert.deepStrictEqual(named.lines, [`0/ ${ending}`])
      })
  )

  it.effect("leaves out what its lines are written to, where that is in there", () =>
    Effect.gen(function*() {
      const { lines } = yield* hash(plant(), { output: "/in/z" })
      assert.deepStrictEqual(lines.at(-1), "0/z it is what the lines of this job are written to")
      assert.deepStrictEqual((yield* hash(plant(), { output: "/in.z" })).lines, all)
    }))

  it.effect("tells what could not be read, what vanished, and what was not there", () =>
    Effect.gen(function*() {
      const codes = new Map([["open /in/b.txt", "EACCES"], ["open /in/z", "ENOENT"], ["scandir /in/b", "EACCES"]])
      const { lines, state } = yield* hash(plant(), {
        sources: ["/in", "/nowhere"],
        before: FaultyFiles.failingBy(codes)
      })
      assert.strictEqual(state, "CompletedWithErrors")
      assert.deepStrictEqual(lines.map((line) => line.replace(/: .*/, "")), [
        `0/b Could not list "/in/b"`,
        `0/b.txt Could not open "/in/b.txt"`,
        `0/nothing ${sha256("")}`,
        "0/pipe it is no file, folder or link",
        "0/z it vanished",
        `1/ Could not look at "/nowhere"`
      ])
    }))

  it.effect("lists a folder again that could not be listed, once it is retried", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.folder("/in/b/in")
      for (let n = 100; n < 200; n++) disk.file(`/in/b/in/${n}`, `${n}`)
      disk.folder("/in/b/in/z")
      disk.file("/in/b/in/z/z", "deep")
      disk.file("/in/b/d", new Uint8Array(2 ** 20 + 1))
      disk.file("/in/b/e", "fourth")
      disk.file("/in/b/db", "database")
      disk.symlink("/in/b/link", "c")
      disk.special("/in/b/pipe")
      const failing = new Map([["scandir /in/b", "EACCES"], ["open /in/b/e", "EIO"], ["scandir /in/b/in", "EIO"]])
      const before = FaultyFiles.failingBy(failing)
      const others = all.filter((line) => !line.startsWith("0/b/"))
      const inB = [
        `0/b/c ${sha256("first")}`,
        `0/b/d ${sha256("\0".repeat(2 ** 20 + 1))}`,
        "0/b/db it belongs to the database of this job"
      ]
      const [pipe, fourth] = ["0/b/pipe it is no file, folder or link", `0/b/e ${sha256("fourth")}`]
      const inIn = Array.from({ length: 100 }, (_, n) => `0/b/in/${100 + n} ${sha256(`${100 + n}`)}`)
      const run = (...retries: ReadonlyArray<() => void>) => hash(disk, { before, leaveOut: ["/in/b/db"], retries })

      assert.match((yield* run()).lines[0] ?? "", /^0\/b Could not list/)
      const still = yield* run(() => {})
      assert.deepStrictEqual([still.state, still.lines.length], ["CompletedWithErrors", 1 + others.length])
      const mended = yield* run(() => void failing.delete("scandir /in/b"))
      assert.strictEqual(mended.state, "CompletedWithErrors")
      assert.deepStrictEqual(mended.lines.map((line) => line.replace(/: .*/, "")), [
        "0/b ",
        ...others,
        ...inB,
        `0/b/e Could not open "/in/b/e"`,
        `0/b/in Could not list "/in/b/in"`,
        pipe
      ])
      failing.set("scandir /in/b", "EACCES")
      const whole = yield* run(() => void failing.delete("scandir /in/b"), () => failing.clear())
      assert.deepStrictEqual(whole, {
        state: "Completed",
        done: 3 + 3 + 101,
        bytes: whole.bytes,
        counts: whole.counts,
        lines: ["0/b ", ...others, ...inB, fourth, ...inIn, `0/b/in/z/z ${sha256("deep")}`, pipe]
      })
    }))

  it.effect("lists what is in a large folder again in several steps, and once", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      disk.folder("/in")
      const count = 2 ** 14 + 300
      for (let n = 0; n < count; n++) disk.file(`/in/${n}`, "")
      let isFailing = true
      const lists: Array<string> = []
      const before: FaultyFiles.Before = (call, path) => {
        if (call !== "scandir") return Effect.void
        lists.push(path)
        return isFailing ? Effect.fail(FaultyFiles.error(call, path, "EIO")) : Effect.void
      }
      const { done, lines } = yield* hash(disk, { before, retries: [() => void (isFailing = false)] })
      assert.strictEqual(done, count)
      assert.strictEqual(new Set(lines).size, 1 + count)
      assert.lengthOf(lists, 3)
    }))

  it.effect("lists a source again that could not be listed, and fails again where it is gone", () =>
    Effect.gen(function*() {
      const disk = plant()
      let isFailing = true
      const before = FaultyFiles.failing("EIO", (call, path) => isFailing && call === "scandir" && path === "/in")
      const mended = yield* hash(disk, { before, retries: [() => void (isFailing = false)] })
      assert.deepStrictEqual([mended.state, mended.lines.toSorted()], ["Completed", ["0/ ", ...all].toSorted()])
      isFailing = true
      const gone = yield* hash(disk, { before, retries: [() => disk.remove(FilePath.make("/in"))] })
      assert.strictEqual(gone.state, "CompletedWithErrors")
      assert.match(gone.lines.join("\n"), /^0\/ Could not list "\/in"/)
    }))

  it.effect("hashes nothing of a file that it had to leave into the next", () =>
    Effect.gen(function*() {
      let reads = 0
      // An algorithm that no other test uses has but one hasher to spare.
      const { lines: [failed] } = yield* hash(plant(), {
        algorithm: "sha1",
        sources: ["/in/z"],
        before: FaultyFiles.failing("EIO", (call) => call === "read" && ++reads === 2)
      })
      assert.match(failed ?? "", /^0\/ Could not read/)
      const { lines } = yield* hash(plant(), { algorithm: "sha1", sources: ["/in/b"] })
      assert.deepStrictEqual(lines, [`0/c ${createHash("sha1").update("first").digest("hex")}`])
    }))

  it.effect("reads no more than samples of a file, and tells what changed or went", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.file("/in/large", Uint8Array.from({ length: 1_048_576 }, (_, i) => i % 251))
      const before: FaultyFiles.Before = (call, path) => {
        if (path === "/in/b/c" && call === "open") return Effect.fail(FaultyFiles.error(call, path, "ENOENT"))
        if (path === "/in/b.txt" && call === "open") return Effect.fail(FaultyFiles.error(call, path, "EACCES"))
        return path === "/in/z" && call === "read"
          ? Effect.sync(() => disk.change(FilePath.make("/in/z"), (text) => `${text}.`))
          : Effect.void
      }
      const { lines } = yield* hash(disk, { algorithm: "sampled", before })
      assert.deepStrictEqual(lines.map((line) => line.replace(/: .*/, "")), [
        "0/b/c it vanished",
        `0/b.txt Could not open "/in/b.txt"`,
        "0/large 5aefa86eb26df03d",
        "0/nothing 71e0a99173564931",
        "0/pipe it is no file, folder or link",
        `0/z "/in/z" changed while it was read`
      ])
    }))

  it.effect("hashes all but the one that its task dies of", () =>
    Effect.gen(function*() {
      const { lines, state } = yield* hash(plant(), {
        before: (call, path) => call === "open" && path === "/in/b.txt" ? Effect.die("by itself") : Effect.void
      })
      assert.strictEqual(state, "CompletedWithErrors")
      const expected = all.map((line) => line.startsWith("0/b.txt") ? "0/b.txt the task died: by itself" : line)
      assert.deepStrictEqual(lines, expected)
    }))

  it.effect("keeps the order, and every name, of more files than are hashed together", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      const expected: Array<string> = []
      for (const [source, folder] of ["/one", "/two"].entries()) {
        disk.folder(folder)
        for (const inner of ["a", "b"]) {
          disk.folder(`${folder}/${inner}`)
          for (let i = 100; i < 250; i++) {
            disk.file(`${folder}/${inner}/${i}`, `${i} in ${folder}`)
            expected.push(`${source}/${inner}/${i} ${sha256(`${i} in ${folder}`)}`)
          }
        }
      }
      const { lines, state } = yield* hash(disk, { sources: ["/one", "/two"] })
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(lines, expected)
    }))

  it.effect.each([[false, 5], [true, 2]] as const)(
    "hashes more files together where calls are quick (%s)",
    ([isQuick, rows]) =>
      Effect.gen(function*() {
        const disk = new MemoryFiles.Disk()
        disk.folder("/in")
        for (let n = 0; n < 300; n++) disk.file(`/in/${n}`, `${n}`)
        const files = MemoryFiles.make(disk)
        const hashed = isQuick
          ? hash(disk).pipe(
            Effect.provideService(QuickFiles, {
              throughout: () => Effect.succeedSome(files),
              isSlow: () => false
            })
          )
          : hash(disk)
        const { counts, lines } = yield* hashed
        assert.lengthOf(lines, 300)
        assert.lengthOf(counts, rows)
      })
  )

  it.effect("tells of a file that changes while it is read", () =>
    Effect.gen(function*() {
      const disk = plant()
      let reads = 0
      const { lines } = yield* hash(disk, {
        sources: ["/in/z"],
        before: (call) =>
          Effect.sync(() => {
            if (call === "read" && ++reads === 2) disk.change(FilePath.make("/in/z"), (text) => `${text} and more`)
          })
      })
      assert.deepStrictEqual(lines, [`0/ "/in/z" changed while it was read`])
    }))

  it.effect.each(
    [
      ["grows", (text: string) => `${text} and more`],
      ["keeps its size", (text: string) => text.toUpperCase()]
    ] as const
  )("tells of a small file among others that changes while it is read, and %s", ([, edit]) =>
    Effect.gen(function*() {
      const disk = plant()
      let isChanged = false
      const { lines } = yield* hash(disk, {
        before: (call, path) =>
          Effect.sync(() => {
            if (isChanged || call !== "read" || path !== "/in/b.txt") return
            isChanged = true
            disk.change(path, edit)
          })
      })
      assert.deepStrictEqual(lines, all.with(1, `0/b.txt "/in/b.txt" changed while it was read`))
    }))
})
