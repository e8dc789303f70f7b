/**
 * Tells of the tasks of a fan-out that have died.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Ended } from "../task/taskRun.ts"
import { Quarantined } from "../task/threadLost.ts"

/** So many are told in full in one run of a fan-out: a handler that always dies does so a million times. */
const limit = 100

export class Defects {
  private count = 0

  /** Whether the row of the next one says where it was thrown, too. */
  get keepsStack(): boolean {
    return this.count < limit
  }

  /** Logs why a task has died; `undefined` where it has not. */
  log(ending: Ended, what: () => string): Effect.Effect<void> | undefined {
    if (ending._tag !== "Failed" || !hasDied(ending.cause)) return undefined
    const log = this.keepsStack ? Effect.logWarning : Effect.logDebug
    this.count++
    return log(`${what()} has died`, ending.cause)
  }
}

/** What was put in quarantine has died of nothing that it has thrown. */
const hasDied = (cause: Cause.Cause<unknown>): boolean =>
  Result.isFailure(Cause.findError(cause)) &&
  !cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect instanceof Quarantined)
