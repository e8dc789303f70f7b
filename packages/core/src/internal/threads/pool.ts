/**
 * The owner's side of a thread pool: threads that get one batch at a time, and what happens when one is lost.
 *
 * It keeps no time for tasks and makes no second attempts; both are the attempt's own. Whoever has its permits is
 * posted as soon as a thread is free, so priorities are decided where permits are handed out.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Interrupted, type Reason } from "../../Interrupter.ts"
import { type ThreadSpawner, ThreadsUnavailable } from "../../ThreadSpawner.ts"
import { makePermits, type Permits } from "../dispatcher/permits.ts"
import type { Ending, FromThread, Posted, ToThread } from "./crossing.ts"
import { ThreadLost } from "./lost.ts"
import { type Caller, type Definition, Item, PoolThread } from "./poolThread.ts"

/** How often the owner looks at what its threads are at. */
const tickMillis = 20
/** How long a thread may take from its start to its first message. */
const startMillis = 30_000
/** How long a task has to end once it was interrupted, and a thread to close. */
const closeMillis = 100
/** How long a thread may take to end before it is given up. */
const abandonMillis = 250
/** Threads that were lost before they were ready, one after the other, until no more is tried. */
const maxFailedStarts = 3
const backoff = { first: 100, most: 5000 } as const
/** How long a batch should take: so long a more urgent task waits for a thread. */
const batchMillis = 2

export interface Limits {
  readonly size: number
  readonly batch: number
  readonly idleMillis: number
}

export class Pool {
  readonly permits: Permits
  private readonly limits: Limits
  private readonly spawner: ThreadSpawner["Service"]
  private readonly tags: ReadonlyArray<string>
  private readonly clock: Clock.Clock
  private readonly fork: (effect: Effect.Effect<void>) => void

  /** Those that have their permits and wait until this turn of the event loop is over, or a thread is free. */
  private queue: Array<Item> = []
  private readonly threads = new Set<PoolThread>()
  private nextBatch = 1
  /** Cost that a thread gets at once, and what a unit of it takes. */
  private capacity = 1
  private unitMillis = batchMillis
  private isPumping = false
  private isTicking = false
  private isClosed = false
  private failedStarts = 0
  private startsAt = Number.NEGATIVE_INFINITY
  private backoffMillis: number = backoff.first
  private readonly firstReady = Deferred.makeUnsafe<void, ThreadsUnavailable>()
  /** Threads that were lost, and those of them that could not be ended. */
  lost = 0
  abandoned = 0

  constructor(options: {
    readonly limits: Limits
    readonly spawner: ThreadSpawner["Service"]
    readonly tags: ReadonlyArray<string>
    readonly clock: Clock.Clock
    readonly fork: (effect: Effect.Effect<void>) => void
  }) {
    this.limits = options.limits
    this.spawner = options.spawner
    this.tags = options.tags
    this.clock = options.clock
    this.fork = options.fork
    this.permits = makePermits(options.limits.size, options.clock)
  }

  get counts(): { readonly threads: number; readonly busy: number; readonly queued: number } {
    let busy = 0
    for (const { isBusy } of this.threads) if (isBusy) busy++
    return { threads: this.threads.size, busy, queued: this.queue.length }
  }

  private get now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** Starts the first thread, which tells whether there can be any. */
  readonly begin: Effect.Effect<void, ThreadsUnavailable> = Effect.suspend(() => {
    this.start()
    return Deferred.await(this.firstReady)
  })

  /** Runs a payload on a thread. */
  run(definition: Definition, payload: unknown, caller: Caller): Effect.Effect<unknown, unknown> {
    return Effect.callback<unknown, unknown>((resume) => {
      const item = new Item(definition, payload, caller, resume)
      item.removeListener = caller.interrupter.onRequestUnsafe((reason) => this.stop(item, reason))
      if (item.isSettled) return
      this.queue.push(item)
      this.pumpSoon()
      return Effect.suspend(() => this.drop(item))
    })
  }

  // -- what becomes of an item

  /** Asks an item to stop: where it has not begun it has stopped at once. */
  private stop(item: Item, reason: Reason): void {
    const { index, thread } = item
    if (item.isSettled) return
    if (thread === undefined || thread.revoke(item)) {
      item.settle(Effect.fail(new Interrupted({ reason })))
      return
    }
    thread.control.request(index, reason)
    this.tell(thread, { _tag: "Stop", id: thread.batch, index })
  }

