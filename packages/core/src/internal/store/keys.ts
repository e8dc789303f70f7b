/**
 * Compares the keys of jobs.
 */
import * as Option from "effect/Option"
import type { JobRecord } from "../../JobRecord.ts"

/** Whether a job stands for a new job: it is that job, or has its idempotency key. */
export const standsFor = (stored: JobRecord, fresh: JobRecord): boolean =>
  stored.id === fresh.id || Option.exists(fresh.idempotencyKey, (key) => Option.contains(stored.idempotencyKey, key))
