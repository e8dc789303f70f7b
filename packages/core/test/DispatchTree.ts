import * as Interrupter from "@fanout/core/Interrupter"
import type * as JobStore from "@fanout/core/JobStore"
import * as Pools from "@fanout/core/Pools"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import type { TaskHandle, TaskStatus } from "@fanout/core/TaskHandle"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { asRun, attachedTo, runningJob, signalsBelow } from "./fanOutHarness.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Priority = Schema.Literals(["critical", "high", "normal", "low"])

/** What the tasks of a task may use together. */
const Limits = Schema.Struct({
  concurrency: Schema.optionalKey(int(1, 3)),
  permits: Schema.Struct({ a: Schema.optionalKey(int(1, 3)), b: Schema.optionalKey(int(1, 3)) }),
  priority: Schema.optionalKey(Priority)
})
type Limits = typeof Limits.Type

/** One task of a tree. */
const Node = Schema.Struct({
  /** Which of the nodes before it starts it, the program among them. */
  parent: int(0, 30),
  /** How it is started; from a task, `fanOut` is `run`. */
  start: Schema.Literals(["run", "dispatch", "background", "paused", "cancelled", "fanOut"]),
  kind: Schema.Literals(["Light", "Heavy", "Huge", "Timed"]),
  pool: Schema.Literals(["a", "b"]),
  priority: Priority,
  /** To what its children are narrowed, by one dispatcher for all its attempts. */
  narrows: Schema.NullOr(Limits),
  /** What it does before it starts its children and again after them. */
  work: Schema.Literals(["nothing", "yields", "sleeps", "checks", "waits", "hangs"]),
  children: Schema.Literals(["together", "inTurn", "raced"]),
  end: Schema.Literals(["done", "fails", "dies", "skips", "interrupts"]),
  /** Whether its finalizer takes time. */
  lingers: Schema.Boolean
})
export type Node = typeof Node.Type

/** A tree of tasks, the pools that they share, and what is asked of them from outside. */
export const Tree = Schema.Struct({
  sizes: Schema.Struct({ a: int(1, 4), b: int(1, 4) }),
  nodes: Schema.Array(Node).check(Schema.isMaxLength(16)),
  actions: Schema.Array(Schema.Struct({
    after: int(0, 12),
    what: Schema.Literals(["pauseAll", "resumeAll", "pause", "resume", "cancel", "abort", "resize"]),
    /** Which task; of `resize` the pool and its new size. */
    at: int(0, 15)
  })).check(Schema.isMaxLength(8)),
  /** Why the whole job is stopped at last, if it is. */
  stop: Schema.NullOr(Interrupter.Reason)
})
export type Tree = typeof Tree.Type

/** The same tasks, but few of them have the others under them, and all want the same permits. */
export const crowded = (tree: Tree): Tree => ({
  ...tree,
  sizes: { ...tree.sizes, a: Math.min(tree.sizes.a, 2) },
  nodes: tree.nodes.map((node) => ({
    ...node,
    parent: node.parent % 4,
    pool: "a",
    children: node.children === "inTurn" ? "together" : node.children
  }))
})

class Bad extends Schema.TaggedError<Bad>("Bad")("Bad", { n: Schema.Number }) {}

/** The node, and which of its starts this is. */
const Payload = Schema.Struct({ n: Schema.Number, start: Schema.Number })
const options = { payload: Payload, error: Bad, pool: "a" } as const
const Light = Task.make("test/Light", options)
const Heavy = Task.make("test/Heavy", { ...options, weight: 2 })
const Huge = Task.make("test/Huge", { ...options, weight: 9 })
const timeoutMillis = 100
const Timed = Task.make("test/Timed", {
  ...options,
  timeout: timeoutMillis,
  retry: Schedule.spaced("50 millis").pipe(Schedule.upTo({ times: 1 }))
})
class Tasks extends RpcGroup.make(Light, Heavy, Huge, Timed) {}
const tasks = { Light, Heavy, Huge, Timed }
const weights = { Light: 1, Heavy: 2, Huge: 9, Timed: 1 }
type Handlers = Task.Handler<(typeof tasks)[keyof typeof tasks]>
type Handle = TaskHandle<void, Bad>

