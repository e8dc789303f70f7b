/**
 * Keeps jobs, their checkpoints and what their items came to, behind a replaceable backend.
 *
 * The contract is small on purpose: one compare-and-set for everything that decides a
 * job's life (`put`), one fenced transaction for everything that its owner learns
 * (`flush`), and reads. What a change means is decided above it, by `JobState`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { renameEntries } from "./internal/job/renames.ts"
import type { JobId } from "./JobId.ts"
import { type Asked, JobRecord, LogEntry, logLimit, OutcomeRow, type Pulse } from "./JobRecord.ts"
import * as JobState from "./JobState.ts"
import * as Errors from "./JobStoreError.ts"
import type { Outcome } from "./Outcome.ts"
import * as Progress from "./Progress.ts"

export * from "./JobRecord.ts"

/**
 * What an owner records of one fan-out, all or nothing.
 *
 * **Details**
 *
 * Rows named in `cleared` are removed (a failed element that a retry has done), then `rows` replace rows of the
 * same fan-out and cursor, as new ones behind all others. `checkpoint` replaces the one stored under this
 * fan-out's name. A flush that has rows, clears some or changes the checkpoint sets `ownersLost` to 0, and raises
 * `revision` if that was another number.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flush {
  readonly token: number
  readonly fanOut: string
  readonly checkpoint: string
  readonly rows: ReadonlyArray<OutcomeRow>
  readonly cleared: ReadonlyArray<string>
  readonly progress: Progress.Progress
}

/**
 * Name and version of jobs, which tell whether a process has a program for them.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = Pick<JobRecord, "name" | "version">

/**
 * What of a running job tells whether its owner is still there.
 *
 * @category models
 * @since 0.1.0
 */
export type Held = Pick<JobRecord, "id" | "name" | "version" | "lease"> & Pick<Pulse, "beat">

/**
 * Service that keeps jobs.
 *
 * @category services
 * @since 0.1.0
 */
export class JobStore extends Context.Service<JobStore, {
  /**
   * Stores a new job (revision 0), unless an active one of the same name has its idempotency key or
   * its exclusive key: then returns that one and stores nothing. Compare ids to tell which.
   * Fails with `JobConflict` where the job is not new, or its id is taken.
   *
   * Inside the caller's own transaction on the same database the job commits or vanishes with it.
   */
  readonly insert: (record: JobRecord) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /** Reads one job; fails with `JobNotFound`. */
  readonly get: (id: JobId) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /** Reads heartbeat and progress of one job; fails with `JobNotFound`. */
  readonly pulse: (id: JobId) => Effect.Effect<Pulse, Errors.JobStoreError>

  /**
   * Reads jobs, the newest first, and of those created at one time the one that came last; at most `limit`.
   * `before` is the last job of the page before this one.
   */
  readonly list: (filter: {
    readonly states?: ReadonlyArray<JobState.Tag> | undefined
    readonly names?: ReadonlyArray<string> | undefined
    readonly limit: number
    readonly before?: Pick<JobRecord, "createdAt" | "id"> | undefined
  }) => Effect.Effect<ReadonlyArray<JobRecord>, Errors.JobStoreError>

  /** Reads which kinds of jobs are queued, due or not. Cheap, however many jobs there are. */
  readonly kinds: Effect.Effect<ReadonlyArray<Kind>, Errors.JobStoreError>

