/**
 * The task dispatcher of one run, or of an application without jobs. All tasks of a dispatcher end with a scope.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type { AllOptions } from "../../FanOut.ts"
import { Interrupted, Interrupter } from "../../Interrupter.ts"
import { Pools } from "../../Pools.ts"
import { Reporter } from "../../Progress.ts"
import * as Task from "../../Task.ts"
import type { DispatchOptions, Limits, TaskDispatcher } from "../../TaskDispatcher.ts"
import type { TaskHandle } from "../../TaskHandle.ts"
import { Chain } from "../chain.ts"
import * as FanOut from "../fanOut/engine.ts"
import { JobRun, runOf } from "../fanOut/jobRun.ts"
import { forEach, type ItemOptions, type OpenFanOut, results, runAll } from "../fanOut/results.ts"
import { Share } from "../permits/share.ts"
import type { StoredRates } from "../permits/storedRates.ts"
import { Signal } from "../signal.ts"
import { currentDispatcher } from "../task/currentDispatcher.ts"
import { makeDeadlines } from "../task/deadlines.ts"
import type { ItemHandler } from "../task/itemTask.ts"
import { noUnits } from "../task/kept.ts"
import { CurrentSlot, waitForOthers } from "../task/slot.ts"
import { defineTask, findPool } from "../task/taskDefinition.ts"
import { OwnHandler } from "../task/taskOptions.ts"
import { type Ending, type Environment, TaskRun, type Unit, type Work } from "../task/taskRun.ts"
import { Dispatched } from "./dispatched.ts"

type Service = TaskDispatcher["Service"]

/** A task to run, before the caller adds a stop signal. */
interface Order extends Omit<Work, "parent" | "onChange" | "onTotal" | "recorded" | "environment" | "times"> {
  readonly unit: Unit
}

/** The common part of a dispatcher and of the narrower dispatchers that `limited` makes. */
interface Common {
  readonly pools: Pools["Service"]
  readonly rates: StoredRates
  readonly environment: Environment
  readonly signal: Interrupter
  /** Dispatched tasks that have not ended. */
  readonly dispatched: Chain<Dispatched>
  readonly definitions: Map<string, Task.Any>
}

/** An effect that needs no definition, which is the payload of this one. */
const plainEffect = Task.make("effect", {
  payload: Schema.Unknown,
  success: Schema.Unknown,
  error: Schema.Unknown,
  key: () => "a program"
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `runEffect` gives a payload
}).annotate(OwnHandler, (effect) => effect as Effect.Effect<unknown, unknown>)

class Dispatcher {
  readonly service: Service
  private readonly common: Common
  private readonly share: Share

  constructor(common: Common, share: Share) {
    this.common = common
    this.share = share
    const dispatch = (task: Task.Any, payload: unknown, options?: DispatchOptions) =>
      Effect.flatMap(this.taskOrder(task, payload, options), this.start)
    const service = {
      run: (task: Task.Any, payload: unknown, options?: DispatchOptions) =>
        this.runOrder(this.taskOrder(task, payload, options)),
      runEffect: (effect: Effect.Effect<unknown, unknown>, options?: DispatchOptions) =>
        this.runOrder(this.taskOrder(plainEffect, effect, options)),
      dispatch,
      dispatchMany: (task: Task.Any, payloads: Iterable<unknown>, options?: DispatchOptions) =>
        Effect.forEach(payloads, (payload) => dispatch(task, payload, options)),
      fanOut: (
        name: string,
        task: Task.Any,
        source: FanOut.FanOut["source"],
        options: FanOut.FanOut["options"] = {}
      ) => this.fanOut({ name, task, source, options, leavesFailures: false }),
      runAll: (name: string, task: Task.Any, payloads: Iterable<unknown>, options?: AllOptions) =>
        runAll(this.fanOut, name, task, payloads, options),
      forEach: (name: string, items: Iterable<unknown>, f: ItemHandler, options: ItemOptions) =>
        forEach(this.fanOut, name, items, f, options),
      results,
      limited: (limits: Limits) =>
        Effect.sync(() => {
          for (const name of Object.keys(limits.permits ?? {})) findPool(common.pools, name)
          return new Dispatcher(common, new Share(common.environment, limits, share)).service
        }),
      bandwidth: share.bandwidth
    } satisfies Record<keyof Service, unknown>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- tasks, payloads and results are erased in here
    this.service = service as unknown as Service
  }

  private definition(task: Task.Any, context: Context.Context<never>, pool: string | undefined) {
    const { definitions, pools, rates } = this.common
    // A handler that comes with its task can't be taken for the handler of another task.
    if (Context.getOrUndefined(task.annotations, OwnHandler) === undefined) {
      const known = definitions.get(task._tag) ?? task
      if (known !== task) throw new Error(`There are two definitions of the task "${task._tag}"`)
      definitions.set(task._tag, task)
    }
    return defineTask(task, context, pools, this.share, rates, pool)
  }

  private contextOf(context: Context.Context<never>, task: string): Context.Context<never> {
    const annotations = Context.get(context, References.CurrentLogAnnotations)
    return Context.add(context, currentDispatcher, Option.some(this.service)).pipe(
      Context.add(References.CurrentLogAnnotations, { ...annotations, task })
    )
  }

  private taskOrder(task: Task.Any, payload: unknown, options: DispatchOptions = {}): Effect.Effect<Order> {
    return Effect.contextWith((context: Context.Context<never>) => {
      const definition = this.definition(task, context, options.pool)
      return Effect.succeed({
        unit: { payload, kept: undefined },
        run: definition.handle,
        context: this.contextOf(Context.merge(context, definition.context), task._tag),
        options: options.priority === undefined
          ? definition.options
          : { ...definition.options, priority: options.priority },
        permits: definition.permits,
        tag: definition.tag,
        describe: () => `Task "${definition.tag}" of "${definition.options.key(payload)}"`,
        beginsLater: definition.beginsLater
      })
    })
  }

