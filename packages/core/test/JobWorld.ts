import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobEvent } from "@fanout/core/JobHandle"
import type * as JobId from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as Lease from "@fanout/core/Lease"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What one element of the job's fan-out does. */
const Item = Schema.Struct({
  millis: Schema.Literals([0, 50, 250, 900]),
  /** Whether it passes no safe point. */
  isDeaf: Schema.Boolean,
  /** Whether it has tasks of its own, and how. */
  under: Schema.Literals(["nothing", "run", "dispatch"]),
  end: Schema.Literals(["done", "fails", "dies", "skips", "hangs"]),
  /** Whether its finalizer takes time. */
  lingers: Schema.Boolean
})
type Item = typeof Item.Type

/** What is asked of the job, or happens to a process. */
const Act = Schema.Literals([
  "pause",
  "resume",
  "cancel",
  "retry",
  // The store does not answer, or fails, until it is well again.
  "cutOff",
  "fail",
  "reconnect",
  // The process is stopped, until it is continued.
  "freeze",
  "thaw",
  "kill",
  "shutDown",
  "open"
])
type Act = typeof Act.Type

export const World = Schema.Struct({
  items: Schema.Array(Item).check(Schema.isMinLength(3), Schema.isMaxLength(14)),
  concurrency: int(1, 4),
  flushEvery: int(1, 5),
  /** A task that the program starts and does not wait for. */
  leaves: Schema.Literals(["nothing", "polite", "deaf"]),
  /** Whether the program does not end by itself when it is stopped. */
  isDeaf: Schema.Boolean,
  /** How long a request to the store takes, and how long its answer. */
  latency: Schema.Literals([0, 10, 45]),
  /** In steps of 100 ms, and to which of the processes that live. */
  script: Schema.Array(Schema.Struct({ after: int(0, 8), what: Act, at: int(0, 2) })).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(8)
  ),
  /** For how many seconds what is out of order stays so at last, while others may take over. */
  late: int(0, 5)
})
export type World = typeof World.Type

/** The same world in which no process is stopped for a while: that counts as time that a task takes. */
export const withoutFreezing = (world: World): World => ({
  ...world,
  script: world.script.map((step) => step.what === "freeze" ? { ...step, what: "kill" } : step)
})

/** What else may stop a job than somebody from outside. */
export interface Inner {
  /** Its own timeout, in milliseconds. */
  readonly timeout?: number
  /** When it pauses itself because a disk is full. */
  readonly diskIsFullAt?: number
  /** Whether its fan-out gives up at the first failure. */
  readonly failFast?: boolean
}

// Half of it, the grace and the second that a program has to record are over before another process takes over.
const ttlMillis = 3000
const graceMillis = 300
const timeoutMillis = 1500

class Bad extends Schema.TaggedError<Bad>("Bad")("Bad", { n: Schema.Number }) {}

const Visit = Task.make("test/Visit", {
  payload: { n: Schema.Number },
  error: Bad,
  key: ({ n }) => `item ${n}`,
  timeout: timeoutMillis
})
const Side = Task.make("test/Side", { payload: { millis: Schema.Number, isDeaf: Schema.Boolean } })
class Tasks extends RpcGroup.make(Visit, Side) {}

const manyWithin = (timeout: number | undefined) =>
  Job.make("test/Many", { success: Schema.Number, ...timeout === undefined ? {} : { timeout } })

type Handlers = Task.Handler<typeof Visit> | Task.Handler<typeof Side>

/** Something of the job that runs in a process. */
interface Running {
  readonly name: string
}

class Fibers implements Metric.FiberRuntimeMetricsService {
  live = 0
  recordFiberStart = () => void this.live++
  recordFiberEnd = () => void this.live--
}

/** One process: a manager, and what can happen to it. */
class Process {
  readonly n: number
  readonly canReach = Latch.makeUnsafe(true)
  readonly isAwake = Latch.makeUnsafe(true)
  readonly running = new Set<Running>()
  /** Whether it was stopped while something of the job ran in it: it may find out late that it is not the owner. */
  wasFrozen = false
  isClosing = false
  isOver = false
  wasKilled = false
  isCut = false
  /** Whether its store fails. */
  fails = false
  readonly fibers = new Fibers()
  /** Why what runs in it may be stopped. */
  readonly asked: Set<Interrupter.Reason>

