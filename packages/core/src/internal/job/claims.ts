/**
 * Finds what this process may run: what is queued, and what its owner has left behind.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type Interrupter, makeUnsafe } from "../../Interrupter.ts"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import type { Held, JobStore, Kind } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { PassedOver } from "../store/passed.ts"
import { activeTags, isToCancel, stepAtEnd } from "../store/request.ts"
import { type Change, put, step } from "./change.ts"
import { cleanUpsAtOnce } from "./cleanUp.ts"
import { lift, migrationsFrom, renamesOf } from "./codec.ts"
import { align } from "./family.ts"
import { instantUnsafe } from "./jobLease.ts"
import { runJob } from "./loop.ts"
import { Place } from "./places.ts"
import { changeWithin, type JobRuntime, type Runnable } from "./runtime.ts"
import { runSchedules } from "./scheduledStarts.ts"

/** Owners lost in a row, none of which has stored a row or changed a checkpoint, after which a job is given up. */
const ownersLimit = 5

/**
 * Jobs that wait for their children, from which on no others are begun than children. Each waits with a fiber, and
 * looks at its lease and its children several times a second.
 */
const waitingLimit = 256

/** Jobs read besides those that there is a place for: others may be faster to claim some. */
const spare = 16

/** What was last seen of a job that another process runs, and since when. */
interface Sighting {
  readonly token: number
  readonly beat: number
  readonly since: bigint
}

export interface ClaimOptions {
  readonly runtime: JobRuntime
  /** Names of the jobs that are claimed. */
  readonly names: "all" | ReadonlySet<string>
  /** Single jobs that are claimed, whatever their name; more may be added. */
  readonly ids: ReadonlySet<JobId>
  /** Where the runs live. */
  readonly scope: Scope.Scope
}

interface Claims extends ClaimOptions {
  readonly sightings: Map<JobId, Sighting>
  readonly warnings: Set<string>
  /** Jobs that this process can't run, whatever their kind says. */
  readonly left: PassedOver<JobId>
  /** How many generations the jobs that run here are below the first one that does. */
  readonly depths: Map<JobId, number>
}

/** Claims and runs jobs until it is interrupted. */
export const claimJobs = Effect.fnUntraced(function*(options: ClaimOptions) {
  const { ids, names, runtime: { claimable, timing } } = options
  const claims: Claims = {
    ...options,
    sightings: new Map(),
    warnings: new Set(),
    left: new PassedOver(),
    depths: new Map()
  }
  let isFailing = false
  while (true) {
    const { nextChange } = claimable
    const isIdle = names !== "all" && names.size + ids.size === 0
    if (!isIdle) isFailing = yield* round(claims, isFailing)
    yield* changeWithin(nextChange, isIdle ? Number.POSITIVE_INFINITY : timing.pollMillis)
  }
})

/** Looks once what there is to do, and does it; tells whether anything failed. What fails keeps nothing else back. */
const round = Effect.fnUntraced(function*(claims: Claims, wasFailing: boolean) {
  const { names, runtime } = claims
  let isFailing = false
  const report = (problem: unknown) =>
    Effect.suspend(() => {
      const isTold = wasFailing || isFailing
      isFailing = true
      return isTold ? Effect.void : Effect.logWarning("Jobs can't be claimed", problem)
    })
  const reported = (step: Effect.Effect<void, JobStoreError>) =>
    step.pipe(
      Effect.catchTag("JobStoreError", (error) => report(error.message)),
      Effect.catchDefect(report)
    )
  yield* reported(Effect.flatMap(
    Effect.flatMap(runtime.clock.currentTimeMillis, runtime.store.look),
    Effect.fnUntraced(function*({ hasChildren, hasDueSchedules, hasJobsToCancel, held, kinds }) {
      if (hasChildren) yield* reported(align(runtime))
      if (hasDueSchedules) yield* reported(runSchedules(runtime, names, (message) => warnOnce(claims, message)))
      yield* reported(takeOver(claims, held))
      if (hasJobsToCancel) yield* reported(claimCleanUps(claims))
      yield* claimQueued(claims, kinds)
    })
  ))
  return isFailing
})

