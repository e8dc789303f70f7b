/**
 * Workers of one process and a simulated network between them and the owner, under the clock of the test.
 */
import * as FanOut from "@fanout/core/FanOut"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobManager } from "@fanout/core/JobManager"
import * as Lease from "@fanout/core/Lease"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Testing from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as ClusterPool from "../src/internal/cluster/clusterPoolLayer.ts"
import { protocol } from "../src/internal/cluster/messages.ts"
import { ClusterLink, Disconnected, type Wire } from "../src/internal/cluster/wire.ts"
import type { WorkerHost } from "../src/internal/cluster/workerHost.ts"
import * as Worker from "../src/internal/cluster/workerLayer.ts"

class Bad extends Schema.TaggedError<Bad>("test/Bad")("Bad", { at: Schema.Date, n: Schema.Number }) {}

/** Takes steps of 10 ms. Its number says how it ends, and whether it saves checkpoints. */
export const Work = Task.make("test/Work", {
  payload: { n: Schema.Number, steps: Schema.Number },
  success: Schema.BigInt,
  error: Bad,
  key: ({ n }) => String(n)
})

/** Never ends by itself. */
export const Slow = Task.make("test/Slow", {
  payload: { n: Schema.Number },
  timeout: "3 seconds",
  retry: Schedule.recurs(1),
  key: ({ n }) => String(n)
})

export class Tasks extends RpcGroup.make(Work, Slow) {}

/** Another version of `Work`, which reads the same payloads. */
const OtherWork = Task.make("test/Work", {
  payload: { n: Schema.Number, steps: Schema.Int },
  success: Schema.BigInt,
  error: Bad
})

const OtherTasks = RpcGroup.make(OtherWork, Slow)
const FewerTasks = RpcGroup.make(Slow)

/** How a worker differs from the owner, if it does. */
export type Version = "same" | "other schemas" | "lacks the task" | "other protocol"

const renumber = (text: string): string => text.replace(`"protocol":${protocol}`, `"protocol":${protocol + 1}`)

/** Speaks another version of the protocol, and so hears one. */
const otherProtocol = (wire: Wire): Wire => ({
  receive: Effect.map(wire.receive, renumber),
  send: (text) => wire.send(renumber(text))
})

/**
 * A process, which can be stopped as SIGSTOP does it. None of its timers comes, and it neither sends nor receives until
 * it goes on. Its clock has gone on meanwhile.
 */
export class Process implements Clock.Clock {
  private readonly clock: Clock.Clock
  private readonly gate = Latch.makeUnsafe(true)
  readonly currentTimeMillis: Effect.Effect<number>
  readonly currentTimeNanos: Effect.Effect<bigint>
  readonly monotonicTimeNanos: Effect.Effect<bigint>

  constructor(clock: Clock.Clock) {
    this.clock = clock
    this.currentTimeMillis = clock.currentTimeMillis
    this.currentTimeNanos = clock.currentTimeNanos
    this.monotonicTimeNanos = clock.monotonicTimeNanos
  }

  currentTimeMillisUnsafe(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  currentTimeNanosUnsafe(): bigint {
    return this.clock.currentTimeNanosUnsafe()
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.clock.monotonicTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.andThen(this.clock.sleep(duration), this.goesOn)
  }

  /** Waits while the process is stopped. */
  get goesOn(): Effect.Effect<void> {
    return this.gate.await
  }

  freeze(): void {
    this.gate.closeUnsafe()
  }

  thaw(): void {
    this.gate.openUnsafe()
  }

  /** Runs an effect as this process does. */
  run<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.provideService(Effect.andThen(this.goesOn, effect), Clock.Clock, this)
  }
}

const Saved = TaskCheckpoint.make(Schema.Number)

/** An attempt at an element: from its begin to the last step that it took while it held the lease. */
export interface Mark {
  readonly n: number
  readonly worker: string
  readonly from: number
  readonly begin: number
  to: number
  reason: string | undefined
}

/** What a task comes to. */
export const kindOf = (n: number): "Done" | "Failed" | "Skipped" =>
  n % 10 === 7 || n % 100 === 99 ? "Failed" : n % 10 === 8 ? "Skipped" : "Done"

