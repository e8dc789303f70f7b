import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import * as JobStore from "@fanout/core/JobStore"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { jobStoreContract } from "./JobStoreContract.ts"
import { Operations, run } from "./JobStoreModel.ts"

const inMemory = Layer.provide(SqlJobStore.layer, SqliteClient.layer({ filename: ":memory:" }))

jobStoreContract("SQLite in memory, another driver", inMemory)

describe("SqlJobStore", () => {
  it.effect.prop(
    "does what the store in memory does, whatever is asked of it",
    { operations: Operations },
    ({ operations }) =>
      Effect.gen(function*() {
        const expected = yield* run(operations).pipe(Effect.provide(JobStore.layerMemory, { local: true }))

        const actual = yield* run(operations).pipe(Effect.provide(inMemory, { local: true }))

        assert.deepStrictEqual(actual, expected)
      }),
    { arbitrary: { runs: 100, size: 40 }, timeout: 60_000 }
  )
})
