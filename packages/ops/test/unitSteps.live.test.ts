import { assert, describe, it } from "@effect/vitest"
import { CopyOptions } from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fs from "node:fs"
import * as CopyUnitLive from "../src/internal/copy/copyUnitLive.ts"
import { copyUnit } from "../src/internal/copy/unitSteps.ts"
import { CopyError, Reason } from "../src/internal/steps/copyError.ts"
import { Durability } from "../src/internal/steps/durability.ts"
import { testFolder } from "./TestFolder.ts"
import { unitOf } from "./unitOf.ts"

const names = ["a", "b"]

const plant = Effect.gen(function*() {
  const at = yield* testFolder
  fs.mkdirSync(`${at}/to`)
  for (const name of names) {
    fs.mkdirSync(`${at}/from/${name}/below`, { recursive: true })
    for (const file of ["1", "below/2"]) fs.writeFileSync(`${at}/from/${name}/${file}`, "content")
  }
  return at
})

type Flushed = Effect.Effect<void, CopyError>

/** Copies two folders of two files each, and does this while all that is in them is flushed. */
const copyWhile = (at: string, content: Flushed, names: Flushed = Effect.void) =>
  Effect.gen(function*() {
    const folders = { names: ["a", "b"], areFolders: true, sizes: [6, 6], waits: true }
    const unit = unitOf({ source: `${at}/from`, target: `${at}/to`, ...folders })
    const prepare = () => Effect.succeed({ content: () => content, names, earlier: () => Effect.void, isOne: true })
    return yield* copyUnit(unit, CopyUnitLive.perform).pipe(
      Effect.provideService(CopyOptions, { ...CopyOptions.defaultValue(), isDurable: true }),
      Effect.provideService(Durability, { prepare })
    )
  })

const untouched = (...folders: ReadonlyArray<string>) => [
  { path: "", names: [], folders, sizes: folders.map(() => 0) }
]

describe("a unit that waits for its flush", () => {
  it.live("has no names as long, and is removed where it is interrupted", () =>
    Effect.gen(function*() {
      const at = yield* plant
      const flushing = yield* Deferred.make<void>()
      const flush = Effect.andThen(Deferred.succeed(flushing, undefined), Effect.never)
      const copying = yield* Effect.forkChild(copyWhile(at, flush))
      yield* Deferred.await(flushing)
      assert.deepStrictEqual(fs.readdirSync(`${at}/to`), [".fanout-draft"])
      yield* Fiber.interrupt(copying)
      assert.deepStrictEqual(fs.readdirSync(`${at}/to`), [])
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))

  it.live("comes into folders that are there once it is flushed", () =>
    Effect.gen(function*() {
      const at = yield* plant
      fs.mkdirSync(`${at}/to/a`)
      const look = Effect.sync(() => assert.deepStrictEqual(fs.readdirSync(`${at}/to/a`), []))
      const { copied, ended, rest } = yield* copyWhile(at, look)
      assert.deepStrictEqual({ copied, ended, rest }, { copied: 4, ended: 4, rest: [] })
      assert.deepStrictEqual(fs.readdirSync(`${at}/to/a`), ["1", "below"])
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))

  it.live("is left to others where its names are taken by then", () =>
    Effect.gen(function*() {
      const at = yield* plant
      const taking = Effect.sync(() => {
        fs.mkdirSync(`${at}/to/a`)
        fs.writeFileSync(`${at}/to/a/1`, "of somebody else")
      })
      const { bytes, copied, ended, rest } = yield* copyWhile(at, taking)
      assert.deepStrictEqual<unknown>({ bytes, copied, ended, rest }, {
        bytes: 14,
        copied: 2,
        ended: 2,
        rest: untouched("a")
      })
      assert.deepStrictEqual(fs.readdirSync(`${at}/to`), ["a", "b"])
      assert.strictEqual(fs.readFileSync(`${at}/to/a/1`, "utf8"), "of somebody else")
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))

  it.live("is removed where it can't get its names, and counts for nothing", () =>
    Effect.gen(function*() {
      const at = yield* plant
      let times = 0
      const { bytes, copied, rest } = yield* Effect.updateService(
        copyWhile(at, Effect.void),
        Files.Files,
        (files) => ({
          ...files,
          atOnce: (work, isNeeded) => times++ === 0 ? files.atOnce(work, isNeeded) : Effect.succeedNone
        })
      )
      assert.deepStrictEqual<unknown>({ bytes, copied, rest }, { bytes: 0, copied: 0, rest: untouched("a", "b") })
      assert.deepStrictEqual(fs.readdirSync(`${at}/to`), [])
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))

  it.live("is left to others where its content can't be flushed, and may be there where its names can't", () =>
    Effect.gen(function*() {
      const broken = Effect.fail(new CopyError({ reason: Reason.cases.Changed.make({ path: FilePath.empty }) }))
      const flushes: ReadonlyArray<readonly [content: Flushed, names: Flushed, there: ReadonlyArray<string>]> = [
        [broken, Effect.void, []],
        [Effect.void, broken, ["a", "b"]]
      ]
      for (const [content, names, there] of flushes) {
        const at = yield* plant
        const { copied, rest } = yield* copyWhile(at, content, names)
        assert.deepStrictEqual<unknown>({ copied, rest }, { copied: 0, rest: untouched("a", "b") })
        assert.deepStrictEqual(fs.readdirSync(`${at}/to`), Array.from(there))
      }
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))
})
