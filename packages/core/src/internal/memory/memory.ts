/**
 * What a job store in memory keeps, and how its operations are kept apart.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { JobId } from "../../JobId.ts"
import { JobRecord, LogEntry, logLimit } from "../../JobRecord.ts"
import * as Errors from "../../JobStoreError.ts"
import type * as Rows from "../store/rows.ts"

export interface StoredFanOut {
  checkpoint?: string
  /** By their cursors. One that replaces another is put behind all others, so they are in the order of `seq`. */
  readonly rows: Map<string, Rows.OutcomeColumns & { readonly seq: number }>
}

export interface StoredJob {
  /** Grows with each job that is stored. */
  readonly order: number
  json: string
  /** What that says, to be looked at. Whoever reads the job gets a copy of its own. */
  record: JobRecord
  beat: number
  progress: string
  fanOuts: Map<string, StoredFanOut>
  /** Checkpoints of the job's own program. */
  readonly checkpoints: Map<string, string>
  readonly log: Array<LogEntry>
}

/** Stores whose transaction the current fiber is in. */
const Transactions = Context.Reference<ReadonlyArray<Memory>>("@fanout/core/MemoryJobStore/Transactions", {
  defaultValue: () => []
})

export class Memory {
  /** In the order in which they were stored. */
  jobs = new Map<JobId, StoredJob>()
  /** Columns, by the names of schedules. */
  schedules = new Map<string, object>()
  /** The last numbers that were given. */
  last = { job: 0, row: 0, line: 0 }
  /** Jobs that the open transaction may change. It has copied them, to have those before it if it fails. */
  private copies: Set<StoredJob> | undefined = undefined
  private readonly lock = Semaphore.makeUnsafe(1)

  /** Runs one operation. It throws what it fails with, before it has changed anything. */
  run<A>(operation: () => A): Effect.Effect<A, Errors.JobStoreError> {
    return this.exclusively(Effect.suspend(() => {
      try {
        return Effect.succeed(operation())
      } catch (error) {
        return error instanceof Errors.JobStoreError ? Effect.fail(error) : Effect.die(error)
      }
    }))
  }

  /** Runs operations as one. Where they fail everything is as it was before. */
  transaction<A, E, R>(operations: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.exclusively(Effect.suspend(() => {
      const { copies } = this
      const before = { jobs: new Map(this.jobs), schedules: new Map(this.schedules), last: { ...this.last } }
      this.copies = new Set()
      const inside = Effect.updateService(operations, Transactions, (stores) => [...stores, this])
      return Effect.onExit(inside, ({ _tag }) =>
        Effect.sync(() => {
          this.copies = copies
          if (_tag === "Failure") Object.assign(this, before)
        }))
    }))
  }

  /** Waits for other transactions, but not for the one that the caller is in. */
  private exclusively<A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) =>
      Context.get(fiber.context, Transactions).includes(this) ? body : this.lock.withPermit(body)
    )
  }

  where(isWanted: (record: JobRecord) => boolean): ReadonlyArray<StoredJob> {
    return Array.from(this.jobs.values()).filter(({ record }) => isWanted(record))
  }

  find(id: JobId): StoredJob {
    return this.jobs.get(id) ?? refuse(new Errors.JobNotFound({ id }))
  }

  /** A job to be changed by its owner. */
  owned(id: JobId, token: number): StoredJob {
    const job = this.jobs.get(id)
    return job !== undefined && job.record.state._tag === "Running" &&
        Option.exists(job.record.lease, (lease) => lease.token === token)
      ? this.toChange(job)
      : refuse(new Errors.Fenced({ id, token }))
  }

  toChange(job: StoredJob): StoredJob {
    if (this.copies === undefined || this.copies.has(job)) return job
    const copy = copyOf(job)
    this.copies.add(copy)
    this.jobs.set(job.record.id, copy)
    return copy
  }

  addLine(job: StoredJob, entry: Omit<LogEntry, "seq">): void {
    job.log.push(new LogEntry({ ...entry, seq: ++this.last.line }))
    if (job.log.length > logLimit) job.log.shift()
  }
}

export const refuse = (reason: Errors.JobStoreError["reason"]): never => {
  throw new Errors.JobStoreError({ reason })
}

const copyOf = (job: StoredJob): StoredJob => ({
  ...job,
  fanOuts: new Map(Array.from(job.fanOuts, ([name, fanOut]) => [name, { ...fanOut, rows: new Map(fanOut.rows) }])),
  checkpoints: new Map(job.checkpoints),
  log: Array.from(job.log)
})

const JobJson = Schema.fromJsonString(Schema.toCodecJson(JobRecord))
const decode = Schema.decodeSync(JobJson)
export const encode = flow(Schema.encodeSync(JobJson), (json) => ({ json, record: decode(json) }))

export const read = ({ json }: StoredJob): JobRecord => decode(json)