const hardness: Record<Interrupter.Reason, number> = {
  Pause: 0,
  Shutdown: 1,
  Sibling: 1,
  Timeout: 1,
  Cancel: 2,
  LeaseLost: 3
}

interface Ask {
  readonly at: number
  readonly reason: Interrupter.Reason
}

/** The reason that counts of all that were given, in their order. */
const fold = (asks: ReadonlyArray<Ask>): Interrupter.Reason | undefined =>
  asks.reduce<Interrupter.Reason | undefined>(
    (reason, ask) => reason === undefined || hardness[ask.reason] > hardness[reason] ? ask.reason : reason,
    undefined
  )

/** Permits that are in use, as far as somebody bounds them: of the pools, or of what a dispatcher is narrowed to. */
class Uses {
  readonly name: string
  readonly sizes: { a: number; b: number; tasks: number }
  readonly around: Uses | undefined
  private readonly held = { a: 0, b: 0, tasks: 0 }

  constructor(name: string, { a = Infinity, b = Infinity, tasks = Infinity }: Partial<Uses["sizes"]>, around?: Uses) {
    this.name = name
    this.sizes = { a, b, tasks }
    this.around = around
  }

  /** Takes or gives back what a node weighs; tells where that is more than there is and not alone either. */
  hold(node: Pick<Node, "kind" | "pool">, sign: 1 | -1): ReadonlyArray<string> {
    const { kind, pool } = node
    const over: Array<string> = []
    for (const [what, weight] of [["tasks", 1], [pool, weights[kind]]] as const) {
      const before = this.held[what]
      this.held[what] += sign * weight
      if (sign === 1 && before > 0 && before + weight > this.sizes[what]) {
        over.push(`${before + weight} of ${this.sizes[what]} ${what} of ${this.name}`)
      }
    }
    return [...over, ...this.around?.hold(node, sign) ?? []]
  }
}

/** One attempt of a task: what was asked of it, worked out apart from the signals of the runtime. */
class Attempt {
  readonly asks: Array<Ask>
  readonly node: Node
  readonly startedAt: number
  /** The attempt that waits for this one through `run`, and is the reason for its stop when it stops itself. */
  readonly caller: Attempt | undefined

  constructor(node: Node, startedAt: number, caller: Attempt | undefined, asks: ReadonlyArray<Ask>) {
    this.node = node
    this.asks = asks.slice()
    this.startedAt = startedAt
    this.caller = caller
  }

  /** What was asked until a time; of what came in the same millisecond, a timeout comes first or last. */
  askedUntil(now: number, timeoutFirst: boolean): ReadonlyArray<Ask> {
    const asks = [...this.caller?.askedUntil(now, timeoutFirst) ?? [], ...this.asks].filter(({ at }) => at <= now)
    const at = this.startedAt + timeoutMillis
    const isBefore = (ask: Ask) => timeoutFirst ? ask.at < at : ask.at <= at
    if (this.node.kind === "Timed" && at <= now && !asks.some(isBefore)) asks.push({ at, reason: "Timeout" })
    const order = ({ at, reason }: Ask) => at + (reason === "Timeout" ? (timeoutFirst ? -0.5 : 0.5) : 0)
    return asks.toSorted((left, right) => order(left) - order(right))
  }

  reasonsAt(now: number): ReadonlyArray<Interrupter.Reason | undefined> {
    // A timeout of just now may not have been told yet.
    return [
      fold(this.askedUntil(now, true)),
      fold(this.askedUntil(now, false)),
      fold(this.askedUntil(now - 0.1, false))
    ]
  }

