/**
 * Jobs that this process does not run, as their programs say: each of them is left to other processes, and paused if
 * none takes it.
 *
 * A job is looked at again each ten seconds, since what the process lacks may have come. It is paused half a minute
 * later, unless a process that claims such jobs had no free place at one of these looks: that one may want the job.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { nowMillis } from "../task/deadlines.ts"
import { type Change, put, step } from "./change.ts"
import { decode } from "./codec.ts"
import { promptly } from "./patience.ts"
import type { JobRuntime, Runnable } from "./runtime.ts"

const againMillis = 10_000
const patienceMillis = 30_000

/** Most jobs that are remembered. */
const limit = 10_000

/** When a job was refused last, and since when no process has wanted it, on the monotonic clock. */
interface Refused {
  readonly at: number
  readonly since: number
}

export class Refusals {
  private readonly runtime: JobRuntime
  private readonly refused = new Map<JobId, Refused>()

  constructor(runtime: JobRuntime) {
    this.runtime = runtime
  }

  /** Jobs that are not to be read now. */
  recentUnsafe(): ReadonlyArray<JobId> {
    const now = nowMillis(this.runtime.clock)
    // What was not found again is over, or runs elsewhere.
    for (const [id, { at }] of this.refused) if (now - at >= 3 * againMillis) this.refused.delete(id)
    return Array.from(this.refused).flatMap(([id, { at }]) => now - at < againMillis ? [id] : [])
  }

  /** Whether this process refuses a queued job. `isWanted` tells that another process may take the job later. */
  readonly refuses = Effect.fnUntraced({ self: this }, function*(
    this: Refusals,
    record: JobRecord,
    { job, program }: Runnable,
    payload: Schema.Json,
    isWanted: boolean
  ): Effect.fn.Return<boolean, JobStoreError> {
    const { id } = record
    // A run tells what is wrong with a payload that can't be decoded.
    const decoded = yield* Effect.option(promptly(decode(job.payload, payload)))
    const refusal = Option.isNone(decoded) ? Option.none() : yield* promptly(program.refuse(decoded.value))
    const before = this.refused.get(id)
    this.refused.delete(id)
    if (Option.isNone(refusal)) return false
    const { by, why } = refusal.value
    const at = nowMillis(this.runtime.clock)
    const since = before === undefined || isWanted ? at : before.since
    if (at - since >= patienceMillis) {
      yield* Effect.logWarning(`Job ${id} (${record.name}) is paused, since no process takes it: ${why}`)
      const now = this.runtime.clock.currentTimeMillisUnsafe()
      yield* this.write(step(record, { _tag: "Paused", by }, now, `Paused by ${by}, since no process takes it: ${why}`))
      return true
    }
    const { process } = this.runtime.liveness.self
    const isNoted = before !== undefined ||
      (yield* this.write({ record, line: `Process ${process} leaves it to others: ${why}` }))
    // A job that has changed meanwhile is refused anew, if it is still queued.
    if (isNoted && this.refused.size < limit) this.refused.set(id, { at, since })
    return true
  })

  /** Writes a change. Returns whether the job was as it was read. */
  private write(change: Change | undefined): Effect.Effect<boolean, JobStoreError> {
    if (change === undefined) return Effect.succeed(false)
    return Effect.map(put(this.runtime.store, change), (after) => {
      if (after !== undefined) this.runtime.changed.notifyUnsafe()
      return after !== undefined
    })
  }
}
