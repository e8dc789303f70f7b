import { assert, describe, it } from "@effect/vitest"
import { settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import type { FilesError } from "@fanout/ops/FilesError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { compareContent } from "../src/internal/sameContent.ts"
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
        return yield* compareContent(yield* open("/a"), yield* open("/b"))
      })
      const fiber = yield* Effect.forkChild(Effect.scoped(compared))
      yield* settle
      assert.deepStrictEqual(reading, ["/a", "/b"])
      yield* Deferred.succeed(latch, undefined)
      assert.isTrue(Option.isNone(yield* Fiber.join(fiber)))
    }))
})
