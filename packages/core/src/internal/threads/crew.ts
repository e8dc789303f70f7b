/**
 * The threads of a pool: starts them, ends them, and knows which are lost.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { FromThread } from "./crossing.ts"
import { PoolThread } from "./poolThread.ts"
import type { Measures } from "./threadMetrics.ts"
import type { ThreadSpawner } from "./threadSpawner.ts"

/** How long a thread may take from its start to its first message. */
const startMillis = 30_000
/** How long a thread has to end once it was asked to. */
export const closeMillis = 100
/** For so long one has that still loads: Node aborts the process where an addon is loaded by a thread that is ended. */
const loadMillis = 5000

/** How long a thread may take to end by itself. A process takes nobody with it, and has nothing to finish yet. */
const patienceOf = ({ isApart, isReady }: PoolThread): number => isReady ? closeMillis : isApart ? 0 : loadMillis

/** How long a thread may take to end before it is given up. */
const abandonMillis = 250
/** Threads that were lost before they were ready, one after the other, until no more is tried. */
const maxFailedStarts = 3
const backoff = { first: 100, most: 5000 } as const

/** What is told of threads. */
interface CrewListener {
  readonly message: (thread: PoolThread, message: FromThread) => void
  readonly started: () => void
  /** A thread is about to end: it gets nothing more. */
  readonly ending: (thread: PoolThread) => void
  /** A thread has ended, or was given up. */
  readonly lost: (thread: PoolThread, why: string) => void
  /** No thread can be started, and there is none. */
  readonly unavailable: (why: string) => void
  /** A thread may be started that could not be before. */
  readonly mayStart: () => void
}

export class Crew {
  readonly threads = new Set<PoolThread>()
  /** Those that were given up and have not ended since. */
  readonly abandoned = new Set<PoolThread>()
  isClosed = false
  private failedStarts = 0
  private startsAt = Number.NEGATIVE_INFINITY
  private backoffMillis: number = backoff.first
  private readonly limits: { readonly size: number; readonly batch: number }
  private readonly spawner: ThreadSpawner["Service"]
  private readonly clock: Clock.Clock
  private readonly measures: Measures
  private readonly fork: (effect: Effect.Effect<void>) => void
  private readonly listener: CrewListener

  constructor(
    options: {
      readonly limits: { readonly size: number; readonly batch: number }
      readonly spawner: ThreadSpawner["Service"]
      readonly clock: Clock.Clock
      readonly fork: (effect: Effect.Effect<void>) => void
    },
    measures: Measures,
    listener: CrewListener
  ) {
    this.limits = options.limits
    this.spawner = options.spawner
    this.clock = options.clock
    this.fork = options.fork
    this.measures = measures
    this.listener = listener
  }

  /** A thread that has nothing to do, and perhaps has had nothing but suspects; the guest where there is no other. */
  idle({ isUnused = false, mayBeGuest = true } = {}): PoolThread | undefined {
    let guest: PoolThread | undefined
    for (const thread of this.threads) {
      if (!thread.isIdle || (isUnused && thread.isUsed)) continue
      if (!thread.isGuest) return thread
      guest = thread
    }
    return mayBeGuest ? guest : undefined
  }

  /** Threads of the pool's own. */
  get count(): number {
    let count = 0
    for (const { isGuest } of this.threads) if (!isGuest) count++
    return count
  }

  /** Threads that may work at the same time. */
  get most(): number {
    return this.limits.size + this.threads.size - this.count
  }

  /** Threads that may have a batch besides the one that they are at. */
  get mostAhead(): number {
    return this.spawner.isApart === true ? 0 : this.limits.size
  }

  private get starting(): number {
    return Array.from(this.threads).filter(({ isEnding, isReady }) => !isReady && !isEnding).length
  }

  get isStarting(): boolean {
    return this.starting > 0
  }

  /** Whether there may be one more thread. Those that were given up are replaced, but not without end. */
  get hasRoom(): boolean {
    const { abandoned, count, limits } = this
    return !this.isClosed && count < limits.size && count + abandoned.size < 2 * limits.size
  }

  /** A thread that has nothing to do; if there is none, has as many started as there are batches for. */
  find(batches: number, mayBeGuest: boolean): PoolThread | undefined {
    const thread = this.idle({ mayBeGuest })
    if (thread !== undefined) return thread
    while (this.starting < batches && this.start()) {
      // One more.
    }
    return undefined
  }

  /** A thread that has had nothing but suspects; if there is none, has one started, in the place of another. */
  findUnused(): PoolThread | undefined {
    const thread = this.idle({ isUnused: true, mayBeGuest: false })
    if (thread !== undefined || this.isStarting || this.start() || this.hasRoom) return thread
    if (Array.from(this.threads).some(({ isEnding }) => isEnding)) return undefined
    const used = this.idle({ mayBeGuest: false })
    if (used !== undefined) this.end(used)
    return undefined
  }

