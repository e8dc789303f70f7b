import { assert, describe, it } from "@effect/vitest"
import { JobStore } from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlClient } from "@fanout/core/node"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { runningJob } from "./fanOutHarness.ts"
import { jobStoreContract } from "./JobStoreContract.ts"

jobStoreContract("memory", MemoryJobStore.layer)

describe("a flush in memory", () => {
  it.effect("says once that a client of the program shares no transaction with the store", () =>
    Effect.gen(function*() {
      const logged: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ message }) => void logged.push(message))
      const store = yield* JobStore
      const { id } = yield* runningJob("a")
      const flush = { token: 1, fanOut: "f", checkpoint: "c", rows: [], cleared: [], progress: Progress.empty }
      const flushes = Effect.andThen(store.flush(id, flush, Effect.void), store.flush(id, flush, Effect.void)).pipe(
        Effect.provide(Logger.layer([logger]))
      )

      yield* flushes
      assert.deepStrictEqual(logged, [])
      yield* Effect.provide(flushes, layerSqlClient({ filename: ":memory:" }))
      assert.lengthOf(logged, 1)
      assert.match(String(logged), /another database than the job store/)
    }).pipe(Effect.provide(MemoryJobStore.layer)))
})
