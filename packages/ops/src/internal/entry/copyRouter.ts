/**
 * Chooses the strategy for each thing that is copied.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Files from "../../Files.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import * as UnnamedFiles from "../steps/unnamedFiles.ts"
import * as ChunkedCopy from "./chunkedCopy.ts"
import type { Copied, CopyRequest, CopyStrategy } from "./copyStrategy.ts"
import * as FolderCopy from "./folderCopy.ts"
import * as LinkCopy from "./linkCopy.ts"
import * as WholeCopy from "./wholeCopy.ts"

/** Service that copies one file, one link, or one folder without what is in it. */
export class CopyRouter extends Context.Service<CopyRouter, {
  /** Copies by the first strategy that accepts the source and does not find itself unsupported. */
  readonly copy: (request: CopyRequest) => Effect.Effect<Copied, CopyError | Interrupted, Files.Files>
}>()("@fanout/ops/CopyRouter") {}

/** The strategies of this package, the more particular ones first. */
export const strategies: ReadonlyArray<CopyStrategy> = [
  FolderCopy.strategy,
  LinkCopy.strategy,
  WholeCopy.strategy,
  ChunkedCopy.strategy
]

/** Layer that chooses among these strategies, in their order. */
export const layerOf = (strategies: ReadonlyArray<CopyStrategy>): Layer.Layer<CopyRouter> =>
  Layer.sync(CopyRouter, () => {
    const unnamed = UnnamedFiles.makeUnsafe()
    const copy = Effect.fnUntraced(function*(request: CopyRequest) {
      for (const strategy of strategies) {
        if (!strategy.accepts(request.stat, request.options)) continue
        const copied = yield* Effect.catchReason(
          strategy.copy(request),
          "CopyError",
          "Unsupported",
          () => Effect.undefined
        )
        if (copied !== undefined) return copied
      }
      return yield* new CopyError({ reason: Reason.cases.Unsupported.make({ path: Place.path(request.source) }) })
    })
    return { copy: (request) => Effect.provideService(copy(request), UnnamedFiles.UnnamedFiles, unnamed) }
  })

/** Layer that chooses among the strategies of this package. */
export const layer: Layer.Layer<CopyRouter> = layerOf(strategies)
