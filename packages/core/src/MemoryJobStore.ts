/**
 * Keeps jobs in memory.
 *
 * This store is the contract of `JobStore` in plain code: tests compare the SQL store with this one. Each operation
 * looks through everything that is stored.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Struct from "effect/Struct"
import { encode, Memory, read, refuse, type StoredFanOut, type StoredJob } from "./internal/memory/memory.ts"
import { samples, sharedByProcesses } from "./internal/memory/shared.ts"
import * as Numbers from "./internal/numbers.ts"
import { renameEntries, renameProgress } from "./internal/store/fanOutNames.ts"
import { standsFor, withStored } from "./internal/store/keys.ts"
import { atMost, behind } from "./internal/store/pages.ts"
import { astrayLimit, isToCancel, stepOf, wishOf } from "./internal/store/request.ts"
import * as Rows from "./internal/store/rows.ts"
import * as Ticks from "./internal/store/ticks.ts"
import type { JobId } from "./JobId.ts"
import type { JobRecord } from "./JobRecord.ts"
import type { JobSchedule } from "./JobSchedule.ts"
import * as JobState from "./JobState.ts"
import { type Flush, JobStore, type Kind, type ListFilter } from "./JobStore.ts"
import * as Errors from "./JobStoreError.ts"
import * as Progress from "./Progress.ts"

/**
 * Layer that keeps jobs in memory, for tests and for jobs that need not survive the process. The store keeps the text
 * that a database would keep, so a value that a database would lose is lost here too.
 *
 * @category layers
 */
export const layer: Layer.Layer<JobStore> = Layer.sync(JobStore, () => {
  const memory = new Memory()
  return JobStore.of({
    ...reads(memory),
    ...changes(memory),
    ...schedules(memory),
    ...sharedByProcesses(memory),
    ...belongings(memory),
    ...samples(memory),
    changes: Stream.empty,
    version: Effect.sync(() => String(memory.version))
  })
})

const first = <A>(found: ReadonlyArray<A>, limit: number) => found.slice(0, atMost(limit))

const isQueued = ({ state }: JobRecord) => state._tag === "Queued"
const isActive = ({ state }: JobRecord) => JobState.isActive(state)
const isChildOf = (parent: JobId) => (record: JobRecord) => Option.exists(record.parent, ({ id }) => id === parent)

/** Sets `ownersLost` to 0 after a job has made progress. */
const forgetLosses = (job: StoredJob): void => {
  const { ownersLost, revision } = job.record
  if (ownersLost > 0) Object.assign(job, encode(job.record.with({ ownersLost: 0, revision: revision + 1 })))
}

type Operations<Names extends keyof JobStore["Service"]> = Pick<JobStore["Service"], Names>

// --- Reads of jobs ---------------------------------------------------------------------------------------------------

const kindKey = ({ name, version }: Kind) => `${version} ${name}`

/** The queued jobs that are wanted, in the order in which they should be claimed. */
const firstQueued = (memory: Memory, limit: number, isWanted: (record: JobRecord) => boolean) => {
  const found = memory.where((record) => isQueued(record) && isWanted(record))
    .toSorted((left, right) =>
      right.record.priority - left.record.priority || left.record.createdAt - right.record.createdAt
    )
  return first(found, limit).map(read)
}

/** The jobs that a filter finds, the newest first. */
const newest = (
  memory: Memory,
  { before, idempotencyKey, idPrefix = "", limit, names, parent, schedule, since = -Infinity, states, tag }: ListFilter
): ReadonlyArray<StoredJob> => {
  const earliest = Numbers.bound("The since of a list", since)
  const last = before && { ...before, order: memory.jobs.get(before.id)?.order ?? 0 }
  const found = memory.where((record) =>
    (states === undefined || states.includes(record.state._tag)) &&
    (names === undefined || names.includes(record.name)) &&
    (idempotencyKey === undefined || Option.contains(record.idempotencyKey, idempotencyKey)) &&
    (tag === undefined || record.tags.includes(tag)) &&
    record.id.startsWith(idPrefix) && record.createdAt >= earliest &&
    (schedule === undefined || Option.exists(record.scheduled, (one) => one.schedule === schedule)) &&
    (parent === undefined || isChildOf(parent)(record))
  )
    .filter(({ order, record: { createdAt } }) =>
      last === undefined || createdAt < last.createdAt || (createdAt === last.createdAt && order < last.order)
    )
    .toSorted((left, right) => right.record.createdAt - left.record.createdAt || right.order - left.order)
  return first(found, limit)
}