  /** Ends an item whose fiber was interrupted, with the thread if it must be. */
  private drop(item: Item): Effect.Effect<void> {
    const { index, thread } = item
    if (item.isSettled) return Effect.void
    if (thread === undefined || thread.revoke(item) || !thread.control.isRunning(index)) {
      item.ended = Deferred.makeUnsafe()
      item.settle(Effect.void)
      return Effect.void
    }
    const ended = item.ended = Deferred.makeUnsafe<void>()
    this.tell(thread, { _tag: "Interrupt", id: thread.batch, index })
    return Effect.flatMap(Effect.timeoutOption(Deferred.await(ended), closeMillis), (inTime) => {
      if (inTime._tag === "Some") return Effect.void
      this.end(thread)
      return Deferred.await(thread.gone)
    })
  }

  // -- from the queue to the threads

  private pumpSoon(): void {
    if (this.isPumping) return
    this.isPumping = true
    void Promise.resolve().then(() => {
      this.isPumping = false
      this.pump()
    })
  }

  private pump(): void {
    for (;;) {
      this.queue = this.queue.filter((item) => !item.isSettled)
      const [first] = this.queue
      if (first === undefined) return
      const thread = this.findThread(first.caller.isSuspect)
      if (thread === undefined) return
      this.post(thread, this.takeBatch())
    }
  }

  /** A thread that has nothing to do; if there is none, has one started. */
  private findThread(unused: boolean): PoolThread | undefined {
    let isStarting = false
    for (const thread of this.threads) {
      if (thread.isEnding) continue
      if (!thread.isReady) isStarting = true
      else if (!thread.isBusy && !(unused && thread.isUsed)) return thread
    }
    if (isStarting || this.start()) return undefined
    // One that was used has to make room for one that was not.
    const used = unused ? Array.from(this.threads).find((_) => _.isReady && !_.isBusy && !_.isEnding) : undefined
    if (used !== undefined) this.end(used)
    return undefined
  }

  private takeBatch(): ReadonlyArray<Item> {
    const [first] = this.queue
    if (first === undefined) return []
    if (first.goesAlone) return this.queue.splice(0, 1)
    let free = 0
    for (const { isBusy, isReady } of this.threads) if (isReady && !isBusy) free++
    const most = Math.min(this.limits.batch, Math.ceil(this.queue.length / Math.max(1, free)))
    let cost = first.cost
    let count = 1
    for (; count < most; count++) {
      const item = this.queue[count]
      if (item === undefined || item.goesAlone) break
      cost += item.cost
      if (cost > this.capacity) break
    }
    return this.queue.splice(0, count)
  }

  private post(thread: PoolThread, items: ReadonlyArray<Item>): void {
    const posted: Array<Posted> = []
    const sent: Array<Item> = []
    for (const item of items) {
      const { caller: { cell }, definition, payload } = item
      try {
        const encoded = definition.crossing.payload.encode(payload)
        const { checkpoint } = cell
        posted.push(checkpoint === undefined ? [definition.tag, encoded] : [definition.tag, encoded, checkpoint])
      } catch (error) {
        item.settle(Effect.die(error))
        continue
      }
      item.thread = thread
      item.index = sent.length
      thread.control.prepare(item.index)
      sent.push(item)
    }
    const [first] = sent
    if (first === undefined) return
    thread.batch = this.nextBatch++
    try {
      this.tell(thread, { _tag: "Batch", id: thread.batch, items: posted })
    } catch (error) {
      // One of them can't be copied: alone it is known which.
      for (const item of sent) {
        item.thread = undefined
        item.goesAlone = true
      }
      if (sent.length === 1) first.settle(Effect.die(error))
      else this.queue.unshift(...sent)
      return
    }
    thread.items = sent
    thread.isBusy = true
    thread.isUsed ||= !first.caller.isSuspect
    thread.spawned?.holdUnsafe(true)
    first.caller.begin()
    this.tickOn()
  }

  private tell(thread: PoolThread, message: ToThread): void {
    thread.spawned?.postUnsafe(message)
  }

