/**
 * Stores and reads what belongs to a job: what its owner records, and its log.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { JobId } from "../../JobId.ts"
import type { LogEntry } from "../../JobRecord.ts"
import { type Flush, type JobStore, logLimit } from "../../JobStore.ts"
import * as Errors from "../../JobStoreError.ts"
import type { Outcome } from "../../Outcome.ts"
import * as Rows from "../job/rows.ts"
import { atMost, decoded, failWith, type SqlAccess } from "./access.ts"

export const makeOwned = (access: SqlAccess) => {
  const { dialect, sql } = access

  /** Condition that the job runs and the token is its owner's. */
  const isOwned = (id: JobId, token: number) =>
    sql`id = ${Rows.toText(id)} and tag = 'Running' and lease_token = ${token}`
  const fenced = (id: JobId, token: number, rows: Effect.Effect<ReadonlyArray<object>, SqlError>) =>
    Effect.flatMap(
      rows,
      ([row]) => row === undefined ? failWith(new Errors.Fenced({ id, token })) : Effect.succeed(row)
    )
  const request = (id: JobId, token: number, rows: Effect.Effect<ReadonlyArray<object>, SqlError>) =>
    Effect.map(fenced(id, token, rows), Rows.decodeRequest)

  const ifOwned = (operation: string, id: JobId, token: number, write: Effect.Effect<unknown, SqlError>) => {
    // A write, although nothing changes: it takes the lock before anything is read.
    const lock = sql`update fanout_jobs set beat = beat where ${isOwned(id, token)} returning id`
    return access.transaction(operation, Effect.asVoid(Effect.andThen(fenced(id, token, lock), write)))
  }

  const storeCheckpoint = (id: JobId, name: string, checkpoint: string) =>
    sql`insert into fanout_checkpoints (job_id, name, checkpoint)
      values (${Rows.toText(id)}, ${Rows.toText(name)}, ${Rows.toText(checkpoint)})
      on conflict (job_id, name) do update set checkpoint = excluded.checkpoint`

  const recordAll = Effect.fnUntraced(function*(id: JobId, flush: Flush) {
    const { acked, checkpoint, cleared, fanOut, progress, rows, token } = flush
    const reset = acked
      ? sql`, owners_lost = 0, revision = revision + case when owners_lost > 0 then 1 else 0 end`
      : sql.literal("")
    yield* fenced(
      id,
      token,
      sql`update fanout_jobs set progress = ${Rows.encodeProgress(progress)}${reset}
        where ${isOwned(id, token)} returning id`
    )
    yield* storeCheckpoint(id, fanOut, checkpoint)
    if (cleared.length > 0) {
      yield* sql`delete from fanout_outcomes where job_id = ${Rows.toText(id)} and fan_out = ${Rows.toText(fanOut)}
        and ${dialect.isOneOf(sql.literal("cursor"), cleared.map(Rows.toText))}`
    }
    if (rows.length > 0) yield* dialect.insertOutcomes(Rows.toText(id), rows.map(Rows.encodeOutcome))
  })

  return {
    beat: (id: JobId, token: number) =>
      access.run(
        "renew a lease",
        request(id, token, sql`update fanout_jobs set beat = beat + 1 where ${isOwned(id, token)} returning request`)
      ),
    requested: (id: JobId, token: number) =>
      access.run(
        "read what is asked of a job",
        request(id, token, sql`select request from fanout_jobs where ${isOwned(id, token)}`)
      ),
    flush: <E = never, R = never>(id: JobId, flush: Flush, onCommit?: Effect.Effect<void, E, R>) =>
      onCommit === undefined
        ? access.transaction("record progress", recordAll(id, flush))
        : access.transactionWith("record progress", recordAll(id, flush), onCommit),
    saveCheckpoint: (
      id: JobId,
      { checkpoint, name, token }: { readonly token: number; readonly name: string; readonly checkpoint: string }
    ) => ifOwned("store a checkpoint", id, token, storeCheckpoint(id, name, checkpoint)),
    log: (id: JobId, token: number, entry: Omit<LogEntry, "seq">) =>
      ifOwned("write to a job's log", id, token, appendLog(access, id, entry))
  }
}

export const appendLog = (access: SqlAccess, id: JobId, { at, level, message }: Omit<LogEntry, "seq">) => {
  const { sql } = access
  const job = Rows.toText(id)
  return Effect.andThen(
    sql`insert into fanout_logs (job_id, at, level, message) values (${job}, ${at}, ${level}, ${Rows.toText(message)})`,
    sql`delete from fanout_logs where job_id = ${job} and seq <=
      (select seq from fanout_logs where job_id = ${job} order by seq desc limit 1 offset ${logLimit})`
  )
}

export const makeItems = (access: SqlAccess) => {
  const { sql } = access

  type OutcomesOptions = Parameters<JobStore["Service"]["outcomes"]>[1]
  const outcomes = (id: JobId, { after, fanOut, limit, tags }: OutcomesOptions) => {
    const wanted = new Set<Outcome["_tag"]>(tags ?? ["Done", "Skipped", "Failed"])
    if (wanted.size === 0) return Effect.succeed([])
    const next = sql`order by seq limit ${atMost(limit)}`
    const inFanOut = fanOut === undefined ? sql.literal("") : sql`and fan_out = ${Rows.toText(fanOut)}`
    // One ordered range of the index for each tag: an `in` would have to sort all outcomes of the job.
    const ofTag = (tag: Outcome["_tag"]) =>
      sql`select * from (select * from fanout_outcomes
        where job_id = ${Rows.toText(id)} and tag = ${tag} and seq > ${after} ${inFanOut} ${next}) as one`
    const union: Fragment = sql.join(" union all ", false)(Array.from(wanted, ofTag))
    return access.run(
      "read outcomes",
      decoded("read outcomes", sql`select * from (${union}) as each ${next}`, Rows.decodeOutcome)
    )
  }

  return {
    outcomes,
    checkpoint: (id: JobId, name: string) =>
      access.run(
        "read a checkpoint",
        Effect.map(
          sql`select checkpoint from fanout_checkpoints
            where job_id = ${Rows.toText(id)} and name = ${Rows.toText(name)}`,
          ([row]) => row === undefined ? Option.none<string>() : Option.some(Rows.fromText(String(row["checkpoint"])))
        )
      ),
    failures: (id: JobId) =>
      access.run(
        "count failed items",
        Effect.map(
          sql`select count(*) as failed from fanout_outcomes where job_id = ${Rows.toText(id)} and tag = 'Failed'`,
          ([row]) => Number(row?.["failed"])
        )
      ),
    logs: (id: JobId, { after, limit }: { readonly after: number; readonly limit: number }) =>
      access.run(
        "read a job's log",
        decoded(
          "read a job's log",
          sql`select seq, at, level, message from fanout_logs
            where job_id = ${Rows.toText(id)} and seq > ${after} order by seq limit ${atMost(limit)}`,
          Rows.decodeLogEntry
        )
      )
  }
}
