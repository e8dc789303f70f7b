/**
 * Notices that nothing can be written to the database any more, as on a full disk.
 *
 * The manager only logs that: it tries again, or leaves a job to whoever owns it next. A command that was started to
 * run one job has to end then, and to say what is wrong.
 */
import { JobStore } from "@fanout/core/JobStore"
import { JobStoreError } from "@fanout/core/JobStoreError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

/** Service that watches what is written. */
export class StoreHealth extends Context.Service<StoreHealth, {
  /** Waits until writes have failed for so long that it is no hiccup, and fails with what the first one failed with. */
  readonly untilBroken: Effect.Effect<never, JobStoreError>
}>()("@fanout/cli/StoreHealth") {}

const patienceMillis = 2000

/** What a write came to where the storage failed; a store that refuses it is in good health. */
const failureOf = (exit: Exit.Exit<unknown, unknown>): JobStoreError | undefined => {
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  return error instanceof JobStoreError && error.reason._tag === "StorageFailure" ? error : undefined
}

/** Layer that passes a store on, and looks at how its writes end. */
export const layer: Layer.Layer<JobStore | StoreHealth, never, JobStore> = Layer.effectContext(
  Effect.gen(function*() {
    const store = yield* JobStore
    const clock = yield* Clock.Clock
    let broken: { readonly error: JobStoreError; readonly since: number } | undefined
    const watched = <A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.onExit(write, (exit) =>
        Effect.sync(() => {
          const error = failureOf(exit)
          broken = error && (broken ?? { error, since: clock.currentTimeMillisUnsafe() })
        }))
    const untilBroken: Effect.Effect<never, JobStoreError> = Effect.suspend(() =>
      broken !== undefined && clock.currentTimeMillisUnsafe() - broken.since >= patienceMillis
        ? Effect.fail(broken.error)
        : Effect.andThen(Effect.sleep("250 millis"), untilBroken)
    )
    return Context.make(StoreHealth, { untilBroken }).pipe(
      Context.add(JobStore, {
        ...store,
        put: (record, line, renames) => watched(store.put(record, line, renames)),
        beat: (id, token, progress) => watched(store.beat(id, token, progress)),
        flush: (id, flush, onCommit) => watched(store.flush(id, flush, onCommit))
      })
    )
  })
)
