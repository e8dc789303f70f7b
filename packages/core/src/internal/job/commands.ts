/**
 * The commands of a job manager: start, attach, pause, resume, cancel, set and retry. Each command is one
 * compare-and-set of a job's record. A running job gets a request, and the owner obeys the request.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Job from "../../Job.ts"
import type { JobHandle } from "../../JobHandle.ts"
import * as JobId from "../../JobId.ts"
import {
  ActiveJobDiffers,
  AlreadyOver,
  ChoiceRefused,
  JobManagerError,
  JobNotCompleted,
  NotAllowed
} from "../../JobManagerError.ts"
import { type JobChanges, JobLimits, JobRecord, type JobSettings, type StartOptions } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import { JobNotFound, JobStoreError } from "../../JobStoreError.ts"
import { errorOf } from "../defect.ts"
import { decodeOrigin } from "../fanOut/origin.ts"
import * as Numbers from "../numbers.ts"
import { standsFor } from "../store/keys.ts"
import { activeTags, isToCancel, stepAsked, type Wish, wishOf } from "../store/request.ts"
import { align, atOnce, type Change, obey, put, step, update } from "./change.ts"
import { decode, encode } from "./codec.ts"
import { Sightings } from "./ownership.ts"
import { sentenceOf } from "./runEnd.ts"
import type { JobRuntime } from "./runtime.ts"
import { statusChanges, statusOf } from "./status.ts"
import { awaitJob, watchJob } from "./watch.ts"

const notAllowed = (id: JobId.JobId, state: string, action: string) =>
  Effect.fail(new JobManagerError({ reason: new NotAllowed({ id, state, action }) }))

const { priority, tags } = JobRecord.fields
const checkSettings = Schema.decodeUnknownEffect(Schema.Struct({ limits: JobLimits, priority, tags }))

/** Makes a schema error a defect. The types of the caller have promised that the value matches the schema. */
const dieOf = (what: string) => (error: Schema.SchemaError) =>
  Effect.die(new Error(`${what} does not match its schema: ${error.message}`, { cause: error }))

/** The fields of a job record that the definition, the payload and the settings determine. */
export const described = Effect.fnUntraced(function*(
  job: Job.Any,
  payload: unknown,
  { limits = {}, priority = 0, tags = [] }: JobSettings
) {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the type `Job.Any` has no type of payload
  const own = payload as never
  return {
    name: job.name,
    version: job.version,
    payload: yield* Effect.catch(encode(job.payload, payload), dieOf(`The payload of a job "${job.name}"`)),
    idempotencyKey: job.idempotencyKey(own),
    exclusiveKey: job.exclusiveKey(own),
    ...yield* Effect.catch(
      checkSettings({ limits, priority, tags: Array.from(new Set(tags)) }),
      dieOf(`What is set of a job "${job.name}"`)
    )
  }
})

/** Makes the record of a new job. */
export const newRecord = Effect.fnUntraced(function*(
  { clock }: JobRuntime,
  fields: Effect.Success<ReturnType<typeof described>>
) {
  const now = yield* clock.currentTimeMillis
  return new JobRecord({
    ...fields,
    id: yield* JobId.generate,
    parent: Option.none(),
    scheduled: Option.none(),
    state: JobState.initial,
    exit: Option.none(),
    request: Option.none(),
    lease: Option.none(),
    token: 0,
    ownersLost: 0,
    createdAt: now,
    updatedAt: now,
    availableAt: atOnce,
    finishedAt: Option.none(),
    revision: 0
  })
})

/** The time by which an attempt must be over, if there is one. */
interface Until {
  readonly deadline?: number
}

const untilOf = ({ deadline }: StartOptions): Until =>
  deadline === undefined ? {} : { deadline: Numbers.instant("The deadline", deadline) }

type HandleOf<J extends Job.Any> = JobHandle<J["success"]["Type"], J["error"]["Type"]>

