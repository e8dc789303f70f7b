/**
 * A thread as its pool sees it, and the tasks in flight.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Interrupter } from "../../Interrupter.ts"
import type { Reporter } from "../../Progress.ts"
import type { Cell } from "../../TaskCheckpoint.ts"
import type { Thread as Spawned } from "../../ThreadSpawner.ts"
import { Control } from "./control.ts"
import type { TaskCrossing, ToThread } from "./crossing.ts"

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
  thread: PoolThread | undefined = undefined
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

  settle(end: Effect.Effect<unknown, unknown>): void {
    if (this.isSettled) return
    this.isSettled = true
    this.thread = undefined
    this.removeListener()
    if (this.ended === undefined) this.resume(end)
    else Deferred.doneUnsafe(this.ended, Effect.void)
  }
}

export class PoolThread {
  readonly control: Control
  readonly startedAt: number
  readonly gone = Deferred.makeUnsafe<void>()
  spawned: Spawned | undefined = undefined
  /** The batch that it has; a slot is empty once its task was settled or taken back. */
  batch = 0
  items: ReadonlyArray<Item> = []
  isReady = false
  /** Whether it has a batch, or has not yet said that it is through. */
  isBusy = false
  /** Whether it has had more than tasks that go alone. */
  isUsed = false
  /** It was told to end, and gets nothing more. */
  isEnding = false
  isGone = false
  idleSince: number

  constructor(batch: number, now: number) {
    this.control = Control.make(batch)
    this.startedAt = now
    this.idleSince = now
  }

  get left(): ReadonlyArray<Item> {
    return this.items.filter((item) => item.thread === this)
  }

  tell(message: ToThread): void {
    this.spawned?.postUnsafe(message)
  }

  /** Takes an item back that it has not begun. */
  revoke(item: Item): boolean {
    if (item.thread !== this || !this.control.revoke(item.index)) return false
    item.thread = undefined
    return true
  }
}
