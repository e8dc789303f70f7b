/**
 * Runs one task to the end: permits, attempts, retries, and a stop at any time.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { WorkersUnavailable } from "../../ClusterWorkers.ts"
import { Interrupted, type Interrupter } from "../../Interrupter.ts"
import type { Reporter } from "../../Progress.ts"
import { Skipped, TimedOut } from "../../Task.ts"
import { ThreadsUnavailable } from "../../ThreadsUnavailable.ts"
import { Linked } from "../chain.ts"
import * as Numbers from "../numbers.ts"
import type { Permits } from "../permits/permits.ts"
import { onFirstRequest } from "../signal.ts"
import { Attempt } from "./attempt.ts"
import { type Deadlines, nowMillis } from "./deadlines.ts"
import type { Kept } from "./kept.ts"
import { releaseUnsafe } from "./slot.ts"
import type { Options } from "./taskOptions.ts"
import type { AttemptTimer, Times } from "./taskTimes.ts"
import { maxLosses, maxStrikes, Quarantined, ThreadLost, WorkerLost } from "./threadLost.ts"

/** Most attempts of one task, whatever the task's schedule says. */
const maxAttempts = 1000

/**
 * Milliseconds for which a busy service may refuse a task, from the first refusal after a failed attempt. Later the
 * refusal counts as a failed attempt.
 */
const mostBusyMillis = 10 * 60_000

/** Milliseconds until a refused task is tried again, at least and at most, if it was told no longer time. */
const leastDelayMillis = 100
const mostDelayMillis = 5000

/** The end of a finished task. */
export type Ended =
  | { readonly _tag: "Done"; readonly value: unknown }
  | { readonly _tag: "Skipped"; readonly reason: string }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "TimedOut" }

/** The end of a run of a task. */
export type Ending =
  | Ended
  /** The task is unfinished. */
  | { readonly _tag: "Stopped" }
  /** No thread or worker can run the task. */
  | { readonly _tag: "Unavailable"; readonly cause: Cause.Cause<never> }

export interface Environment {
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  /** Time from a stop request to the interruption of the task's fiber. */
  readonly graceMillis: number
}

/** The common part of all tasks of a fan-out, or of a single task. */
export interface Work {
  readonly run: (payload: unknown) => Effect.Effect<unknown, unknown>
  /** The services of all tasks. Each attempt adds services of the attempt. */
  readonly context: Context.Context<never>
  readonly options: Pick<Options, "weight" | "priority" | "busy" | "timeoutMillis" | "retry" | "cost">
  /** Names the kind of task in spans. */
  readonly tag: string
  readonly permits: Permits
  /** Names one task in logs. */
  readonly describe: (payload: unknown) => string
  /** Stops all tasks of the work. */
  readonly parent: Interrupter
  /** Called when a task has added to a unit or saved a checkpoint. */
  readonly onChange: () => void
  readonly onTotal: Reporter["totalUnsafe"]
  /** Waits until the store has all checkpoints that tasks have saved so far. */
  readonly recorded: Effect.Effect<void>
  /** Whether the handler calls `Attempt.begin`. Otherwise each attempt, and thus the timeout, begins at once. */
  readonly beginsLater: boolean
  readonly environment: Environment
  /** Where the times of all attempts are counted, if anywhere. */
  readonly times: Times | undefined
}

/** The payload of a task, and the state that the task keeps from one attempt to the next. */
export interface Unit {
  readonly payload: unknown
  kept: Kept | undefined
}

const stopped: Ending = { _tag: "Stopped" }

const died = (defect: unknown): Ended => ({ _tag: "Failed", cause: Cause.die(defect) })

/** Gives the milliseconds until the next attempt, or `None` if the failed attempt was the last one. */
type Delays = (now: number, error: unknown) => Effect.Effect<Option.Option<number>>

const delaysOf = (retry: Schedule.Schedule<unknown>): Delays => {
  let stepper: Effect.Success<ReturnType<typeof Schedule.toStep<unknown, unknown, never, never>>> | undefined
  return (now, error) =>
    Effect.gen(function*() {
      stepper ??= yield* Schedule.toStep(retry)
      const [, delay] = yield* stepper(now, error)
      return Option.some(Numbers.finiteMillis("The delay of a retry", delay))
    }).pipe(Pull.catchDone(() => Effect.succeedNone))
}