  constructor(n: number, asked: ReadonlyArray<Interrupter.Reason>) {
    this.n = n
    this.asked = new Set(asked)
  }

  cut(isCut: boolean): void {
    this.isCut = isCut
    if (isCut) this.canReach.closeUnsafe()
    else this.canReach.openUnsafe()
  }
}

/** What was seen of a world. The first four are sentences, each of which breaks a law. */
export interface Seen {
  readonly orphans: Array<string>
  readonly intruders: Array<string>
  readonly wrongReasons: Array<string>
  readonly backwards: Array<string>
  readonly reasons: Array<readonly [name: string, reason: Interrupter.Reason | undefined]>
  readonly cleaned: Array<string>
  readonly events: Array<JobEvent>
  record: JobStore.JobRecord | undefined
  progress: Progress.Progress
  rows: ReadonlyArray<JobStore.OutcomeRow>
  /** How often the job was claimed. */
  owners: number
  /** Whether a process, or a watcher of the job, did not come to its end. */
  endless: boolean
}

/** Runs a world under the test's clock and watches it. */
class Watch {
  readonly seen: Seen = {
    orphans: [],
    intruders: [],
    wrongReasons: [],
    backwards: [],
    reasons: [],
    cleaned: [],
    events: [],
    record: undefined,
    progress: Progress.empty,
    rows: [],
    owners: 0,
    endless: false
  }
  readonly processes: Array<Process> = []
  /** The job as it is stored, and which process runs it. */
  stored: { readonly record: JobStore.JobRecord; readonly owner: Process | undefined } | undefined
  private readonly mutex = Semaphore.makeUnsafe(1)
  private readonly shown = new Map<string, Progress.Progress>()
  readonly world: Omit<World, "script" | "late"> & Inner
  readonly many: ReturnType<typeof manyWithin>
  /** The store as the test sees it. */
  readonly read: JobStore.JobStore["Service"]

  constructor(world: Omit<World, "script" | "late"> & Inner, read: JobStore.JobStore["Service"]) {
    this.world = world
    this.many = manyWithin(world.timeout)
    this.read = read
  }

  /** Why the job may be stopped without anybody from outside. */
  get inner(): ReadonlyArray<Interrupter.Reason> {
    const { diskIsFullAt, failFast = false } = this.world
    return ["Timeout", ...diskIsFullAt === undefined ? [] : ["Pause" as const], ...failFast ? ["Sibling" as const] : []]
  }

  // -- the store

  /** The store as a process sees it. */
  storeOf(process: Process, store: JobStore.JobStore["Service"]): JobStore.JobStore["Service"] {
    const seen: JobStore.JobStore["Service"] = {
      ...store,
      put: (record, line, renames) =>
        Effect.tap(store.put(record, line, renames), (after) => Effect.sync(() => this.wasPut(process, after))),
      flush: (id, flush, onCommit) =>
        Effect.tap(store.flush(id, flush, onCommit), () =>
          Effect.sync(() => {
            this.wasWritten(process, flush.token, "a flush")
            this.wasShown(flush.progress, "stored")
          })),
      beat: (id, token) =>
        Effect.tap(store.beat(id, token), () => Effect.sync(() => this.wasWritten(process, token, "a heartbeat"))),
      log: (id, token, entry) =>
        Effect.tap(store.log(id, token, entry), () => Effect.sync(() => this.wasWritten(process, token, "a log line")))
    }
    const failing = new JobStoreError({
      reason: new StorageFailure({ operation: "any", problem: "Other", cause: "failing" })
    })
    // Requests and answers take their time, but for the process that the test itself waits for.
    const way = Effect.sleep(process.n === 0 ? 0 : this.world.latency).pipe(
      Effect.andThen(process.isAwake.await),
      Effect.andThen(process.canReach.await),
      Effect.andThen(Effect.suspend(() => process.fails ? Effect.fail(failing) : Effect.void))
    )
    return new Proxy(seen, {
      get: (target, name, receiver) => {
        const member: unknown = Reflect.get(target, name, receiver)
        const far = (call: Effect.Effect<unknown, unknown>) =>
          // One call at a time, so that what is noted of them is in their order.
          way.pipe(Effect.andThen(this.mutex.withPermit(call)), Effect.tap(way))
        if (typeof member === "function") {
          return (...args: ReadonlyArray<unknown>) => far(Effect.suspend(() => member.apply(target, args)))
        }
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what of a store is no method is an effect
        return Effect.isEffect(member) ? far(member as Effect.Effect<unknown, unknown>) : member
      }
    })
  }

