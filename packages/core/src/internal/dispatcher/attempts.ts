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
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import { Interrupted, Interrupter, stopped as untilStopped } from "../../Interrupter.ts"
import { Reporter } from "../../Progress.ts"
import { maxAttempts, type Options, Skipped, TimedOut } from "../../Task.ts"
import { Cell } from "../../TaskCheckpoint.ts"
import { ThreadsUnavailable } from "../../ThreadSpawner.ts"
import { onFirstRequest, Signal } from "../signal.ts"
import { maxStrikes, Quarantined, ThreadLost } from "../threads/lost.ts"
import type { Deadline, Deadlines } from "./deadlines.ts"
import { Kept } from "./kept.ts"
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

/** For so long a task may go on after its fiber was interrupted before that is logged, and before it is given up. */
const overdueMillis = 10_000
const abandonedMillis = 60_000

export interface Environment {
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  /** How long a task that was asked to stop may go on before its fiber is interrupted. */
  readonly graceMillis: number
}

/** What is the same for all tasks that are run together: those of a fan-out, or a single one. */
export interface Work {
  /** Runs in a fiber that has the context which tasks see, except for what is new in each attempt. */
  readonly run: (payload: unknown) => Effect.Effect<unknown, unknown>
  readonly options: Pick<Options, "weight" | "priority" | "timeoutMillis" | "retry" | "cost">
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
  /** Called when a task has not ended long after its fiber was interrupted: who waits for it would wait for ever. */
  readonly onEndless: (why: string) => void
  readonly environment: Environment
}

/** One task in the hands of a fiber. */
export interface Unit {
  readonly payload: unknown
  kept: Kept | undefined
  /** Set once the fiber that runs the task was interrupted: it can't run another one. */
  killed: boolean
  /** When attempts that follow are due, once there has been one that failed. */
  delays: Delays | undefined
  /** Threads that it has taken down. */
  strikes: number
  /** Whether a thread was lost with it on it: it then goes alone. */
  isSuspect: boolean
}

export const noUnit: Pick<Unit, "kept" | "killed" | "delays" | "strikes" | "isSuspect"> = {
  kept: undefined,
  killed: false,
  delays: undefined,
  strikes: 0,
  isSuspect: false
}

/**
 * One attempt, as all that its task finds in its context: the stop signal, what it reports to, where it keeps its
 * checkpoint, the permits it holds.
 */
export class Attempt extends Signal implements Cell, Reporter, Slot {
  readonly work: Work
  readonly weight: number
  held = true
  waiting = 0
  giveUp: Slot["giveUp"] = undefined
  closed = false
  timedOut = false
  /** What a listener to its stop has thrown. */
  died: Cause.Cause<never> | undefined = undefined
  private readonly unit: Unit
  private fiber: Fiber.Fiber<unknown, unknown> | undefined
  private timeout: Deadline | undefined = undefined
  private grace: Deadline | undefined = undefined

  constructor(work: Work, unit: Unit, weight: number, fiber: Fiber.Fiber<unknown, unknown>) {
    super(work.parent)
    this.work = work
    this.weight = weight
    this.unit = unit
    this.fiber = fiber
    unit.kept?.restart()
    if (!work.beginsLater) this.begin()
  }

  /** Starts the time that the attempt may take. */
  begin(): void {
    const { environment, options: { timeoutMillis } } = this.work
    if (timeoutMillis === Number.POSITIVE_INFINITY || this.timeout !== undefined || this.closed) return
    this.timeout = environment.deadlines.addUnsafe(timeoutMillis, () => {
      // Whoever stops a task together with others stops it for good; a timeout is this attempt's own.
      if (this.reason !== undefined) return
      this.timedOut = true
      this.requestUnsafe("Timeout")
    })
  }

  get isSuspect(): boolean {
    return this.unit.isSuspect
  }

  protected override onDefect(defect: unknown): void {
    this.died ??= Cause.die(defect)
  }

  protected override onStop(): void {
    if (this.closed) return
    const { deadlines, graceMillis } = this.work.environment
    this.grace ??= deadlines.addUnsafe(graceMillis, () => {
      const { fiber, unit, work } = this
      if (fiber === undefined) return
      const { context } = fiber
      unit.killed = true
      fiber.interruptUnsafe()
      if (this.closed) return
      const goesOn = (millis: number) =>
        `${work.describe(unit.payload)} goes on for ${millis / 1000} s after it was interrupted`
      this.grace = deadlines.addUnsafe(overdueMillis, () => {
        // No other task is kept from running by one that its job gives up.
        this.grace = deadlines.addUnsafe(abandonedMillis - overdueMillis, () => {
          this.close()
          work.onEndless(goesOn(abandonedMillis))
        })
        Effect.runForkWith(context)(Effect.logWarning(goesOn(overdueMillis)))
      })
    })
  }

