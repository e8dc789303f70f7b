/**
 * Accepts jobs, and does what is asked of them: one compare-and-set each, or a request to the owner.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Job from "../../Job.ts"
import type { JobHandle } from "../../JobHandle.ts"
import * as JobId from "../../JobId.ts"
import { ActiveJobDiffers, JobManagerError, JobNotCompleted, NotAllowed } from "../../JobManagerError.ts"
import { type JobChanges, JobLimits, JobRecord, type JobSettings } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import { JobNotFound, JobStoreError } from "../../JobStoreError.ts"
import type * as Task from "../../Task.ts"
import { errorOf } from "../defect.ts"
import { activeTags, isToCancel, stepAsked, type Wish, wishOf } from "../store/request.ts"
import { type Change, obey, step, update } from "./change.ts"
import { decode, encode } from "./codec.ts"
import { align } from "./family.ts"
import { sentenceOf } from "./runEnd.ts"
import type { JobRuntime } from "./runtime.ts"
import { awaitJob, watchJob } from "./watch.ts"

/** Definition of a job as far as starting and awaiting it goes. */
export type Definition<P extends Task.Codec, S extends Task.Codec, E extends Task.Codec> = Job.Any & {
  readonly payload: P
  readonly success: S
  readonly error: E
}

const refuse = (reason: JobManagerError["reason"]) => Effect.fail(new JobManagerError({ reason }))

const notAllowed = (id: JobId.JobId, state: string, action: string) => refuse(new NotAllowed({ id, state, action }))

const keysOf = (job: Job.Any, payload: unknown) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `Job.Any` forgot whose payload it is
  const own = payload as never
  return { idempotencyKey: job.idempotencyKey(own), exclusiveKey: job.exclusiveKey(own) }
}

const checkSettings = Schema.decodeUnknownEffect(Schema.Struct({ limits: JobLimits, priority: Schema.Int }))

/** Dies of what does not match its schema, and says what that was. */
const dieOf = (what: string) => (error: Schema.SchemaError) =>
  Effect.die(new Error(`${what} does not match its schema: ${error.message}`, { cause: error }))

/** What a definition and a payload say of a job. */
export const described = (job: Job.Any, payload: unknown, { limits = {}, priority = 0 }: JobSettings) =>
  // The caller's own types say that all of it matches: where it does not, that is a defect.
  Effect.map(
    Effect.all([
      Effect.catch(encode(job.payload, payload), dieOf(`The payload of a job "${job.name}"`)),
      Effect.catch(checkSettings({ limits, priority }), dieOf(`What is set of a job "${job.name}"`))
    ]),
    ([encoded, settings]) => ({
      name: job.name,
      version: job.version,
      payload: encoded,
      ...keysOf(job, payload),
      ...settings
    })
  )

/** A job that was just accepted, not stored yet. */
export const newRecord = Effect.fnUntraced(function*(
  { clock }: JobRuntime,
  { exclusiveKey, idempotencyKey, limits, name, payload, priority, version }: Pick<
    JobRecord,
    "name" | "version" | "payload" | "idempotencyKey" | "exclusiveKey" | "priority" | "limits"
  >
) {
  const id = yield* JobId.generate
  const now = yield* clock.currentTimeMillis
  return new JobRecord({
    id,
    name,
    version,
    payload,
    idempotencyKey,
    exclusiveKey,
    parent: Option.none(),
    priority,
    limits,
    state: JobState.initial,
    exit: Option.none(),
    request: Option.none(),
    lease: Option.none(),
    token: 0,
    ownersLost: 0,
    createdAt: now,
    updatedAt: now,
    availableAt: now,
    finishedAt: Option.none(),
    revision: 0
  })
})

export const start = Effect.fnUntraced(function*<P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
  runtime: JobRuntime,
  job: Definition<P, S, E>,
  payload: P["Type"],
  settings: JobSettings
): Effect.fn.Return<JobHandle<S["Type"], E["Type"]>, JobManagerError | JobStoreError> {
  const record = yield* newRecord(runtime, yield* described(job, payload, settings))
  const stored = yield* runtime.store.insert(record)
  if (stored.id === record.id) {
    runtime.claimable.notifyUnsafe()
    return handleOf(runtime, job, record.id, true)
  }
  const same = Option.isSome(record.idempotencyKey) && Option.isSome(stored.idempotencyKey) &&
    record.idempotencyKey.value === stored.idempotencyKey.value
  return same
    ? handleOf(runtime, job, stored.id, false)
    : yield* refuse(new ActiveJobDiffers({ id: stored.id, job: stored.name }))
})

export const attach = Effect.fnUntraced(function*<P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
  runtime: JobRuntime,
  job: Definition<P, S, E>,
  id: JobId.JobId
): Effect.fn.Return<JobHandle<S["Type"], E["Type"]>, JobStoreError> {
  const { name: found } = yield* runtime.store.get(id)
  if (found !== job.name) {
    return yield* Effect.fail(new JobStoreError({ reason: new JobNotFound({ id, job: job.name, found }) }))
  }
  return handleOf(runtime, job, id, false)
})

const handleOf = <P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
  runtime: JobRuntime,
  job: Definition<P, S, E>,
  id: JobId.JobId,
  started: boolean
): JobHandle<S["Type"], E["Type"]> => ({
  id,
  started,
  await: Effect.flatMap(awaitJob(runtime, id), (record) => resultOf(job, record)),
  watch: watchJob(runtime, id)
})

