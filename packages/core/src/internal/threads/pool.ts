/**
 * The owner's side of a thread pool: threads that have a batch and the next one, and what becomes of their tasks when
 * a thread is lost.
 *
 * 1. `run` queues a task that has its permits. So priorities are decided where permits are handed out.
 * 2. `pump` posts batches of the queue to threads, at the end of each turn of the event loop in which there is news.
 * 3. `receive` takes what threads post, and settles the tasks that have ended.
 * 4. `tick` looks at all threads every 20 ms, and moves tasks from busy threads to idle ones.
 *
 * Time limits and further attempts of a task are none of the pool's business. Effect's `Pool` and `Worker` stay unused:
 * they have no batches, take no task back, and don't end a thread that never returns to its event loop.
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Interrupted, type Reason } from "../../Interrupter.ts"
import type { ThreadsStatus } from "../../JobTasks.ts"
import { ThreadsUnavailable } from "../../ThreadsUnavailable.ts"
import { makePermits, type PermitPool } from "../permits/permits.ts"
import * as Metrics from "../permits/poolMetrics.ts"
import { soon } from "../soon.ts"
import { ThreadLost } from "../task/threadLost.ts"
import { Capacity } from "./capacity.ts"
import { closeMillis, Crew, type PoolOptions } from "./crew.ts"
import type { Ended, Ending, FromThread, Posted, Report } from "./crossing.ts"
import { type LivePool, nameOf } from "./livePools.ts"
import { type Definition, Hand, Item, type PoolThread } from "./poolThread.ts"

/** How long a thread may take from its start to its first message. */
const startMillis = 30_000
/** How often the owner looks at its threads. */
const tickMillis = 20
/** What a thread has not begun is halved at once if it takes so long: far longer than to hand it over. */
const worthMillis = 1

export class Pool implements LivePool {
  readonly permits: PermitPool
  private readonly options: PoolOptions
  private readonly measures: Metrics.Measures<keyof typeof Metrics.threads.gauges>
  private readonly capacity: Capacity
  private readonly crew: Crew
  private readonly threads: ReadonlySet<PoolThread>
  private readonly firstReady = Deferred.makeUnsafe<void, ThreadsUnavailable>()
  /** Tasks that have their permits and wait until this turn of the event loop is over, or a thread is free. */
  private queue: Array<Item> = []
  private readonly pumpSoon = soon(() => this.pump())
  private isTicking = false

  constructor(options: PoolOptions) {
    const { clock, context, guest, limits } = options
    this.options = options
    this.capacity = new Capacity(limits.batch)
    this.measures = new Metrics.Measures(Metrics.threads, context)
    this.crew = new Crew(options, this.measures, this)
    this.threads = this.crew.threads
    this.permits = makePermits(limits.size + (guest === undefined ? 0 : 1), clock)
  }

  /** Starts the first thread, which tells whether there can be any. */
  readonly begin: Effect.Effect<void, ThreadsUnavailable> = Effect.suspend(() => {
    this.crew.start()
    if (this.options.guest !== undefined) this.crew.invite(this.options.guest)
    return Deferred.await(this.firstReady)
  })

  /** Ends all threads, and waits until none is left. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.crew.isClosed = true
    const threads = Array.from(this.threads)
    for (const thread of threads) this.crew.end(thread)
    this.pumpSoon()
    return Effect.forEach(threads, ({ gone }) => Deferred.await(gone), { discard: true })
  })

  // -- a task and its caller

  /** Runs a payload on a thread. */
  run(definition: Definition, payload: unknown, context: Context.Context<never>): Effect.Effect<unknown, unknown> {
    return Effect.callback<unknown, unknown>((resume) => {
      const item = new Item(definition, payload, context, resume)
      item.removeListener = item.interrupter.onRequestUnsafe((reason) => this.stop(item, reason))
      if (item.isSettled) return item.removeListener()
      this.queue.push(item)
      this.pumpSoon()
      return Effect.suspend(() => this.drop(item))
    })
  }

