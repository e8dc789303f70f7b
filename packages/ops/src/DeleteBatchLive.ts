/**
 * Handler of the task `DeleteBatch`: removes the first folders by itself where that is quick, and has threads do it
 * once there are many names in them. To start threads takes as long as to remove some ten thousand files.
 *
 * @since 0.1.0
 */
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import type { Payload as DeletePayload } from "./Delete.ts"
import * as DeleteNamesLive from "./DeleteNamesLive.ts"
import { DeleteBatch, DeleteNames } from "./DeleteTask.ts"
import type * as Files from "./Files.ts"
import { quickFiles, scopeOf } from "./internal/deleteElements.ts"
import { share } from "./internal/sharing.ts"
import { QuickFiles, type Sides, type Where } from "./QuickFiles.ts"

class Tasks extends RpcGroup.make(DeleteBatch) {}

type Payload = Task.Payload<typeof DeleteBatch>

const handle = <E, R>(remove: (payload: Payload) => Effect.Effect<Task.Success<typeof DeleteNames>, E, R>) => ({
  [DeleteBatch._tag]: (payload: Payload) =>
    Effect.map(remove(payload), ({ rest }) => ({ _tag: "Batch", rest }) as const)
})

/**
 * Layer that removes everything here.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> = Tasks.toLayer(
  handle((payload) => DeleteNamesLive.remove(payload))
)

/**
 * Layer that removes the first names here, where that is quick, and has others remove the rest. They are started only
 * when there is something for them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShared = <E>(
  others: Sides<typeof DeleteNames, E>,
  payload: DeletePayload,
  /** After so many times 64 names others are asked, or 0.7 ms more: what 30,000 are by default. */
  { startsAfter = 30_000 / 64 }: Pick<Where, "startsAfter"> = {}
): Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> =>
  Tasks.toLayer(Effect.gen(function*() {
    const { isSlow } = yield* QuickFiles
    const shared = yield* share(DeleteNames, others, { quick: yield* quickFiles(scopeOf(payload)), startsAfter })
    return handle((payload) =>
      shared({
        key: payload,
        payload,
        files: payload.size,
        work: (isQuick) => DeleteNamesLive.remove(payload, () => !isQuick || !isSlow())
      })
    )
  }))
