/**
 * Claims and runs queued jobs, and releases jobs of lost owners.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { makeUnsafe } from "../../Interrupter.ts"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import type { Held, JobStore, Kind, Look } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { lineOf } from "../messageOf.ts"
import { PassedOver } from "../store/passed.ts"
import { activeTags, isToCancel, stepAtEnd } from "../store/request.ts"
import { align, type Change, put, step } from "./change.ts"
import { cleanUpsAtOnce } from "./cleanUp.ts"
import { fitting, lift, migrationsFrom, renamesOf } from "./codec.ts"
import { runJob } from "./loop.ts"
import { Sightings } from "./ownership.ts"
import { Place } from "./places.ts"
import { Refusals } from "./refusals.ts"
import { changeWithin, type JobRuntime, quietMillis, type Runnable } from "./runtime.ts"
import { runSchedules } from "./scheduledStarts.ts"
import { Spreading } from "./spreading.ts"

/** Number of owners lost in a row that makes a job fail. A new row or a changed checkpoint resets the count. */
const ownersLimit = 5

/**
 * Number of waiting jobs from which on this process begins only children. Each job that waits for children has a fiber,
 * which reads the lease and the children several times a second.
 */
const waitingLimit = 256

/** Most milliseconds for which a shutdown waits until the store knows that this process claims no more jobs. */
const leavingMillis = 1000

/** Jobs that are read beyond the free places, because other processes may claim some of the jobs first. */
const spare = 16

interface ClaimOptions {
  readonly runtime: JobRuntime
  /** Names of the jobs to claim. */
  readonly names: "all" | ReadonlySet<string>
  /** Ids of single jobs to claim, whatever their names. The job manager may add ids. */
  readonly ids: ReadonlySet<JobId>
  /** The scope of the runs. */
  readonly scope: Scope.Scope
}

interface Claims extends ClaimOptions {
  readonly sightings: Sightings
  readonly warnings: Set<string>
  /** Jobs that this process can't run, although a program for their name and version exists. */
  readonly left: PassedOver<JobId>
  readonly refusals: Refusals
  /** The generation of each job that runs here, counted from the first ancestor that runs here. */
  readonly depths: Map<JobId, number>
  readonly spreading: Spreading
}

/** Claims and runs jobs until an interruption. */
export const claimJobs = Effect.fnUntraced(function*(options: ClaimOptions) {
  const { ids, names, runtime: { claimable, runnables, timing } } = options
  const programs = Array.from(runnables.keys())
  const spreading = new Spreading(options.runtime, programs.filter((name) => names === "all" || names.has(name)))
  const claims: Claims = {
    ...options,
    sightings: new Sightings(timing.ttlMillis),
    warnings: new Set(),
    left: new PassedOver(),
    refusals: new Refusals(options.runtime, yield* Effect.scope),
    depths: new Map(),
    spreading
  }
  const leaving = Math.min(timing.deadlineMillis, leavingMillis)
  yield* Effect.addFinalizer(() => Effect.timeoutOption(Effect.interruptible(spreading.leave), leaving))
  let isFailing = false
  let millis = 0
  while (true) {
    const { nextChange } = claimable
    const isIdle = names !== "all" && names.size + ids.size === 0
    if (!isIdle) [isFailing, millis] = yield* round(claims, isFailing)
    yield* changeWithin(nextChange, isIdle ? Number.POSITIVE_INFINITY : millis)
  }
})

/**
 * Looks into the store once and does all due work. All parts are tried. Returns whether a part of the work failed, and
 * the time until the next look.
 */
