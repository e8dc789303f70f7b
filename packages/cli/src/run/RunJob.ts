/**
 * Runs a job in this process to its end, or follows one, and tells what it came to.
 */
import type { JobId } from "@fanout/core/JobId"
import { type JobEvent, JobManager } from "@fanout/core/JobManager"
import * as JobState from "@fanout/core/JobState"
import type { JobRecord, JobSettings, OutcomeRow } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import type * as Task from "@fanout/core/Task"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Signals from "../exit/Signals.ts"
import * as Stop from "../exit/Stop.ts"
import * as Host from "../host/Host.ts"
import * as Settings from "../options/Settings.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import * as summary from "../ui/summary.ts"
import * as View from "../ui/View.ts"
import { hasCode } from "./JobRuntime.ts"

/** How many failed items a summary names. */
const shownFailures = 10

/** Whether a job stays as it is until somebody asks something of it. */
const rests = ({ state }: JobRecord): boolean => JobState.isTerminal(state) || state._tag === "Paused"

const untilItRests = <E>(id: JobId, show: (event: JobEvent) => Effect.Effect<void, E>) =>
  Effect.gen(function*() {
    const manager = yield* JobManager
    const last = yield* manager.watch(id).pipe(
      Stream.tap(show),
      Stream.filter((event) => event._tag === "State" && rests(event.record)),
      Stream.runHead
    )
    return Option.isSome(last) && last.value._tag === "State" ? last.value.record : yield* manager.get(id)
  })

/** Says so, once, where a job that this process ran is another's by now: this one has stood still for too long. */
const makeLoss = Effect.gen(function*() {
  const { self } = yield* OwnerLiveness
  let own = Number.POSITIVE_INFINITY
  let isLost = false
  return {
    isLostUnsafe: () => isLost,
    notice: (event: JobEvent, view: View.View): Effect.Effect<void> => {
      if (event._tag !== "State" || isLost) return Effect.void
      const { lease, token } = event.record
      if (Option.exists(lease, ({ owner }) => Equal.equals(owner, self))) own = token
      if (token <= own) return Effect.void
      isLost = true
      return view.say(summary.takenOver(event.record))
    }
  }
})

/** Waits for a signal, and then until what it means for the job is done. Ends only where the job is left to others. */
const untilLeft = (id: JobId, signal: Effect.Effect<ExitCode.Signal>, view: View.View) =>
  Effect.gen(function*() {
    const manager = yield* JobManager
    const { self } = yield* OwnerLiveness
    yield* signal
    const { lease } = yield* manager.get(id)
    const isOthers = Option.isSome(lease) && !Equal.equals(lease.value.owner, self)
    if (isOthers) return yield* manager.get(id)
    yield* view.say("Pausing; once more stops at once.")
    // A job that is over by now needs no pause; what follows it has seen that.
    yield* manager.pause(id).pipe(Effect.catchTag("JobManagerError", () => Effect.void))
    return yield* Effect.never
  })

/** What a job comes to goes to the standard output, or to a file. All else is then said on the standard error. */
export interface Output {
  /** Writes what was recorded since the last time. `clear` takes the line away that is drawn on the terminal. */
  readonly write: (clear: Effect.Effect<void>) => Effect.Effect<void, JobStoreError | Stop.Stop>
  /** Writes the rest, once the job rests. */
  readonly end: (record: JobRecord) => Effect.Effect<void, JobStoreError | Stop.Stop>
  /** How many failed, by what they have come to, where it has told each of them. */
  readonly failures?: (() => Readonly<Record<string, number>>) | undefined
}

/** Does this now and then, and on SIGUSR1. */
export const reminding = Effect.fnUntraced(function*<R>(remind: Effect.Effect<void, never, R>) {
  const everyMillis = yield* Settings.progressEvery
  // Longer than a timer can wait is for ever.
  const waited = everyMillis > 2 ** 31 ? Effect.never : Effect.sleep(everyMillis)
  return yield* Effect.raceFirst(waited, Signals.user1).pipe(Effect.andThen(remind), Effect.forever)
})

/** Opens the view of a job, which reminds of how far the job is. */
const viewOf = Effect.fnUntraced(function*(id: JobId, options: View.Options) {
  const view = View.make(id, options)
  yield* Effect.addFinalizer(() => view.close)
  yield* Effect.forkScoped(reminding(view.remind))
  return view
})