type Reads = "get" | "pulse" | "list" | "listWithPulse" | "unreadable" | "look" | "due" | "toCancel"

const reads = (memory: Memory): Operations<Reads> => ({
  get: (id) => memory.run(() => read(memory.find(id))),
  pulse: (id) => memory.run(() => Rows.decodePulse(memory.find(id))),
  list: (filter) => memory.run(() => newest(memory, filter).map(read)),
  listWithPulse: (filter) =>
    memory.run(() => newest(memory, filter).map((job) => Object.assign(Rows.decodePulse(job), { record: read(job) }))),
  // The store can read every job, because the store itself has written the job.
  unreadable: ({ limit }) => memory.run(() => first([], limit)),
  look: (now) =>
    memory.run(() => {
      const queued = memory.where(isQueued).map(({ record }) => record)
      const kinds = new Map(queued.map((record) => [kindKey(record), Struct.pick(record, ["name", "version"])]))
      const running = memory.where(({ state }) => state._tag === "Running")
      return {
        held: running.map(({ beat, record: { id, lease, name, parent, version } }) => {
          return { id, name, version, lease, parent, beat }
        }),
        kinds: Array.from(kinds.values()),
        full: Array.from(memory.concurrencies.keys()).filter((name) => isFull(memory, name)),
        hasChildren: memory.where((record) => Option.isSome(record.parent) && isActive(record)).length > 0,
        hasJobsToCancel: queued.some(isToCancel),
        hasDueSchedules: schedulesWhere(memory, (schedule) => Ticks.dueAt(schedule) <= now).length > 0
      }
    }),
  due: ({ except, ids, kinds, limit, now, parents }) =>
    memory.run(() => {
      const [left, wanted] = [new Set(except), new Set(kinds.map(kindKey))]
      const [named, families] = [ids && new Set(ids), parents && new Set(parents)]
      return firstQueued(memory, limit, (record) =>
        Option.isNone(record.request) && record.availableAt <= now && !left.has(record.id) &&
        wanted.has(kindKey(record)) && named?.has(record.id) !== false &&
        (families === undefined || Option.exists(record.parent, ({ id }) =>
          families.has(id))))
    }),
  toCancel: ({ children, except, ids, limit, names }) =>
    memory.run(() => {
      const [left, single] = [new Set(except), new Set(ids)]
      return firstQueued(memory, limit, (record) =>
        isToCancel(record) && !left.has(record.id) &&
        (names.includes(record.name) || single.has(record.id) ||
          (Option.isSome(record.parent) && children.includes(record.name))))
    })
})

// --- Changes of jobs, and children -----------------------------------------------------------------------------------

/** The child of this name; the newest one where all children of this name are cancelled. */
const namedChild = (memory: Memory, parent: JobId, name: string): StoredJob | undefined => {
  const named = memory.where((record) => Option.exists(record.parent, (one) => one.id === parent && one.name === name))
  return named.findLast(({ record }) => record.state._tag !== "Cancelled") ?? named.at(-1)
}

/** The active job, other than `stored`, that has the name and one of the keys of a record. */
const twinOf = (memory: Memory, record: JobRecord, stored?: StoredJob): StoredJob | undefined => {
  const others = memory.where((other) => other.name === record.name && isActive(other))
  const withSame = (key: "idempotencyKey" | "exclusiveKey") =>
    others.find((other) =>
      other !== stored && Option.exists(record[key], (wanted) => Option.contains(other.record[key], wanted))
    )
  return withSame("idempotencyKey") ?? withSame("exclusiveKey")
}

