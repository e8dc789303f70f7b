/**
 * Gives commands a runtime of jobs, loaded only when one needs it.
 */
import * as JobId from "@fanout/core/JobId"
import { type Claim, JobManager } from "@fanout/core/JobManager"
import type { JobManagerError } from "@fanout/core/JobManagerError"
import type { JobRecord, JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import type { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import { type FilePath, isAddress } from "@fanout/ops/FilePath"
import type { Files } from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Stop from "../exit/Stop.ts"
import * as Host from "../host/Host.ts"
import type { Membership } from "../options/ClusterFlags.ts"
import * as Settings from "../options/Settings.ts"

/** How a command runs jobs. */
export interface Options {
  readonly claim: Claim
  /** How many files are worked on at the same time; as many as are right for `paths` where nobody says. */
  readonly concurrency?: Option.Option<number>
  /** What is worked on, from the root on. */
  readonly paths?: ReadonlyArray<FilePath>
  /** Whether what is recorded is to survive a power cut at once. */
  readonly isDurable?: boolean
  /** How this process takes part in a cluster, if it does. */
  readonly membership?: Membership | undefined
}

/** Says what went wrong with jobs, and the way out. */
export const explained = <A, R>(
  effect: Effect.Effect<A, JobManagerError | JobStoreError | Stop.Stop, R>
): Effect.Effect<A, Stop.Stop, R | typeof Settings.db["Identifier"]> =>
  Effect.flatMap(Settings.database, ({ shown }) =>
    Effect.catchTags(effect, {
      JobManagerError: (error) => Effect.fail(Stop.fromManager(error)),
      JobStoreError: (error) => Effect.fail(Stop.fromStore(shown)(error))
    }))

/** Runs an effect beside a manager of jobs, or its host, and says what went wrong with them. */
export const withJobs =
  (options: Options) =>
  <A, R>(effect: Effect.Effect<A, JobManagerError | JobStoreError | Stop.Stop, R>): Effect.Effect<
    A,
    Stop.Stop,
    Exclude<R, JobManager | JobStore | OwnerLiveness> | typeof Settings.db["Identifier"]
  > =>
    Effect.gen(function*() {
      const host = yield* Host.Current
      if (host !== undefined) return yield* explained(Effect.provide(effect, host.services))
      const database = yield* Settings.database
      const { layer } = yield* Effect.promise(() => import("../MainLayer.ts"))
      return yield* explained(Effect.provide(effect, layer(database, options)))
    })

/** Runs an effect on the files of this machine. */
export const withFiles = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Files>> =>
  Effect.flatMap(
    Effect.promise(() => import("@fanout/ops/SystemFiles")),
    ({ layer }) => Effect.provide(effect, layer)
  )

/** Runs an effect on the files of this machine, and on objects where some of these are addresses. */
export const withFilesAt = <A, E, R>(
  paths: ReadonlyArray<FilePath>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Files>> =>
  paths.some(isAddress)
    ? Effect.flatMap(
      Effect.promise(() => import("@fanout/ops/clouds")),
      ({ layer, layerFiles }) => withFiles(Effect.provide(effect, Layer.provide(layerFiles, layer())))
    )
    : withFiles(effect)

/** Tells whether this command has code for a job. Without it only its own program can run it. */
export const hasCode = ({ name }: Pick<JobRecord, "name">): Effect.Effect<boolean> =>
  Effect.map(
    Effect.promise(() => import("../MainLayer.ts")),
    ({ jobs }) => jobs.some((job) => job.name === name)
  )

/** So many ids are named where several begin alike. */
const named = 5

/** Finds the job that has this id, or the only one whose id begins like that. */
export const find = (text: string): Effect.Effect<JobRecord, JobStoreError | Stop.Stop, JobManager> =>
  JobManager.use((manager) =>
    Effect.catchReason(
      manager.get(JobId.make(text)),
      "JobStoreError",
      "JobNotFound",
      Effect.fnUntraced(function*(_, error) {
        const found = yield* manager.list({ idPrefix: text, limit: named + 1 })
        const [only, ...others] = found
        if (only === undefined) return yield* error
        if (others.length === 0) return only
        const ids = found.slice(0, named).map(({ id }) => id).join(", ")
        const [many, end] = found.length > named ? [`more than ${named}`, ", …"] : [found.length, "."]
        return yield* Stop.usage(`"${text}" is the beginning of ${many} ids: ${ids}${end}`)
      })
    )
  )