  // -- what threads tell

  private receive(thread: PoolThread, message: FromThread): void {
    switch (message._tag) {
      case "Ready": {
        const missing = this.tags.filter((tag) => !message.tasks.includes(tag))
        if (missing.length > 0) return this.lose(thread, `its module has no handler for ${missing.join(", ")}`)
        thread.isReady = true
        thread.idleSince = this.now
        this.failedStarts = 0
        Deferred.doneUnsafe(this.firstReady, Effect.void)
        return this.pump()
      }
      case "Broken":
        return this.lose(thread, message.why)
      case "Ended":
        return this.receiveEndings(thread, message)
      case "Report": {
        const item = thread.batch === message.id ? thread.items[message.index] : undefined
        if (item === undefined || item.thread !== thread) return
        const { cell, reporter } = item.caller
        for (const [unit, amount] of message.added) reporter.addUnsafe(unit, amount)
        for (const [unit, total] of message.totals) reporter.totalUnsafe(unit, total)
        if (message.saved !== undefined) cell.saveUnsafe(message.saved)
        const { id, index } = message
        if (message.commits) {
          const recorded = Effect.sync(() => this.tell(thread, { _tag: "Recorded", id, index }))
          this.fork(Effect.andThen(cell.recorded, recorded))
        }
      }
    }
  }

  private receiveEndings(thread: PoolThread, message: FromThread & { readonly _tag: "Ended" }): void {
    const { endings, id, indexes, isLast, millis } = message
    if (thread.batch !== id) return
    const ended: Array<readonly [Item, Ending]> = []
    let cost = 0
    indexes.forEach((index, i) => {
      const [item, ending] = [thread.items[index], endings[i]]
      if (item === undefined || ending === undefined || item.thread !== thread) return
      cost += item.cost
      ended.push([item, ending])
    })
    if (cost > 0) this.measure(millis / cost)
    if (isLast) {
      thread.items = []
      thread.isBusy = false
      thread.idleSince = this.now
      thread.spawned?.holdUnsafe(false)
      this.backoffMillis = backoff.first
    }
    // Whoever goes on takes its next task at once, so everything else is done before.
    for (const [item, ending] of ended) item.settle(decode(item, ending))
    if (isLast) this.pumpSoon()
  }

  /** Lets a thread have as much at once as is done in the time of a batch, at most twice as much as before. */
  private measure(unitMillis: number): void {
    this.unitMillis += (unitMillis - this.unitMillis) * 0.3
    const wanted = Math.floor(batchMillis / Math.max(this.unitMillis, 1e-6))
    const capacity = Math.max(1, Math.min(this.limits.batch, this.capacity * 2, wanted))
    if (capacity === this.capacity) return
    this.capacity = capacity
    this.permits.resizeUnsafe(this.limits.size * capacity)
  }

  // -- threads

  /** Starts a thread, where there may be one more; tells whether it did. */
  private start(): boolean {
    const { now } = this
    if (this.isClosed || now < this.startsAt || this.threads.size >= this.limits.size) return false
    const thread = new PoolThread(this.limits.batch, now)
    try {
      thread.spawned = this.spawner.spawnUnsafe(thread.control.buffer, {
        message: (message) => {
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `internal/threads/worker.ts` posts
          if (!thread.isGone) this.receive(thread, message as FromThread)
        },
        ended: (why) => this.lose(thread, why)
      })
    } catch (error) {
      this.noteFailedStart(String(error))
      return false
    }
    this.threads.add(thread)
    this.tickOn()
    return true
  }

  /** Has a thread end, whatever it is at. What it has not begun goes to others. */
  private end(thread: PoolThread): void {
    if (thread.isEnding) return
    thread.isEnding = true
    for (const item of thread.left) if (thread.revoke(item)) this.queue.push(item)
    const terminate = thread.spawned?.terminate ?? Effect.void
    const within = (millis: number) => Effect.timeoutOption(Deferred.await(thread.gone), millis)
    this.tell(thread, { _tag: "Close" })
    this.fork(Effect.gen({ self: this }, function*() {
      yield* within(closeMillis)
      yield* Effect.forkDetach(terminate)
      yield* within(abandonMillis)
      if (thread.isGone) return
      // A system call holds it. It runs no more of its program when that returns.
      this.abandoned++
      this.lose(thread, "it could not be ended")
    }))
    this.pumpSoon()
  }

