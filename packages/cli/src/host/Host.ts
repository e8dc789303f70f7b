/**
 * Has a command start its job elsewhere than in its own process: to see what it would start, or as the job of a tick.
 */
import type * as Job from "@fanout/core/Job"
import type { JobId } from "@fanout/core/JobId"
import type { JobManager } from "@fanout/core/JobManager"
import type { JobSettings, JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import type { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import type * as Task from "@fanout/core/Task"
import type { FilePath } from "@fanout/ops/FilePath"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Stop from "../exit/Stop.ts"
import type { Output } from "../run/RunJob.ts"

/** Job as its definition says, without what runs it. */
export type Definition<N extends string, P extends Task.Codec, S extends Task.Codec, E extends Task.Codec> = Omit<
  Job.Job<N, P, S, E>,
  "toLayer"
>

/** What does for a command what else it would do by itself. Nobody can be asked anything. */
export interface Host {
  /** Folder that relative paths start from. */
  readonly folder: FilePath
  /** Services in the place of those that a command has beside its jobs. */
  readonly services: Layer.Layer<JobManager | JobStore | OwnerLiveness>
  /** The job that the command goes on with in the place of a new one. */
  readonly find: <N extends string, P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
    job: Definition<N, P, S, E>
  ) => Effect.Effect<Option.Option<{ readonly id: JobId; readonly payload: P["Type"] }>, Stop.Stop>
  readonly start: <N extends string, P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
    job: Definition<N, P, S, E>,
    payload: P["Type"],
    settings: JobSettings
  ) => Effect.Effect<JobId, Stop.Stop>
  /** Waits until the job is over, and writes what it came to. */
  readonly run: (output: Output | undefined) => Effect.Effect<void, Stop.Stop | JobStoreError>
}

/** The host of the command that runs now; `undefined` for one that a person has started. */
export const Current = Context.Reference<Host | undefined>("@fanout/cli/Host", { defaultValue: () => undefined })

/** The host of the fiber that calls this. */
export const currentUnsafe = (): Host | undefined => Fiber.getCurrent()?.getRef(Current)
