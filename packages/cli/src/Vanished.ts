/**
 * Tells items that vanished from those that were skipped on purpose. The tally has but one number for both.
 */
import { JobManager } from "@fanout/core/JobManager"
import type { JobRecord, OutcomeRow } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import type { Progress } from "@fanout/core/Progress"
import { isVanished } from "@fanout/ops/SkipReason"
import type * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

// As many rows are read in a moment; where somebody has skipped a million files on purpose, that is all that is said.
const readable = 10_000

/** Rows of the items of a job that vanished; none where there are too many skipped ones to look through. */
export const rows = (
  { id }: JobRecord,
  { tally: { skipped } }: Progress
): Stream.Stream<OutcomeRow, JobStoreError, JobManager> =>
  skipped === 0 || skipped > readable
    ? Stream.empty
    : Stream.unwrap(JobManager.useSync((manager) => manager.outcomes(id, ["Skipped"]))).pipe(
      Stream.filter(({ outcome }) => isVanished(outcome))
    )

/** How many items of a job vanished: a folder may stand for many. */
export const count = (record: JobRecord, progress: Progress): Effect.Effect<number, JobStoreError, JobManager> =>
  Stream.runFold(
    rows(record, progress),
    () => 0,
    (sum, { outcome }) => outcome._tag === "Skipped" ? sum + outcome.count : sum
  )