/** The last message of a connection. */
const end = "the end"

interface Connection {
  readonly end: (how: Effect.Effect<never, Disconnected>) => void
}

const broken = Effect.fail(new Disconnected({ why: "connection reset" }))

interface Known {
  readonly name: string
  readonly host: WorkerHost
  readonly process: Process
  /** What the worker makes of its side of a connection. */
  readonly speak: (wire: Wire) => Wire
  readonly scope: Scope.Closeable
  readonly connections: Set<Connection>
}

/** How much later than others a message arrives, and how often. */
interface Fate {
  readonly lateMillis: number
  readonly copies: number
}

const usual: Fate = { lateMillis: 0, copies: 1 }

export class World {
  readonly workers = new Map<string, Known>()
  readonly marks: Array<Mark> = []
  /** Workers whose messages get lost, both ways. */
  readonly cut = new Set<string>()
  /** Workers that can't run `Work` for this owner. */
  readonly misfits = new Set<string>()
  /** What becomes of the next message of an owner (0) and of a worker (1), by the worker of its connection. */
  readonly next = [new Map<string, Fate>(), new Map<string, Fate>()] as const
  /** Messages that arrived, or were lost. */
  messages = 0
  latency = 1
  private started = 0

  /** Attempts an element on a worker. */
  private readonly attempt = Effect.fnUntraced(
    { self: this },
    function*(this: World, worker: string, n: number, steps: number) {
      const clock = yield* Clock.Clock
      const begin = Option.getOrElse(yield* Saved.get, () => 0)
      const from = clock.currentTimeMillisUnsafe()
      const mark: Mark = { n, worker, from, begin, to: Number.NEGATIVE_INFINITY, reason: undefined }
      this.marks.push(mark)
      for (let step = begin; step < steps; step++) {
        if (n % 10 === 3 && step > begin) yield* n % 20 === 3 ? Saved.commit(step) : Saved.save(step)
        yield* Effect.onInterrupt(Effect.sleep(10), () =>
          Effect.map(Interrupter.reason, (reason) => {
            mark.reason = Option.getOrUndefined(reason)
          }))
        const exit = yield* Effect.exit(Effect.andThen(Interrupter.check, Lease.check))
        if (Exit.isFailure(exit)) {
          mark.reason = Option.getOrElse(yield* Interrupter.reason, () => "LeaseLost")
          return yield* Effect.failCause(exit.cause)
        }
        yield* Progress.add("steps", 1)
        mark.to = clock.currentTimeMillisUnsafe()
      }
      if (n % 10 === 7) return yield* new Bad({ at: new Date(n), n })
      if (n % 10 === 8) return yield* Task.skip("an eight")
      if (n % 100 === 99) return yield* Effect.die(new Error(`boom ${n}`))
      return BigInt(n)
    }
  )

  /** Takes steps of 10 ms, and never looks whether it has to stop. */
  private readonly attemptBlindly = Effect.fnUntraced(
    { self: this },
    function*(this: World, worker: string, n: number, steps: number) {
      const clock = yield* Clock.Clock
      const from = clock.currentTimeMillisUnsafe()
      const mark: Mark = { n, worker, from, begin: 0, to: from, reason: undefined }
      this.marks.push(mark)
      for (let step = 0; step < steps; step++) {
        yield* Effect.sleep(10)
        mark.to = clock.currentTimeMillisUnsafe()
      }
      return BigInt(n)
    }
  )

  /** Starts a worker whose handlers never look whether they have to stop. */
  readonly startBlind = Effect.fnUntraced({ self: this }, function*(this: World, io: number) {
    const name = `worker-${++this.started}`
    const handlers = Tasks.toLayer({
      "test/Work": ({ n, steps }) => this.attemptBlindly(name, n, steps),
      "test/Slow": () => Effect.never
    })
    yield* this.startWith(name, Layer.provide(Worker.layer(Tasks), [handlers, Pools.layer({ io })]))
    return name
  })

