import { assert, describe, it } from "@effect/vitest"
import type { JobContext } from "@fanout/core/JobContext"
import * as JobManager from "@fanout/core/JobManager"
import * as JobStore from "@fanout/core/JobStore"
import { JobNotFound, JobStoreError } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import { settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as FolderTimes from "../src/internal/move/folderTimes.ts"
import { complete, job } from "./ownJob.ts"

const [first, second] = [FilePath.make("/from/first"), FilePath.make("/from/second")]
const at = (time: bigint) => ({ accessedNanos: time, modifiedNanos: time })
const [before, after] = [at(1n), at(2n)]

/** Runs the program of a job on a store that saves as it is told to. */
const run = (
  program: Effect.Effect<void, JobStoreError, JobContext>,
  save: (store: JobStore.JobStore["Service"]) => JobStore.JobStore["Service"]["saveOwnCheckpoint"] = (
    { saveOwnCheckpoint }
  ) => saveOwnCheckpoint
) => {
  const store = Layer.effect(
    JobStore.JobStore,
    Effect.map(JobStore.JobStore, (store) => ({ ...store, saveOwnCheckpoint: save(store) }))
  )
  return Effect.provide(
    complete,
    JobManager.layer({ jobs: [job], shutdownDeadline: 0 }).pipe(
      Layer.provide(job.toLayer(() => Effect.orDie(program))),
      Layer.provide([
        Layer.provide(store, Layer.fresh(MemoryJobStore.layer)),
        Pools.layer(),
        Layer.fresh(OwnerLiveness.layerBlind)
      ])
    )
  )
}

describe("times of folders", () => {
  it.effect("are those that were noted first, and are stored until they are forgotten", () =>
    run(Effect.gen(function*() {
      const times = yield* FolderTimes.make
      yield* times.note(first, before)
      yield* times.note(first, after)
      const again = yield* FolderTimes.make
      assert.include(again.find(first), before)
      yield* again.note(first, after)
      assert.include(again.find(first), before)
      again.forget(first)
      yield* again.note(second, after)
      const last = yield* FolderTimes.make
      assert.strictEqual(last.find(first), undefined)
      assert.include(last.find(second), after)
    })))

  it.effect("are noted anew where they could not be stored", () => {
    let failures = 1
    const program = Effect.gen(function*() {
      const times = yield* FolderTimes.make
      assert.isTrue(yield* Effect.isFailure(times.note(first, before)))
      assert.strictEqual(times.find(first), undefined)
      yield* times.note(first, after)
      const again = yield* FolderTimes.make
      assert.include(again.find(first), after)
    })
    return run(program, ({ saveOwnCheckpoint }) => (id, options) =>
      failures-- > 0
        ? Effect.fail(new JobStoreError({ reason: new JobNotFound({ id }) }))
        : saveOwnCheckpoint(id, options))
  })

  it.effect.each(["before", "while"] as const)(
    "are noted anew where that was interrupted %s they were stored",
    (when) => {
      let saves = 0
      const program = Effect.gen(function*() {
        const times = yield* FolderTimes.make
        const fiber = yield* Effect.forkChild(times.note(first, before), { startImmediately: true })
        if (when === "while") yield* settle
        assert.strictEqual(saves, when === "while" ? 1 : 0)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(times.find(first), undefined)
        saves = 1
        yield* times.note(first, after)
        const again = yield* FolderTimes.make
        assert.include(again.find(first), after)
      })
      return run(
        program,
        ({ saveOwnCheckpoint }) => (id, options) =>
          Effect.suspend(() => saves++ === 0 ? Effect.never : saveOwnCheckpoint(id, options))
      )
    }
  )
})