  private wasPut(process: Process, record: JobStore.JobRecord): void {
    const before = this.stored
    const isRunning = record.state._tag === "Running"
    if (before !== undefined && before.record.state._tag === "Running" && !isRunning) this.checkOrphans(record)
    const isClaim = isRunning && (before === undefined || before.record.token !== record.token)
    if (isClaim) this.seen.owners++
    this.stored = { record, owner: isClaim ? process : isRunning ? before?.owner : undefined }
  }

  /** When a job has left Running, nothing of it runs, but in a process that does not know of it. */
  private checkOrphans(record: JobStore.JobRecord): void {
    for (const process of this.processes) {
      if (process.isOver || process.wasFrozen) continue
      for (const { name } of process.running) {
        // It may still wait for its store to answer.
        if (name === "the program" && process.isCut) continue
        this.seen.orphans.push(`${name} runs in process ${process.n} of a job that is ${record.state._tag}`)
      }
    }
  }

  private wasWritten(process: Process, token: number, what: string): void {
    const record = this.stored?.record
    if (record?.state._tag !== "Running" || record.token !== token || this.stored?.owner !== process) {
      this.seen.intruders.push(
        `${what} of token ${token} by process ${process.n}, and the job is ${record?.state._tag} under ${record?.token}`
      )
    }
  }

  /** Compares progress with what was there before, in the store or for a watcher. */
  wasShown(progress: Progress.Progress, where: "stored" | "shown"): void {
    const before = this.shown.get(where) ?? Progress.empty
    this.shown.set(where, progress)
    const { done } = progress.tally
    if (done < before.tally.done) this.seen.backwards.push(`${where}: ${before.tally.done} done, then ${done}`)
    for (const [unit, n] of Object.entries(before.units)) {
      const now = progress.units[unit] ?? 0
      if (now < n) this.seen.backwards.push(`${where}: ${n} ${unit}, then ${now}`)
    }
  }

  // -- what runs

