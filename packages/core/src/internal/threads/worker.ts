/**
 * A thread's side of a thread pool: takes batches, runs their tasks one after the other, tells what they come to.
 *
 * On the thread of the owner itself it is one guest among others: they have their turn before each batch, and it leaves
 * for good once a task has held them up for too long.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Transferable from "effect/workers/Transferable"
import type { JobId } from "../../JobId.ts"
import type { Instant, Lease } from "../../Lease.ts"
import type * as Task from "../../Task.ts"
import { handlerOf } from "../task/taskDefinition.ts"
import {
  defect,
  type Ending,
  type FromThread,
  type Posted,
  type Report,
  type TaskCrossing,
  taskCrossing,
  type ToThread
} from "./crossing.ts"
import { Control } from "./sharedMemory.ts"
import { Attempt, reportMillis, type Surroundings } from "./threadAttempt.ts"
import type { Port } from "./threadSpawner.ts"

/** For so long a thread runs tasks before it looks at its timers, sockets and messages. */
const turnMillis = 10
/** For so long a task may keep the owner's thread before it gives it back for the first time. */
const guestMillis = 20
/** For so long the endings of tasks wait for those that follow. */
const postMillis = 2

/** A handler of the thread's own. */
export interface Handler {
  readonly crossing: TaskCrossing
  readonly handle: (payload: unknown) => Effect.Effect<unknown, unknown>
  readonly context: Context.Context<never>
}

type Batch = ToThread & { readonly _tag: "Batch" }

class Server {
  private readonly handlers: ReadonlyMap<string, Handler>
  private readonly surroundings: Surroundings
  private readonly port: Port
  private readonly inbox: Array<Batch> = []
  private wake: () => void = () => {}
  private current: Attempt | undefined
  private endings: Endings | undefined
  private readonly clock: Clock.Clock
  private readonly shared: SharedArrayBuffer
  private batch = 0
  private control: Control
  private isClosed = false
  private readonly isGuest: boolean
  private isLeaving = false
  private willReport = false

  constructor(
    handlers: ReadonlyMap<string, Handler>,
    shared: SharedArrayBuffer,
    port: Port,
    clock: Clock.Clock,
    isGuest: boolean
  ) {
    this.handlers = handlers
    this.isGuest = isGuest
    this.shared = shared
    this.control = new Control(shared, this.batch)
    this.port = port
    this.clock = clock
    this.surroundings = {
      post: (message) => port.postUnsafe(message),
      now: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
      reportLater: () => this.reportLater()
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `internal/threads/pool.ts` posts
    port.listenUnsafe((message) => this.receive(message as ToThread))
    this.surroundings.post({ _tag: "Ready", tasks: Array.from(handlers.keys()) })
  }

  private receive(message: ToThread): void {
    if (message._tag === "Batch") {
      this.inbox.push(message)
      this.wake()
      return
    }
    if (message._tag === "Close") {
      this.isClosed = true
      this.current?.fiber?.interruptUnsafe()
      this.wake()
      return
    }
    const { current } = this
    if (current === undefined || message.id !== this.batch || message.index !== current.index) return
    if (message._tag === "Recorded") current.noteRecorded()
    else if (message._tag === "Interrupt") current.fiber?.interruptUnsafe()
    else if (current.reason !== undefined) current.requestUnsafe(current.reason)
  }

  /** Takes batches until the thread is closed. */
  readonly run: Effect.Effect<void> = Effect.whileLoop({
    while: () => !this.isClosed,
    body: () => {
      const batch = this.inbox.shift()
      if (batch !== undefined) {
        return this.isGuest
          ? Effect.andThen(Effect.yieldNow, this.runBatch(batch))
          : this.runBatch(batch)
      }
      return Effect.callback<void>((resume) => {
        // A fiber may give way before it is here, and a batch come meanwhile.
        if (this.inbox.length > 0 || this.isClosed) return resume(Effect.void)
        this.wake = () => resume(Effect.void)
      })
    },
    step: () => {}
  })

  /** A task that goes on to wait would not tell by itself. */
  private reportLater(): void {
    if (this.willReport) return
    this.willReport = true
    const report = Effect.sync(() => {
      this.willReport = false
      this.current?.report(false)
    })
    Effect.runFork(Effect.provideService(Effect.andThen(Effect.sleep(reportMillis), report), Clock.Clock, this.clock))
  }

  private readonly runBatch = Effect.fnUntraced({ self: this }, function*(this: Server, { id, items, lease }: Batch) {
    const { now } = this.surroundings
    const control = this.control = new Control(this.shared, id)
    const held = new ThreadLease(lease, control, this.clock)
    this.batch = id
    let at = now()
    const endings = this.endings = new Endings(this.port, id, at)
    let turnedAt = at
    for (const [index, item] of items.entries()) {
      if (this.isClosed || this.isLeaving) break
      if (!control.claim(index)) continue
      held.isLost = false
      const exit = yield* this.runItem(index, item, held, at)
      const report = this.current?.takeReport(false)
      if (this.current !== undefined) this.current.isEnded = true
      this.current = undefined
      // What was ended with its thread has not come to anything.
      if (this.isClosed && Exit.hasInterrupts(exit)) break
      if (held.isLost && Exit.isFailure(exit)) endings.addLost(index)
      else endings.add(index, exit, this.handlers.get(item[0]), report)
      control.finish(index)
      at = now()
      if (index < items.length - 1) endings.postIfDue(at)
      if (at - turnedAt < turnMillis) continue
      const before = at
      yield* Effect.yieldNow
      turnedAt = at = now()
      endings.leaveOut(at - before)
    }
    held.isOver = true
    endings.post(now(), !this.isClosed && !this.isLeaving)
    if (this.isLeaving) this.surroundings.post({ _tag: "Leaving" })
  })

  private runItem(
    index: number,
    [tag, payload, checkpoint]: Posted,
    lease: Lease,
    startedAt: number
  ): Effect.Effect<Exit.Exit<unknown, unknown>> {
    const handler = this.handlers.get(tag)
    if (handler === undefined) return Effect.succeed(Exit.die(new Error(`There is no handler for "${tag}" here`)))
    const { batch, control } = this
    const attempt = this.current = new Attempt(this.surroundings, {
      batch,
      control,
      lease,
      index,
      checkpoint,
      startedAt
    })
    const effect = Effect.updateContext(
      Effect.suspend(() => handler.handle(handler.crossing.payload.decode(payload))),
      attempt.see
    )
    // A fiber of its own can be interrupted. Most have ended by now.
    const fiber = attempt.fiber = Effect.runForkWith(handler.context)(effect)
    const exit = fiber.pollUnsafe()
    if (this.isGuest && this.surroundings.now() - startedAt > guestMillis) this.isLeaving = true
    if (exit !== undefined) return Effect.succeed(exit)
    // It may take long: what came before does not wait for it.
    this.endings?.post(startedAt, false)
    // A guest's thread goes on when it is ended, so nothing of it may.
    return this.isGuest ? Effect.onInterrupt(Fiber.await(fiber), () => Fiber.interrupt(fiber)) : Fiber.await(fiber)
  }
}

/** The owner's lease as a thread sees it. Clocks of one machine are the same for all threads of a process. */
class ThreadLease implements Lease {
  /** Whether the task that runs has seen that it is not held any more. */
  isLost = false
  /** The memory is another batch's by then. */
  isOver = false
  readonly job: Option.Option<JobId>
  readonly token: number
  private readonly control: Control
  private readonly clock: Clock.Clock