/** Success or typed error of a job that is over. */
export const resultOf = <P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
  job: Definition<P, S, E>,
  record: JobRecord
): Effect.Effect<S["Type"], E["Type"] | JobNotCompleted> => {
  const without = (why: string, cause?: Error) =>
    Effect.fail(
      new JobNotCompleted({ id: record.id, state: record.state._tag, why, ...cause === undefined ? {} : { cause } })
    )
  const exit = Option.getOrUndefined(record.exit)
  if (exit === undefined) return without(record.state._tag === "Cancelled" ? "it was cancelled" : "it has no result")
  if (exit._tag === "Success") {
    return Effect.catchTag(
      decode(job.success, exit.value),
      "SchemaError",
      (error) => without(`its success can't be read: ${error.message}`)
    )
  }
  if (exit._tag === "Failure") {
    return decode(job.error, exit.error).pipe(
      Effect.catchTag("SchemaError", () => without(exit.message)),
      Effect.flatMap((error) => Effect.fail(error))
    )
  }
  return without(sentenceOf(exit), exit._tag === "Defect" ? errorOf(exit) : undefined)
}

type Decision = Effect.Effect<Change | undefined, JobManagerError | JobStoreError>

/** Changes a job and wakes those who wait for it. */
const change = (
  runtime: JobRuntime,
  id: JobId.JobId,
  decide: (record: JobRecord, now: number) => Decision
): Effect.Effect<JobRecord, JobManagerError | JobStoreError> =>
  Effect.tap(update(runtime.store, id, decide), () => {
    runtime.changed.notifyUnsafe()
    runtime.claimable.notifyUnsafe()
    return align(runtime)
  })

const unchanged: Decision = Effect.succeed(undefined)

/** Does what a person wishes of a job, or refuses it where its state does not allow that. */
const obeyed = (record: JobRecord, wish: Wish, action: string, now: number): Decision => {
  const next = stepAsked(record, wish)
  if (next === undefined) return unchanged
  const change = obey(record, next, "person", now)
  return change === undefined ? notAllowed(record.id, record.state._tag, action) : Effect.succeed(change)
}

export const pause = (runtime: JobRuntime, id: JobId.JobId) =>
  change(runtime, id, (record, now) => obeyed(record, "Pause", "paused", now))

export const resume = (runtime: JobRuntime, id: JobId.JobId) =>
  change(runtime, id, (record, now): Decision => {
    const resumed = obeyed(record, "Run", isToCancel(record) ? "resumed: it is about to be cancelled" : "resumed", now)
    if (record.state._tag !== "Paused" || Option.isNone(record.parent)) return resumed
    const parent = record.parent.value.id
    return Effect.flatMap(runtime.store.get(parent), (found) =>
      wishOf(found) === "Run"
        ? resumed
        : notAllowed(id, record.state._tag, `resumed by itself: resume job ${parent}, which started it`))
  })

export const cancel = (runtime: JobRuntime, id: JobId.JobId) =>
  change(runtime, id, (record, now) => obeyed(record, "Cancel", "cancelled", now))

/** Children read at once. */
const page = 100

/**
 * Changes how urgent a job is and how much it may use, and with it all of its children that are not over. One that runs
 * obeys once its owner has looked.
 */
export const set = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  id: JobId.JobId,
  changes: JobChanges
): Effect.fn.Return<void, JobManagerError | JobStoreError> {
  yield* setOne(runtime, id, changes)
  runtime.changed.notifyUnsafe()
  let before: JobRecord | undefined
  while (true) {
    const children = yield* runtime.store.list({ parent: id, states: activeTags, limit: page, before })
    for (const child of children) {
      yield* set(runtime, child.id, changes).pipe(
        // It has ended meanwhile, or was even removed.
        Effect.catchReason("JobManagerError", "NotAllowed", () => Effect.void),
        Effect.catchReason("JobStoreError", "JobNotFound", () => Effect.void)
      )
    }
    before = children.at(-1)
    if (children.length < page) return
  }
})

const setOne = ({ store }: JobRuntime, id: JobId.JobId, { limits = {}, priority }: JobChanges) =>
  update(store, id, (record, now): Decision => {
    if (JobState.isTerminal(record.state)) return notAllowed(id, record.state._tag, "set any more")
    const { bytesPerSecond, concurrency } = { ...record.limits, ...limits }
    const wanted = {
      priority: priority ?? record.priority,
      limits: {
        ...typeof concurrency === "number" ? { concurrency } : {},
        ...typeof bytesPerSecond === "number" ? { bytesPerSecond } : {}
      }
    }
    const said = Object.entries({ priority, ...limits }).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name} ${value ?? "off"}`]
    )
    return Effect.map(
      Effect.catch(checkSettings(wanted), dieOf(`What is set of job ${id}`)),
      (settings) => ({ record: record.with({ updatedAt: now, ...settings }), line: `Set ${said.join(", ")}` })
    )
  })

export const retry = (runtime: JobRuntime, id: JobId.JobId) =>
  change(runtime, id, (record, now): Decision => {
    if (Option.isSome(record.parent)) {
      // Only its parent's program knows whether what it comes to is still of use.
      return notAllowed(
        id,
        record.state._tag,
        `retried by itself: retry job ${record.parent.value.id}, which started it`
      )
    }
    if (isToCancel(record)) return notAllowed(id, record.state._tag, "retried: it is about to be cancelled")
    const retried = step(record, { _tag: "Retried" }, now, "Retried")
    return retried === undefined ? notAllowed(id, record.state._tag, "retried") : Effect.succeed(retried)
  })
