/**
 * Handler of the task `DeleteOne`.
 */
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { removedUnits } from "../../ProgressUnits.ts"
import { SkipReason } from "../../SkipReason.ts"
import { Trash } from "../../Trash.ts"
import * as DeleteRoot from "./deleteRoot.ts"
import { Deleted, DeleteFailed, DeleteOne } from "./deleteTask.ts"
import { descending, failed, noEntry, removeAlone } from "./descent.ts"

class Tasks extends RpcGroup.make(DeleteOne) {}

type Payload = Task.Payload<typeof DeleteOne>

const { FolderLeft, FolderMet, Removed, Trashed } = Deleted.cases

const removed = Effect.fnUntraced(function*(files: number, folders: number) {
  yield* Progress.add(removedUnits.files, files)
  yield* Progress.add(removedUnits.folders, folders)
  return Removed.make({})
})

/** Removes what is at a path under a root, and the folders above it that may have waited for just that. */
const remove = ({ kind, path, ...where }: Payload) =>
  descending(
    where,
    Effect.fnUntraced(function*(descent) {
      const isLeaf = kind === "leaf"
      yield* descent.goTo(isLeaf ? FilePath.parent(path) : path)
      const { folder } = descent
      if (isLeaf && folder !== undefined) {
        yield* Effect.catchIf(folder.unlink(FilePath.name(path)), ({ code }) => code === "ENOENT", () => Effect.void)
      }
      const { removed: folders, stoppedBy } = yield* descent.climb
      if (isLeaf || folder === undefined || folders > 0 || stoppedBy === undefined) {
        return yield* removed(isLeaf ? 1 : 0, folders)
      }
      // What is left in a folder has been told by itself.
      return stoppedBy.isNotEmpty ? FolderLeft.make({}) : yield* stoppedBy
    })
  )

const moveToTrash = Effect.fnUntraced(function*(root: DeleteRoot.DeleteRoot) {
  const { error, kind, path } = root
  if (kind === "missing") return yield* error ?? noEntry(path)
  yield* Effect.mapError(
    DeleteRoot.verify([root]),
    ({ message }) => new DeleteFailed({ code: "Replaced", path, why: message })
  )
  yield* Effect.mapError(
    (yield* Trash).trash(path),
    ({ message }) => new DeleteFailed({ code: "Trash", path, why: message })
  )
  return Trashed.make({})
})

const run = Effect.fnUntraced(
  function*(payload: Payload) {
    const { kind, root } = payload
    if (kind === "folder") return FolderMet.make({})
    if (kind === "trash") return yield* moveToTrash(root)
    if (kind === "folderEnd" || root.kind === "folder") return yield* remove(payload)
    yield* removeAlone(root)
    return yield* removed(1, 0)
  },
  (running, { kind }) =>
    Effect.mapError(running, failed).pipe(
      Effect.catchIf(
        // It was the one that was named when the job began to remove it.
        ({ code }) => code === "Replaced" && kind !== "trash",
        () => Task.skip(SkipReason.Replaced)
      )
    )
)

/** Layer that supplies the handler. */
export const layer: Layer.Layer<Task.Handler<typeof DeleteOne>, never, Files.Files | Trash> = Tasks.toLayer({
  [DeleteOne._tag]: run
})
