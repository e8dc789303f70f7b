/**
 * The owner's side of a thread pool: threads that have a batch and the next one, and what happens when one is lost.
 *
 * It keeps no time for tasks and makes no second attempts; both are the attempt's own. Whoever has its permits is
 * posted as soon as a thread is free, so priorities are decided where permits are handed out.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Interrupted, type Reason } from "../../Interrupter.ts"
import { ThreadsUnavailable } from "../../ThreadsUnavailable.ts"
import { makePermits, type PermitPool } from "../permits/permits.ts"
import { ThreadLost } from "../task/threadLost.ts"
import { Capacity } from "./capacity.ts"
import { closeMillis, Crew } from "./crew.ts"
import type { Ending, FromThread, Posted, Report } from "./crossing.ts"
import { type Caller, type Definition, Item, type PoolThread } from "./poolThread.ts"
import { Measures } from "./threadMetrics.ts"
import type { ThreadSpawner } from "./threadSpawner.ts"

/** How often the owner looks at what its threads are at. */
const tickMillis = 20
/** What a thread has not begun is halved at once if it takes so long: longer by far than to hand it over. */
const worthMillis = 1

export interface Limits {
  readonly size: number
  readonly batch: number
  readonly idleMillis: number
}

export class Pool {
  readonly permits: PermitPool
  private readonly limits: Limits
  private readonly tags: ReadonlyArray<string>
  private readonly clock: Clock.Clock
  private readonly fork: (effect: Effect.Effect<void>) => void
  private readonly measures: Measures

  /** Those that have their permits and wait until this turn of the event loop is over, or a thread is free. */
  private queue: Array<Item> = []
  private readonly capacity: Capacity
  private isPumping = false
  private isTicking = false
  private readonly crew: Crew
  private readonly guest: ThreadSpawner["Service"]["spawnUnsafe"] | undefined
  private readonly firstReady = Deferred.makeUnsafe<void, ThreadsUnavailable>()

  constructor(options: {
    readonly limits: Limits
    readonly spawner: ThreadSpawner["Service"]
    readonly tags: ReadonlyArray<string>
    readonly clock: Clock.Clock
    readonly context: Context.Context<never>
    readonly fork: (effect: Effect.Effect<void>) => void
    /** Starts what runs on this thread, where it is to take part. */
    readonly guest: ThreadSpawner["Service"]["spawnUnsafe"] | undefined
  }) {
    this.limits = options.limits
    this.tags = options.tags
    this.guest = options.guest
    this.clock = options.clock
    this.fork = options.fork
    this.capacity = new Capacity(options.limits.batch)
    this.measures = new Measures(options.context)
    this.crew = new Crew(options, this.measures, {
      message: (thread, message) => this.receive(thread, message),
      started: () => this.tickOn(),
      ending: (thread) => this.takeBack(thread),
      lost: (thread, why) => this.afterLoss(thread, why),
      unavailable: (why) => {
        Deferred.doneUnsafe(this.firstReady, Effect.fail(new ThreadsUnavailable({ why })))
        this.giveUp(why)
      },
      mayStart: () => {
        if (!Deferred.isDoneUnsafe(this.firstReady) && this.crew.count === 0) this.crew.start()
        this.showCounts()
        this.pumpSoon()
      }
    })
    this.permits = makePermits(options.limits.size + (options.guest === undefined ? 0 : 1), options.clock)
  }

  private get threads(): ReadonlySet<PoolThread> {
    return this.crew.threads
  }

  private showCounts(): void {
    let busy = 0
    for (const { isBusy } of this.threads) if (isBusy) busy++
    const [queued, alive, abandoned] = [this.queue.length, this.threads.size, this.crew.abandoned.size]
    this.measures.show({ queued, alive, busy, abandoned })
  }

  private get now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** Starts the first thread, which tells whether there can be any. */
  readonly begin: Effect.Effect<void, ThreadsUnavailable> = Effect.suspend(() => {
    this.crew.start()
    if (this.guest !== undefined) this.crew.invite(this.guest)
    return Deferred.await(this.firstReady)
  })

