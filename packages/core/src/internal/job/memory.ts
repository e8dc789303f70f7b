/**
 * What a job store in memory keeps: the JSON text that a database would keep.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { JobId } from "../../JobId.ts"
import { JobRecord, LogEntry, logLimit, OutcomeRow } from "../../JobRecord.ts"
import { JobSchedule } from "../../JobSchedule.ts"
import * as JobState from "../../JobState.ts"
import type { Astray, Flush, JobStore, Kind, ListFilter, Look } from "../../JobStore.ts"
import * as Errors from "../../JobStoreError.ts"
import type { Outcome } from "../../Outcome.ts"
import * as Progress from "../../Progress.ts"
import { renameEntries } from "./fanOutNames.ts"
import { astrayLimit, stepOf, wishOf } from "./request.ts"

type Method<Name extends "due" | "dueSchedules" | "logs" | "outcomes" | "toCancel"> = Parameters<
  JobStore["Service"][Name]
>

const json = <S extends Schema.Codec<unknown, unknown>>(schema: S) => Schema.fromJsonString(Schema.toCodecJson(schema))

const encodeJob = Schema.encodeSync(json(JobRecord))
export const decodeJob = Schema.decodeSync(json(JobRecord))
export const encodeProgress = Schema.encodeSync(json(Progress.Progress))
export const decodeProgress = Schema.decodeSync(json(Progress.Progress))
// The fields alone: a copy made with spread syntax is no instance of the class, and TypeScript lets it pass.
const encodeOutcome = Schema.encodeSync(json(Schema.Struct(OutcomeRow.fields)))
const decodeOutcome = Schema.decodeSync(json(OutcomeRow))

const encodeSchedule = Schema.encodeSync(json(JobSchedule))
const decodeSchedule = Schema.decodeSync(json(JobSchedule))

const kindKey = ({ name, version }: Kind) => `${version} ${name}`

const atMost = (limit: number) => Math.max(0, Math.floor(limit))

const fail = (reason: Errors.JobStoreError["reason"]) => Effect.fail(new Errors.JobStoreError({ reason }))

/** Stores whose transaction the current fiber is in. */
const Transactions = Context.Reference<ReadonlyArray<object>>("@fanout/core/JobStore/MemoryTransactions", {
  defaultValue: () => []
})

interface MemoryJob {
  /** Place among all jobs, in the order in which they were stored. */
  readonly order: number
  record: JobRecord
  json: string
  beat: number
  progress: string
  /** Of fan-outs. */
  readonly checkpoints: Map<string, string>
  /** Checkpoints of the job's own program. */
  readonly own: Map<string, string>
  /** In the order of `seq`: a row that replaces another is put behind all others. */
  readonly outcomes: Map<string, { seq: number; fanOut: string; tag: Outcome["_tag"]; json: string }>
  readonly log: Array<LogEntry>
}

/** What an open transaction has to restore when it fails. */
interface Undo {
  readonly jobs: Map<JobId, MemoryJob | undefined>
  readonly counters: Memory["counters"]
  readonly schedules: Memory["schedules"]
}

export class Memory {
  jobs = new Map<JobId, MemoryJob>()
  /** As JSON, by their names. */
  schedules: ReadonlyMap<string, string> = new Map()
  counters = { order: 0, outcomes: 0, log: 0 }
  private undo: Undo | undefined = undefined
  private readonly lock = Semaphore.makeUnsafe(1)

  run<A>(body: () => Effect.Effect<A, Errors.JobStoreError>): Effect.Effect<A, Errors.JobStoreError> {
    return this.exclusively(Effect.suspend(body))
  }

