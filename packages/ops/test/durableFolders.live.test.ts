import { assert, describe, it } from "@effect/vitest"
import * as CopyFilesLive from "@fanout/ops/CopyFilesLive"
import { CopyOptions } from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fs from "node:fs"
import { Durability } from "../src/internal/durability.ts"
import { copyFilesPayload } from "./copyFilesPayload.ts"
import { testFolder } from "./TestFolder.ts"

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

/** Copies two folders of two files each, and does this while all that is in them is flushed. */
const copyWhile = (at: string, flush: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const folders = { names, areFolders: true, sizes: [6, 6] }
    const payload = copyFilesPayload({ source: `${at}/from`, target: `${at}/to`, ...folders })
    const prepare = () =>
      Effect.succeed({ content: () => flush, names: Effect.void, earlier: () => Effect.void, isOne: true })
    return yield* CopyFilesLive.copy(payload, 10_000).pipe(
      Effect.provideService(CopyOptions, { ...CopyOptions.defaultValue(), isDurable: true }),
      Effect.provideService(Durability, { prepare }),
      Effect.provideService(Files.Files, files)
    )
  })

const temporaryIn = (folder: string) => fs.readdirSync(folder).filter((name) => name.startsWith(".fanout-"))

describe("folders that wait for their flush", () => {
  it.live("have no names as long, and are removed where they are interrupted", () =>
    Effect.gen(function*() {
      const at = yield* plant
      const flushing = yield* Deferred.make<void>()
      const flush = Effect.andThen(Deferred.succeed(flushing, undefined), Effect.never)
      const copying = yield* Effect.forkChild(copyWhile(at, flush))
      yield* Deferred.await(flushing)
      assert.lengthOf(temporaryIn(`${at}/to`), 2)
      assert.lengthOf(fs.readdirSync(`${at}/to`), 2)
      yield* Fiber.interrupt(copying)
      assert.deepStrictEqual(fs.readdirSync(`${at}/to`), [])
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))

  it.live("leave all that is in those that are there to others, who need not list them", () =>
    Effect.gen(function*() {
      const at = yield* plant
      fs.mkdirSync(`${at}/to/a`)
      const { copied, folders } = yield* copyWhile(at, Effect.void)
      const rest = { path: "a", names: ["1"], folders: ["below"], sizes: [3] }
      assert.deepStrictEqual<unknown>({ copied, folders }, {
        copied: 2,
        folders: { ended: 2, rest: [rest], untouched: [], fewer: [] }
      })
      assert.deepStrictEqual(fs.readdirSync(`${at}/to/a`), [])
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))

  it.live("are left to others where their names are taken by then", () =>
    Effect.gen(function*() {
      const at = yield* plant
      const taking = Effect.sync(() => {
        fs.mkdirSync(`${at}/to/a`)
        fs.writeFileSync(`${at}/to/a/1`, "of somebody else")
      })
      const { bytes, copied, folders } = yield* copyWhile(at, taking)
      assert.deepStrictEqual({ bytes, copied }, { bytes: 14, copied: 2 })
      assert.deepStrictEqual(folders, { ended: 2, rest: [], untouched: [FilePath.make("a")], fewer: [] })
      assert.deepStrictEqual(fs.readdirSync(`${at}/to`).toSorted(), ["a", "b"])
      assert.strictEqual(fs.readFileSync(`${at}/to/a/1`, "utf8"), "of somebody else")
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))

  it.live("are removed where they can't get their names, and count for nothing", () =>
    Effect.gen(function*() {
      const at = yield* plant
      const { bytes, copied, folders } = yield* Effect.updateService(
        copyWhile(at, Effect.void),
        Files.Files,
        (files) => ({ ...files, placeFolders: () => Effect.succeedNone })
      )
      assert.deepStrictEqual({ bytes, copied, untouched: folders?.untouched.length }, {
        bytes: 0,
        copied: 0,
        untouched: 2
      })
      assert.deepStrictEqual(fs.readdirSync(`${at}/to`), [])
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))
})