export const start = Effect.fnUntraced(function*<J extends Job.Any>(
  runtime: JobRuntime,
  job: J,
  payload: J["payload"]["Type"],
  options: StartOptions
): Effect.fn.Return<HandleOf<J>, JobManagerError | JobStoreError> {
  const prepared = yield* prepare(runtime, job, payload, options)
  if (!(prepared instanceof JobRecord)) return prepared
  const stored = yield* runtime.store.insert(prepared)
  if (!standsFor(stored, prepared)) return yield* differs(stored.id, job)
  return yield* accepted(runtime, job, prepared, stored, options)
})

/** Starts one job for each payload. The new jobs are stored in one transaction. */
export const startAll = Effect.fnUntraced(function*<J extends Job.Any>(
  runtime: JobRuntime,
  job: J,
  payloads: Iterable<J["payload"]["Type"]>,
  options: StartOptions
): Effect.fn.Return<ReadonlyArray<HandleOf<J>>, JobManagerError | JobStoreError> {
  const prepared = yield* Effect.forEach(payloads, (payload) => prepare(runtime, job, payload, options))
  const fresh = prepared.filter((one) => one instanceof JobRecord)
  const stored = yield* Effect.catchReason(
    runtime.store.insertAll(fresh),
    "JobStoreError",
    "KeyTaken",
    ({ by }) => differs(by, job)
  )
  const places = new Map(fresh.map((record, index) => [record, stored[index] ?? record]))
  return yield* Effect.forEach(prepared, (one) =>
    one instanceof JobRecord
      ? accepted(runtime, job, one, places.get(one) ?? one, options)
      : Effect.succeed(one))
})

const differs = (id: JobId.JobId, { name }: Job.Any) =>
  Effect.fail(new JobManagerError({ reason: new ActiveJobDiffers({ id, job: name }) }))

/**
 * Makes the record of a new job, or finds the job that stands for it. An active job that is found may end before a new
 * record is stored: that record would do all work of the job again.
 */
const prepare = Effect.fnUntraced(function*<J extends Job.Any>(
  runtime: JobRuntime,
  job: J,
  payload: J["payload"]["Type"],
  options: StartOptions
): Effect.fn.Return<HandleOf<J> | JobRecord, JobManagerError | JobStoreError> {
  const { ifOver, runAt } = options
  let fields = yield* described(job, payload, options)
  if (ifOver !== undefined && ifOver !== "new") {
    const idempotencyKey = Option.getOrElse(fields.idempotencyKey, () => sortedJson(fields.payload))
    fields = { ...fields, idempotencyKey: Option.some(idempotencyKey) }
    const [newest] = yield* runtime.store.list({ names: [job.name], idempotencyKey, limit: 1 })
    const startsAnew = newest === undefined || (ifOver === "retry" && newest.state._tag === "Cancelled")
    if (!startsAnew) return yield* existing(runtime, job, newest, options)
  }
  const fresh = yield* newRecord(runtime, fields)
  return fresh.with({
    state: { ...JobState.initial, ...untilOf(options) },
    ...runAt === undefined ? {} : { availableAt: Numbers.instant("The time of runAt", runAt) }
  })
})

/** Gives the handle of a job that is stored now: the new one, or the active one that stands for it. */
const accepted = Effect.fnUntraced(function*<J extends Job.Any>(
  runtime: JobRuntime,
  job: J,
  { id }: JobRecord,
  stored: JobRecord,
  options: StartOptions
): Effect.fn.Return<HandleOf<J>, JobManagerError | JobStoreError> {
  if (stored.id !== id) return yield* existing(runtime, job, stored, options)
  runtime.claimable.notifyUnsafe()
  return handleOf(runtime, job, id, true)
})

/** JSON in which the keys of each object are sorted: two payloads that are equal have the same. */
const sortedJson = (payload: Schema.Json): string =>
  JSON.stringify(payload, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1))
      : value)

