import { afterAll, assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as FaultyFiles from "./FaultyFiles.ts"
import { filesContract } from "./FilesContract.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

for (const unnamed of [true, false]) {
  describe(`Files in memory, ${unnamed ? "with" : "without"} files that have no name`, () => {
    const disk = new MemoryFiles.Disk()
    disk.takesUnnamed = unnamed
    let folders = 0
    filesContract(
      it,
      MemoryFiles.layer(disk),
      Effect.sync(() => {
        const path = `/folder-${folders++}`
        disk.folder(path)
        return FilePath.make(path)
      }),
      { unnamed, isAtOnce: true }
    )

    afterAll(() => {
      assert.isAbove(folders, 0)
      assert.strictEqual(disk.openCount, 0)
    })
  })
}

describe("waitForDescriptor", () => {
  const path = FilePath.make("/file")

  it.effect("tries again until other files are closed", () =>
    Effect.gen(function*() {
      let left = 10
      const open = Effect.suspend(() =>
        left-- > 0 ? Effect.fail(FaultyFiles.error("open", path, "EMFILE")) : Effect.succeed("open")
      )

      const fiber = yield* Effect.forkChild(Files.waitForDescriptor(open))
      yield* TestClock.adjust("1 minute")

      assert.strictEqual(yield* Fiber.join(fiber), "open")
    }))

  it.effect("gives up in the end", () =>
    Effect.gen(function*() {
      let tries = 0
      const open = Effect.suspend(() => {
        tries++
        return Effect.fail(FaultyFiles.error("open", path, "ENFILE"))
      })

      const fiber = yield* Effect.forkChild(Effect.flip(Files.waitForDescriptor(open)))
      yield* TestClock.adjust("10 minutes")

      assert.strictEqual((yield* Fiber.join(fiber)).code, "ENFILE")
      assert.strictEqual(tries, 42)
    }))

  it.effect("does not wait for anything else", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Files.waitForDescriptor(Effect.fail(FaultyFiles.error("open", path, "EACCES"))))

      assert.strictEqual(error.code, "EACCES")
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    }))
})