  /** Runs something of the job in a process, and sees that it may. */
  inside<A, E, R>(process: Process, name: string, lingers: boolean, effect: Effect.Effect<A, E, R>) {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const running: Running = { name }
        process.running.add(running)
        for (const other of this.processes) {
          if (other === process || other.isOver || other.wasFrozen || process.wasFrozen) continue
          for (const one of other.running) {
            if (one.name === "the program" && other.isCut) continue
            this.seen.intruders.push(`${name} runs in process ${process.n} and ${one.name} in process ${other.n}`)
          }
        }
        return running
      }),
      () => effect,
      (running, exit) =>
        Effect.gen({ self: this }, function*() {
          yield* this.checkReason(process, name, exit)
          if (lingers) yield* Effect.sleep(20)
          process.running.delete(running)
          if (process.running.size === 0) process.wasFrozen = false
        })
    )
  }

  private checkReason(process: Process, name: string, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.map(Interrupter.reason, (option) => {
      const reason = Option.getOrUndefined(option)
      const error = Option.getOrUndefined(Exit.findErrorOption(exit))
      const told = error instanceof Interrupter.Interrupted ? error.reason : undefined
      const isStopped = told !== undefined || Exit.hasInterrupts(exit)
      // What the program has dispatched and runs when it ends is stopped with it.
      const isProgramOver = !Array.from(process.running).some(({ name }) => name === "the program")
      if (isProgramOver && reason === "Shutdown") return
      if (isStopped) this.seen.reasons.push([name, reason])
      if (isStopped && reason === undefined) {
        this.seen.wrongReasons.push(`${name} was stopped without a reason`)
      }
      for (const one of [reason, told]) {
        if (one !== undefined && !process.asked.has(one)) {
          this.seen.wrongReasons.push(`${name} was stopped by ${one}, which nobody asked of process ${process.n}`)
        }
      }
    })
  }

  /** Does what others can see, if the process still owns the job. */
  private publish(process: Process, name: string): Effect.Effect<void, Interrupter.Interrupted> {
    return Effect.flatMap(Lease.Lease, (lease) => {
      if (!lease.isHeldUnsafe()) return Lease.check
      this.wasWritten(process, lease.token, `what ${name} publishes`)
      return Effect.void
    })
  }

  tasks(process: Process): Layer.Layer<Handlers> {
    return Tasks.toLayer({
      "test/Visit": ({ n }) => {
        const item = this.world.items[n]
        const name = `item ${n}`
        return item === undefined
          ? Effect.die(new Error(`there is no ${name}`))
          : this.inside(process, name, item.lingers, this.visit(process, name, n, item))
      },
      "test/Side": ({ isDeaf, millis }) =>
        this.inside(process, millis > 1000 ? "what is left" : "a task of a task", false, passing(millis, isDeaf))
    })
  }

  private visit(process: Process, name: string, n: number, { end, isDeaf, millis, under }: Item) {
    return Effect.gen({ self: this }, function*() {
      const dispatcher = yield* Effect.orDie(Effect.fromOption(yield* TaskDispatcher.Current))
      const side = { millis: 30, isDeaf }
      if (under === "run") {
        yield* dispatcher.run(Side, side).pipe(Effect.provide(this.tasks(process)))
      } else if (under === "dispatch") {
        const handle = yield* dispatcher.dispatch(Side, side).pipe(Effect.provide(this.tasks(process)))
        yield* handle.await
      }
      yield* passing(millis, isDeaf)
      if (end === "hangs") yield* isDeaf ? Effect.never : Interrupter.stopped
      yield* this.publish(process, name)
      yield* Progress.add("units", 1)
      if (end === "fails") return yield* new Bad({ n })
      if (end === "skips") return yield* Task.skip("so it goes")
      if (end === "dies") return yield* Effect.die(new Error("defect"))
    })
  }

  programs(process: Process) {
    const { concurrency, diskIsFullAt, failFast = false, flushEvery, isDeaf, items, leaves } = this.world
    const source = (after: Option.Option<string>) => {
      const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })
      return Stream.fromIterable(
        items.slice(first).map((_, i): Element<{ readonly n: number }> => ({
          _tag: "Item",
          cursor: String(first + i),
          payload: { n: first + i }
        }))
      )
    }
    const program = Effect.gen({ self: this }, function*() {
      const dispatcher = yield* TaskDispatcher.TaskDispatcher
      if (leaves !== "nothing") yield* dispatcher.dispatch(Side, { millis: 3000, isDeaf: leaves === "deaf" })
      if (diskIsFullAt !== undefined) {
        const { pause, token } = yield* JobContext
        // There is space once somebody has resumed it.
        if (token === 1) yield* pause("disk", "no space is left").pipe(Effect.delay(diskIsFullAt), Effect.forkScoped)
      }
      const tally = yield* dispatcher.fanOut("items", Visit, source, {
        concurrency,
        flushEvery,
        flushInterval: 100,
        failures: failFast ? "failFast" : "collect"
      }).pipe(
        Effect.catchTag("FanOutStopped", (error) => Effect.die(error)),
        Effect.catchTag("Interrupted", (error) => isDeaf ? Effect.never : Effect.fail(error))
      )
      return tally.done
    })
    return this.many.toLayer(() => this.inside(process, "the program", false, program), {
      onCancel: (_, id) => Effect.sync(() => this.seen.cleaned.push(id))
    }).pipe(Layer.provide(this.tasks(process)))
  }
}

/** Takes some time, with or without safe points. */
const passing = (millis: number, isDeaf: boolean): Effect.Effect<void, Interrupter.Interrupted> =>
  isDeaf || millis === 0
    ? Effect.sleep(millis)
    : Effect.forEach(
      Array.from({ length: Math.ceil(millis / 30) }),
      () => Effect.andThen(Effect.sleep(Math.min(millis, 30)), Interrupter.check),
      { discard: true }
    )

