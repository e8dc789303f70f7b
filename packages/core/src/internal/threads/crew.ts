/**
 * The threads of a pool: starts them, ends them, and knows which are lost.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Measures } from "../permits/poolMetrics.ts"
import type { FromThread } from "./crossing.ts"
import type { Pool } from "./pool.ts"
import { PoolThread } from "./poolThread.ts"
import type { Spawn, ThreadSpawner } from "./threadSpawner.ts"

/** How long a thread has to end once it was asked to. */
export const closeMillis = 100
/** The same for a thread that still loads: Node aborts the process where a thread is ended that loads an addon. */
const loadMillis = 5000

/** How long a thread may take to end by itself. The end of a process that still loads harms nobody. */
const patienceOf = ({ isApart, isReady }: PoolThread): number => isReady ? closeMillis : isApart ? 0 : loadMillis

/** How long a thread may take to end before it is given up. */
const abandonMillis = 250
/** After so many failed starts in a row, the tasks that wait are told. */
const maxFailedStarts = 3
const backoff = { first: 100, most: 5000 } as const

/** What a pool consists of. */
export interface PoolOptions {
  readonly limits: Readonly<Record<"size" | "batch" | "idleMillis", number>>
  readonly spawner: ThreadSpawner["Service"]
  /** Tasks that a thread must have handlers for. */
  readonly tags: ReadonlyArray<string>
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  readonly fork: (effect: Effect.Effect<void>) => void
  /** Starts the worker on this thread, where it is to take part. */
  readonly guest: Spawn | undefined
}

export class Crew {
  readonly threads = new Set<PoolThread>()
  /** Threads that were given up and have not ended since. */
  readonly abandoned = new Set<PoolThread>()
  isClosed = false
  private failedStarts = 0
  private startsAt = Number.NEGATIVE_INFINITY
  private backoffMillis: number = backoff.first
  private readonly options: PoolOptions
  private readonly measures: Pick<Measures<never>, "noteLost">
  private readonly pool: Pool

  constructor(options: PoolOptions, measures: Crew["measures"], pool: Pool) {
    this.options = options
    this.measures = measures
    this.pool = pool
  }

  private get now(): number {
    return this.options.clock.currentTimeMillisUnsafe()
  }

  /** A thread that has nothing to do; the guest where there is no other one. */
  idle({ isUnused = false, mayBeGuest = true } = {}): PoolThread | undefined {
    const idle = Array.from(this.threads).filter((thread) => thread.isIdle && !(isUnused && thread.isUsed))
    return idle.find(({ isGuest }) => !isGuest) ?? (mayBeGuest ? idle[0] : undefined)
  }

  /** Threads without the guest. */
  get count(): number {
    return Array.from(this.threads).filter(({ isGuest }) => !isGuest).length
  }

  get starting(): number {
    return Array.from(this.threads).filter(({ isEnding, isReady }) => !isReady && !isEnding).length
  }

  /** Whether there may be one more thread. A thread that was given up is replaced, but not without end. */
  get hasRoom(): boolean {
    const { abandoned, count, options: { limits } } = this
    return !this.isClosed && count < limits.size && count + abandoned.size < 2 * limits.size
  }

  /** A thread that has nothing to do. Where there is none, has as many started as there are batches. */
  find(batches: number, mayBeGuest: boolean): PoolThread | undefined {
    const thread = this.idle({ mayBeGuest })
    if (thread !== undefined) return thread
    while (this.starting < batches && this.start());
    return undefined
  }

  /** A thread that has had only suspects. Where there is none, has one started, in the place of another. */
  findUnused(): PoolThread | undefined {
    const thread = this.idle({ isUnused: true, mayBeGuest: false })
    if (thread !== undefined || this.starting > 0 || this.start() || this.hasRoom) return thread
    if (Array.from(this.threads).some(({ isEnding }) => isEnding)) return undefined
    const used = this.idle({ mayBeGuest: false })
    if (used !== undefined) this.end(used)
    return undefined
  }