const claimQueued = Effect.fnUntraced(function*(claims: Claims, queued: ReadonlyArray<Kind>) {
  const { ids, runtime: { places } } = claims
  const kinds = queued.filter((kind) => runnableOf(claims, kind) !== undefined)
  const named: Array<Kind> = []
  for (const kind of queued) {
    if (isNamed(claims, kind) && (yield* runnableFor(claims, kind)) !== undefined) named.push(kind)
  }
  yield* claimChildren(claims, kinds)
  if (places.waiting >= waitingLimit) return
  if (ids.size > 0 && claims.names !== "all") yield* claimDue(claims, { kinds, ids })
  yield* claimDue(claims, { kinds: named })
})

/**
 * Claims jobs that are to be cancelled, to clean up after them: those that would be run here, and all children. Their
 * parent may be over, and no process that claims it left.
 */
const claimCleanUps = Effect.fnUntraced(function*(claims: Claims) {
  const { ids, runtime: { cleaning, runnables, store } } = claims
  const programs = Array.from(runnables.keys())
  if (programs.length === 0) return
  const names = programs.filter((name) => isNamed(claims, { name }))
  yield* claimSome(
    claims,
    cleanUpsAtOnce - cleaning.size,
    (page) => store.toCancel({ names, ids, children: programs, ...page })
  )
})

/**
 * Claims children of what runs here, which come first, and of these the youngest generation: few jobs are begun that
 * way, and many ended.
 */
const claimChildren = Effect.fnUntraced(function*(claims: Claims, kinds: ReadonlyArray<Kind>) {
  const { depths, runtime: { runs } } = claims
  const generations = Map.groupBy(runs.keys(), (id) => depths.get(id) ?? 0)
  for (const [, parents] of Array.from(generations).toSorted(([one], [other]) => other - one)) {
    yield* claimDue(claims, { kinds, parents })
  }
})

const claimDue = Effect.fnUntraced(function*(
  claims: Claims,
  wanted: Pick<Parameters<JobStore["Service"]["due"]>[0], "kinds" | "ids" | "parents">
) {
  const { runtime: { clock, places, store } } = claims
  if (wanted.kinds.length === 0) return
  const now = yield* clock.currentTimeMillis
  // What is claimed may free its place at once, for children that others in this list must not go ahead of.
  yield* claimSome(claims, places.free, (page) => store.due({ ...wanted, now, ...page }))
})

/** Claims the first jobs that can be, of those that are read page by page. */
const claimSome = Effect.fnUntraced(function*(
  claims: Claims,
  places: number,
  read: (page: {
    readonly except: ReadonlyArray<JobId>
    readonly limit: number
  }) => ReturnType<JobStore["Service"]["due"]>
) {
  const { left, runtime: { clock, runs } } = claims
  let free = places
  if (free <= 0) return
  const now = yield* clock.currentTimeMillis
  // Where some of these can't be claimed, others behind them may be.
  for (let limit = free + spare;; limit *= 2) {
    const due = yield* read({ except: [...left.atUnsafe(now), ...runs.keys()], limit })
    for (const record of due) {
      if (free <= 0) return
      if (yield* claimOne(claims, record)) free--
    }
    if (free <= 0 || due.length < limit) return
  }
})

const warnOnce = ({ warnings }: Claims, message: string) =>
  Effect.suspend(() => {
    if (warnings.has(message)) return Effect.void
    warnings.add(message)
    return Effect.logWarning(message)
  })

const isNamed = ({ names }: Claims, { name }: Pick<Kind, "name">): boolean => names === "all" || names.has(name)

