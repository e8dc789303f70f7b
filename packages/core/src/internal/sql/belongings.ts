/**
 * Stores and reads what belongs to a job: heartbeat, checkpoints, endings of elements, log. Only the owner's token lets
 * anything be written.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { JobId } from "../../JobId.ts"
import type { LogEntry } from "../../JobRecord.ts"
import { type Flush, type JobStore, logLimit } from "../../JobStore.ts"
import * as Errors from "../../JobStoreError.ts"
import type { Outcome } from "../../Outcome.ts"
import { atMost, behind } from "../store/pages.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { exact, firstOr, ranges, type Statements, storageFailure } from "./queries.ts"

type Service = JobStore["Service"]

// --- Writes of the owner --------------------------------------------------------------------------------------------

/** Condition that a job runs, and that the token is the token of the job's owner. */
const isOwned = ({ sql }: SqlAccess, id: JobId, token: number) =>
  sql`id = ${Rows.toText(id)} and tag = 'Running' and lease_token = ${token}`

const fenced = <R>(id: JobId, token: number, rows: Effect.Effect<ReadonlyArray<R>, SqlError>) =>
  firstOr(rows, () => new Errors.Fenced({ id, token }))

/**
 * Runs statements of the owner of a job, within a transaction. The first statement, which makes an `assignment`, locks
 * the job before anything is read. If the job has made progress, `owners_lost` is set to 0.
 */
export const asOwner = Effect.fnUntraced(function*<A>(
  access: SqlAccess,
  { id, token }: { readonly id: JobId; readonly token: number },
  statements: Statements<A>,
  hasProgressed: (result: A) => boolean,
  assignment = access.sql`beat = beat`
) {
  const { sql } = access
  const job = yield* fenced(
    id,
    token,
    sql<{ readonly owners_lost: number }>`update fanout_jobs set ${assignment}
      where ${isOwned(access, id, token)} returning owners_lost`
  )
  const result = yield* statements
  if (job.owners_lost > 0 && hasProgressed(result)) {
    yield* sql`update fanout_jobs set owners_lost = 0, revision = revision + 1 where id = ${Rows.toText(id)}`
  }
  return result
})

type CheckpointTable = "fanout_checkpoints" | "fanout_own_checkpoints"

/** Stores a checkpoint. Tells whether another one, or none, was stored before. */
const storeCheckpoint = ({ sql }: SqlAccess, table: CheckpointTable, id: JobId, name: string, checkpoint: string) =>
  Effect.map(
    sql`insert into ${sql.literal(table)} (job_id, name, checkpoint)
      values (${Rows.toText(id)}, ${Rows.toText(name)}, ${Rows.toText(checkpoint)})
      on conflict (job_id, name) do update set checkpoint = excluded.checkpoint
      where ${sql.literal(table)}.checkpoint <> excluded.checkpoint returning job_id`,
    Arr.isReadonlyArrayNonEmpty
  )

export const appendLog = ({ sql }: SqlAccess, id: JobId, { at, level, message }: Omit<LogEntry, "seq">) => {
  const job = Rows.toText(id)
  return Effect.andThen(
    sql`insert into fanout_logs (job_id, at, level, message) values (${job}, ${at}, ${level}, ${Rows.toText(message)})`,
    sql`delete from fanout_logs where job_id = ${job} and seq <=
      (select seq from fanout_logs where job_id = ${job} order by seq desc limit 1 offset ${logLimit})`
  )
}

type Writes = Pick<Service, "beat" | "requested" | "flush" | "saveOwnCheckpoint" | "saveHistory" | "saveTasks" | "log">

