/**
 * Has a move work with objects: as a copy does, and each source is removed once its copy is recorded.
 */
import type * as Job from "@fanout/core/Job"
import type { JobId } from "@fanout/core/JobId"
import * as Effect from "effect/Effect"
import type * as Copy from "../../Copy.ts"
import * as Move from "../../Move.ts"
import { abortUploads, layer } from "./objectCopyLive.ts"
import { layerFiles } from "./objectFiles.ts"

/** Program of a move with addresses. */
export const program = (payload: Copy.Payload) => Effect.provide(Move.program(payload), layer(payload.transfers))

/** Removes what a cancelled move with addresses has left, and gives files that were put aside their names again. */
export const onCancel = (payload: Copy.Payload, id: JobId, saved: Job.Saved) =>
  Effect.andThen(abortUploads(saved), Effect.provide(Move.onCancel(payload, id, saved), layerFiles))