  // What a fiber does that the task has left behind counts no more.

  addUnsafe(unit: string, amount: number): void {
    if (this.closed) return
    this.unit.kept ??= new Kept()
    this.unit.kept.add(unit, amount)
    this.work.onChange()
  }

  totalUnsafe(unit: string, total: number): void {
    if (!this.closed) this.work.onTotal(unit, total)
  }

  get checkpoint(): Schema.Json | undefined {
    return this.unit.kept?.checkpoint
  }

  saveUnsafe(checkpoint: Schema.Json): void {
    if (this.closed) return
    this.unit.kept ??= new Kept()
    this.unit.kept.save(checkpoint)
    this.work.onChange()
  }

  get recorded(): Effect.Effect<void> {
    return this.work.recorded
  }

  private readonly see = (context: Context.Context<never>): Context.Context<never> => {
    const seen = Context.add(Context.add(context, Interrupter, this), CurrentSlot, this)
    return Context.add(Context.add(seen, Cell, this), Reporter, this)
  }

  get effect(): Effect.Effect<unknown, unknown> {
    return Effect.updateContext(Effect.suspend(() => this.work.run(this.unit.payload)), this.see)
  }

  noteDone(): void {
    this.work.permits.noteUnsafe(this.work.options.cost(this.unit.payload))
  }

  close(): void {
    const { deadlines } = this.work.environment
    this.fiber = undefined
    if (this.timeout !== undefined) deadlines.removeUnsafe(this.timeout)
    if (this.grace !== undefined) deadlines.removeUnsafe(this.grace)
    this.closeUnsafe()
    this.closed = true
    // A fiber that the task has left behind would take them for nobody.
    this.giveUp?.()
    releaseUnsafe(this)
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
      if (ended === undefined) removeListener = onFirstRequest(parent, () => end("stopped"))
      return Effect.sync(() => end("stopped"))
    }).pipe(
      Effect.interruptible,
      // What was granted is held, even if the fiber was interrupted in the same moment.
      Effect.exit,
      Effect.map(() => ended === "went")
    )
  })

/** Sleeps like `Effect.sleep`, unless a stop comes first. */
const sleepUnlessStopped = ({ environment: { deadlines }, parent }: Work, millis: number): Effect.Effect<boolean> =>
  unlessStopped(parent, (go) => {
    const deadline = deadlines.addUnsafe(millis, go)
    return () => deadlines.removeUnsafe(deadline)
  })

type Judgement =
  | Ending
  | { readonly _tag: "Retry"; readonly error: unknown; readonly otherwise: Ending }
  /** Its thread was lost: it is tried again at once. */
  | { readonly _tag: "Lost"; readonly lost: ThreadLost }
  /** Nothing can run it: neither this task nor others. */
  | { readonly _tag: "Unavailable"; readonly cause: Cause.Cause<never> }

const judge = (attempt: Attempt, exit: Exit.Exit<unknown, unknown>): Judgement => {
  if (attempt.died !== undefined) return { _tag: "Failed", cause: attempt.died }
  if (Exit.isSuccess(exit)) {
    try {
      attempt.noteDone()
      return { _tag: "Done", value: exit.value }
    } catch (defect) {
      return { _tag: "Failed", cause: Cause.die(defect) }
    }
  }
  if (attempt.timedOut && attempt.reason === "Timeout") {
    const error = new TimedOut({ millis: attempt.work.options.timeoutMillis })
    return { _tag: "Retry", error, otherwise: { _tag: "TimedOut" } }
  }
  // Once a stop has fired only success counts: a handler's own error handling must not turn a pause into a failure.
  if (attempt.reason !== undefined) return { _tag: "Stopped" }
  const error = Cause.findError(exit.cause)
  if (Result.isSuccess(error)) {
    const { success } = error
    if (success instanceof Skipped) return { _tag: "Skipped", reason: success.reason }
    const failed = { _tag: "Failed", cause: exit.cause } as const
    return success instanceof Interrupted ? failed : { _tag: "Retry", error: success, otherwise: failed }
  }
  for (const reason of exit.cause.reasons) {
    if (!Cause.isDieReason(reason)) continue
    if (reason.defect instanceof ThreadLost) return { _tag: "Lost", lost: reason.defect }
    if (reason.defect instanceof ThreadsUnavailable) return { _tag: "Unavailable", cause: Cause.die(reason.defect) }
  }
  // Nobody asked it to stop: if it was interrupted, it has done that itself, and would do so again.
  return { _tag: "Failed", cause: exit.cause }
}

