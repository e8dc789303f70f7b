/**
 * Handlers of the tasks `HashFiles` and `CheckFile`.
 *
 * @since 0.1.0
 */
import type * as Task from "@fanout/core/Task"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Files from "./Files.ts"
import * as HashCache from "./HashCache.ts"
import { CheckFile, HashFiles, ThreadTasks } from "./HashTask.ts"
import { checkFile } from "./internal/checkFile.ts"
import { hashFiles } from "./internal/hashFiles.ts"
import * as HugeContent from "./internal/hugeContent.ts"

/**
 * Layer that supplies the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof HashFiles | typeof CheckFile>, never, Files.Files> = ThreadTasks
  .toLayer(
    Effect.gen(function*() {
      const context = Context.make(Files.Files, yield* Files.Files).pipe(
        Context.add(HashCache.HashCache, yield* HashCache.HashCache),
        Context.add(HugeContent.Limits, yield* HugeContent.Limits)
      )
      return {
        [HashFiles._tag]: (payload: Task.Payload<typeof HashFiles>) =>
          Effect.provideContext(hashFiles(payload), context),
        [CheckFile._tag]: (payload: Task.Payload<typeof CheckFile>) =>
          Effect.provideContext(checkFile(payload), context)
      }
    })
  )
