/**
 * The dispatcher of one job run, or of an application that has no job: every task it starts belongs to its scope.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Interrupted, Interrupter, stopped } from "../../Interrupter.ts"
import { Pools } from "../../Pools.ts"
import { Reporter } from "../../Progress.ts"
import { type Any, Skipped } from "../../Task.ts"
import type { DispatchOptions, TaskDispatcher } from "../../TaskDispatcher.ts"
import type { TaskHandle, TaskStatus } from "../../TaskHandle.ts"
import * as FanOut from "../fanOut/fanOut.ts"
import { JobRun } from "../job/run.ts"
import { Signal } from "../signal.ts"
import { type Ending, type Environment, noUnit, runAgain, runToEnd, type Unit, type Work } from "./attempts.ts"
import { currentDispatcher } from "./currentDispatcher.ts"
import { makeDeadlines } from "./deadlines.ts"
import { noUnits } from "./kept.ts"
import { Share } from "./share.ts"
import { CurrentSlot, waitForOthers } from "./slot.ts"
import { defineTask, findPool } from "./taskDefinition.ts"

type Status = TaskStatus<unknown, unknown>

/** What is to run, before it is known under which signal. */
interface Order extends Pick<Work, "options" | "permits" | "describe" | "beginsLater"> {
  readonly payload: unknown
  readonly run: Effect.Effect<unknown, unknown>
  /** What the task sees, except for what is new in each attempt. */
  readonly context: Context.Context<never>
}

type End = Exclude<Ending, { readonly _tag: "Again" }>

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
    options?: FanOut.FanOut["options"]
  ) => Effect.Effect<unknown, unknown>
  readonly limited: TaskDispatcher["Service"]["limited"]
  readonly bandwidth: TaskDispatcher["Service"]["bandwidth"]
}

/** What a dispatcher has in common with those that are narrowed from it. */
interface Common {
  readonly pools: Pools["Service"]
  readonly environment: Environment
  readonly signal: Interrupter
  readonly scope: Scope.Scope
  readonly definitions: Map<string, Any>
}

class Dispatcher {
  readonly service: TaskDispatcher["Service"]
  private readonly common: Common
  private readonly share: Share