const round = Effect.fnUntraced(function*(claims: Claims, wasFailing: boolean) {
  const { names, refusals, runtime, sightings, spreading } = claims
  const { awake, claiming, clock, hearing, store, timing } = runtime
  const quiet = quietMillis(runtime)
  let millis = timing.pollMillis
  let isFailing = false
  const report = (problem: unknown) =>
    Effect.suspend(() => {
      const isTold = wasFailing || isFailing
      isFailing = true
      return isTold ? Effect.void : Effect.logWarning("Jobs can't be claimed", problem)
    })
  const reported = (step: Effect.Effect<void, JobStoreError>) =>
    step.pipe(
      Effect.catchTag("JobStoreError", (error) => {
        claiming.failure ??= { error, since: clock.currentTimeMillisUnsafe() }
        return report(error.message)
      }),
      Effect.catchDefect(report)
    )
  yield* reported(spreading.arrive)
  yield* reported(Effect.gen(function*() {
    const now = yield* clock.currentTimeMillis
    // A process that hears of changes looks seldom, unless something is due that nobody will tell of.
    const soon = hearing.isOn ? now + quiet : now
    const askedAt = awake.nowUnsafe()
    const look = yield* store.look(soon)
    const answeredAt = awake.nowUnsafe()
    if (look.hasChildren) yield* reported(align(runtime))
    if (look.hasDueSchedules) yield* reported(runSchedules(runtime, names, (message) => warnOnce(claims, message)))
    yield* reported(takeOver(claims, look.held, (job) => sightings.isLostUnsafe(job, { askedAt, answeredAt })))
    if (look.hasJobsToCancel) yield* reported(claimCleanUps(claims))
    const full = yield* claimQueued(claims, look)
    if (!hearing.isOn || look.hasDueSchedules || look.hasJobsToCancel) return
    // Every process tells of the end of a job, after which another one of its name may begin.
    const kinds = look.kinds.filter((kind) => runnableOf(claims, kind) !== undefined && !full.has(kind.name))
    const except = exceptUnsafe(claims, now)
    if ((yield* store.due({ kinds, except, now: soon, limit: 1 })).length > 0) return
    millis = sightings.size > 0 ? Math.max(timing.ttlMillis / 10, millis) : quiet
  }))
  if (!isFailing) claiming.failure = undefined
  return [isFailing, refusals.withinUnsafe(isFailing ? timing.pollMillis : millis)] as const
})

/** Jobs that are not to be read now. */
const exceptUnsafe = ({ left, refusals, runtime: { runs } }: Claims, now: number): ReadonlyArray<JobId> => [
  ...left.atUnsafe(now),
  ...refusals.recentUnsafe(),
  ...runs.keys()
]

/** Claims queued jobs. Returns the names of which no more jobs may begin in all processes together. */
const claimQueued = Effect.fnUntraced(function*(claims: Claims, look: Look) {
  const { ids, runtime: { places }, spreading } = claims
  const kinds = look.kinds.filter((kind) => runnableOf(claims, kind) !== undefined)
  const named: Array<Kind> = []
  for (const kind of look.kinds) {
    if (isNamed(claims, kind) && (yield* runnableFor(claims, kind)) !== undefined) named.push(kind)
  }
  const full = new Set(look.full)
  yield* spreading.begin(kinds, look.held)
  yield* claimChildren(claims, kinds)
  if (places.waiting >= waitingLimit) return full
  if (ids.size > 0 && claims.names !== "all") yield* claimDue(claims, { kinds, ids }, full)
  yield* claimDue(claims, { kinds: named }, full)
  return full
})

/**
 * Claims jobs that are to be cancelled, in order to clean up: jobs to claim, and all children that have a program here.
 * The parent of a child may be over, and no process may be left that claims jobs of the parent's name.
 */
const claimCleanUps = Effect.fnUntraced(function*(claims: Claims) {
  const { ids, runtime: { cleaning, runnables, store } } = claims
  const programs = Array.from(runnables.keys())
  if (programs.length === 0) return
  const names = programs.filter((name) => isNamed(claims, { name }))
  yield* claimSome(
    claims,
    cleanUpsAtOnce - cleaning.size,
    {
      read: (page) => store.toCancel({ names, ids, children: programs, ...page }),
      claim: (record) => claimOne(claims, record)
    }
  )
})

/** Claims children of the jobs that run here, the youngest generation first: this order keeps few jobs unfinished. */
const claimChildren = Effect.fnUntraced(function*(claims: Claims, kinds: ReadonlyArray<Kind>) {
  const { depths, runtime: { runs } } = claims
  const generations = Map.groupBy(runs.keys(), (id) => depths.get(id) ?? 0)
  for (const [, parents] of Array.from(generations).toSorted(([one], [other]) => other - one)) {
    // A child of a job of its own name begins although the name is full, so each kind is tried.
    yield* claimDue(claims, { kinds, parents }, new Set())
  }
})

