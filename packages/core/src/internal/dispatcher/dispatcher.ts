/**
 * The dispatcher of one job run, or of an application that has no job: every task it starts belongs to its scope.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { FanOutOptions } from "../../FanOut.ts"
import { Interrupted, Interrupter, stopped } from "../../Interrupter.ts"
import { Pools } from "../../Pools.ts"
import { Reporter } from "../../Progress.ts"
import { type Any, Skipped } from "../../Task.ts"
import type { DispatchOptions, TaskDispatcher } from "../../TaskDispatcher.ts"
import type { TaskHandle, TaskStatus } from "../../TaskHandle.ts"
import { attemptsOf, type Ending, type Environment, runToEnd, type Unit } from "./attempts.ts"
import { currentDispatcher } from "./currentDispatcher.ts"
import { makeDeadlines } from "./deadlines.ts"
import * as FanOut from "../fanOut/fanOut.ts"
import { JobRun } from "../job/run.ts"
import { CurrentSlot, waitForOthers } from "./slot.ts"
import { defineTask, findPool } from "./taskDefinition.ts"

type Status = TaskStatus<unknown, unknown>

/** What is to run, before it is known under which signal. */
type Work = Pick<Unit, "run" | "context" | "options" | "permits">

interface Erased {
  readonly run: (task: Any, payload: unknown, options?: DispatchOptions) => Effect.Effect<unknown, unknown>
  readonly runEffect: (
    effect: Effect.Effect<unknown, unknown>,
    options?: DispatchOptions
  ) => Effect.Effect<unknown, unknown>
  readonly dispatch: (
    task: Any,
    payload: unknown,
    options?: DispatchOptions
  ) => Effect.Effect<TaskHandle<unknown, unknown>>
  readonly dispatchMany: (
    task: Any,
    payloads: Iterable<unknown>,
    options?: DispatchOptions
  ) => Effect.Effect<ReadonlyArray<TaskHandle<unknown, unknown>>>
  readonly fanOut: (
    name: string,
    task: Any,
    source: FanOut.FanOut["source"],
    options?: FanOutOptions
  ) => Effect.Effect<unknown, unknown>
}

class Dispatcher {
  readonly service: TaskDispatcher["Service"]
  private readonly definitions = new Map<string, Any>()
  private readonly pools: Pools["Service"]
  private readonly environment: Environment
  private readonly signal: Interrupter
  private readonly scope: Scope.Scope

