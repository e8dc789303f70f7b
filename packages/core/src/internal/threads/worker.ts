/**
 * A thread's side of a thread pool. It takes batches, runs their tasks one after the other, and posts how they ended.
 *
 * Where the owner's own thread takes part, the worker is a guest there. All else on that thread has its turn before
 * each batch. A guest leaves for good once a task has kept the thread for too long.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as Task from "../../Task.ts"
import { handlerOf } from "../task/taskDefinition.ts"
import { type Batch, defect, type Ending, type TaskCrossing, taskCrossing, type ToThread } from "./crossing.ts"
import { Attempt, reportMillis } from "./threadAttempt.ts"
import { type Link, ThreadBatch } from "./threadBatch.ts"
import type { Port } from "./threadSpawner.ts"

/** For so long a thread runs tasks before it looks at its timers, sockets and messages. */
const turnMillis = 10
/** For so long a task may keep the owner's thread before it gives the thread back for the first time. */
const guestMillis = 20

/** A handler as a thread runs it. */
interface Handler {
  readonly crossing: TaskCrossing
  readonly handle: (payload: unknown) => Effect.Effect<unknown, unknown>
  readonly context: Context.Context<never>
}

export type Handlers = ReadonlyMap<string, Handler>

class Server {
  private readonly handlers: Handlers
  private readonly link: Link
  private readonly isGuest: boolean
  private readonly inbox: Array<Batch> = []
  private wake: () => void = () => {}
  private current: Attempt | undefined
  private isClosed = false
  private isLeaving = false
  private willReport = false

  constructor(handlers: Handlers, link: Link, isGuest: boolean) {
    this.handlers = handlers
    this.link = link
    this.isGuest = isGuest
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `internal/threads/pool.ts` posts
    link.port.listenUnsafe((message) => this.receive(message as ToThread))
    link.port.postUnsafe({ _tag: "Ready", tasks: Array.from(handlers.keys()) })
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
    if (current === undefined || message.id !== current.batch.id || message.index !== current.index) return
    if (message._tag === "Recorded") current.noteRecorded()
    else if (message._tag === "Interrupt") current.fiber?.interruptUnsafe()
    else if (current.reason !== undefined) current.requestUnsafe(current.reason)
  }

  /** Takes batches until the thread is closed. By hand, since a `Queue` wakes its taker one turn later. */
  readonly run = Effect.gen({ self: this }, function*() {
    while (!this.isClosed) {
      const batch = this.inbox.shift()
      if (batch === undefined) {
        yield* this.nextMessage
        continue
      }
      if (this.isGuest) yield* Effect.yieldNow
      yield* this.runBatch(batch)
    }
  })

  private readonly nextMessage = Effect.callback<void>((resume) => {
    // The fiber may have given way before it is here, and a batch may have come meanwhile.
    if (this.inbox.length > 0 || this.isClosed) return resume(Effect.void)
    this.wake = () => resume(Effect.void)
  })

  private readonly runBatch = Effect.fnUntraced({ self: this }, function*(this: Server, message: Batch) {
    const { items } = message
    const batch = new ThreadBatch(message, this.link)
    let at = batch.now()
    let turnedAt = at
    for (const [index, item] of items.entries()) {
      if (this.isClosed || this.isLeaving) break
      if (!batch.control.claim(index)) continue
      batch.isLost = false
      const handler = this.handler(item[0])
      const attempt = this.current = new Attempt(batch, index, item, at, this.reportLater)
      const exit = yield* this.runTask(attempt, handler, item[1], at)
      const report = attempt.takeReport(false)
      attempt.isEnded = true
      this.current = undefined
      // A task that was ended with its thread has not come to anything.
      if (this.isClosed && Exit.hasInterrupts(exit)) break
      const isLost = batch.isLost && Exit.isFailure(exit)
      const ending: Ending = isLost ? { leaseLost: true } : endingOf(exit, handler, batch)
      const begunAt = at
      at = batch.now()
      batch.add(index, ending, begunAt, at, isLost ? undefined : report)
      batch.control.finish(index)
      if (index < items.length - 1) batch.postIfDue(at)
      if (at - turnedAt < turnMillis) continue
      const before = at
      yield* Effect.yieldNow
      turnedAt = at = batch.now()
      batch.leaveOut(at - before)
    }
    batch.isOver = true
    batch.post(batch.now(), !this.isClosed && !this.isLeaving)
    if (this.isLeaving) batch.tell({ _tag: "Leaving" })
  })

  /** The handler of a task. The owner sends only tasks of which `Ready` has told. */
  private handler(tag: string): Handler {
    const handler = this.handlers.get(tag)
    if (handler === undefined) throw new Error(`There is no handler for "${tag}" here`)
    return handler
  }

  private runTask(
    attempt: Attempt,
    { context, crossing, handle }: Handler,
    payload: unknown,
    startedAt: number
  ): Effect.Effect<Exit.Exit<unknown, unknown>> {
    const effect = Effect.suspend(() => handle(crossing.payload.decode(payload)))
    // A fiber of its own can be interrupted. Most tasks have ended by the time that the fork returns.
    const fiber = attempt.fiber = Effect.runForkWith(context)(Effect.updateContext(effect, attempt.see))
    const exit = fiber.pollUnsafe()
    if (this.isGuest && attempt.batch.now() - startedAt > guestMillis) this.isLeaving = true
    if (exit !== undefined) return Effect.succeed(exit)
    // The task may take long, so the endings before it are posted now.
    attempt.batch.post(startedAt, false)
    // The thread of a guest goes on when the guest is ended: nothing of the task may.
    return this.isGuest ? Effect.onInterrupt(Fiber.await(fiber), () => Fiber.interrupt(fiber)) : Fiber.await(fiber)
  }

  /** Has the running task report after a while: a task that goes on to wait would not by itself. */
  private readonly reportLater = (): void => {
    if (this.willReport) return
    this.willReport = true
    const report = Effect.sync(() => {
      this.willReport = false
      this.current?.report(false)
    })
    Effect.runFork(
      Effect.provideService(Effect.andThen(Effect.sleep(reportMillis), report), Clock.Clock, this.link.clock)
    )
  }
}

const endingOf = (exit: Exit.Exit<unknown, unknown>, { crossing }: Handler, { transfers }: ThreadBatch): Ending => {
  try {
    return crossing.encodeExit(exit, transfers)
  } catch (error) {
    return defect(error)
  }
}

/** Runs tasks for the owner until it closes the thread. */
export const serve = (
  handlers: Handlers,
  shared: SharedArrayBuffer,
  port: Port,
  isGuest = false
): Effect.Effect<void> => Effect.clockWith((clock) => new Server(handlers, { shared, port, clock }, isGuest).run)

/** The handlers of a group, as a thread runs them. */
export const handlersOf = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  context: Context.Context<Task.Handler<R>>
): Handlers =>
  new Map(
    Array.from(group.requests.values(), (task) => [
      task._tag,
      { crossing: taskCrossing(task), ...handlerOf(task, context) }
    ])
  )

/** Runs tasks of a group for the owner, by handlers of the context, until it closes the thread. */
export const serveGroup = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  shared: SharedArrayBuffer,
  port: Port
): Effect.Effect<void, never, Task.Handler<R>> =>
  Effect.contextWith((context: Context.Context<Task.Handler<R>>) => serve(handlersOf(group, context), shared, port))
