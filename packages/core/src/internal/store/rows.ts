/**
 * Turns what a job store keeps into columns and back.
 *
 * A database does not give back every text as it was: a lone surrogate, which stands for a byte of a file's name, and
 * NUL are changed or refused. Text with one of those is kept as a backslash and the text's JSON, and so is text that
 * begins with a backslash. Other text is kept unchanged. Columns of JSON keep any text, because `JSON.stringify`
 * escapes both.
 */
import { flow } from "effect/Function"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { JobHistory } from "../../JobHistory.ts"
import * as JobId from "../../JobId.ts"
import {
  type Asked,
  Exit,
  JobLimits,
  JobRecord,
  Lease,
  LogEntry,
  OutcomeRow,
  Parent,
  type Pulse,
  Request,
  Scheduled
} from "../../JobRecord.ts"
import { JobSchedule } from "../../JobSchedule.ts"
import * as JobState from "../../JobState.ts"
import type { Astray, Claimer, Held, Kind, Listed } from "../../JobStore.ts"
import { JobTasks } from "../../JobTasks.ts"
import { cause, Outcome } from "../../Outcome.ts"
import { Owner } from "../../OwnerLiveness.ts"
import { Progress } from "../../Progress.ts"
import { dueAt } from "./ticks.ts"

/** A row as a driver gives it. */
export type Row = Readonly<Record<string, unknown>>

export const toText = (text: string): string =>
  text.isWellFormed() && !text.includes("\0") && !text.startsWith("\\") ? text : "\\" + JSON.stringify(text)

export const fromText = (column: string): string => column.startsWith("\\") ? JSON.parse(column.slice(1)) : column

const Text = Schema.String.pipe(
  Schema.decodeTo(Schema.String, SchemaTransformation.transform({ decode: fromText, encode: toText }))
)

const json = <S extends Schema.Constraint>(schema: S) => Schema.fromJsonString(Schema.toCodecJson(schema))

// --- Jobs -----------------------------------------------------------------------------------------------------------

const columns = {
  ...JobRecord.fields,
  id: Text.pipe(Schema.decodeTo(JobId.JobId)),
  name: Text,
  payload: json(Schema.Json),
  idempotencyKey: Schema.OptionFromNullOr(Text),
  exclusiveKey: Schema.OptionFromNullOr(Text),
  parent: Schema.OptionFromNullOr(json(Parent)),
  scheduled: Schema.OptionFromNullOr(json(Scheduled)),
  tags: json(JobRecord.fields.tags),
  limits: json(JobLimits),
  state: json(JobState.JobState),
  exit: Schema.OptionFromNullOr(json(Exit)),
  request: Schema.OptionFromNullOr(Request),
  lease: Schema.OptionFromNullOr(json(Lease)),
  finishedAt: Schema.OptionFromNullOr(Schema.Finite)
}

/** The columns that together are a `JobRecord`. */
const StoredJob = Schema.Struct(columns).pipe(Schema.encodeKeys({
  idempotencyKey: "idempotency_key",
  exclusiveKey: "exclusive_key",
  ownersLost: "owners_lost",
  createdAt: "created_at",
  updatedAt: "updated_at",
  availableAt: "available_at",
  finishedAt: "finished_at"
}))

const encodeColumns = Schema.encodeSync(StoredJob)
const decodeColumns = Schema.decodeUnknownSync(StoredJob)

/** Encodes a job. The payload is apart, because another table keeps it. */
export const encodeJob = (record: JobRecord) => {
  const { payload, ...columns } = encodeColumns(record)
  return { columns: { ...columns, ...repeated(record) }, payload }
}

