/**
 * The tasks that one owner has given to a worker, for as long as they are connected, and what the owner is to be told.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Reason } from "../../Interrupter.ts"
import type * as Task from "../../Task.ts"
import { ThreadsUnavailable } from "../../ThreadsUnavailable.ts"
import { defectOf } from "../defect.ts"
import { nowMillis } from "../task/deadlines.ts"
import { codecsOf } from "../task/taskCodecs.ts"
import type { Ending as TaskEnding } from "../task/taskRun.ts"
import { Quarantined } from "../task/threadLost.ts"
import { timesOf } from "./clocks.ts"
import { HostedLease } from "./hostedLease.ts"
import { HostedTask } from "./hostedTask.ts"
import {
  codecs,
  type Ending,
  type EndOfTask,
  type FromWorker,
  type PostedTask,
  textsOf,
  type ToWorker
} from "./messages.ts"
import { Peer } from "./peer.ts"
import { most, Slots } from "./slots.ts"
import type { Disconnected, Refused, Wire } from "./wire.ts"
import type { HostTask, WorkerHost } from "./workerHost.ts"

/** How long an owner without tasks has to end the connection to a worker that leaves. */
const byeMillis = 1000
/** How often the worker looks whether leases are still held. */
const leaseMillis = 250

export class HostSession extends Peer {
  /** An owner that was busy for a while goes on with its connection. Its leases may be over meanwhile. */
  protected readonly silenceMillis = 15_000
  private readonly host: WorkerHost
  /** The tasks that the owner may send, by their index; none where the worker does not take one. */
  private readonly kinds: ReadonlyArray<HostTask | undefined>
  private readonly leases = new Map<number, HostedLease>()
  private readonly tasks = new Slots<HostedTask>()
  private changed: Array<HostedTask> = []
  private endings: Array<EndOfTask> = []
  private back: Array<number> = []
  private isLeaving = false
  private leftAt = 0
  private isOver = false

  constructor(host: WorkerHost, kinds: HostSession["kinds"]) {
    super(host.clock)
    this.host = host
    this.kinds = kinds
  }

  /** Serves the owner until the connection is over. */
  run(wire: Wire): Effect.Effect<never, Disconnected | Refused> {
    const watching = Effect.forever(Effect.andThen(Effect.sleep(leaseMillis), Effect.sync(() => this.look())))
    return Effect.raceFirst(this.talk(wire), watching)
  }

  /** Ends all tasks, since nobody hears of them any more. */
  end(): void {
    this.isOver = true
    for (const task of this.tasks) {
      task.stop("LeaseLost")
      if (!task.hasBegun) this.host.forget(task)
    }
  }

  /** Gives back what has not begun, and takes nothing more. */
  leave(): void {
    this.isLeaving = true
    this.leftAt = nowMillis(this.clock)
    this.giveBack(Number.POSITIVE_INFINITY)
    this.noteNews()
  }

  /** Whether all tasks have ended, and the owner has had the time to say so or seems to be gone. */
  get hasNothing(): boolean {
    if (nowMillis(this.clock) - this.leftAt < byeMillis) return false
    const ended = new Set(this.endings.map(([id]) => id))
    return Array.from(this.tasks).every(({ id }) => ended.has(id)) &&
      !Array.from(this.leases.values()).some((lease) => lease.isHeldUnsafe())
  }

  /** Asks all tasks to stop. */
  stopAll(reason: Reason): void {
    for (const task of this.tasks) task.stop(reason)
  }

  // -- what the owner tells

  protected receive(text: string): void {
    const message: ToWorker = codecs.toWorker.decode(text)
    const { giveBack, interrupts = [], leases = [], recorded = [], stops = [], tasks = [] } = message
    for (const told of leases) {
      const lease = this.leases.get(told.id)
      if (lease === undefined) this.leases.set(told.id, new HostedLease(told, this.clock))
      else lease.hold(told.heldUntil)
    }
    for (const posted of tasks) this.take(posted)
    // An owner has fewer jobs, and no more tasks at a worker than there are slots.
    if (this.leases.size > most) throw new Error(`it has more than ${most} leases`)
    if (this.back.length + this.endings.length > most) throw new Error(`it has more than ${most} tasks`)
    for (const [id, reason] of stops) this.stop(id, (task) => task.stop(reason))
    for (const id of interrupts) this.stop(id, (task) => task.interrupt())
    for (const [id, count] of recorded) this.tasks.get(id)?.noteRecorded(count)
    if (giveBack !== undefined) this.giveBack(giveBack)
  }

