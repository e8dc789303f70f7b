/**
 * Runs one task to its end: permits, attempts, deadline, retry, and the stop that may come at any time.
 *
 * It runs on the fiber of whoever holds the task, a lane of a fan-out or a handle, in an uninterruptible region that
 * is opened only around what may take long. So the end of every attempt is seen, an interrupted one too.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { Interrupted, Interrupter } from "../../Interrupter.ts"
import { Reporter } from "../../Progress.ts"
import { maxAttempts, type Options, Skipped } from "../../Task.ts"
import { Cell } from "../../TaskCheckpoint.ts"
import type { Deadline, Deadlines } from "./deadlines.ts"
import type { Permits } from "./permits.ts"
import { CurrentSlot, releaseUnsafe, type Slot } from "./slot.ts"

/** How a task ended here. `Stopped` is no end: it is unfinished, and stays so. */
export type Ending =
  | { readonly _tag: "Done"; readonly value: unknown }
  | { readonly _tag: "Skipped"; readonly reason: string }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "TimedOut" }
  | { readonly _tag: "Stopped" }
  /** A retry is due after the delay, on another fiber: this one was interrupted. */
  | { readonly _tag: "Again"; readonly delayMillis: number }

export interface Environment {
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  /** How long a task that was asked to stop may go on before its fiber is interrupted. */
  readonly graceMillis: number
}

/** One task in the hands of a fiber. */
export interface Unit {
  readonly run: Effect.Effect<unknown, unknown>
  /** What the task sees, except for what is new in each attempt. */
  readonly context: Context.Context<never>
  readonly options: Pick<Options, "weight" | "priority" | "timeoutMillis" | "retry">
  readonly permits: Permits
  /** Stops this task together with others. */
  readonly parent: Interrupter
  readonly cell: Cell
  readonly onUnits: () => void
  readonly onTotal: (unit: string, total: number) => void
  /** Set once the fiber that runs the task was interrupted: it can't run another one. */
  killed: boolean
  /** When the next attempt is due; made once for each task. */
  readonly nextAttempt: (now: number, error: unknown) => Effect.Effect<Option.Option<number>>
}

class Attempt {
  readonly signal: Interrupter
  readonly slot: Slot
  timedOut = false
  private fiber: Fiber.Fiber<unknown, unknown> | undefined
  private readonly unit: Unit
  private readonly environment: Environment
  private readonly timeout: Deadline | undefined
  private grace: Deadline | undefined
  private readonly removeListener: () => void

  constructor(unit: Unit, environment: Environment, fiber: Fiber.Fiber<unknown, unknown>) {
    const { priority, timeoutMillis, weight } = unit.options
    this.unit = unit
    this.environment = environment
    this.fiber = fiber
    this.signal = unit.parent.childUnsafe()
    this.slot = { permits: unit.permits, weight, priority, held: true, waiting: 0, closed: false }
    this.removeListener = this.signal.onRequestUnsafe(() => this.stop())
    if (timeoutMillis !== Number.POSITIVE_INFINITY) {
      this.timeout = environment.deadlines.addUnsafe(timeoutMillis, () => {
        // Whoever stops a task together with others stops it for good; a timeout is this attempt's own.
        if (this.signal.reason !== undefined) return
        this.timedOut = true
        this.signal.requestUnsafe("Timeout")
      })
    }
  }

  private stop(): void {
    this.grace ??= this.environment.deadlines.addUnsafe(
      this.environment.graceMillis,
      () => {
        if (this.fiber === undefined) return
        this.unit.killed = true
        this.fiber.interruptUnsafe()
      }
    )
  }

  get effect(): Effect.Effect<unknown, unknown> {
    const { cell, onTotal, onUnits } = this.unit
    const { units } = cell
    if (units.size > 0) units.clear()
    for (const [name, amount] of cell.saved) units.set(name, amount)
    let context = Context.add(this.unit.context, Interrupter, this.signal)
    context = Context.add(context, CurrentSlot, this.slot)
    context = Context.add(context, Cell, cell)
    context = Context.add(context, Reporter, {
      addUnsafe: (name, amount) => {
        units.set(name, (units.get(name) ?? 0) + amount)
        onUnits()
      },
      totalUnsafe: onTotal
    })
    return Effect.updateContext(this.unit.run, () => context)
  }

  close(): void {
    const { deadlines } = this.environment
    this.fiber = undefined
    if (this.timeout !== undefined) deadlines.removeUnsafe(this.timeout)
    if (this.grace !== undefined) deadlines.removeUnsafe(this.grace)
    this.removeListener()
    this.signal.closeUnsafe()
    this.slot.closed = true
    releaseUnsafe(this.slot)
  }
}

/** Waits for what calls back, or for a stop; tells whether it was called back. */
const unlessStopped = (parent: Interrupter, wait: (go: () => void) => () => void): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    let ended: "went" | "stopped" | undefined
    return Effect.callback<void>((resume) => {
      let cancel = () => {}
      let removeListener = () => {}
      const end = (how: "went" | "stopped") => {
        if (ended !== undefined) return
        ended = how
        removeListener()
        if (how === "stopped") cancel()
        resume(Effect.void)
      }
      cancel = wait(() => end("went"))
      if (ended === undefined) removeListener = parent.onRequestUnsafe(() => end("stopped"))
      return Effect.sync(() => end("stopped"))
    }).pipe(
      Effect.interruptible,
      // What was granted is held, even if the fiber was interrupted in the same moment.
      Effect.exit,
      Effect.map(() => ended === "went")
    )
  })

