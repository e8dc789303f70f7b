/**
 * Turns what a job store keeps into columns and back.
 *
 * Text that a database would not give back as it was (a lone surrogate, which stands for a byte of a file's
 * name; NUL) is kept as a backslash and its JSON; so is text that begins with a backslash. Any other text is
 * kept as it is. JSON columns need none of that: `JSON.stringify` escapes both.
 */
import { flow } from "effect/Function"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
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
  Request
} from "../../JobRecord.ts"
import { JobSchedule } from "../../JobSchedule.ts"
import * as JobState from "../../JobState.ts"
import type { Astray, Held, Kind } from "../../JobStore.ts"
import { Outcome } from "../../Outcome.ts"
import { Progress } from "../../Progress.ts"
import { makeOutcomeRow } from "./outcomeRow.ts"

export const toText = (text: string): string =>
  text.isWellFormed() && !text.includes("\0") && !text.startsWith("\\") ? text : "\\" + JSON.stringify(text)

export const fromText = (column: string): string => column.startsWith("\\") ? JSON.parse(column.slice(1)) : column

const Text = Schema.String.pipe(
  Schema.decodeTo(Schema.String, SchemaTransformation.transform({ decode: fromText, encode: toText }))
)

const json = <S extends Schema.Constraint>(schema: S) => Schema.fromJsonString(Schema.toCodecJson(schema))

