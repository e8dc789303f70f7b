/**
 * The subcommands of `fanout jobs` that ask something of jobs.
 */
import type { JobId } from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import type { JobManagerError } from "@fanout/core/JobManagerError"
import * as JobPriority from "@fanout/core/JobPriority"
import * as JobState from "@fanout/core/JobState"
import type { JobChanges, JobRecord } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Signals from "../exit/Signals.ts"
import * as Stop from "../exit/Stop.ts"
import { KnownWorkers } from "../host/KnownWorkers.ts"
import * as Process from "../host/Process.ts"
import * as ClusterFlags from "../options/ClusterFlags.ts"
import * as Settings from "../options/Settings.ts"
import { explained, find, hasCode, withJobs } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import { progressLine } from "../ui/progressLine.ts"
import * as summary from "../ui/summary.ts"
import * as workerText from "../ui/workerText.ts"

import { columns, complain, type Options, print, tell as say } from "../ui/View.ts"

const ids = Settings.jobId.pipe(Argument.variadic({ min: 1 }))

const waitsToBeCancelled = ({ request, state }: JobRecord): boolean =>
  state._tag === "Queued" && Option.contains(request, "Cancel")

const tell = (record: JobRecord, json: boolean): Effect.Effect<void> =>
  Effect.flatMap(hasCode(record), (hasCode) => {
    // How urgent it is, and what it may use, matters to nobody once it is over.
    const settings = JobState.isTerminal(record.state) ? [] : summary.settings(record)
    if (json) return print(events.line("state", events.job(record)))
    const sentences = [
      `Job ${record.id} is ${[summary.state(record), ...settings].join(", ")}.`,
      waitsToBeCancelled(record)
        ? `Its program cleans up after it when it runs next${
          hasCode ? "" : `; if it is gone: fanout jobs cancel --force ${record.id}`
        }.`
        : summary.next(record, hasCode)
    ]
    return say(sentences.filter((part) => part !== "").join(" "))
  })

// An owner looks for what is asked of it a few times a second; who waits longer for another one is told how it stands.
const patienceMillis = 3000

/** Waits until what was asked of a job is done, and does it here where nobody else does. */
export const settled = (id: JobId) =>
  Effect.gen(function*() {
    const manager = yield* JobManager
    const { self } = yield* OwnerLiveness
    // Where nobody runs it, or its owner is dead, what was asked is done here.
    if (Option.isSome((yield* manager.get(id)).request)) yield* manager.claim(id)
    const until = (yield* Clock.currentTimeMillis) + patienceMillis
    let record = yield* manager.get(id)
    const isOwn = () => Option.exists(record.lease, ({ owner }) => Equal.equals(owner, self))
    while (Option.isSome(record.request) && (isOwn() || (yield* Clock.currentTimeMillis) < until)) {
      yield* Effect.sleep(50)
      record = yield* manager.get(id)
    }
    return record
  })

/** Asks the same of several jobs. One of which it can't be asked keeps it from no other. */
const askEach = (
  texts: ReadonlyArray<string>,
  json: boolean,
  ask: (record: JobRecord) => Effect.Effect<void, JobManagerError | JobStoreError | Stop.Stop, JobManager>
) =>
  withJobs({ claim: "none" })(Effect.gen(function*() {
    const codes = yield* Effect.forEach(texts, (text) =>
      find(text).pipe(
        Effect.tap(ask),
        Effect.flatMap(({ id }) => settled(id)),
        Effect.flatMap((record) => tell(record, json)),
        explained,
        Effect.as(ExitCode.success),
        Effect.catchTag("Stop", ({ code, sentence }) => Effect.as(complain(sentence), code))
      ))
    const code = Math.max(...codes)
    if (code !== ExitCode.success) return yield* Stop.withCode(code)
  }))

