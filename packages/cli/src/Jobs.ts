/**
 * Gives commands a runtime of jobs, loaded only when one needs it.
 */
import type { Claim, JobManager } from "@fanout/core/JobManager"
import type { JobManagerError } from "@fanout/core/JobManagerError"
import type { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import type { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Settings from "./Settings.ts"
import * as Stop from "./Stop.ts"
import type { StoreHealth } from "./StoreHealth.ts"

/** How a command runs jobs. */
export interface Options {
  readonly claim: Claim
  readonly concurrency?: Option.Option<number>
}

/** Number of files worked on at the same time, where nobody says how many. */
const defaultConcurrency = 16

/** Runs an effect beside a manager of jobs, and says what went wrong with them. */
export const withJobs =
  ({ claim, concurrency = Option.none() }: Options) =>
  <A, R>(effect: Effect.Effect<A, JobManagerError | JobStoreError | Stop.Stop, R>): Effect.Effect<
    A,
    Stop.Stop,
    Exclude<R, JobManager | JobStore | OwnerLiveness | StoreHealth> | typeof Settings.db["Identifier"]
  > =>
    Effect.gen(function*() {
      const filename = yield* Settings.database
      const { layer } = yield* Effect.promise(() => import("./MainLayer.ts"))
      const runtime = layer({
        claim,
        concurrency: Option.getOrElse(concurrency, () => defaultConcurrency),
        filename
      })
      return yield* effect.pipe(
        Effect.provide(runtime),
        Effect.catchTags({
          JobManagerError: (error) => Effect.fail(Stop.fromManager(error)),
          JobStoreError: (error) => Effect.fail(Stop.fromStore(filename)(error))
        })
      )
    })
