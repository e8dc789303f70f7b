/**
 * Has what takes part in a task's work share it: first only the owner of the job, where calls are quick, and once there
 * is much of it, threads. To start threads takes as long as some ten thousand small files.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"

type Work<T extends Task.Any> = Effect.Effect<Task.Success<T>, Task.Failure<T> | Interrupted | Task.Skipped>

/** Ways to do a piece of work. */
interface Ways<T extends Task.Any> {
  readonly payload: Task.Payload<T>
  /** Does it here and now; nothing where it might take long. */
  readonly quick: Work<T> | undefined
  /** Does it here, for where there are no threads. */
  readonly slow: Work<T>
}

/** Has somebody else do a task's work, as a task of its own. */
const there = <T extends Task.Any>(task: T, payload: Task.Payload<T>): Effect.Effect<
  Task.Success<T>,
  Task.Failure<T> | Interrupted | Task.Skipped,
  Task.Handler<T>
> =>
  Effect.flatMap(
    TaskDispatcher.Current,
    Option.match({
      onNone: () => Effect.die(new Error("Work is only shared by a task")),
      onSome: ({ run }) => run(task, payload)
    })
  )

/** Gives what does a task's work where that is best. The others are started after so many pieces. */
export const share = <T extends Task.Any, E>(
  task: T,
  others: Layer.Layer<Task.Handler<T>, E>,
  startsAfter: number
): Effect.Effect<(ways: Ways<T>) => Work<T>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.Scope
    const ready = yield* Deferred.make<Option.Option<Context.Context<Task.Handler<T>>>>()
    let remote: Context.Context<Task.Handler<T>> | undefined
    let isAsked = false
    let count = 0
    const start = Effect.suspend(() => {
      if (isAsked) return Effect.void
      isAsked = true
      return Layer.buildWithScope(others, scope).pipe(
        Effect.tap((built) =>
          Effect.sync(() => {
            remote = built
          })
        ),
        // Where there are no threads, it takes longer.
        Effect.option,
        Deferred.into(ready),
        Effect.forkIn(scope),
        Effect.asVoid
      )
    })
    return Effect.fnUntraced(function*({ payload, quick, slow }: Ways<T>) {
      if (remote !== undefined) return yield* Effect.provideContext(there(task, payload), remote)
      if (quick === undefined || ++count > startsAfter) yield* start
      if (quick !== undefined) return yield* quick
      const built = yield* Deferred.await(ready)
      return yield* Option.isNone(built) ? slow : Effect.provideContext(there(task, payload), built.value)
    })
  })
