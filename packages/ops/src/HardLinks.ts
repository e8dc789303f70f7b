/**
 * Remembers where a copy has put files that have several names, so that the other names become names of the same copy.
 *
 * @since 0.1.0
 */
import type * as JobId from "@fanout/core/JobId"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FilePath from "./FilePath.ts"

/**
 * What remembers them.
 *
 * @category models
 * @since 0.1.0
 */
export interface HardLinks {
  /** Where the job has put some of these files. The edition of one tells it from all others, and from what it was. */
  readonly find: (
    job: JobId.JobId,
    editions: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, FilePath.FilePath>, JobStoreError>

  /** Remembers where the job has put a file, in place of where it was before. */
  readonly add: (
    job: JobId.JobId,
    edition: string,
    target: FilePath.FilePath
  ) => Effect.Effect<void, JobStoreError>

  /** Forgets all files of the job. */
  readonly forget: (job: JobId.JobId) => Effect.Effect<void, JobStoreError>
}

/**
 * Reference to what remembers them; by default nothing does, and each name becomes a file of its own.
 *
 * @category services
 * @since 0.1.0
 */
export const HardLinks: Context.Reference<HardLinks> = Context.Reference<HardLinks>("@fanout/ops/HardLinks", {
  defaultValue: () => ({ find: () => Effect.succeed(new Map()), add: () => Effect.void, forget: () => Effect.void })
})