/** `fanout jobs pause` */
export const pause = Command.make(
  "pause",
  { ids, json: Settings.json },
  ({ ids, json }) => askEach(ids, json, ({ id }) => JobManager.use((manager) => manager.pause(id)))
).pipe(Command.withDescription("Pause jobs at their next safe points, wherever they run"))

/** Ends a job without its program, and says what stays behind. */
const abandon = Effect.fnUntraced(function*({ id, lease, state }: JobRecord, json: boolean) {
  const manager = yield* JobManager
  const { children, isOwnerDead } = yield* manager.status(id)
  if (state._tag === "Running" && !isOwnerDead && !json) {
    const seconds = Math.ceil(
      Option.match(lease, { onNone: () => 0, onSome: ({ ttlMillis = 15_000 }) => ttlMillis }) / 1000
    )
    yield* complain(`Looking for ${seconds} s whether a process runs job ${id}.`)
  }
  yield* manager.abandon(id)
  if (json) return
  const count = (children.Queued ?? 0) + (children.Running ?? 0) + (children.Paused ?? 0)
  const ofChildren = count === 0 ? "" : ` ${format.counted(count, "child", "children")} of it will be cancelled, too.`
  yield* complain(
    `Nothing has cleaned up after job ${id}: its temporary files and unfinished uploads stay. ` +
      `The same work can be started anew.${ofChildren}`
  )
})

/** `fanout jobs cancel` */
export const cancel = Command.make(
  "cancel",
  {
    ids,
    force: Settings.toggle(
      "force",
      "End jobs whose program is gone, without cleaning up; not while a process runs them"
    ),
    json: Settings.json
  },
  ({ force, ids, json }) =>
    askEach(
      ids,
      json,
      (record) => force ? abandon(record, json) : JobManager.use((manager) => manager.cancel(record.id))
    )
).pipe(Command.withDescription("Give jobs up; what they have done stays"))

const here = { id: Settings.jobId, concurrency: Settings.concurrency, json: Settings.json, quiet: Settings.quiet }

/** Makes a job that waits go on, and runs what it gives in this process to its end where there is code for that. */
const runHere = (
  { concurrency, id, ...options }: Command.Command.Config.Infer<typeof here>,
  goOn: (record: JobRecord) => Effect.Effect<JobRecord, JobManagerError | JobStoreError, JobManager>
) =>
  withJobs({ claim: { ids: [] }, concurrency, isDurable: true })(Effect.gen(function*() {
    const record = yield* Effect.flatMap(find(id), goOn)
    if (yield* hasCode(record)) return yield* RunJob.run(record.id, options)
    if (!options.quiet) yield* tell(yield* JobManager.use((manager) => manager.get(record.id)), options.json)
  }))

/** `fanout jobs resume` */
export const resume = Command.make("resume", here, (config) =>
  runHere(config, (record) => {
    const { id, request, state } = record
    const isWaiting = state._tag === "Queued" || state._tag === "Running"
    const isOn = isWaiting && Option.isNone(request)
    return Effect.as(isOn ? Effect.void : JobManager.use((manager) => manager.resume(id)), record)
  })).pipe(Command.withDescription("Go on with a paused job here, to its end, or have its own program do so"))

/** The job that has started a job, or the one that has started that one, and so on. All of them run again with it. */
const topOf = (record: JobRecord): Effect.Effect<JobRecord, JobStoreError, JobManager> =>
  Option.match(record.parent, {
    onNone: () => Effect.succeed(record),
    onSome: ({ id }) => Effect.flatMap(JobManager.use((manager) => manager.get(id)), topOf)
  })

/** `fanout jobs retry` */
export const retry = Command.make(
  "retry",
  {
    ...here,
    cause: Flag.String("cause").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only items that failed with this cause, as `fanout jobs show` counts them"),
      Flag.optional
    )
  },
  ({ cause, ...config }) => {
    const only = Option.getOrUndefined(Option.map(cause, (cause) => ({ cause })))
    return runHere(
      config,
      (record) => Effect.andThen(JobManager.use((manager) => manager.retry(record.id, only)), topOf(record))
    )
  }
).pipe(Command.withDescription("Run the failed items of a finished job again, here or by its own program"))

