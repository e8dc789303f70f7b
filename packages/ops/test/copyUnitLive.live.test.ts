import { assert, describe, it } from "@effect/vitest"
import * as Files from "@fanout/ops/Files"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as CopyUnitLive from "../src/internal/copy/copyUnitLive.ts"
import { resultOf, unsettled } from "../src/internal/steps/unit.ts"
import { testFolder } from "./TestFolder.ts"
import { unitOf } from "./unitOf.ts"

const names = ["a", "b", "c"]
const filesEach = 120

/**
 * What becomes of three folders where each look at the clock finds it so much later, and calls may be made at once
 * until it was asked so often whether they may.
 */
const copy = (millisEach: number, mostAsked = Number.POSITIVE_INFINITY) =>
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
      currentTimeMillisUnsafe: () => now += millisEach,
      currentTimeMillis: clock.currentTimeMillis,
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      currentTimeNanos: clock.currentTimeNanos,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => clock.sleep(duration)
    }
    let asked = 0
    const atOnce: Files.Files["Service"]["atOnce"] = (work) =>
      Effect.flatMap(Files.Files, (files) => files.atOnce((calls) => work(calls, () => asked++ < mostAsked))).pipe(
        Effect.provide(SystemFiles.layerBlocking)
      )
    const unit = unitOf({
      source: `${at}/from`,
      target: `${at}/to`,
      names,
      areFolders: true,
      sizes: names.map(() => 2 + filesEach)
    })
    const done = yield* Effect.updateService(
      CopyUnitLive.perform({ unit, step: { _tag: "Fill" } }),
      Files.Files,
      (files) => ({ ...files, atOnce })
    ).pipe(Effect.provideService(Clock.Clock, passing))
    if (done._tag !== "Filled") return assert.fail("it is not filled")
    const { result: { copied, left, rest } } = resultOf(done.filled, done.settled ?? unsettled)
    const there = names.map((name) => fs.existsSync(`${at}/to/${name}`) ? fs.readdirSync(`${at}/to/${name}`).length : 0)
    return { copied, left, rest: rest.length, there }
  }).pipe(Effect.provide(SystemFiles.layerBlocking))

describe("folders of a unit that is copied for some time", () => {
  it.effect("are finished where they were begun in time, so that few files are copied one by one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* copy(4.3), { copied: 240, left: 1, rest: 0, there: [120, 120, 0] })
    }))

  it.effect("hold up nothing else for long, however many files there are in one", () =>
    Effect.gen(function*() {
      const { copied, left, rest, there } = yield* copy(1, 10)
      assert.deepStrictEqual({ left, rest, there }, { left: 2, rest: 1, there: [copied, 0, 0] })
      assert.isBelow(copied, 40)
    }))

  it.effect("are left in their middle once that takes long", () =>
    Effect.gen(function*() {
      const { copied, left, rest, there } = yield* copy(50)
      assert.deepStrictEqual({ left, rest, there }, { left: 2, rest: 1, there: [copied, 0, 0] })
      assert.isBelow(copied, filesEach)
    }))
})
