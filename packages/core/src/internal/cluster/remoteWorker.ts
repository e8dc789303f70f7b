/**
 * A worker as the owner of jobs sees it, for as long as they are connected: the tasks that it has in hand, the leases
 * that it was told, and the next message.
 *
 * A worker goes on with a task only while it is told so: each lease holds for the time of a grant at most, and is told
 * again each second. So a worker that can't be reached has surely stopped once its last grant is over.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Lease } from "../../Lease.ts"
import { nowMillis } from "../task/deadlines.ts"
import { ClockOffset, timesOf } from "./clocks.ts"
import { codecs, type FromWorker, textsOf, type ToWorker, type Welcome } from "./messages.ts"
import { Peer } from "./peer.ts"
import type { RemoteTask } from "./remoteTask.ts"
import { most, OwnSlots } from "./slots.ts"
import { Disconnected } from "./wire.ts"
import { Workload } from "./workload.ts"

/** A worker that could not run a task gets it no more for so long. Then what it lacks may have come. */
const againMillis = 10_000

/** A lease is told anew once it holds for so much longer than the worker knows, or is over so soon. */
const renewMillis = 1000

/** What a worker was told of a lease. */
interface ToldLease {
  readonly id: number
  readonly graceMillis: number
  /** Until when it is held, on the monotonic clock of this process. */
  until: number
}

/** What the next message has of each kind. */
type Outbox = {
  readonly [K in Exclude<keyof ToWorker, "giveBack">]-?: Array<NonNullable<ToWorker[K]>[number]>
}

const emptyOutbox = (): Outbox => ({ leases: [], tasks: [], stops: [], interrupts: [], recorded: [] })

export class RemoteWorker extends Peer {
  /** A worker says something each second. One that is silent for so long is lost. */
  protected readonly silenceMillis = 4000
  readonly address: string
  readonly welcome: Welcome
  readonly loads: ReadonlyArray<Workload>
  /** Tasks that the worker has in hand. */
  readonly tasks = new OwnSlots<RemoteTask>()
  /** Whether the worker gets nothing more: its process is to end. */
  isLeaving = false
  /** Until when the worker may go on by itself, on the monotonic clock of this process. */
  grantedUntil = 0
  /** Why the worker takes no tasks of a kind, or did not take one lately, by their index. */
  readonly refused = new Map<number, string>()
  /** When what the worker lacked for a task of a kind may have come, on the monotonic clock of this process. */
  private readonly againAt = new Map<number, number>()
  /** When the worker has run a task of a kind last, on the monotonic clock of this process. */
  private readonly ranAt = new Map<number, number>()
  /** Tasks that the worker could not run, and when it gets them again. */
  private readonly refusals = new WeakMap<RemoteTask, { readonly why: string; readonly againAt: number }>()
  /** How many tasks the worker has ended. */
  ended = 0
  /** Level of the tasks that the worker has in hand. */
  private suspicion = 0
  private readonly onMessage: (message: FromWorker) => void
  private readonly grantMillis: number
  private readonly offset: ClockOffset
  private readonly leases = new Map<Lease, ToldLease>()
  private outbox = emptyOutbox()
  private giveBack = 0
  private nextLease = 1

  constructor(
    address: string,
    welcome: Welcome,
    clock: Clock.Clock,
    grantMillis: number,
    onMessage: (worker: RemoteWorker, message: FromWorker) => void
  ) {
    super(clock)
    this.address = address
    this.welcome = welcome
    this.grantMillis = grantMillis
    this.onMessage = (message) => onMessage(this, message)
    this.offset = new ClockOffset(clock)
    this.offset.note(welcome.now)
    this.loads = welcome.pools.map(([, size]) => new Workload(Math.min(size, most)))
    for (const [index, task] of welcome.tasks.entries()) if (typeof task === "string") this.refused.set(index, task)
  }

  /** The pool in which the worker runs a task; none where it does not take the task now. */
  loadOf(task: RemoteTask): Workload | undefined {
    const { index } = task.definition
    const pool = this.welcome.tasks[index]
    if (typeof pool !== "number") return undefined
    if (this.againAt.has(index)) {
      const now = nowMillis(this.clock)
      if (now < (this.refusals.get(task)?.againAt ?? now) || this.isPaused(index, now)) return undefined
    }
    return this.loads[pool]
  }

  /** Whether the worker has refused a task of a kind, and has run none lately: it may lack what all of them need. */
  private isPaused(index: number, now: number): boolean {
    const ranAt = this.ranAt.get(index) ?? Number.NEGATIVE_INFINITY
    return now < (this.againAt.get(index) ?? now) && now - ranAt >= againMillis
  }

  /** Why the worker does not run a task, where it has said so of the task itself, or takes none of its kind. */
  refusalOf(task: RemoteTask): string | undefined {
    const pool = this.welcome.tasks[task.definition.index]
    return typeof pool === "string" ? pool : this.refusals.get(task)?.why
  }

  /** Gives the worker a task it could not run no more for a while. */
  refuse(task: RemoteTask, why: string): void {
    const { index } = task.definition
    const againAt = nowMillis(this.clock) + againMillis
    this.refusals.set(task, { why, againAt })
    this.refused.set(index, why)
    this.againAt.set(index, againAt)
  }

  /** Notes that the worker has run a task of a kind. So it lacks nothing that all of them need. */
  noteRun(index: number): void {
    const now = nowMillis(this.clock)
    this.ranAt.set(index, now)
    if (now >= (this.againAt.get(index) ?? Number.POSITIVE_INFINITY)) {
      this.againAt.delete(index)
      this.refused.delete(index)
    }
  }

  /** Whether the worker can have no more tasks in hand, in no pool. */
  get isFull(): boolean {
    return this.tasks.size >= most
  }