/** Sleeps like `Effect.sleep`, unless a stop comes first. */
const sleepUnlessStopped = (unit: Unit, { deadlines }: Environment, millis: number): Effect.Effect<boolean> =>
  unlessStopped(unit.parent, (go) => {
    const deadline = deadlines.addUnsafe(millis, go)
    return () => deadlines.removeUnsafe(deadline)
  })

type Judgement = Ending | { readonly _tag: "Retry"; readonly error: unknown; readonly otherwise: Ending }

const judge = (attempt: Attempt, exit: Exit.Exit<unknown, unknown>): Judgement => {
  if (Exit.isSuccess(exit)) return { _tag: "Done", value: exit.value }
  if (attempt.timedOut && attempt.signal.reason === "Timeout") {
    return { _tag: "Retry", error: new Interrupted({ reason: "Timeout" }), otherwise: { _tag: "TimedOut" } }
  }
  // Once a stop has fired only success counts: a handler's own error handling must not turn a pause into a failure.
  if (attempt.signal.reason !== undefined) return { _tag: "Stopped" }
  const error = Cause.findError(exit.cause)
  if (Result.isSuccess(error)) {
    const { success } = error
    if (success instanceof Skipped) return { _tag: "Skipped", reason: success.reason }
    const failed = { _tag: "Failed", cause: exit.cause } as const
    return success instanceof Interrupted ? failed : { _tag: "Retry", error: success, otherwise: failed }
  }
  // Interrupted from outside, without a reason: whoever ran the whole thing is gone.
  return Cause.hasInterruptsOnly(exit.cause) ? { _tag: "Stopped" } : { _tag: "Failed", cause: exit.cause }
}

/** Runs a task until it has settled or must stop. Has to run in an uninterruptible region. */
export const runToEnd = (unit: Unit, environment: Environment): Effect.Effect<Ending> =>
  Effect.withFiber((fiber) => {
    const { options, parent, permits } = unit
    unit.killed = false

    const start = (returning: boolean): Effect.Effect<Ending> => {
      if (parent.reason !== undefined) return Effect.succeed({ _tag: "Stopped" })
      if (permits.tryTakeUnsafe(options.weight)) return attempt()
      return Effect.flatMap(
        unlessStopped(parent, (go) => permits.waitUnsafe(options.weight, options.priority, returning, go)),
        (taken): Effect.Effect<Ending> => taken ? attempt() : Effect.succeed({ _tag: "Stopped" })
      )
    }

    const attempt = (): Effect.Effect<Ending> => {
      const one = new Attempt(unit, environment, fiber)
      return Effect.flatMap(Effect.exit(Effect.interruptible(one.effect)), (exit): Effect.Effect<Ending> => {
        one.close()
        const judgement = judge(one, exit)
        return judgement._tag === "Retry" ? again(judgement.error, judgement.otherwise) : Effect.succeed(judgement)
      })
    }

    const again = (error: unknown, otherwise: Ending): Effect.Effect<Ending> =>
      Effect.flatMap(
        unit.nextAttempt(environment.clock.currentTimeMillisUnsafe(), error),
        (delay): Effect.Effect<Ending> => {
          if (Option.isNone(delay)) return Effect.succeed(otherwise)
          if (unit.killed) return Effect.succeed({ _tag: "Again", delayMillis: delay.value })
          return Effect.flatMap(
            sleepUnlessStopped(unit, environment, delay.value),
            (slept): Effect.Effect<Ending> => slept ? start(true) : Effect.succeed({ _tag: "Stopped" })
          )
        }
      )

    return start(false)
  })

/** Waits for the delay of an attempt that another fiber has to make, then goes on like `runToEnd`. */
export const runAgain = (unit: Unit, environment: Environment, delayMillis: number): Effect.Effect<Ending> =>
  Effect.flatMap(
    sleepUnlessStopped(unit, environment, delayMillis),
    (slept): Effect.Effect<Ending> => slept ? runToEnd(unit, environment) : Effect.succeed({ _tag: "Stopped" })
  )

/** Delays of a schedule, one for each call; `None` once it is over. */
export const attemptsOf = (retry: Options["retry"]): Unit["nextAttempt"] => {
  let attempts = 1
  let stepper: Effect.Success<ReturnType<typeof Schedule.toStep<unknown, unknown, never, never>>> | undefined
  return (now, error) => {
    if (Option.isNone(retry) || attempts++ >= maxAttempts) return Effect.succeedNone
    return Effect.gen(function*() {
      stepper ??= yield* Schedule.toStep(retry.value)
      const [, delay] = yield* stepper(now, error)
      return Option.some(Duration.toMillis(delay))
    }).pipe(
      // A schedule ends by failing with `Done`; one that fails otherwise ends too.
      Effect.catchCause(() => Effect.succeedNone)
    )
  }
}
