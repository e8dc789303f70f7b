/**
 * Writes what happens as NDJSON: one object on each line, `v` says which version of this form it has.
 */
import type { JobEvent } from "@fanout/core/JobManager"
import * as JobPriority from "@fanout/core/JobPriority"
import type { JobSchedule, Tick } from "@fanout/core/JobSchedule"
import type { JobRecord, LogEntry, OutcomeRow } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import type { Progress } from "@fanout/core/Progress"
import { countVanished, isVanished } from "@fanout/ops/SkipReason"
import * as Match from "effect/Match"
import * as Option from "effect/Option"
import * as summary from "./summary.ts"

/** Line of one event. */
export const line = (type: string, fields: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ v: 1, type, ...fields }).replaceAll(
    // JSON leaves these as they are, and a terminal might obey them: it may be what the lines go to.
    /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** Fields that tell of a job. */
export const job = (record: JobRecord) => ({
  id: record.id,
  name: record.name,
  version: record.version,
  state: record.state._tag,
  attempt: record.state.attempt,
  priority: JobPriority.nameOf(record.priority),
  limits: record.limits,
  ...(record.state._tag === "Paused" ? { by: record.state.by } : {}),
  ...(Option.isSome(record.parent) ? { parent: record.parent.value.id } : {}),
  ...Option.match(record.scheduled, { onNone: () => ({}), onSome: ({ at, schedule }) => ({ schedule, tick: at }) }),
  ...(Option.isSome(record.request) ? { request: record.request.value } : {}),
  ...(summary.why(record) === "" ? {} : { error: summary.why(record) }),
  createdAt: record.createdAt,
  updatedAt: record.updatedAt,
  finishedAt: Option.getOrNull(record.finishedAt)
})

/** Fields that tell of a schedule, with the times at which it runs next, and the job that it has started last. */
export const schedule = (
  schedule: JobSchedule,
  next: ReadonlyArray<Tick>,
  last: Option.Option<{ readonly record: JobRecord; readonly isOwnerDead: boolean }> = Option.none()
) => ({
  name: schedule.name,
  cron: schedule.cron,
  timeZone: schedule.timeZone,
  missed: schedule.missed,
  overlap: schedule.overlap,
  jitterMillis: schedule.jitterMillis,
  failures: Option.getOrNull(schedule.failures),
  priority: JobPriority.nameOf(schedule.priority),
  job: schedule.job,
  payload: schedule.payload,
  pausedAt: Option.getOrNull(schedule.pausedAt),
  pausedBy: Option.getOrNull(schedule.pausedBy),
  waiting: schedule.waiting,
  next: next.map(({ startsAt }) => startsAt),
  lastAt: Option.getOrNull(schedule.lastAt),
  lastJob: Option.getOrNull(schedule.lastJob),
  last: Option.match(last, {
    onNone: () => null,
    onSome: ({ isOwnerDead, record }) => ({ ...job(record), isOwnerDead })
  })
})

/** Fields that tell how far a job is. */
export const progress = (progress: Progress) => {
  const { rates = {}, startedAt, tally, totals, units } = progress
  return {
    ...summary.doneOf(progress),
    failed: tally.failed,
    skipped: tally.skipped,
    vanished: countVanished(tally),
    elements: progress.items,
    tags: tally.tags,
    causes: tally.causes ?? {},
    reasons: tally.reasons ?? {},
    units,
    totals,
    rates,
    startedAt: startedAt ?? null
  }
}

/** Fields that tell how one item ended. */
export const item = ({ attempt, at, fanOut, key, outcome }: OutcomeRow) => ({
  key,
  fanOut,
  outcome: isVanished(outcome) ? "Vanished" : outcome._tag,
  attempt,
  at,
  ...details(outcome)
})

const details = Outcome.Outcome.match({
  Done: ({ count, value }) => ({ value, ...(count === undefined ? {} : { count }) }),
  Skipped: ({ count, reason }) => ({ reason, count }),
  Failed: ({ failure }) => ({
    why: failure._tag,
    message: Outcome.message(failure),
    ...(failure._tag === "Error" ? { error: failure.error } : {})
  })
})

/** Fields of a line of a log. */
export const log = ({ at, level, message, seq }: LogEntry) => ({ seq, at, level, message })

/** Line of what a watcher sees of a job. */
export const ofJob = (id: string, event: JobEvent): string =>
  Match.valueTags(event, {
    State: ({ record }) => line("state", job(record)),
    Progress: (of) => line("progress", { id, ...progress(of.progress) }),
    Item: ({ row }) => line("item", { id, ...item(row) }),
    Log: ({ entry }) => line("log", { id, ...log(entry) })
  })
