import { assert, describe, it } from "@effect/vitest"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { process, settle } from "@fanout/core/testing"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as HardLinks from "@fanout/ops/HardLinks"
import * as Move from "@fanout/ops/Move"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import * as Hasher from "../src/internal/hash/hasher.ts"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import { copy, remembering } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const contents = { "a": "text of a", "folder/b": "text of b" }
const output = "/out/sums"

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/folder", "/to", "/out"]) disk.folder(folder)
  for (const [name, text] of Object.entries(contents)) disk.file(`/from/${name}`, text)
  return disk
}

const digest = (text: string): string => {
  const hasher = Hasher.make("sha256")
  hasher.update(Buffer.from(text))
  return hasher.digest()
}

/** Lines that are to be in the file, whose names begin like this. */
const linesOf = (top: string, files: Readonly<Record<string, string>> = contents): ReadonlyArray<string> =>
  Object.entries(files).map(([name, text]) => `${digest(text)}  ${top}${name}`).toSorted()

const linesIn = (disk: MemoryFiles.Disk): ReadonlyArray<string> => {
  const seen = disk.see(output)
  return seen?.kind === "file" ? seen.text.trimEnd().split("\n").toSorted() : []
}

const names = (disk: MemoryFiles.Disk): ReadonlyArray<string> => Object.keys(disk.tree("/out"))

const readOnly: FaultyFiles.Before = (call, path) =>
  path.startsWith("/out/") && call !== "lstat" ? Effect.fail(FaultyFiles.error(call, path, "EACCES")) : Effect.void

const request: Copy.Request = {
  sources: [FilePath.make("/from")],
  destination: FilePath.make("/to/copy"),
  noTargetDirectory: true,
  conflict: "overwrite",
  checksums: { algorithm: "sha256", output: FilePath.make(output) }
}

/** A process on the disk. Once `dies` says so, none of its calls is made any more, nor any after it. */
const start = (disk: MemoryFiles.Disk, dies: FaultyFiles.Before = () => Effect.void) => {
  const files = Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), dies))
  return process(
    { jobs: [Copy.job, Move.job] },
    Layer.merge(Copy.layer, Move.layer).pipe(
      Layer.provide([files, Layer.succeed(HardLinks.HardLinks, remembering())])
    )
  )
}

/** Kills a process at one of the calls for the file, and gives the job; nothing where it is over before so many. */
const killed = Effect.fnUntraced(function*(disk: MemoryFiles.Disk, job: typeof Copy.job | typeof Move.job, n: number) {
  let left = n
  const { kill, manager } = yield* start(disk, (_, path) => {
    if (path.startsWith("/out")) left--
    return left < 0 ? Effect.never : Effect.void
  })
  const payload = yield* Effect.provideService(
    Copy.plan(request, [], FilePath.make("copy")),
    Files.Files,
    MemoryFiles.make(disk)
  )
  const { id } = yield* manager.start(job, payload)
  yield* Effect.andThen(settle, TestClock.adjust("1 second"))
  yield* kill
  return left < 0 ? Option.some(id) : Option.none()
})

const onStore = Effect.provide(Layer.fresh(MemoryJobStore.layer))

