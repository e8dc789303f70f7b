/**
 * Handler of the task `DeleteNames`.
 *
 * @since 0.1.0
 */
import * as Interrupter from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { DeleteNames, ThreadTasks } from "./DeleteTask.ts"
import type * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { type Descent, within } from "./internal/descent.ts"

/** Removes what it can of these names, and tells how many of them are gone. */
const removeNames = Effect.fnUntraced(function*(folder: Files.Folder, names: ReadonlyArray<FilePath.FilePath>) {
  const stop = yield* Interrupter.Interrupter
  const codes = yield* folder.unlinkEach(names, () => stop.reason === undefined)
  if (codes.length < names.length) yield* Interrupter.check
  // What is gone before its turn is as good as removed: an attempt before this one may have done it.
  return codes.reduce((gone, code) => code === undefined || code === "ENOENT" ? gone + 1 : gone, 0)
})

const removeIn = (names: ReadonlyArray<FilePath.FilePath>) =>
  Effect.fnUntraced(function*(descent: Descent) {
    const { folder } = descent
    const files = folder === undefined ? names.length : yield* removeNames(folder, names)
    const { removed: folders } = yield* descent.climb
    return { files, folders }
  })

const nothing = { files: 0, folders: 0 }

/**
 * Removes names, here.
 *
 * @category running
 * @since 0.1.0
 */
export const remove = (
  { folder, names, root, ...options }: Task.Payload<typeof DeleteNames>
): Effect.Effect<Task.Success<typeof DeleteNames>, Interrupter.Interrupted, Files.Files> =>
  within({ root, ...options }, folder, removeIn(names)).pipe(
    // What is left is met again, one by one, and then it is said why.
    Effect.catchTags({
      DeleteFailed: () => Effect.succeed(nothing),
      FilesError: () => Effect.succeed(nothing)
    })
  )

/**
 * Layer that supplies the handler.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof DeleteNames>, never, Files.Files> = ThreadTasks.toLayer(
  Effect.map(Files.Files, (files) => ({
    [DeleteNames._tag]: (payload: Task.Payload<typeof DeleteNames>) =>
      Effect.provideService(remove(payload), Files.Files, files)
  }))
)
