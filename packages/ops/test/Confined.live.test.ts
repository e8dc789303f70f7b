import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as HardLinks from "@fanout/ops/HardLinks"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { exchanging } from "./exchanging.ts"
import { testFolder } from "./TestFolder.ts"

const runtime = (files: typeof SystemFiles.layer) =>
  JobManager.layer({ jobs: [Copy.job] }).pipe(
    Layer.provide(Layer.provide(Copy.layer, HardLinks.layerNone)),
    Layer.provide(Pools.layer({ io: 8 })),
    Layer.provideMerge([MemoryJobStore.layer, OwnerLiveness.layerBlind, files])
  )

const copy = (source: string, target: string) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const payload = yield* Copy.plan({
      sources: [FilePath.make(source)],
      destination: FilePath.make(target),
      noTargetDirectory: true,
      conflict: "overwrite"
    })
    const handle = yield* manager.start(Copy.job, payload)
    yield* handle.await
  })

const rounds = 40

/** A folder with files in it, and the place of another one that is to stay as it is. */
const plant = (folder: string) => {
  const [inside, outside] = [`${folder}/source`, `${folder}/outside`]
  for (const parent of [inside, outside]) {
    fs.mkdirSync(`${parent}/sub/deep`, { recursive: true })
    for (const path of ["sub", "sub/deep"]) {
      for (let i = 0; i < 20; i++) {
        fs.writeFileSync(`${parent}/${path}/file-${i}`, parent === inside ? "ours" : "secret")
      }
    }
  }
  return { inside, outside }
}

/** Files in a folder, not those that links in it lead to. */
const everyFile = (folder: string): ReadonlyArray<string> =>
  execFileSync("find", [folder, "-type", "f"], { encoding: "utf8" }).split("\n").slice(0, -1).toSorted()

describe.each([
  ["the C library", SystemFiles.layer],
  ["node:fs", SystemFiles.layerNode]
])("A copy through %s", (_, files) => {
  it.live("reads nothing outside of its source, whatever is swapped for a link", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const { inside, outside } = plant(folder)
      fs.symlinkSync(`${outside}/sub`, `${inside}/swap`)
      const count = yield* exchanging([[`${inside}/sub`, `${inside}/swap`]])

      for (let round = 0; round < rounds; round++) yield* copy(inside, `${folder}/copy-${round}`)

      assert.isAbove(count(), rounds)
      const copied = Array.from({ length: rounds }, (_, round) => everyFile(`${folder}/copy-${round}`)).flat()
      assert.isAbove(copied.length, 0)
      assert.deepStrictEqual(copied.filter((file) => fs.readFileSync(file, "utf8") !== "ours"), [])
    }).pipe(Effect.provide(runtime(files))))

  it.live("writes nothing outside of its destination, whatever is swapped for a link", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const { inside, outside } = plant(folder)
      const before = everyFile(outside)
      const target = `${folder}/copy`
      fs.mkdirSync(`${target}/sub/deep`, { recursive: true })
      fs.symlinkSync(`${outside}/sub`, `${target}/swap`)
      const count = yield* exchanging([[`${target}/sub`, `${target}/swap`]])

      for (let round = 0; round < rounds; round++) yield* copy(inside, target)

      assert.isAbove(count(), rounds)
      assert.deepStrictEqual(everyFile(outside), before)
      assert.deepStrictEqual(before.filter((file) => fs.readFileSync(file, "utf8") !== "secret"), [])
    }).pipe(Effect.provide(runtime(files))))
})
