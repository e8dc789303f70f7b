/**
 * Finds what this process may run: what is queued, and what its owner has left behind.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type Interrupter, makeUnsafe } from "../../Interrupter.ts"
import type { JobId } from "../../JobId.ts"
import type { Claim } from "../../JobManager.ts"
import type { JobRecord } from "../../JobRecord.ts"
import type * as JobState from "../../JobState.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { type Change, put, step } from "./change.ts"
import { lift } from "./codec.ts"
import { instantUnsafe } from "./lease.ts"
import { runJob } from "./loop.ts"
import type { JobRuntime, Runnable } from "./runtime.ts"

/** Owners lost in a row, with nothing recorded by any of them, after which a job is given up. */
const ownersLimit = 5

/** Jobs read at once, and how often in a row. */
const page = 500
const pages = 20

/** What was last seen of a job that another process runs, and since when. */
interface Sighting {
  readonly token: number
  readonly beat: number
  readonly since: bigint
}

export interface ClaimOptions {
  readonly runtime: JobRuntime
  readonly claim: Claim
  /** Jobs that are claimed besides; more may be added. */
  readonly ids: ReadonlySet<JobId>
  readonly concurrency: number
  /** Where the runs live. */
  readonly scope: Scope.Scope
}

interface Claims extends ClaimOptions {
  readonly sightings: Map<JobId, Sighting>
  readonly reported: Set<string>
}

/** Claims and runs jobs until it is interrupted. */
export const claimJobs = Effect.fnUntraced(function*(options: ClaimOptions) {
  const { runtime } = options
  const claims: Claims = { ...options, sightings: new Map(), reported: new Set() }
  let failing = false
  while (true) {
    const { version } = runtime.claimable
    const report = (problem: unknown) =>
      Effect.as(failing ? Effect.void : Effect.logWarning("Jobs can't be claimed", problem), true)
    // One job that can't be read must not end the claiming of all others.
    failing = yield* Effect.as(round(claims), false).pipe(
      Effect.catchTag("JobStoreError", (error) => report(error.message)),
      Effect.catchDefect(report)
    )
    yield* runtime.claimable.wait(version, runtime.timing.pollMillis)
  }
})

const round = Effect.fnUntraced(function*(claims: Claims): Effect.fn.Return<void, JobStoreError> {
  const { concurrency, runtime } = claims
  yield* takeOver(claims)
  if (runtime.runs.size >= concurrency) return
  const now = yield* runtime.clock.currentTimeMillis
  const queued = yield* find(claims, "Queued")
  const due = queued.filter(({ availableAt, id }) => availableAt <= now && !runtime.runs.has(id))
  // The store gives the newest first.
  due.reverse()
  due.sort((left, right) => right.priority - left.priority || left.createdAt - right.createdAt)
  for (const record of due) {
    if (runtime.runs.size >= concurrency) return
    const runnable = yield* runnableFor(claims, record)
    if (runnable !== undefined) yield* claimOne(claims, runnable, record)
  }
})

/** Reads all jobs in a state that the claim names. */
const find = Effect.fnUntraced(function*({ claim, ids, runtime }: Claims, state: JobState.Tag) {
  const found = new Map<JobId, JobRecord>()
  const read = Effect.fnUntraced(function*(
    filter: { readonly names?: ReadonlyArray<string>; readonly ids?: ReadonlyArray<JobId> }
  ) {
    let before: number | undefined = undefined
    for (let i = 0; i < pages; i++) {
      const records: ReadonlyArray<JobRecord> = yield* runtime.store.list({
        ...filter,
        states: [state],
        limit: page,
        before
      })
      for (const record of records) found.set(record.id, record)
      if (records.length < page) return
      const oldest: number | undefined = records.at(-1)?.createdAt
      // Once more from the same millisecond, unless the whole page is of it.
      before = oldest === undefined ? undefined : records[0]?.createdAt === oldest ? oldest : oldest + 1
    }
  })
  if (claim === "all") {
    yield* read({})
  } else {
    if (typeof claim === "object") yield* read(claim)
    if (ids.size > 0) yield* read({ ids: Array.from(ids) })
  }
  return Array.from(found.values())
})

