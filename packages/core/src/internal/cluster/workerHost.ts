/**
 * The worker's side of a cluster: runs the tasks of all owners that are connected, in its own pools.
 *
 * A task that can't begin yet waits here, where its owner can take it back. The pools of the worker bound what runs.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Owner } from "../../OwnerLiveness.ts"
import type * as Task from "../../Task.ts"
import { Chain } from "../chain.ts"
import { logDefectUnsafe } from "../defect.ts"
import type { PermitPool } from "../permits/permits.ts"
import { ranks } from "../permits/permits.ts"
import { type Deadlines, nowMillis } from "../task/deadlines.ts"
import type { TaskDefinition } from "../task/taskDefinition.ts"
import type { Ending } from "../task/taskRun.ts"
import { timesOf } from "./clocks.ts"
import type { HostedTask } from "./hostedTask.ts"
import { HostSession } from "./hostSession.ts"
import { codecs, refusalOf, type Version, type Welcome } from "./messages.ts"
import { read } from "./peer.ts"
import { Disconnected, Refused, type Wire } from "./wire.ts"

/** For so long tasks begin in a row before timers and sockets have their turn. */
const turnMillis = 10
/** Owners that are connected at the same time. */
const mostOwners = 1000
/** How long an owner may take to greet. */
const helloMillis = 5000
/** How often a worker that leaves looks whether all has ended. */
const leaveMillis = 20

/** A pool of the worker, and the tasks that wait to begin there, by their ranks. */
export class HostPool {
  readonly name: string
  readonly permits: PermitPool
  readonly waiting = Object.values(ranks).map(() => new Chain<HostedTask>())
  begun = 0
  isBeginning = false

  constructor(name: string, permits: PermitPool) {
    this.name = name
    this.permits = permits
  }

  get next(): HostedTask | undefined {
    return this.waiting.findLast(({ size }) => size > 0)?.first
  }

  /** Whether one more task may begin. A pool of threads has more permits than threads where tasks are small. */
  get hasRoom(): boolean {
    return this.begun < Math.max(this.permits.size, this.permits.most)
  }
}

/** A kind of task as the worker runs it. */
export interface HostTask {
  readonly task: Task.Any
  readonly shape: string
  readonly definition: TaskDefinition
  /** Services of the handler. */
  readonly context: Context.Context<never>
  readonly pool: HostPool
}

export class WorkerHost {
  readonly clock: Clock.Clock
  private readonly kinds: ReadonlyMap<string, HostTask>
  private readonly self: Owner
  private readonly version: Version
  private readonly context: Context.Context<never>
  private readonly deadlines: Deadlines
  private readonly sessions = new Set<HostSession>()
  /** Tasks that have begun. They may go on for a while after the end of their session. */
  private readonly running = new Chain<HostedTask>()
  private isLeaving = false

  constructor(
    kinds: WorkerHost["kinds"],
    version: Version,
    services: { readonly clock: Clock.Clock; readonly self: Owner; readonly deadlines: Deadlines },
    context: Context.Context<never>
  ) {
    this.kinds = kinds
    this.version = version
    this.clock = services.clock
    this.self = services.self
    this.deadlines = services.deadlines
    this.context = context
  }

  /** Serves an owner until the connection is over, or the owner turns out to speak another language. */
  readonly serve = (wire: Wire): Effect.Effect<void, Disconnected> =>
    Effect.catchTag(this.greet(wire), "Refused", ({ why }) => Effect.logWarning(`An owner was refused: ${why}`))

  private readonly greet = Effect.fnUntraced({ self: this }, function*(this: WorkerHost, wire: Wire) {
    const late = new Disconnected({ why: `it sent no greeting within ${helloMillis / 1000} s` })
    const text = yield* Effect.timeoutOrElse(wire.receive, { duration: helloMillis, orElse: () => Effect.fail(late) })
    if (this.isLeaving) return yield* new Disconnected({ why: "this worker is leaving" })
    if (this.sessions.size >= mostOwners) return yield* new Refused({ why: `there are ${mostOwners} others` })
    const refusal = refusalOf(yield* read(codecs.version, text), this.version, "worker")
    if (refusal !== undefined) {
      yield* wire.send(JSON.stringify(this.welcome([])))
      return yield* new Refused({ why: `it ${refusal}` })
    }
    const hello = yield* read(codecs.hello, text)
    const kinds = hello.tasks.map(([tag, shape]) => this.kindOf(tag, shape))
    yield* wire.send(JSON.stringify(this.welcome(kinds)))
    const session = new HostSession(this, kinds.map((kind) => typeof kind === "string" ? undefined : kind))
    this.sessions.add(session)
    const end = Effect.sync(() => {
      this.sessions.delete(session)
      session.end()
    })
    return yield* Effect.ensuring(session.run(wire), end)
  })