/** Runs a job here, or shows it where another process runs it, until it is over or paused. */
export const run = (id: JobId, options: View.Options, output?: Output) =>
  Effect.scoped(Effect.gen(function*() {
    const host = yield* Host.Current
    if (host !== undefined) return yield* host.run(output)
    const manager = yield* JobManager
    const startedAt = yield* Clock.currentTimeMillis
    const first = yield* Signals.listen
    let stoppedBy: ExitCode.Signal | undefined
    const signal = Effect.tap(first, (name) =>
      Effect.sync(() => {
        stoppedBy = name
      }))
    yield* manager.claim(id)
    const view = yield* viewOf(id, options)
    const loss = yield* makeLoss
    const { shown } = yield* Settings.database
    const show = (event: JobEvent) =>
      loss.notice(event, view).pipe(
        Effect.andThen(view.show(event)),
        Effect.andThen(output?.write(view.close) ?? Effect.void)
      )
    const broken = (_: unknown, error: JobStoreError) => Effect.fail(Stop.unrecorded(id, shown, error))
    const record = yield* Effect.raceFirst(untilItRests(id, show), untilLeft(id, signal, view)).pipe(
      Effect.catchReason("JobStoreError", "StorageFailure", broken)
    )
    yield* view.close
    yield* output?.end(record) ?? Effect.void
    // What this process did of it is over by the time that its end is told.
    if (loss.isLostUnsafe()) yield* manager.shutdown
    const millis = (yield* Clock.currentTimeMillis) - startedAt
    yield* report(record, { ...options, millis, stoppedBy, output })
  }))

/**
 * Jobs of this name that the same command goes on with, the newest first: those that are not over, and those that were
 * given up since one process after the other died.
 */
const listOpen = (name: string) =>
  JobManager.use((manager) =>
    Effect.map(
      manager.list({ names: [name], states: ["Queued", "Running", "Paused", "Failed"], limit: 1000 }),
      Arr.filter((record) =>
        // A child that waits or was given up goes on with its parent only.
        Option.isSome(record.parent)
          ? record.state._tag === "Queued" || record.state._tag === "Running"
          : JobState.isActive(record.state) || summary.isGivenUp(record)
      )
    )
  )

/** The job that the same command goes on with, by what its payload says. */
export const findOpen = <N extends string, P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
  job: Host.Definition<N, P, S, E>,
  isSame: (payload: P["Type"]) => boolean
) =>
  Effect.gen(function*() {
    const host = yield* Host.Current
    if (host !== undefined) return yield* host.find(job)
    const decode = Schema.decodeUnknownOption(job.payload)
    const found = ({ id, payload }: JobRecord) =>
      Option.map(Option.filter(decode(payload), isSame), (payload) => ({ id, payload }))
    return Arr.findFirst(yield* listOpen(job.name), found)
  })

/** Goes on with the job that the same command has started before. */
export const goOn = (id: JobId, { json, quiet }: View.Options) =>
  Effect.gen(function*() {
    if ((yield* Host.Current) !== undefined) return
    const manager = yield* JobManager
    const record = yield* manager.get(id)
    const { request, state } = record
    const hasFailed = state._tag === "Failed"
    if (!json && !quiet) {
      const before = hasFailed ? `failed: ${summary.why(record)}` : `was ${state._tag.toLowerCase()}`
      yield* View.complain(`Going on with job ${id}, which ${before}.`)
    }
    const isPausing = Option.isSome(request) && request.value === "Pause"
    if (!hasFailed && state._tag !== "Paused" && !isPausing) return
    // Somebody else may have let it go on in the meantime, which is as good.
    yield* (hasFailed ? manager.retry(id) : manager.resume(id)).pipe(
      Effect.catchReason("JobManagerError", "NotAllowed", () => Effect.void)
    )
  })

