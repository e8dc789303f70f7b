import { assert } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** A job whose program a test supplies. */
export const job = Job.make("test/Own", {})

/** Starts the job, and sees to it that it completes. */
export const complete = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const { id } = yield* manager.start(job, undefined)
  yield* Effect.repeat(settle, { times: 20 })
  const { exit, state } = yield* manager.get(id)
  assert.strictEqual(state._tag, "Completed", JSON.stringify(Option.getOrNull(exit)))
})