  /** Every reason that counted at some time, until a harder one came. */
  reasonsUntil(now: number): ReadonlyArray<Interrupter.Reason | undefined> {
    return [true, false].flatMap((timeoutFirst) => {
      const asks = this.askedUntil(now, timeoutFirst)
      return asks.map((_, i) => fold(asks.slice(0, i + 1)))
    })
  }
}

/** One start of a node, which may be attempted often. */
interface Start {
  readonly n: number
  readonly uses: Uses
  readonly caller: Attempt | undefined
  readonly live: Set<Attempt>
  readonly asks: Array<Ask>
  handle: Handle | undefined
  wanted: "run" | "pause" | "cancel" | "abort"
}

/** Starts that race others together. */
interface Begun {
  readonly ids: ReadonlyArray<number>
  readonly effect: Effect.Effect<void, Interrupter.Interrupted>
}

/** What was seen while a tree ran, each a sentence that breaks a law. */
export interface Seen {
  /** The tree did not come to its end. */
  hangs: boolean
  readonly wrongReasons: Array<string>
  readonly wrongEnds: Array<string>
  /** More permits were in use than there are. */
  readonly overdrawn: Array<string>
  /** Tasks that ran on when the task that waited for them was over. */
  readonly survivors: Array<string>
  /** Handlers that ran when the run was over, and fibers that it left. */
  orphans: number
  fibers: number
  /** Pools whose permits did not all come back. */
  readonly leaking: Array<string>
  /** Signals and listeners that the dispatcher, or whoever stops it, still had at last. */
  attached: number
}

/** Runs a tree under the test's clock and watches it. */
class Watch {
  readonly seen: Seen = {
    hangs: false,
    wrongReasons: [],
    wrongEnds: [],
    overdrawn: [],
    survivors: [],
    orphans: 0,
    fibers: 0,
    leaking: [],
    attached: 0
  }
  readonly starts: Array<Start> = []
  readonly live = new Set<Attempt>()
  readonly uses: Uses
  /** By node: the dispatcher of its children. */
  private readonly narrowed = new Map<number, readonly [TaskDispatcher.TaskDispatcher["Service"], Uses]>()
  /** Whether the program has ended: what it left behind is interrupted, and nobody has asked it to stop. */
  over = false
  stopped: Ask | undefined
  readonly tree: Tree
  private handlers: Context.Context<Handlers> | undefined

  constructor(tree: Tree) {
    this.tree = tree
    this.uses = new Uses("the pools", tree.sizes)
  }

  get layer() {
    const visit = (payload: typeof Payload.Type) => this.visit(payload)
    return Tasks.toLayer({ "test/Light": visit, "test/Heavy": visit, "test/Huge": visit, "test/Timed": visit })
  }

  childrenOf(n: number): ReadonlyArray<number> {
    return this.tree.nodes.flatMap(({ parent }, i) => parent % (i + 1) === n + 1 ? [i] : [])
  }

  node(n: number): Node {
    const node = this.tree.nodes[n]
    if (node === undefined) throw new Error(`there is no node ${n}`)
    return node
  }

  newStart(n: number, caller: Attempt | undefined, uses = this.uses): number {
    return this.starts.push({ n, uses, caller, live: new Set(), asks: [], handle: undefined, wanted: "run" }) - 1
  }

  /** Notes what is asked of a start. */
  ask(start: Start, reason: Interrupter.Reason): Effect.Effect<void> {
    return Effect.map(Clock.currentTimeMillis, (at) => {
      start.asks.push({ at, reason })
      for (const attempt of start.live) attempt.asks.push({ at, reason })
    })
  }

  // -- handlers