  /** Runs a payload on a thread. */
  run(definition: Definition, payload: unknown, caller: Caller): Effect.Effect<unknown, unknown> {
    return Effect.callback<unknown, unknown>((resume) => {
      const item = new Item(definition, payload, caller, resume)
      item.removeListener = caller.interrupter.onRequestUnsafe((reason) => this.stop(item, reason))
      if (item.isSettled) return item.removeListener()
      this.queue.push(item)
      this.pumpSoon()
      return Effect.suspend(() => this.drop(item))
    })
  }

  // -- what becomes of an item

  /** Asks an item to stop: where it has not begun it has stopped at once. */
  private stop(item: Item, reason: Reason): void {
    const { hand, index } = item
    if (item.isSettled) return
    if (hand === undefined || hand.revoke(item)) {
      item.settle(Effect.fail(new Interrupted({ reason })))
      return
    }
    hand.control.request(index, reason)
    hand.thread.tell({ _tag: "Stop", id: hand.id, index, reason })
  }

  /** Ends an item whose fiber was interrupted, with the thread if it must be. */
  private drop(item: Item): Effect.Effect<void> {
    const { hand, index } = item
    if (item.isSettled) return Effect.void
    if (hand === undefined || hand.revoke(item) || !hand.control.isRunning(index)) {
      item.ended = Deferred.makeUnsafe()
      item.settle(Effect.void)
      return Effect.void
    }
    const ended = item.ended = Deferred.makeUnsafe<void>()
    hand.thread.tell({ _tag: "Interrupt", id: hand.id, index })
    return Effect.flatMap(Effect.timeoutOption(Deferred.await(ended), closeMillis), (inTime) => {
      if (inTime._tag === "Some") return Effect.void
      if (item.hand === hand && hand.control.isRunning(index)) {
        // It never gives its thread back, which hears nothing of a friendly end either.
        this.crew.end(hand.thread, 0)
        return Deferred.await(hand.thread.gone)
      }
      // It has ended. Its thread is at another one, and tells of both once it can.
      item.settle(Effect.void)
      return Effect.void
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
      if (this.crew.isClosed) this.giveUp("its pool is closed")
      const [first] = this.queue
      if (first === undefined) {
        if (this.crew.idle() !== undefined) this.share(worthMillis)
        return
      }
      let from = 0
      const batches = Math.ceil(this.queue.length / this.capacity.tasks)
      let thread = first.caller.isSuspect ? this.crew.findUnused() : this.crew.find(batches, !first.goesAlone)
      if (thread === undefined && first.goesAlone) {
        // The others don't wait with it.
        const { isSuspect } = first.caller
        from = this.queue.findIndex(({ caller, goesAlone }) => isSuspect ? !caller.isSuspect : !goesAlone)
        thread = from < 0 ? undefined : this.crew.idle({ mayBeGuest: this.queue[from]?.goesAlone === false })
      }
      if (thread === undefined && from === 0) thread = this.findNext(first)
      if (thread === undefined) return this.giveUpIfStuck()
      this.post(thread, this.takeBatch(from, thread.isBusy))
    }
  }

  /** A thread that is soon through with what it has, where there is as much as it should have next. */
  private findNext(first: Item): PoolThread | undefined {
    const { isAhead, tasks } = this.capacity
    if (!isAhead || first.goesAlone || this.queue.length < tasks) return undefined
    for (const thread of this.threads) if (thread.takesNext) return thread
    return undefined
  }

  private takeBatch(from: number, isNext: boolean): ReadonlyArray<Item> {
    const first = this.queue[from]
    if (first === undefined) return []
    if (first.goesAlone) return this.queue.splice(from, 1)
    const mostCost = isNext ? this.capacity.nextCost : this.capacity.cost
    let free = 0
    for (const { isIdle } of this.threads) if (isIdle) free++
    const most = Math.min(this.limits.batch, Math.ceil(this.queue.length / Math.max(1, free)))
    const batch = new Set([first])
    let { cost } = first
    for (let at = from + 1; at < this.queue.length && batch.size < most; at++) {
      const item = this.queue[at]
      if (item === undefined || item.goesAlone) break
      // Those of other jobs keep their places.
      if (item.caller.lease !== first.caller.lease) continue
      cost += item.cost
      if (cost > mostCost) break
      batch.add(item)
    }
    this.queue = this.queue.filter((item) => !batch.has(item))
    return Array.from(batch)
  }

  private post(thread: PoolThread, items: ReadonlyArray<Item>): void {
    const hand = thread.makeHand()
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
      item.hand = hand
      item.index = sent.length
      hand.control.prepare(item.index)
      sent.push(item)
    }
    const [first] = sent
    if (first === undefined) return
    const { job, token } = first.caller.lease
    hand.items = sent
    hand.holdLease()
    try {
      thread.tell({ _tag: "Batch", id: hand.id, items: posted, lease: [Option.getOrNull(job), token] })
    } catch (error) {
      // One of them can't be copied: alone it is known which.
      for (const item of sent) {
        item.hand = undefined
        item.goesAlone = true
      }
      if (sent.length === 1) first.settle(Effect.die(error))
      else this.queue.unshift(...sent)
      return
    }
    thread.isUsed ||= !first.caller.isSuspect
    if (!thread.isBusy) {
      thread.spawned?.holdUnsafe(true)
      first.caller.begin()
    }
    thread.takeUp(hand)
    if (thread.isApart) hand.noteBegun()
    this.tickOn()
  }