describe("the file of checksums", () => {
  it.effect("is written by the job, with names from the destination on as that was given", () =>
    Effect.gen(function*() {
      const told = { checksums: "sha256", output } as const
      for (const moves of [false, true]) {
        const conflict = "overwrite"
        const itself = plant()
        assert.strictEqual((yield* copy(itself, { ...told, moves, conflict, called: "./copy" })).state, "Completed")
        assert.deepStrictEqual(linesIn(itself), linesOf("./copy/"))
        const into = plant()
        yield* copy(into, { ...told, moves, conflict, sources: ["/from/folder", "/from/a"], called: "../to" })
        assert.deepStrictEqual(linesIn(into), linesOf("../to/"))
      }
      const disk = plant()
      disk.file("/to/a", "of somebody")
      yield* copy(disk, { ...told, conflict: "rename", sources: ["/from/a"], called: "." })
      assert.deepStrictEqual(linesIn(disk), linesOf("./", { "a (1)": contents.a }))
    }))

  it.effect("names files by their paths in a job that an older version has begun", () =>
    Effect.gen(function*() {
      const disk = plant()
      const { manager } = yield* start(disk)
      const payload = {
        request,
        leaveOut: [],
        transfers: Arr.of({ source: request.sources[0], target: request.destination })
      }
      yield* manager.start(Copy.job, payload)
      yield* Effect.andThen(settle, TestClock.adjust("1 second"))
      assert.deepStrictEqual(linesIn(disk), linesOf("/to/copy/"))
    }).pipe(onStore))

  it.effect("that can't be written fails the job, whose retry writes it", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.file(output, "of before", { mode: 0o640 })
      let isReadOnly = true
      const { manager } = yield* start(disk, (...call) => isReadOnly ? readOnly(...call) : Effect.void)
      const { id } = yield* manager.start(Move.job, {
        request,
        leaveOut: [],
        transfers: [{ source: request.sources[0], target: request.destination, called: FilePath.make("copy") }]
      })
      yield* Effect.andThen(settle, TestClock.adjust("1 second"))
      const { exit, state } = yield* manager.get(id)
      assert.strictEqual(state._tag, "Failed")
      assert.deepInclude(Option.getOrThrow(exit), {
        _tag: "Failure",
        message: `All but the checksums is done. "/out/sums" can't be written: Could not create "/out/sums": ` +
          "permission denied (EACCES). Once that is put right, a retry writes it"
      })
      assert.deepStrictEqual(linesIn(disk), ["of before"])
      assert.strictEqual(disk.see("/from"), undefined)

      isReadOnly = false
      yield* manager.retry(id)
      yield* Effect.andThen(settle, TestClock.adjust("1 second"))
      assert.strictEqual((yield* manager.get(id)).state._tag, "Completed")
      assert.deepStrictEqual(linesIn(disk), linesOf("copy/"))
      assert.deepInclude(disk.see(output), { mode: 0o640 })
    }).pipe(onStore))

  it.effect("has what a retry has copied, too", () =>
    Effect.gen(function*() {
      const disk = plant()
      const { before } = FaultyFiles.failingOnce("EIO", (call, path) => call === "read" && path === "/from/folder/b")
      const { state } = yield* copy(disk, { checksums: "sha256", output, called: "copy", before, goesOn: true })
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(linesIn(disk), linesOf("copy/"))
    }))

  it.effect.each(["copy", "move"] as const)(
    "is whole after a kill at any point of a %s",
    (name) =>
      Effect.gen(function*() {
        const job = name === "copy" ? Copy.job : Move.job
        for (let n = 0;; n++) {
          const disk = plant()
          const isOver = yield* Effect.gen(function*() {
            const id = yield* killed(disk, job, n)
            if (Option.isNone(id)) return true
            assert.isAtMost(names(disk).length, 1, `${n}`)
            const { manager } = yield* start(disk)
            yield* TestClock.adjust("30 seconds")
            assert.strictEqual((yield* manager.get(id.value)).state._tag, "Completed", `${n}`)
            return false
          }).pipe(Effect.scoped, onStore)
          assert.deepStrictEqual([linesIn(disk), names(disk)], [linesOf("copy/"), ["sums"]], `${n}`)
          if (isOver) return assert.isAbove(n, 6)
        }
      })
  )

  it.effect("leaves nothing where the job is cancelled, and nothing else goes with it", () =>
    Effect.gen(function*() {
      const disk = plant()
      const id = Option.getOrThrow(yield* killed(disk, Move.job, 6))
      assert.lengthOf(names(disk), 1)
      const aside = TemporaryName.make(id, 1, FilePath.make("/out/a"))
      disk.file(`/out/${aside}`, "the only one")
      const { manager } = yield* start(disk)
      yield* manager.cancel(id)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* manager.get(id)).state._tag, "Cancelled")
      assert.deepStrictEqual(names(disk), [aside])
    }).pipe(Effect.scoped, onStore))
})