/** One run of a task, until the task has ended or must stop. */
export class TaskRun extends Linked<TaskRun> {
  readonly unit: Unit
  /** The number of attempts that have begun. */
  attempts = 0
  /** Whether the task may have ended a thread. A suspect task runs alone there. */
  isSuspect = false
  /** The number of workers that were lost while they had the task in hand. */
  losses = 0
  private readonly work: Work
  private readonly onEnd: (ending: Ending, task: TaskRun) => void
  /** The number of threads that the task has ended. */
  private strikes = 0
  /** Time of the first refusal since the last failed attempt, and the number of refusals since then. */
  private busySince: number | undefined = undefined
  private refusals = 0
  /** The delays of the retry schedule, from the first failed attempt on. */
  private delays: Delays | undefined = undefined
  private attempt: Attempt | undefined = undefined
  /** Times the attempt that waits for its begin. */
  private timer: AttemptTimer | undefined = undefined
  /** Stops the current wait and ends the task. */
  private stopWaiting: (() => void) | undefined = undefined

  constructor(work: Work, unit: Unit, onEnd: (ending: Ending, task: TaskRun) => void) {
    super()
    this.work = work
    this.unit = unit
    this.onEnd = onEnd
  }

  /**
   * Takes a turn and permits, and begins an attempt. The task may have ended when `start` returns. While the task waits
   * for the one, it leaves the other to tasks that can use it.
   */
  start(returning = false): void {
    this.timer = this.work.times?.ask()
    this.enter(returning, false)
  }

  private enter(returning: boolean, hasTurn: boolean): void {
    const { options, parent, permits } = this.work
    const { rate } = permits
    const leave = (ending: Ending) => {
      if (hasTurn) rate?.releaseUnsafe(1)
      this.end(ending)
    }
    if (parent.reason !== undefined) return leave(stopped)
    let weight: number
    try {
      weight = options.weight(this.unit.payload)
    } catch (defect) {
      return leave(died(defect))
    }
    if (rate !== undefined && !hasTurn && !rate.tryTakeUnsafe(1)) {
      const wait = (go: () => void) => rate.waitUnsafe(1, options.priority, returning, go)
      return this.wait(wait, () => this.enter(returning, true))
    }
    if (permits.tryTakeUnsafe(weight)) return this.begin(weight, hasTurn)
    let turn = rate
    this.wait(
      (go) => permits.waitUnsafe(weight, options.priority, returning, go),
      () => {
        if (parent.reason === undefined && (rate === undefined || turn !== undefined || rate.tryTakeUnsafe(1))) {
          turn = undefined
          return this.begin(weight, true)
        }
        // It needs a turn, or the stop that made another task release these permits stops this task too.
        permits.releaseUnsafe(weight)
        this.enter(true, false)
      }
    )
    turn?.releaseUnsafe(1)
    turn = undefined
  }

  /** Ends the task as soon as possible. The caller must have requested a stop of the parent. */
  kill(): void {
    this.stopWaiting?.()
    this.attempt?.kill()
  }

  private end(ending: Ending): void {
    this.onEnd(ending, this)
  }

  private begin(weight: number, hasWaited: boolean): void {
    this.attempts++
    const { timer } = this
    if (!this.work.beginsLater) timer?.begin(hasWaited)
    const attempt = new Attempt(this.work, this, weight, timer)
    this.attempt = attempt
    attempt.run((exit) => {
      this.attempt = undefined
      this.judge(attempt, exit)
    })
  }

  /** Calls `then` after `wait` has called back, unless the task must stop first. `wait` returns its own cancel. */
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