const settings = {
  priority: Settings.priority,
  concurrency: Flag.String("concurrency").pipe(
    Flag.withMetavar("N"),
    Flag.filterMap(
      (text) =>
        text === "off" ? Option.some(null) : /^[1-9]\d{0,3}$/.test(text) ? Option.some(Number(text)) : Option.none(),
      () => "Expected a number from 1 to 9999, or off"
    ),
    Flag.withDescription("At most so many tasks at the same time; off for what its process allows"),
    Flag.optional
  ),
  bandwidth: Settings.bandwidth("At most so many bytes a second: 20MB, 1.5GiB, 512K; off for no limit")
}

/** `fanout jobs set` */
export const set = Command.make(
  "set",
  { ids, ...settings, json: Settings.json },
  ({ ids, json, ...given }) =>
    Effect.gen(function*() {
      const { bandwidth, concurrency, priority } = given
      if (Option.isNone(bandwidth) && Option.isNone(concurrency) && Option.isNone(priority)) {
        return yield* Stop.usage("What is to be set? --priority, --concurrency or --bandwidth")
      }
      const changes: JobChanges = {
        ...Option.match(priority, { onNone: () => ({}), onSome: (name) => ({ priority: JobPriority.numbers[name] }) }),
        limits: {
          ...Option.match(concurrency, { onNone: () => ({}), onSome: (concurrency) => ({ concurrency }) }),
          ...Option.match(bandwidth, { onNone: () => ({}), onSome: (bytesPerSecond) => ({ bytesPerSecond }) })
        }
      }
      yield* askEach(
        ids,
        json,
        Effect.fnUntraced(function*({ id, name }) {
          if (Option.isSome(bandwidth) && !summary.isThrottled(name, yield* hasCode({ name }))) {
            yield* Stop.usage(`Job ${id} is of the type "${name}", which has no bandwidth that could be limited.`)
          }
          yield* JobManager.use((manager) => manager.set(id, changes))
        })
      )
    })
).pipe(
  Command.withDescription("Change how urgent jobs are and how much they may use, also while they run elsewhere"),
  Command.withExamples([
    { command: "fanout jobs set 4k2m --bandwidth 20MB", description: "Leave the rest of the disk to others" },
    { command: "fanout jobs set 4k2m --priority high --concurrency off", description: "Have it done soon" }
  ])
)

const olderThan = Flag.String("older-than").pipe(
  Flag.withMetavar("DURATION"),
  Flag.filterMap(format.parseDuration, () => "Expected a duration like 30d, 12h or 45m"),
  Flag.withDescription("Only jobs that ended longer ago than this, such as 30d, 12h or 45m")
)

/** `fanout jobs prune` */
export const prune = Command.make(
  "prune",
  { olderThan, json: Settings.json },
  ({ json, olderThan }) =>
    withJobs({ claim: "none" })(Effect.gen(function*() {
      const manager = yield* JobManager
      const removed = yield* manager.prune((yield* Clock.currentTimeMillis) - olderThan)
      yield* print(json ? events.line("pruned", { removed }) : `Removed ${format.counted(removed, "job")}.`)
    }))
).pipe(
  Command.withDescription("Forget jobs that ended long ago; the files stay"),
  Command.withExamples([{ command: "fanout jobs prune --older-than 30d", description: "Keep those of the last month" }])
)

/** Most running jobs that are told of. A machine runs fewer. */
const mostRunning = 1000

/** The newest jobs, those that run, and those that ran when this looked last: a long queue hides none of these. */
const jobsToTell = Effect.fnUntraced(function*(seen: Map<JobId, string>) {
  const manager = yield* JobManager
  const found = [...yield* manager.overview(), ...yield* manager.overview({ states: ["Running"], limit: mostRunning })]
  const listed = new Map(found.map((one) => [one.record.id, one]))
  for (const [id, standing] of seen) {
    if (listed.has(id)) continue
    seen.delete(id)
    if (!standing.startsWith("Running")) continue
    for (const one of yield* manager.overview({ idPrefix: id, limit: 1 })) {
      listed.set(id, one)
      seen.set(id, standing)
    }
  }
  return Array.from(listed.values())
})

