/**
 * Remembers where a copy has put files that have several names, so that the other names become names of the same copy.
 *
 * @since 0.1.0
 */
import type * as JobId from "@fanout/core/JobId"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as FilePath from "./FilePath.ts"

/**
 * Service that remembers them.
 *
 * @category services
 * @since 0.1.0
 */
export class HardLinks extends Context.Service<HardLinks, {
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
}>()("@fanout/ops/HardLinks") {}

const refuse = Effect.die(
  new Error("Hard links are to be kept, and nothing remembers them: provide SqlHardLinks.layer, or FileJobs.layer")
)

/**
 * Remembers nothing: a job that is to keep hard links is refused when it starts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const none: HardLinks["Service"] = { find: () => refuse, add: () => refuse, forget: () => refuse }

/**
 * Layer for jobs that keep no hard links. One that is to keep them, as a move does, is refused when it starts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<HardLinks> = Layer.succeed(HardLinks, none)
