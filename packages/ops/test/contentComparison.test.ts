import { assert, describe, it } from "@effect/vitest"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import { settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { FilesError } from "@fanout/ops/FilesError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { compareContent } from "../src/internal/content/contentComparison.ts"
import * as MovedSource from "../src/internal/move/movedSource.ts"
import * as Place from "../src/internal/path/place.ts"
import * as Conflict from "../src/internal/steps/conflict.ts"
import * as SavedCopy from "../src/internal/steps/savedCopy.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

describe("compareContent", () => {
  it.effect("reads both files at the same time", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const path of ["/a", "/b"]) disk.file(path, "the same")
      const latch = yield* Deferred.make<void>()
      const reading: Array<string> = []
      const files = FaultyFiles.intercept(MemoryFiles.make(disk), (call, path) => {
        if (call !== "read") return Effect.void
        reading.push(path)
        return Deferred.await(latch)
      })
      const open = (path: string) =>
        Effect.gen(function*() {
          const file = yield* files.open(FilePath.make(path))
          return { file, stat: yield* file.stat, blame: (error: FilesError) => error }
        })
      const compared = Effect.gen(function*() {
        return yield* compareContent(yield* open("/a"), yield* open("/b"), SavedCopy.comparing)
      })
      const fiber = yield* Effect.forkChild(Effect.scoped(compared))
      yield* settle
      assert.deepStrictEqual(reading, ["/a", "/b"])
      yield* Deferred.succeed(latch, undefined)
      assert.isTrue(Option.isNone(yield* Fiber.join(fiber)))
    }))

  it.effect("reads what says that it is empty, and nothing behind the end of others", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      disk.file("/a", "the same")
      disk.file("/b", "the sama")
      const reads: Array<string> = []
      const files = FaultyFiles.intercept(
        MemoryFiles.make(disk),
        (call, path) => Effect.sync(() => void (call === "read" && reads.push(path)))
      )
      const open = (path: string, told: Partial<Files.FileStat>) =>
        Effect.gen(function*() {
          const file = yield* files.open(FilePath.make(path))
          return { file, stat: { ...yield* file.stat, ...told }, blame: (error: FilesError) => error }
        })
      const compare = (...told: ReadonlyArray<Partial<Files.FileStat>>) =>
        Effect.scoped(Effect.gen(function*() {
          const [a, b] = [yield* open("/a", told[0] ?? {}), yield* open("/b", told[1] ?? {})]
          return yield* compareContent(a, b, SavedCopy.comparing)
        }))
      assert.deepStrictEqual(yield* compare(), Option.some(7))
      assert.deepStrictEqual(reads, ["/a", "/b"])
      assert.deepStrictEqual(yield* compare({ sizeBytes: 0 }, { sizeBytes: 0 }), Option.some(7))
      assert.lengthOf(reads, 6)
    }))

  it.effect("forgets nothing else that a move has kept, and goes on where it was", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const path of ["/a", "/b"]) disk.file(path, Buffer.alloc(2 ** 26 + 1, 7))
      let reads = 0
      const files = FaultyFiles.intercept(MemoryFiles.make(disk), (call) =>
        Effect.sync(() => {
          if (call === "read") reads++
        }))
      let checkpoint: Schema.Json | undefined = undefined
      const cell: TaskCheckpoint.Cell = {
        get checkpoint() {
          return checkpoint
        },
        saveUnsafe: (saved) => {
          checkpoint = saved
        },
        recorded: Effect.void
      }
      const place = (path: string) => Place.open(FilePath.make(path))
      const compare = Effect.gen(function*() {
        return yield* MovedSource.isSameContent(yield* place("/a"), yield* place("/b"), "file")
      }).pipe(
        Effect.scoped,
        Effect.provideService(TaskCheckpoint.Cell, cell),
        Effect.provideService(Files.Files, files)
      )
      const decision = Conflict.Decision.cases.RenameTo.make({ number: 1 })
      yield* Effect.provideService(SavedCopy.commit({ decision }), TaskCheckpoint.Cell, cell)
      assert.isTrue(yield* compare)
      const saved = yield* Effect.provideService(SavedCopy.get, TaskCheckpoint.Cell, cell)
      assert.deepStrictEqual([saved.decision, saved.compared?.bytes], [decision, 2 ** 26])
      reads = 0
      assert.isTrue(yield* compare)
      assert.strictEqual(reads, 2)
    }))
})
