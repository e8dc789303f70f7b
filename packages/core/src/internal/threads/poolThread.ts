/**
 * A thread as its pool sees it, and the tasks in flight.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Interrupter } from "../../Interrupter.ts"
import type { Instant, Lease } from "../../Lease.ts"
import type { Reporter } from "../../Progress.ts"
import type { Cell } from "../../TaskCheckpoint.ts"
import type { Held, TaskCrossing, ToThread } from "./crossing.ts"
import { Control, forEver } from "./sharedMemory.ts"
import type { Thread as Spawned } from "./threadSpawner.ts"

/** A kind of task of the pool. */
export interface Definition {
  readonly tag: string
  readonly crossing: TaskCrossing
  /** Work of a payload, compared with others. */
  readonly cost: (payload: unknown) => number
}

/** Whom a task runs for. */
export interface Caller {
  readonly interrupter: Interrupter
  readonly reporter: Reporter
  readonly cell: Cell
  readonly lease: Lease
  /** Says that the task has begun. */
  readonly begin: () => void
  /** Whether it goes alone, on a thread that has had none but such. */
  readonly isSuspect: boolean
}

export class Item {
  readonly definition: Definition
  readonly payload: unknown
  readonly caller: Caller
  readonly cost: number
  goesAlone: boolean
  removeListener: () => void = () => {}
  isSettled = false
  hand: Hand | undefined = undefined
  index = 0
  /** Waits for its end once its fiber was interrupted. */
  ended: Deferred.Deferred<void> | undefined = undefined
  private readonly resume: (end: Effect.Effect<unknown, unknown>) => void

  constructor(definition: Definition, payload: unknown, caller: Caller, resume: Item["resume"]) {
    this.definition = definition
    this.payload = payload
    this.caller = caller
    const cost = definition.cost(payload)
    // What is no cost would be none for ever: capacity is an average.
    this.cost = cost > 0 && cost < Number.POSITIVE_INFINITY ? cost : 1
    this.goesAlone = caller.isSuspect
    this.resume = resume
  }

  /** Whether its job is still owned, so that a thread which was told so too late has stopped it in vain. */
  get mayGoOn(): boolean {
    const { interrupter, lease } = this.caller
    return lease.isHeldUnsafe() && interrupter.reason === undefined && !this.isSettled && this.ended === undefined
  }

  /** Takes it out of its thread's hand. */
  taken(): this {
    this.hand = undefined
    return this
  }

  settle(end: Effect.Effect<unknown, unknown>): void {
    if (this.isSettled) return
    this.isSettled = true
    this.hand = undefined
    this.removeListener()
    if (this.ended === undefined) this.resume(end)
    else Deferred.doneUnsafe(this.ended, Effect.void)
  }
}

/** A batch that a thread has, or has next. */
export class Hand {
  readonly thread: PoolThread
  readonly id: number
  readonly control: Control
  items: ReadonlyArray<Item> = []
  private told: Instant | undefined = undefined

  constructor(thread: PoolThread, id: number) {
    this.thread = thread
    this.id = id
    this.control = new Control(thread.shared, id)
  }

  /** Tells the thread how long the job of the batch is surely owned. */
  holdLease(): void {
    const lease = this.items[0]?.caller.lease.heldUntilUnsafe() ?? Option.none()
    const until = Option.getOrElse(lease, () => forEver)
    this.control.holdUntil(until)
    const { id, thread, told } = this
    if (!thread.isApart) return
    if (told?.monotonicNanos === until.monotonicNanos && told.wallMillis === until.wallMillis) return
    this.told = until
    thread.tell({ _tag: "Held", id, until })
  }

  /** Takes it that the thread, which can't say so, has begun: what was posted is not taken back. */
  noteBegun(): void {
    for (const { index } of this.items) this.control.claim(index)
  }

  /** What was neither settled nor taken back. */
  get left(): ReadonlyArray<Item> {
    return this.items.filter((item) => item.hand === this)
  }

  /** Takes an item back that the thread has not begun. */
  revoke(item: Item): boolean {
    if (item.hand !== this || !this.control.revoke(item.index)) return false
    item.hand = undefined
    return true
  }
}

export class PoolThread {
  readonly shared: SharedArrayBuffer
  readonly startedAt: number
  /** Whether it is the thread that the pool is on. */
  readonly isGuest: boolean
  /** Whether it sees nothing of the memory: what has to be known of that is told, and what it has it has begun. */
  readonly isApart: boolean
  readonly gone = Deferred.makeUnsafe<void>()
  spawned: Spawned | undefined = undefined
  /** The batch that it is at, or has not yet said that it is through with, and the one that it has next. */
  hands: Array<Hand> = []
  isReady = false
  /** Whether it has had more than tasks that go alone. */
  isUsed = false
  /** It was told to end, and gets nothing more. */
  isEnding = false
  isGone = false
  idleSince: number
  /** What it was at when the owner last looked. */
  lastSeenAt: Item | undefined = undefined
  isSlow = false
  private nextId = 1

  constructor(batch: number, now: number, { isApart = false, isGuest = false }) {
    this.isGuest = isGuest
    this.isApart = isApart
    this.shared = Control.allocate(batch)
    this.startedAt = now
    this.idleSince = now
  }

  get isBusy(): boolean {
    return this.hands.length > 0
  }

  get isIdle(): boolean {
    return this.isReady && !this.isEnding && !this.isBusy
  }

  /** Whether it may be given what it does next, so that it needs not wait for it. */
  get takesNext(): boolean {
    const [first, next] = this.hands
    const mayTake = !this.isGuest && !this.isApart && !this.isEnding && !this.isSlow
    return mayTake && next === undefined && first?.items[0]?.goesAlone === false
  }

  get left(): ReadonlyArray<Item> {
    return this.hands.flatMap(({ left }) => left)
  }

  /** What it has not begun. */
  get pending(): ReadonlyArray<Item> {
    return this.left.filter(({ hand, index }) => hand?.control.isPending(index))
  }

  /** What it is at. */
  get running(): Item | undefined {
    return this.left.find(({ hand, index }) => hand?.control.isRunning(index))
  }

  /** A hand for the next batch. Nothing has come of it until the thread takes it up. */
  makeHand(): Hand {
    return new Hand(this, this.nextId)
  }

  takeUp(hand: Hand): void {
    // Its number says which half of the memory it has: one that was left out would take that of the one that runs.
    this.nextId = hand.id + 1
    this.hands.push(hand)
  }

  tell(message: ToThread | Held): void {
    this.spawned?.postUnsafe(message)
  }
}
