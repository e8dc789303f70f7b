/**
 * Remembers the times that folders had before a move took anything out of them: that changes them, and the folders that
 * take their place are to have them once all is there.
 */
import * as Checkpoint from "@fanout/core/Checkpoint"
import type { JobContext } from "@fanout/core/JobContext"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { FilePath } from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { oneForAll } from "../work/coalescedRun.ts"

const Times = Schema.Struct({ path: FilePath, accessedNanos: Schema.BigInt, modifiedNanos: Schema.BigInt })

/** Those of folders that are being moved: as many as are open at the same time. */
const checkpoint = Checkpoint.make("folder times", Schema.Array(Times))

/** What remembers them. */
interface FolderTimes {
  /** Remembers the times of a folder, unless these are known; they are stored once this returns. */
  readonly note: (path: FilePath, times: Files.FileTimes) => Effect.Effect<void, JobStoreError>
  /** Times that a folder had, if they are known. */
  readonly find: (path: FilePath) => Files.FileTimes | undefined
  /** Forgets a folder that is done. */
  readonly forget: (path: FilePath) => void
}

/** Reference to what remembers them in the present job; nothing does in one that takes nothing out of folders. */
export const FolderTimes = Context.Reference<FolderTimes>("@fanout/ops/internal/folderTimes", {
  defaultValue: () => ({ note: () => Effect.void, find: () => undefined, forget: () => {} })
})

/** Remembers them in the store. */
export const make: Effect.Effect<FolderTimes, JobStoreError, JobContext> = Effect.gen(function*() {
  const context = yield* Effect.context<JobContext>()
  // Only a later version of this could have stored something else.
  const stored = yield* Effect.catchTag(checkpoint.get, "CheckpointUnreadable", Effect.die)
  const known = new Map(Option.getOrElse(stored, () => []).map((times) => [times.path, times]))
  // All who can go on have theirs stored with the first of them.
  const save = oneForAll(
    Effect.suspend(() => Effect.provideContext(checkpoint.save(Array.from(known.values())), context)),
    Effect.yieldNow
  )
  return {
    note: (path, { accessedNanos, modifiedNanos }) => {
      const add = Effect.sync(() => known.set(path, { path, accessedNanos, modifiedNanos }))
      // What is not stored is not known: whoever tries again stores it.
      const addAndSave = Effect.onError(Effect.andThen(add, save), () => Effect.sync(() => known.delete(path)))
      return Effect.suspend(() => known.has(path) ? Effect.void : addAndSave)
    },
    find: (path) => known.get(path),
    forget: (path) => void known.delete(path)
  }
})