  private take(posted: PostedTask): void {
    const [id, leaseId, index, encoded] = posted
    const [kind, lease] = [this.kinds[index], this.leases.get(leaseId)]
    if (kind === undefined) throw new Error(`task ${id} has no definition here`)
    // A lease that was over is forgotten here, and its owner may have renewed it since then.
    if (this.isLeaving || lease === undefined) {
      this.back.push(id)
      return this.noteNews()
    }
    let isFree = true
    try {
      const payload = kind.definition.payload.decode(encoded)
      const task = new HostedTask(posted, payload, kind, lease, this, this.clock)
      isFree = this.tasks.put(id, task)
      if (isFree) this.host.take(task)
    } catch (thrown) {
      this.tell(id, { died: defectOf(Cause.die(thrown)) })
    }
    if (!isFree) throw new Error(`there is a task ${id} already`)
  }

  /** Stops a task. One that has not begun has ended by that. */
  private stop(id: number, how: (task: HostedTask) => void): void {
    const task = this.tasks.get(id)
    if (task === undefined) return
    how(task)
    if (task.hasBegun) return
    this.host.forget(task)
    this.tasks.delete(id)
    this.tell(id, { stopped: task.signal.reason ?? "Cancel" })
  }

  private giveBack(count: number): void {
    for (const task of Array.from(this.tasks).toReversed()) {
      if (this.back.length >= count) break
      if (task.hasBegun) continue
      this.host.forget(task)
      this.tasks.delete(task.id)
      this.back.push(task.id)
    }
    this.noteNews()
  }

  private look(): void {
    for (const [id, lease] of this.leases) {
      if (lease.isHeldUnsafe()) continue
      const all = Array.from(this.tasks).filter((task) => task.lease === lease)
      for (const task of all) this.stop(task.id, () => task.stop("LeaseLost"))
      if (all.length === 0) this.leases.delete(id)
    }
  }

  // -- what tasks tell

  noteChange(task: HostedTask): void {
    if (this.isOver) return
    if (!task.hasNews) this.changed.push(task)
    task.hasNews = true
    this.noteNews()
  }

  noteEnd(task: HostedTask, ending: TaskEnding): void {
    if (this.tasks.get(task.id) !== task) return
    this.noteChange(task)
    // A handler that found the lease over has ended for that, however it says so. Its owner may still own the job.
    const isStopped = task.hasLostLease && ending._tag !== "Done"
    const { id, kind, ranMillis } = task
    this.tell(id, isStopped ? { stopped: "LeaseLost" } : endingOf(kind.task, task, ending), ranMillis)
  }

  private tell(id: number, ending: Ending, ranMillis?: number): void {
    this.endings.push(ranMillis === undefined ? [id, ending] : [id, ending, Math.round(1000 * ranMillis)])
    this.noteNews()
  }

  /** What is to be told, in as many messages as it takes. Reports come before the endings of their tasks. */
  protected takeTexts(): ReadonlyArray<string> {
    const now = timesOf(this.clock)
    const reports = this.changed.flatMap((task) => task.takeReport() ?? [])
    const reported = textsOf("reports", reports, ({ id }, why) => this.refuse(id, why), { now })
    const { back, endings, isLeaving } = this
    this.changed = []
    this.endings = []
    this.back = []
    for (const [id] of endings) this.tasks.delete(id)
    const first: FromWorker = {
      now,
      ...back.length > 0 ? { back } : {},
      ...isLeaving ? { isLeaving } : {}
    }
    const ended = textsOf("endings", endings, ([id], why): EndOfTask => [id, unsent("result", why)], { now })
    const texts = [...reported, ...ended]
    return Object.keys(first).length > 1 || texts.length === 0 ? [JSON.stringify(first), ...texts] : texts
  }

  /** Ends a task whose checkpoint can't be sent to its owner. */
  private refuse(id: number, why: string): undefined {
    const task = this.tasks.get(id)
    this.tasks.delete(id)
    task?.interrupt()
    this.endings = this.endings.filter(([ended]) => ended !== id)
    this.tell(id, unsent("checkpoint", why))
  }
}

const unsent = (what: string, why: string): Ending => ({ died: { message: `Its ${what} ${why}` } })

const endingOf = (task: Task.Any, { signal }: HostedTask, ending: TaskEnding): Ending => {
  try {
    switch (ending._tag) {
      case "Done":
        return { done: codecsOf(task).encodeSuccess(ending.value) }
      case "Skipped":
        return { skipped: ending.reason }
      case "TimedOut":
        return { timedOut: true }
      case "Stopped":
        return { stopped: signal.reason ?? "Cancel" }
      case "Unavailable":
      case "Failed":
        return failureOf(task, ending.cause)
    }
  } catch (thrown) {
    return { died: defectOf(Cause.die(thrown)) }
  }
}

const failureOf = (task: Task.Any, cause: Cause.Cause<unknown>): Ending => {
  const error = Cause.findError(cause)
  if (Result.isSuccess(error)) return { failed: codecsOf(task).encodeError(error.success) }
  const defect = cause.reasons.find(Cause.isDieReason)?.defect
  if (defect instanceof ThreadsUnavailable) return { unavailable: defect.why }
  return defect instanceof Quarantined ? { quarantined: defect.message } : { died: defectOf(cause) }
}
