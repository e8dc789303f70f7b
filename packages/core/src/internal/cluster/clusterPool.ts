/**
 * The owner's side of a cluster: which workers there are, which worker gets which task, and what becomes of the tasks
 * of a worker that is lost.
 *
 * 1. `run` queues a task that has its permits. There are as many permits of a pool as all workers
 *    together should have in hand there.
 * 2. `pump` gives the tasks of the queue to workers, the one that has least to do first.
 * 3. `receive` settles what has ended.
 * 4. `tick` renews leases each tenth of a second, and looks whether a worker has nothing to do while tasks wait.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { type WorkerStatus, WorkersUnavailable } from "../../ClusterWorkers.ts"
import { Interrupted, type Reason } from "../../Interrupter.ts"
import type { OwnerLiveness } from "../../OwnerLiveness.ts"
import type * as Task from "../../Task.ts"
import { makePermits, type PermitPool } from "../permits/permits.ts"
import * as Metrics from "../permits/poolMetrics.ts"
import { soon } from "../soon.ts"
import { nowMillis } from "../task/deadlines.ts"
import { TaskOptions } from "../task/taskOptions.ts"
import { WorkerLost } from "../task/threadLost.ts"
import { codecs, type Ending, type FromWorker, refusalOf, shapeOf, type Version } from "./messages.ts"
import { read } from "./peer.ts"
import { type RemoteDefinition, RemoteTask } from "./remoteTask.ts"
import { RemoteWorker } from "./remoteWorker.ts"
import { brief, type ClusterLink, Disconnected, type Refused, type Wire } from "./wire.ts"

/** How often the owner looks which workers there are. */
const findMillis = 500
/** After so many tries a worker that can't be reached is told of. */
const warnAfter = 5
/** How long a worker may take to answer a greeting. */
const welcomeMillis = 5000
const forgetMillis = 1000
const tickMillis = 100
/** How often the owner looks whether a lost worker has surely stopped. */
const lossMillis = 50
/** How long a worker past its grant takes to see that, and to end handlers which never look at their leases. */
const stopMillis = 500

export interface PoolOptions {
  readonly link: ClusterLink["Service"]
  readonly liveness: OwnerLiveness["Service"]
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  /** Runs an effect until the pool closes. */
  readonly fork: (effect: Effect.Effect<unknown>) => void
  readonly tasks: ReadonlyArray<Task.Any>
  readonly version: Version
  readonly grantMillis: number
  readonly patienceMillis: number
}

export class ClusterPool {
  /** Permits by the pools that tasks name, and the tasks that name each: one pool's tasks wait for no other's. */
  private readonly permits = new Map<string, { readonly pool: PermitPool; readonly indexes: Array<number> }>()
  private readonly options: PoolOptions
  private readonly measures: Metrics.Measures<keyof typeof Metrics.workers.gauges>
  private readonly workers = new Map<string, RemoteWorker>()
  /** Workers that are lost, and may go on with their tasks. */
  private readonly lost = new Set<RemoteWorker>()
  /** When workers answered, and how long that took. */
  private readonly greetings = new WeakMap<RemoteWorker, { readonly since: number; readonly greetingMillis: number }>()
  /** Addresses to which there is a connection, or a try to connect. */
  private readonly known = new Set<string>()
  /** How often a worker could not be reached since it was, by its address. */
  private readonly failures = new Map<string, number>()
  /** Why workers take no task at all, by their addresses. */
  private readonly strangers = new Map<string, string>()
  /** Why workers could not be reached, by their addresses. */
  private readonly unreachable = new Map<string, string>()
  /** Tasks that have their permits and wait for a worker. */
  private queue: Array<RemoteTask> = []
  /** The worker that gets no tasks of other levels until it is empty, and gets a suspect then. */
  private reserved: { readonly worker: RemoteWorker; readonly suspicion: number } | undefined = undefined
  private readonly pumpSoon = soon(() => this.pump())
  private isClosed = false