  private visit(
    { n, start: id }: typeof Payload.Type
  ): Effect.Effect<void, Bad | Interrupter.Interrupted | Task.Skipped> {
    const start = this.starts[id]
    if (start === undefined) return Effect.die(new Error(`there is no start ${id}`))
    const planned = this.node(n)
    // A fan-out gives its elements the pool of their task.
    const node: Node = start.caller === undefined && planned.start === "fanOut" ? { ...planned, pool: "a" } : planned
    let holds = false
    const hold = (wanted: boolean) => {
      if (holds !== wanted) this.seen.overdrawn.push(...start.uses.hold(node, wanted ? 1 : -1))
      holds = wanted
    }
    return Effect.acquireUseRelease(
      Effect.map(Clock.currentTimeMillis, (now) => {
        const asks = this.stopped === undefined ? start.asks : [...start.asks, this.stopped]
        const attempt = new Attempt(node, now, start.caller, asks)
        if (this.stopped !== undefined || start.wanted !== "run") {
          this.seen.wrongEnds.push(`${n} begins after it was stopped`)
        }
        start.live.add(attempt)
        this.live.add(attempt)
        hold(true)
        return attempt
      }),
      (attempt) => this.body(n, node, attempt, hold, start.uses),
      (attempt, exit) => this.leave(n, attempt, exit, start, hold)
    )
  }

  private body(n: number, node: Node, attempt: Attempt, hold: (wanted: boolean) => void, uses: Uses) {
    const children = this.childrenOf(n)
    return Effect.gen({ self: this }, function*() {
      yield* work(node)
      if (children.length > 0) {
        hold(false)
        const [dispatcher, own] = yield* this.narrow(n, node.narrows, uses)
        const exit = yield* Effect.exit(
          this.startAll(children, node.children, attempt, own).pipe(
            Effect.provideService(TaskDispatcher.Current, Option.some(dispatcher))
          )
        )
        // A task that is to stop may come to its safe point without permits.
        if (Exit.isSuccess(exit) && attempt.reasonsAt(yield* Clock.currentTimeMillis)[0] === undefined) hold(true)
        yield* exit
      }
      yield* work(node)
      if (node.end === "fails") return yield* new Bad({ n })
      if (node.end === "skips") return yield* Task.skip("so it goes")
      if (node.end === "interrupts") return yield* Effect.interrupt
      if (node.end === "dies") return yield* Effect.die(new Error("defect"))
    })
  }

  private leave(
    n: number,
    attempt: Attempt,
    exit: Exit.Exit<unknown, unknown>,
    start: Start,
    hold: (wanted: boolean) => void
  ) {
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    return Effect.gen({ self: this }, function*() {
      hold(false)
      for (const { caller, live, n: other } of this.starts) {
        if (caller === attempt && live.size > 0) this.seen.survivors.push(`${other} runs after ${n}`)
      }
      yield* this.checkReason(n, attempt, "is")
      if (error instanceof Interrupter.Interrupted) yield* this.checkReason(n, attempt, "was told", error.reason)
      if (attempt.node.lingers) {
        yield* Effect.sleep(30)
        yield* this.checkReason(n, attempt, "lingers and is")
      }
      start.live.delete(attempt)
      this.live.delete(attempt)
    })
  }

