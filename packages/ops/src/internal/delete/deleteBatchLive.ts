/**
 * Handler of the task `DeleteBatch`.
 */
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Payload } from "../../Delete.ts"
import type * as Files from "../../Files.ts"
import { QuickFiles, type Sides, type Where } from "../files/quickFiles.ts"
import { share } from "../work/sharedWork.ts"
import { quickFiles } from "./deleteElements.ts"
import { DeleteBatch, ThreadTasks } from "./deleteTask.ts"
import { remove } from "./folderRemoval.ts"

/** Layer that removes everything here. */
export const layer: Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> = ThreadTasks.toLayer({
  [DeleteBatch._tag]: (payload) => remove(payload)
})

/**
 * Layer that removes the first names here, where that is quick, and has others remove the rest. They are started only
 * when there is something for them.
 */
export const layerShared = <E>(
  others: Sides<typeof DeleteBatch, E>,
  payload: Payload,
  /** After so many times 64 names others are asked, or 0.7 ms more: what 30,000 are by default. */
  { startsAfter = 30_000 / 64 }: Pick<Where, "startsAfter"> = {}
): Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> =>
  ThreadTasks.toLayer(Effect.gen(function*() {
    const { isSlow } = yield* QuickFiles
    const shared = yield* share(DeleteBatch, others, { quick: yield* quickFiles(payload), startsAfter })
    return {
      [DeleteBatch._tag]: (payload) =>
        shared({
          key: payload,
          payload,
          files: payload.size,
          work: (isQuick) => remove(payload, () => !isQuick || !isSlow())
        })
    }
  }))