/** Says when jobs begin to run, pause and end, and what they have come to by then. Nothing is said of earlier ends. */
const announce = (seen: Map<JobId, string>, since: number, json: boolean) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    for (const { isOwnerDead, progress, record } of yield* jobsToTell(seen)) {
      const { _tag } = record.state
      // A new owner goes on with what one has left.
      const standing = `${_tag} ${record.token}`
      const before = seen.get(record.id)
      seen.set(record.id, standing)
      const isMoving = _tag === "Queued" || _tag === "Running"
      const isNews = before === undefined ? isMoving || record.updatedAt >= since : before !== standing
      if (!isNews) continue
      yield* json
        ? print(events.line("state", events.job(record)))
        : print(`${format.time(now)}  ${summary.sentence(record, progress, { isOwnerDead })}`)
    }
  })

/** Says how far all jobs are that run. */
const remindOfAll = Effect.gen(function*() {
  const manager = yield* JobManager
  const now = yield* Clock.currentTimeMillis
  for (const { progress, record } of yield* manager.overview({ states: ["Running"] })) {
    const line = progressLine(progress, columns(Process.current().stderr))
    yield* complain(`${format.time(now)}  Job ${record.id} (${format.printable(record.name)}): ${line}`)
  }
  const workers = (yield* yield* KnownWorkers).filter((worker) => !workerText.isIdle(worker))
  for (const worker of workers) yield* complain(`${format.time(now)}  ${workerText.sentence(worker, now)}`)
}).pipe(Effect.ignore)

/** Tells what becomes of all jobs, for as long as nobody stops it. */
export const tellOfAll = Effect.fnUntraced(function*({ json, quiet }: Options) {
  const seen = new Map<JobId, string>()
  const since = yield* Clock.currentTimeMillis
  // The runtime says so where a store does not answer, and jobs may go on.
  const tell = Effect.catchTag(announce(seen, since, json), "JobStoreError", () => Effect.void)
  if (!json && !quiet) yield* Effect.forkScoped(RunJob.reminding(remindOfAll))
  if (quiet) return yield* Effect.never
  return yield* tell.pipe(Effect.andThen(Effect.sleep(Duration.millis(500))), Effect.forever)
})

/** `fanout jobs work` */
export const work = Command.make(
  "work",
  { concurrency: Settings.concurrency, ...ClusterFlags.flags, json: Settings.json, quiet: Settings.quiet },
  Effect.fnUntraced(function*({ concurrency, json, quiet, ...cluster }) {
    const membership = yield* ClusterFlags.membership(cluster, yield* Settings.database)
    const run = Effect.scoped(Effect.gen(function*() {
      const manager = yield* JobManager
      const signal = yield* Signals.listen
      if (!json && !quiet) yield* say(`Waiting for jobs${ClusterFlags.asMember(membership)}; Ctrl-C stops.`)
      const stoppedBy = yield* Effect.raceFirst(signal, tellOfAll({ json, quiet }))
      yield* manager.shutdown
      return yield* Stop.withCode(ExitCode.ofSignal(stoppedBy))
    }))
    return yield* withJobs({ claim: "all", concurrency, isDurable: true, membership })(run)
  })
).pipe(
  Command.withDescription("Run file jobs that are queued, also by other programs, until stopped"),
  Command.withExamples([
    { command: "fanout jobs work", description: "Run queued jobs in this process" },
    {
      command: "fanout jobs work --cluster node3.example --db postgres://fanout@db.example/jobs",
      description: "Have all machines of a cluster work on each job; docs/cluster.md tells how"
    }
  ])
)
