/**
 * Handler of the task `DeleteOne`.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import { units } from "../DeleteUnits.ts"
import * as FilePath from "../FilePath.ts"
import type * as Files from "../Files.ts"
import { FilesError } from "../FilesError.ts"
import { SkipReason } from "../SkipReason.ts"
import { Trash } from "../Trash.ts"
import * as DeleteRoot from "./deleteRoot.ts"
import { Deleted, DeleteFailed, DeleteOne } from "./deleteTask.ts"
import { type Climb, type Descent, failed, removeAlone, within } from "./descent.ts"

class Tasks extends RpcGroup.make(DeleteOne) {}

type Payload = Task.Payload<typeof DeleteOne>

const removed = Effect.fnUntraced(function*(files: number, { removed: folders }: Climb) {
  yield* Progress.add(units.files, files)
  yield* Progress.add(units.folders, folders)
  return Deleted.cases.Removed.make({})
})

/** Removes one name. The folders above it may have waited for just that. */
const removeLeaf = (name: FilePath.FilePath) =>
  Effect.fnUntraced(function*(descent: Descent) {
    if (descent.folder !== undefined) {
      yield* Effect.catchIf(descent.folder.unlink(name), ({ code }) => code === "ENOENT", () => Effect.void)
    }
    return yield* removed(1, yield* descent.climb)
  })

const removeFolder = Effect.fnUntraced(function*(descent: Descent) {
  const isThere = descent.folder !== undefined
  const climb = yield* descent.climb
  if (!isThere || climb.removed > 0 || climb.stoppedBy === undefined) return yield* removed(0, climb)
  // What is left in a folder has been told by itself.
  if (climb.stoppedBy.isNotEmpty) return Deleted.cases.FolderLeft.make({})
  return yield* climb.stoppedBy
})

const moveToTrash = Effect.fnUntraced(function*(root: DeleteRoot.DeleteRoot) {
  const trash = yield* Trash
  if (root.kind === "missing") {
    return yield* new FilesError({ call: "lstat", code: "ENOENT", path: root.path, target: Option.none() })
  }
  yield* Effect.catchTag(
    DeleteRoot.verify([root]),
    "DeleteError",
    ({ message }) => Effect.fail(new DeleteFailed({ code: "Replaced", path: root.path, why: message }))
  )
  yield* Effect.catchTag(
    trash.trash(root.path),
    "TrashFailed",
    ({ message }) => Effect.fail(new DeleteFailed({ code: "Trash", path: root.path, why: message }))
  )
  return Deleted.cases.Trashed.make({})
})

type Ending<E> = Effect.Effect<typeof Deleted.Type, DeleteFailed | E, Files.Files | Trash>

const runOrFail = ({ kind, path, root, ...options }: Payload): Ending<FilesError> => {
  const where = { root, ...options }
  if (kind === "folder") return Effect.succeed(Deleted.cases.FolderMet.make({}))
  if (kind === "trash") return moveToTrash(root)
  if (kind === "folderEnd") return within(where, path, removeFolder)
  return root.kind === "folder"
    ? within(where, FilePath.parent(path), removeLeaf(FilePath.name(path)))
    : Effect.andThen(removeAlone(root), removed(1, { removed: 0, stoppedBy: undefined }))
}

const run = (
  payload: Payload
): Effect.Effect<typeof Deleted.Type, DeleteFailed | Interrupted | Task.Skipped, Files.Files | Trash> =>
  runOrFail(payload).pipe(
    Effect.catchTag("FilesError", (error) => Effect.fail(failed(error))),
    Effect.catchIf(
      // It was the one that was named when the job began to remove it.
      ({ code }) => code === "Replaced" && payload.kind !== "trash",
      () => Task.skip(SkipReason.Replaced)
    )
  )

/** Layer that supplies the handler. */
export const layer: Layer.Layer<Task.Handler<typeof DeleteOne>, never, Files.Files | Trash> = Tasks.toLayer({
  [DeleteOne._tag]: run
})
