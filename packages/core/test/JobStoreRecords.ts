import * as JobId from "@fanout/core/JobId"
import { JobSchedule } from "@fanout/core/JobSchedule"
import * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import type { Outcome } from "@fanout/core/Outcome"
import { Owner } from "@fanout/core/OwnerLiveness"
import * as Progress from "@fanout/core/Progress"
import * as Option from "effect/Option"

type Fields = Partial<ConstructorParameters<typeof JobStore.JobRecord>[0]>

export const counters = { attempt: 1, tries: 0 }
export const owner = new Owner({ machine: "m", boot: "b", process: "p" })

/** A new job; its id is its name unless it is given. */
export const job = (text: string, fields: Fields = {}): JobStore.JobRecord =>
  new JobStore.JobRecord({
    id: JobId.make(text),
    name: "copy",
    version: 1,
    payload: { from: "a", to: "b" },
    idempotencyKey: Option.none(),
    exclusiveKey: Option.none(),
    parent: Option.none(),
    scheduled: Option.none(),
    tags: [],
    priority: 0,
    limits: {},
    state: JobState.initial,
    exit: Option.none(),
    request: Option.none(),
    lease: Option.none(),
    token: 0,
    ownersLost: 0,
    createdAt: 1_000,
    updatedAt: 1_000,
    availableAt: 1_000,
    finishedAt: Option.none(),
    revision: 0,
    ...fields
  })

/** A new schedule of copies. */
export const schedule = (
  name: string,
  fields: Partial<ConstructorParameters<typeof JobSchedule>[0]> = {}
): JobSchedule =>
  new JobSchedule({
    name,
    cron: "0 3 * * *",
    timeZone: "UTC",
    missed: "latest",
    job: "copy",
    version: 1,
    payload: { from: "a" },
    idempotencyKey: Option.none(),
    exclusiveKey: Option.none(),
    priority: 0,
    limits: {},
    tags: [],
    nextAt: 1_000,
    overlap: "start",
    jitterMillis: 0,
    failures: Option.none(),
    waiting: [],
    pausedAt: Option.none(),
    pausedBy: Option.none(),
    resumedAt: Option.none(),
    lastAt: Option.none(),
    lastJob: Option.none(),
    revision: 0,
    ...fields
  })

export const owned = (token: number): Fields => ({
  state: JobState.JobState.cases.Running.make(counters),
  lease: Option.some({ token, owner }),
  token
})
export const finished = (at: number): Fields => ({
  state: JobState.JobState.cases.Completed.make(counters),
  lease: Option.none(),
  finishedAt: Option.some(at)
})

export const outcome = {
  done: (value: string): Outcome => ({ _tag: "Done", value }),
  skipped: (reason: string): Outcome => ({ _tag: "Skipped", reason, count: 1 }),
  failed: (message: string): Outcome => ({ _tag: "Failed", failure: { _tag: "Defect", message } })
}

export const row = (cursor: string, of: Outcome = outcome.failed("no"), fanOut = "files"): JobStore.OutcomeRow =>
  new JobStore.OutcomeRow({
    fanOut,
    cursor,
    key: `/${cursor}`,
    payload: { path: cursor },
    origin: null,
    outcome: of,
    attempt: 1,
    at: 2_000
  })

export const flush = (token: number, fields: Partial<JobStore.Flush> = {}): JobStore.Flush => ({
  token,
  fanOut: "files",
  checkpoint: "{}",
  rows: [],
  cleared: [],
  progress: Progress.empty,
  ...fields
})