  /** Asks a task to stop. A task that has not begun has stopped at once. */
  private stop(item: Item, reason: Reason): void {
    const { hand, index } = item
    if (item.isSettled) return
    if (hand === undefined || hand.revoke(item)) return item.settle(Effect.fail(new Interrupted({ reason })))
    hand.control.request(index, reason)
    hand.thread.tell({ _tag: "Stop", id: hand.id, index, reason })
  }

  /** Ends a task whose fiber was interrupted, with its thread if nothing else helps. */
  private drop(item: Item): Effect.Effect<void> {
    const { hand, index } = item
    if (item.isSettled) return Effect.void
    const ended = item.ended = Deferred.makeUnsafe<void>()
    // The item is settled within this step: a fiber that yields before would let a thread begin the task.
    const leave = () => {
      item.settle(Effect.void)
      return Effect.void
    }
    if (hand === undefined || hand.revoke(item) || !hand.control.isRunning(index)) return leave()
    hand.thread.tell({ _tag: "Interrupt", id: hand.id, index })
    return Effect.flatMap(Effect.timeoutOption(Deferred.await(ended), closeMillis), (inTime) => {
      if (Option.isSome(inTime)) return Effect.void
      if (item.hand === hand && hand.control.isRunning(index)) {
        // The task never returns to the event loop, so its thread would not hear of a friendly end either.
        this.crew.end(hand.thread, 0)
        return Deferred.await(hand.thread.gone)
      }
      // The task has ended. Its thread is at another one, and tells of both later.
      return leave()
    })
  }

