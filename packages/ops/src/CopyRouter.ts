/**
 * Chooses the strategy for each thing that is copied.
 *
 * @since 0.1.0
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChunkedCopy from "./ChunkedCopy.ts"
import { CopyError, Reason } from "./CopyError.ts"
import type { Copied, CopyRequest, CopyStrategy } from "./CopyStrategy.ts"
import type * as Files from "./Files.ts"
import * as FolderCopy from "./FolderCopy.ts"
import * as UnnamedFiles from "./internal/unnamedFiles.ts"
import * as LinkCopy from "./LinkCopy.ts"
import * as Place from "./Place.ts"
import * as WholeCopy from "./WholeCopy.ts"

/**
 * Service that copies one file, one link, or one folder without what is in it.
 *
 * @category services
 * @since 0.1.0
 */
export class CopyRouter extends Context.Service<CopyRouter, {
  /** Copies by the first strategy that accepts the source and does not find itself unsupported. */
  readonly copy: (request: CopyRequest) => Effect.Effect<Copied, CopyError | Interrupted, Files.Files>
}>()("@fanout/ops/CopyRouter") {}

/**
 * The strategies of this package, the more particular ones first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const strategies: ReadonlyArray<CopyStrategy> = [
  FolderCopy.strategy,
  LinkCopy.strategy,
  WholeCopy.strategy,
  ChunkedCopy.strategy
]

/**
 * Layer that chooses among these strategies, in their order.
 *
 * @category layers
 * @since 0.1.0
 */
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

/**
 * Layer that chooses among the strategies of this package.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<CopyRouter> = layerOf(strategies)
