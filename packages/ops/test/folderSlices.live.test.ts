import { assert, describe, it } from "@effect/vitest"
import * as CopyFilesLive from "@fanout/ops/CopyFilesLive"
import * as Files from "@fanout/ops/Files"
import { QuickFiles } from "@fanout/ops/QuickFiles"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import { copyFilesPayload } from "./copyFilesPayload.ts"
import { testFolder } from "./TestFolder.ts"

const names = ["a", "b", "c"]
const filesEach = 120

/** What becomes of three folders where each look at the clock finds it a millisecond later. */
const copyWithin = (mostMillis: number) =>
  Effect.gen(function*() {
    const at = yield* testFolder
    fs.mkdirSync(`${at}/to`)
    for (const name of names) {
      fs.mkdirSync(`${at}/from/${name}`, { recursive: true })
      for (let i = 0; i < filesEach; i++) fs.writeFileSync(`${at}/from/${name}/${i}`, "content")
    }
    const clock = yield* Clock.Clock
    let now = 0
    const passing: Clock.Clock = {
      currentTimeMillisUnsafe: () => now++,
      currentTimeMillis: clock.currentTimeMillis,
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      currentTimeNanos: clock.currentTimeNanos,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => clock.sleep(duration)
    }
    const quick = Option.getOrThrow(yield* (yield* QuickFiles).throughout([at]))
    const payload = copyFilesPayload({
      source: `${at}/from`,
      target: `${at}/to`,
      names,
      areFolders: true,
      size: names.length * filesEach,
      sizes: names.map(() => 2 + filesEach),
      conflict: "overwrite"
    })
    const copied = yield* CopyFilesLive.copy(payload, mostMillis).pipe(
      Effect.provideService(Files.Files, quick),
      Effect.provideService(Clock.Clock, passing)
    )
    const there = names.map((name) => fs.existsSync(`${at}/to/${name}`) ? fs.readdirSync(`${at}/to/${name}`).length : 0)
    return { copied: copied.copied, left: copied.left, rest: copied.folders?.rest.length, there }
  }).pipe(Effect.provide([SystemFiles.layer, SystemFiles.layerQuick]))

describe("folders that are copied for some time", () => {
  it.effect("are finished where they were begun in time, so that few files are copied one by one", () =>
    Effect.gen(function*() {
      const { copied, left, rest, there } = yield* copyWithin(150)
      assert.deepStrictEqual({ copied, left, rest, there }, { copied: 240, left: 1, rest: 0, there: [120, 120, 0] })
    }))

  it.effect("hold up nothing else for more than twice as long as they may, however many files there are in one", () =>
    Effect.gen(function*() {
      const { copied, left, rest } = yield* copyWithin(20)
      assert.deepStrictEqual({ left, rest }, { left: 2, rest: 1 })
      assert.isBelow(copied, 40)
    }))

  it.effect("are left in their middle once that takes long", () =>
    Effect.gen(function*() {
      const { copied, left, rest, there } = yield* copyWithin(3)
      assert.strictEqual(rest, 1)
      assert.strictEqual(left, 2)
      assert.isBelow(copied, filesEach)
      assert.deepStrictEqual(there, [copied, 0, 0])
    }))
})
