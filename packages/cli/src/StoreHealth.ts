/**
 * Notices that nothing can be written to the database any more, as on a full disk, or that it can't be read.
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

/** Service that watches what is written, and what is read to claim jobs. */
export class StoreHealth extends Context.Service<StoreHealth, {
  /**
   * Waits until writes have failed for so long that it is no hiccup, or a run could not be recorded, which has ended
   * it. Fails with what the first one failed with.
   */
  readonly untilBroken: Effect.Effect<never, JobStoreError>
}>()("@fanout/cli/StoreHealth") {}

const patienceMillis = 2000

/** Calls that tell of the same health. Those that are made to claim jobs are made again and again. */
type Kind = "write" | "record" | "astray" | "look" | "due" | "toCancel"

/** What a call came to where the storage failed; a store that refuses it is in good health. */
const failureOf = (exit: Exit.Exit<unknown, unknown>): JobStoreError | undefined => {
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  return error instanceof JobStoreError && error.reason._tag === "StorageFailure" ? error : undefined
}

/** Layer that passes a store on, and looks at how its writes end. */
export const layer: Layer.Layer<JobStore | StoreHealth, never, JobStore> = Layer.effectContext(
  Effect.gen(function*() {
    const store = yield* JobStore
    const clock = yield* Clock.Clock
    const broken = new Map<Kind, { readonly error: JobStoreError; readonly since: number }>()
    const note = (kind: Kind, exit: Exit.Exit<unknown, unknown>): void => {
      const error = failureOf(exit)
      if (error !== undefined && !broken.has(kind)) broken.set(kind, { error, since: clock.currentTimeMillisUnsafe() })
      // What goes well after the record that has ended a run does not make up for it.
      if (error === undefined && kind !== "record") broken.delete(kind)
    }
    const watched =
      (...kinds: ReadonlyArray<Kind>) => <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
        Effect.onExit(call, (exit) => Effect.sync(() => kinds.forEach((kind) => note(kind, exit))))
    const write = watched("write")
    const record = watched("write", "record")
    const untilBroken: Effect.Effect<never, JobStoreError> = Effect.suspend(() => {
      const due = clock.currentTimeMillisUnsafe() - patienceMillis
      const found = Array.from(broken.values()).find(({ since }) => since <= due)
      return found === undefined ? Effect.andThen(Effect.sleep("250 millis"), untilBroken) : Effect.fail(found.error)
    })
    return Context.make(StoreHealth, { untilBroken }).pipe(
      Context.add(JobStore, {
        ...store,
        astray: watched("astray")(store.astray),
        look: (now) => watched("look")(store.look(now)),
        due: (filter) => watched("due")(store.due(filter)),
        toCancel: (filter) => watched("toCancel")(store.toCancel(filter)),
        put: (job, line, renames) => write(store.put(job, line, renames)),
        beat: (id, token, progress) => write(store.beat(id, token, progress)),
        flush: (id, flush, onCommit) => record(store.flush(id, flush, onCommit)),
        saveOwnCheckpoint: (id, options) => record(store.saveOwnCheckpoint(id, options))
      })
    )
  })
)