const insert = (memory: Memory, record: JobRecord): JobRecord => {
  const { id } = record
  if (record.revision !== 0) refuse(new Errors.JobConflict({ id }))
  const twin = twinOf(memory, record)
  if (twin !== undefined) return read(twin)
  if (memory.jobs.has(id)) refuse(new Errors.JobConflict({ id }))
  const job: StoredJob = {
    ...encode(record.with({ revision: 1 })),
    order: ++memory.last.job,
    beat: 0,
    progress: Rows.encodeProgress(Progress.empty),
    fanOuts: new Map(),
    checkpoints: new Map(),
    log: []
  }
  memory.jobs.set(id, job)
  return read(job)
}

const countsOf = (jobs: ReadonlyArray<StoredJob>) =>
  Object.fromEntries(
    Array.from(Map.groupBy(jobs, ({ record }) => record.state._tag), ([tag, { length }]) => [tag, length])
  )

const childCounts = (memory: Memory, parents: ReadonlyArray<JobId>) =>
  new Map(parents.flatMap((parent) => {
    const children = memory.where(isChildOf(parent))
    return children.length === 0 ? [] : [[parent, countsOf(children)] as const]
  }))

const changes = (
  memory: Memory
): Operations<
  "insert" | "insertAll" | "insertChild" | "child" | "childTags" | "childCounts" | "counts" | "astray" | "put" | "prune"
> => ({
  insert: (record) => memory.write(() => insert(memory, record)),
  insertAll: (records) =>
    memory.transaction(memory.write(() =>
      records.map((record) => {
        const stored = insert(memory, record)
        if (!standsFor(stored, record)) refuse(new Errors.KeyTaken({ id: record.id, by: stored.id }))
        return stored
      })
    )),
  insertChild: (record, token) =>
    memory.write(() => {
      const parent = Option.getOrUndefined(record.parent)
      if (parent === undefined || record.revision !== 0) return refuse(new Errors.JobConflict({ id: record.id }))
      const owned = memory.owned(parent.id, token)
      const found = namedChild(memory, parent.id, parent.name)
      if (found !== undefined && found.record.state._tag !== "Cancelled") return read(found)
      const stored = insert(memory, record)
      if (stored.id === record.id) forgetLosses(owned)
      return stored
    }),
  child: (parent, name) => memory.run(() => Option.map(Option.fromUndefinedOr(namedChild(memory, parent, name)), read)),
  childTags: (parent) =>
    memory.run(() => Array.from(new Set(memory.where(isChildOf(parent)).map(({ record }) => record.state._tag)))),
  childCounts: (parents) => memory.run(() => childCounts(memory, parents)),
  counts: memory.run(() => countsOf(memory.where(() => true))),
  astray: memory.run(() => {
    const found = Array.from(memory.jobs.values()).flatMap(({ record }) => {
      const parent = Option.getOrUndefined(record.parent)
      if (parent === undefined) return []
      const wish = wishOf(memory.jobs.get(parent.id)?.record)
      return stepOf(record, wish) === undefined ? [] : [{ id: record.id, wish }]
    })
    return first(found, astrayLimit)
  }),
  put: (record, line, renames = [], beat) =>
    memory.write(() => {
      const { id, revision } = record
      const job = memory.find(id)
      if (job.record.revision !== revision || job.beat !== (beat ?? job.beat)) refuse(new Errors.JobConflict({ id }))
      if (record.state._tag === "Running" && !isToCancel(record)) takePlace(memory, job.record)
      const twin = isActive(record) ? twinOf(memory, record, job) : undefined
      if (twin !== undefined) refuse(new Errors.KeyTaken({ id, by: twin.record.id }))
      Object.assign(job, encode(record.with({ revision: revision + 1 })))
      for (const step of renames) {
        job.progress = Rows.encodeProgress(renameProgress(Rows.decodePulse(job).progress, step))
        job.fanOuts = new Map(renameEntries(job.fanOuts, step))
      }
      memory.addLine(job, { at: record.updatedAt, level: "Info", message: line })
      return read(job)
    }),
  prune: (finishedBefore) =>
    memory.write(() => {
      const before = Numbers.bound("The time before which jobs have finished", finishedBefore)
      const parents = new Set(memory.where(isActive).map(({ record }) => Option.getOrUndefined(record.parent)?.id))
      const isOld = ({ finishedAt, id, parent, state }: JobRecord) =>
        JobState.isTerminal(state) && Option.exists(finishedAt, (at) => at < before) && !parents.has(id) &&
        !Option.exists(parent, (parent) => memory.jobs.has(parent.id))
      const all = memory.jobs.size
      // A child becomes old only after its parent has been removed.
      for (let old = memory.where(isOld); old.length > 0; old = memory.where(isOld)) {
        for (const { record } of old) memory.jobs.delete(record.id)
      }
      return all - memory.jobs.size
    })
})

