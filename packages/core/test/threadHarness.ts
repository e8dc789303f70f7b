import { assert } from "@effect/vitest"
import type * as Task from "@fanout/core/Task"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scheduler from "effect/Scheduler"
import type { Ending, FromThread, Held, Report, ToThread } from "../src/internal/threads/crossing.ts"
import { Control } from "../src/internal/threads/sharedMemory.ts"
import { type ThreadListener, ThreadSpawner } from "../src/internal/threads/threadSpawner.ts"
import { serveGroup } from "../src/internal/threads/worker.ts"

const soon = (run: () => void) => void Promise.resolve().then(run)

/** Lets messages come and go while time stands still. */
export const turns = Effect.repeat(Effect.andThen(Effect.promise(() => Promise.resolve()), settle), { times: 5 })

/** Threads that are fibers of this thread, so that time is the test's. */
export class Threads<R extends Task.Any> {
  readonly started: Array<ThreadListener> = []
  readonly ended: Array<string> = []
  /** How threads that are started from now on come to be. */
  how: "ready" | "die" | "throw" | "hang" = "ready"
  /** What schedules the fibers of those that are started from now on. */
  scheduler: Scheduler.Scheduler = new Scheduler.MixedScheduler()
  /** What can't be copied to them. */
  refuses: (message: unknown) => boolean = () => false
  private readonly group: RpcGroup.RpcGroup<R>
  private readonly handlers: Layer.Layer<Task.Handler<R>>

  constructor(group: RpcGroup.RpcGroup<R>, handlers: Layer.Layer<Task.Handler<R>>) {
    this.group = group
    this.handlers = handlers
  }

  readonly layer = Layer.succeed(ThreadSpawner, {
    parallelism: 2,
    spawnUnsafe: (shared, listener) => {
      if (this.how === "throw") throw new Error("no room for a thread")
      this.started.push(listener)
      if (this.how === "die") soon(() => listener.ended("it died at once"))
      let receive: (message: unknown) => void = () => {}
      const fiber = this.how === "ready"
        ? Effect.runFork(
          serveGroup(this.group, shared, {
            postUnsafe: (message) => {
              const copy: unknown = structuredClone(message)
              soon(() => listener.message(copy))
            },
            listenUnsafe: (listener) => {
              receive = listener
            }
          }).pipe(
            Effect.provide(this.handlers),
            Effect.provideService(Scheduler.Scheduler, this.scheduler)
          )
        )
        : undefined
      let isOver = false
      const end = (why: string) => {
        if (isOver) return
        isOver = true
        this.ended.push(why)
        listener.ended(why)
      }
      fiber?.addObserver(() => soon(() => end("it closed")))
      return {
        postUnsafe: (message) => {
          if (this.refuses(message)) throw new Error("it can't be copied")
          const copy: unknown = structuredClone(message)
          soon(() => receive(copy))
        },
        holdUnsafe: () => {},
        terminate: Effect.andThen(
          fiber === undefined ? Effect.void : Fiber.interrupt(fiber),
          Effect.sync(() => end("it was ended"))
        )
      }
    }
  })
}

/** A thread that does what a test says, one step at a time. */
export class ScriptedThread {
  readonly posted: Array<ToThread | Held> = []
  /** Batches that it is through with. */
  private through = 0
  private readonly shared: SharedArrayBuffer
  readonly listener: ThreadListener
  isHeld = false
  isTerminated = false
  /** Whether it ends when it is terminated; else a system call holds it. */
  obeys = true

  constructor(shared: SharedArrayBuffer, listener: ThreadListener) {
    this.shared = shared
    this.listener = listener
  }

  tell(message: FromThread): void {
    this.listener.message(message)
  }

  ready(...tasks: ReadonlyArray<string>): void {
    this.tell({ _tag: "Ready", tasks })
  }

  /** The batch that it is at, or else its last one. */
  get batch(): ToThread & { readonly _tag: "Batch" } {
    const all = this.posted.filter((message) => message._tag === "Batch")
    const batch = all[this.through] ?? all.at(-1)
    assert.isDefined(batch, "it has no batch")
    return batch
  }

  get control(): Control {
    return new Control(this.shared, this.batch.id)
  }

  get batches(): ReadonlyArray<number> {
    return this.posted.flatMap((message) => message._tag === "Batch" ? [message.items.length] : [])
  }

  told(tag: (ToThread | Held)["_tag"]): number {
    return this.posted.filter(({ _tag }) => _tag === tag).length
  }

  begin(index: number): void {
    assert.isTrue(this.control.claim(index), `${index} can't begin`)
  }

  /** Ends tasks of its batch; those that were not begun are. */
  end(endings: ReadonlyArray<readonly [index: number, ending: Ending]>, options: {
    readonly isLast?: boolean
    readonly millis?: number
    readonly reports?: ReadonlyArray<Report>
    readonly times?: ReadonlyArray<number>
  } = {}): void {
    const { isLast = true, millis = 0.01, reports = [], times = endings.flatMap(() => [0, 1]) } = options
    const { batch: { id }, control } = this
    for (const [index] of endings) {
      control.claim(index)
      control.finish(index)
    }
    if (isLast) this.through++
    this.tell({
      _tag: "Ended",
      id,
      indexes: endings.map(([index]) => index),
      endings: endings.map(([, ending]) => ending),
      times,
      reports,
      millis,
      isLast
    })
  }

  die(why: string): void {
    this.listener.ended(why)
  }
}

export class ScriptedThreads {
  readonly started: Array<ScriptedThread> = []
  private readonly isApart: boolean

  /** With `isApart`, they are for a pool what processes are: what they do to their memory is nothing that it does. */
  constructor(isApart = false) {
    this.isApart = isApart
  }

  at(n: number): ScriptedThread {
    const thread = this.started[n]
    assert.isDefined(thread, `there is no thread ${n}`)
    return thread
  }

  readonly layer = Layer.sync(ThreadSpawner, () => ({
    parallelism: 2,
    isApart: this.isApart,
    spawnUnsafe: (shared, listener) => {
      const own = this.isApart ? new SharedArrayBuffer(shared.byteLength) : shared
      const thread = new ScriptedThread(own, listener)
      this.started.push(thread)
      return {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a pool posts
        postUnsafe: (message) => void thread.posted.push(message as ToThread | Held),
        holdUnsafe: (hasWork) => {
          thread.isHeld = hasWork
        },
        terminate: Effect.suspend(() => {
          thread.isTerminated = true
          if (!thread.obeys) return Effect.never
          return Effect.sync(() => thread.die("terminated"))
        })
      }
    }
  }))
}