/** The program for a job, if this process can run it. Others are reported once and left as they are. */
const runnableFor = Effect.fnUntraced(function*({ reported, runtime }: Claims, record: JobRecord) {
  const { id, name, version } = record
  const runnable = runtime.runnables.get(name)
  if (runnable !== undefined && lift(runnable.job, record) !== undefined) return runnable
  const key = `${name}@${version}`
  if (!reported.has(key)) {
    reported.add(key)
    yield* Effect.logWarning(
      runnable === undefined
        ? `Job ${id} is left as it is: no program is known for "${name}"`
        : `Job ${id} is left as it is: it is version ${version} of "${name}", and version ` +
          `${runnable.job.version} here can't run it`
    )
  }
  return undefined
})

const claimOne = Effect.fnUntraced(function*(claims: Claims, runnable: Runnable, record: JobRecord) {
  const { runtime, scope } = claims
  const payload = lift(runnable.job, record)
  if (payload === undefined) return
  // The lease counts from before it was asked for.
  const since = instantUnsafe(runtime.clock)
  const token = record.token + 1
  const change = step(
    record,
    { _tag: "Claimed" },
    since.wallMillis,
    token === 1 ? "Started" : `Started again, by owner ${token}`,
    {
      version: runnable.job.version,
      payload,
      token,
      lease: Option.some({ token, owner: runtime.liveness.self })
    }
  )
  if (change === undefined) return
  yield* Effect.uninterruptible(Effect.gen(function*() {
    const claimed = yield* put(runtime.store, change, true)
    if (claimed === undefined) return
    const signal: Interrupter = makeUnsafe()
    runtime.runs.set(record.id, signal)
    runtime.changed.notifyUnsafe()
    yield* runJob(runtime, runnable, claimed, since, signal).pipe(
      Effect.catchCause((cause) => Effect.logError(`The run of job ${record.id} broke off`, cause)),
      Effect.ensuring(Effect.sync(() => {
        runtime.runs.delete(record.id)
        runtime.claimable.notifyUnsafe()
      })),
      Effect.forkIn(scope, { startImmediately: true, uninterruptible: false })
    )
  }))
})

/** Releases jobs whose owner is dead, or was not heard of for as long as its lease. */
const takeOver = Effect.fnUntraced(function*(claims: Claims) {
  const { runtime, sightings } = claims
  const running = (yield* find(claims, "Running")).filter(({ id }) => !runtime.runs.has(id))
  const seen = new Set(running.map(({ id }) => id))
  for (const id of Array.from(sightings.keys())) if (!seen.has(id)) sightings.delete(id)
  for (const record of running) {
    if ((yield* runnableFor(claims, record)) === undefined) continue
    if (!(yield* isLost(claims, record))) continue
    const now = yield* runtime.clock.currentTimeMillis
    const change = released(record, now)
    if (change === undefined) continue
    sightings.delete(record.id)
    if ((yield* put(runtime.store, change, true)) !== undefined) runtime.changed.notifyUnsafe()
  }
})

const isLost = Effect.fnUntraced(function*({ runtime, sightings }: Claims, record: JobRecord) {
  const { clock, liveness, store, timing } = runtime
  if (Option.isSome(record.lease) && (yield* liveness.isDead(record.lease.value.owner))) return true
  const { beat } = yield* store.pulse(record.id)
  const now = clock.monotonicTimeNanosUnsafe()
  const last = sightings.get(record.id)
  if (last !== undefined && last.token === record.token && last.beat === beat) {
    return Number(now - last.since) / 1e6 >= timing.ttlMillis
  }
  sightings.set(record.id, { token: record.token, beat, since: now })
  return false
})

const released = (record: JobRecord, now: number): Change | undefined => {
  const ownersLost = record.ownersLost + 1
  const asked = Option.getOrUndefined(record.request)
  if (asked === "Pause") {
    return step(record, { _tag: "Paused", by: "person" }, now, "Paused by person, after its owner was lost", {
      ownersLost
    })
  }
  if (ownersLost >= ownersLimit && asked === undefined) {
    return step(record, { _tag: "Failed" }, now, `Failed: its owner was lost ${ownersLost} times in a row`, {
      ownersLost,
      exit: Option.some({ _tag: "OwnerLost", times: ownersLost })
    })
  }
  // A cancel stays asked for: the next owner cleans up and cancels.
  return step(record, { _tag: "Released", why: "OwnerLost" }, now, "Queued again: its owner was lost", {
    ownersLost,
    request: record.request
  })
}
