/**
 * A task that waits for a worker, or that a worker has in hand.
 */
import * as Effect from "effect/Effect"
import { Interrupted } from "../../Interrupter.ts"
import * as Task from "../../Task.ts"
import { errorOf } from "../defect.ts"
import { CalledTask } from "../task/calledTask.ts"
import { codecsOf } from "../task/taskCodecs.ts"
import { Quarantined } from "../task/threadLost.ts"
import type { Ending, PostedTask } from "./messages.ts"
import type { RemoteWorker } from "./remoteWorker.ts"
import type { Workload } from "./workload.ts"

/** A kind of task of the pool, and its index in `Hello`. */
export interface RemoteDefinition {
  readonly task: Task.Any
  readonly index: number
}

export class RemoteTask extends CalledTask {
  readonly definition: RemoteDefinition
  /**
   * How likely it is that workers were lost by the task, from 0 on. One lost worker says nothing of the tasks it had;
   * one more raises the suspicion of each.
   */
  readonly suspicion: number
  /** The worker that has the task in hand. A lost worker keeps the task until it surely goes on with it no more. */
  worker: RemoteWorker | undefined = undefined
  load: Workload | undefined = undefined
  id = 0
  /** Since when all workers refuse the task, on the monotonic clock of this process. */
  refusedSince: number | undefined = undefined

  constructor(definition: RemoteDefinition, ...called: ConstructorParameters<typeof CalledTask>) {
    super(...called)
    this.definition = definition
    this.suspicion = Math.max(0, (this.attempt?.losses ?? 0) - 1)
  }

  /** What is posted of the task. It throws where the payload does not match its schema. */
  encode(lease: number): PostedTask {
    const { attempt, cell: { checkpoint }, definition: { index, task }, id } = this
    const payload = codecsOf(task).payload.encode(this.payload)
    const number = attempt?.number ?? 1
    if (checkpoint === undefined && number === 1) return [id, lease, index, payload]
    return [
      id,
      lease,
      index,
      payload,
      checkpoint === undefined ? { attempt: number } : { saved: checkpoint, attempt: number }
    ]
  }

  /** Notes that the handler has ended now, after it ran for so long. The way of the message counts as waiting. */
  noteRan(now: number, millis: number): void {
    this.attempt?.noteRan(now - millis, now)
  }

  /** Settles the task as it has ended on its worker. */
  end(ending: Exclude<Ending, { readonly unavailable: string }>): void {
    if ("timedOut" in ending && this.attempt !== undefined) {
      this.attempt.timedOut = true
      this.attempt.requestUnsafe("Timeout")
    }
    this.settle(this.endOf(ending))
  }

  private endOf(ending: Exclude<Ending, { readonly unavailable: string }>): Effect.Effect<unknown, unknown> {
    const { decodeError, decodeSuccess } = codecsOf(this.definition.task)
    if ("done" in ending) return Effect.orDie(decodeSuccess(ending.done))
    if ("failed" in ending) return Effect.flatMap(Effect.orDie(decodeError(ending.failed)), Effect.fail)
    if ("skipped" in ending) return Effect.fail(new Task.Skipped({ reason: ending.skipped }))
    if ("timedOut" in ending) return Effect.fail(new Interrupted({ reason: "Timeout" }))
    if ("stopped" in ending) return Effect.fail(new Interrupted({ reason: ending.stopped }))
    if ("quarantined" in ending) return Effect.die(new Quarantined(ending.quarantined))
    // A defect without a name was no error.
    return Effect.die(ending.died.name === undefined ? ending.died.message : errorOf(ending.died))
  }
}