const stopped: Effect.Effect<Ending> = Effect.succeed({ _tag: "Stopped" })

/**
 * Runs a task until it has settled or must stop. It is run by the fiber that is given, in an uninterruptible region.
 */
export const runToEnd = (
  work: Work,
  unit: Unit,
  fiber: Fiber.Fiber<unknown, unknown>,
  returning = false
): Effect.Effect<Ending> => {
  const { options, parent, permits } = work
  unit.killed = false
  if (parent.reason !== undefined) return stopped
  let weight: number
  try {
    weight = options.weight(unit.payload)
  } catch (defect) {
    return Effect.succeed({ _tag: "Failed", cause: Cause.die(defect) })
  }
  if (permits.tryTakeUnsafe(weight)) return attempt(work, unit, weight, fiber)
  return Effect.flatMap(
    unlessStopped(parent, (go) => permits.waitUnsafe(weight, options.priority, returning, go)),
    (taken) => {
      if (taken && parent.reason === undefined) return attempt(work, unit, weight, fiber)
      // It was granted what another one gave back that was stopped in the same moment.
      if (taken) permits.releaseUnsafe(weight)
      return stopped
    }
  )
}

const attempt = (
  work: Work,
  unit: Unit,
  weight: number,
  fiber: Fiber.Fiber<unknown, unknown>
): Effect.Effect<Ending> => {
  const one = new Attempt(work, unit, weight, fiber)
  return Effect.flatMap(Effect.exit(Effect.interruptible(one.effect)), (exit): Effect.Effect<Ending> => {
    one.close()
    const judgement = judge(one, exit)
    if (judgement._tag === "Unavailable") return Effect.failCause(judgement.cause)
    if (judgement._tag === "Lost") return afterLoss(work, unit, fiber, judgement.lost)
    if (judgement._tag !== "Retry") return Effect.succeed(judgement)
    const { retry } = work.options
    if (Option.isNone(retry)) return Effect.succeed(judgement.otherwise)
    unit.delays ??= delaysOf(retry.value)
    const delay = unit.delays(work.environment.clock.currentTimeMillisUnsafe(), judgement.error)
    return Effect.flatMap(
      // Its steps may take time, or never end.
      Effect.exit(Effect.raceFirst(delay, Effect.provideService(untilStopped, Interrupter, work.parent))),
      (delay): Effect.Effect<Ending> => {
        if (Exit.isFailure(delay)) {
          return work.parent.reason === undefined ? Effect.succeed({ _tag: "Failed", cause: delay.cause }) : stopped
        }
        if (Option.isNone(delay.value)) return Effect.succeed(judgement.otherwise)
        const delayMillis = delay.value.value
        return unit.killed ? Effect.succeed({ _tag: "Again", delayMillis }) : runAgain(work, unit, fiber, delayMillis)
      }
    )
  })
}

/** A thread that is lost costs a task nothing but time, until it has taken down too many. */
const afterLoss = (
  work: Work,
  unit: Unit,
  fiber: Fiber.Fiber<unknown, unknown>,
  { isCulprit, isSuspect, why }: ThreadLost
): Effect.Effect<Ending> => {
  unit.isSuspect ||= isSuspect
  if (isCulprit && ++unit.strikes >= maxStrikes) {
    return Effect.succeed({ _tag: "Failed", cause: Cause.die(new Quarantined(why)) })
  }
  return unit.killed ? Effect.succeed({ _tag: "Again", delayMillis: 0 }) : runToEnd(work, unit, fiber, true)
}

/** Waits for the delay of an attempt, then goes on like `runToEnd`. */
export const runAgain = (
  work: Work,
  unit: Unit,
  fiber: Fiber.Fiber<unknown, unknown>,
  delayMillis: number
): Effect.Effect<Ending> =>
  Effect.flatMap(
    sleepUnlessStopped(work, delayMillis),
    (slept) => slept ? runToEnd(work, unit, fiber, true) : stopped
  )

type Delays = (now: number, error: unknown) => Effect.Effect<Option.Option<number>>

/** Delays of a schedule, one for each call; `None` once it is over. */
const delaysOf = (retry: Schedule.Schedule<unknown>): Delays => {
  let attempts = 1
  let stepper: Effect.Success<ReturnType<typeof Schedule.toStep<unknown, unknown, never, never>>> | undefined
  return (now, error) => {
    if (attempts++ >= maxAttempts) return Effect.succeedNone
    return Effect.gen(function*() {
      stepper ??= yield* Schedule.toStep(retry)
      const [, delay] = yield* stepper(now, error)
      return Option.some(Duration.toMillis(delay))
    }).pipe(Pull.catchDone(() => Effect.succeedNone))
  }
}
