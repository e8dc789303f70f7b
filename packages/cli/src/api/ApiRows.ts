/**
 * Gives what is known of jobs and their elements the form that the API has. Pure: records go in, rows come out.
 */
import type { JobId } from "@fanout/core/JobId"
import * as JobPriority from "@fanout/core/JobPriority"
import type { JobSchedule, Tick } from "@fanout/core/JobSchedule"
import * as JobState from "@fanout/core/JobState"
import type { JobOverview, JobStatus } from "@fanout/core/JobStatus"
import type { JobRecord, LogEntry, OutcomeRow, StateCounts } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Option from "effect/Option"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import { leftMillis, shareDone } from "../ui/progressLine.ts"
import * as scheduleText from "../ui/scheduleText.ts"
import * as summary from "../ui/summary.ts"
import type * as Api from "./Api.ts"

/** What a program knows of jobs beside what is stored of them. */
export interface Knowledge {
  /** What a job is to do, in a few words. */
  readonly title: (record: JobRecord) => string
  /** What a job is to do, in full, behind the name of a field. */
  readonly field: (record: JobRecord) => readonly [name: string, value: string]
  /** What a schedule runs: in a few words, and as a command with its folder, if it is one. */
  readonly scheduled: (schedule: JobSchedule) => Pick<Api.Schedule, "what" | "command" | "folder">
  /** Whether there is a program for jobs of this name. */
  readonly hasCode: (name: string) => boolean
}

/** Knowledge of a program that knows nothing else. */
export const nothingElse: Knowledge = {
  title: ({ name }) => format.printable(name),
  field: ({ payload }) => ["payload", format.printable(JSON.stringify(payload))],
  scheduled: ({ job }) => ({ what: format.printable(job), command: null, folder: null }),
  hasCode: () => false
}

const progressOf = ({ isOwnerDead, progress, record }: JobOverview): Api.Progress => {
  const { rates, startedAt, ...counted } = events.progress(progress)
  const isMoving = record.state._tag === "Running" && !isOwnerDead
  return {
    ...counted,
    rates: isMoving ? rates : {},
    startedAt,
    share: shareDone(progress) ?? null,
    leftMillis: isMoving ? leftMillis(progress) ?? null : null
  }
}

/** What the state of a job allows. */
const actionsOf = ({ request, state }: JobRecord): ReadonlyArray<Api.Action> => {
  const isAsked = (what: string) => Option.exists(request, (asked) => asked === what)
  const isActive = JobState.isActive(state)
  const canPause = (state._tag === "Queued" || state._tag === "Running") && Option.isNone(request)
  const canResume = state._tag === "Paused" || isAsked("Pause")
  const canCancel = isActive ? !isAsked("Cancel") : state._tag === "Failed"
  const canRetry = state._tag === "Failed" || state._tag === "CompletedWithErrors"
  return [
    ...canPause ? ["pause" as const] : [],
    ...canResume ? ["resume" as const] : [],
    ...canRetry ? ["retry" as const] : [],
    ...canCancel ? ["cancel" as const] : []
  ]
}

/** Job of a list. */
export const job = (overview: JobOverview, { title }: Knowledge): Api.JobRow => {
  const { isOwnerDead, progress, record } = overview
  const why = summary.why(record)
  return {
    id: record.id,
    name: record.name,
    title: title(record),
    state: record.state._tag,
    stateText: summary.shortState(record, isOwnerDead),
    pausedBy: record.state._tag === "Paused" ? record.state.by : null,
    request: Option.getOrNull(record.request),
    isOwnerDead,
    error: why === "" ? null : why,
    actions: actionsOf(record),
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    finishedAt: Option.getOrNull(record.finishedAt),
    parent: Option.getOrNull(Option.map(record.parent, ({ id }) => id)),
    schedule: Option.getOrNull(Option.map(record.scheduled, ({ schedule }) => schedule)),
    counted: summary.countsOf(record, progress),
    progress: progressOf(overview)
  }
}

/** Job of a level of the tree. */
export const child = (
  overview: JobOverview,
  children: StateCounts | undefined,
  knowledge: Knowledge
): Api.ChildRow => ({
  ...job(overview, knowledge),
  children: { ...children }
})

