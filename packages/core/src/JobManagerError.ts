/**
 * Errors of requests to jobs.
 */
import * as Schema from "effect/Schema"
import { JobId } from "./JobId.ts"

/**
 * Reason: the job's state does not allow the requested action.
 *
 * @category errors
 */
export class NotAllowed extends Schema.TaggedError<NotAllowed>("@fanout/core/JobManager/NotAllowed")("NotAllowed", {
  id: JobId,
  state: Schema.String,
  action: Schema.String
}) {
  override get message(): string {
    return `Job ${this.id} is ${this.state}: it can't be ${this.action}`
  }
}

/** How many elements a message names. */
const named = 10

/**
 * Reason: what a retry was limited to can't run again. `elements` are the sequence numbers of the elements that the job
 * has no such failed row for.
 *
 * @category errors
 */
export class ChoiceRefused
  extends Schema.TaggedError<ChoiceRefused>("@fanout/core/JobManager/ChoiceRefused")("ChoiceRefused", {
    id: JobId,
    elements: Schema.Array(Schema.Number),
    why: Schema.String
  })
{
  override get message(): string {
    const { elements, id, why } = this
    const rest = elements.length - named
    const which = elements.length === 0 ? "" : `: ${elements.slice(0, named).join(", ")}`
    return `Job ${id} is not retried: ${why}${which}${rest > 0 ? ` and ${rest} more` : ""}`
  }
}

/**
 * Reason: an active job of the same name holds the same exclusive key for other work.
 *
 * @category errors
 */
export class ActiveJobDiffers
  extends Schema.TaggedError<ActiveJobDiffers>("@fanout/core/JobManager/ActiveJobDiffers")("ActiveJobDiffers", {
    id: JobId,
    job: Schema.String
  })
{
  override get message(): string {
    return `Job ${this.id} (${this.job}) works on the same things with other options; let it end, or cancel it first`
  }
}

/**
 * Reason: a job of this name and key has ended already, and the start was to be refused then.
 *
 * @category errors
 */
export class AlreadyOver extends Schema.TaggedError<AlreadyOver>("@fanout/core/JobManager/AlreadyOver")("AlreadyOver", {
  id: JobId,
  state: Schema.String
}) {
  override get message(): string {
    return `Job ${this.id} has this name and key, and is ${this.state}: nothing is started`
  }
}

/**
 * Reason: a schedule's expression or time zone can't be read, or no time fits it.
 *
 * @category errors
 */
export class CronInvalid extends Schema.TaggedError<CronInvalid>("@fanout/core/JobManager/CronInvalid")("CronInvalid", {
  schedule: Schema.String,
  cron: Schema.String,
  timeZone: Schema.String,
  why: Schema.String
}) {
  override get message(): string {
    return `Schedule "${this.schedule}" can't run at "${this.cron}" (${this.timeZone}): ${this.why}`
  }
}

/**
 * Reason: no schedule has this name.
 *
 * @category errors
 */
export class ScheduleNotFound
  extends Schema.TaggedError<ScheduleNotFound>("@fanout/core/JobManager/ScheduleNotFound")("ScheduleNotFound", {
    schedule: Schema.String
  })
{
  override get message(): string {
    return `There is no schedule "${this.schedule}"`
  }
}

/**
 * Reason: the manager is shutting down. Another manager can start the job.
 *
 * @category errors
 */
export class ShuttingDown
  extends Schema.TaggedError<ShuttingDown>("@fanout/core/JobManager/ShuttingDown")("ShuttingDown", {})
{
  override get message(): string {
    return "No job is started any more: the manager is shutting down"
  }
}

/**
 * Error of a request to a job.
 *
 * @category errors
 */
export class JobManagerError
  extends Schema.TaggedError<JobManagerError>("@fanout/core/JobManagerError")("JobManagerError", {
    reason: Schema.Union([
      NotAllowed,
      ChoiceRefused,
      ActiveJobDiffers,
      AlreadyOver,
      CronInvalid,
      ScheduleNotFound,
      ShuttingDown
    ])
  })
{
  override get message(): string {
    return this.reason.message
  }
}

/**
 * Error of `JobHandle.await` for a job that ended without success and without its own typed error: the job was
 * cancelled, died, took too long, or lost its owners. If the job died, `cause` is the thrown error with its name and
 * stack.
 *
 * @category errors
 */
export class JobNotCompleted
  extends Schema.TaggedError<JobNotCompleted>("@fanout/core/JobManager/JobNotCompleted")("JobNotCompleted", {
    id: JobId,
    state: Schema.String,
    why: Schema.String,
    cause: Schema.optionalKey(Schema.Defect({ includeStack: true }))
  })
{
  override get message(): string {
    return `Job ${this.id} is ${this.state}: ${this.why}`
  }
}
