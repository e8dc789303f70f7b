/**
 * What the job store in memory keeps, and how its operations exclude each other.
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
import { Apart } from "../store/apart.ts"
import type * as Rows from "../store/rows.ts"
import type { StoredRate } from "../store/turns.ts"

export interface StoredFanOut {
  checkpoint?: string
  /** Rows by cursor, in the order of `seq`: a row that replaces another one moves to the end. */
  readonly rows: Map<string, Rows.OutcomeColumns & { readonly seq: number }>
}

export interface StoredJob {
  /** Grows with each job that is stored. */
  readonly order: number
  /** The record as text. Each reader of the job gets a copy that is decoded from this text. */
  json: string
  /** The record that `json` decodes to. Only the store looks at this object. */
  record: JobRecord
  beat: number
  progress: string
  fanOuts: Map<string, StoredFanOut>
  /** Checkpoints of the job's own program. */
  readonly checkpoints: Map<string, string>
  history?: string
  tasks?: string
  readonly log: Array<LogEntry>
}

/** Stores that have a transaction open in the current fiber. */
const Transactions = Context.Reference<ReadonlyArray<Memory>>("@fanout/core/MemoryJobStore/Transactions", {
  defaultValue: () => []
})

export class Memory {
  /** Jobs in the order in which they were stored. */
  jobs = new Map<JobId, StoredJob>()
  /** Columns of each schedule, by the schedule's name. */
  schedules = new Map<string, object>()
  rates = new Map<string, StoredRate>()
  /** Most jobs of a name that run at the same time, by the name. */
  concurrencies = new Map<string, number>()
  /** Processes that claim jobs by their owners as text, and the times until which they do. */
  claimers = new Map<string, { readonly row: object; readonly until: number }>()
  /** The last numbers that were given to a job, a row and a line of a log. */
  last = { job: 0, row: 0, line: 0 }
  /** Grows with each change. */
  version = 0
  readonly apart = new Apart()
  private readonly lock = Semaphore.makeUnsafe(1)
  /** Copies of the jobs that the open transaction may have changed. */
  private originals: Map<JobId, StoredJob> | undefined

  /** Runs one operation. An operation that fails throws a `JobStoreError` before it changes anything. */
  run<A>(operation: () => A): Effect.Effect<A, Errors.JobStoreError> {
    return this.exclusively(Effect.suspend(() => {
      try {
        return Effect.succeed(operation())
      } catch (error) {
        return error instanceof Errors.JobStoreError ? Effect.fail(error) : Effect.die(error)
      }
    }))
  }

  /** Runs one operation that changes something. */
  write<A>(operation: () => A): Effect.Effect<A, Errors.JobStoreError> {
    return this.run(() => {
      const done = operation()
      this.version++
      return done
    })
  }

  /** Runs operations as one. If they fail, the store is again as it was before them. */
  transaction<A, E, R>(operations: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.exclusively(Effect.suspend(() => {
      const outer = this.originals
      const originals = this.originals = new Map<JobId, StoredJob>()
      const before = { jobs: new Map(this.jobs), schedules: new Map(this.schedules), last: { ...this.last } }
      const inside = Effect.updateService(operations, Transactions, (stores) => [...stores, this])
      return Effect.onExit(inside, (exit) =>
        Effect.sync(() => {
          this.originals = outer
          if (exit._tag === "Success") {
            for (const [id, job] of originals) if (outer?.has(id) === false) outer.set(id, job)
          } else {
            Object.assign(this, before)
            for (const [id, job] of originals) if (this.jobs.has(id)) this.jobs.set(id, job)
          }
        }))
    }))
  }

  /** Waits until no other fiber has a transaction open. */
  private exclusively<A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) =>
      Context.get(fiber.context, Transactions).includes(this) ? body : this.lock.withPermit(body)
    )
  }

  where(isWanted: (record: JobRecord) => boolean): ReadonlyArray<StoredJob> {
    return Array.from(this.jobs.values()).filter(({ record }) => isWanted(record))
  }

  find(id: JobId): StoredJob {
    return this.noted(this.jobs.get(id)) ?? refuse(new Errors.JobNotFound({ id }))
  }

  /** Finds a running job, and refuses a token that is not the token of the job's owner. */
  owned(id: JobId, token: number): StoredJob {
    const job = this.noted(this.jobs.get(id))
    return job !== undefined && job.record.state._tag === "Running" &&
        Option.exists(job.record.lease, (lease) => lease.token === token)
      ? job
      : refuse(new Errors.Fenced({ id, token }))
  }

  /** Copies a job that an operation of a transaction may change. */
  private noted(job: StoredJob | undefined): StoredJob | undefined {
    const { originals } = this
    if (job !== undefined && originals?.has(job.record.id) === false) originals.set(job.record.id, copyOf(job))
    return job
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

/** Makes both forms in which a record is kept. */
export const encode = flow(Schema.encodeSync(JobJson), (json) => ({ json, record: decode(json) }))

export const read = ({ json }: StoredJob): JobRecord => decode(json)
