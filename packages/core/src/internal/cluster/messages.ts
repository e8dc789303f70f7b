/**
 * The messages between the owner of jobs and a worker of a cluster. Each is a line of JSON, decoded by its schema.
 *
 * 1. The owner sends `Hello`, and the worker answers with `Welcome`.
 * 2. From then on each side sends what is new since its last message, with the number of the message in front. So one
 *    message carries a chunk of tasks, or all tasks that have ended meanwhile.
 * 3. The end of the connection ends all tasks that were not settled. No message is kept: an unsettled element is in the
 *    owner's checkpoint.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Reason } from "../../Interrupter.ts"
import { JobId } from "../../JobId.ts"
import { Owner } from "../../OwnerLiveness.ts"
import type * as Task from "../../Task.ts"
import { Defect } from "../defect.ts"
import { brief } from "./wire.ts"

/** Number of this protocol. Sides with different numbers refuse each other. */
export const protocol = 1

/** Most characters of a message. A task whose payload is larger fails. */
export const mostCharacters = 16 * 1024 * 1024

/** A message of several elements is no longer than this, so that other things have their turns. */
const fewCharacters = 1024 * 1024

/** Time of the sender in milliseconds: of its monotonic clock, and since the epoch. */
export const Times = Schema.Tuple([Schema.Finite, Schema.Finite])
export type Times = typeof Times.Type

/** What the first messages of all versions have. Sides that differ in one of both refuse each other. */
const Version = Schema.Struct({
  protocol: Schema.Natural,
  /** Version of the program that runs the tasks, if the side names one. */
  program: Schema.optionalKey(Schema.String)
})
export type Version = typeof Version.Type

/** The version of this side. */
export const versionOf = (program?: string): Version => ({ protocol, ...program === undefined ? {} : { program } })

const programOf = ({ program }: Version): string => program === undefined ? "no version" : `version ${brief(program)}`

/** Why the other side is refused, if it is. `self` is the name of this side. */
export const refusalOf = (theirs: Version, own: Version, self: "owner" | "worker"): string | undefined => {
  if (theirs.protocol !== own.protocol) {
    return `has version ${theirs.protocol} of the protocol; the ${self} has ${own.protocol}`
  }
  return theirs.program === own.program
    ? undefined
    : `has ${programOf(theirs)} of the program; the ${self} has ${programOf(own)}`
}

const Hello = Schema.Struct({
  ...Version.fields,
  /** Tag and shape of each task. Other messages name a task by its index. */
  tasks: Schema.Array(Schema.Tuple([Schema.String, Schema.String]))
})

const Welcome = Schema.Struct({
  ...Version.fields,
  now: Times,
  /** The process, so that an owner on the same machine sees that it has ended. */
  process: Owner,
  /** Names and sizes of the pools in which tasks run. */
  pools: Schema.Array(Schema.Tuple([Schema.String, Schema.Natural])),
  /** For each task the index of its pool, or the reason why the worker does not take it. */
  tasks: Schema.Array(Schema.Union([Schema.Natural, Schema.String]))
})
export type Welcome = typeof Welcome.Type

const Units = Schema.Array(Schema.Tuple([Schema.String, Schema.Finite]))
export type Units = typeof Units.Type

const Id = Schema.Natural

const Earlier = Schema.Struct({
  saved: Schema.optionalKey(Schema.Json),
  attempt: Schema.optionalKey(Schema.Natural)
})

/** A task, and what earlier attempts have left. `index` is that of the task in `Hello`. */
export type PostedTask = readonly [
  id: number,
  lease: number,
  index: number,
  payload: unknown,
  earlier?: typeof Earlier.Type
]

// Tasks and endings, the most of all messages, are checked by hand: a schema takes four times as long.
const isNatural = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

const isEarlier = Schema.is(Earlier)

const isPostedTask = (value: unknown): value is PostedTask => {
  if (!Array.isArray(value) || value.length < 4) return false
  const [id, lease, index, , earlier]: ReadonlyArray<unknown> = value
  return isNatural(id) && isNatural(lease) && isNatural(index) && (earlier === undefined || isEarlier(earlier))
}

const ToWorker = Schema.Struct({
  /** Leases of jobs, new or held for longer, in the worker's time. A worker that hears no more stops at that time. */
  leases: Schema.optionalKey(Schema.Array(Schema.Struct({
    id: Id,
    job: Schema.NullOr(JobId),
    token: Schema.Natural,
    graceMillis: Schema.Finite,
    heldUntil: Times
  }))),
  tasks: Schema.optionalKey(Schema.Array(Schema.declare(isPostedTask))),
  stops: Schema.optionalKey(Schema.Array(Schema.Tuple([Id, Reason]))),
  /** Tasks whose fiber was interrupted. */
  interrupts: Schema.optionalKey(Schema.Array(Id)),
  /** Tasks, and how many more of their commits the store has. */
  recorded: Schema.optionalKey(Schema.Array(Schema.Tuple([Id, Schema.Natural]))),
  /** How many tasks the worker is to give back if it has not begun them. */
  giveBack: Schema.optionalKey(Schema.Natural)
})
export type ToWorker = typeof ToWorker.Type

