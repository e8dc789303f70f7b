/**
 * Handler of the task `ReadMedia`.
 *
 * What reads files is loaded by the first of them.
 */
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Files from "./Files.ts"
import { ReadMedia, ThreadTasks } from "./MediaTask.ts"

/**
 * Layer that supplies the handler. It belongs on threads: a hostile file may keep it for as long as its deadline.
 *
 * @category layers
 */
export const layer: Layer.Layer<Task.Handler<typeof ReadMedia>, never, Files.Files> = ThreadTasks.toLayer(
  Effect.map(Files.Files, (files) => ({
    [ReadMedia._tag]: (payload: Task.Payload<typeof ReadMedia>) =>
      Effect.promise(() => import("./internal/media/mediaReader.ts")).pipe(
        Effect.flatMap(({ readMedia }) => readMedia(payload)),
        Effect.provideService(Files.Files, files)
      )
  }))
)