  /** How many tasks of these kinds the worker should have in hand, in all of their pools together. */
  windowOf(indexes: ReadonlyArray<number>): number {
    if (this.isLeaving) return 0
    const pools = new Set(indexes.map((index) => this.welcome.tasks[index]))
    return Math.min(most, this.loads.reduce((sum, { window }, pool) => pools.has(pool) ? sum + window : sum, 0))
  }

  /** Tasks that the worker ends in a second. */
  get perSecond(): number {
    return this.loads.reduce((sum, { perSecond }) => sum + perSecond, 0)
  }

  /**
   * Whether the worker can have a task beside those that it has. Suspects are with suspects of their level alone, and
   * with fewer on each level: so the task by which workers are lost is alone before it is quarantined, and tasks of
   * workers that were lost by a bad network are hardly slower.
   */
  isFor({ suspicion }: RemoteTask, { size }: Workload): boolean {
    const { size: inHand } = this.tasks
    if (inHand === 0) return true
    if (suspicion !== this.suspicion) return false
    return suspicion === 0 || inHand < (suspicion === 1 ? size : suspicion === 2 ? size / 4 : 1)
  }

  // -- what the worker is told

  /** Gives a task to the worker. */
  take(task: RemoteTask, now: number): void {
    let posted
    try {
      task.id = this.tasks.add(task)
      posted = task.encode(this.leaseOf(task))
    } catch (defect) {
      if (this.tasks.get(task.id) === task) this.tasks.delete(task.id)
      return task.settle(Effect.die(defect))
    }
    if (this.tasks.size === 1) this.suspicion = task.suspicion
    task.worker = this
    task.load = this.loadOf(task)
    task.load?.add(now)
    this.tell("tasks", posted)
  }

  private leaseOf({ attempt, lease }: RemoteTask): number {
    const known = this.leases.get(lease)
    if (known !== undefined) return known.id
    const graceMillis = Math.min(attempt?.work.environment.graceMillis ?? 1000, Number.MAX_SAFE_INTEGER)
    const told: ToldLease = { id: this.nextLease++, graceMillis, until: Number.NEGATIVE_INFINITY }
    this.leases.set(lease, told)
    this.grant(lease, told)
    return told.id
  }

  /** Tells until when a lease is held, where that is news. */
  private grant(lease: Lease, told: ToldLease): void {
    const [now, wallNow] = timesOf(this.clock)
    const held = lease.heldUntilUnsafe()
    const forEver = Number.POSITIVE_INFINITY
    const monotonic = Option.match(held, {
      onNone: () => forEver,
      onSome: ({ monotonicNanos }) => Number(monotonicNanos) / 1e6
    })
    const wall = Option.match(held, { onNone: () => forEver, onSome: ({ wallMillis }) => wallMillis })
    const until = [Math.min(now + this.grantMillis, monotonic), Math.min(wallNow + this.grantMillis, wall)] as const
    const more = until[0] - told.until
    if (more < renewMillis && (more <= 0 || told.until - now > renewMillis)) return
    told.until = until[0]
    this.grantedUntil = Math.max(this.grantedUntil, until[0])
    const { graceMillis, id } = told
    const heldUntil = this.offset.there(until)
    this.tell("leases", { id, job: Option.getOrNull(lease.job), token: lease.token, graceMillis, heldUntil })
  }

  /** Tells for how long leases are held, where that is news. */
  renew(): void {
    for (const [lease, told] of this.leases) this.grant(lease, told)
  }

  /** Forgets leases that no task in hand needs, which the worker forgets when they are over. */
  forgetLeases(): void {
    const needed = new Set(Array.from(this.tasks, ({ lease }) => lease))
    for (const lease of this.leases.keys()) if (!needed.has(lease)) this.leases.delete(lease)
  }

  tell<K extends keyof Outbox>(what: K, one: Outbox[K][number]): void {
    const told: Array<Outbox[K][number]> = this.outbox[what]
    told.push(one)
    this.noteNews()
  }

  /** Asks for tasks that the worker has not begun. */
  askBack(count: number): void {
    this.giveBack = count
    this.noteNews()
  }

  /** What is to be told, in as many messages as it takes. */
  protected takeTexts(): ReadonlyArray<string> {
    const { giveBack, outbox: { leases, tasks, ...others } } = this
    this.outbox = emptyOutbox()
    this.giveBack = 0
    const told = Object.fromEntries(Object.entries(others).filter(([, all]) => all.length > 0))
    const last = giveBack > 0 ? { ...told, giveBack } : told
    const posted = textsOf("tasks", tasks, ([id], why) => {
      this.remove(id)?.settle(Effect.die(new Error(`Its payload ${why}`)))
      return undefined
    })
    // A worker has to have a lease before its tasks, and a task before it can stop.
    const texts = leases.length > 0 ? [JSON.stringify({ leases }), ...posted] : posted
    return Object.keys(last).length > 0 || texts.length === 0 ? [...texts, JSON.stringify(last)] : texts
  }

  // -- what the worker tells

  /** Forgets a task that the worker has no more. */
  remove(id: number, now = nowMillis(this.clock)): RemoteTask | undefined {
    const task = this.tasks.get(id)
    if (task === undefined) return undefined
    this.tasks.delete(id)
    task.load?.remove(now)
    task.worker = undefined
    return task
  }

  protected receive(text: string): void {
    const message = codecs.fromWorker.decode(text)
    this.offset.note(message.now)
    this.onMessage(message)
    // A worker that leaves waits until its owners have all that it told.
    if (this.isLeaving && this.tasks.size === 0) throw new Disconnected({ why: "it has ended" })
  }
}
