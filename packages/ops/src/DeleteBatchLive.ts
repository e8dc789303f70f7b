/**
 * Handler of the task `DeleteBatch`.
 *
 * @since 0.1.0
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { DeleteBatch, ThreadTasks, units } from "./DeleteTask.ts"
import type * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import { type Descent, removeAlone, within } from "./internal/descent.ts"

/** What is gone before its turn is as good as removed: an attempt before this one may have done it. */
const isGone = ({ code }: FilesError): boolean => code === "ENOENT"

/** Removes what it can of these names, and tells how many of them are gone. */
const removeNames = Effect.fnUntraced(function*(folder: Files.Folder, names: ReadonlyArray<FilePath.FilePath>) {
  const stop = yield* Interrupter.Interrupter
  let gone = 0
  for (const name of names) {
    if (stop.reason !== undefined) yield* Interrupter.check
    yield* Effect.match(folder.unlink(name), {
      onFailure: (error) => {
        if (isGone(error)) gone++
      },
      onSuccess: () => {
        gone++
      }
    })
  }
  return gone
})

const remove = (names: ReadonlyArray<FilePath.FilePath>) =>
  Effect.fnUntraced(function*(descent: Descent) {
    const { folder } = descent
    const files = folder === undefined ? names.length : yield* removeNames(folder, names)
    const { removed: folders } = yield* descent.climb
    return { files, folders }
  })

const nothing = { files: 0, folders: 0 }

const run = Effect.fnUntraced(function*({ folder, names, root, ...options }: Task.Payload<typeof DeleteBatch>) {
  const { files, folders } = yield* (root.kind === "folder"
    ? within({ root, ...options }, folder, remove(names))
    : Effect.as(removeAlone(root), { files: 1, folders: 0 })).pipe(
      // What is left is met again, one by one, and then it is said why.
      Effect.catchTags({
        DeleteFailed: () => Effect.succeed(nothing),
        FilesError: () => Effect.succeed(nothing)
      })
    )
  yield* Progress.add(units.files, files)
  yield* Progress.add(units.folders, folders)
  return { _tag: "Batch" } as const
})

/**
 * Layer that supplies the handler.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> = ThreadTasks.toLayer(
  Effect.map(Files.Files, (files) => ({
    [DeleteBatch._tag]: (payload: Task.Payload<typeof DeleteBatch>) =>
      Effect.provideService(run(payload), Files.Files, files)
  }))
)