/** Ignores that a job does not allow a request: another process can have made the same one in the meantime. */
const unlessDone = (request: Effect.Effect<void, JobManagerError | JobStoreError>) =>
  Effect.catchReason(request, "JobManagerError", "NotAllowed", () => Effect.void)

/** Gives a job that stands for a start, and lets it go on as the options say. */
const existing = Effect.fnUntraced(function*<J extends Job.Any>(
  runtime: JobRuntime,
  job: J,
  { id, request, state }: JobRecord,
  options: StartOptions
): Effect.fn.Return<HandleOf<J>, JobManagerError | JobStoreError> {
  const { ifOver, ifPaused } = options
  const isOver = JobState.isTerminal(state)
  const isPaused = state._tag === "Paused" || Option.contains(request, "Pause")
  if (isOver && ifOver === "refuse") {
    return yield* new JobManagerError({ reason: new AlreadyOver({ id, state: state._tag }) })
  }
  if (isOver && ifOver === "retry" && state._tag !== "Completed") {
    yield* unlessDone(retry(runtime, id, untilOf(options)))
  }
  if (!isOver && ifPaused === "resume" && isPaused) yield* unlessDone(resume(runtime, id))
  return handleOf(runtime, job, id, false)
})

export const attach = Effect.fnUntraced(function*<J extends Job.Any>(
  runtime: JobRuntime,
  job: J,
  id: JobId.JobId
): Effect.fn.Return<HandleOf<J>, JobStoreError> {
  const { name: found } = yield* runtime.store.get(id)
  if (found !== job.name) return yield* new JobStoreError({ reason: new JobNotFound({ id, job: job.name, found }) })
  return handleOf(runtime, job, id, false)
})

const handleOf = <J extends Job.Any>(
  runtime: JobRuntime,
  job: J,
  id: JobId.JobId,
  started: boolean
): HandleOf<J> => ({
  id,
  started,
  await: Effect.flatMap(awaitJob(runtime, id), (record) => resultOf(job, record)),
  watch: watchJob(runtime, id),
  status: statusOf(runtime, id),
  changes: statusChanges(runtime, id),
  pause: pause(runtime, id),
  resume: resume(runtime, id),
  cancel: cancel(runtime, id),
  abandon: abandon(runtime, id),
  retry: retry(runtime, id)
})

/** The success or the typed error of a job that is over. */
export const resultOf = <J extends Job.Any>(
  job: J,
  record: JobRecord
): Effect.Effect<J["success"]["Type"], J["error"]["Type"] | JobNotCompleted> => {
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

/** Changes a job, notifies waiting fibers, and brings the children of the job into step. */
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

/** Makes the change that a person wishes, or fails with `NotAllowed` if the job's state does not allow the change. */
const obeyed = (record: JobRecord, wish: Wish, action: string, now: number): Decision => {
  const next = stepAsked(record, wish)
  if (next === undefined) return Effect.succeed(undefined)
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

/**
 * Ends a job that no live process owns. A process that owns the job all the same can record nothing of it any more, and
 * stops.
 */
export const abandon = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  id: JobId.JobId
): Effect.fn.Return<void, JobManagerError | JobStoreError> {
  const { awake, clock, liveness, runs, store, timing } = runtime
  const sightings = new Sightings(timing.ttlMillis)
  let seen: string | undefined
  while (true) {
    const askedAt = awake.nowUnsafe()
    const record = yield* store.get(id)
    const { beat } = yield* store.pulse(id)
    const { lease, state, token } = record
    const isLost = sightings.isLostUnsafe({ id, lease, beat }, { askedAt, answeredAt: awake.nowUnsafe() })
    if (isLost || (Option.isSome(lease) && (yield* liveness.isDead(lease.value.owner)))) {
      const line = "Ended by person without its program: nothing has cleaned up after it"
      const abandoned = step(record, { _tag: "Abandoned" }, yield* clock.currentTimeMillis, line)
      if (abandoned === undefined) return yield* notAllowed(id, state._tag, "abandoned")
      if ((yield* put(store, { ...abandoned, beat })) === undefined) continue
      runtime.changed.notifyUnsafe()
      runtime.claimable.notifyUnsafe()
      return yield* align(runtime)
    }
    seen ??= `${token} ${beat}`
    if (runs.has(id) || seen !== `${token} ${beat}`) {
      return yield* notAllowed(id, state._tag, "abandoned: its process is alive. Cancel it without force")
    }
    yield* Effect.sleep(timing.pollMillis)
  }
})