const OtherEnding = Schema.Union([
  Schema.Struct({ failed: Schema.Unknown }),
  Schema.Struct({ skipped: Schema.String }),
  Schema.Struct({ timedOut: Schema.Literal(true) }),
  Schema.Struct({ stopped: Reason }),
  Schema.Struct({ quarantined: Schema.String }),
  Schema.Struct({ died: Defect }),
  /** The worker can't start the threads that the task needs, for this reason. */
  Schema.Struct({ unavailable: Schema.String })
])
export type Ending = { readonly done: unknown } | typeof OtherEnding.Type

/** How a task has ended, and for how many microseconds its handler ran, if it did. */
export type EndOfTask = readonly [id: number, ending: Ending, ranMicros?: number]

const isOtherEnding = Schema.is(OtherEnding)

const isEndOfTask = (value: unknown): value is EndOfTask => {
  if (!Array.isArray(value)) return false
  const [id, ending, ranMicros]: ReadonlyArray<unknown> = value
  if (!isNatural(id) || (ranMicros !== undefined && !isNatural(ranMicros))) return false
  return (typeof ending === "object" && ending !== null && "done" in ending) || isOtherEnding(ending)
}

const Report = Schema.Struct({
  id: Id,
  /** The last checkpoint, with the amounts that were added before it: all of them, where the task has begun anew. */
  saved: Schema.optionalKey(
    Schema.Struct({ checkpoint: Schema.Json, added: Units, startsOver: Schema.optionalKey(Schema.Literal(true)) })
  ),
  /** The amounts that were added after it. */
  added: Schema.optionalKey(Units),
  totals: Schema.optionalKey(Units),
  /** How many commits wait until the checkpoint is in the store. */
  commits: Schema.optionalKey(Schema.Natural)
})
export type Report = typeof Report.Type

const FromWorker = Schema.Struct({
  now: Times,
  reports: Schema.optionalKey(Schema.Array(Report)),
  endings: Schema.optionalKey(Schema.Array(Schema.declare(isEndOfTask))),
  /** Tasks that the worker has not begun, and will not begin. */
  back: Schema.optionalKey(Schema.Array(Id)),
  /** Whether the worker takes no more tasks, since its process is to end. */
  isLeaving: Schema.optionalKey(Schema.Literal(true))
})
export type FromWorker = typeof FromWorker.Type

const codecOf = <S extends Schema.Codec<unknown, unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownSync(schema)
  return {
    encode: Schema.encodeSync(schema),
    decode: (text: string): S["Type"] => decode(JSON.parse(text))
  }
}

export const codecs = {
  version: codecOf(Version),
  hello: codecOf(Hello),
  welcome: codecOf(Welcome),
  toWorker: codecOf(ToWorker),
  fromWorker: codecOf(FromWorker)
}

/** The text of an element, or why it has none that can be sent. */
const textOf = (element: unknown): Result.Result<string, string> => {
  const tooLong = `takes more than ${mostCharacters} characters as JSON: give a reference instead`
  try {
    const text = JSON.stringify(element)
    return text.length <= mostCharacters ? Result.succeed(text) : Result.fail(tooLong)
  } catch (error) {
    // No string can be that long.
    return Result.fail(error instanceof RangeError ? tooLong : `has no JSON: ${brief(error)}`)
  }
}

/**
 * Texts of messages that carry all elements between them, in their order, under a name and behind what else they tell.
 * An element that can't be sent is replaced by what `instead` makes of it, if anything.
 */
export const textsOf = <A>(
  name: string,
  elements: ReadonlyArray<A>,
  instead: (element: A, why: string) => A | undefined,
  more: object = {}
): ReadonlyArray<string> => {
  const start = JSON.stringify({ ...more, [name]: [] }).slice(0, -2)
  const messages: Array<Array<string>> = []
  let length = Number.POSITIVE_INFINITY
  for (const element of elements) {
    const text = Result.getOrElse(textOf(element), (why) => {
      const other = instead(element, why)
      return other === undefined ? undefined : JSON.stringify(other)
    })
    if (text === undefined) continue
    length += text.length + 1
    if (length > fewCharacters) {
      messages.push([])
      length = text.length + 1
    }
    messages.at(-1)?.push(text)
  }
  return messages.map((texts) => `${start}${texts.join(",")}]}`)
}

/** The shape of a task, as text: JSON schemas of its payload, success and error. Another shape is another version. */
export const shapeOf = (task: Task.Any): string =>
  JSON.stringify([task.payloadSchema, task.successSchema, task.errorSchema].map((schema) =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- schemas of tasks need no services
    Schema.toJsonSchemaDocument(Schema.toCodecJson(schema as Task.Codec))
  ))