  private checkReason(n: number, attempt: Attempt, verb: string, told?: Interrupter.Reason): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const now = yield* Clock.currentTimeMillis
      const reason = told ?? Option.getOrUndefined(yield* Interrupter.reason)
      // An error tells the reason of its time, and may have waited for permits since.
      const right = told === undefined ? attempt.reasonsAt(now) : attempt.reasonsUntil(now)
      if (!right.includes(reason)) {
        this.seen.wrongReasons.push(
          `at ${now} node ${n} ${verb} stopped by ${reason}, and not by ${right.join(" or ")}`
        )
      }
    })
  }

  // -- starting

  /** The dispatcher of a node's children, and what it is bounded by. */
  private narrow(n: number, limits: Limits | null, around: Uses) {
    return Effect.gen({ self: this }, function*() {
      const known = this.narrowed.get(n)
      if (known !== undefined) return known
      const dispatcher = yield* Effect.orDie(Effect.fromOption(yield* TaskDispatcher.Current))
      const { concurrency: tasks = Infinity, permits = {} } = limits ?? {}
      const made = limits === null
        ? [dispatcher, around] as const
        : [yield* dispatcher.limited(limits), new Uses(`the children of ${n}`, { ...permits, tasks }, around)] as const
      this.narrowed.set(n, made)
      return made
    })
  }

  startAll(
    children: ReadonlyArray<number>,
    how: Node["children"],
    caller: Attempt | undefined,
    uses = this.uses
  ) {
    const begun = children.map((n): Begun => {
      const id = this.newStart(n, caller, uses)
      return { ids: [id], effect: this.startOne(n, id, caller, uses) }
    })
    if (how === "inTurn") return Effect.forEach(begun, ({ effect }) => effect, { discard: true })
    if (how === "together") {
      return Effect.forEach(begun, ({ effect }) => effect, { discard: true, concurrency: "unbounded" })
    }
    // A race of two of which one has ended waits for the other one, and only then stops whom it races itself.
    const race = (left: Begun, right: Begun): Begun => ({
      ids: [...left.ids, ...right.ids],
      effect: Effect.raceFirst(
        Effect.ensuring(left.effect, this.lose(right.ids)),
        Effect.ensuring(right.effect, this.lose(left.ids))
      )
    })
    const [first, ...others] = begun
    return first === undefined ? Effect.void : others.reduce(race, first).effect
  }

  /** Notes that nobody waits for these starts any longer: what is run ends with whoever waits for it. */
  private lose(ids: ReadonlyArray<number>): Effect.Effect<void> {
    return Effect.forEach(ids, (id) => {
      const start = this.starts[id]
      if (start === undefined || start.handle !== undefined) return Effect.void
      return Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const isStopped = Array.from(start.live).some((attempt) => attempt.reasonsAt(now)[0] !== undefined)
        return isStopped || this.stopped !== undefined ? Effect.void : this.ask(start, "Cancel")
      })
    }, { discard: true })
  }

  private startOne(
    n: number,
    id: number,
    caller: Attempt | undefined,
    uses: Uses
  ): Effect.Effect<void, Interrupter.Interrupted> {
    const node = this.node(n)
    return Effect.gen({ self: this }, function*() {
      const dispatcher = yield* Effect.orDie(Effect.fromOption(yield* TaskDispatcher.Current))
      const task = tasks[node.kind]
      const payload = { n, start: id }
      if (node.start === "run" || node.start === "fanOut") {
        const exit = yield* Effect.exit(dispatcher.run(task, payload, node))
        return yield* this.checkRun(n, exit, caller)
      }
      // Dispatched tasks are their own masters.
      const start: Start = { n, uses, caller: undefined, live: new Set(), asks: [], handle: undefined, wanted: "run" }
      this.starts[id] = start
      const handle: Handle = yield* dispatcher.dispatch(task, payload, node)
      start.handle = handle
      if (node.start === "background") return
      if (node.start !== "dispatch") {
        yield* Effect.sleep(15)
        yield* this.act(start, node.start === "paused" ? "pause" : "cancel")
        yield* Effect.sleep(15)
        yield* this.act(start, "resume")
      }
      this.checkStatus(n, yield* handle.await, start)
    }).pipe(Effect.provide(this.handlersNow))
  }

  get handlersNow(): Context.Context<Handlers> {
    if (this.handlers === undefined) throw new Error("the handlers are not built yet")
    return this.handlers
  }

  private checkRun(n: number, exit: Exit.Exit<void, unknown>, caller: Attempt | undefined) {
    return Effect.gen({ self: this }, function*() {
      const now = yield* Clock.currentTimeMillis
      const error = Option.getOrUndefined(Exit.findErrorOption(exit))
      const { end, kind } = this.node(n)
      const reasons = caller === undefined ? [this.stopped?.reason] : caller.reasonsUntil(now)
      if (error instanceof Interrupter.Interrupted) {
        if (kind === "Timed" && error.reason === "Timeout") return
        if (!reasons.includes(error.reason)) {
          this.seen.wrongReasons.push(
            `at ${now} the run of ${n} was stopped by ${error.reason}, not by ${reasons.join(" or ")}`
          )
        }
        return yield* error
      }
      const came = Exit.isSuccess(exit)
        ? "done"
        : error instanceof Bad
        ? "fails"
        : error instanceof Task.Skipped
        ? "skips"
        : Exit.hasInterrupts(exit)
        ? "interrupts"
        : "dies"
      if (came !== end && came !== "interrupts") this.seen.wrongEnds.push(`the run of ${n} ${came}`)
    })
  }

  private checkStatus(n: number, status: TaskStatus<void, Bad>, start: Start): void {
    const { end, kind } = this.node(n)
    const planned = { done: "Done", fails: "Failed", dies: "Failed", skips: "Skipped", interrupts: "Failed" }[end]
    const right: Array<string> = [planned]
    if (kind === "Timed") right.push("TimedOut")
    if (start.wanted === "cancel" || start.wanted === "abort") right.push("Cancelled")
    if (start.wanted === "abort") right.push("Aborted")
    if (this.over) right.push("Shutdown")
    if (this.stopped !== undefined) right.push(this.stopped.reason === "Cancel" ? "Cancelled" : "Shutdown")
    if (!right.includes(status._tag)) {
      this.seen.wrongEnds.push(`handle of ${n} ended as ${status._tag}, not as ${right.join(" or ")}`)
    }
  }

  // -- from outside

  /** Asks something of a dispatched task, and notes what that means for its attempts. */
  act(start: Start, what: "pause" | "resume" | "cancel" | "abort"): Effect.Effect<void> {
    const { handle } = start
    if (handle === undefined) return Effect.void
    return Effect.gen({ self: this }, function*() {
      if (what === "pause" && start.wanted === "run") {
        start.wanted = "pause"
        yield* this.ask(start, "Pause")
      } else if (what === "resume" && start.wanted === "pause") {
        start.wanted = "run"
        start.asks.length = 0
      } else if (what === "cancel" || what === "abort") {
        if (start.wanted !== "abort") start.wanted = what
        yield* this.ask(start, "Cancel")
      }
      yield* handle[what]
    })
  }

  get program() {
    return Effect.gen({ self: this }, function*() {
      const dispatcher = yield* TaskDispatcher.TaskDispatcher
      const roots = this.childrenOf(-1)
      const elements = roots.filter((n) => this.node(n).start === "fanOut")
      const others = roots.filter((n) => this.node(n).start !== "fanOut")
      const fanOuts = Object.entries(tasks).flatMap(([kind, task]) => {
        const own = elements.filter((n) => this.node(n).kind === kind)
        const items = own.map((n, i): Element<typeof Payload.Type> => ({
          _tag: "Item",
          cursor: String(i),
          payload: { n, start: this.newStart(n, undefined) }
        }))
        return own.length === 0 ? [] : [
          dispatcher.fanOut(kind, task, () => Stream.fromIterable(items), { concurrency: 3 })
        ]
      })
      const current = Option.some(dispatcher)
      const all = [this.startAll(others, "together", undefined), ...fanOuts]
      yield* Effect.all(all, { concurrency: "unbounded", discard: true }).pipe(
        Effect.provideService(TaskDispatcher.Current, current)
      )
    }).pipe(
      Effect.ensuring(Effect.map(Clock.currentTimeMillis, (at) => {
        this.over = true
        // What the program leaves behind is stopped with it.
        if (this.stopped !== undefined) return
        this.stopped = { at, reason: "Shutdown" }
        for (const attempt of this.live) attempt.asks.push(this.stopped)
      })),
      Effect.provide(this.handlersNow)
    )
  }

  build = Effect.map(Layer.build(this.layer), (handlers) => {
    this.handlers = handlers
  })
}