export const makeWrites = (access: SqlAccess): Writes => {
  const { dialect, sql } = access

  const asked = (id: JobId, token: number, rows: Effect.Effect<ReadonlyArray<object>, SqlError>) =>
    Effect.flatMap(fenced(id, token, exact(rows)), (row) =>
      Effect.try({
        try: () => Rows.decodeAsked(row),
        catch: (cause) => storageFailure(`read what is asked of job ${id}`, "Corrupt", cause)
      }))

  /** Records what a fan-out has come to. Tells whether the job has made progress. */
  const record = Effect.fnUntraced(function*(id: JobId, { checkpoint, cleared, fanOut, rows }: Flush) {
    const job = Rows.toText(id)
    const isChanged = yield* storeCheckpoint(access, "fanout_checkpoints", id, fanOut, checkpoint)
    if (cleared.length > 0) yield* dialect.deleteOutcomes(job, Rows.toText(fanOut), cleared.map(Rows.toText))
    if (rows.length > 0) yield* dialect.insertOutcomes(job, rows.map(Rows.encodeOutcome))
    return isChanged || cleared.length + rows.length > 0
  })

  return {
    beat: (id, token, progress) => {
      const report = progress === undefined ? sql.literal("") : sql`, progress = ${Rows.encodeProgress(progress)}`
      const renewed = sql`update fanout_jobs set beat = beat + 1${report} where ${isOwned(access, id, token)}
        returning request, priority, limits`
      // The lease is renewed even if the rest of the row can't be read.
      const found = Effect.asSome(asked(id, token, renewed)).pipe(
        Effect.catchReason("JobStoreError", "StorageFailure", () => Effect.succeedNone)
      )
      return access.run("renew a lease", found)
    },
    requested: (id, token) => {
      const found = sql`select request, priority, limits from fanout_jobs where ${isOwned(access, id, token)}`
      return access.run("read what is asked of a job", asked(id, token, found))
    },
    flush: (id, flush, onCommit) => {
      const progress = sql`progress = ${Rows.encodeProgress(flush.progress)}`
      const write = asOwner(access, { id, token: flush.token }, record(id, flush), identity, progress)
      return Effect.asVoid(
        onCommit === undefined
          ? access.transaction("record progress", write)
          : access.transactionWith("record progress", write, onCommit)
      )
    },
    saveOwnCheckpoint: (id, { checkpoint, name, token }) => {
      const store = storeCheckpoint(access, "fanout_own_checkpoints", id, name, checkpoint)
      return Effect.asVoid(access.transaction("store a checkpoint", asOwner(access, { id, token }, store, identity)))
    },
    saveHistory: (id, token, history) => {
      const store = sql`insert into fanout_histories (job_id, history)
        values (${Rows.toText(id)}, ${Rows.encodeHistory(history)})
        on conflict (job_id) do update set history = excluded.history`
      return Effect.asVoid(
        access.transaction("store a job's history", asOwner(access, { id, token }, store, () => false))
      )
    },
    saveTasks: (id, token, tasks) => {
      const store = sql`insert into fanout_job_tasks (job_id, tasks)
        values (${Rows.toText(id)}, ${Rows.encodeTasks(tasks)})
        on conflict (job_id) do update set tasks = excluded.tasks`
      return Effect.asVoid(
        access.transaction("store the times of a job's tasks", asOwner(access, { id, token }, store, () => false))
      )
    },
    log: (id, token, entry) => {
      const append = asOwner(access, { id, token }, appendLog(access, id, entry), () => false)
      return Effect.asVoid(access.transaction("write to a job's log", append))
    }
  }
}

// --- Reads ----------------------------------------------------------------------------------------------------------

type Items = Pick<Service, "outcomes" | "checkpoint" | "ownCheckpoint" | "history" | "tasks" | "failures" | "logs">

export const makeItems = (access: SqlAccess): Items => {
  const { dialect, sql } = access

  const inOrder = (newestFirst: boolean | undefined, limit: number) =>
    sql`order by seq ${sql.literal(newestFirst ? "desc" : "asc")} limit ${atMost(limit)}`

  const checkpointIn = (table: CheckpointTable) => (id: JobId, name: string) => {
    const found = sql`select checkpoint from ${sql.literal(table)}
      where job_id = ${Rows.toText(id)} and name = ${Rows.toText(name)}`
    const text = Effect.map(found, Arr.map((row) => Rows.fromText(String(row["checkpoint"]))))
    return access.run("read a checkpoint", Effect.map(text, Arr.head))
  }

  return {
    outcomes: Effect.fnUntraced(function*(id, { after, cause, elements, fanOut, limit, newestFirst, tags }) {
      const next = inOrder(newestFirst, limit)
      const first = behind(after)
      const wanted = new Set(tags ?? ["Done", "Skipped", "Failed"] as const)
      if (wanted.size === 0 || elements?.length === 0) return []
      const inFanOut = fanOut === undefined ? sql.literal("") : sql`and fan_out = ${Rows.toText(fanOut)}`
      const isChosen = elements === undefined ? sql.literal("") : sql`and ${sql.in("seq", elements)}`
      const where = (which: Fragment) =>
        sql`select * from fanout_outcomes where job_id = ${Rows.toText(id)} and ${which} and seq > ${first} ${inFanOut}
          ${isChosen} ${next}`
      const ofTag = (tag: Outcome["_tag"]) => where(sql`tag = ${tag}`)
      const found = cause === undefined
        ? sql`select * from (${ranges(sql, Array.from(wanted, ofTag))}) as each ${next}`
        : where(sql`cause is not null and ${dialect.indexed(sql.literal("cause"))} =
            ${dialect.indexed(sql`${Rows.toText(cause)}`)} and ${access.isOneOf("tag", wanted)}`)
      return yield* access.read("read outcomes", found, Rows.decodeOutcome)
    }),
    checkpoint: checkpointIn("fanout_checkpoints"),
    ownCheckpoint: checkpointIn("fanout_own_checkpoints"),
    history: (id) => {
      const found = sql`select history from fanout_histories where job_id = ${Rows.toText(id)}`
      return Effect.map(access.read("read a job's history", found, Rows.decodeHistory), Arr.head)
    },
    tasks: (id) => {
      const found = sql`select tasks from fanout_job_tasks where job_id = ${Rows.toText(id)}`
      return Effect.map(access.read("read the times of a job's tasks", found, Rows.decodeTasks), Arr.head)
    },
    failures: (id) => {
      const found = sql`select count(*) as failed from fanout_outcomes
        where job_id = ${Rows.toText(id)} and tag = 'Failed'`
      return access.run("count failed items", Effect.map(found, ([row]) => Number(row?.["failed"])))
    },
    logs: (id, { after, limit, newestFirst }) =>
      Effect.suspend(() => {
        const found = sql`select seq, at, level, message from fanout_logs
          where job_id = ${Rows.toText(id)} and seq > ${behind(after)} ${inOrder(newestFirst, limit)}`
        return access.read("read a job's log", found, Rows.decodeLogEntry)
      })
  }
}