  constructor(common: Common, share: Share) {
    this.common = common
    this.share = share
    const erased: Erased = {
      run: (task, payload, options) => this.runOrder(this.taskOrder(task, payload, options)),
      runEffect: (effect, options) => this.runOrder(this.effectOrder(effect, options)),
      dispatch: (task, payload, options) => Effect.flatMap(this.taskOrder(task, payload, options), this.start),
      dispatchMany: (task, payloads, options) =>
        Effect.forEach(payloads, (payload) => Effect.flatMap(this.taskOrder(task, payload, options), this.start)),
      fanOut: (name, task, source, options) => this.fanOut(name, task, source, options),
      limited: (limits) =>
        Effect.sync(() => {
          for (const name of Object.keys(limits.permits ?? {})) findPool(common.pools, name)
          return new Dispatcher(common, new Share(common.environment, limits, share)).service
        }),
      bandwidth: share.bandwidth
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- tasks, payloads and results are erased in here
    this.service = erased as unknown as TaskDispatcher["Service"]
  }

  private definition(task: Any, context: Context.Context<never>, pool: string | undefined) {
    const { definitions, pools } = this.common
    const known = definitions.get(task._tag)
    if (known !== undefined && known !== task) throw new Error(`There are two definitions of the task "${task._tag}"`)
    definitions.set(task._tag, task)
    return defineTask(task, context, pools, this.share, pool)
  }

  private contextOf(context: Context.Context<never>): Context.Context<never> {
    return Context.add(context, currentDispatcher, Option.some(this.service))
  }

  private taskOrder(task: Any, payload: unknown, options: DispatchOptions = {}): Effect.Effect<Order> {
    return Effect.contextWith((context: Context.Context<never>) => {
      const definition = this.definition(task, context, options.pool)
      return Effect.succeed({
        payload,
        run: Effect.suspend(() => definition.handle(payload)),
        context: this.contextOf(Context.merge(context, definition.context)),
        options: options.priority === undefined
          ? definition.options
          : { ...definition.options, priority: options.priority },
        permits: definition.permits,
        describe: () => `Task "${definition.tag}" of "${definition.options.key(payload)}"`,
        beginsLater: definition.beginsLater
      })
    })
  }

  private effectOrder(effect: Effect.Effect<unknown, unknown>, options: DispatchOptions = {}): Effect.Effect<Order> {
    const pool = options.pool ?? "io"
    return Effect.contextWith((context: Context.Context<never>) =>
      Effect.succeed({
        payload: undefined,
        run: effect,
        context: this.contextOf(context),
        options: {
          weight: () => 1,
          cost: () => 1,
          priority: options.priority ?? "normal",
          timeoutMillis: Number.POSITIVE_INFINITY,
          retry: Option.none()
        },
        permits: this.share.permitsOf(pool, findPool(this.common.pools, pool)),
        describe: () => `An effect that was run in the pool "${pool}"`,
        beginsLater: false
      })
    )
  }

  /** Runs a task under whoever asks for it: inside of a task it stops with that task. */
  private runOrder(order: Effect.Effect<Order>): Effect.Effect<unknown, unknown> {
    return Effect.gen({ self: this }, function*() {
      const asked = yield* order
      const context = yield* Effect.context()
      const around = Context.get(context, CurrentSlot) === undefined
        ? this.common.signal
        : Context.get(context, Interrupter)
      const reporter = Context.get(context, Reporter)
      const [ending, reason] = yield* waitForOthers(
        Effect.uninterruptibleMask((restore) =>
          Effect.gen({ self: this }, function*() {
            const parent = new Signal(around)
            const unit = makeUnit(asked)
            const task = this.toEnd(asked, unit, parent, reporter)
            const fiber = yield* Effect.forkChild(task, { uninterruptible: true })
            const exit = yield* Effect.exit(restore(Fiber.await(fiber)))
            if (Exit.isFailure(exit)) {
              // A stop that came first is why whoever waits was interrupted.
              if (parent.reason === undefined) parent.requestUnsafe("Cancel")
              unit.killed = true
              fiber.interruptUnsafe()
              yield* Fiber.await(fiber)
            }
            parent.closeUnsafe()
            return [yield* yield* exit, parent.reason] as const
          })
        )
      )
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

  /**
   * Like `runToEnd`, with a new fiber for each attempt that follows an interrupted one. What the task has added is
   * shown while it runs, and goes to the reporter once it is done.
   */
  private toEnd(order: Order, unit: Unit, parent: Signal, reporter: Reporter): Effect.Effect<End> {
    const run = Context.getOrUndefined(order.context, JobRun)
    const work: Work = {
      run: () => order.run,
      options: order.options,
      permits: order.permits,
      describe: order.describe,
      parent,
      onChange: () => run?.noteChange(),
      onTotal: (name, total) => reporter.totalUnsafe(name, total),
      recorded: Effect.void,
      beginsLater: order.beginsLater,
      onEndless: (why) => run?.fail(why),
      environment: this.common.environment
    }
    const going = (first: boolean, delayMillis: number): Effect.Effect<End> =>
      Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) =>
        Effect.flatMap(
          first ? runToEnd(work, unit, fiber) : runAgain(work, unit, fiber, delayMillis),
          (ending) =>
            ending._tag !== "Again"
              ? Effect.succeed(ending)
              : Effect.forkIn(going(false, ending.delayMillis), this.common.scope, { uninterruptible: true }).pipe(
                Effect.flatMap(Fiber.join)
              )
        )
      )
    const task = Effect.suspend(() => {
      run?.partials.set(unit, () => unit.kept?.units ?? noUnits)
      return going(true, 0)
    })
    return Effect.provideContext(task, order.context).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          run?.partials.delete(unit)
          if (Exit.isFailure(exit) || exit.value._tag !== "Done") return
          for (const [name, amount] of unit.kept?.units ?? noUnits) reporter.addUnsafe(name, amount)
        })
      )
    )
  }

  private readonly start = (order: Order): Effect.Effect<TaskHandle<unknown, unknown>> =>
    Effect.gen({ self: this }, function*() {
      // It may outlive the task that dispatched it, and counts for the program.
      const reporter = Context.getOrUndefined(order.context, JobRun)?.reporter ?? Reporter.defaultValue()
      const { scope, signal } = this.common
      const task = new Running(
        makeUnit(order),
        (unit, parent) => this.toEnd(order, unit, parent, reporter),
        signal,
        scope
      )
      const fiber = yield* Effect.forkIn(task.live, scope, { uninterruptible: true })
      // It was never begun where all has ended already.
      fiber.addObserver((exit) => task.settle(exit))
      return task.handle
    })

  private fanOut(name: string, task: Any, source: FanOut.FanOut["source"], options: FanOut.FanOut["options"] = {}) {
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
        environment: this.common.environment,
        context: this.contextOf(Context.merge(context, definition.context))
      }))
    }).pipe(Effect.withSpan(`fanout.fanOut ${name}`, { attributes: { task: task._tag } }))
  }
}

