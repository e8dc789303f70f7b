import { assert, describe, it } from "@effect/vitest"
import * as Checkpoint from "@fanout/core/Checkpoint"
import * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { StoredJob } from "../src/internal/fanOut/jobRun.ts"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"

describe("Checkpoint", () => {
  it.effect("is not read by an owner that does not know yet that a newer version has its job", () =>
    Effect.gen(function*() {
      const { id, token } = yield* runningJob("lost")
      const store = yield* JobStore.JobStore
      yield* store.saveOwnCheckpoint(id, { token, name: "own", checkpoint: `{"v":2,"value":5}` })
      const own = Checkpoint.make("own", Schema.Number)
      const { exit } = yield* asRun(
        "lost",
        () => Effect.flip(own.get).pipe(Effect.provideService(StoredJob, { id, migrations: {}, store, version: 1 }))
      )
      assert.match(String(exit), /"own", stored by version 2 of its job, can't be read: this is version 1/)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))
})
