/**
 * Stores what the owner of a job records. Nobody else's token gets anything written.
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { JobId } from "../../JobId.ts"
import type { LogEntry } from "../../JobRecord.ts"
import { type Flush, logLimit } from "../../JobStore.ts"
import * as Errors from "../../JobStoreError.ts"
import type { Progress } from "../../Progress.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { exact, firstOr, storageFailure } from "./queries.ts"

export const makeOwned = (access: SqlAccess) => {
  const { sql } = access
  const asked = (id: JobId, token: number, rows: Effect.Effect<ReadonlyArray<object>, SqlError>) =>
    Effect.flatMap(fenced(id, token, exact(rows)), (row) =>
      Effect.try({
        try: () => Rows.decodeAsked(row),
        catch: (cause) => storageFailure(`read what is asked of job ${id}`, "Corrupt", cause)
      }))

  return {
    beat: (id: JobId, token: number, progress?: Progress) =>
      access.run(
        "renew a lease",
        // It is renewed by then, whatever else its row says.
        Effect.catchReason(
          Effect.asSome(asked(
            id,
            token,
            sql`update fanout_jobs set beat = beat + 1${
              progress === undefined ? sql.literal("") : sql`, progress = ${Rows.encodeProgress(progress)}`
            } where ${isOwned(access, id, token)} returning request, priority, limits`
          )),
          "JobStoreError",
          "StorageFailure",
          () => Effect.succeedNone
        )
      ),
    requested: (id: JobId, token: number) =>
      access.run(
        "read what is asked of a job",
        asked(id, token, sql`select request, priority, limits from fanout_jobs where ${isOwned(access, id, token)}`)
      ),
    flush: <E = never, R = never>(id: JobId, flush: Flush, onCommit?: Effect.Effect<void, E, R>) =>
      onCommit === undefined
        ? access.transaction("record progress", record(access, id, flush))
        : access.transactionWith("record progress", record(access, id, flush), onCommit),
    saveOwnCheckpoint: (
      id: JobId,
      { checkpoint, name, token }: { readonly token: number; readonly name: string; readonly checkpoint: string }
    ) =>
      access.transaction(
        "store a checkpoint",
        Effect.gen(function*() {
          const owner = yield* lockOwned(access, id, token)
          const changed = yield* storeCheckpoint(access, "fanout_own_checkpoints", { id, name, checkpoint })
          if (changed.length > 0) yield* forgetLosses(access, id, owner)
        })
      ),
    log: (id: JobId, token: number, entry: Omit<LogEntry, "seq">) =>
      access.transaction(
        "write to a job's log",
        Effect.asVoid(Effect.andThen(lockOwned(access, id, token), appendLog(access, id, entry)))
      )
  }
}

/** Sees that the token is that of the job's owner. A write, so that it takes the lock before anything is read. */
export const lockOwned = (access: SqlAccess, id: JobId, token: number) =>
  fenced(
    id,
    token,
    access.sql`update fanout_jobs set beat = beat where ${isOwned(access, id, token)} returning owners_lost`
  )

/** Condition that the job runs and the token is its owner's. */
const isOwned = ({ sql }: SqlAccess, id: JobId, token: number) =>
  sql`id = ${Rows.toText(id)} and tag = 'Running' and lease_token = ${token}`

const fenced = (id: JobId, token: number, rows: Effect.Effect<ReadonlyArray<object>, SqlError>) =>
  firstOr(rows, new Errors.Fenced({ id, token }))

const record = Effect.fnUntraced(function*(access: SqlAccess, id: JobId, flush: Flush) {
  const { dialect, sql } = access
  const { checkpoint, cleared, fanOut, progress, rows, token } = flush
  const owner = yield* fenced(
    id,
    token,
    sql`update fanout_jobs set progress = ${Rows.encodeProgress(progress)}
      where ${isOwned(access, id, token)} returning owners_lost`
  )
  const changed = yield* storeCheckpoint(access, "fanout_checkpoints", { id, name: fanOut, checkpoint })
  if (cleared.length > 0) yield* dialect.deleteOutcomes(Rows.toText(id), Rows.toText(fanOut), cleared.map(Rows.toText))
  if (rows.length > 0) yield* dialect.insertOutcomes(Rows.toText(id), rows.map(Rows.encodeOutcome))
  if (changed.length + cleared.length + rows.length > 0) yield* forgetLosses(access, id, owner)
})

/** Stores a checkpoint; gives no row where the same is stored already. */
const storeCheckpoint = (
  { sql }: SqlAccess,
  table: "fanout_checkpoints" | "fanout_own_checkpoints",
  { checkpoint, id, name }: { readonly id: JobId; readonly name: string; readonly checkpoint: string }
) =>
  sql`insert into ${sql.literal(table)} (job_id, name, checkpoint)
    values (${Rows.toText(id)}, ${Rows.toText(name)}, ${Rows.toText(checkpoint)})
    on conflict (job_id, name) do update set checkpoint = excluded.checkpoint
    where ${sql.literal(table)}.checkpoint <> excluded.checkpoint returning job_id`

/** A job that has got on is not what its owners are lost of. */
export const forgetLosses = ({ sql }: SqlAccess, id: JobId, owner: object) =>
  "owners_lost" in owner && Number(owner.owners_lost) > 0
    ? sql`update fanout_jobs set owners_lost = 0, revision = revision + 1 where id = ${Rows.toText(id)}`
    : Effect.void

export const appendLog = (access: SqlAccess, id: JobId, { at, level, message }: Omit<LogEntry, "seq">) => {
  const { sql } = access
  const job = Rows.toText(id)
  return Effect.andThen(
    sql`insert into fanout_logs (job_id, at, level, message) values (${job}, ${at}, ${level}, ${Rows.toText(message)})`,
    sql`delete from fanout_logs where job_id = ${job} and seq <=
      (select seq from fanout_logs where job_id = ${job} order by seq desc limit 1 offset ${logLimit})`
  )
}
