/**
 * Keeps jobs in memory.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { decodeJob, decodeProgress, encodeProgress, Memory } from "./internal/job/memory.ts"
import { JobStore } from "./JobStore.ts"

/**
 * Layer that keeps jobs in memory.
 *
 * **When to use**
 *
 * Use in tests and for jobs that need not survive the process.
 *
 * **Details**
 *
 * Everything is kept as the JSON text that a database would keep, so what does not survive
 * a database does not survive here.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<JobStore> = Layer.sync(JobStore, () => {
  const memory = new Memory()
  return JobStore.of({
    insert: (record) => memory.run(() => memory.insert(record)),
    insertChild: (record, token) => memory.run(() => memory.insertChild(record, token)),
    child: (parent, name) => memory.run(() => Effect.succeed(memory.child(parent, name))),
    childTags: (parent) => memory.run(() => Effect.succeed(memory.childTags(parent))),
    astray: memory.run(() => Effect.succeed(memory.astray())),
    schedules: memory.run(() => Effect.succeed(memory.schedulesWhere())),
    schedule: (name) =>
      memory.run(() => Effect.succeed(Option.fromUndefinedOr(memory.schedulesWhere((one) => one.name === name)[0]))),
    dueSchedules: (filter) => memory.run(() => Effect.succeed(memory.dueSchedules(filter))),
    putSchedule: (schedule, jobs, dueAt) =>
      memory.transaction(Effect.suspend(() => memory.putSchedule(schedule, jobs, dueAt))),
    removeSchedule: (name) => memory.run(() => Effect.sync(() => memory.removeSchedule(name))),
    get: (id) => memory.run(() => Effect.map(memory.find(id), (job) => decodeJob(job.json))),
    pulse: (id) =>
      memory.run(() =>
        Effect.map(memory.find(id), ({ beat, progress }) => ({ beat, progress: decodeProgress(progress) }))
      ),
    list: (filter) => memory.run(() => Effect.succeed(memory.list(filter))),
    // What it keeps it has written itself.
    unreadable: () => Effect.succeed([]),
    look: (now) => memory.run(() => Effect.succeed(memory.look(now))),
    due: (filter) => memory.run(() => Effect.succeed(memory.due(filter))),
    toCancel: (filter) => memory.run(() => Effect.succeed(memory.toCancel(filter))),
    put: (record, line, renames) => memory.run(() => memory.put(record, line, renames)),
    beat: (id, token, progress) =>
      memory.run(() =>
        Effect.map(memory.owned(id, token), (job) => {
          memory.change(job).beat++
          if (progress !== undefined) job.progress = encodeProgress(progress)
          return Option.some(job.record.asked)
        })
      ),
    requested: (id, token) => memory.run(() => Effect.map(memory.owned(id, token), (job) => job.record.asked)),
    flush: (id, flush, onCommit) => {
      const write = () => Effect.map(memory.owned(id, flush.token), (job) => memory.flush(job, flush))
      return onCommit === undefined
        ? memory.run(write)
        : memory.transaction(Effect.andThen(Effect.suspend(write), onCommit))
    },
    checkpoint: (id, fanOut) =>
      memory.run(() => Effect.succeed(Option.fromUndefinedOr(memory.jobs.get(id)?.checkpoints.get(fanOut)))),
    ownCheckpoint: (id, name) =>
      memory.run(() => Effect.succeed(Option.fromUndefinedOr(memory.jobs.get(id)?.own.get(name)))),
    saveOwnCheckpoint: (id, options) =>
      memory.run(() => Effect.map(memory.owned(id, options.token), (job) => memory.saveOwn(job, options))),
    outcomes: (id, options) => memory.run(() => Effect.succeed(memory.outcomes(id, options))),
    failures: (id) =>
      memory.run(() =>
        Effect.sync(() =>
          Array.from(memory.jobs.get(id)?.outcomes.values() ?? []).filter(({ tag }) => tag === "Failed").length
        )
      ),
    log: (id, token, entry) => memory.run(() => Effect.map(memory.owned(id, token), (job) => memory.log(job, entry))),
    logs: (id, options) => memory.run(() => Effect.succeed(memory.logs(id, options))),
    prune: (finishedBefore) => memory.run(() => Effect.sync(() => memory.prune(finishedBefore)))
  })
})