  private kindOf(tag: string, shape: string): HostTask | string {
    const kind = this.kinds.get(tag)
    if (kind === undefined) return "does not have it"
    return kind.shape === shape ? kind : "has another version of it, with other schemas"
  }

  private welcome(kinds: ReadonlyArray<HostTask | string>): Welcome {
    const pools = Array.from(new Set(Array.from(this.kinds.values(), ({ pool }) => pool)))
    return {
      ...this.version,
      now: timesOf(this.clock),
      process: this.self,
      pools: pools.map(({ name, permits }) => [name, permits.most]),
      tasks: kinds.map((kind) => typeof kind === "string" ? kind : pools.indexOf(kind.pool))
    }
  }

  // -- tasks

  /** Has a task begin when there is room. */
  take(task: HostedTask): void {
    const { kind: { definition, pool } } = task
    pool.waiting[ranks[definition.options.priority]]?.add(task)
    this.begin(pool)
  }

  /** Forgets a task that has not begun. */
  forget(task: HostedTask): void {
    for (const chain of task.kind.pool.waiting) chain.delete(task)
  }

  /** Begins tasks while there is room, and gives way to timers and sockets in between. */
  private begin(pool: HostPool): void {
    if (pool.isBeginning || !pool.hasRoom || pool.next === undefined) return
    pool.isBeginning = true
    const { clock } = this
    let turnedAt = nowMillis(clock)
    const giveWay = Effect.map(Effect.yieldNow, () => {
      turnedAt = nowMillis(clock)
    })
    const begin = Effect.whileLoop({
      while: () => pool.hasRoom && pool.next !== undefined,
      body: () => nowMillis(clock) - turnedAt < turnMillis ? Effect.void : giveWay,
      step: () => {
        const { next } = pool
        if (next === undefined || !pool.hasRoom) return
        for (const chain of pool.waiting) chain.delete(next)
        if (next.lease.isHeldUnsafe()) return this.beginOne(next, pool)
        // The process stood still, or the task came late. Its owner may have given it to others.
        next.stop("LeaseLost")
        next.session.noteEnd(next, { _tag: "Stopped" })
      }
    })
    const end = Effect.sync(() => {
      pool.isBeginning = false
    })
    // All tasks of a message are there before the first one begins.
    Effect.runForkWith(this.context)(Effect.ensuring(Effect.andThen(giveWay, begin), end))
  }

  private beginOne(task: HostedTask, pool: HostPool): void {
    const { clock, deadlines } = this
    const end = (ending: Ending) => {
      pool.begun--
      this.running.delete(task)
      task.session.noteEnd(task, ending)
      this.begin(pool)
    }
    pool.begun++
    this.running.add(task)
    try {
      task.begin({ clock, deadlines, graceMillis: task.lease.graceMillis }, end)
    } catch (defect) {
      logDefectUnsafe("A task could not begin", defect)
      end({ _tag: "Failed", cause: Cause.die(defect) })
    }
  }

  // -- the end

  /**
   * Gives back what has not begun, takes nothing more, and waits until all owners know how the rest has ended, or are
   * gone. After `patienceMillis` it stops the rest.
   */
  readonly leave = (patienceMillis: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.isLeaving = true
      for (const session of this.sessions) session.leave()
      const wait: Effect.Effect<void> = Effect.suspend(() => {
        const isOver = Array.from(this.sessions).every(({ hasNothing }) => hasNothing)
        return isOver ? Effect.void : Effect.andThen(Effect.sleep(leaveMillis), wait)
      })
      const stop = Effect.suspend(() => {
        for (const session of this.sessions) session.stopAll("Shutdown")
        return Effect.asVoid(Effect.timeoutOption(wait, patienceMillis))
      })
      return Effect.timeoutOrElse(wait, { duration: patienceMillis, orElse: () => stop })
    })

  /** Interrupts all tasks, and waits until they have ended: nobody hears of them, and what they use is to be closed. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    for (const task of this.running.toArray()) {
      task.stop("Shutdown")
      task.interrupt()
    }
    const wait: Effect.Effect<void> = Effect.suspend(() =>
      this.running.size === 0 ? Effect.void : Effect.andThen(Effect.sleep(leaveMillis), wait)
    )
    return wait
  })
}