  /** Handlers of a worker. */
  handlers(worker: string) {
    return Tasks.toLayer({
      "test/Work": ({ n, steps }) => this.attempt(worker, n, steps),
      "test/Slow": () => Effect.never
    })
  }

  /** Starts a worker, whose pool `io` has so many permits. */
  readonly start = Effect.fnUntraced({ self: this }, function*(this: World, io = 8, version: Version = "same") {
    const name = `worker-${++this.started}`
    const pools = Pools.layer({ io })
    const slow = { "test/Slow": () => Effect.never }
    if (version !== "same") this.misfits.add(name)
    if (version === "other schemas") {
      const handlers = OtherTasks.toLayer({ ...slow, "test/Work": ({ n, steps }) => this.attempt(name, n, steps) })
      yield* this.startWith(name, Layer.provide(Worker.layer(OtherTasks), [handlers, pools]))
    } else if (version === "lacks the task") {
      yield* this.startWith(name, Layer.provide(Worker.layer(FewerTasks), [FewerTasks.toLayer(slow), pools]))
    } else {
      const layer = Layer.provide(Worker.layer(Tasks), [this.handlers(name), pools])
      yield* this.startWith(name, layer, version === "same" ? undefined : otherProtocol)
    }
    return name
  })

  readonly startWith = Effect.fnUntraced(
    { self: this },
    function*(
      this: World,
      name: string,
      layer: Layer.Layer<Worker.ClusterHost, never, OwnerLiveness.OwnerLiveness>,
      speak: Known["speak"] = (wire) => wire
    ) {
      const scope = yield* Scope.make()
      const process = new Process(yield* Clock.Clock)
      const blind = Layer.fresh(OwnerLiveness.layerBlind)
      const built = Layer.build(Layer.provide(Layer.fresh(layer), blind))
      const context = yield* process.run(Scope.provide(built, scope))
      const host = Context.get(context, Worker.ClusterHost)
      this.workers.set(name, { name, host, process, speak, scope, connections: new Set() })
    }
  )

  /** Ends a worker as `kill -9` does: its tasks end, and its connections are reset, or end in another way. */
  kill(name: string, how: Effect.Effect<never, Disconnected> = broken): Effect.Effect<void> {
    return Effect.suspend(() => {
      const known = this.workers.get(name)
      if (known === undefined) return Effect.void
      this.workers.delete(name)
      for (const { end } of known.connections) end(how)
      // What is left of the worker here has to end.
      known.process.thaw()
      return Effect.asVoid(Effect.forkDetach(Scope.close(known.scope, Exit.void)))
    })
  }

  /** Ends a worker as SIGTERM does. */
  leave(name: string): Effect.Effect<void> {
    const known = this.workers.get(name)
    if (known === undefined) return Effect.void
    const leave = known.process.run(known.host.leave(10_000))
    return Effect.asVoid(Effect.forkDetach(Effect.andThen(leave, this.kill(name))))
  }

  readonly layer = Layer.succeed(ClusterLink, {
    workers: Effect.sync(() => Array.from(this.workers.keys())),
    connect: (address) =>
      Effect.gen({ self: this }, function*() {
        const known = this.workers.get(address)
        if (known === undefined) return yield* new Disconnected({ why: "connection refused" })
        const over = Deferred.makeUnsafe<never, Disconnected>()
        const [owner, worker] = this.wires(known, over)
        const connection: Connection = {
          end: (how) => Deferred.doneUnsafe(over, how)
        }
        known.connections.add(connection)
        const served = Effect.ignore(Effect.raceFirst(known.host.serve(known.speak(worker)), Deferred.await(over)))
        // What was sent arrives before the end.
        const close = Effect.map(Effect.sleep(this.latency + 1), () => connection.end(broken))
        yield* Effect.forkIn(known.process.run(Effect.andThen(served, close)), known.scope)
        yield* Effect.addFinalizer(() => {
          known.connections.delete(connection)
          return Effect.ignore(owner.send(end))
        })
        return owner
      })
  })

