/**
 * Workers of the cluster that this process takes part in.
 */
import type { WorkerStatus } from "@fanout/core/ClusterWorkers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Reference to the workers that this process knows; none outside of a cluster. */
export const KnownWorkers = Context.Reference<Effect.Effect<ReadonlyArray<WorkerStatus>>>("@fanout/cli/KnownWorkers", {
  defaultValue: () => Effect.succeed([])
})