/** The program for jobs of a kind, if this process can run them. */
const runnableOf = ({ runtime: { runnables } }: Claims, { name, version }: Kind): Runnable | undefined => {
  const runnable = runnables.get(name)
  return runnable !== undefined && migrationsFrom(runnable.job, version) !== undefined ? runnable : undefined
}

/** The same; kinds that can't be run are reported once. */
const runnableFor = Effect.fnUntraced(function*(claims: Claims, kind: Kind) {
  const found = runnableOf(claims, kind)
  if (found !== undefined) return found
  const { name, version } = kind
  const known = claims.runtime.runnables.get(name)
  yield* warnOnce(
    claims,
    known === undefined
      ? `Jobs are left as they are: no program is known for "${name}"`
      : `Jobs are left as they are: they are version ${version} of "${name}", and version ` +
        `${known.job.version} here can't run them`
  )
  return undefined
})

/** What runs a job here, and its payload as that takes it. A job that can't be lifted is left as it is. */
const liftedFor = Effect.fnUntraced(function*(claims: Claims, record: JobRecord) {
  const { id, name } = record
  const runnable = yield* runnableFor(claims, record)
  if (runnable === undefined) {
    claims.left.addUnsafe(id)
    return undefined
  }
  const payload = lift(runnable.job, record)
  if (payload !== undefined) return { runnable, payload }
  yield* leave(claims, id, `its payload can't be lifted to version ${runnable.job.version} of "${name}"`)
  return undefined
})

/** Leaves a job as it is for a while. */
const leave = ({ left }: Claims, id: JobId, why: string) =>
  Effect.suspend(() => left.addUnsafe(id) ? Effect.logWarning(`Job ${id} is left as it is: ${why}`) : Effect.void)

/** Claims and runs a job; tells whether nobody was faster. */
const claimOne = Effect.fnUntraced(function*(claims: Claims, record: JobRecord) {
  const { depths, runtime, scope } = claims
  const lifted = yield* liftedFor(claims, record)
  if (lifted === undefined) return false
  const { payload, runnable } = lifted
  // The lease counts from before it was asked for.
  const since = instantUnsafe(runtime.clock)
  const token = record.token + 1
  const isCleanUp = isToCancel(record)
  const began = token === 1 ? "Started" : `Started again, by owner ${token}`
  const claimed = step(
    record,
    { _tag: "Claimed" },
    since.wallMillis,
    isCleanUp ? `Cleaned up after by owner ${token}` : began,
    {
      version: runnable.job.version,
      payload,
      token,
      lease: Option.some({ token, owner: runtime.liveness.self })
    }
  )
  if (claimed === undefined) return false
  const change = { ...claimed, renames: renamesOf(migrationsFrom(runnable.job, record.version) ?? []) }
  return yield* Effect.uninterruptible(Effect.gen(function*() {
    const claimed = yield* put(runtime.store, change, true).pipe(
      Effect.withSpan(`fanout.claim ${record.name}`, { attributes: { job: record.id, token } })
    )
    if (claimed === undefined) return false
    const signal: Interrupter = makeUnsafe()
    const place = new Place(runtime.places, signal)
    if (isCleanUp) {
      runtime.cleaning.add(record.id)
      place.endUnsafe()
    }
    runtime.runs.set(record.id, signal)
    const above = Option.flatMapNullishOr(record.parent, ({ id }) => depths.get(id))
    depths.set(record.id, Option.match(above, { onNone: () => 0, onSome: (depth) => depth + 1 }))
    runtime.unrecorded.delete(record.id)
    runtime.changed.notifyUnsafe()
    yield* runJob(runtime, runnable, claimed, since, signal, place).pipe(
      Effect.catchCause((cause) => Effect.logError(`The run of job ${record.id} broke off`, cause)),
      Effect.ensuring(Effect.sync(() => {
        runtime.runs.delete(record.id)
        runtime.cleaning.delete(record.id)
        depths.delete(record.id)
        place.endUnsafe()
        runtime.claimable.notifyUnsafe()
      })),
      Effect.forkIn(scope, { startImmediately: true, uninterruptible: false })
    )
    return true
  }))
})