/** Claims jobs that are due, but none of a name in `full`. Adds the names that turn out to be full. */
const claimDue = Effect.fnUntraced(function*(
  claims: Claims,
  wanted: Pick<Parameters<JobStore["Service"]["due"]>[0], "kinds" | "ids" | "parents">,
  full: Set<string>
) {
  const { runtime: { clock, places, store }, spreading } = claims
  const now = yield* clock.currentTimeMillis
  let isShort = false
  // A claimed job may free its place at once. That place is for children, so `places.free` is read only once.
  yield* claimSome(claims, places.free, {
    read: (page) => {
      const kinds = wanted.kinds.filter(({ name }) => places.isFreeFor(name) && !full.has(name))
      return kinds.length === 0 || isShort ? Effect.succeed([]) : store.due({ ...wanted, kinds, now, ...page })
    },
    claim: (record) => {
      if (!places.isFreeFor(record.name) || full.has(record.name)) return Effect.succeed(false)
      // What is claimed by its id is for this process. Of the rest, the first page is enough to leave some to others.
      if (wanted.ids === undefined && !spreading.isForThisProcess(record)) {
        isShort = true
        return Effect.succeed(false)
      }
      return Effect.catchReason(
        claimOne(claims, record),
        "JobStoreError",
        "ConcurrencyReached",
        ({ job }) =>
          Effect.sync(() => {
            full.add(job)
            return false
          })
      )
    }
  })
})

/** Claims jobs that `read` finds, at most `most` jobs. */
const claimSome = Effect.fnUntraced(function*(
  claims: Claims,
  most: number,
  { claim, read }: {
    readonly read: (page: {
      readonly except: ReadonlyArray<JobId>
      readonly limit: number
    }) => ReturnType<JobStore["Service"]["due"]>
    readonly claim: (record: JobRecord) => Effect.Effect<boolean, JobStoreError>
  }
) {
  const now = yield* claims.runtime.clock.currentTimeMillis
  let free = most
  // Some jobs can't be claimed, so the next read is larger and reaches the jobs behind them.
  for (let limit = free + spare; free > 0; limit *= 2) {
    const due = yield* read({ except: exceptUnsafe(claims, now), limit })
    for (const record of due) {
      if (free <= 0) return
      if ((yield* orLeave(claims, record, claim(record))) === true) free--
    }
    if (due.length < limit) return
  }
})

const warnOnce = ({ warnings }: Claims, message: string) =>
  Effect.suspend(() => {
    if (warnings.has(message)) return Effect.void
    warnings.add(message)
    return Effect.logWarning(message)
  })

const isNamed = ({ names }: Claims, { name }: Pick<Kind, "name">): boolean => names === "all" || names.has(name)

/** Finds the program for jobs of a kind. */
const runnableOf = ({ runtime: { runnables } }: Claims, { name, version }: Kind): Runnable | undefined => {
  const runnable = runnables.get(name)
  return runnable !== undefined && migrationsFrom(runnable.job, version) !== undefined ? runnable : undefined
}

/** Finds the program for jobs of a kind, and logs one warning for each kind without a program. */
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

/** Finds the program for a job and lifts the job's payload to the program's version. Passes over an unfit job. */
const liftedFor = Effect.fnUntraced(function*(claims: Claims, record: JobRecord) {
  const { id } = record
  const runnable = yield* runnableFor(claims, record)
  if (runnable === undefined) {
    claims.left.addUnsafe(id)
    return undefined
  }
  const lifted = lift(runnable.job, record)
  // Nobody could cancel a job whose clean-up waits for a payload that fits.
  const payload = isToCancel(record) ? lifted : Result.flatMap(lifted, fitting(runnable.job))
  if (Result.isSuccess(payload)) return { runnable, payload: payload.success }
  yield* leave(claims, id, payload.failure)
  return undefined
})

/** Passes over a job for a while. */
const leave = ({ left }: Claims, id: JobId, why: string) =>
  Effect.suspend(() => left.addUnsafe(id) ? Effect.logWarning(`Job ${id} is left as it is: ${why}`) : Effect.void)

/** Passes over a job for a while if work for it dies, so that a program or a row holds up no other job. */
const orLeave = <A, E>(claims: Claims, { id }: { readonly id: JobId }, work: Effect.Effect<A, E>) =>
  Effect.catchDefect(work, (defect) => leave(claims, id, `it can't be claimed: ${lineOf(defect)}`))

