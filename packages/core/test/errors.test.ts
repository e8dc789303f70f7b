import { assert, describe, it } from "@effect/vitest"
import { CheckpointUnreadable } from "@fanout/core/Checkpoint"
import { FanOutStopped } from "@fanout/core/FanOut"
import * as JobId from "@fanout/core/JobId"
import { ActiveJobDiffers } from "@fanout/core/JobManagerError"
import { PoolError } from "@fanout/core/Pools"
import * as Cause from "effect/Cause"

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
})