  /** Tells those that a lost thread had, and what it was in the middle of that it was that. */
  private lose(thread: PoolThread, why: string): void {
    if (thread.isGone) return
    thread.isGone = true
    this.threads.delete(thread)
    Deferred.doneUnsafe(thread.gone, Effect.void)
    const { isEnding, isReady, left } = thread
    if (!isEnding) this.fork(thread.spawned?.terminate ?? Effect.void)
    if (!isEnding && isReady) this.lost++
    if (!isEnding && !isReady) this.noteFailedStart(why)
    const begun = left.filter(({ index }) => !thread.control.isPending(index))
    for (const item of left) {
      if (!begun.includes(item) && (isEnding || left.length > 1)) {
        item.thread = undefined
        // If it was none of those that had begun, it was what they look like to the thread.
        item.goesAlone ||= begun.length === 0
        this.queue.push(item)
      } else {
        const isCulprit = !isEnding && (left.length === 1 || thread.control.isRunning(item.index))
        item.settle(Effect.die(new ThreadLost(isCulprit, why)))
      }
    }
    this.pumpSoon()
  }

  private noteFailedStart(why: string): void {
    const delay = this.backoffMillis
    this.backoffMillis = Math.min(backoff.most, delay * 2)
    this.startsAt = this.now + delay
    this.failedStarts++
    if (this.failedStarts >= maxFailedStarts && !Array.from(this.threads).some(({ isReady }) => isReady)) {
      this.failedStarts = 0
      const unavailable = new ThreadsUnavailable({ why })
      Deferred.doneUnsafe(this.firstReady, Effect.fail(unavailable))
      const waiting = this.queue
      this.queue = []
      for (const item of waiting) item.settle(Effect.die(unavailable))
    }
    this.fork(Effect.andThen(
      Effect.sleep(delay),
      Effect.sync(() => {
        if (!Deferred.isDoneUnsafe(this.firstReady) && this.threads.size === 0) this.start()
        this.pump()
      })
    ))
  }

  // -- time

  /** Ticks as long as there are threads. */
  private tickOn(): void {
    if (this.isTicking) return
    this.isTicking = true
    this.fork(
      Effect.whileLoop({
        while: () => this.threads.size > 0,
        body: () => Effect.sleep(tickMillis),
        step: () => this.tick()
      }).pipe(Effect.ensuring(Effect.sync(() => {
        this.isTicking = false
      })))
    )
  }

  private tick(): void {
    const { now } = this
    for (const thread of this.threads) {
      if (thread.isEnding) continue
      if (!thread.isReady && now - thread.startedAt > startMillis) {
        this.lose(thread, `it was not ready after ${startMillis / 1000} seconds`)
      }
      for (const item of thread.left) if (thread.control.isRunning(item.index)) item.caller.begin()
      if (!thread.isReady || thread.isBusy) continue
      if (this.queue.length > 0) this.pumpSoon()
      else if (!this.share() && now - thread.idleSince > this.limits.idleMillis) this.end(thread)
    }
  }

  /** Takes half of what the busiest thread has not begun, for one that has nothing. */
  private share(): boolean {
    let most: ReadonlyArray<Item> = []
    for (const thread of this.threads) {
      const pending = thread.left.filter(({ index }) => thread.control.isPending(index))
      if (pending.length > most.length) most = pending
    }
    const taken = most.slice(Math.floor(most.length / 2)).filter((item) => item.thread?.revoke(item))
    this.queue.unshift(...taken)
    if (taken.length > 0) this.pumpSoon()
    return taken.length > 0
  }

  /** Ends all threads, and waits until none is left. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.isClosed = true
    const threads = Array.from(this.threads)
    for (const thread of threads) this.end(thread)
    return Effect.forEach(threads, ({ gone }) => Deferred.await(gone), { discard: true })
  })
}

const decode = (item: Item, ending: Ending): Effect.Effect<unknown, unknown> => {
  try {
    return item.definition.crossing.decodeEnding(ending)
  } catch (error) {
    return Effect.die(error)
  }
}
