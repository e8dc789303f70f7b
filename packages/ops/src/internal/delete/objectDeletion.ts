/**
 * What a deletion does with objects, which is supplied where addresses lead to stores.
 */
import type * as Interrupter from "@fanout/core/Interrupter"
import type { JobContext } from "@fanout/core/JobContext"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import type * as Progress from "@fanout/core/Progress"
import type { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Payload } from "../../Delete.ts"
import { DeleteError, Reason } from "../../DeleteError.ts"
import type { Entry } from "../../DeletePreview.ts"
import type * as FilePath from "../../FilePath.ts"
import type { Amounts } from "../work/elementCount.ts"
import type { DeleteRoot } from "./deleteRoot.ts"

/** The deletion of objects by one run of a job. */
interface Deletion {
  /** How much there is to remove in all, once that is asked for. */
  readonly count: Effect.Effect<Amounts>
  readonly remove: Effect.Effect<Progress.Tally, Interrupter.Interrupted | JobStoreError, JobContext | TaskDispatcher>
}

export interface ObjectDeletion {
  /** Finds what is at an address, and refuses what must not be deleted. */
  readonly find: (address: FilePath.FilePath) => Effect.Effect<DeleteRoot, DeleteError>
  /** What would become of each object. */
  readonly entries: (payload: Payload) => Stream.Stream<Entry>
  readonly of: (payload: Payload) => Deletion
}

const why = "An address can't be deleted here: supply what finds objects, as `Clouds.layerFiles` does"

/** Reference to what a deletion does with objects. Without stores, addresses are refused. */
export const ObjectDeletion = Context.Reference<ObjectDeletion>("@fanout/ops/internal/objectDeletion", {
  defaultValue: () => ({
    find: () => Effect.fail(new DeleteError({ reason: Reason.cases.Address.make({ why }) })),
    entries: () => Stream.empty,
    of: () => ({ count: Effect.succeed({}), remove: Effect.die(new Error(why)) })
  })
})