/** Columns that repeat parts of other columns, for queries and indexes. */
const repeated = ({ lease, parent, scheduled, state }: JobRecord) => {
  const leaseToken = lease._tag === "Some" ? lease.value.token : null
  const family = parent._tag === "None" ? { parent_id: null, parent_name: null, active_parent: null } : {
    parent_id: toText(parent.value.id),
    parent_name: toText(parent.value.name),
    active_parent: JobState.isActive(state) ? toText(parent.value.id) : null
  }
  const schedule = scheduled._tag === "Some" ? toText(scheduled.value.schedule) : null
  return { ...family, tag: state._tag, lease_token: leaseToken, schedule }
}

export type JobColumns = ReturnType<typeof encodeJob>["columns"]

export const decodeJob = (row: object): JobRecord => new JobRecord(decodeColumns(row))

/** Decodes a job from the database, and throws if columns contradict each other. */
export const decodeStored = (row: Row): JobRecord => {
  const record = decodeJob(row)
  for (const [column, value] of Object.entries(repeated(record))) {
    // A process of an earlier version that is still up stores no name of a schedule.
    if (column === "schedule" && row[column] === null) continue
    if (row[column] !== value) throw new Error(`its ${column} is ${String(row[column])}, and not ${String(value)}`)
  }
  return record
}

/** Decodes a job with its progress, and throws if either can't be read. */
export const decodeListed = (row: Row): Listed => ({ ...decodePulse(row), record: decodeStored(row) })

const { id, lease, limits, name, parent, priority, request, version } = columns
const beat = Schema.Natural

export const encodeProgress: (progress: Progress) => string = Schema.encodeSync(json(Progress))

export const decodePulse: (row: object) => Pulse = Schema.decodeUnknownSync(
  Schema.Struct({ beat, progress: json(Progress) })
)

export const encodeHistory: (history: JobHistory) => string = Schema.encodeSync(json(JobHistory))

export const decodeHistory: (row: object) => JobHistory = flow(
  Schema.decodeUnknownSync(Schema.Struct({ history: json(JobHistory) })),
  ({ history }) => history
)

export const encodeTasks: (tasks: JobTasks) => string = Schema.encodeSync(json(JobTasks))

export const decodeTasks: (row: object) => JobTasks = flow(
  Schema.decodeUnknownSync(Schema.Struct({ tasks: json(JobTasks) })),
  ({ tasks }) => tasks
)

export const decodeKind: (row: object) => Kind = Schema.decodeUnknownSync(Schema.Struct({ name, version }))

export const decodeHeld: (row: object) => Held = Schema.decodeUnknownSync(
  Schema.Struct({ id, name, version, lease, parent, beat })
)

const Claiming = Schema.Struct({
  owner: json(Owner),
  names: json(Schema.Array(Schema.String)),
  places: Schema.Natural
})

export const encodeClaimer: (claimer: Claimer) => typeof Claiming.Encoded = Schema.encodeSync(Claiming)

export const decodeClaimer: (row: object) => Claimer = Schema.decodeUnknownSync(Claiming)

export const decodeAsked: (row: object) => Asked = Schema.decodeUnknownSync(
  Schema.Struct({ request, priority, limits })
)

export const decodeTag: (row: object) => JobState.Tag = flow(
  Schema.decodeUnknownSync(Schema.Struct({ tag: JobState.Tag })),
  ({ tag }) => tag
)

export const decodeStateCount: (row: object) => readonly [JobState.Tag, number] = flow(
  Schema.decodeUnknownSync(Schema.Struct({ tag: JobState.Tag, count: Schema.Natural })),
  ({ count, tag }) => [tag, count]
)

export const decodeChildCount = Schema.decodeUnknownSync(
  Schema.Struct({ parent: id, tag: JobState.Tag, count: Schema.Natural }).pipe(
    Schema.encodeKeys({ parent: "parent_id" })
  )
)

const decodeWish = Schema.decodeUnknownSync(Schema.Struct({ wish: Schema.Literals(["Run", "Pause", "Cancel"]) }))

export const decodeAstray = (row: Row): Astray => ({ id: decodeStored(row).id, wish: decodeWish(row).wish })

// --- Outcomes and logs ----------------------------------------------------------------------------------------------