  constructor(options: PoolOptions) {
    this.options = options
    for (const [index, task] of options.tasks.entries()) {
      const { indexes } = this.permitsFor(task)
      indexes.push(index)
    }
    this.measures = new Metrics.Measures(Metrics.workers, options.context)
  }

  private permitsFor(task: Task.Any) {
    const { pool: name } = Context.getUnsafe(task.annotations, TaskOptions)
    const permits = this.permits.get(name) ?? { pool: makePermits(1, this.options.clock), indexes: [] }
    this.permits.set(name, permits)
    return permits
  }

  /** Permits of a task, which it has until it has ended. */
  permitsOf(task: Task.Any): PermitPool {
    return this.permitsFor(task).pool
  }

  private get now(): number {
    return nowMillis(this.options.clock)
  }

  // -- a task and its caller

  /** Runs a payload on a worker. */
  run(
    definition: RemoteDefinition,
    payload: unknown,
    context: Context.Context<never>
  ): Effect.Effect<unknown, unknown> {
    return Effect.callback<unknown, unknown>((resume) => {
      const task = new RemoteTask(definition, payload, context, resume)
      task.removeListener = task.interrupter.onRequestUnsafe((reason) => this.stop(task, reason))
      if (this.isClosed) this.giveUp(task)
      if (task.isSettled) return task.removeListener()
      this.queue.push(task)
      this.pumpSoon()
      return Effect.suspend(() => this.drop(task))
    })
  }

  /** Asks a task to stop. A task that no worker has is stopped at once. */
  private stop(task: RemoteTask, reason: Reason): void {
    if (task.isSettled) return
    if (task.worker === undefined) task.settle(Effect.fail(new Interrupted({ reason })))
    else task.worker.tell("stops", [task.id, reason])
  }

  /** Ends a task whose fiber was interrupted. It has ended once its worker says so, or can't go on with it. */
  private drop(task: RemoteTask): Effect.Effect<void> {
    if (task.isSettled || task.worker === undefined) {
      task.isSettled = true
      task.removeListener()
      return Effect.void
    }
    const ended = task.ended = Deferred.makeUnsafe<void>()
    task.worker.tell("interrupts", task.id)
    return Deferred.await(ended)
  }

  // -- workers

  /** Connects to each worker that is registered, for ever. */
  readonly find: Effect.Effect<never> = Effect.suspend(() => this.options.link.workers).pipe(
    Effect.map((addresses) => {
      for (const one of [this.strangers, this.failures, this.unreachable]) {
        for (const address of one.keys()) if (!addresses.includes(address)) one.delete(address)
      }
      for (const address of addresses) if (!this.known.has(address)) this.meet(address)
    }),
    // Workers that are connected go on while nobody knows which others there are.
    Effect.catch((error) => Effect.logDebug("The registry of workers does not answer", error)),
    Effect.andThen(Effect.sleep(findMillis)),
    Effect.forever
  )

  private meet(address: string): void {
    this.known.add(address)
    const forget = Effect.sync(() => this.known.delete(address))
    const connection = Effect.scoped(
      Effect.flatMap(this.options.link.connect(address), (wire) => this.join(address, wire))
    )
    this.options.fork(connection.pipe(
      Effect.catch((error) => this.noteUnreached(address, error)),
      // A worker that can't be reached is tried again, and not at once.
      Effect.andThen(Effect.sleep(findMillis)),
      Effect.ensuring(forget)
    ))
  }

  /** Warns of a worker that is registered and can't be reached. One that has just ended is registered for a while. */
  private noteUnreached(address: string, { why }: Disconnected | Refused): Effect.Effect<void> {
    const times = (this.failures.get(address) ?? 0) + 1
    this.failures.set(address, times)
    this.unreachable.set(address, `can't be reached: ${why}`)
    return (times === warnAfter ? Effect.logWarning : Effect.logDebug)(`Worker ${address} can't be reached: ${why}`)
  }