/** Commands that look at a job, or ask something of it. */
const commandsOf = (id: JobId, actions: ReadonlyArray<Api.Action>, goesOnHere: boolean): ReadonlyArray<string> => {
  const asking = actions.filter((action) => action !== "resume" || !goesOnHere)
  return [...goesOnHere ? ["resume"] : [], ...asking, "show", "logs"].map((word) => `fanout jobs ${word} ${id}`)
}

/** All that is known of a job. */
export const detail = (status: JobStatus, knowledge: Knowledge): Api.JobDetail => {
  const { children, isOwnerDead, progress, record } = status
  const hasCode = knowledge.hasCode(record.name)
  const row = job(status, knowledge)
  const { bytesPerSecond = null, concurrency = null } = record.limits
  return {
    ...row,
    what: knowledge.field(record),
    standing: summary.state(record, isOwnerDead),
    next: summary.next(record, hasCode, isOwnerDead),
    version: record.version,
    attempt: record.state.attempt,
    only: summary.only(record) || null,
    priority: JobPriority.nameOf(record.priority),
    limits: { bytesPerSecond, concurrency },
    isThrottled: summary.isThrottled(record.name, hasCode),
    tags: record.tags,
    owner: Option.getOrNull(
      Option.map(record.lease, ({ owner, token }) => ({ token, process: owner.process, machine: owner.machine }))
    ),
    hasCode,
    children: { ...children },
    warnings: summary.warnings(progress),
    commands: commandsOf(record.id, row.actions, record.state._tag === "Paused" || isOwnerDead),
    payload: record.payload
  }
}

const messageOf = Outcome.Outcome.match({
  Done: () => "",
  Skipped: ({ reason }) => format.printable(reason),
  Failed: ({ failure }) => format.printable(Outcome.message(failure))
})

/** Recorded element. */
export const item = ([seq, { at, attempt, fanOut, key, outcome }]: readonly [number, OutcomeRow]): Api.Item => ({
  seq,
  fanOut: format.printable(fanOut),
  key: format.printable(key),
  outcome: outcome._tag,
  cause: outcome._tag === "Failed" ? Outcome.cause(outcome.failure) : null,
  message: messageOf(outcome),
  count: outcome._tag === "Failed" ? 1 : outcome.count ?? 1,
  attempt,
  at
})

const standingOf = (schedule: JobSchedule, next: ReadonlyArray<Tick>, now: number): Api.Schedule["state"] => {
  if (Option.isSome(schedule.pausedAt)) return "paused"
  if (schedule.waiting.length > 0) return "waiting"
  if (schedule.nextAt + schedule.jitterMillis <= now) return "due"
  return next.length === 0 ? "over" : "on"
}

/** Schedule with its next ticks and its last job. */
export const schedule = (
  one: JobSchedule,
  next: ReadonlyArray<Tick>,
  last: JobOverview | undefined,
  now: number,
  { hasCode, scheduled }: Knowledge
): Api.Schedule => {
  const state = standingOf(one, next, now)
  return {
    ...scheduled(one),
    name: one.name,
    when: format.printable(scheduleText.times(one.cron)),
    cron: one.cron,
    timeZone: one.timeZone,
    state,
    stateText: state === "on" ? "on" : scheduleText.next(one, next, now),
    next: next.map(({ startsAt }) => startsAt),
    lastAt: Option.getOrNull(one.lastAt),
    last: last === undefined ? null : {
      id: last.record.id,
      state: last.record.state._tag,
      stateText: summary.shortState(last.record, last.isOwnerDead),
      isOwnerDead: last.isOwnerDead,
      error: summary.why(last.record) === "" ? null : summary.why(last.record)
    },
    missed: scheduleText.missed[one.missed],
    overlap: scheduleText.overlap[one.overlap],
    jitterMillis: one.jitterMillis,
    failures: Option.getOrNull(one.failures),
    pausedAt: Option.getOrNull(one.pausedAt),
    job: one.job,
    hasCode: hasCode(one.job)
  }
}

/** Line of a log. */
export const logLine = ({ at, level, message, seq }: LogEntry): Api.LogLine => ({
  seq,
  at,
  level,
  message: format.printable(message)
})
