/**
 * Shares a task's work between the owner of the job, where calls are quick, and others, who are asked once there is
 * much of it: to start a thread takes as long as some thousand small files.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import { RequestId } from "effect/rpc/RpcMessage"
import * as Scope from "effect/Scope"
import * as Files from "../../Files.ts"
import { type Others, QuickFiles, type Sides } from "../files/quickFiles.ts"

type Work<T extends Task.Any, R = never> = Effect.Effect<
  Task.Success<T>,
  Task.Failure<T> | Interrupted | Task.Skipped,
  R
>

/** A piece of a task's work. */
interface Piece<T extends Task.Any, R> {
  /** The same object each time that this piece is tried. */
  readonly key: object
  readonly payload: Task.Payload<T>
  readonly files: number
  /** How much content is to be read, where that is known. */
  readonly bytes?: number | undefined
  /** Does it on this thread. */
  readonly work: (isQuick: boolean) => Work<T, R>
  /** Whether it may take long wherever all else is quick. */
  readonly mayBeSlow?: boolean
}

/** How work is shared. */
interface Sharing<T extends Task.Any> {
  /** What makes calls at once here; none where they may take long. */
  readonly quick: Option.Option<Files.Files["Service"]>
  /** After so much others are asked, if a piece has to wait: 1 for 64 files, and 1 for 512 KiB or 0.7 ms more. */
  readonly startsAfter?: number | undefined
  /** How much was read, where that is much of the work. */
  readonly bytesOf?: (done: Task.Success<T>) => number
}

type Share<T extends Task.Any> = <R>(piece: Piece<T, R>) => Work<T, Exclude<R, Files.Files>>

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
 * So many files take so many milliseconds, unless they come slowly. Mostly a file costs what the owner does anyway; all
 * of its content can be others' work.
 */
const unit = { files: 64, bytes: 2 ** 19, millis: 0.7 } as const

/**
 * So many times 64 small files keep one of the others busy while this thread is at a piece of its own: two pieces at
 * least, and so many at most that something is left for this thread.
 */
const enough = 16
const [leastPart, mostPart] = [1 / 8, 1 / 2]

/** Where a piece of work is done. */
type Side = "here" | "there"

/** Right to do a piece of work, once it has a side. */
interface Turn {
  readonly mayBeHere: boolean
  readonly part: number
  side?: Side
  /** Says that it has one. */
  go?: () => void
}

/** So many pieces each of the others gets before this thread has one. Few files may be much to do. */
const leastEach = 2

/** Gives out turns: one at a time here, some at a time there once somebody is there. First come, first served. */
class Turns {
  private waiting: Array<Turn> = []
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
    const index = this.isHereFree ? this.waiting.findIndex(({ mayBeHere }) => mayBeHere) : -1
    const [here] = index < 0 ? [] : this.waiting.splice(index, 1)
    if (here !== undefined) {
      this.isHereFree = false
      here.side = "here"
    }
    while (this.giveThere()) {
      // One more.
    }
    // This thread is away then: what is for others was given to them before.
    here?.go?.()
  }

  private giveThere(): boolean {
    const next = this.wanting > 0 ? this.waiting.shift() : undefined
    if (next === undefined) return false
    this.wanting -= next.part
    this.missing--
    next.side = "there"
    next.go?.()
    return true
  }

  /**
   * Waits for a turn, and tells if that takes longer than until this thread is free that was about to be. Whoever is
   * interrupted may have the turn all the same.
   */
  take(turn: Turn, onWait: () => void): Effect.Effect<void> {
    return Effect.callback((resume) => {
      turn.go = () => resume(Effect.void)
      this.waiting.push(turn)
      this.serve()
      if (turn.side === undefined) {
        setImmediate(() => {
          if (this.waiting.includes(turn)) onWait()
        })
      }
      return Effect.sync(() => {
        this.waiting = this.waiting.filter((one) => one !== turn)
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

/** Gives what asks others to be there, and how they do a task's work once they are. */
const calling = Effect.fnUntraced(function*<T extends Task.Any, E>(task: T, others: Others<T, E>, turns: Turns) {
  const scope = yield* Scope.Scope
  // What is built here must not have what the first task has that needs it.
  const run = Effect.runForkWith(yield* Effect.context())
  let isAsked = false
  const called: { handle: Handle<T> | undefined } = { handle: undefined }
  const call = (): void => {
    if (isAsked) return
    isAsked = true
    run(
      Layer.buildWithScope(others.layer, scope).pipe(
        Effect.flatMap((built) => Effect.provideContext(handlerOf(task), built)),
        Effect.tapError((error) => Effect.logWarning("No threads take part, so it takes longer", error)),
        Effect.option,
        Effect.onExit((exit) =>
          Effect.sync(() => {
            // What kept them from being there may be nobody's doing.
            called.handle = Exit.isSuccess(exit) ? Option.getOrUndefined(exit.value) : () => exit
            turns.open(others.count)
          })
        ),
        Effect.forkIn(scope)
      )
    )
  }
  return { call, called }
})

/** Gives what does a task's work where that is best, on file systems that answer as quickly as can be. */
export const share = <T extends Task.Any, E>(
  task: T,
  { alone, beside }: Sides<T, E>,
  { bytesOf = () => 0, quick, startsAfter = 64 }: Sharing<T>
): Effect.Effect<Share<T>, never, Files.Files | Scope.Scope> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const { isSlow } = yield* QuickFiles
    const clock = yield* Clock.Clock
    const turns = new Turns()
    const { call, called } = yield* calling(task, Option.isSome(quick) ? beside : alone, turns)
    /** What somebody may have died of: it is nothing for this thread. */
    const suspects = new WeakSet<object>()
    /** How much there was to do by now. */
    let amount = 0
    /** Does a piece here, and takes down how long that takes, and how much is read that was not known of. */
    const timed = <A extends Task.Success<T>, E, R>(work: Effect.Effect<A, E, R>, known: number, isRead: boolean) =>
      Effect.suspend(() => {
        const started = clock.monotonicTimeNanosUnsafe()
        return Effect.onExit(work, (exit) =>
          Effect.sync(() => {
            const millis = Number(clock.monotonicTimeNanosUnsafe() - started) / 1e6
            const read = isRead && Exit.isSuccess(exit) ? bytesOf(exit.value) : 0
            amount += Math.max(read / unit.bytes, millis / unit.millis - known)
          }))
      })
    return ({ bytes, files: count, key, mayBeSlow = false, payload, work }) =>
      Effect.suspend(() => {
        const own = count / unit.files + (bytes ?? 0) / unit.bytes
        const by = (files: Files.Files["Service"], isQuick: boolean) =>
          Effect.provideService(work(isQuick), Files.Files, files)
        // A thread that waits for each call takes less time than to hand each on.
        const here = Option.isNone(quick) || mayBeSlow || isSlow() || suspects.has(key)
          ? undefined
          : timed(by(quick.value, true), own, bytes === undefined)
        amount += own
        if (here === undefined) call()
        const part = Math.min(Math.max(own / enough, leastPart), mostPart)
        const turn: Turn = { mayBeHere: here !== undefined, part }
        const done = Effect.suspend(() =>
          turn.side === "here" || called.handle === undefined
            ? here ?? by(files, false)
            : Effect.tapDefect(called.handle(payload), () => Effect.sync(() => suspects.add(key)))
        )
        return Effect.uninterruptibleMask((restore) =>
          Effect.andThen(restore(turns.take(turn, () => amount > startsAfter && call())), restore(done)).pipe(
            Effect.ensuring(Effect.sync(() => turns.give(turn)))
          )
        )
      })
  })