  /** Greets a worker, and gives it tasks until the connection is over. */
  private readonly join = Effect.fnUntraced({ self: this }, function*(this: ClusterPool, address: string, wire: Wire) {
    const { clock, grantMillis, tasks, version } = this.options
    const hello = { ...version, tasks: tasks.map((task) => [task._tag, shapeOf(task)] as const) }
    const greeting = Effect.andThen(wire.send(JSON.stringify(codecs.hello.encode(hello))), wire.receive)
    const late = new Disconnected({ why: `it gave no answer within ${welcomeMillis / 1000} s` })
    const greetedAt = this.now
    const text = yield* Effect.timeoutOrElse(greeting, { duration: welcomeMillis, orElse: () => Effect.fail(late) })
    const refusal = refusalOf(yield* read(codecs.version, text), version, "owner")
    if (refusal !== undefined) {
      this.strangers.set(address, refusal)
      return yield* Effect.sleep(welcomeMillis)
    }
    const welcome = yield* read(codecs.welcome, text)
    this.strangers.delete(address)
    this.failures.delete(address)
    this.unreachable.delete(address)
    const worker = new RemoteWorker(address, welcome, clock, grantMillis, this.receive)
    this.workers.set(address, worker)
    this.greetings.set(worker, { since: clock.currentTimeMillisUnsafe(), greetingMillis: this.now - greetedAt })
    this.resize()
    this.pumpSoon()
    const talk = worker.talk(wire)
    // However the connection ends, somebody has to run the tasks of the worker.
    const why = yield* Effect.catchCause(talk, (cause) => Effect.succeed(brief(Cause.squash(cause))))
    yield* this.lose(worker, why)
  })

  /** Has the tasks of a worker run elsewhere once the worker surely goes on with none of them. */
  private lose(worker: RemoteWorker, why: string): Effect.Effect<void> {
    const { address, tasks, welcome: { process } } = worker
    this.workers.delete(address)
    worker.isLeaving = true
    if (tasks.size > 0) this.lost.add(worker)
    this.resize()
    if (tasks.size === 0) return Effect.logDebug(`Worker ${address} has left: ${why}`)
    const { size } = tasks
    this.measures.noteLost()
    const release = Effect.sync(() => {
      this.lost.delete(worker)
      for (const { id } of Array.from(tasks)) {
        worker.remove(id)?.settle(Effect.die(new WorkerLost(`${address} last: ${why}`)))
      }
      this.resize()
    })
    const isOver = Effect.map(
      this.options.liveness.isDead(process),
      (isDead) => isDead || this.now >= worker.grantedUntil + stopMillis
    )
    const wait: Effect.Effect<void> = Effect.flatMap(
      isOver,
      (over) => over ? Effect.void : Effect.andThen(Effect.sleep(lossMillis), wait)
    )
    this.options.fork(Effect.andThen(wait, release))
    // It stays registered for a while, and has been told of.
    this.failures.set(address, warnAfter)
    return Effect.logWarning(`Worker ${address} is lost with ${size} tasks: ${why}. Other workers run these tasks`)
  }

  private resize(): void {
    for (const { indexes, pool } of this.permits.values()) {
      let size = 0
      for (const worker of this.workers.values()) size += worker.windowOf(indexes)
      // Their permits are no healthy worker's.
      for (const { tasks } of this.lost) {
        for (const { definition } of tasks) if (indexes.includes(definition.index)) size++
      }
      // A task has to come here for somebody to see that no worker takes it.
      size = Math.max(1, size)
      if (size !== pool.size) pool.resizeUnsafe(size)
    }
  }

  // -- from the queue to workers

  private pump(): void {
    const rest: Array<RemoteTask> = []
    const { now, queue } = this
    this.queue = []
    this.reserved = this.workerToEmpty(queue.find(({ isSettled, suspicion }) => suspicion > 0 && !isSettled))
    for (const task of queue) {
      if (task.isSettled) continue
      const worker = this.workerFor(task)
      if (worker === undefined) rest.push(task)
      else worker.take(task, now)
    }
    // A payload that can't be encoded settles its task, whose caller may have queued another one.
    this.queue = [...rest, ...this.queue]
  }

