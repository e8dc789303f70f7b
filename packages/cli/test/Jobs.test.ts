import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import { JobNotFound, JobStoreError } from "@fanout/core/JobStoreError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stop from "../src/exit/Stop.ts"
import * as Jobs from "../src/run/JobRuntime.ts"
import { counters, record } from "./records.ts"

const records = ["abc1", "abc", "abd", "zy", ..."123456".split("").map((n) => `many${n}`)].map((id) =>
  record({ _tag: "Completed", ...counters }, { id: JobId.make(id) })
)

const manager = Layer.mock(JobManager, {
  get: (id) => {
    const found = records.find((record) => record.id === id)
    return found ? Effect.succeed(found) : Effect.fail(new JobStoreError({ reason: new JobNotFound({ id }) }))
  },
  list: ({ idPrefix = "", limit } = {}) =>
    Effect.succeed(records.filter(({ id }) => id.startsWith(idPrefix)).slice(0, limit))
})

const find = (text: string) => Effect.provide(Jobs.find(text), manager)

describe("Jobs", () => {
  it.effect("finds a job by its id, or by how it begins where no other does", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* find("abc")).id, "abc")
      assert.strictEqual((yield* find("abc1")).id, "abc1")
      assert.strictEqual((yield* find("z")).id, "zy")
    }))

  it.effect("names the jobs where several ids begin like that, and the id where none does", () =>
    Effect.gen(function*() {
      const several = yield* Effect.flip(find("ab"))
      assert.instanceOf(several, Stop.Stop)
      assert.strictEqual(several.message, "\"ab\" is the beginning of 3 ids: abc1, abc, abd.")
      const many = yield* Effect.flip(find("many"))
      const ids = "many1, many2, many3, many4, many5, …"
      assert.strictEqual(many.message, `"many" is the beginning of more than 5 ids: ${ids}`)
      assert.include((yield* Effect.flip(find("x"))).message, "\"x\"")
    }))
})
