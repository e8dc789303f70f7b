/**
 * Handler of the task `DeleteBatch`: removes the first folders by itself where that is quick, and has threads do it
 * once there are many names in them. To start threads takes as long as to remove some ten thousand files.
 *
 * @since 0.1.0
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as DeleteNamesLive from "./DeleteNamesLive.ts"
import type { DeleteRoot } from "./DeleteRoot.ts"
import { DeleteBatch, DeleteNames } from "./DeleteTask.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { share } from "./internal/sharing.ts"
import { type Others, quickest, QuickFiles } from "./QuickFiles.ts"

class Tasks extends RpcGroup.make(DeleteBatch) {}

type Payload = Task.Payload<typeof DeleteBatch>
type Removed = Effect.Effect<Task.Success<typeof DeleteNames>, Interrupted>

/** Where what is under a root can be removed at once; it is asked once for each. */
const quickFiles = () => {
  const known = new Map<FilePath.FilePath, Option.Option<Files.Files["Service"]>>()
  return Effect.fnUntraced(function*({ kind, path }: DeleteRoot, oneFileSystem: boolean) {
    const before = known.get(path)
    if (before !== undefined) return before
    // What is mounted in there may be anywhere.
    const folders = [FilePath.parent(path), ...kind === "folder" ? [path] : []]
    const files = oneFileSystem ? yield* quickest(folders) : Option.none()
    known.set(path, files)
    return files
  })
}

const handle = (remove: (payload: Payload) => Removed) => (payload: Payload) =>
  Effect.map(remove(payload), ({ rest }) => ({ _tag: "Batch", rest }) as const)

/**
 * Layer that removes everything here.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> = Tasks.toLayer(
  Effect.map(Files.Files, (files) => ({
    [DeleteBatch._tag]: handle((payload) => Effect.provideService(DeleteNamesLive.remove(payload), Files.Files, files))
  }))
)

/**
 * Layer that removes the first names here, where that is quick, and has others remove the rest. They are started only
 * when there is something for them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShared = <E>(
  others: Others<typeof DeleteNames, E>,
  /** As many names are removed here before anybody else is asked: 30,000 by default. */
  { startsAfter = 30_000 }: { readonly startsAfter?: number } = {}
): Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> =>
  Tasks.toLayer(Effect.gen(function*() {
    const files = yield* Files.Files
    const find = quickFiles()
    const shared = yield* share(DeleteNames, others, startsAfter)
    const { isSlow } = yield* QuickFiles
    const removeBy = (payload: Payload, by: Files.Files["Service"], isWanted?: () => boolean): Removed =>
      Effect.provideService(DeleteNamesLive.remove(payload, isWanted), Files.Files, by)
    const remove = Effect.fnUntraced(function*(payload: Payload) {
      const quick = yield* find(payload.root, payload.oneFileSystem)
      return yield* shared({
        key: payload,
        payload,
        weight: payload.size,
        // A thread that waits for each call takes less time than to hand each on.
        quick: Option.isNone(quick) || isSlow() ? undefined : removeBy(payload, quick.value, () => !isSlow()),
        slow: removeBy(payload, files)
      }).pipe(
        // It has nothing that it could skip.
        Effect.catchTag("Skipped", Effect.die)
      )
    })
    return { [DeleteBatch._tag]: handle(remove) }
  }))