  constructor([job, token]: Batch["lease"], control: Control, clock: Clock.Clock) {
    this.job = Option.fromNullOr(job)
    this.token = token
    this.control = control
    this.clock = clock
  }

  isHeldUnsafe(): boolean {
    if (this.isOver) return false
    const { monotonicNanos, wallMillis } = this.control.heldUntil()
    this.isLost ||= this.clock.monotonicTimeNanosUnsafe() >= monotonicNanos ||
      this.clock.currentTimeMillisUnsafe() >= wallMillis
    return !this.isLost
  }

  heldUntilUnsafe(): Option.Option<Instant> {
    return Option.some(this.control.heldUntil())
  }
}

/** What tasks came to and the owner does not know yet. */
class Endings {
  private readonly port: Port
  private readonly id: number
  private postedAt: number
  private indexes: Array<number> = []
  private endings: Array<Ending> = []
  private reports: Array<Report> = []
  private transfers = Transferable.makeCollectorUnsafe()

  constructor(port: Port, id: number, now: number) {
    this.port = port
    this.id = id
    this.postedAt = now
  }

  add(
    index: number,
    exit: Exit.Exit<unknown, unknown>,
    handler: Handler | undefined,
    report: Report | undefined
  ): void {
    this.indexes.push(index)
    if (report !== undefined) this.reports.push(report)
    try {
      this.endings.push(handler === undefined ? defect(exit) : handler.crossing.encodeExit(exit, this.transfers))
    } catch (error) {
      this.endings.push(defect(error))
    }
  }

  /** Time that was others' does not count for tasks. */
  leaveOut(millis: number): void {
    this.postedAt += millis
  }

  addLost(index: number): void {
    this.indexes.push(index)
    this.endings.push({ leaseLost: true })
  }

  postIfDue(now: number): void {
    if (now - this.postedAt >= postMillis) this.post(now, false)
  }

  post(now: number, isLast: boolean): void {
    const { endings, id, indexes, postedAt, reports } = this
    if (indexes.length === 0 && !isLast) return
    const message: FromThread = {
      ...{ _tag: "Ended", id, indexes, endings, millis: now - postedAt, isLast } as const,
      ...reports.length > 0 ? { reports } : {}
    }
    const transfers = Array.from(new Set(this.transfers.readUnsafe()))
    try {
      this.port.postUnsafe(message, transfers)
    } catch {
      // One that can't be copied is the failure of its task.
      this.port.postUnsafe({ ...message, endings: endings.map(copied) })
    }
    this.indexes = []
    this.endings = []
    this.reports = []
    this.transfers = Transferable.makeCollectorUnsafe()
    this.postedAt = now
  }
}

const copied = (ending: Ending): Ending => {
  try {
    return structuredClone(ending)
  } catch (error) {
    return defect(error)
  }
}

/** Serves the owner until it closes the thread; as a guest, where the thread is the owner's own. */
export const serve = (
  handlers: ReadonlyMap<string, Handler>,
  shared: SharedArrayBuffer,
  port: Port,
  { isGuest = false }: { readonly isGuest?: boolean } = {}
): Effect.Effect<void> => Effect.clockWith((clock) => new Server(handlers, shared, port, clock, isGuest).run)

/** The handlers of a group, as a thread runs them. */
export const handlersOf = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  context: Context.Context<Task.Handler<R>>
): ReadonlyMap<string, Handler> =>
  new Map(
    Array.from(group.requests.values(), (task) => [
      task._tag,
      { crossing: taskCrossing(task), ...handlerOf(task, context) }
    ])
  )

/** Runs tasks for the owner, by handlers of the context, until it closes the thread. */
export const serveGroup = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  shared: SharedArrayBuffer,
  port: Port
): Effect.Effect<void, never, Task.Handler<R>> =>
  Effect.contextWith((context: Context.Context<Task.Handler<R>>) => serve(handlersOf(group, context), shared, port))
