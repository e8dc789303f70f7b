/**
 * Shares a task's work between the owner of the job, where calls are quick, and others, who are asked once there is
 * much of it: to start a thread takes as long as some thousand small files.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import { RequestId } from "effect/rpc/RpcMessage"
import * as Scope from "effect/Scope"
import type { Others } from "../QuickFiles.ts"

type Work<T extends Task.Any> = Effect.Effect<Task.Success<T>, Task.Failure<T> | Interrupted | Task.Skipped>

/** Ways to do a piece of work. */
interface Ways<T extends Task.Any> {
  /** The same object each time that this piece is tried. */
  readonly key: object
  readonly payload: Task.Payload<T>
  /** Does it here and now; nothing where it might take long. */
  readonly quick: Work<T> | undefined
  /** Does it here, for where there are no threads. */
  readonly slow: Work<T>
  /** As many pieces as it counts for until the others are asked: 1, if nothing is said. */
  readonly weight?: number
  /** How much it is of what keeps one of the others busy while this thread is at a piece of its own: mostly a half. */
  readonly part?: number
}

type Handle<T extends Task.Any> = (payload: Task.Payload<T>) => Work<T>

/** How the others do it: as part of the task that is being run, which they see as their own. */
const handlerOf = <T extends Task.Any>(task: T): Effect.Effect<Handle<T>, never, Task.Handler<T>> =>
  Effect.map(Effect.context<Task.Handler<T>>(), ({ mapUnsafe }) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a group's layer puts there
    const { context: own, handler } = mapUnsafe.get(task.key) as Rpc.Handler<string>
    return (payload) => {
      const call = { client: new Rpc.ServerClient(0), requestId: RequestId(0), headers: Headers.empty, rpc: task }
      const result = handler(payload, call)
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- handlers are erased in a context
      const work = (Rpc.isWrapper(result) ? result.value : result) as Work<T>
      return Effect.provideContext(work, own)
    }
  })

/**
 * So many times 64 small files keep one of the others busy while this thread is at a piece of its own: two pieces at
 * least, and so many at most that something is left for this thread.
 */
const enough = 16
const [leastPart, mostPart] = [1 / 8, 1 / 2]

/** What part of that so many times 64 small files are, or as much work. */
export const partOf = (amount: number): number => Math.min(Math.max(amount / enough, leastPart), mostPart)

/** Where a piece of work is done. */
type Side = "here" | "there"

/** Right to do a piece of work, once it has a side. */
interface Turn {
  readonly mayBeHere: boolean
  readonly part: number
  side: Side | undefined
}

interface Waiting {
  readonly turn: Turn
  readonly go: () => void
}

/** So many pieces each of the others gets before this thread has one. Few files may be much to do. */
const leastEach = 2

/** Gives out turns: one at a time here, some at a time there once somebody is there. First come, first served. */
class Turns {
  private waiting: Array<Waiting> = []
  private isHereFree = true
  /** How many of those that are there have too little to do. The last piece may be more than that. */
  private wanting = 0
  /** How many pieces are missing until each of them has as many as it always gets. */
  private missing = 0

  /** Says how many are there. */
  open(count: number): void {
    this.wanting = count
    this.missing = leastEach * count
    this.serve()
  }

  private serve(): void {
    while (this.missing > 0 && this.giveThere()) {
      // One more.
    }
    const here = this.takeHere()
    while (this.giveThere()) {
      // One more.
    }
    // This thread is away then: what is for others was given to them before.
    here?.go()
  }

  private giveThere(): boolean {
    const next = this.wanting > 0 ? this.waiting.shift() : undefined
    if (next === undefined) return false
    this.wanting -= next.turn.part
    this.missing--
    next.turn.side = "there"
    next.go()
    return true
  }

  private takeHere(): Waiting | undefined {
    const index = this.isHereFree ? this.waiting.findIndex(({ turn }) => turn.mayBeHere) : -1
    const [next] = index < 0 ? [] : this.waiting.splice(index, 1)
    if (next === undefined) return undefined
    this.isHereFree = false
    next.turn.side = "here"
    return next
  }

  /**
   * Waits for a turn, and tells if that takes longer than until this thread is free that was about to be. Whoever is
   * interrupted may have the turn all the same.
   */
  take(turn: Turn, onWait: () => void): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const waiting: Waiting = { turn, go: () => resume(Effect.void) }
      this.waiting.push(waiting)
      this.serve()
      if (turn.side === undefined) {
        setImmediate(() => {
          if (this.waiting.includes(waiting)) onWait()
        })
      }
      return Effect.sync(() => {
        this.waiting = this.waiting.filter((one) => one !== waiting)
      })
    })
  }

  give({ part, side }: Turn): void {
    if (side === undefined) return
    if (side === "there") {
      this.wanting += part
      this.missing++
      // Whoever goes on may give back its turn at once: nothing gets deeper with that.
      queueMicrotask(() => this.serve())
    } else {
      // All else on this thread has its turn first: what comes of those that are there, for one.
      setImmediate(() => {
        this.isHereFree = true
        this.serve()
      })
    }
  }
}

/** Gives what does a task's work where that is best. The others are asked after so many pieces, if one has to wait. */
export const share = <T extends Task.Any, E>(
  task: T,
  others: Others<T, E>,
  startsAfter: number
): Effect.Effect<(ways: Ways<T>) => Work<T>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.Scope
    const turns = new Turns()
    /** What somebody may have died of: it is nothing for this thread. */
    const suspects = new WeakSet<object>()
    let handle: Handle<T> | undefined
    /** What kept the others from being there, if that is nobody's doing. */
    let defect: Cause.Cause<never> | undefined
    let isAsked = false
    let count = 0
    // What is built here must not have what the first task has that needs it.
    const run = Effect.runForkWith(yield* Effect.context())
    const start = (): void => {
      if (isAsked) return
      isAsked = true
      run(
        Layer.buildWithScope(others.layer, scope).pipe(
          Effect.flatMap((built) => Effect.provideContext(handlerOf(task), built)),
          Effect.tapError((error) => Effect.logWarning("No threads take part, so it takes longer", error)),
          Effect.option,
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit)) defect = exit.cause
              else handle = Option.getOrUndefined(exit.value)
              turns.open(others.count)
            })
          ),
          Effect.forkIn(scope)
        )
      )
    }
    const there = (key: object, payload: Task.Payload<T>, slow: Work<T>): Work<T> =>
      defect !== undefined
        ? Effect.failCause(defect)
        : handle === undefined
        ? slow
        : Effect.tapDefect(handle(payload), () => Effect.sync(() => suspects.add(key)))
    return Effect.fnUntraced(function*({ key, part = mostPart, payload, quick, slow, weight = 1 }: Ways<T>) {
      const here = suspects.has(key) ? undefined : quick
      count += weight
      const isMuch = count > startsAfter
      if (here === undefined) start()
      const turn: Turn = { mayBeHere: here !== undefined, part, side: undefined }
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.andThen(
          restore(turns.take(turn, () => isMuch && start())),
          Effect.suspend(() => {
            const isHere = turn.side === "here" && here !== undefined
            return restore(isHere ? here : there(key, payload, here ?? slow))
          })
        ).pipe(Effect.ensuring(Effect.sync(() => turns.give(turn))))
      )
    })
  })