  // -- what threads tell

  private receive(thread: PoolThread, message: FromThread): void {
    switch (message._tag) {
      case "Ready": {
        const missing = this.tags.filter((tag) => !message.tasks.includes(tag))
        if (missing.length > 0) return this.crew.lose(thread, `its module has no handler for ${missing.join(", ")}`)
        this.crew.noteReady(thread)
        if (!thread.isGuest) Deferred.doneUnsafe(this.firstReady, Effect.void)
        return this.pump()
      }
      case "Leaving":
        return this.crew.end(thread)
      case "Broken":
        return this.crew.lose(thread, message.why)
      case "Ended":
        return this.receiveEndings(thread, message)
      case "Report":
        return this.receiveReport(thread, message.id, message)
    }
  }

  private receiveReport(thread: PoolThread, id: number, report: Report): void {
    const { added = [], commits = false, index, saved, totals = [] } = report
    const hand = thread.hands.find((hand) => hand.id === id)
    const item = hand?.items[index]
    if (item === undefined || item.hand !== hand) return
    const { cell, reporter } = item.caller
    if (saved !== undefined) {
      for (const [unit, amount] of saved.added) reporter.addUnsafe(unit, amount)
      cell.saveUnsafe(saved.checkpoint)
    }
    for (const [unit, amount] of added) reporter.addUnsafe(unit, amount)
    for (const [unit, total] of totals) reporter.totalUnsafe(unit, total)
    if (!commits) return
    const recorded = Effect.sync(() => thread.tell({ _tag: "Recorded", id, index }))
    this.fork(Effect.andThen(cell.recorded, recorded))
  }

  private receiveEndings(thread: PoolThread, message: FromThread & { readonly _tag: "Ended" }): void {
    const { endings, id, indexes, isLast, millis, reports } = message
    const hand = thread.hands.find((hand) => hand.id === id)
    if (hand === undefined) return
    for (const report of reports ?? []) this.receiveReport(thread, id, report)
    const ended: Array<readonly [Item, Ending]> = []
    let cost = 0
    indexes.forEach((index, i) => {
      const [item, ending] = [hand.items[index], endings[i]]
      if (item === undefined || ending === undefined || item.hand !== hand) return
      cost += item.cost
      ended.push([item, ending])
    })
    if (ended.length > 0) {
      this.measures.noteTasks(ended.length, millis)
      this.capacity.measure(ended.length, cost, millis)
      const { nextTasks, tasks } = this.capacity
      const size = this.crew.most * tasks + this.crew.mostAhead * nextTasks
      if (size !== this.permits.size) this.permits.resizeUnsafe(size)
    }
    if (isLast) {
      this.crew.noteDone(thread)
      thread.hands[0]?.left[0]?.caller.begin()
    }
    // Whoever goes on takes its next task at once, so everything else is done before.
    for (const [item, ending] of ended) {
      if ("leaseLost" in ending && item.mayGoOn) this.queue.push(item.taken())
      else item.settle(decode(item, ending))
    }
    if (isLast || this.queue.length > 0) this.pumpSoon()
  }

  // -- when a thread ends

  /** What a thread has not begun goes to others. */
  private takeBack(thread: PoolThread): void {
    this.queue.unshift(...thread.pending.filter((item) => item.hand?.revoke(item)))
    this.pumpSoon()
  }