const work = ({ kind, work }: Node): Effect.Effect<void, Interrupter.Interrupted> => {
  switch (work) {
    case "nothing":
      return Effect.void
    case "yields":
      return Effect.yieldNow
    case "sleeps":
      return Effect.sleep(20)
    case "checks":
      return Effect.forEach([1, 2, 3], () => Effect.andThen(Effect.sleep(10), Interrupter.check), { discard: true })
    case "waits":
      return Effect.raceFirst(Effect.sleep(30), Interrupter.stopped)
    case "hangs":
      return kind === "Timed" ? Effect.never : Effect.sleep(10)
  }
}

/** Runs a tree to its end, doing to it what it says, and gives what was seen. */
export const run = (id: string, tree: Tree): Effect.Effect<Seen, unknown, JobStore.JobStore> =>
  Effect.scoped(Effect.gen(function*() {
    const watch = new Watch(tree)
    const pools = yield* Pools.Pools
    yield* watch.build
    yield* runningJob(id)
    // A clock that was never moved interrupts a finalizer that sleeps, to warn of it.
    yield* TestClock.adjust(1)
    let fibers = 0
    const count: Metric.FiberRuntimeMetricsService = {
      recordFiberStart: () => void fibers++,
      recordFiberEnd: () => void fibers--
    }
    let signal: Interrupter.Interrupter | undefined
    let tasks: ReadonlyArray<Interrupter.Interrupter> = []
    const running = yield* asRun(id, (own) => {
      signal = own
      tasks = signalsBelow(own)
      return watch.program
    }).pipe(Effect.provideService(Metric.FiberRuntimeMetrics, count), Effect.forkChild)
    yield* settle
    const each = (what: "pause" | "resume") =>
      Effect.forEach(watch.starts.slice(), (start) => watch.act(start, what), { discard: true })
    for (const { after, at, what } of tree.actions) {
      yield* TestClock.adjust(after * 10 + 3)
      if (what === "pauseAll") yield* each("pause")
      else if (what === "resumeAll") yield* each("resume")
      else if (what === "resize") {
        const pool = at < 8 ? "a" : "b"
        watch.uses.sizes[pool] = at % 4 + 1
        yield* pools.resize(pool, at % 4 + 1)
      } else {
        const handles = watch.starts.filter(({ handle }) => handle !== undefined)
        const start = handles[at % Math.max(1, handles.length)]
        if (start !== undefined) yield* Effect.forkChild(watch.act(start, what))
      }
      yield* settle
    }
    if (tree.stop !== null) {
      const at = yield* Clock.currentTimeMillis
      if (!watch.over) {
        watch.stopped = { at, reason: tree.stop }
        for (const attempt of watch.live) attempt.asks.push(watch.stopped)
      }
      signal?.requestUnsafe(tree.stop)
      yield* settle
    }
    for (let i = 0; i < 200 && running.pollUnsafe() === undefined; i++) {
      yield* each("resume")
      yield* TestClock.adjust("1 second")
    }
    const { seen } = watch
    seen.hangs = running.pollUnsafe() === undefined
    if (seen.hangs) return seen
    yield* Fiber.await(running)
    yield* settle
    seen.orphans = watch.live.size
    seen.fibers = fibers
    if (signal !== undefined) seen.attached = [signal, ...tasks].reduce((sum, one) => sum + attachedTo(one), 0)
    for (const pool of ["a", "b"] as const) {
      const whole = yield* Effect.forkChild(
        TaskDispatcher.TaskDispatcher.use((_) => _.run(Huge, { n: -1, start: -1 }, { pool })).pipe(
          Effect.provide([
            TaskDispatcher.layer,
            Tasks.toLayer({
              "test/Light": () => Effect.void,
              "test/Heavy": () => Effect.void,
              "test/Huge": () => Effect.void,
              "test/Timed": () => Effect.void
            })
          ])
        )
      )
      yield* settle
      if (whole.pollUnsafe() === undefined) seen.leaking.push(pool)
    }
    return seen
  })).pipe(
    Effect.provide(Pools.layer(tree.sizes)),
    // Each with a clock of its own, which waits for what it has woken also where the machine is busy.
    Effect.provide(Layer.fresh(TestClock.layer({ warningDelay: "1 minute" })))
  )
