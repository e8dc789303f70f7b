/**
 * Runs one task to its end: permits, attempts, retries, and the stop that may come at any time.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Interrupted, type Interrupter } from "../../Interrupter.ts"
import type { Reporter } from "../../Progress.ts"
import { Skipped, TimedOut } from "../../Task.ts"
import { ThreadsUnavailable } from "../../ThreadsUnavailable.ts"
import type { Linked } from "../chain.ts"
import type { Permits } from "../permits/permits.ts"
import { onFirstRequest } from "../signal.ts"
import { Attempt } from "./attempt.ts"
import type { Deadlines } from "./deadlines.ts"
import { type Delays, delaysOf } from "./delays.ts"
import type { Kept } from "./kept.ts"
import type { Options } from "./taskOptions.ts"
import { maxStrikes, Quarantined, ThreadLost } from "./threadLost.ts"

/** How a task has ended. */
export type Ended =
  | { readonly _tag: "Done"; readonly value: unknown }
  | { readonly _tag: "Skipped"; readonly reason: string }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "TimedOut" }

/** What a run of a task comes to. */
export type Ending =
  | Ended
  /** The task is unfinished, and stays so. */
  | { readonly _tag: "Stopped" }
  /** Nothing can run it: neither this task nor others. */
  | { readonly _tag: "Unavailable"; readonly cause: Cause.Cause<never> }

export interface Environment {
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  /** How long a task that was asked to stop may go on before its fiber is interrupted. */
  readonly graceMillis: number
}

/** What is the same for all tasks that are run together: those of a fan-out, or a single one. */
export interface Work {
  readonly run: (payload: unknown) => Effect.Effect<unknown, unknown>
  /** What tasks see, except for what is new in each attempt. */
  readonly context: Context.Context<never>
  readonly options: Pick<Options, "weight" | "priority" | "timeoutMillis" | "retry" | "cost">
  /** Names all of the tasks, for spans. */
  readonly tag: string
  readonly permits: Permits
  /** Names one of the tasks, for logs. */
  readonly describe: (payload: unknown) => string
  /** Stops these tasks together. */
  readonly parent: Interrupter
  /** Called when a task has added to its units or saved its checkpoint. */
  readonly onChange: () => void
  readonly onTotal: Reporter["totalUnsafe"]
  /** Waits until the checkpoints that were saved so far are in the store. */
  readonly recorded: Effect.Effect<void>
  /** Whether whoever runs the tasks says when each begins: until then its timeout does not count. */
  readonly beginsLater: boolean
  readonly environment: Environment
}

/** A task that is to be run, and what it keeps from one attempt to the next. */
export interface Unit {
  readonly payload: unknown
  kept: Kept | undefined
}

const stopped: Ending = { _tag: "Stopped" }

const died = (defect: unknown): Ended => ({ _tag: "Failed", cause: Cause.die(defect) })

/** A task that is run once, until it has ended or has to stop. */
export class TaskRun implements Linked<TaskRun> {
  chain: object | undefined = undefined
  previous: TaskRun | undefined = undefined
  next: TaskRun | undefined = undefined
  readonly unit: Unit
  /** Whether a thread was lost with it on it: it then goes alone. */
  isSuspect = false
  private readonly work: Work
  private readonly onEnd: (ending: Ending, task: TaskRun) => void
  /** Threads that it has taken down. */
  private strikes = 0
  /** When attempts that follow are due, once there has been one that failed. */
  private delays: Delays | undefined = undefined
  private attempt: Attempt | undefined = undefined
  /** Ends it where it waits. */
  private stopWaiting: (() => void) | undefined = undefined

  constructor(work: Work, unit: Unit, onEnd: (ending: Ending, task: TaskRun) => void) {
    this.work = work
    this.unit = unit
    this.onEnd = onEnd
  }

  /** Takes permits, and begins an attempt. It may have ended when this returns. */
  start(returning = false): void {
    const { options, parent, permits } = this.work
    if (parent.reason !== undefined) return this.end(stopped)
    let weight: number
    try {
      weight = options.weight(this.unit.payload)
    } catch (defect) {
      return this.end(died(defect))
    }
    if (permits.tryTakeUnsafe(weight)) return this.begin(weight)
    this.wait(
      (go) => permits.waitUnsafe(weight, options.priority, returning, go),
      () => {
        if (parent.reason === undefined) return this.begin(weight)
        // It was granted what another one gave back that was stopped in the same moment.
        permits.releaseUnsafe(weight)
        this.end(stopped)
      }
    )
  }

