/**
 * A thread as its pool sees it, the batches that the thread has in hand, and the tasks in these.
 */
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Instant } from "../../Lease.ts"
import { CalledTask } from "../task/calledTask.ts"
import type { Held, Posted, TaskCrossing, ToThread } from "./crossing.ts"
import { Control, forEver } from "./sharedMemory.ts"
import type { Thread } from "./threadSpawner.ts"

/** A kind of task of the pool. */
export interface Definition extends TaskCrossing {
  readonly tag: string
  /** Work of a payload, compared with other payloads. */
  readonly cost: (payload: unknown) => number
}

/** A task that waits for a thread, or is on one. A suspect gets a thread that has run nothing but suspects. */
export class Item extends CalledTask {
  readonly definition: Definition
  readonly cost: number
  /** Whether the task is a batch of its own. */
  goesAlone: boolean
  /** The batch that the task is in, and its place there; no batch while it waits. */
  hand: Hand | undefined = undefined
  index = 0

  constructor(definition: Definition, ...called: ConstructorParameters<typeof CalledTask>) {
    super(...called)
    this.definition = definition
    this.goesAlone = this.isSuspect
    const cost = definition.cost(this.payload)
    // Capacity is an average: a cost of 0 would make it useless for ever.
    this.cost = cost > 0 && cost < Number.POSITIVE_INFINITY ? cost : 1
  }

  /** Tells the caller that the task has begun. */
  begin(): void {
    this.attempt?.begin()
  }

  /** Tells the caller when the thread began and ended the task. */
  noteRan(begunAt: number, endedAt: number): void {
    this.attempt?.noteRan(begunAt, endedAt)
  }

  /** Has the task wait for a thread once more, after it began on one. */
  again(): void {
    this.hand = undefined
    this.attempt?.noteAgain()
  }

  /** What is posted of the task. */
  encode(): Posted {
    const { attempt, cell: { checkpoint }, definition } = this
    const payload = definition.payload.encode(this.payload)
    if (attempt !== undefined && attempt.number > 1) return [definition.tag, payload, checkpoint, attempt.number]
    return checkpoint === undefined ? [definition.tag, payload] : [definition.tag, payload, checkpoint]
  }

  override settle(end: Effect.Effect<unknown, unknown>): void {
    if (!this.isSettled) this.hand = undefined
    super.settle(end)
  }
}

/** A batch that a thread has, or has next. */
export class Hand {
  readonly thread: PoolThread
  readonly id: number
  readonly control: Control
  readonly items: ReadonlyArray<Item>
  private told: Instant | undefined = undefined

  constructor(thread: PoolThread, items: ReadonlyArray<Item>) {
    this.thread = thread
    this.id = thread.nextId
    this.control = new Control(thread.shared, this.id)
    this.items = items
    for (const [index, item] of items.entries()) {
      item.hand = this
      item.index = index
      this.control.prepare(index)
    }
  }

  /** Tells the thread until when the job of the batch is surely owned. */
  holdLease(): void {
    const { id, thread, told } = this
    const lease = this.items[0]?.lease.heldUntilUnsafe() ?? Option.none()
    const until = Option.getOrElse(lease, () => forEver)
    this.control.holdUntil(until)
    if (!thread.isApart) return
    if (told?.monotonicNanos === until.monotonicNanos && told.wallMillis === until.wallMillis) return
    this.told = until
    thread.tell({ _tag: "Held", id, until })
  }

  /** Tasks that were neither settled nor taken back. */
  get left(): ReadonlyArray<Item> {
    return this.items.filter((item) => item.hand === this)
  }

  /** Takes a task back that the thread has not begun. */
  revoke(item: Item): boolean {
    if (item.hand !== this || !this.control.revoke(item.index)) return false
    item.hand = undefined
    return true
  }
}

export class PoolThread {
  readonly shared: SharedArrayBuffer
  /** Whether it is the thread that the pool is on. */
  readonly isGuest: boolean
  /** Whether it is a process, which does not see the memory of the pool. */
  readonly isApart: boolean
  readonly gone = Deferred.makeUnsafe<void>()
  spawned: Thread | undefined = undefined
  /** The batch that the thread is at until it says that it is through, and the batch that it has next. */
  readonly hands: Array<Hand> = []
  /** Number of the next batch, which says which half of the memory that has. */
  nextId = 1
  isReady = false
  /** Whether the thread has had other tasks than suspects. */
  isUsed = false
  /** Whether the thread was told to end: it gets nothing more. */
  isEnding = false
  /** When the thread was started, got ready, or was through with its last batch. */
  since: number
  /** The task that ran when the owner looked last, and whether the same task ran the time before. */
  lastSeen: Item | undefined = undefined
  isSlow = false

  constructor(batch: number, now: number, { isApart = false, isGuest = false }) {
    this.isGuest = isGuest
    this.isApart = isApart
    this.shared = Control.allocate(batch)
    this.since = now
  }

  get isGone(): boolean {
    return Deferred.isDoneUnsafe(this.gone)
  }

  get isBusy(): boolean {
    return this.hands.length > 0
  }

  get isIdle(): boolean {
    return this.isReady && !this.isEnding && !this.isBusy
  }

  /** Whether the thread may get its next batch before it is through with the one that it is at. */
  get takesNext(): boolean {
    const [first, next] = this.hands
    const mayTake = !this.isGuest && !this.isApart && !this.isEnding && !this.isSlow
    return mayTake && next === undefined && first?.items[0]?.goesAlone === false
  }

  get left(): ReadonlyArray<Item> {
    return this.hands.flatMap(({ left }) => left)
  }

  /** Tasks that the thread has not begun. */
  get pending(): ReadonlyArray<Item> {
    return this.left.filter(({ hand, index }) => hand?.control.isPending(index))
  }

  get running(): Item | undefined {
    return this.left.find(({ hand, index }) => hand?.control.isRunning(index))
  }

  /** Takes up a batch that was posted. A batch that could not be posted leaves its number to the next one. */
  takeUp(hand: Hand): void {
    this.nextId = hand.id + 1
    this.hands.push(hand)
    // A process can't claim its task. So nothing that was posted to it is taken back.
    if (this.isApart) { for (const { index } of hand.items) hand.control.claim(index) }
  }

  tell(message: ToThread | Held): void {
    this.spawned?.postUnsafe(message)
  }
}