  /** The worker with the least to do of those that take a task. */
  private workerFor(task: RemoteTask): RemoteWorker | undefined {
    const { reserved } = this
    let best: RemoteWorker | undefined
    let least = Number.POSITIVE_INFINITY
    for (const worker of this.workers.values()) {
      const load = worker.loadOf(task)
      if (load === undefined || worker.isLeaving || worker.isFull || load.room <= 0) continue
      if (!worker.isFor(task, load)) continue
      if (worker === reserved?.worker && task.suspicion !== reserved.suspicion) continue
      const share = load.inHand / load.size
      if (share >= least) continue
      best = worker
      least = share
    }
    return best
  }

  /** The worker that is empty first, for a suspect that would wait for ever while all have enough to do. */
  private workerToEmpty(suspect: RemoteTask | undefined): ClusterPool["reserved"] {
    if (suspect === undefined) return undefined
    const takers = Array.from(this.workers.values()).filter((worker) =>
      !worker.isLeaving && worker.loadOf(suspect) !== undefined
    )
    const [worker] = takers.toSorted((left, right) => left.tasks.size - right.tasks.size)
    return worker === undefined ? undefined : { worker, suspicion: suspect.suspicion }
  }

  private queueFirst(tasks: ReadonlyArray<RemoteTask>): void {
    this.queue.unshift(...tasks)
    this.pumpSoon()
  }

  // -- what workers tell

  private readonly receive = (worker: RemoteWorker, message: FromWorker): void => {
    const { back = [], endings = [], isLeaving, reports = [] } = message
    const { now } = this
    for (const report of reports) {
      const task = worker.tasks.get(report.id)
      task?.note(report)
      const { commits, id } = report
      if (task === undefined || commits === undefined) continue
      this.options.fork(Effect.andThen(task.cell.recorded, Effect.sync(() => worker.tell("recorded", [id, commits]))))
    }
    const ended: Array<readonly [RemoteTask, Ending]> = []
    for (const [id, ending, ranMicros] of endings) {
      const task = worker.remove(id, now)
      if (task === undefined) continue
      if (ranMicros !== undefined) task.noteRan(now, ranMicros / 1000)
      ended.push([task, ending])
    }
    const returned = back.flatMap((id) => worker.remove(id, now) ?? [])
    worker.ended += ended.length
    this.measures.noteTasks(ended.length)
    if (isLeaving === true) worker.isLeaving = true
    this.resize()
    // A settled task's caller may queue the next task at once, so everything else is done before.
    for (const [task, ending] of ended) this.settle(worker, task, ending)
    for (const task of returned) if (!task.mayGoOn) task.settle(this.stopped(task))
    // Where nothing came back, there may be room now for what waits.
    this.queueFirst(returned.filter(({ isSettled }) => !isSettled))
  }

  private settle(worker: RemoteWorker, task: RemoteTask, ending: Ending): void {
    if ("unavailable" in ending) {
      worker.refuse(task, `can't run it: ${ending.unavailable}`)
      if (!task.mayGoOn) return task.settle(this.stopped(task))
      // Behind the others, which the worker may be able to run.
      this.queue.push(task)
      return this.pumpSoon()
    }
    if (!("stopped" in ending)) worker.noteRun(task.definition.index)
    // A worker that was told of the lease too late, or that leaves, has stopped what others can go on with.
    if ("stopped" in ending && task.mayGoOn) {
      task.attempt?.noteAgain()
      return this.queueFirst([task])
    }
    task.end(ending)
  }

  /** Settles a task that came back after it was to stop. */
  private stopped({ interrupter }: RemoteTask): Effect.Effect<never, Interrupted> {
    return Effect.fail(new Interrupted({ reason: interrupter.reason ?? "LeaseLost" }))
  }

  // -- time

  readonly forget: Effect.Effect<never> = Effect.sync(() => {
    for (const worker of this.workers.values()) worker.forgetLeases()
  }).pipe(Effect.andThen(Effect.sleep(forgetMillis)), Effect.forever)

