import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as FilePath from "@fanout/ops/FilePath"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Verify from "@fanout/ops/Verify"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import { exchanging } from "./exchanging.ts"
import { testFolder } from "./TestFolder.ts"

const runtime = (files: typeof SystemFiles.layer) =>
  JobManager.layer({ jobs: [Verify.job] }).pipe(
    Layer.provide(Verify.layer),
    Layer.provide(Pools.layer({ io: 8 })),
    Layer.provideMerge([MemoryJobStore.layer, OwnerLiveness.layerBlind, files])
  )

/** What the two trees differ in. */
const verify = (a: string, b: string) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const payload = yield* Verify.plan({ a: FilePath.make(a), b: FilePath.make(b), ignore: ["times"], leaveOut: [] })
    const handle = yield* manager.start(Verify.job, payload)
    yield* handle.await
    const rows = yield* Stream.runCollect(manager.outcomes(handle.id))
    return rows.flatMap((row) => Option.toArray(Option.flatMap(Verify.lineOf(row), ({ difference }) => difference)))
  })

describe.each([
  ["the C library", SystemFiles.layerBlocking],
  ["node:fs", SystemFiles.layerNode]
])("A comparison through %s", (_, files) => {
  it.live("reads nothing outside of its trees, whatever is swapped for a link", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const [a, b, outside] = [`${folder}/a`, `${folder}/b`, `${folder}/outside`]
      for (const parent of [a, b, outside]) {
        for (const path of ["sub", "sub/deep"]) {
          fs.mkdirSync(`${parent}/${path}`, { recursive: true })
          for (let i = 0; i < 20; i++) {
            fs.writeFileSync(`${parent}/${path}/file-${i}`, parent === outside ? "others" : "ours")
          }
        }
      }
      for (const tree of [a, b]) {
        fs.symlinkSync(`${outside}/sub`, `${tree}/swap`)
        fs.symlinkSync(`${outside}/sub/file-0`, `${tree}/other`)
      }
      const count = yield* exchanging([[`${a}/sub`, `${a}/swap`], [`${b}/sub/file-1`, `${b}/other`]])

      const tags = new Set<string>()
      for (let round = 0; round < 60; round++) for (const { _tag } of yield* verify(a, b)) tags.add(_tag)

      assert.isAbove(count(), 60)
      // What is a link in one of the trees, and not in the other.
      assert.isTrue(tags.has("Kind"))
      assert.deepStrictEqual(["Size", "Content"].filter((tag) => tags.has(tag)), [])
    }).pipe(Effect.provide(runtime(files))))
})
