import { assert, describe, it } from "@effect/vitest"
import { CheckpointUnreadable } from "@fanout/core/Checkpoint"
import { FanOutStopped } from "@fanout/core/FanOut"
import * as JobId from "@fanout/core/JobId"
import { ActiveJobDiffers, JobManagerError } from "@fanout/core/JobManagerError"
import { PoolError } from "@fanout/core/Pools"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const id = JobId.make("one")
const boom = { _tag: "Defect", message: "boom" } as const

describe("errors", () => {
  it("say what they are, and what their names are the names of", () => {
    const stopped = new FanOutStopped({ fanOut: "members", failures: 3, first: boom })
    const once = new FanOutStopped({ fanOut: "members", failures: 1, first: { _tag: "Timeout", millis: 5 } })
    const pool = new PoolError({ pool: "cpu", why: "is not there" })
    const differs = new ActiveJobDiffers({ id, job: "copy" })
    const unreadable = new CheckpointUnreadable({ checkpoint: "told", version: 2, why: "newer" })
    const named = ({ message, name }: Error) => [name.split("/").at(-1), message] as const
    assert.deepStrictEqual([stopped, once, pool, differs, unreadable].map(named), [
      ["FanOutStopped", `Fan-out "members" gave up after 3 failures, the first one: the task died: boom`],
      ["FanOutStopped", `Fan-out "members" gave up after 1 failure: the task took longer than 5 ms`],
      ["PoolError", `Pool "cpu" is not there`],
      [
        "ActiveJobDiffers",
        "Job one (copy) works on the same things with other options; let it end, or cancel it first"
      ],
      ["CheckpointUnreadable", `Checkpoint "told", stored by version 2 of its job, can't be read: newer`]
    ])
    assert.match(Cause.pretty(Cause.fail(stopped)), /^@fanout\/core\/FanOut\/FanOutStopped: Fan-out "members"/)
  })

  it.effect("that an older version has stored with a field `name` are read", () =>
    Effect.gen(function*() {
      const reads = Effect.fnUntraced(function*<E extends { readonly _tag: string }>(
        schema: Schema.Codec<E, unknown>,
        error: E,
        older: Schema.Json
      ) {
        // Among others, as in the errors of a job.
        const codec = Schema.toCodecJson(Schema.Union([Schema.TaggedStruct("Other", {}), schema]))
        const stored = yield* Schema.encodeEffect(codec)(error)
        assert.notDeepEqual<unknown>(stored, older)
        assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(codec)(stored), error)
        assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(codec)(older), error)
        assert.match(String(yield* Effect.flip(Schema.decodeUnknownEffect(codec)({ _tag: error._tag }))), /Missing key/)
      })
      yield* reads(
        FanOutStopped,
        new FanOutStopped({ fanOut: "members", failures: 3, first: boom }),
        { _tag: "FanOutStopped", name: "members", failures: 3, first: boom }
      )
      yield* reads(
        PoolError,
        new PoolError({ pool: "cpu", why: "is not there" }),
        { _tag: "PoolError", name: "cpu", why: "is not there" }
      )
      yield* reads(
        JobManagerError,
        new JobManagerError({ reason: new ActiveJobDiffers({ id, job: "copy" }) }),
        { _tag: "JobManagerError", reason: { _tag: "ActiveJobDiffers", id: "one", name: "copy" } }
      )
      yield* reads(
        CheckpointUnreadable,
        new CheckpointUnreadable({ checkpoint: "told", version: 2, why: "newer" }),
        { _tag: "CheckpointUnreadable", name: "told", version: 2, why: "newer" }
      )
    }))
})