  /** Runs a task. A stop of the calling task, if any, stops the new task. */
  private runOrder(ordered: Effect.Effect<Order>): Effect.Effect<unknown, unknown> {
    return Effect.gen({ self: this }, function*() {
      const order = yield* ordered
      const context = yield* Effect.context()
      const around = Context.get(context, CurrentSlot) === undefined
        ? this.common.signal
        : Context.get(context, Interrupter)
      const reporter = Context.get(context, Reporter)
      // `Effect.forEach` runs an item twice if the item's effect ends another item's effect in the first step. A task
      // that begins after `yieldNow` ends no other effect in the first step.
      const ended = Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.yieldNow, () => {
          const parent = new Signal(around)
          const done = Deferred.makeUnsafe<Ending>()
          const task = this.taskRun(order, parent, reporter, (ending) => {
            parent.closeUnsafe()
            Deferred.doneUnsafe(done, Effect.succeed(ending))
          })
          task.start()
          const stop = Effect.suspend(() => {
            // An earlier stop may be the cause of the interruption, and keeps its reason.
            if (parent.reason === undefined) parent.requestUnsafe("Cancel")
            task.kill()
            return Deferred.await(done)
          })
          return Effect.map(
            Effect.onInterrupt(restore(Deferred.await(done)), () => stop),
            (ending) => ({ ending, reason: parent.reason })
          )
        })
      )
      const { ending, reason } = yield* waitForOthers(ended)
      switch (ending._tag) {
        case "Done":
          return ending.value
        case "Failed":
        case "Unavailable":
          return yield* Effect.failCause(ending.cause)
        case "Skipped":
          return yield* new Task.Skipped({ reason: ending.reason })
        case "TimedOut":
          return yield* new Interrupted({ reason: "Timeout" })
        case "Stopped":
          return reason === undefined ? yield* Effect.interrupt : yield* new Interrupted({ reason })
      }
    })
  }

  /** Makes a run of a task. The job shows the units of a running task. The reporter gets the units of a done task. */
  private taskRun(order: Order, parent: Signal, reporter: Reporter, onEnd: (ending: Ending) => void): TaskRun {
    const { unit } = order
    const run = Context.getOrUndefined(order.context, JobRun)
    const work: Work = {
      ...order,
      parent,
      onChange: () => run?.noteChange(),
      onTotal: (name, total) => reporter.totalUnsafe(name, total),
      recorded: Effect.void,
      environment: this.common.environment,
      times: run?.times.of(order.tag)
    }
    run?.partials.set(unit, () => unit.kept?.units ?? noUnits)
    return new TaskRun(work, unit, (ending) => {
      run?.partials.delete(unit)
      if (ending._tag === "Done") {
        for (const [name, amount] of unit.kept?.units ?? noUnits) reporter.addUnsafe(name, amount)
      }
      onEnd(ending)
    })
  }

  private readonly start = (order: Order): Effect.Effect<TaskHandle<unknown, unknown>> =>
    Effect.sync(() => {
      // A dispatched task may outlive the calling task, so the task reports to the program of the job.
      const reporter = Context.getOrUndefined(order.context, JobRun)?.reporter ?? Reporter.defaultValue()
      const { dispatched, signal } = this.common
      const task = new Dispatched(signal, dispatched, (parent, onEnd) => this.taskRun(order, parent, reporter, onEnd))
      // The caller goes on before the task begins.
      Effect.runForkWith(order.context)(Effect.map(Effect.yieldNow, () => task.begin()))
      return task.handle
    })

  private readonly fanOut: OpenFanOut = (given) =>
    Effect.flatMap(runOf(given.name), (run) =>
      Effect.contextWith((context: Context.Context<never>) => {
        const definition = this.definition(given.task, context, undefined)
        return waitForOthers(FanOut.run({
          ...given,
          task: definition,
          run,
          environment: this.common.environment,
          context: this.contextOf(Context.merge(context, definition.context), definition.tag)
        }))
      })).pipe(Effect.withSpan(`fanout.fanOut ${given.name}`, { attributes: { task: given.task._tag } }))
}

const noRates: StoredRates = (name) => {
  throw new Error(`Only the tasks of a job can have a rate such as "${name}": the job store keeps it`)
}

/**
 * Makes a dispatcher, the share of the dispatcher, and the list of the dispatched tasks that have not ended. All tasks
 * stop with the signal and end with the scope.
 */
export const make = Effect.fnUntraced(function*(parent: Interrupter, graceMillis = 1000, rates = noRates) {
  const pools = yield* Pools
  const signal = new Signal(parent)
  const dispatched = new Chain<Dispatched>()
  // Tasks that still run after the end of the program stop with a reason.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      if (signal.reason === undefined) signal.requestUnsafe("Shutdown")
      signal.closeUnsafe()
      return Effect.forEach(dispatched.toArray(), ({ close }) => close, { concurrency: "unbounded", discard: true })
    })
  )
  const clock = yield* Clock.Clock
  const deadlines = makeDeadlines(clock)
  yield* Effect.forkScoped(deadlines.watch)
  const environment = { clock, deadlines, graceMillis }
  const share = new Share(environment, {})
  const { service } = new Dispatcher({ pools, rates, environment, signal, dispatched, definitions: new Map() }, share)
  return { dispatcher: service, dispatched, share }
})