/** The columns that together are a `JobRecord`. */
const StoredJob = Schema.Struct({
  id: Text.pipe(Schema.decodeTo(JobId.JobId)),
  name: Text,
  version: Schema.Natural,
  payload: json(Schema.Json),
  idempotencyKey: Schema.OptionFromNullOr(Text),
  exclusiveKey: Schema.OptionFromNullOr(Text),
  parent: Schema.OptionFromNullOr(json(Parent)),
  priority: Schema.Int,
  limits: json(JobLimits),
  state: json(JobState.JobState),
  exit: Schema.OptionFromNullOr(json(Exit)),
  request: Schema.OptionFromNullOr(Request),
  lease: Schema.OptionFromNullOr(json(Lease)),
  token: Schema.Natural,
  ownersLost: Schema.Natural,
  createdAt: Schema.Finite,
  updatedAt: Schema.Finite,
  availableAt: Schema.Finite,
  finishedAt: Schema.OptionFromNullOr(Schema.Finite),
  revision: Schema.Natural
}).pipe(Schema.encodeKeys({
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

/** Columns of a job, apart from its payload, which is kept in a table of its own. */
export const encodeJob = (record: JobRecord) => {
  const { payload, ...columns } = encodeColumns(record)
  return { columns: { ...columns, ...repeated(record) }, payload }
}

/** Columns that repeat what others say, for those who look for it. */
const repeated = ({ lease, parent, state }: JobRecord) => {
  const leaseToken = lease._tag === "Some" ? lease.value.token : null
  const family = parent._tag === "None" ? { parent_id: null, parent_name: null, active_parent: null } : {
    parent_id: toText(parent.value.id),
    parent_name: toText(parent.value.name),
    active_parent: JobState.isActive(state) ? toText(parent.value.id) : null
  }
  return { ...family, tag: state._tag, lease_token: leaseToken }
}

export type JobColumns = ReturnType<typeof encodeJob>["columns"]

export const decodeJob = (row: object): JobRecord => new JobRecord(decodeColumns(row))

/** Reads a row of the database, in which columns that contradict each other are as bad as one that can't be read. */
export const decodeStored = (row: Readonly<Record<string, unknown>>): JobRecord => {
  const record = decodeJob(row)
  for (const [column, value] of Object.entries(repeated(record))) {
    if (row[column] !== value) throw new Error(`its ${column} is ${String(row[column])}, and not ${String(value)}`)
  }
  return record
}

/** Reads the same where whoever gets the job reads its progress next. */
export const decodeListed = (row: Readonly<Record<string, unknown>>): JobRecord => {
  decodePulse(row)
  return decodeStored(row)
}

export const encodeProgress: (progress: Progress) => string = Schema.encodeSync(json(Progress))

export const decodePulse: (row: object) => Pulse = Schema.decodeUnknownSync(
  Schema.Struct({ beat: Schema.Natural, progress: json(Progress) })
)

export const decodeKind: (row: object) => Kind = Schema.decodeUnknownSync(
  Schema.Struct({ name: Text, version: Schema.Natural })
)

export const decodeHeld: (row: object) => Held = Schema.decodeUnknownSync(
  Schema.Struct({
    id: Text.pipe(Schema.decodeTo(JobId.JobId)),
    name: Text,
    version: Schema.Natural,
    lease: Schema.OptionFromNullOr(json(Lease)),
    parent: Schema.OptionFromNullOr(json(Parent)),
    beat: Schema.Natural
  })
)

export const decodeAsked: (row: object) => Asked = Schema.decodeUnknownSync(
  Schema.Struct({ request: Schema.OptionFromNullOr(Request), priority: Schema.Int, limits: json(JobLimits) })
)

export const decodeTag: (row: object) => JobState.Tag = flow(
  Schema.decodeUnknownSync(Schema.Struct({ tag: JobState.Tag })),
  ({ tag }) => tag
)

const decodeWish = Schema.decodeUnknownSync(Schema.Struct({ wish: Schema.Literals(["Run", "Pause", "Cancel"]) }))

export const decodeAstray = (row: Readonly<Record<string, unknown>>): Astray => ({
  id: decodeStored(row).id,
  wish: decodeWish(row).wish
})

/** One row as `insertOutcomes` of a dialect takes it. Not encoded with a schema: it costs five times as much. */
export const encodeOutcome = ({ at, attempt, cursor, fanOut, key, origin, outcome, payload }: OutcomeRow) => ({
  fan_out: toText(fanOut),
  cursor: toText(cursor),
  key: toText(key),
  tag: outcome._tag,
  payload: JSON.stringify(payload),
  origin: JSON.stringify(origin),
  outcome: JSON.stringify(outcome),
  attempt,
  at
})

export type OutcomeColumns = ReturnType<typeof encodeOutcome>

/** Some drivers give the numbers of rows, which can grow beyond 2^53, as text or as a bigint. */
const numbered = (row: object): object => "seq" in row ? { ...row, seq: Number(row.seq) } : row

const StoredOutcome = Schema.Struct({
  seq: Schema.Natural,
  fan_out: Text,
  cursor: Text,
  key: Text,
  payload: json(Schema.Json),
  origin: json(Schema.Json),
  outcome: json(Outcome),
  attempt: Schema.Natural,
  at: Schema.Finite
})

const decodeStoredOutcome = Schema.decodeUnknownSync(StoredOutcome)

/** Reads a row of what is plain done, of which there may be millions. */
const decodeDone = (row: Readonly<Record<string, unknown>>): OutcomeRow | undefined => {
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
  const whole: Readonly<Record<string, unknown>> = { ...row }
  const done = decodeDone(whole)
  if (done !== undefined) return [Number(whole["seq"]), done]
  const { fan_out: fanOut, seq, ...columns } = decodeStoredOutcome(numbered(row))
  return [seq, new OutcomeRow({ fanOut, ...columns })]
}

const StoredSchedule = Schema.Struct({ schedule: json(JobSchedule) })

const encodeScheduleText = Schema.encodeSync(json(JobSchedule))

export const encodeSchedule = (schedule: JobSchedule) => ({
  name: toText(schedule.name),
  job: toText(schedule.job),
  next_at: schedule.nextAt,
  revision: schedule.revision,
  schedule: encodeScheduleText(schedule)
})

export const decodeSchedule: (row: object) => JobSchedule = flow(
  Schema.decodeUnknownSync(StoredSchedule),
  ({ schedule }) => schedule
)

const StoredLogEntry = Schema.Struct({ ...LogEntry.fields, message: Text })

const decodeStoredLogEntry = Schema.decodeUnknownSync(StoredLogEntry)

export const decodeLogEntry = (row: object): LogEntry => new LogEntry(decodeStoredLogEntry(numbered(row)))