  /**
   * Reads queued jobs that may be claimed at `now`: those of some kinds, and those with some ids, but none of
   * `except`. The more urgent come first, then the older, and of those created at one time the one that came first;
   * at most `limit`.
   */
  readonly due: (filter: {
    readonly kinds: ReadonlyArray<Kind>
    readonly ids: Iterable<JobId>
    readonly except: Iterable<JobId>
    readonly now: number
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<JobRecord>, Errors.JobStoreError>

  /** Reads who runs the jobs that run, in the order in which these were stored. */
  readonly held: Effect.Effect<ReadonlyArray<Held>, Errors.JobStoreError>

  /**
   * Replaces a job if nobody has since it was read, raises its revision and writes the line to its log, as of
   * `updatedAt`. Heartbeat and progress are untouched. Fails with `JobConflict` where somebody has, with
   * `JobNotFound`, and with `KeyTaken` where the job would be a second active one with one of its keys.
   *
   * `renames` give fan-outs other names, by those that they have, step by step: rows, checkpoint and part of the
   * progress move with them. What was there under a new name gives way, unless it gets another one in that step.
   */
  readonly put: (
    record: JobRecord,
    line: string,
    renames?: ReadonlyArray<ReadonlyMap<string, string>>
  ) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /**
   * Raises the heartbeat, stores the progress if it is given any, and returns what is asked of the job and how much
   * it may use; fails with `Fenced` when the token is not the owner's.
   */
  readonly beat: (
    id: JobId,
    token: number,
    progress?: Progress.Progress
  ) => Effect.Effect<Asked, Errors.JobStoreError>

  /** Reads the same without renewing; fails with `Fenced` likewise. */
  readonly requested: (id: JobId, token: number) => Effect.Effect<Asked, Errors.JobStoreError>

  /**
   * Records what a fan-out has come to, in one transaction with `onCommit`; fails with `Fenced` when the
   * token is not the owner's, and writes nothing then. Nothing is written either when `onCommit` fails, dies
   * or is interrupted.
   *
   * What `onCommit` writes through a `SqlClient` that it finds in its context is part of the transaction, if that
   * client is one of the same database. Any other connection to it waits for the transaction's lock.
   */
  readonly flush: <E = never, R = never>(
    id: JobId,
    flush: Flush,
    onCommit?: Effect.Effect<void, E, R>
  ) => Effect.Effect<void, Errors.JobStoreError | E, R>

  /** Reads the checkpoint of a fan-out, which `flush` stores. */
  readonly checkpoint: (id: JobId, fanOut: string) => Effect.Effect<Option.Option<string>, Errors.JobStoreError>

  /** Reads a checkpoint of the job's own program. Its name says nothing of fan-outs, which may have the same. */
  readonly ownCheckpoint: (id: JobId, name: string) => Effect.Effect<Option.Option<string>, Errors.JobStoreError>

  /** Stores a checkpoint of the job's own program; fenced like `flush`, and changes `ownersLost` like it. */
  readonly saveOwnCheckpoint: (
    id: JobId,
    options: { readonly token: number; readonly name: string; readonly checkpoint: string }
  ) => Effect.Effect<void, Errors.JobStoreError>

  /**
   * Reads stored endings in the order in which they were recorded, or the newest first; at most `limit` behind `after`
   * (0 at first).
   */
  readonly outcomes: (
    id: JobId,
    options: {
      readonly fanOut?: string | undefined
      readonly tags?: ReadonlyArray<Outcome["_tag"]> | undefined
      readonly newestFirst?: boolean
      readonly after: number
      readonly limit: number
    }
  ) => Effect.Effect<ReadonlyArray<readonly [seq: number, row: OutcomeRow]>, Errors.JobStoreError>

  /** Counts the stored failed endings of a job. */
  readonly failures: (id: JobId) => Effect.Effect<number, Errors.JobStoreError>

  /** Appends a line to a job's log, which keeps its newest `logLimit` lines; fenced like `flush`. */
  readonly log: (id: JobId, token: number, entry: Omit<LogEntry, "seq">) => Effect.Effect<void, Errors.JobStoreError>

  /** Reads lines of a job's log, the oldest or the newest first, behind `after` (0 at first), at most `limit`. */
  readonly logs: (
    id: JobId,
    options: { readonly newestFirst?: boolean; readonly after: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<LogEntry>, Errors.JobStoreError>

  /** Removes finished jobs that finished before a time, with all that belongs to them; returns how many. */
  readonly prune: (finishedBefore: number) => Effect.Effect<number, Errors.JobStoreError>
}>()("@fanout/core/JobStore") {}

/**
 * Layer that keeps jobs in memory.
 *
 * **When to use**
 *
 * Use in tests and for jobs that need not survive the process.
 *
 * **Details**
 *
 * Everything is kept as the JSON text that a database would keep, so what does not survive
 * a database does not survive here.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<JobStore> = Layer.sync(JobStore, () => {
  const memory = new Memory()
  return JobStore.of({
    insert: (record) => memory.run(() => memory.insert(record)),
    get: (id) => memory.run(() => Effect.map(memory.find(id), (job) => decodeJob(job.json))),
    pulse: (id) =>
      memory.run(() =>
        Effect.map(memory.find(id), ({ beat, progress }) => ({ beat, progress: decodeProgress(progress) }))
      ),
    list: (filter) => memory.run(() => Effect.succeed(memory.list(filter))),
    kinds: memory.run(() => Effect.succeed(memory.kinds())),
    due: (filter) => memory.run(() => Effect.succeed(memory.due(filter))),
    held: memory.run(() => Effect.succeed(memory.held())),
    put: (record, line, renames) => memory.run(() => memory.put(record, line, renames)),
    beat: (id, token, progress) =>
      memory.run(() =>
        Effect.map(memory.owned(id, token), (job) => {
          memory.change(job).beat++
          if (progress !== undefined) job.progress = encodeProgress(progress)
          return job.record.asked
        })
      ),
    requested: (id, token) => memory.run(() => Effect.map(memory.owned(id, token), (job) => job.record.asked)),
    flush: (id, flush, onCommit) => {
      const write = () => Effect.map(memory.owned(id, flush.token), (job) => memory.flush(job, flush))
      return onCommit === undefined
        ? memory.run(write)
        : memory.transaction(Effect.andThen(Effect.suspend(write), onCommit))
    },
    checkpoint: (id, fanOut) =>
      memory.run(() => Effect.succeed(Option.fromUndefinedOr(memory.jobs.get(id)?.checkpoints.get(fanOut)))),
    ownCheckpoint: (id, name) =>
      memory.run(() => Effect.succeed(Option.fromUndefinedOr(memory.jobs.get(id)?.own.get(name)))),
    saveOwnCheckpoint: (id, options) =>
      memory.run(() => Effect.map(memory.owned(id, options.token), (job) => memory.saveOwn(job, options))),
    outcomes: (id, options) => memory.run(() => Effect.succeed(memory.outcomes(id, options))),
    failures: (id) =>
      memory.run(() =>
        Effect.sync(() =>
          Array.from(memory.jobs.get(id)?.outcomes.values() ?? []).filter(({ tag }) => tag === "Failed").length
        )
      ),
    log: (id, token, entry) => memory.run(() => Effect.map(memory.owned(id, token), (job) => memory.log(job, entry))),
    logs: (id, options) => memory.run(() => Effect.succeed(memory.logs(id, options))),
    prune: (finishedBefore) => memory.run(() => Effect.sync(() => memory.prune(finishedBefore)))
  })
})

type Method<Name extends "due" | "list" | "logs" | "outcomes"> = Parameters<JobStore["Service"][Name]>

const json = <S extends Schema.Codec<unknown, unknown>>(schema: S) => Schema.fromJsonString(Schema.toCodecJson(schema))

const encodeJob = Schema.encodeSync(json(JobRecord))
const decodeJob = Schema.decodeSync(json(JobRecord))
const encodeProgress = Schema.encodeSync(json(Progress.Progress))
const decodeProgress = Schema.decodeSync(json(Progress.Progress))
// The fields alone: a copy made with spread syntax is no instance of the class, and TypeScript lets it pass.
const encodeOutcome = Schema.encodeSync(json(Schema.Struct(OutcomeRow.fields)))
const decodeOutcome = Schema.decodeSync(json(OutcomeRow))

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
}

class Memory {
  jobs = new Map<JobId, MemoryJob>()
  counters = { order: 0, outcomes: 0, log: 0 }
  private undo: Undo | undefined = undefined
  private readonly lock = Semaphore.makeUnsafe(1)

  run<A>(body: () => Effect.Effect<A, Errors.JobStoreError>): Effect.Effect<A, Errors.JobStoreError> {
    return this.exclusively(Effect.suspend(body))
  }

  transaction<A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const begin = Effect.sync(() => {
      const outer = this.undo
      this.undo = { jobs: new Map(), counters: { ...this.counters } }
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

  list({ before, limit, names, states }: Method<"list">[0]): ReadonlyArray<JobRecord> {
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
        (names === undefined || names.includes(record.name))
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

  kinds(): ReadonlyArray<Kind> {
    const kinds = new Map<string, Kind>()
    for (const { record: { name, version } } of this.inState("Queued")) {
      kinds.set(kindKey({ name, version }), { name, version })
    }
    return Array.from(kinds.values())
  }

  due({ except, ids, kinds, limit, now }: Method<"due">[0]): ReadonlyArray<JobRecord> {
    const wanted = new Set(kinds.map(kindKey))
    const named = new Set(ids)
    const left = new Set(except)
    return this.inState("Queued")
      .filter(({ record }) =>
        record.availableAt <= now && !left.has(record.id) && (named.has(record.id) || wanted.has(kindKey(record)))
      )
      .toSorted(({ record: left }, { record: right }) =>
        right.priority - left.priority || left.createdAt - right.createdAt
      )
      .slice(0, atMost(limit))
      .map(({ json }) => decodeJob(json))
  }

  held(): ReadonlyArray<Held> {
    return this.inState("Running").map(({ beat, record: { id, lease, name, version } }) => ({
      id,
      name,
      version,
      lease,
      beat
    }))
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
    const old = Array.from(this.jobs.values()).filter(({ record }) =>
      JobState.isTerminal(record.state) && Option.exists(record.finishedAt, (at) => at < finishedBefore)
    )
    for (const job of old) this.jobs.delete(this.change(job).record.id)
    return old.length
  }
}
