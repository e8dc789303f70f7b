/**
 * What crosses between threads, and how: as JSON of the schemas, or as it is where that is the same.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as Transferable from "effect/workers/Transferable"
import { Interrupted, type Reason } from "../../Interrupter.ts"
import type { JobId } from "../../JobId.ts"
import type { Instant } from "../../Lease.ts"
import type * as Task from "../../Task.ts"
import { type Defect, defectOf, errorOf } from "../defect.ts"

export type ToThread =
  | {
    readonly _tag: "Batch"
    readonly id: number
    readonly items: ReadonlyArray<Posted>
    /** Job and token of the lease of all of them. */
    readonly lease: readonly [job: JobId | null, token: number]
  }
  /** A task must stop. Its cell says so too; this is for those that wait. */
  | { readonly _tag: "Stop"; readonly id: number; readonly index: number; readonly reason: Reason }
  /** A task must stop wherever it is. */
  | { readonly _tag: "Interrupt"; readonly id: number; readonly index: number }
  /** What a task has saved is in the store. */
  | { readonly _tag: "Recorded"; readonly id: number; readonly index: number }
  /** The thread is to end. */
  | { readonly _tag: "Close" }

/** What is told besides to one that sees no memory of the owner's: until when the job of a batch is surely owned. */
export interface Held {
  readonly _tag: "Held"
  readonly id: number
  readonly until: Instant
}

/** One task as it is posted. */
export type Posted = readonly [task: string, payload: unknown, checkpoint?: Schema.Json]

export type FromThread =
  | { readonly _tag: "Ready"; readonly tasks: ReadonlyArray<string> }
  /** It takes no more, and is to be ended. */
  | { readonly _tag: "Leaving" }
  /** Its handlers could not be built. */
  | { readonly _tag: "Broken"; readonly why: string }
  | {
    readonly _tag: "Ended"
    readonly id: number
    readonly indexes: ReadonlyArray<number>
    readonly endings: ReadonlyArray<Ending>
    /** What they have to tell that they have not told. */
    readonly reports?: ReadonlyArray<Report>
    /** Time that they took together. */
    readonly millis: number
    /** Whether that was all of the batch. */
    readonly isLast: boolean
  }
  | Report & { readonly _tag: "Report"; readonly id: number }

/** Amounts of units. */
export type Amounts = ReadonlyArray<readonly [unit: string, amount: number]>

/** What a task has added, counted and saved since it last told. There may be one for each of a million tasks. */
export interface Report {
  readonly index: number
  /** What it saved last, and what it had added until then: these belong together. */
  readonly saved?: { readonly checkpoint: Schema.Json; readonly added: Amounts }
  /** What it has added since. */
  readonly added?: Amounts
  readonly totals?: Amounts
  /** Whether the task waits until what it saved is in the store. */
  readonly commits?: true
}

/** How a task ended on its thread. */
export type Ending =
  | { readonly done: unknown }
  | { readonly failed: unknown }
  /** It has seen that its job may be somebody else's by now, and did not get on with that. */
  | { readonly leaseLost: true }
  | { readonly died: Defect }

/** Turns values of one schema into what is posted, and back. */
interface Crossing {
  readonly encode: (value: unknown) => unknown
  readonly decode: (value: unknown) => unknown
}

const asIs: Crossing = { encode: (value) => value, decode: (value) => value }

const crossing = (schema: Schema.Top): Crossing => {
  if (SchemaAST.toEncoded(schema.ast) === schema.ast && isPlain(schema.ast)) return asIs
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- schemas of tasks need no services
  const codec = Schema.toCodecJson(schema as Task.Codec)
  return { encode: Schema.encodeUnknownSync(codec), decode: Schema.decodeUnknownSync(codec) }
}

/** Encodes values of a schema that may have something to move. */
const moving = (schema: Schema.Top): ((value: unknown, transfers: Transfers) => unknown) | undefined => {
  if (SchemaAST.toEncoded(schema.ast) === schema.ast) return undefined
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- schemas of tasks need no services
  const encode = Schema.encodeUnknownEffect(Schema.toCodecJson(schema as Task.Codec))
  return (value, transfers) => Effect.runSync(Effect.provideService(encode(value), Transferable.Collector, transfers))
}

/** Whether all values of a schema are copied as they are: anything may hide behind some. */
const isPlain = (ast: SchemaAST.AST): boolean => {
  switch (ast._tag) {
    case "Arrays":
      return [...ast.elements, ...ast.rest].every(isPlain)
    case "Objects":
      return ast.propertySignatures.every(({ name, type }) => typeof name === "string" && isPlain(type)) &&
        ast.indexSignatures.every(({ type }) => isPlain(type))
    case "Union":
      return ast.types.every(isPlain)
    case "Void":
    case "Undefined":
    case "Null":
    case "Never":
    case "String":
    case "Number":
    case "Boolean":
    case "BigInt":
    case "Literal":
    case "TemplateLiteral":
      return true
    default:
      return false
  }
}

/** What is to be moved instead of copied. */
type Transfers = Transferable.Collector["Service"]

/** How payloads and endings of a task cross. */
export interface TaskCrossing {
  /** Payloads are copied, whatever they are: they may have to run again. */
  readonly payload: Crossing
  readonly encodeExit: (exit: Exit.Exit<unknown, unknown>, transfers: Transfers) => Ending
  readonly decodeEnding: (ending: Ending) => Effect.Effect<unknown, unknown>
}

export const taskCrossing = (task: Task.Any): TaskCrossing => {
  const success = crossing(task.successSchema)
  const encodeMoving = moving(task.successSchema) ?? success.encode
  const error = crossing(task.errorSchema)
  return {
    payload: crossing(task.payloadSchema),
    encodeExit: (exit, transfers) => {
      if (Exit.isSuccess(exit)) return { done: encodeMoving(exit.value, transfers) }
      const failed = Cause.findError(exit.cause)
      return Result.isSuccess(failed) ? { failed: error.encode(failed.success) } : { died: defectOf(exit.cause) }
    },
    decodeEnding: (ending) => {
      if ("done" in ending) return Effect.succeed(success.decode(ending.done))
      if ("leaseLost" in ending) return Effect.fail(new Interrupted({ reason: "LeaseLost" }))
      if ("failed" in ending) return Effect.fail(error.decode(ending.failed))
      // What was no error is none here either.
      return Effect.die(ending.died.name === undefined ? ending.died.message : errorOf(ending.died))
    }
  }
}

/** A defect as it crosses: name, text and stack alone, since anything may be thrown. */
export const defect = (thrown: unknown): Ending => ({ died: defectOf(Cause.die(thrown)) })