  /** Starts a thread where there may be one more, and says whether it did. */
  start(): boolean {
    const { limits, spawner: { isApart = false, spawnUnsafe } } = this.options
    const { now } = this
    if (!this.hasRoom || now < this.startsAt) return false
    try {
      this.add(spawnUnsafe, new PoolThread(limits.batch, now, { isApart }))
    } catch (error) {
      this.noteFailedStart(String(error))
      return false
    }
    this.pool.tickOn()
    return true
  }

  /** Has the thread that the pool is on take part. */
  invite(spawn: Spawn): void {
    this.add(spawn, new PoolThread(this.options.limits.batch, this.now, { isGuest: true }))
  }

  private add(spawn: Spawn, thread: PoolThread): void {
    thread.spawned = spawn(thread.shared, {
      message: (message) => {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `internal/threads/worker.ts` posts
        if (!thread.isGone) this.pool.receive(thread, message as FromThread)
      },
      ended: (why) => {
        this.lose(thread, why)
        if (this.abandoned.delete(thread)) this.pool.mayStart()
      }
    })
    this.threads.add(thread)
  }

  noteReady(thread: PoolThread): void {
    thread.isReady = true
    thread.since = this.now
    this.failedStarts = 0
  }

  /** Notes that a thread is through with a batch. */
  noteDone(thread: PoolThread): void {
    thread.hands.shift()
    this.backoffMillis = backoff.first
    if (thread.isBusy) return
    thread.since = this.now
    thread.spawned?.holdUnsafe(false)
  }

  /** Ends a thread, whatever it does. */
  end(thread: PoolThread, patienceMillis: number = patienceOf(thread)): void {
    if (thread.isEnding) return
    thread.isEnding = true
    this.pool.takeBack(thread)
    const terminate = thread.spawned?.terminate ?? Effect.void
    const within = (millis: number) => Effect.timeoutOption(Deferred.await(thread.gone), millis)
    thread.tell({ _tag: "Close" })
    this.options.fork(Effect.gen({ self: this }, function*() {
      if (patienceMillis > 0) yield* within(patienceMillis)
      yield* Effect.forkDetach(terminate)
      // A guest can't be given up: its task runs on this thread.
      if (thread.isGuest) return
      yield* within(abandonMillis)
      if (thread.isGone) return
      // A system call holds the thread. When that returns, the thread runs no more of its program.
      this.abandoned.add(thread)
      this.lose(thread, "it could not be ended")
      yield* Effect.logWarning("A thread is held by a system call and was given up")
    }))
  }

  /** Notes that a thread has ended, or counts as if it had. */
  lose(thread: PoolThread, why: string): void {
    if (thread.isGone) return
    this.threads.delete(thread)
    Deferred.doneUnsafe(thread.gone, Effect.void)
    // The process need not stay for a thread that can't be ended.
    thread.spawned?.holdUnsafe(false)
    if (!thread.isEnding) {
      this.options.fork(thread.spawned?.terminate ?? Effect.void)
      if (thread.isReady) this.measures.noteLost()
      else this.noteFailedStart(why)
    }
    this.pool.afterLoss(thread, why)
  }

  private noteFailedStart(why: string): void {
    const { now } = this
    // Of threads that were started together only one failure counts.
    if (now < this.startsAt) return
    const delay = this.backoffMillis
    this.backoffMillis = Math.min(backoff.most, delay * 2)
    const startsAt = this.startsAt = now + delay
    this.failedStarts++
    // A thread that still starts may do better.
    const hasOthers = Array.from(this.threads).some(({ isEnding, isGuest }) => !isEnding && !isGuest)
    if (this.failedStarts >= maxFailedStarts && !hasOthers) {
      this.failedStarts = 0
      this.pool.unavailable(why)
    }
    const mayStart = Effect.sync(() => {
      // A timer may come a millisecond before the clock says so, and nobody would try again.
      if (this.startsAt === startsAt) this.startsAt = Number.NEGATIVE_INFINITY
      this.pool.mayStart()
    })
    this.options.fork(Effect.andThen(Effect.sleep(delay), mayStart))
  }
}
