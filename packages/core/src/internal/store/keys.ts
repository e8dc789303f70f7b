/**
 * Tells which job stands for a new one.
 */
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import type { JobSchedule } from "../../JobSchedule.ts"

/** Whether a job stands for a new job: it is that job, or has its idempotency key. */
export const standsFor = (stored: JobRecord, fresh: JobRecord): boolean =>
  stored.id === fresh.id || Option.exists(fresh.idempotencyKey, (key) => Option.contains(stored.idempotencyKey, key))

/** A schedule whose last job is the stored one, if that was found in the place of the new one. */
export const withStored = (schedule: JobSchedule, fresh: JobId, stored: JobId): JobSchedule =>
  fresh !== stored && Option.contains(schedule.lastJob, fresh)
    ? schedule.with({ lastJob: Option.some(stored) })
    : schedule