/** Starts a job, or goes on with the one that the same command has started before, and gives its id. */
export const start = <N extends string, P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
  job: Host.Definition<N, P, S, E>,
  payload: P["Type"],
  options: View.Options,
  settings: JobSettings = {}
) =>
  Effect.gen(function*() {
    const host = yield* Host.Current
    if (host !== undefined) return yield* host.start(job, payload, settings)
    const manager = yield* JobManager
    const key = job.idempotencyKey(payload)
    const isSame = ({ idempotencyKey }: JobRecord): boolean => Option.isSome(key) && Equal.equals(idempotencyKey, key)
    const same = (yield* listOpen(job.name)).find(isSame)
    const { id, started } = same === undefined
      ? yield* manager.start(job, payload, settings)
      : { id: same.id, started: false }
    if (!started) yield* goOn(id, options)
    return id
  })

/** How often it is looked whether the process of a job is alive, and how often it is dead before nobody goes on. */
const alive = { everyMillis: 500, looks: 10 }

/** Ends once the process of a job is dead, and none has taken the job over for some seconds: a service starts anew. */
const untilAbandoned = Effect.fnUntraced(function*(id: JobId) {
  const manager = yield* JobManager
  for (let dead = 0;;) {
    const { isOwnerDead, record } = yield* manager.status(id)
    dead = isOwnerDead ? dead + 1 : 0
    if (dead > alive.looks) return { record, isOwnerDead }
    yield* Effect.sleep(alive.everyMillis)
  }
})

/** Follows a job that others run, until it is over or paused, or nobody runs it any more. */
export const follow = (id: JobId, options: View.Options) =>
  Effect.scoped(Effect.gen(function*() {
    const signal = yield* Signals.listen
    const view = yield* viewOf(id, options)
    const resting = Effect.map(untilItRests(id, view.show), (record) => ({ record, isOwnerDead: false }))
    const end = yield* Effect.raceAllFirst([resting, untilAbandoned(id), signal])
    yield* view.close
    if (typeof end === "string") return yield* Stop.withCode(ExitCode.ofSignal(end))
    yield* report(end.record, { ...options, isOwnerDead: end.isOwnerDead })
  }))

const report = (
  record: JobRecord,
  options: View.Options & {
    readonly millis?: number
    readonly stoppedBy?: ExitCode.Signal | undefined
    readonly output?: Output | undefined
    readonly isOwnerDead?: boolean
  }
) =>
  Effect.gen(function*() {
    const manager = yield* JobManager
    const progress = yield* manager.progress(record.id)
    const code = ExitCode.ofState(record.state._tag, options.stoppedBy)
    const failures = options.output?.failures?.()
    if (options.json) {
      yield* View.print(events.line("summary", {
        ...events.job(record),
        ...events.progress(progress),
        ...(failures === undefined ? {} : { failures }),
        ...(options.isOwnerDead === true ? { isOwnerDead: true } : {}),
        warnings: summary.warnings(progress),
        code,
        millis: options.millis ?? null
      }))
    } else {
      const { failed } = progress.tally
      const rows = failed === 0 || failures !== undefined ? [] : yield* manager.outcomes(record.id, ["Failed"]).pipe(
        Stream.take(shownFailures),
        Stream.runCollect
      )
      yield* reportFailures(record, rows, failed)
      for (const warning of summary.warnings(progress)) yield* View.complain(`warning  ${warning}`)
      const isGood = code === ExitCode.success
      const text = [
        summary.sentence(record, progress, { ...options, ...(failures === undefined ? {} : { failures }) }),
        summary.skipped(record, progress),
        summary.next(record, yield* hasCode(record), options.isOwnerDead),
        options.isOwnerDead === true ? "" : left(record)
      ].filter((part) => part !== "").join(" ")
      if (!(isGood && options.quiet)) {
        yield* (isGood && options.output === undefined ? View.tell(text) : View.complain(text))
      }
    }
    if (code !== ExitCode.success) return yield* Stop.withCode(code)
  })

/** What is said of a job that this process has left to another. */
const left = ({ id, state }: JobRecord): string =>
  state._tag === "Running" ? `It goes on in another process; \`fanout jobs pause ${id}\` pauses it.` : ""

const reportFailures = (record: JobRecord, rows: ReadonlyArray<OutcomeRow>, failed: number) =>
  Effect.gen(function*() {
    for (const row of rows) yield* View.complainOf(record, row)
    const more = failed - rows.length
    if (rows.length > 0 && more > 0) {
      yield* View.complain(`and ${format.count(more)} more: \`fanout jobs show --all ${record.id}\` names them all`)
    }
  })