  private judge(attempt: Attempt, ended: Exit.Exit<unknown, unknown>): void {
    const { busyMillis, exit } = this.heard(attempt, ended)
    releaseUnsafe(attempt)
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
    // After a stop only success counts: error handling in a handler must not turn a pause into a failure.
    if (attempt.reason !== undefined) return this.end(stopped)
    const failed = { _tag: "Failed", cause: exit.cause } as const
    const error = Cause.findError(exit.cause)
    if (Result.isSuccess(error)) {
      const { success } = error
      if (success instanceof Skipped) return this.end({ _tag: "Skipped", reason: success.reason })
      return success instanceof Interrupted ? this.end(failed) : this.afterError(success, failed, busyMillis)
    }
    for (const reason of exit.cause.reasons) {
      if (!Cause.isDieReason(reason)) continue
      const { defect } = reason
      if (defect instanceof ThreadLost) return this.afterLoss(defect)
      if (defect instanceof WorkerLost) return this.afterWorkerLoss(defect)
      if (defect instanceof ThreadsUnavailable || defect instanceof WorkersUnavailable) {
        return this.end({ _tag: "Unavailable", cause: Cause.die(defect) })
      }
    }
    // Nothing has requested a stop, so an interrupted task has interrupted itself, and would do so again.
    this.end(failed)
  }

  /** Starts the task again after the loss of a thread, or quarantines a task that has ended too many threads. */
  private afterLoss({ isCulprit, isSuspect, why }: ThreadLost): void {
    this.isSuspect ||= isSuspect
    if (isCulprit && ++this.strikes >= maxStrikes) return this.end(died(new Quarantined(why)))
    this.start(true)
  }

  /** Starts the task again after the loss of a worker. Most losses are no task's fault, so it takes more of them. */
  private afterWorkerLoss({ why }: WorkerLost): void {
    this.losses++
    if (this.losses >= maxLosses) return this.end(died(new Quarantined(`${maxLosses} workers were lost, ${why}`)))
    this.start(true)
  }

  /**
   * Closes the pool if a service was too busy for an attempt, before the permits of the attempt go to another task.
   * Gives the milliseconds that the service asks for, or the defect of the question.
   */
  private heard(
    attempt: Attempt,
    exit: Exit.Exit<unknown, unknown>
  ): { readonly exit: Exit.Exit<unknown, unknown>; readonly busyMillis?: number } {
    const { options: { busy }, permits } = this.work
    if (busy === undefined || Exit.isSuccess(exit) || attempt.reason !== undefined) return { exit }
    const error = Cause.findError(exit.cause)
    if (Result.isFailure(error) || error.success instanceof Skipped || error.success instanceof Interrupted) {
      return { exit }
    }
    try {
      const told = busy(error.success)
      if (told === undefined) return { exit }
      const millis = Duration.toMillis(told)
      const busyMillis = Number.isFinite(millis) ? Math.max(millis, 0) : 0
      permits.refuseUnsafe(Math.min(busyMillis, mostBusyMillis))
      return { exit, busyMillis }
    } catch (defect) {
      return { exit: Exit.die(defect) }
    }
  }

  /** Starts the task again once the service is less busy. Any other error is a failed attempt. */
  private afterError(error: unknown, failed: Ended, busyMillis: number | undefined): void {
    if (busyMillis !== undefined) {
      const now = nowMillis(this.work.environment.clock)
      const millis = Math.max(Math.min(leastDelayMillis * 2 ** this.refusals, mostDelayMillis), busyMillis)
      this.busySince ??= now
      this.refusals++
      if (now + millis <= this.busySince + mostBusyMillis) return this.after(millis, () => this.start(true))
    }
    this.busySince = undefined
    this.refusals = 0
    this.retry(error, failed)
  }

  private after(millis: number, then: () => void): void {
    const { deadlines } = this.work.environment
    this.wait((go) => {
      const deadline = deadlines.addUnsafe(millis, go)
      return () => deadlines.removeUnsafe(deadline)
    }, then)
  }

  private retry(error: unknown, otherwise: Ended): void {
    const { context, environment: { clock }, options: { retry } } = this.work
    if (Option.isNone(retry) || this.attempts >= maxAttempts) return this.end(otherwise)
    this.delays ??= delaysOf(retry.value)
    const next = this.delays(clock.currentTimeMillisUnsafe(), error)
    let delay: Exit.Exit<Option.Option<number>> = Exit.succeed(Option.none())
    // A step of a schedule may take time, or never end.
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
        this.after(delay.value.value, () => this.start(true))
      }
    )
  }
}