/** Makes a row without the checks of the constructor, which take several times as long as everything else. */
export const makeOutcomeRow = (fields: ConstructorParameters<typeof OutcomeRow>[0]): OutcomeRow => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the constructor does, once it has checked
  return Object.assign(Object.create(OutcomeRow.prototype) as OutcomeRow, fields)
}

/** Encodes an ending for `insertOutcomes` of a dialect. A schema would take five times as long. */
export const encodeOutcome = ({ at, attempt, cursor, fanOut, key, origin, outcome, payload }: OutcomeRow) => ({
  fan_out: toText(fanOut),
  cursor: toText(cursor),
  key: toText(key),
  tag: outcome._tag,
  cause: outcome._tag === "Failed" ? toText(cause(outcome.failure)) : null,
  payload: JSON.stringify(payload),
  origin: JSON.stringify(origin),
  outcome: JSON.stringify(outcome),
  attempt,
  at
})

export type OutcomeColumns = ReturnType<typeof encodeOutcome>

/** Makes `seq` a number: some drivers give a column that can exceed 2^53 as text or as a bigint. */
const numbered = (row: object): object => "seq" in row ? { ...row, seq: Number(row.seq) } : row

const decodeStoredOutcome = Schema.decodeUnknownSync(
  Schema.Struct({
    ...OutcomeRow.fields,
    seq: Schema.Natural,
    fanOut: Text,
    cursor: Text,
    key: Text,
    payload: json(Schema.Json),
    origin: json(Schema.Json),
    outcome: json(Outcome)
  }).pipe(Schema.encodeKeys({ fanOut: "fan_out" }))
)

/** Decodes a row that is `Done`, without a schema: there may be millions of such rows. */
const decodeDone = (row: Row): OutcomeRow | undefined => {
  const { at, attempt, cursor, fan_out: fanOut, key, origin, outcome, payload, tag } = row
  const isWhole = typeof fanOut === "string" && typeof cursor === "string" && typeof key === "string" &&
    typeof payload === "string" && typeof origin === "string" && typeof outcome === "string" &&
    typeof attempt === "number" && typeof at === "number"
  if (tag !== "Done" || !isWhole) return undefined
  try {
    const done: Outcome = JSON.parse(outcome)
    if (done._tag !== "Done" || !("value" in done)) return undefined
    return makeOutcomeRow({
      fanOut: fromText(fanOut),
      cursor: fromText(cursor),
      key: fromText(key),
      payload: JSON.parse(payload),
      origin: JSON.parse(origin),
      outcome: { _tag: "Done", value: done.value, ...done.count === undefined ? {} : { count: done.count } },
      attempt,
      at
    })
  } catch {
    return undefined
  }
}

export const decodeOutcome = (row: object): readonly [seq: number, row: OutcomeRow] => {
  const whole: Row = { ...row }
  const done = decodeDone(whole)
  if (done !== undefined) return [Number(whole["seq"]), done]
  const { seq, ...fields } = decodeStoredOutcome(numbered(row))
  return [seq, makeOutcomeRow(fields)]
}

const decodeStoredLogEntry = Schema.decodeUnknownSync(Schema.Struct({ ...LogEntry.fields, message: Text }))

export const decodeLogEntry = (row: object): LogEntry => new LogEntry(decodeStoredLogEntry(numbered(row)))

// --- Schedules ------------------------------------------------------------------------------------------------------

const ScheduleJson = json(JobSchedule)
const encodeScheduleJson = Schema.encodeSync(ScheduleJson)

export const encodeSchedule = (schedule: JobSchedule) => ({
  name: toText(schedule.name),
  job: toText(schedule.job),
  next_at: dueAt(schedule),
  revision: schedule.revision,
  schedule: encodeScheduleJson(schedule)
})

export const decodeSchedule: (row: object) => JobSchedule = flow(
  Schema.decodeUnknownSync(Schema.Struct({ schedule: ScheduleJson })),
  ({ schedule }) => schedule
)