/** Claims and runs a job. Returns whether the claim succeeded. */
const claimOne = Effect.fnUntraced(function*(claims: Claims, record: JobRecord) {
  const { depths, runtime, scope } = claims
  const lifted = yield* liftedFor(claims, record)
  if (lifted === undefined) return false
  const { payload, runnable } = lifted
  const token = record.token + 1
  const isCleanUp = isToCancel(record)
  const isFull = claims.spreading.isAnyFull(record.name)
  if (!isCleanUp && (yield* claims.refusals.refuses(record, runnable, payload, isFull))) return false
  // The lease counts from the moment before the claim request.
  const since = runtime.awake.momentUnsafe()
  const began = token === 1 ? "Started" : `Started again, by owner ${token}`
  const claimed = step(
    record,
    { _tag: "Claimed" },
    since.instant.wallMillis,
    isCleanUp ? `Cleaned up after by owner ${token}` : began,
    {
      version: runnable.job.version,
      payload,
      token,
      lease: Option.some({ token, owner: runtime.liveness.self, ttlMillis: runtime.timing.ttlMillis })
    }
  )
  if (claimed === undefined) return false
  const change = { ...claimed, renames: renamesOf(migrationsFrom(runnable.job, record.version) ?? []) }
  return yield* Effect.uninterruptible(Effect.gen(function*() {
    const claimed = yield* put(runtime.store, change).pipe(
      Effect.withSpan(`fanout.claim ${record.name}`, { attributes: { job: record.id, token } })
    )
    if (claimed === undefined) return false
    const signal = makeUnsafe()
    const place = new Place(runtime.places, record.name, signal)
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

/**
 * Releases jobs whose owner is dead, or has lost its lease, also those of a version that can't run here: a job that is
 * Running keeps its place of `setConcurrency` from all jobs of its name.
 */
const takeOver = Effect.fnUntraced(function*(
  claims: Claims,
  all: ReadonlyArray<Held>,
  isLost: (job: Held) => boolean
) {
  const { ids, left, runtime: { clock, liveness, runnables, runs, unrecorded }, sightings } = claims
  const passed = left.atUnsafe(yield* clock.currentTimeMillis)
  // The parent of a child may be over, and no process may be left that claims jobs of the parent's name.
  const isWanted = (job: Held) => isNamed(claims, job) || ids.has(job.id) || Option.isSome(job.parent)
  const held = all.filter((job) => !runs.has(job.id) && isWanted(job))
  const seen = new Set(held.map(({ id }) => id))
  sightings.keepUnsafe(seen)
  for (const id of Array.from(unrecorded.keys())) if (!seen.has(id) && !runs.has(id)) unrecorded.delete(id)
  for (const job of held) {
    if (passed.has(job.id) || ((yield* runnableFor(claims, job)) === undefined && !runnables.has(job.name))) continue
    const isDead = Option.isSome(job.lease) && (yield* liveness.isDead(job.lease.value.owner))
    if (!isDead && !isLost(job)) continue
    const released = Effect.catchReason(
      release(claims, job),
      "JobStoreError",
      "StorageFailure",
      (reason, error) =>
        reason.problem === "Corrupt" ? leave(claims, job.id, `it can't be read: ${reason.message}`) : Effect.fail(error)
    )
    yield* orLeave(claims, job, released)
  }
})

const release = Effect.fnUntraced(function*(claims: Claims, { beat, id, lease }: Held) {
  const { runtime: { changed, claimable, clock, store, unrecorded }, sightings } = claims
  const record = yield* store.get(id)
  // Another process may have released the job.
  if (!Equal.equals(record.lease, lease)) return
  // The lost owner does not count if the store has failed it, or while children of the job are active.
  const trouble = unrecorded.get(id)?.error.reason
  const isOfStore = trouble?._tag === "StorageFailure" && ["Busy", "Full", "Unreachable"].includes(trouble.problem)
  const isBlameless = isOfStore || (yield* store.childTags(id)).some((tag) => activeTags.includes(tag))
  const change = released(record, yield* clock.currentTimeMillis, isBlameless)
  if (change === undefined) return
  sightings.forgetUnsafe(id)
  if ((yield* put(store, { ...change, beat })) === undefined) return
  changed.notifyUnsafe()
  claimable.notifyUnsafe()
})

/** Makes the change that releases a job. Counts the owner as lost unless the job is blameless. */
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