/** Starts another process on the store of the world. */
const open = Effect.fnUntraced(function*(watch: Watch, claim: "all" | "none") {
  const process = new Process(watch.processes.length, watch.inner)
  watch.processes.push(process)
  // Not a child of the test's: a process that is killed never comes to its end.
  const scope = yield* Scope.make()
  const clock = yield* Clock.Clock
  const store = yield* JobStore.JobStore
  const context = yield* JobManager.layer({
    jobs: [watch.many],
    claim,
    leaseTtl: ttlMillis,
    pollInterval: 200,
    grace: graceMillis,
    shutdownDeadline: 2000
  }).pipe(
    Layer.provide(watch.programs(process)),
    Layer.provide(Layer.fresh(Pools.layer())),
    Layer.provide(Layer.fresh(OwnerLiveness.layerBlind)),
    Layer.provide(Layer.succeed(JobStore.JobStore, watch.storeOf(process, store))),
    Layer.buildWithScope(scope),
    Effect.provideService(Clock.Clock, {
      ...clock,
      sleep: (duration) => Effect.andThen(clock.sleep(duration), process.isAwake.await)
    }),
    Effect.provideService(Metric.FiberRuntimeMetrics, process.fibers)
  )
  const jobs = Context.get(context, JobManager.JobManager)
  const close = Effect.suspend(() => {
    if (process.isClosing) return Effect.void
    process.isClosing = true
    process.asked.add("Shutdown")
    return Effect.andThen(
      Scope.close(scope, Exit.void),
      Effect.sync(() => {
        process.isOver = true
      })
    )
  })
  return { process, jobs, close }
})
type Opened = Effect.Success<ReturnType<typeof open>>

/** Lets one thing happen. */
const act = Effect.fnUntraced(function*(watch: Watch, opened: Array<Opened>, what: Act, one: Opened, id: JobId.JobId) {
  const { process } = one
  const { jobs } = opened[0] ?? one
  switch (what) {
    case "pause":
    case "cancel":
      for (const process of watch.processes) process.asked.add(what === "pause" ? "Pause" : "Cancel")
      return yield* Effect.ignore(jobs[what](id))
    case "resume":
    case "retry":
      return yield* Effect.ignore(jobs[what](id))
    case "cutOff":
    case "fail":
      process.asked.add("LeaseLost")
      if (what === "fail") process.fails = true
      else process.cut(true)
      return
    case "reconnect":
      process.fails = false
      return process.cut(false)
    case "freeze":
      process.asked.add("LeaseLost")
      process.wasFrozen = true
      return process.isAwake.closeUnsafe()
    case "thaw":
      process.wasFrozen = process.running.size > 0
      return process.isAwake.openUnsafe()
    case "kill":
      process.isAwake.closeUnsafe()
      process.isOver = true
      process.wasKilled = true
      return process.running.clear()
    case "shutDown":
      // Nobody waits for it: a process that is killed meanwhile does not come to its end.
      return yield* Effect.forkDetach(one.close)
    case "open":
      if (opened.length < 5) opened.push(yield* open(watch, "all"))
  }
})

/** Lets the world go on undisturbed until the job is over, some time after another process has come to it. */
const finish = Effect.fnUntraced(function*(watch: Watch, opened: Array<Opened>, id: JobId.JobId, late: number) {
  opened.push(yield* open(watch, "all"))
  yield* TestClock.adjust(late * 1000)
  for (const { process } of opened) {
    if (process.isOver) continue
    process.wasFrozen &&= process.running.size > 0
    process.fails = false
    process.cut(false)
    process.isAwake.openUnsafe()
  }
  const [observer] = opened
  for (let i = 0; i < 60; i++) {
    yield* TestClock.adjust("500 millis")
    const record = yield* watch.read.get(id)
    if (JobState.isTerminal(record.state)) break
    if (record.state._tag === "Paused" && observer !== undefined) yield* Effect.ignore(observer.jobs.resume(id))
  }
})

