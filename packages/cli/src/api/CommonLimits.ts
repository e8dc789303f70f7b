/**
 * Limits that all processes of a database keep together.
 */
import { JobManager } from "@fanout/core/JobManager"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Effect from "effect/Effect"
import type * as Api from "./Api.ts"

/** All limits that are set: first those of jobs, then rates, each by name. */
export const list: Effect.Effect<ReadonlyArray<Api.CommonLimit>, JobStoreError, JobManager> = Effect.gen(function*() {
  const manager = yield* JobManager
  const jobs = yield* manager.concurrencies
  const rates = yield* manager.rates
  return [
    ...jobs.map(({ most, name }) => ({ kind: "jobs" as const, name, most })),
    ...rates.map(({ name, perSecond }) => ({ kind: "rate" as const, name, most: perSecond }))
  ]
})

/** Sets one of them. */
export const set = (
  { kind, most, name }: Api.CommonLimitChange
): Effect.Effect<void, JobStoreError, JobManager> =>
  JobManager.use((manager) => kind === "jobs" ? manager.setConcurrency(name, most) : manager.setRate(name, most))
