/**
 * Handlers of the tasks `HashFiles` and `CheckFile`.
 *
 * @since 0.1.0
 */
import type * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import type { FilePath } from "./FilePath.ts"
import * as Files from "./Files.ts"
import * as HashCache from "./HashCache.ts"
import { CheckFile, HashFiles, ThreadTasks } from "./HashTask.ts"
import { checkFile } from "./internal/checkFile.ts"
import { hashFiles, isLimited } from "./internal/hashFiles.ts"
import * as HugeContent from "./internal/hugeContent.ts"
import { share } from "./internal/sharing.ts"
import { type Others, QuickFiles } from "./QuickFiles.ts"

/** What the handlers take from where their layer is built. */
const context = Effect.gen(function*() {
  return Context.make(HashCache.HashCache, yield* HashCache.HashCache).pipe(
    Context.add(HugeContent.Limits, yield* HugeContent.Limits)
  )
})

/**
 * Layer that supplies the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof HashFiles | typeof CheckFile>, never, Files.Files> = ThreadTasks
  .toLayer(
    Effect.gen(function*() {
      const services = Context.add(yield* context, Files.Files, yield* Files.Files)
      return {
        [HashFiles._tag]: (payload: Task.Payload<typeof HashFiles>) =>
          Effect.provideContext(hashFiles(payload), services),
        [CheckFile._tag]: (payload: Task.Payload<typeof CheckFile>) =>
          Effect.provideContext(checkFile(payload), services)
      }
    })
  )

class Shared extends RpcGroup.make(HashFiles) {}

/**
 * Layer that hashes the first files under these real paths here, where that is quick, and has others hash the rest, and
 * those that take long. They are started only when there is something for them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShared = <E>(
  others: Others<typeof HashFiles, E>,
  { paths, startsAfter = 2 }: {
    readonly paths: ReadonlyArray<FilePath>
    /** As many folders, or parts of such, are done here before anybody else is asked: 2 by default. */
    readonly startsAfter?: number
  }
): Layer.Layer<Task.Handler<typeof HashFiles>, never, Files.Files> =>
  Shared.toLayer(Effect.gen(function*() {
    const files = yield* Files.Files
    const quick = Option.getOrUndefined(yield* (yield* QuickFiles).throughout(paths))
    const services = yield* context
    const shared = yield* share(HashFiles, others, startsAfter)
    const hashBy = (payload: Task.Payload<typeof HashFiles>, by: Files.Files["Service"]) =>
      Effect.provideContext(hashFiles(payload), Context.add(services, Files.Files, by))
    return {
      [HashFiles._tag]: Effect.fnUntraced(function*(payload: Task.Payload<typeof HashFiles>) {
        if (yield* isLimited) return yield* hashBy(payload, files)
        return yield* shared({
          key: payload,
          payload,
          quick: quick === undefined || payload.isAlone === true ? undefined : hashBy(payload, quick),
          slow: hashBy(payload, files)
        }).pipe(
          Effect.tap(({ sizesBytes }) => TaskDispatcher.throttle(sizesBytes.reduce((sum, bytes) => sum + bytes, 0))),
          // Where a rate is set meanwhile, it is for the files that follow.
          Effect.provideService(TaskDispatcher.Current, Option.none())
        )
      })
    }
  }))