/** Runs a job through what happens in a world to its end, and gives what was seen. */
export const run = (world: World & Inner): Effect.Effect<Seen, unknown, JobStore.JobStore> =>
  Effect.scoped(Effect.gen(function*() {
    // A clock that was never moved interrupts a finalizer that sleeps, to warn of it.
    yield* TestClock.adjust(1)
    const watch = new Watch(world, yield* JobStore.JobStore)
    const observer = yield* open(watch, "none")
    const opened: Array<Opened> = [observer, yield* open(watch, "all")]
    const { id, watch: events } = yield* observer.jobs.start(watch.many, undefined)
    const watching = yield* events.pipe(
      Stream.runForEach((event) =>
        Effect.sync(() => {
          watch.seen.events.push(event)
          if (event._tag === "Progress") watch.wasShown(event.progress, "shown")
        })
      ),
      Effect.forkScoped
    )
    yield* settle
    for (const { after, at, what } of world.script) {
      yield* TestClock.adjust(after * 100 + 3)
      const alive = opened.filter(({ process }) => !process.isOver && process.n > 0)
      const one = alive[at % Math.max(1, alive.length)] ?? observer
      if (one !== observer || ["pause", "resume", "cancel", "retry", "open"].includes(what)) {
        yield* act(watch, opened, what, one, id)
      }
      yield* settle
    }
    yield* finish(watch, opened, id, world.late)
    const { seen } = watch
    seen.record = yield* watch.read.get(id)
    seen.progress = (yield* watch.read.pulse(id)).progress
    seen.rows = (yield* watch.read.outcomes(id, { after: 0, limit: 1000 })).map(([, row]) => row)
    for (const { close } of opened) yield* Effect.forkDetach(close)
    yield* TestClock.adjust("10 seconds")
    seen.endless = watching.pollUnsafe() === undefined
    yield* Fiber.interrupt(watching)
    yield* settle
    for (const { process } of opened) {
      if (!process.isOver) seen.orphans.push(`process ${process.n} does not end`)
      else if (!process.wasKilled && process.fibers.live > 0) {
        seen.orphans.push(`process ${process.n} leaves ${process.fibers.live} fibers`)
      }
    }
    return seen
  })).pipe(
    // Each with a clock of its own, which waits for what it has woken also where the machine is busy.
    Effect.provide(Layer.fresh(TestClock.layer({ warningDelay: "1 minute" })))
  )

/** What the elements have to come to, worked out without running them. */
export const expected = (items: ReadonlyArray<Item>) => {
  const ended = (...ends: ReadonlyArray<Item["end"]>) => items.filter(({ end }) => ends.includes(end)).length
  const causes: Record<Exclude<Item["end"], "done">, (n: number) => string> = {
    fails: (n) => `item ${n}: Error {"_tag":"Bad","n":${n}}`,
    dies: (n) => `item ${n}: Defect defect`,
    hangs: (n) => `item ${n}: Timeout ${timeoutMillis}`,
    skips: (n) => `item ${n}: so it goes`
  }
  return {
    tally: { done: ended("done"), failed: ended("fails", "dies", "hangs"), skipped: ended("skips") },
    causes: items.flatMap(({ end }, n) => end === "done" ? [] : [causes[end](n)]).toSorted()
  }
}

/** What rows say, each as a line. */
export const causesOf = (rows: ReadonlyArray<JobStore.OutcomeRow>): ReadonlyArray<string> =>
  rows.map(({ key, outcome }) => {
    if (outcome._tag === "Done") return `${key}: done`
    if (outcome._tag === "Skipped") return `${key}: ${outcome.reason}`
    const { failure } = outcome
    switch (failure._tag) {
      case "Error":
        return `${key}: Error ${JSON.stringify(failure.error)}`
      case "Timeout":
        return `${key}: Timeout ${failure.millis}`
      default:
        return `${key}: Defect ${failure.message}`
    }
  }).toSorted()

/** All that was seen of a world, but for the names that are drawn at random. */
export const storyOf = ({ events, owners, progress, reasons, record, rows }: Seen) => {
  const id = record?.id ?? ""
  const lines = events.map((event) => {
    switch (event._tag) {
      case "State":
        return `${event.record.updatedAt} ${JSON.stringify(event.record.state)}`
      case "Progress":
        return JSON.stringify(event.progress)
      case "Item":
        return `${event.row.at} ${event.row.key} ${JSON.stringify(event.row.outcome)}`
      case "Log":
        return `${event.entry.at} ${event.entry.message}`
    }
  })
  return { lines: lines.map((line) => line.replaceAll(id, "it")), owners, progress, reasons, rows: causesOf(rows) }
}