  /** Does what is due, for ever: a job's lease may be held for less than a second before it is renewed. */
  readonly tick: Effect.Effect<never> = Effect.sync(() => {
    for (const worker of this.workers.values()) worker.renew()
    this.giveUpIfRefused()
    // A worker may take what it has refused a while ago.
    if (this.queue.length > 0) this.pumpSoon()
    this.share()
    this.measure()
  }).pipe(Effect.andThen(Effect.sleep(tickMillis)), Effect.forever)

  /**
   * A task that each worker has refused, although there are workers, is no failure: its fan-out ends, and can go on
   * later. A worker that has refused another task of its kind may run this one.
   */
  private giveUpIfRefused(): void {
    const { now, options: { patienceMillis }, strangers } = this
    const workers = Array.from(this.workers.values())
    const hasSome = workers.length + strangers.size > 0
    const givenUp = new Set<RemoteTask>()
    for (const task of this.queue) {
      const isRefused = hasSome && workers.every((worker) => worker.refusalOf(task) !== undefined)
      task.refusedSince = isRefused ? task.refusedSince ?? now : undefined
      if (isRefused && now - (task.refusedSince ?? now) >= patienceMillis) givenUp.add(task)
    }
    if (givenUp.size === 0) return
    this.queue = this.queue.filter((task) => !givenUp.has(task))
    for (const task of givenUp) {
      const why = workers.map((worker) => [worker.address, worker.refusalOf(task) ?? ""] as const)
      const { _tag } = task.definition.task
      task.settle(Effect.die(new WorkersUnavailable({ task: _tag, workers: [...why, ...strangers] })))
    }
  }

  /** Has a worker give back half of what waits there, for one that has nothing to do. */
  private share(): void {
    const workers = Array.from(this.workers.values()).filter(({ isLeaving }) => !isLeaving)
    if (this.queue.length > 0 || !workers.some(({ tasks }) => tasks.size === 0)) return
    const waiting = ({ loads }: RemoteWorker) =>
      loads.reduce((sum, { inHand, size }) => sum + Math.max(0, inHand - size), 0)
    const busiest = workers.toSorted((left, right) => waiting(right) - waiting(left))[0]
    if (busiest === undefined || waiting(busiest) === 0) return
    busiest.askBack(Math.ceil(waiting(busiest) / 2))
  }

  private measure(): void {
    const { queue: { length: queued }, workers } = this
    let inHand = 0
    for (const { tasks } of workers.values()) inHand += tasks.size
    this.measures.show({ workers: workers.size, inHand, queued })
  }

  /** All workers that are known. */
  get statuses(): ReadonlyArray<WorkerStatus> {
    const addresses = new Set([...this.known, ...this.strangers.keys(), ...this.unreachable.keys()])
    return Array.from(addresses).toSorted().map((address) => this.statusOf(address))
  }

  private statusOf(address: string): WorkerStatus {
    const worker = this.workers.get(address)
    const greeting = worker && this.greetings.get(worker)
    const why = this.strangers.get(address) ?? this.unreachable.get(address)
    if (worker === undefined || greeting === undefined) {
      return why === undefined ? { _tag: "Connecting", address } : { _tag: "Unusable", address, why }
    }
    const { ended, heardAt, isLeaving, perSecond, refused, tasks: { size: inHand } } = worker
    const refuses = Array.from(refused, ([index, why]) => [this.options.tasks[index]?._tag ?? "", why] as const)
    const silentMillis = this.now - heardAt
    return { _tag: "Connected", address, ...greeting, inHand, ended, perSecond, silentMillis, isLeaving, refuses }
  }

  /** Has all tasks stay unsettled. Workers stop when the connection ends. */
  readonly close: Effect.Effect<void> = Effect.sync(() => {
    const inHand = [...this.workers.values(), ...this.lost].flatMap(({ tasks }) => Array.from(tasks))
    const tasks = [...this.queue, ...inHand]
    this.isClosed = true
    this.queue = []
    for (const task of tasks) this.giveUp(task)
    this.measures.show({ workers: 0, inHand: 0, queued: 0 })
  })

  private giveUp(task: RemoteTask): void {
    task.settle(Effect.die(new WorkersUnavailable({ task: task.definition.task._tag, workers: [] })))
  }
}