  /** Both ends of a connection. What is sent arrives after the latency, in order, or never. */
  private wires({ name }: Known, over: Deferred.Deferred<never, Disconnected>): readonly [Wire, Wire] {
    const toOwner = Effect.runSync(Queue.unbounded<readonly [number, string]>())
    const toWorker = Effect.runSync(Queue.unbounded<readonly [number, string]>())
    const wire = (side: 0 | 1): Wire => {
      const [inbox, outbox] = side === 0 ? [toOwner, toWorker] : [toWorker, toOwner]
      const receive: Effect.Effect<string, Disconnected> = Effect.gen({ self: this }, function*() {
        const [at, text] = yield* Queue.take(inbox)
        const clock = yield* Clock.Clock
        // A process that is stopped goes on after its sleep.
        yield* Effect.sleep(Math.max(1, at - clock.currentTimeMillisUnsafe()))
        this.messages++
        if (this.cut.has(name)) return yield* receive
        return text === end ? yield* broken : text
      })
      const send = (text: string): Effect.Effect<void, Disconnected> =>
        Effect.clockWith((clock) => {
          if (Deferred.isDoneUnsafe(over)) return Deferred.await(over)
          const { copies, lateMillis } = this.next[side].get(name) ?? usual
          this.next[side].delete(name)
          const at = clock.currentTimeMillisUnsafe() + this.latency + lateMillis
          for (let copy = 0; copy < copies && !this.cut.has(name); copy++) Queue.offerUnsafe(outbox, [at, text])
          return Effect.void
        })
      return { receive: Effect.raceFirst(receive, Deferred.await(over)), send }
    }
    return [wire(0), wire(1)]
  }
}

export const Many = Job.make("test/Many", {
  payload: Schema.Struct({ count: Schema.Number, steps: Schema.Number }),
  success: Progress.Tally,
  error: FanOut.FanOutStopped
})

const numbers = (count: number, steps: number) => (after: Option.Option<string>) =>
  Stream.range(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 }), count - 1).pipe(
    Stream.map((n) => ({ _tag: "Item", cursor: String(n), payload: { n, steps } }) as const)
  )

const program = Many.toLayer(({ count, steps }) =>
  TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("many", Work, numbers(count, steps), { concurrency: 200 }))
)

/** An owner of jobs, whose tasks run on the workers of the world. */
export const ownerOf = (
  world: Pick<World, "layer">,
  options: ClusterPool.Options = {},
  leaseTtl: Duration.Input = "15 seconds",
  grace: Duration.Input = "1 second"
) =>
  Testing.layer({ jobs: [Many], leaseTtl, grace }).pipe(
    Layer.provide(program),
    Layer.provideMerge(
      ClusterPool.layer(Tasks, options).pipe(Layer.provide([world.layer, Layer.fresh(OwnerLiveness.layerBlind)]))
    )
  )

/** Moves the clock until an effect has ended, and does what the test says in between. */
export const drive = <A, E, R, R2 = never>(
  effect: Effect.Effect<A, E, R>,
  between: (millis: number) => Effect.Effect<unknown, never, R2> | undefined = () => undefined,
  limit = 600_000
) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    for (let millis = 0; fiber.pollUnsafe() === undefined && millis < limit; millis += 5) {
      yield* between(millis) ?? Effect.void
      yield* TestClock.adjust(5)
    }
    return yield* Fiber.join(fiber)
  })

/** Starts a job of so many elements, and waits for its end. */
export const runMany = (count: number, steps: number) =>
  Effect.gen(function*() {
    const manager = yield* JobManager
    const job = yield* manager.start(Many, { count, steps })
    return { id: job.id, tally: yield* job.await }
  })

/** Pairs of attempts at one element of which the later one began before the other took its last step. */
export const overlaps = (marks: ReadonlyArray<Mark>): ReadonlyArray<string> =>
  Array.from(Map.groupBy(marks, ({ n }) => n).values()).flatMap((attempts) => {
    const sorted = attempts.toSorted((left, right) => left.from - right.from)
    return sorted.flatMap((mark, at) => {
      const before = sorted[at - 1]
      return before !== undefined && mark.from < before.to
        ? [`${mark.n}: ${before.worker} until ${before.to}, ${mark.worker} from ${mark.from}`]
        : []
    })
  })