  constructor(pools: Pools["Service"], environment: Environment, signal: Interrupter, scope: Scope.Scope) {
    this.pools = pools
    this.environment = environment
    this.signal = signal
    this.scope = scope
    const erased: Erased = {
      run: (task, payload, options) => this.runWork(this.taskWork(task, payload, options)),
      runEffect: (effect, options) => this.runWork(this.effectWork(effect, options)),
      dispatch: (task, payload, options) => Effect.flatMap(this.taskWork(task, payload, options), this.start),
      dispatchMany: (task, payloads, options) =>
        Effect.forEach(payloads, (payload) => Effect.flatMap(this.taskWork(task, payload, options), this.start)),
      fanOut: (name, task, source, options) => this.fanOut(name, task, source, options)
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- tasks, payloads and results are erased in here
    this.service = erased as unknown as TaskDispatcher["Service"]
  }

  private definition(task: Any, context: Context.Context<never>, pool: string | undefined) {
    const known = this.definitions.get(task._tag)
    if (known !== undefined && known !== task) throw new Error(`There are two definitions of the task "${task._tag}"`)
    this.definitions.set(task._tag, task)
    return defineTask(task, context, this.pools, pool)
  }

  private contextOf(context: Context.Context<never>): Context.Context<never> {
    return Context.add(context, currentDispatcher, Option.some(this.service))
  }

  private taskWork(task: Any, payload: unknown, options: DispatchOptions = {}): Effect.Effect<Work> {
    return Effect.contextWith((context: Context.Context<never>) =>
      Effect.sync((): Work => {
        const definition = this.definition(task, context, options.pool)
        return {
          run: Effect.suspend(() => definition.handle(payload)),
          context: this.contextOf(Context.merge(context, definition.context)),
          options: options.priority === undefined
            ? definition.options
            : { ...definition.options, priority: options.priority },
          permits: definition.permits
        }
      })
    )
  }

  private effectWork(effect: Effect.Effect<unknown, unknown>, options: DispatchOptions = {}): Effect.Effect<Work> {
    return Effect.contextWith((context: Context.Context<never>) =>
      Effect.sync((): Work => ({
        run: effect,
        context: this.contextOf(context),
        options: {
          weight: 1,
          priority: options.priority ?? "normal",
          timeoutMillis: Number.POSITIVE_INFINITY,
          retry: Option.none()
        },
        permits: findPool(this.pools, options.pool ?? "io")
      }))
    )
  }

  private unitOf(work: Work, parent: Interrupter, reporter: Reporter): Unit {
    return {
      ...work,
      parent,
      cell: makeCell(),
      onUnits: () => {},
      onTotal: reporter.totalUnsafe,
      killed: false,
      nextAttempt: attemptsOf(work.options.retry)
    }
  }

  /** Runs work under whoever asks for it: inside of a task it stops with that task. */
  private runWork(work: Effect.Effect<Work>): Effect.Effect<unknown, unknown> {
    return Effect.gen({ self: this }, function*() {
      const context = yield* Effect.context()
      const inTask = Context.get(context, CurrentSlot) !== undefined
      const parent = (inTask ? Context.get(context, Interrupter) : this.signal).childUnsafe()
      const reporter = Context.get(context, Reporter)
      const unit = this.unitOf(yield* work, parent, reporter)
      const ending = yield* waitForOthers(
        Effect.uninterruptibleMask((restore) =>
          Effect.gen({ self: this }, function*() {
            const fiber = yield* Effect.forkChild(this.toEnd(unit), { uninterruptible: true })
            const exit = yield* Effect.exit(restore(Fiber.await(fiber)))
            if (Exit.isSuccess(exit)) return yield* exit.value
            parent.requestUnsafe("Cancel")
            unit.killed = true
            fiber.interruptUnsafe()
            yield* Fiber.await(fiber)
            return yield* exit
          })
        )
      )
      const { reason } = parent
      parent.closeUnsafe()
      for (const [name, amount] of unit.cell.units) reporter.addUnsafe(name, amount)
      switch (ending._tag) {
        case "Done":
          return ending.value
        case "Failed":
          return yield* Effect.failCause(ending.cause)
        case "Skipped":
          return yield* new Skipped({ reason: ending.reason })
        case "TimedOut":
          return yield* new Interrupted({ reason: "Timeout" })
        case "Stopped":
          return reason === undefined ? yield* Effect.interrupt : yield* new Interrupted({ reason })
      }
    })
  }

  /** Like `runToEnd`, with a new fiber for each attempt that follows an interrupted one. */
  private toEnd(unit: Unit, delayMillis = 0): Effect.Effect<Exclude<Ending, { readonly _tag: "Again" }>> {
    const attempt = delayMillis === 0
      ? runToEnd(unit, this.environment)
      : Effect.andThen(Effect.interruptible(Effect.sleep(delayMillis)), runToEnd(unit, this.environment))
    return Effect.flatMap(attempt, (ending) =>
      ending._tag !== "Again"
        ? Effect.succeed(ending)
        : Effect.forkIn(this.toEnd(unit, ending.delayMillis), this.scope, { uninterruptible: true }).pipe(
          Effect.flatMap(Fiber.join)
        ))
  }

  private readonly start = (work: Work): Effect.Effect<TaskHandle<unknown, unknown>> =>
    Effect.gen({ self: this }, function*() {
      const task = new Running(
        (parent, cell) => ({ ...this.unitOf(work, parent, noReporter), cell }),
        (unit) => this.toEnd(unit),
        this.signal,
        this.scope
      )
      yield* Effect.forkIn(task.live, this.scope)
      return task.handle
    })

  private fanOut(name: string, task: Any, source: FanOut.FanOut["source"], options: FanOutOptions = {}) {
    return Effect.contextWith((context: Context.Context<never>) => {
      const run = Context.getOrUndefined(context, JobRun)
      if (run === undefined) return Effect.die(new Error(`Fan-out "${name}" was opened outside of a job`))
      const definition = this.definition(task, context, undefined)
      return waitForOthers(FanOut.run({
        name,
        task: definition,
        source,
        options,
        run,
        environment: this.environment,
        context: this.contextOf(Context.merge(context, definition.context))
      }))
    })
  }
}

/** A task that no fan-out has taken keeps its checkpoint for itself. */
const makeCell = (): Unit["cell"] => ({
  checkpoint: undefined,
  onSave: () => {},
  recorded: Effect.void,
  units: new Map(),
  saved: new Map()
})

const noReporter: Reporter = { addUnsafe: () => {}, totalUnsafe: () => {} }

/** A dispatched task between its pauses. */
class Running {
  private readonly done = Deferred.makeUnsafe<Status>()
  private readonly mayRun = Latch.makeUnsafe(true)
  private readonly cell = makeCell()
  private signal: Interrupter
  private fiber: Fiber.Fiber<Exclude<Ending, { readonly _tag: "Again" }>> | undefined
  private wanted: "run" | "pause" | "cancel" | "abort" = "run"
  private readonly makeUnit: (parent: Interrupter, cell: Unit["cell"]) => Unit
  private readonly toEnd: (unit: Unit) => Effect.Effect<Exclude<Ending, { readonly _tag: "Again" }>>
  private readonly parent: Interrupter
  private readonly scope: Scope.Scope