  /** Has it end as soon as can be. Whoever does so has asked its parent to stop. */
  kill(): void {
    this.stopWaiting?.()
    this.attempt?.kill()
  }

  private end(ending: Ending): void {
    this.onEnd(ending, this)
  }

  private begin(weight: number): void {
    const attempt = new Attempt(this.work, this, weight)
    this.attempt = attempt
    attempt.run((exit) => {
      this.attempt = undefined
      this.judge(attempt, exit)
    })
  }

  /** Waits for what calls back, unless the task has to stop first. */
  private wait(wait: (go: () => void) => () => void, then: () => void): void {
    let isOver = false
    let cancel = () => {}
    let removeListener = () => {}
    const finish = (next: () => void) => {
      if (isOver) return
      isOver = true
      removeListener()
      this.stopWaiting = undefined
      next()
    }
    const stop = () =>
      finish(() => {
        cancel()
        this.end(stopped)
      })
    cancel = wait(() => finish(then))
    if (isOver) return
    this.stopWaiting = stop
    removeListener = onFirstRequest(this.work.parent, stop)
  }

  private judge(attempt: Attempt, exit: Exit.Exit<unknown, unknown>): void {
    if (attempt.died !== undefined) return this.end({ _tag: "Failed", cause: attempt.died })
    if (Exit.isSuccess(exit)) {
      try {
        attempt.noteDone()
        return this.end({ _tag: "Done", value: exit.value })
      } catch (defect) {
        return this.end(died(defect))
      }
    }
    if (attempt.timedOut && attempt.reason === "Timeout") {
      return this.retry(new TimedOut({ millis: this.work.options.timeoutMillis }), { _tag: "TimedOut" })
    }
    // Once a stop has fired only success counts: a handler's own error handling must not turn a pause into a failure.
    if (attempt.reason !== undefined) return this.end(stopped)
    const failed = { _tag: "Failed", cause: exit.cause } as const
    const error = Cause.findError(exit.cause)
    if (Result.isSuccess(error)) {
      const { success } = error
      if (success instanceof Skipped) return this.end({ _tag: "Skipped", reason: success.reason })
      return success instanceof Interrupted ? this.end(failed) : this.retry(success, failed)
    }
    for (const reason of exit.cause.reasons) {
      if (!Cause.isDieReason(reason)) continue
      const { defect } = reason
      if (defect instanceof ThreadLost) return this.afterLoss(defect)
      if (defect instanceof ThreadsUnavailable) return this.end({ _tag: "Unavailable", cause: Cause.die(defect) })
    }
    // Nobody asked it to stop: if it was interrupted, it has done that itself, and would do so again.
    this.end(failed)
  }

  /** A thread that is lost costs a task nothing but time, until it has taken down too many. */
  private afterLoss({ isCulprit, isSuspect, why }: ThreadLost): void {
    this.isSuspect ||= isSuspect
    if (isCulprit && ++this.strikes >= maxStrikes) return this.end(died(new Quarantined(why)))
    this.start(true)
  }

  private retry(error: unknown, otherwise: Ended): void {
    const { context, environment: { clock, deadlines }, options: { retry } } = this.work
    if (Option.isNone(retry)) return this.end(otherwise)
    this.delays ??= delaysOf(retry.value)
    const next = this.delays(clock.currentTimeMillisUnsafe(), error)
    let delay: Exit.Exit<Option.Option<number>> = Exit.succeed(Option.none())
    // The steps of a schedule may take time, or never end.
    this.wait(
      (go) => {
        const fiber = Effect.runForkWith(context)(next)
        fiber.addObserver((exit) => {
          delay = exit
          go()
        })
        return () => fiber.interruptUnsafe()
      },
      () => {
        if (Exit.isFailure(delay)) return this.end({ _tag: "Failed", cause: delay.cause })
        if (Option.isNone(delay.value)) return this.end(otherwise)
        const millis = delay.value.value
        this.wait(
          (go) => {
            const deadline = deadlines.addUnsafe(millis, go)
            return () => deadlines.removeUnsafe(deadline)
          },
          () => this.start(true)
        )
      }
    )
  }
}
