/**
 * A task that was dispatched, and its handle.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { type Interrupter, stopped } from "../../Interrupter.ts"
import type { TaskHandle, TaskStatus } from "../../TaskHandle.ts"
import { type Chain, Linked } from "../chain.ts"
import { onFirstRequest, Signal } from "../signal.ts"
import { waitForOthers } from "../task/slot.ts"
import type { Ending, TaskRun } from "../task/taskRun.ts"

type Status = TaskStatus<unknown, unknown>

/** A dispatched task. Each resume after a pause starts a new run of the task. */
export class Dispatched extends Linked<Dispatched> {
  private readonly done = Deferred.makeUnsafe<Status>()
  private readonly parent: Interrupter
  private readonly all: Chain<Dispatched>
  private readonly make: (parent: Signal, onEnd: (ending: Ending) => void) => TaskRun
  private signal: Signal
  private task: TaskRun | undefined = undefined
  private wanted: "run" | "pause" | "cancel" | "abort" = "run"
  private isResting = false
  private removeListener = () => {}

  constructor(parent: Interrupter, all: Chain<Dispatched>, make: Dispatched["make"]) {
    super()
    this.parent = parent
    this.all = all
    this.make = make
    this.signal = new Signal(parent)
    all.add(this)
  }

  /** Starts a run of the task, or waits for a resume or a stop of a paused task. */
  begin(): void {
    this.removeListener()
    this.isResting = this.wanted === "pause"
    if (this.isResting) {
      this.removeListener = onFirstRequest(this.parent, () => this.ended({ _tag: "Stopped" }))
      return
    }
    this.task = this.make(this.signal, this.ended)
    this.task.start()
  }

  private readonly ended = (ending: Ending): void => {
    this.task = undefined
    this.isResting = false
    const status = this.statusOf(ending)
    if (status !== undefined) return this.settle(status)
    this.signal.closeUnsafe()
    this.signal = new Signal(this.parent)
    this.begin()
  }

  private settle(status: Status): void {
    this.removeListener()
    this.signal.closeUnsafe()
    this.all.delete(this)
    Deferred.doneUnsafe(this.done, Effect.succeed(status))
  }

  private statusOf(ending: Ending): Status | undefined {
    if (ending._tag === "Unavailable") return { _tag: "Failed", cause: ending.cause }
    if (ending._tag !== "Stopped") return ending
    if (this.parent.reason !== undefined) {
      return { _tag: this.parent.reason === "Cancel" ? "Cancelled" : "Shutdown" }
    }
    if (this.wanted === "cancel") return { _tag: "Cancelled" }
    if (this.wanted === "abort") return { _tag: "Aborted" }
    return undefined
  }

  get handle(): TaskHandle<unknown, unknown> {
    return {
      await: waitForOthers(Effect.raceFirst(Deferred.await(this.done), stopped)),
      pause: Effect.sync(() => {
        if (this.wanted !== "run") return
        this.wanted = "pause"
        this.signal.requestUnsafe("Pause")
      }),
      resume: Effect.sync(() => {
        if (this.wanted !== "pause") return
        this.wanted = "run"
        if (this.isResting) this.begin()
      }),
      cancel: this.end("cancel"),
      abort: this.end("abort")
    }
  }

  private end(how: "cancel" | "abort"): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.wanted !== "abort") this.wanted = how
      this.signal.requestUnsafe("Cancel")
      if (this.isResting) this.ended({ _tag: "Stopped" })
      if (how === "abort") this.task?.kill()
      return Effect.asVoid(waitForOthers(Deferred.await(this.done)))
    })
  }

  /** Interrupts the task and waits for the end. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.task?.kill()
      return Effect.asVoid(Deferred.await(this.done))
    })
  }
}
