import type * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlite } from "@fanout/core/node"
import type * as Layer from "effect/Layer"
import { isLong } from "../../../test/effort.ts"
import { isTried } from "../../../tools/sqlTried.mjs"

/**
 * Has a suite about jobs run in memory. It runs on SQLite too in the long mode, and since a store on SQL was changed:
 * what a store is to do is tried on each by its contract, and by the comparison with the store in memory.
 */
export const onStores = (
  suite: (name: string, store: Layer.Layer<JobStore.JobStore, JobStoreError>) => void
): void => {
  suite("memory", MemoryJobStore.layer)
  if (isLong || !isTried) suite("SQLite", layerSqlite({ filename: ":memory:" }))
}
