/**
 * Decides what the end of a task means: its element is settled, parts take the place of the element, or the job
 * pauses and the element stays unsettled. A function of the program that throws here fails the element.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Interrupted } from "../../Interrupter.ts"
import { JobContext } from "../../JobContext.ts"
import { message } from "../../Outcome.ts"
import type { Element } from "../../Source.ts"
import type { Ended } from "../task/taskRun.ts"
import { Quarantined } from "../task/threadLost.ts"
import type { FanOut } from "./engine.ts"
import type { Entry, Ledger } from "./ledger.ts"
import { Mismatch } from "./payloads.ts"

type Failed = Extract<Ended, { readonly _tag: "Failed" }>

export const died = (thrown: unknown): Failed => ({ _tag: "Failed", cause: Cause.die(thrown) })

/** Defects that one run of a fan-out logs as warnings. A handler that always dies logs the rest as debug lines. */
const loggedDefects = 100

export class Settling {
  /** Whether the job is to pause. The fan-out takes no more elements then. */
  isPausing = false
  private readonly spec: FanOut
  private readonly ledger: Ledger
  private defects = 0

  constructor(spec: FanOut, ledger: Ledger) {
    this.spec = spec
    this.ledger = ledger
  }

  /**
   * Settles an element, unless its job pauses or the fan-out leaves failures to its caller. Gives the effect, if any,
   * that pauses the job, logs a defect, or fails as the element did.
   */
  settle(entry: Entry, ending: Ended): Effect.Effect<void, unknown> | undefined {
    const { name, options, run, task } = this.spec
    const pause = ending._tag === "Failed" ? this.pauseAfter(ending.cause) : undefined
    if (Effect.isEffect(pause)) return pause
    const keep = { keepsAll: options.keep === "all", keepsStack: this.defects < loggedDefects }
    const known = pause ?? ending
    if (this.spec.leavesFailures && known._tag !== "Done") return this.leave(entry, causeOf(known))
    const value = known._tag === "Done" ? Option.some(known.value) : Option.none()
    const replaced = this.replace(entry, known, value)
    const ended = typeof replaced === "boolean" ? known : replaced
    // The key is for people who read rows. An element that is done, and keeps no row, needs no key.
    const isNamed = ended._tag !== "Done" || (keep.keepsAll && replaced !== true)
    const named = isNamed ? this.keyOf(entry) : ""
    const key = typeof named === "string" ? named : entry.cursor
    if (replaced !== true) {
      let outcome = task.outcome(ended, keep)
      if (typeof named !== "string" && outcome._tag !== "Failed") outcome = task.outcome(named, keep)
      if (this.spec.leavesFailures && outcome._tag === "Failed") {
        return this.leave(entry, Cause.die(new Error(message(outcome.failure))))
      }
      this.ledger.settle(entry, key, outcome, outcome._tag === "Done" ? value : Option.none())
    }
    // The key of a payload that does not fit its schema can throw for that reason alone.
    const told = typeof named === "string" || entry.encoded instanceof Mismatch ? ended : named
    if (told._tag !== "Failed" || !hasDied(told.cause)) return undefined
    const log = this.defects++ < loggedDefects ? Effect.logWarning : Effect.logDebug
    return log(`Task "${task.tag}" of "${key}" in fan-out "${name}" of job ${run.id} has died`, told.cause)
  }

  /** Says which element has failed, and fails with its cause. The element stays unsettled. */
  private leave(entry: Entry, cause: Cause.Cause<unknown>): Effect.Effect<never, unknown> {
    const { name, run } = this.spec
    const named = this.keyOf(entry)
    const key = typeof named === "string" ? named : entry.cursor
    return Effect.andThen(
      Effect.logWarning(`"${key}" in fan-out "${name}" of job ${run.id} has failed, and stops it`, cause),
      Effect.failCause(cause)
    )
  }

  /** Gives the effect that pauses the job if `pauseOn` asks for a pause, or the defect that `pauseOn` has thrown. */
  pauseAfter(cause: Cause.Cause<unknown>): Effect.Effect<void> | Failed | undefined {
    const { context, options: { pauseOn } } = this.spec
    if (pauseOn === undefined) return undefined
    const error = Cause.findErrorOption(cause)
    if (Option.isNone(error)) return undefined
    try {
      const pause = pauseOn(error.value)
      if (pause === undefined) return undefined
      if (this.isPausing) return Effect.void
      this.isPausing = true
      // The pause interrupts its caller, as it does in a program. Only its defects count here.
      return Effect.flatMap(
        Effect.exit(Context.getUnsafe(context, JobContext).pause(pause.by, pause.message)),
        (exit): Effect.Effect<void> =>
          Exit.isFailure(exit) && Cause.hasDies(exit.cause) ? Effect.failCause(exit.cause) : Effect.void
      )
    } catch (thrown) {
      return died(thrown)
    }
  }

  /** Puts parts in the place of an element that has some. Tells whether the element has parts, or what was thrown. */
  private replace(entry: Entry, ending: Ended, value: Option.Option<unknown>): boolean | Failed {
    const { parts } = this.spec.options
    const isWhole = entry.kind !== "item" || ending._tag === "Skipped" || entry.encoded instanceof Mismatch
    if (isWhole || parts === undefined) return false
    try {
      const given = parts(entry, value)
      if (given === undefined) return false
      checkBalance(given)
      this.ledger.replace(entry, value, given)
      return true
    } catch (thrown) {
      return died(thrown)
    }
  }

  private keyOf({ payload }: Entry): string | Failed {
    try {
      return this.spec.task.options.key(payload)
    } catch (thrown) {
      return died(thrown)
    }
  }
}

/** The cause with which a task fails that its caller waits for. */
const causeOf = (ending: Exclude<Ended, { readonly _tag: "Done" }>): Cause.Cause<unknown> => {
  switch (ending._tag) {
    case "Failed":
      return Cause.hasInterruptsOnly(ending.cause)
        ? Cause.die(new Error("The task interrupted itself"))
        : ending.cause
    case "Skipped":
      return Cause.die(
        new Error(`A fan-out that gives all values has none of an element that was skipped: ${ending.reason}`)
      )
    case "TimedOut":
      return Cause.fail(new Interrupted({ reason: "Timeout" }))
  }
}

/** Whether a task has died of a defect. A task in quarantine has thrown nothing. */
const hasDied = (cause: Cause.Cause<unknown>): boolean =>
  Result.isFailure(Cause.findError(cause)) &&
  !cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect instanceof Quarantined)

/** Refuses parts whose brackets do not begin and end among the parts. */
const checkBalance = (parts: ReadonlyArray<Element<unknown>>): void => {
  const open: Array<string> = []
  for (const part of parts) {
    if (part._tag === "Item" && part.opens === true) open.push(part.cursor)
    else if (part._tag === "After" && open.pop() === undefined) {
      throw new Error(`Parts gave After "${part.cursor}" where no bracket of theirs is open`)
    }
  }
  if (open.length > 0) throw new Error(`The bracket "${open.at(-1)}" among parts does not end`)
}