/** Releases jobs whose owner is dead, or was not heard of for as long as its lease. */
const takeOver = Effect.fnUntraced(function*(claims: Claims, all: ReadonlyArray<Held>) {
  const { ids, left, runtime: { clock, runs, unrecorded }, sightings } = claims
  const passed = left.atUnsafe(yield* clock.currentTimeMillis)
  // A child's parent may be over by now, and no process that claims it left.
  const isWanted = (job: Held) => isNamed(claims, job) || ids.has(job.id) || Option.isSome(job.parent)
  const held = all.filter((job) => !runs.has(job.id) && isWanted(job))
  const seen = new Set(held.map(({ id }) => id))
  for (const id of Array.from(sightings.keys())) if (!seen.has(id)) sightings.delete(id)
  for (const id of Array.from(unrecorded.keys())) if (!seen.has(id) && !runs.has(id)) unrecorded.delete(id)
  for (const job of held) {
    if (passed.has(job.id) || (yield* runnableFor(claims, job)) === undefined) continue
    if (!(yield* isLost(claims, job))) continue
    yield* Effect.catchReason(
      release(claims, job),
      "JobStoreError",
      "StorageFailure",
      (reason, error) =>
        reason.problem === "Corrupt" ? leave(claims, job.id, `it can't be read: ${reason.message}`) : Effect.fail(error)
    )
  }
})

const release = Effect.fnUntraced(function*(claims: Claims, { id, lease }: Held) {
  const { runtime: { changed, claimable, clock, store, unrecorded }, sightings } = claims
  const record = yield* store.get(id)
  // Somebody else may have been faster.
  if (!Equal.equals(record.lease, lease) || (yield* liftedFor(claims, record)) === undefined) return
  // Who only waits for children that go on has not kept anybody from anything.
  const isBlameless = isFull(unrecorded.get(id)?.error) ||
    (yield* store.childTags(id)).some((tag) => activeTags.includes(tag))
  const change = released(record, yield* clock.currentTimeMillis, isBlameless)
  if (change === undefined) return
  sightings.delete(id)
  if ((yield* put(store, change, true)) === undefined) return
  changed.notifyUnsafe()
  claimable.notifyUnsafe()
})

const isLost = Effect.fnUntraced(function*({ runtime, sightings }: Claims, { beat, id, lease }: Held) {
  const { clock, liveness, timing } = runtime
  if (Option.isNone(lease) || (yield* liveness.isDead(lease.value.owner))) return true
  const { token } = lease.value
  const now = clock.monotonicTimeNanosUnsafe()
  const last = sightings.get(id)
  if (last !== undefined && last.token === token && last.beat === beat) {
    return Number(now - last.since) / 1e6 >= timing.ttlMillis
  }
  sightings.set(id, { token, beat, since: now })
  return false
})

/** Whether a store had no space for what a run came to. It may well have some for less. */
const isFull = (error: JobStoreError | undefined): boolean =>
  error?.reason._tag === "StorageFailure" && error.reason.problem === "Full"

/** Releases a job, and counts the owner as lost unless something else was to blame. */
const released = (record: JobRecord, now: number, isBlameless: boolean): Change | undefined => {
  const ownersLost = record.ownersLost + (isBlameless ? 0 : 1)
  const next = stepAtEnd(record.request, { _tag: "Released", why: "OwnerLost" })
  if (next._tag === "Paused") {
    return step(record, next, now, `Paused by ${next.by}, after its owner was lost`, { ownersLost })
  }
  if (ownersLost >= ownersLimit && !isToCancel(record)) {
    return step(record, { _tag: "Failed" }, now, `Failed: its owner was lost ${ownersLost} times in a row`, {
      ownersLost,
      exit: Option.some({ _tag: "OwnerLost", times: ownersLost })
    })
  }
  return step(record, next, now, "Queued again: its owner was lost", { ownersLost })
}