// --- Schedules -------------------------------------------------------------------------------------------------------

const scheduleOf = (memory: Memory, name: string) =>
  Option.map(Option.fromUndefinedOr(memory.schedules.get(name)), Rows.decodeSchedule)

const schedulesWhere = (memory: Memory, isWanted: (schedule: JobSchedule) => boolean) =>
  Array.from(memory.schedules.values(), Rows.decodeSchedule)
    .filter(isWanted)
    .toSorted((left, right) => left.name < right.name ? -1 : 1)

const putSchedule = (memory: Memory, schedule: JobSchedule, jobs: ReadonlyArray<JobRecord>, dueAt = Infinity) => {
  const { name, revision } = schedule
  const stored = Option.getOrUndefined(scheduleOf(memory, name))
  if (revision !== (stored?.revision ?? 0) || (stored !== undefined && Ticks.dueAt(stored) > dueAt)) return false
  let standing = schedule.with({ revision: revision + 1 })
  for (const job of jobs) standing = withStored(standing, job.id, insert(memory, job).id)
  memory.schedules.set(name, Rows.encodeSchedule(standing))
  return true
}

const schedules = (
  memory: Memory
): Operations<"schedules" | "schedule" | "dueSchedules" | "putSchedule" | "removeSchedule"> => ({
  schedules: memory.run(() => schedulesWhere(memory, () => true)),
  schedule: (name) => memory.run(() => scheduleOf(memory, name)),
  dueSchedules: ({ jobs, limit, now }) =>
    memory.run(() => {
      const isDue = (schedule: JobSchedule) =>
        Ticks.dueAt(schedule) <= now && (jobs === undefined || jobs.includes(schedule.job))
      const due = schedulesWhere(memory, isDue)
      return first(due.toSorted((left, right) => Ticks.dueAt(left) - Ticks.dueAt(right)), limit)
    }),
  putSchedule: (schedule, jobs, dueAt) =>
    memory.transaction(memory.write(() => putSchedule(memory, schedule, jobs, dueAt))),
  removeSchedule: (name) => memory.write(() => memory.schedules.delete(name))
})

// --- Concurrencies of names -----------------------------------------------------------------------------------------

/** Whether a job has a place of its own: a child of a job of the same name has none. */
const hasPlace = (memory: Memory, { name, parent }: JobRecord) =>
  !Option.exists(parent, ({ id }) => memory.jobs.get(id)?.record.name === name)

/** Whether no more jobs of a name may begin to run. */
const isFull = (memory: Memory, name: string) =>
  memory.where((job) => job.name === name && job.state._tag === "Running" && hasPlace(memory, job)).length >=
    (memory.concurrencies.get(name) ?? Infinity)

/** Refuses a queued job that has to wait until it may begin to run. */
const takePlace = (memory: Memory, job: JobRecord) => {
  const { name } = job
  if (!isQueued(job) || !hasPlace(memory, job) || !isFull(memory, name)) return
  refuse(new Errors.ConcurrencyReached({ job: name, most: memory.concurrencies.get(name) ?? 0 }))
}

// --- What belongs to a job -------------------------------------------------------------------------------------------