  /** Tells those that a lost thread had, and what it was in the middle of that it was that. */
  private afterLoss(thread: PoolThread, why: string): void {
    const { isEnding, left } = thread
    const begun = left.filter(({ hand, index }) => !hand?.control.isPending(index))
    const waiting: Array<Item> = []
    for (const item of left) {
      if (begun.includes(item) || (!isEnding && left.length === 1)) {
        const isCulprit = !isEnding && (left.length === 1 || item.hand?.control.isRunning(item.index) === true)
        item.settle(Effect.die(new ThreadLost({ isCulprit, isSuspect: !isEnding }, why)))
      } else {
        item.hand = undefined
        // If it was none of those that had begun, it was what they look like to the thread.
        item.goesAlone ||= begun.length === 0
        waiting.push(item)
      }
    }
    this.queue.unshift(...waiting)
    this.pumpSoon()
  }

  /** Tells all that wait that they do so in vain. */
  private giveUp(why: string): void {
    const waiting = this.queue
    this.queue = []
    for (const item of waiting) item.settle(Effect.die(new ThreadsUnavailable({ why })))
  }

  /** Where there are no threads and can't be any, a guest still runs what is no danger to it. */
  private giveUpIfStuck(): void {
    if (this.crew.count > 0 || this.crew.hasRoom) return
    const others = this.threads.size === 0 ? [] : this.queue.filter(({ goesAlone }) => !goesAlone)
    this.queue = this.queue.filter((item) => !others.includes(item))
    this.giveUp(`${this.crew.abandoned.size} threads are held by system calls`)
    this.queue = others
  }

  // -- time

  /** Ticks as long as there are threads. */
  private tickOn(): void {
    if (this.isTicking) return
    this.isTicking = true
    this.fork(
      Effect.whileLoop({
        while: () => Array.from(this.threads).some(({ isBusy, isGuest }) => isBusy || !isGuest),
        body: () => Effect.sleep(tickMillis),
        step: () => this.tick()
      }).pipe(Effect.ensuring(Effect.sync(() => {
        this.isTicking = false
        this.showCounts()
      })))
    )
  }

  private tick(): void {
    const { now } = this
    this.showCounts()
    this.crew.checkStarts(now)
    // What waits behind one that runs is for a thread that has nothing to do.
    const waits = ({ pending, running }: PoolThread) => running !== undefined && pending.length > 0
    if (this.crew.idle() === undefined && !this.crew.isStarting && Array.from(this.threads).some(waits)) {
      this.crew.start()
    }
    for (const thread of this.threads) {
      if (thread.isEnding) continue
      for (const hand of thread.hands) hand.holdLease()
      this.watch(thread)
      if (!thread.isIdle) continue
      if (this.queue.length > 0) this.pumpSoon()
      else if (!this.share() && !thread.isGuest && now - thread.idleSince > this.limits.idleMillis) {
        this.crew.end(thread)
      }
    }
  }

  /** Looks at what a thread is at. What waits behind it is for others, if that is the same as the last time. */
  private watch(thread: PoolThread): void {
    const { lastSeenAt, running } = thread
    running?.caller.begin()
    thread.isSlow = running !== undefined && running === lastSeenAt
    thread.lastSeenAt = running
    if (thread.isSlow && this.threads.size > 1) this.takeBack(thread)
  }

  /** What the busiest thread has not begun. One that is about to begin has the first of it all but begun. */
  private mostPending(): ReadonlyArray<Item> {
    let most: ReadonlyArray<Item> = []
    for (const { pending, running } of this.threads) {
      const waiting = running === undefined ? pending.slice(1) : pending
      if (waiting.length > most.length) most = waiting
    }
    return most
  }

  /** Takes half of what the busiest thread has not begun, for one that has nothing, where that is worth it. */
  private share(atLeastMillis = 0): boolean {
    const most = this.mostPending()
    if (this.capacity.millisOf(most.reduce((sum, { cost }) => sum + cost, 0)) < atLeastMillis) return false
    const taken = most.slice(Math.floor(most.length / 2)).filter((item) => item.hand?.revoke(item))
    this.queue.unshift(...taken)
    if (taken.length > 0) this.pumpSoon()
    return taken.length > 0
  }

  /** Ends all threads, and waits until none is left. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.crew.isClosed = true
    const threads = Array.from(this.threads)
    for (const thread of threads) this.crew.end(thread)
    this.pumpSoon()
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