  constructor(
    makeUnit: Running["makeUnit"],
    toEnd: Running["toEnd"],
    parent: Interrupter,
    scope: Scope.Scope
  ) {
    this.makeUnit = makeUnit
    this.toEnd = toEnd
    this.parent = parent
    this.scope = scope
    this.signal = parent.childUnsafe()
  }

  /** Runs the task whenever it is wanted, until it has ended; in the dispatcher's scope. */
  get live(): Effect.Effect<void> {
    const round: Effect.Effect<Status> = Effect.gen({ self: this }, function*() {
      yield* Effect.raceFirst(
        this.mayRun.await,
        Effect.ignore(Effect.provideService(stopped, Interrupter, this.signal))
      )
      const unit = this.makeUnit(this.signal, this.cell)
      this.fiber = yield* Effect.forkIn(this.toEnd(unit), this.scope, { uninterruptible: true, startImmediately: true })
      const exit = yield* Fiber.await(this.fiber)
      this.fiber = undefined
      const status = this.statusOf(exit)
      if (status !== undefined) return status
      this.signal.closeUnsafe()
      this.signal = this.parent.childUnsafe()
      return yield* round
    })
    return round.pipe(
      Effect.catchCause((cause) =>
        Effect.succeed<Status>(
          Cause.hasInterruptsOnly(cause)
            ? { _tag: "Shutdown" }
            : { _tag: "Failed", cause }
        )
      ),
      Effect.flatMap((status) =>
        Effect.sync(() => {
          this.signal.closeUnsafe()
          Deferred.doneUnsafe(this.done, Effect.succeed(status))
        })
      ),
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          Deferred.doneUnsafe(this.done, Effect.succeed<Status>({ _tag: "Shutdown" }))
        })
      )
    )
  }

  private statusOf(exit: Exit.Exit<Exclude<Ending, { readonly _tag: "Again" }>>): Status | undefined {
    const ending: Exclude<Ending, { readonly _tag: "Again" }> = Exit.isSuccess(exit)
      ? exit.value
      : Cause.hasInterruptsOnly(exit.cause)
      ? { _tag: "Stopped" }
      : { _tag: "Failed", cause: exit.cause }
    if (ending._tag !== "Stopped") return ending
    if (this.parent.reason !== undefined) {
      return { _tag: this.parent.reason === "Cancel" ? "Cancelled" : "Shutdown" }
    }
    if (this.wanted === "cancel") return { _tag: "Cancelled" }
    if (this.wanted === "abort") return { _tag: "Aborted" }
    return undefined
  }

  get handle(): TaskHandle<unknown, unknown> {
    const end = Deferred.await(this.done)
    return {
      await: waitForOthers(Effect.raceFirst(end, stopped)),
      pause: Effect.sync(() => {
        if (this.wanted !== "run") return
        this.wanted = "pause"
        this.mayRun.closeUnsafe()
        this.signal.requestUnsafe("Pause")
      }),
      resume: Effect.sync(() => {
        if (this.wanted !== "pause") return
        this.wanted = "run"
        this.mayRun.openUnsafe()
      }),
      cancel: Effect.andThen(
        Effect.sync(() => {
          if (this.wanted !== "abort") this.wanted = "cancel"
          this.signal.requestUnsafe("Cancel")
          this.mayRun.openUnsafe()
        }),
        Effect.asVoid(waitForOthers(end))
      ),
      abort: Effect.andThen(
        Effect.sync(() => {
          this.wanted = "abort"
          this.signal.requestUnsafe("Cancel")
          this.mayRun.openUnsafe()
          this.fiber?.interruptUnsafe()
        }),
        Effect.asVoid(waitForOthers(end))
      )
    }
  }
}

/** Makes a dispatcher whose tasks stop with the signal and end with the scope. */
export const make = (options: {
  readonly signal: Interrupter
  readonly graceMillis?: number
}): Effect.Effect<TaskDispatcher["Service"], never, Pools | Scope.Scope> =>
  Effect.gen(function*() {
    const pools = yield* Pools
    const scope = yield* Effect.scope
    const clock = yield* Effect.clockWith((clock: Clock.Clock) => Effect.succeed(clock))
    const deadlines = makeDeadlines(clock)
    yield* Effect.forkScoped(deadlines.watch)
    return new Dispatcher(pools, { clock, deadlines, graceMillis: options.graceMillis ?? 1000 }, options.signal, scope)
      .service
  })