/** Children that are read at once. */
const page = 100

/** Changes the priority and the limits of a job and of all active children. A running job obeys at the owner's poll. */
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
        // The child may have ended meanwhile, or may even have been removed.
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
      tags: record.tags,
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

const refused = (id: JobId.JobId, why: string, elements: ReadonlyArray<number> = []) =>
  Effect.fail(new JobManagerError({ reason: new ChoiceRefused({ id, elements, why }) }))

/** Fails unless all chosen elements have failed and can run again. */
const checkChoice = Effect.fnUntraced(function*({ store }: JobRuntime, id: JobId.JobId, only: JobState.Choice) {
  if ("cause" in only) {
    const found = yield* store.outcomes(id, { tags: ["Failed"], cause: only.cause, after: 0, limit: 1 })
    return found.length > 0 ? undefined : yield* refused(id, `no element failed with the cause "${only.cause}"`)
  }
  const { elements } = only
  const { mostChosen } = JobState
  if (elements.length === 0 || elements.length > mostChosen) {
    return yield* refused(id, `${elements.length} elements are chosen, and it can be 1 to ${mostChosen}`)
  }
  const found = yield* store.outcomes(id, { tags: ["Failed"], elements, after: 0, limit: mostChosen })
  const failed = new Set(found.flatMap(([seq, { origin }]) => decodeOrigin(origin).isRetriable ? [seq] : []))
  const unknown = elements.filter((element) => !failed.has(element))
  if (unknown.length > 0) yield* refused(id, "it has no failed elements that can run again with the numbers", unknown)
})

/** What the log of a job says of a retry. */
export const retriedLine = (only: JobState.Only | undefined): string => {
  if (only === undefined) return "Retried"
  if ("child" in only) return `Retried for its child ${only.child}`
  return "cause" in only ? `Retried what failed with ${only.cause}` : `Retried ${only.elements.length} chosen elements`
}

type Fresh = Until & { readonly only?: JobState.Only }

/** The change of a job that runs again, or why the job can't. */
const retried = (runtime: JobRuntime, record: JobRecord, fresh: Fresh, now: number): Decision => {
  const { id, state } = record
  const { only } = fresh
  const ofChild = only !== undefined && "child" in only
  if (isToCancel(record)) return notAllowed(id, state._tag, "retried: it is about to be cancelled")
  if (Option.isNone(JobState.transition(state, { _tag: "Retried" }))) {
    return notAllowed(id, state._tag, ofChild ? `retried for its child ${only.child}` : "retried")
  }
  const change = Effect.sync(() => step(record, { _tag: "Retried", ...fresh }, now, retriedLine(only)))
  return only === undefined || ofChild ? change : Effect.andThen(checkChoice(runtime, id, only), change)
}

export const retry = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  id: JobId.JobId,
  fresh: Fresh = {}
): Effect.fn.Return<void, JobManagerError | JobStoreError> {
  const record = yield* runtime.store.get(id)
  if (Option.isNone(record.parent)) {
    return void (yield* change(runtime, id, (latest, now) => retried(runtime, latest, fresh, now)))
  }
  // Only the program of the parent knows whether it still needs the child: so the parent runs again, and asks for it.
  yield* retried(runtime, record, fresh, record.updatedAt)
  const { id: parent, name } = record.parent.value
  const { only, ...rest } = fresh
  yield* retry(runtime, parent, { ...rest, only: { child: name, ...only === undefined ? {} : { only } } })
})
