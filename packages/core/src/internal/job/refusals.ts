/**
 * Jobs that this process does not run, as their programs say: each of them is left to other processes, and paused if
 * none takes it.
 *
 * A job is looked at again each ten seconds, since what the process lacks may have come. It is paused half a minute
 * later, unless a process that claims such jobs had no free place at one of these looks: that one may want the job.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Refusal } from "../../Job.ts"
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

/** Milliseconds after which an answer counts no more that was not asked for again. */
const forgottenMillis = 3 * 60_000

/** Most jobs that are remembered. */
const limit = 10_000

/** Most answers of programs for one name that are waited for at once. */
const mostAsked = 100

/** When a job was refused last, and since when no process has wanted it, on the monotonic clock. */
interface Refused {
  readonly at: number
  readonly since: number
}

/** Whether a program refuses a job, and the time of the question on the monotonic clock. */
interface Question {
  readonly name: string
  readonly answer: Fiber.Fiber<Option.Option<Refusal>>
  readonly at: number
}

export class Refusals {
  private readonly runtime: JobRuntime
  private readonly scope: Scope.Scope
  private readonly refused = new Map<JobId, Refused>()
  private readonly asked = new Map<JobId, Question>()

  /** The questions are asked in fibers of the scope. */
  constructor(runtime: JobRuntime, scope: Scope.Scope) {
    this.runtime = runtime
    this.scope = scope
  }

  /** Jobs that are not to be read now. */
  recentUnsafe(): ReadonlyArray<JobId> {
    const now = nowMillis(this.runtime.clock)
    // What was not found again is over, or runs elsewhere.
    for (const [id, { at }] of this.refused) if (now - at >= 3 * againMillis) this.refused.delete(id)
    const unanswered: Array<JobId> = []
    for (const [id, { answer, at }] of this.asked) {
      if (answer.pollUnsafe() === undefined) unanswered.push(id)
      else if (now - at >= forgottenMillis) this.asked.delete(id)
    }
    return unanswered.concat(Array.from(this.refused).flatMap(([id, { at }]) => now - at < againMillis ? [id] : []))
  }

  /** The milliseconds within which to look again, at most `millis`: refused jobs are looked at again in time. */
  withinUnsafe(millis: number): number {
    return this.refused.size > 0 ? Math.min(millis, againMillis) : millis
  }

  /** Whether this process refuses a queued job for now. `isWanted`: another process may take the job later. */
  readonly refuses = Effect.fnUntraced({ self: this }, function*(
    this: Refusals,
    record: JobRecord,
    runnable: Runnable,
    payload: Schema.Json,
    isWanted: boolean
  ): Effect.fn.Return<boolean, JobStoreError> {
    const { id } = record
    const answer = yield* this.ask(id, runnable, payload)
    if (answer === undefined) return true
    const before = this.refused.get(id)
    this.refused.delete(id)
    const refusal = yield* answer
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
    // A job that can't be remembered is passed over. Its line would be written at each look.
    if (this.refused.size >= limit) return true
    const { process } = this.runtime.liveness.self
    const isNoted = before !== undefined ||
      (yield* this.write({ record, line: `Process ${process} leaves it to others: ${why}` }))
    // A job that has changed meanwhile is refused anew, if it is still queued.
    if (isNoted) this.refused.set(id, { at, since })
    return true
  })

  /**
   * Asks the program of a job, unless it is asked already. `undefined` means that it has not answered yet: claiming
   * goes on meanwhile, and the answer makes this process look at the job again.
   */
  private readonly ask = Effect.fnUntraced({ self: this }, function*(
    this: Refusals,
    id: JobId,
    { job, program }: Runnable,
    payload: Schema.Json
  ): Effect.fn.Return<Exit.Exit<Option.Option<Refusal>> | undefined> {
    let question = this.asked.get(id)
    if (question === undefined) {
      if (this.waitingUnsafe(job.name) >= mostAsked) return undefined
      // A run tells what is wrong with a payload that can't be decoded.
      const answer = yield* Effect.option(promptly(decode(job.payload, payload))).pipe(
        Effect.flatMap(Option.match({
          onNone: () => Effect.succeedNone,
          onSome: (decoded) => promptly(program.refuse(decoded))
        })),
        Effect.forkIn(this.scope, { startImmediately: true, uninterruptible: false })
      )
      question = { name: job.name, answer, at: nowMillis(this.runtime.clock) }
      this.asked.set(id, question)
      if (answer.pollUnsafe() === undefined) answer.addObserver(() => this.runtime.claimable.notifyUnsafe())
    }
    const exit = question.answer.pollUnsafe()
    if (exit !== undefined) this.asked.delete(id)
    return exit
  })

  /** The answers of programs for a name that are waited for. */
  private waitingUnsafe(name: string): number {
    let waiting = 0
    for (const one of this.asked.values()) if (one.name === name && one.answer.pollUnsafe() === undefined) waiting++
    return waiting
  }

  /** Writes a change. Returns whether the job was as it was read. */
  private write(change: Change | undefined): Effect.Effect<boolean, JobStoreError> {
    if (change === undefined) return Effect.succeed(false)
    return Effect.map(put(this.runtime.store, change), (after) => {
      if (after !== undefined) this.runtime.changed.notifyUnsafe()
      return after !== undefined
    })
  }
}