const rowsOf = (memory: Memory, id: JobId) =>
  Array.from(memory.jobs.get(id)?.fanOuts ?? []).flatMap(([fanOut, { rows }]) =>
    Array.from(rows.values(), (row) => ({ fanOut, row }))
  )

const fanOutOf = ({ fanOuts }: StoredJob, name: string): StoredFanOut => {
  const fanOut = fanOuts.get(name) ?? { rows: new Map() }
  fanOuts.set(name, fanOut)
  return fanOut
}

const record = (memory: Memory, job: StoredJob, { checkpoint, cleared, fanOut: name, progress, rows }: Flush): void => {
  job.progress = Rows.encodeProgress(progress)
  const fanOut = fanOutOf(job, name)
  if (fanOut.checkpoint !== checkpoint || cleared.length + rows.length > 0) forgetLosses(job)
  fanOut.checkpoint = checkpoint
  for (const cursor of cleared) fanOut.rows.delete(cursor)
  for (const row of rows) {
    const { rows: stored } = fanOutOf(job, row.fanOut)
    stored.delete(row.cursor)
    stored.set(row.cursor, { seq: ++memory.last.row, ...Rows.encodeOutcome(row) })
  }
}

const belongings = (
  memory: Memory
): Operations<
  | "beat"
  | "requested"
  | "flush"
  | "checkpoint"
  | "ownCheckpoint"
  | "saveOwnCheckpoint"
  | "outcomes"
  | "failures"
  | "log"
  | "logs"
> => ({
  beat: (id, token, progress) =>
    memory.write(() => {
      const job = memory.owned(id, token)
      job.beat++
      if (progress !== undefined) job.progress = Rows.encodeProgress(progress)
      return Option.some(job.record.asked)
    }),
  requested: (id, token) => memory.run(() => memory.owned(id, token).record.asked),
  flush: (id, flush, onCommit) => {
    const write = memory.write(() => record(memory, memory.owned(id, flush.token), flush))
    if (onCommit === undefined) return write
    return Effect.andThen(memory.apart.warn, memory.transaction(Effect.andThen(write, onCommit)))
  },
  checkpoint: (id, fanOut) =>
    memory.run(() => Option.fromUndefinedOr(memory.jobs.get(id)?.fanOuts.get(fanOut)?.checkpoint)),
  ownCheckpoint: (id, name) => memory.run(() => Option.fromUndefinedOr(memory.jobs.get(id)?.checkpoints.get(name))),
  saveOwnCheckpoint: (id, { checkpoint, name, token }) =>
    memory.write(() => {
      const job = memory.owned(id, token)
      if (job.checkpoints.get(name) !== checkpoint) forgetLosses(job)
      job.checkpoints.set(name, checkpoint)
    }),
  outcomes: (id, { after, cause, elements, fanOut, limit, newestFirst, tags }) =>
    memory.run(() => {
      const [least, chosen] = [behind(after), elements && new Set(elements)]
      const found = rowsOf(memory, id)
        .filter((one) =>
          one.row.seq > least && (fanOut === undefined || one.fanOut === fanOut) &&
          (tags === undefined || tags.includes(one.row.tag)) &&
          (cause === undefined || one.row.cause === Rows.toText(cause)) &&
          (chosen === undefined || chosen.has(one.row.seq))
        )
        .toSorted((left, right) => left.row.seq - right.row.seq)
      return first(newestFirst ? found.toReversed() : found, limit)
        .map(({ fanOut, row }) => Rows.decodeOutcome({ ...row, fan_out: Rows.toText(fanOut) }))
    }),
  failures: (id) => memory.run(() => rowsOf(memory, id).filter(({ row }) => row.tag === "Failed").length),
  log: (id, token, entry) => memory.write(() => memory.addLine(memory.owned(id, token), entry)),
  logs: (id, { after, limit, newestFirst }) =>
    memory.run(() => {
      const least = behind(after)
      const found = (memory.jobs.get(id)?.log ?? []).filter(({ seq }) => seq > least)
      return first(newestFirst ? found.toReversed() : found, limit)
    })
})