  /** Starts a thread, where there may be one more; tells whether it did. */
  start(): boolean {
    const now = this.clock.currentTimeMillisUnsafe()
    if (!this.hasRoom || now < this.startsAt) return false
    try {
      const { isApart = false, spawnUnsafe } = this.spawner
      this.add(spawnUnsafe, new PoolThread(this.limits.batch, now, { isApart }))
    } catch (error) {
      this.noteFailedStart(String(error))
      return false
    }
    this.listener.started()
    return true
  }

  /** Has the thread that the pool is on take part. */
  invite(spawn: ThreadSpawner["Service"]["spawnUnsafe"]): void {
    this.add(spawn, new PoolThread(this.limits.batch, this.clock.currentTimeMillisUnsafe(), { isGuest: true }))
  }

  private add(spawn: ThreadSpawner["Service"]["spawnUnsafe"], thread: PoolThread): void {
    thread.spawned = spawn(thread.shared, {
      message: (message) => {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `internal/threads/worker.ts` posts
        if (!thread.isGone) this.listener.message(thread, message as FromThread)
      },
      ended: (why) => {
        this.lose(thread, why)
        if (this.abandoned.delete(thread)) this.listener.mayStart()
      }
    })
    this.threads.add(thread)
  }

  noteReady(thread: PoolThread): void {
    thread.isReady = true
    thread.idleSince = this.clock.currentTimeMillisUnsafe()
    this.failedStarts = 0
  }

  /** A thread is through with a batch. */
  noteDone(thread: PoolThread): void {
    thread.hands.shift()
    this.backoffMillis = backoff.first
    if (thread.isBusy) return
    thread.idleSince = this.clock.currentTimeMillisUnsafe()
    thread.spawned?.holdUnsafe(false)
  }

  /** Has a thread end, whatever it is at. What it has not begun goes to others. */
  end(thread: PoolThread, patienceMillis: number = patienceOf(thread)): void {
    if (thread.isEnding) return
    thread.isEnding = true
    this.listener.ending(thread)
    const terminate = thread.spawned?.terminate ?? Effect.void
    const within = (millis: number) => Effect.timeoutOption(Deferred.await(thread.gone), millis)
    thread.tell({ _tag: "Close" })
    this.fork(Effect.gen({ self: this }, function*() {
      if (patienceMillis > 0) yield* within(patienceMillis)
      yield* Effect.forkDetach(terminate)
      // A guest can't be given up: what it is at runs here.
      if (thread.isGuest) return
      yield* within(abandonMillis)
      if (thread.isGone) return
      // A system call holds it. It runs no more of its program when that returns.
      this.abandoned.add(thread)
      this.lose(thread, "it could not be ended")
      yield* Effect.logWarning("A thread is held by a system call and was given up")
    }))
  }

  /** A thread has ended, or counts as if it had. */
  lose(thread: PoolThread, why: string): void {
    if (thread.isGone) return
    thread.isGone = true
    this.threads.delete(thread)
    Deferred.doneUnsafe(thread.gone, Effect.void)
    // The process need not stay for what can't be ended.
    thread.spawned?.holdUnsafe(false)
    const { isEnding, isReady } = thread
    if (!isEnding) this.fork(thread.spawned?.terminate ?? Effect.void)
    if (!isEnding && isReady) this.measures.noteLost()
    if (!isEnding && !isReady) this.noteFailedStart(why)
    this.listener.lost(thread, why)
  }

  private noteFailedStart(why: string): void {
    // Of those that were started together one counts.
    if (this.clock.currentTimeMillisUnsafe() < this.startsAt) return
    const delay = this.backoffMillis
    this.backoffMillis = Math.min(backoff.most, delay * 2)
    const startsAt = this.startsAt = this.clock.currentTimeMillisUnsafe() + delay
    this.failedStarts++
    // One that still starts may be luckier.
    if (
      this.failedStarts >= maxFailedStarts &&
      !Array.from(this.threads).some(({ isEnding, isGuest }) => !isEnding && !isGuest)
    ) {
      this.failedStarts = 0
      this.listener.unavailable(why)
    }
    const mayStart = Effect.sync(() => {
      // Timers may come a millisecond before the clock says so, and nobody would try again.
      if (this.startsAt === startsAt) this.startsAt = Number.NEGATIVE_INFINITY
      this.listener.mayStart()
    })
    this.fork(Effect.andThen(Effect.sleep(delay), mayStart))
  }

  /** Calls those lost that never get ready. */
  checkStarts(now: number): void {
    for (const thread of this.threads) {
      if (thread.isEnding || thread.isReady || now - thread.startedAt <= startMillis) continue
      this.lose(thread, `it was not ready after ${startMillis / 1000} seconds`)
    }
  }
}