  // -- from the queue to the threads

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
      const { isAhead, tasks } = this.capacity
      const batches = Math.ceil(this.queue.length / tasks)
      let thread = first.isSuspect ? this.crew.findUnused() : this.crew.find(batches, !first.goesAlone)
      if (thread === undefined && first.goesAlone) {
        // The other tasks don't wait with the one that goes alone.
        from = this.queue.findIndex(({ goesAlone, isSuspect }) => first.isSuspect ? !isSuspect : !goesAlone)
        thread = from < 0 ? undefined : this.crew.idle({ mayBeGuest: this.queue[from]?.goesAlone === false })
      }
      if (thread === undefined && isAhead && !first.goesAlone && this.queue.length >= tasks) {
        thread = Array.from(this.threads).find(({ takesNext }) => takesNext)
      }
      if (thread === undefined) return this.giveUpIfStuck()
      this.post(thread, this.takeBatch(from, thread.isBusy))
    }
  }

  private takeBatch(from: number, isNext: boolean): ReadonlyArray<Item> {
    const first = this.queue[from]
    if (first === undefined) return []
    const { length } = this.queue
    const batch = new Set([first])
    const mostCost = isNext ? this.capacity.nextCost : this.capacity.cost
    let free = 0
    for (const { isIdle } of this.threads) if (isIdle) free++
    const most = first.goesAlone ? 1 : Math.min(this.options.limits.batch, Math.ceil(length / Math.max(1, free)))
    let { cost } = first
    for (let at = from + 1; at < length && batch.size < most; at++) {
      const item = this.queue[at]
      if (item === undefined || item.goesAlone) break
      // Tasks of other jobs keep their places.
      if (item.lease !== first.lease) continue
      cost += item.cost
      if (cost > mostCost) break
      batch.add(item)
    }
    this.queue = this.queue.filter((item) => !batch.has(item))
    return Array.from(batch)
  }

  private post(thread: PoolThread, items: ReadonlyArray<Item>): void {
    const posted: Array<Posted> = []
    const sent: Array<Item> = []
    for (const item of items) {
      try {
        posted.push(item.encode())
        sent.push(item)
      } catch (error) {
        item.settle(Effect.die(error))
      }
    }
    const [first] = sent
    if (first === undefined) return
    const { job, token } = first.lease
    const hand = new Hand(thread, sent)
    hand.holdLease()
    try {
      thread.tell({ _tag: "Batch", id: hand.id, items: posted, lease: [Option.getOrNull(job), token] })
    } catch (error) {
      if (sent.length === 1) return first.settle(Effect.die(error))
      // One of the payloads can't be copied. A task that goes alone shows which.
      for (const item of sent) item.goesAlone = true
      return this.queueFirst(sent)
    }
    thread.isUsed ||= !first.isSuspect
    if (!thread.isBusy) {
      thread.spawned?.holdUnsafe(true)
      first.begin()
    }
    thread.takeUp(hand)
    this.tickOn()
  }

  // -- what threads post

  receive(thread: PoolThread, message: FromThread): void {
    switch (message._tag) {
      case "Ready": {
        const missing = this.options.tags.filter((tag) => !message.tasks.includes(tag))
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
        return this.receiveReport(thread.hands.find(({ id }) => id === message.id), message)
    }
  }

  private receiveReport(hand: Hand | undefined, report: Report): void {
    const { commits = false, index } = report
    const item = hand?.items[index]
    if (hand === undefined || item === undefined || item.hand !== hand) return
    item.note(report)
    if (!commits) return
    const recorded = Effect.sync(() => hand.thread.tell({ _tag: "Recorded", id: hand.id, index }))
    this.options.fork(Effect.andThen(item.cell.recorded, recorded))
  }

  private receiveEndings(thread: PoolThread, message: Ended): void {
    const { endings, id, indexes, isLast, millis, reports = [], times } = message
    const hand = thread.hands.find((hand) => hand.id === id)
    if (hand === undefined) return
    for (const report of reports) this.receiveReport(hand, report)
    const ended: Array<readonly [Item, Ending]> = []
    let cost = 0
    indexes.forEach((index, i) => {
      const [item, ending] = [hand.items[index], endings[i]]
      if (item === undefined || ending === undefined || item.hand !== hand) return
      cost += item.cost
      item.noteRan(times[2 * i] ?? 0, times[2 * i + 1] ?? 0)
      ended.push([item, ending])
    })
    if (ended.length > 0) {
      this.measures.noteTasks(ended.length, millis)
      this.capacity.measure(ended.length, cost, millis)
      const { nextTasks, tasks } = this.capacity
      const { limits, spawner } = this.options
      const guests = this.threads.size - this.crew.count
      const ahead = spawner.isApart === true ? 0 : limits.size
      const size = (limits.size + guests) * tasks + ahead * nextTasks
      if (size !== this.permits.size) this.permits.resizeUnsafe(size)
    }
    if (isLast) {
      this.crew.noteDone(thread)
      thread.hands[0]?.left[0]?.begin()
    }
    // A settled task's caller may queue the next task at once, so everything else is done before.
    for (const [item, ending] of ended) {
      if ("leaseLost" in ending && item.mayGoOn) {
        item.again()
        this.queue.push(item)
      } else item.settle(Effect.suspend(() => item.definition.decodeEnding(ending)))
    }
    if (isLast || this.queue.length > 0) this.pumpSoon()
  }

  // -- when a thread ends, or can't be started

  private queueFirst(items: ReadonlyArray<Item>): void {
    for (const item of items) item.hand = undefined
    this.queue.unshift(...items)
    this.pumpSoon()
  }

  /** Takes back what a thread has not begun, since it is about to end. */
  takeBack({ pending }: PoolThread): void {
    this.queueFirst(pending.filter((item) => item.hand?.revoke(item)))
  }

  /** Has the tasks of a thread run elsewhere that has ended, or was given up. */
  afterLoss({ isEnding, left }: PoolThread, why: string): void {
    const begun = new Set(left.filter(({ hand, index }) => hand?.control.isPending(index) === false))
    const isAlone = !isEnding && left.length === 1
    const waiting = left.filter((item) => !isAlone && !begun.has(item))
    for (const item of left) {
      if (waiting.includes(item)) {
        // Where no task had begun, the thread died of one of those that it had.
        item.goesAlone ||= begun.size === 0
        continue
      }
      const isCulprit = isAlone || (!isEnding && item.hand?.control.isRunning(item.index) === true)
      item.settle(Effect.die(new ThreadLost({ isCulprit, isSuspect: !isEnding }, why)))
    }
    this.queueFirst(waiting)
  }

  /** Notes that a thread can be started that could not be before. */
  mayStart(): void {
    if (!Deferred.isDoneUnsafe(this.firstReady) && this.crew.count === 0) this.crew.start()
    this.showCounts()
    this.pumpSoon()
  }

  /** Gives up what waits: there is no thread, and none can be started. */
  unavailable(why: string): void {
    Deferred.doneUnsafe(this.firstReady, Effect.fail(new ThreadsUnavailable({ why })))
    this.giveUp(why)
  }

  private giveUp(why: string, isLost: (item: Item) => boolean = () => true): void {
    const lost = this.queue.filter(isLost)
    this.queue = this.queue.filter((item) => !isLost(item))
    for (const item of lost) item.settle(Effect.die(new ThreadsUnavailable({ why })))
  }

  /** Where no thread is left and none can be started. A guest still runs tasks that are no danger to its thread. */
  private giveUpIfStuck(): void {
    if (this.crew.count > 0 || this.crew.hasRoom) return
    const why = `${this.crew.abandoned.size} threads are held by system calls`
    this.giveUp(why, ({ goesAlone }) => goesAlone || this.threads.size === 0)
  }

  // -- time

  /** Ticks while there are threads. */
  tickOn(): void {
    if (this.isTicking) return
    this.isTicking = true
    this.options.fork(
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
    const { clock, limits } = this.options
    this.showCounts()
    // A task that waits behind a running one is for a thread that has nothing to do.
    const waits = ({ pending, running }: PoolThread) => running !== undefined && pending.length > 0
    if (this.crew.idle() === undefined && this.crew.starting === 0 && Array.from(this.threads).some(waits)) {
      this.crew.start()
    }
    for (const thread of this.threads) {
      if (thread.isEnding) continue
      const sinceMillis = clock.currentTimeMillisUnsafe() - thread.since
      if (!thread.isReady) {
        if (sinceMillis > startMillis) this.crew.lose(thread, `it was not ready after ${startMillis / 1000} seconds`)
        continue
      }
      for (const hand of thread.hands) hand.holdLease()
      const { running } = thread
      running?.begin()
      thread.isSlow = running !== undefined && running === thread.lastSeen
      thread.lastSeen = running
      // What waits behind a slow task is for others.
      if (thread.isSlow && this.threads.size > 1) this.takeBack(thread)
      if (!thread.isIdle) continue
      if (this.queue.length > 0) this.pumpSoon()
      else if (!this.share() && !thread.isGuest && sinceMillis > limits.idleMillis) this.crew.end(thread)
    }
  }

  private counts() {
    let busy = 0
    for (const { isBusy } of this.threads) if (isBusy) busy++
    return { queued: this.queue.length, alive: this.threads.size, busy, abandoned: this.crew.abandoned.size }
  }

  private showCounts(): void {
    this.measures.show(this.counts())
  }

  statusUnsafe(): ThreadsStatus {
    const { measures: { ended, lost }, options: { guest, limits, tags } } = this
    return { name: nameOf(tags), size: limits.size + (guest === undefined ? 0 : 1), ended, lost, ...this.counts() }
  }

  /** Takes half of what the busiest thread has not begun, for an idle thread, where that is worth it. */
  private share(atLeastMillis = 0): boolean {
    let most: ReadonlyArray<Item> = []
    for (const { pending, running } of this.threads) {
      // A thread that runs nothing is about to begin its first task.
      const waiting = running === undefined ? pending.slice(1) : pending
      if (waiting.length > most.length) most = waiting
    }
    if (this.capacity.millisOf(most.reduce((sum, { cost }) => sum + cost, 0)) < atLeastMillis) return false
    const taken = most.slice(Math.floor(most.length / 2)).filter((item) => item.hand?.revoke(item))
    if (taken.length > 0) this.queueFirst(taken)
    return taken.length > 0
  }
}
