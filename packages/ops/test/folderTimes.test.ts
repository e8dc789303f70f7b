import { assert, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layer, settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as FolderTimes from "../src/internal/folderTimes.ts"

const job = Job.make("test/Times", {})

it.effect("times of folders are those that were noted first, and are stored until they are forgotten", () => {
  const [first, second] = [FilePath.make("/from/first"), FilePath.make("/from/second")]
  const [before, after] = [1n, 2n].map((time) => ({ accessedNanos: time, modifiedNanos: time }))
  const program = Effect.gen(function*() {
    if (before === undefined || after === undefined) return
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
  })
  return Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const { id } = yield* manager.start(job, undefined)
    yield* Effect.repeat(settle, { times: 20 })
    const { exit, state } = yield* manager.get(id)
    assert.strictEqual(state._tag, "Completed", JSON.stringify(Option.getOrNull(exit)))
  }).pipe(Effect.provide(layer({ jobs: [job] }).pipe(Layer.provide(job.toLayer(() => Effect.orDie(program))))))
})