const makeUnit = ({ payload }: Order): Unit => ({ payload, ...noUnit })

/** A dispatched task between its pauses. */
class Running {
  private readonly done = Deferred.makeUnsafe<Status>()
  private readonly mayRun = Latch.makeUnsafe(true)
  private readonly unit: Unit
  private signal: Signal
  private fiber: Fiber.Fiber<End> | undefined
  private wanted: "run" | "pause" | "cancel" | "abort" = "run"
  private readonly toEnd: (unit: Unit, parent: Signal) => Effect.Effect<End>
  private readonly parent: Interrupter
  private readonly scope: Scope.Scope

  constructor(unit: Unit, toEnd: Running["toEnd"], parent: Interrupter, scope: Scope.Scope) {
    this.unit = unit
    this.toEnd = toEnd
    this.parent = parent
    this.scope = scope
    this.signal = new Signal(parent)
  }

  /** Runs the task whenever it is wanted, until it has ended. Has to run in an uninterruptible region. */
  get live(): Effect.Effect<Status> {
    return Effect.interruptible(Effect.gen({ self: this }, function*() {
      for (;;) {
        yield* Effect.raceFirst(
          this.mayRun.await,
          Effect.ignore(Effect.provideService(stopped, Interrupter, this.signal))
        )
        this.fiber = yield* Effect.forkIn(this.toEnd(this.unit, this.signal), this.scope, {
          uninterruptible: true,
          startImmediately: true
        })
        const exit = yield* Fiber.await(this.fiber)
        this.fiber = undefined
        const status = this.statusOf(exit)
        if (status !== undefined) return status
        this.signal.closeUnsafe()
        this.signal = new Signal(this.parent)
      }
    }))
  }

  /** Tells those who wait how it has ended. */
  settle(exit: Exit.Exit<Status>): void {
    this.signal.closeUnsafe()
    const status: Status = Exit.isSuccess(exit)
      ? exit.value
      : Cause.hasInterruptsOnly(exit.cause)
      ? { _tag: "Shutdown" }
      : { _tag: "Failed", cause: exit.cause }
    Deferred.doneUnsafe(this.done, Effect.succeed(status))
  }

  private statusOf(exit: Exit.Exit<End>): Status | undefined {
    const ending: End = Exit.isSuccess(exit) ? exit.value : { _tag: "Failed", cause: exit.cause }
    if (ending._tag === "Failed" && Cause.hasInterruptsOnly(ending.cause) && this.scope.state._tag === "Closed") {
      return { _tag: "Shutdown" }
    }
    if (ending._tag !== "Stopped") return ending
    if (this.parent.reason !== undefined) {
      return { _tag: this.parent.reason === "Cancel" ? "Cancelled" : "Shutdown" }
    }
    if (this.wanted === "cancel") return { _tag: "Cancelled" }
    if (this.wanted === "abort") return { _tag: "Aborted" }
    return undefined
  }

  get handle(): TaskHandle<unknown, unknown> {
    return {
      await: waitForOthers(Effect.raceFirst(Deferred.await(this.done), stopped)),
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
      cancel: this.end("cancel"),
      abort: this.end("abort")
    }
  }

  private end(how: "cancel" | "abort"): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.wanted !== "abort") this.wanted = how
      this.signal.requestUnsafe("Cancel")
      this.mayRun.openUnsafe()
      if (how === "abort") this.fiber?.interruptUnsafe()
      return Effect.asVoid(waitForOthers(Deferred.await(this.done)))
    })
  }
}

/**
 * Makes a dispatcher whose tasks stop with the signal and end with the scope, and the share that all of it obeys.
 */
export const make = Effect.fnUntraced(function*(parent: Interrupter, graceMillis = 1000) {
  const pools = yield* Pools
  const scope = yield* Scope.fork(yield* Effect.scope)
  const signal = new Signal(parent)
  // Before the scope is closed: what runs on when the program has ended is told why it is stopped.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (signal.reason === undefined) signal.requestUnsafe("Shutdown")
      signal.closeUnsafe()
    })
  )
  const clock = yield* Clock.Clock
  const deadlines = makeDeadlines(clock)
  yield* Effect.forkScoped(deadlines.watch)
  const environment = { clock, deadlines, graceMillis }
  const share = new Share(environment, {})
  const { service } = new Dispatcher({ pools, environment, signal, scope, definitions: new Map() }, share)
  return { dispatcher: service, share }
})