  transaction<A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const begin = Effect.sync(() => {
      const outer = this.undo
      this.undo = { jobs: new Map(), counters: { ...this.counters }, schedules: this.schedules }
      return { outer, own: this.undo }
    })
    return this.exclusively(Effect.acquireUseRelease(
      begin,
      () => Effect.updateService(body, Transactions, (stores) => [...stores, this]),
      ({ outer, own }, exit) =>
        Effect.sync(() => {
          this.undo = outer
          if (exit._tag === "Failure") {
            this.counters = { ...own.counters }
            this.schedules = own.schedules
            for (const [id, job] of own.jobs) {
              if (job === undefined) this.jobs.delete(id)
              else this.jobs.set(id, job)
            }
          } else if (outer !== undefined) {
            for (const [id, job] of own.jobs) if (!outer.jobs.has(id)) outer.jobs.set(id, job)
          }
        })
    ))
  }

  /** Waits for other transactions, but not for the one that the caller is in. */
  private exclusively<A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) =>
      Context.get(fiber.context, Transactions).includes(this) ? body : this.lock.withPermit(body)
    )
  }

  find(id: JobId): Effect.Effect<MemoryJob, Errors.JobStoreError> {
    const job = this.jobs.get(id)
    return job === undefined ? fail(new Errors.JobNotFound({ id })) : Effect.succeed(job)
  }

  owned(id: JobId, token: number): Effect.Effect<MemoryJob, Errors.JobStoreError> {
    const job = this.jobs.get(id)
    return job?.record.state._tag === "Running" && Option.exists(job.record.lease, (lease) => lease.token === token)
      ? Effect.succeed(job)
      : fail(new Errors.Fenced({ id, token }))
  }

  /** To be called before each change of a job. */
  change(job: MemoryJob): MemoryJob {
    const { id } = job.record
    if (this.undo !== undefined && !this.undo.jobs.has(id)) {
      const { checkpoints, log, outcomes, own } = job
      this.undo.jobs.set(id, {
        ...job,
        checkpoints: new Map(checkpoints),
        own: new Map(own),
        outcomes: new Map(outcomes),
        log: Array.from(log)
      })
    }
    return job
  }

  insert(record: JobRecord): Effect.Effect<JobRecord, Errors.JobStoreError> {
    const { id } = record
    const json = encodeJob(record.with({ revision: 1 }))
    if (record.revision !== 0) return fail(new Errors.JobConflict({ id }))
    const twin = this.twin(record)
    if (twin !== undefined) return Effect.succeed(decodeJob(twin.json))
    if (this.jobs.has(id)) return fail(new Errors.JobConflict({ id }))
    this.undo?.jobs.set(id, this.undo.jobs.get(id))
    this.jobs.set(id, {
      order: ++this.counters.order,
      record: decodeJob(json),
      json,
      beat: 0,
      progress: encodeProgress(Progress.empty),
      checkpoints: new Map(),
      own: new Map(),
      outcomes: new Map(),
      log: []
    })
    return Effect.succeed(decodeJob(json))
  }

  insertChild(record: JobRecord, token: number): Effect.Effect<JobRecord, Errors.JobStoreError> {
    const parent = Option.getOrUndefined(record.parent)
    if (parent === undefined || record.revision !== 0) return fail(new Errors.JobConflict({ id: record.id }))
    return Effect.flatMap(this.owned(parent.id, token), (owned) => {
      const found = Option.getOrUndefined(this.child(parent.id, parent.name))
      if (found !== undefined && found.state._tag !== "Cancelled") return Effect.succeed(found)
      return Effect.tap(this.insert(record), (stored) =>
        Effect.sync(() => {
          if (stored.id === record.id) this.forgetLosses(this.change(owned))
        }))
    })
  }

  put(
    record: JobRecord,
    line: string,
    renames: ReadonlyArray<ReadonlyMap<string, string>> = []
  ): Effect.Effect<JobRecord, Errors.JobStoreError> {
    const { id } = record
    const json = encodeJob(record.with({ revision: record.revision + 1 }))
    const job = this.jobs.get(id)
    if (job === undefined) return fail(new Errors.JobNotFound({ id }))
    if (job.record.revision !== record.revision) return fail(new Errors.JobConflict({ id }))
    const twin = JobState.isActive(record.state) ? this.twin(record) : undefined
    if (twin !== undefined) return fail(new Errors.KeyTaken({ id, by: twin.record.id }))
    this.rewrite(job, json)
    for (const step of renames) this.rename(job, step)
    this.log(job, { at: record.updatedAt, level: "Info", message: line })
    return Effect.succeed(decodeJob(json))
  }

  /** The other active job of the same name that has one of the record's keys. */
  private twin(record: JobRecord): MemoryJob | undefined {
    const same = (left: Option.Option<string>, right: Option.Option<string>) =>
      left._tag === "Some" && right._tag === "Some" && left.value === right.value
    const others = Array.from(this.jobs.values()).filter((job) =>
      job.record.name === record.name && JobState.isActive(job.record.state) &&
      (job.record.id !== record.id || record.revision === 0)
    )
    return others.find((job) => same(job.record.idempotencyKey, record.idempotencyKey)) ??
      others.find((job) => same(job.record.exclusiveKey, record.exclusiveKey))
  }

  private rewrite(job: MemoryJob, json: string): void {
    this.change(job)
    job.json = json
    job.record = decodeJob(json)
  }

  private rename(job: MemoryJob, renames: ReadonlyMap<string, string>): void {
    const { fanOuts, totals, units } = decodeProgress(job.progress)
    const moved = Object.fromEntries(renameEntries(Object.entries(fanOuts), renames))
    job.progress = encodeProgress(new Progress.Progress({ fanOuts: moved, totals, units }))
    const checkpoints = renameEntries(job.checkpoints, renames)
    job.checkpoints.clear()
    for (const [name, checkpoint] of checkpoints) job.checkpoints.set(name, checkpoint)
    const rows = renameEntries(Array.from(job.outcomes.values(), (row) => [row.fanOut, row] as const), renames)
    job.outcomes.clear()
    for (const [fanOut, stored] of rows) {
      const row = new OutcomeRow({ ...decodeOutcome(stored.json), fanOut })
      job.outcomes.set(JSON.stringify([fanOut, row.cursor]), { ...stored, fanOut, json: encodeOutcome(row) })
    }
  }

  list({ before, limit, names, parent, states }: ListFilter): ReadonlyArray<JobRecord> {
    const isBefore = (job: MemoryJob): boolean => {
      if (before === undefined) return true
      const { createdAt } = job.record
      const order = this.jobs.get(before.id)?.order ?? 0
      return createdAt < before.createdAt || (createdAt === before.createdAt && job.order < order)
    }
    return Array.from(this.jobs.values())
      .filter((job) => isBefore(job))
      .filter(({ record }) =>
        (states === undefined || states.includes(record.state._tag)) &&
        (names === undefined || names.includes(record.name)) &&
        (parent === undefined || Option.exists(record.parent, ({ id }) => id === parent))
      )
      .toSorted((left, right) => right.record.createdAt - left.record.createdAt || right.order - left.order)
      .slice(0, atMost(limit))
      .map((job) => decodeJob(job.json))
  }

  private inState(tag: JobState.Tag): ReadonlyArray<MemoryJob> {
    return Array.from(this.jobs.values())
      .filter(({ record }) => record.state._tag === tag)
      .toSorted((left, right) => left.order - right.order)
  }

  /** Children of a job, the newest first. */
  private childrenOf(parent: JobId): ReadonlyArray<MemoryJob> {
    return Array.from(this.jobs.values())
      .filter(({ record }) => Option.exists(record.parent, ({ id }) => id === parent))
      .toSorted((left, right) => right.order - left.order)
  }

  child(parent: JobId, name: string): Option.Option<JobRecord> {
    const named = this.childrenOf(parent).filter(({ record }) =>
      Option.exists(record.parent, (parent) => parent.name === name)
    )
    const found = named.find(({ record }) => record.state._tag !== "Cancelled") ?? named[0]
    return Option.map(Option.fromUndefinedOr(found), ({ json }) => decodeJob(json))
  }

  childTags(parent: JobId): ReadonlyArray<JobState.Tag> {
    return Array.from(new Set(this.childrenOf(parent).map(({ record }) => record.state._tag)))
  }

  astray(): ReadonlyArray<Astray> {
    return Array.from(this.jobs.values()).flatMap(({ record }) => {
      const parent = Option.getOrUndefined(record.parent)
      if (parent === undefined) return []
      const wish = wishOf(this.jobs.get(parent.id)?.record)
      return stepOf(record, wish) === undefined ? [] : [{ id: record.id, wish }]
    }).slice(0, astrayLimit)
  }

  look(now: number): Look {
    const kinds = new Map<string, Kind>()
    for (const { record: { name, version } } of this.inState("Queued")) {
      kinds.set(kindKey({ name, version }), { name, version })
    }
    return {
      held: this.inState("Running").map(({ beat, record: { id, lease, name, parent, version } }) => ({
        id,
        name,
        version,
        lease,
        parent,
        beat
      })),
      kinds: Array.from(kinds.values()),
      hasChildren: Array.from(this.jobs.values()).some(({ record: { parent, state } }) =>
        Option.isSome(parent) && JobState.isActive(state)
      ),
      hasJobsToCancel: this.inState("Queued").some(({ record }) => Option.contains(record.request, "Cancel")),
      hasDueSchedules: this.schedulesWhere(({ nextAt }) => nextAt <= now).length > 0
    }
  }

  due({ except, ids, kinds, limit, now, parents }: Method<"due">[0]): ReadonlyArray<JobRecord> {
    const wanted = new Set(kinds.map(kindKey))
    const named = ids && new Set(ids)
    const left = new Set(except)
    const families = parents && new Set(parents)
    const isWanted = (record: JobRecord) =>
      wanted.has(kindKey(record)) && named?.has(record.id) !== false &&
      (families === undefined || Option.exists(record.parent, ({ id }) => families.has(id)))
    return this.firstQueued(
      limit,
      (record) => Option.isNone(record.request) && record.availableAt <= now && !left.has(record.id) && isWanted(record)
    )
  }

  toCancel({ children, except, ids, limit, names }: Method<"toCancel">[0]): ReadonlyArray<JobRecord> {
    const [named, families, single] = [new Set(names), new Set(children), new Set(ids)]
    const left = new Set(except)
    return this.firstQueued(
      limit,
      ({ id, name, parent, request }) =>
        Option.contains(request, "Cancel") && !left.has(id) &&
        (named.has(name) || single.has(id) || (Option.isSome(parent) && families.has(name)))
    )
  }

  private firstQueued(limit: number, isWanted: (record: JobRecord) => boolean): ReadonlyArray<JobRecord> {
    return this.inState("Queued")
      .filter(({ record }) => isWanted(record))
      .toSorted(({ record: left }, { record: right }) =>
        right.priority - left.priority || left.createdAt - right.createdAt
      )
      .slice(0, atMost(limit))
      .map(({ json }) => decodeJob(json))
  }

  schedulesWhere(isWanted: (schedule: JobSchedule) => boolean = () => true): ReadonlyArray<JobSchedule> {
    return Array.from(this.schedules.values(), (json) => decodeSchedule(json))
      .filter(isWanted)
      .toSorted((left, right) => left.name < right.name ? -1 : 1)
  }

  dueSchedules({ jobs, limit, now }: Method<"dueSchedules">[0]): ReadonlyArray<JobSchedule> {
    return this.schedulesWhere(({ job, nextAt }) => nextAt <= now && (jobs === undefined || jobs.includes(job)))
      .toSorted((left, right) => left.nextAt - right.nextAt)
      .slice(0, atMost(limit))
  }

  putSchedule(
    schedule: JobSchedule,
    jobs: ReadonlyArray<JobRecord>,
    dueAt = Number.POSITIVE_INFINITY
  ): Effect.Effect<boolean, Errors.JobStoreError> {
    const [stored] = this.schedulesWhere(({ name }) => name === schedule.name)
    const { revision } = schedule
    if (revision !== (stored?.revision ?? 0)) return Effect.succeed(false)
    if (stored !== undefined && stored.nextAt > dueAt) return Effect.succeed(false)
    this.schedules = new Map(this.schedules).set(
      schedule.name,
      encodeSchedule(schedule.with({ revision: revision + 1 }))
    )
    return Effect.as(Effect.forEach(jobs, (job) => this.insert(job), { discard: true }), true)
  }

  removeSchedule(name: string): boolean {
    const schedules = new Map(this.schedules)
    const isFound = schedules.delete(name)
    this.schedules = schedules
    return isFound
  }

  saveOwn(job: MemoryJob, { checkpoint, name }: { readonly name: string; readonly checkpoint: string }): void {
    const changed = job.own.get(name) !== checkpoint
    this.change(job).own.set(name, checkpoint)
    if (changed) this.forgetLosses(job)
  }

  private forgetLosses(job: MemoryJob): void {
    const { record } = job
    if (record.ownersLost === 0) return
    this.rewrite(job, encodeJob(record.with({ ownersLost: 0, revision: record.revision + 1 })))
  }

  flush(job: MemoryJob, { checkpoint, cleared, fanOut, progress, rows }: Flush): void {
    const changed = job.checkpoints.get(fanOut) !== checkpoint
    this.change(job).progress = encodeProgress(progress)
    job.checkpoints.set(fanOut, checkpoint)
    if (changed || cleared.length > 0 || rows.length > 0) this.forgetLosses(job)
    for (const cursor of cleared) job.outcomes.delete(JSON.stringify([fanOut, cursor]))
    for (const row of rows) {
      const key = JSON.stringify([row.fanOut, row.cursor])
      const seq = ++this.counters.outcomes
      job.outcomes.delete(key)
      job.outcomes.set(key, { seq, fanOut: row.fanOut, tag: row.outcome._tag, json: encodeOutcome(row) })
    }
  }

  outcomes(id: JobId, { after, fanOut, limit, newestFirst, tags }: Method<"outcomes">[1]) {
    const stored = Array.from(this.jobs.get(id)?.outcomes.values() ?? [])
    return (newestFirst ? stored.toReversed() : stored)
      .filter((row) =>
        row.seq > after &&
        (fanOut === undefined || row.fanOut === fanOut) &&
        (tags === undefined || tags.includes(row.tag))
      )
      .slice(0, atMost(limit))
      .map(({ json, seq }) => [seq, decodeOutcome(json)] as const)
  }

  log(job: MemoryJob, entry: Omit<LogEntry, "seq">): void {
    const { log } = this.change(job)
    log.push(new LogEntry({ ...entry, seq: ++this.counters.log }))
    if (log.length > logLimit) log.shift()
  }

  logs(id: JobId, { after, limit, newestFirst }: Method<"logs">[1]) {
    const stored = this.jobs.get(id)?.log ?? []
    return (newestFirst ? stored.toReversed() : stored).filter(({ seq }) => seq > after).slice(0, atMost(limit))
  }

  prune(finishedBefore: number): number {
    const isKept = ({ record: { finishedAt, id, parent, state } }: MemoryJob) =>
      !JobState.isTerminal(state) || !Option.exists(finishedAt, (at) => at < finishedBefore) ||
      Option.exists(parent, (parent) => this.jobs.has(parent.id)) ||
      this.childrenOf(id).some(({ record }) => JobState.isActive(record.state))
    const old = Array.from(this.jobs.values()).filter((job) => !isKept(job))
    for (const job of old) this.jobs.delete(this.change(job).record.id)
    // What is left of their children has no parent now.
    return old.length === 0 ? 0 : old.length + this.prune(finishedBefore)
  }
}
