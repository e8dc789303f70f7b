/**
 * The messages between the owner of a thread pool and its threads, and how values get into them: as JSON of their
 * schemas, or as they are where that is the same.
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
import type { News } from "../task/calledTask.ts"

// -- messages

export interface Batch {
  readonly _tag: "Batch"
  readonly id: number
  readonly items: ReadonlyArray<Posted>
  /** Job and token of the lease that all tasks of the batch share. */
  readonly lease: readonly [job: JobId | null, token: number]
}

/** A task as it is posted. Most tasks have no checkpoint and are at their first attempt, so both are left out then. */
export type Posted = readonly [task: string, payload: unknown, checkpoint?: Schema.Json | undefined, attempt?: number]

export type ToThread =
  | Batch
  /** A task must stop. Its cell in the shared memory says so, too; the message is for a task that waits. */
  | { readonly _tag: "Stop"; readonly id: number; readonly index: number; readonly reason: Reason }
  /** The fiber of a task is to be interrupted. */
  | { readonly _tag: "Interrupt"; readonly id: number; readonly index: number }
  /** The checkpoint that a task has committed is in the store. */
  | { readonly _tag: "Recorded"; readonly id: number; readonly index: number }
  /** The thread is to end. */
  | { readonly _tag: "Close" }

/** A message for processes, which don't share the owner's memory: until when the job of a batch is surely owned. */
export interface Held {
  readonly _tag: "Held"
  readonly id: number
  readonly until: Instant
}

export type FromThread =
  | { readonly _tag: "Ready"; readonly tasks: ReadonlyArray<string> }
  /** The thread takes no more tasks, and is to be ended. */
  | { readonly _tag: "Leaving" }
  /** The handlers could not be built. */
  | { readonly _tag: "Broken"; readonly why: string }
  | Ended
  | Report & { readonly _tag: "Report"; readonly id: number }

export interface Ended {
  readonly _tag: "Ended"
  readonly id: number
  readonly indexes: ReadonlyArray<number>
  readonly endings: ReadonlyArray<Ending>
  /** When each of them began and ended, one after the other: milliseconds of the clock that the machine has. */
  readonly times: ReadonlyArray<number>
  /** News of these tasks that the owner has not been told. */
  readonly reports?: ReadonlyArray<Report>
  /** Time that these tasks took together. */
  readonly millis: number
  /** Whether the thread is through with the batch. */
  readonly isLast: boolean
}

export type Ending =
  | { readonly done: unknown }
  | { readonly failed: unknown }
  /** The task has failed after it had seen that its job may be somebody else's by now. */
  | { readonly leaseLost: true }
  | { readonly died: Defect }

export interface Report extends News {
  readonly index: number
  /** Whether the task waits until the checkpoint is in the store. */
  readonly commits?: true
}

// -- values

/** What is moved instead of copied. */
type Transfers = Transferable.Collector["Service"]

/** Turns values of one schema into what is posted, and back. Nothing is moved without a place for `transfers`. */
interface Crossing {
  readonly encode: (value: unknown, transfers?: Transfers) => unknown
  readonly decode: (value: unknown) => unknown
}

const asIs: Crossing = { encode: (value) => value, decode: (value) => value }

const crossing = (schema: Schema.Top): Crossing => {
  if (SchemaAST.toEncoded(schema.ast) === schema.ast && isPlain(schema.ast)) return asIs
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- schemas of tasks need no services
  const codec = Schema.toCodecJson(schema as Task.Codec)
  const encode = Schema.encodeUnknownEffect(codec)
  return {
    encode: (value, transfers) =>
      Effect.runSync(
        transfers === undefined
          ? encode(value)
          : Effect.provideService(encode(value), Transferable.Collector, transfers)
      ),
    decode: Schema.decodeUnknownSync(codec)
  }
}

const plain = new Set("Void Undefined Null Never String Number Boolean BigInt Literal TemplateLiteral".split(" "))

/** Whether all values of a schema can be copied as they are. A declaration, for one, may hide anything. */
const isPlain = (ast: SchemaAST.AST): boolean => {
  switch (ast._tag) {
    case "Arrays":
      return [...ast.elements, ...ast.rest].every(isPlain)
    case "Objects":
      return ast.propertySignatures.every(({ name, type }) => typeof name === "string" && isPlain(type)) &&
        ast.indexSignatures.every(({ type }) => isPlain(type))
    case "Union":
      return ast.types.every(isPlain)
    default:
      return plain.has(ast._tag)
  }
}

/** How payloads and endings of a task cross. */
export interface TaskCrossing {
  /** Payloads are never moved: a task may have to run again. */
  readonly payload: Crossing
  readonly encodeExit: (exit: Exit.Exit<unknown, unknown>, transfers: Transfers) => Ending
  readonly decodeEnding: (ending: Ending) => Effect.Effect<unknown, unknown>
}

export const taskCrossing = (task: Task.Any): TaskCrossing => {
  const success = crossing(task.successSchema)
  const error = crossing(task.errorSchema)
  return {
    payload: crossing(task.payloadSchema),
    encodeExit: (exit, transfers) => {
      if (Exit.isSuccess(exit)) return { done: success.encode(exit.value, transfers) }
      const failed = Cause.findError(exit.cause)
      return Result.isSuccess(failed) ? { failed: error.encode(failed.success) } : { died: defectOf(exit.cause) }
    },
    decodeEnding: (ending) => {
      if ("done" in ending) return Effect.succeed(success.decode(ending.done))
      if ("leaseLost" in ending) return Effect.fail(new Interrupted({ reason: "LeaseLost" }))
      if ("failed" in ending) return Effect.fail(error.decode(ending.failed))
      // A defect without a name was no error.
      return Effect.die(ending.died.name === undefined ? ending.died.message : errorOf(ending.died))
    }
  }
}

/** A defect as an ending: name, text and stack alone, since anything may be thrown. */
export const defect = (thrown: unknown): Ending => ({ died: defectOf(Cause.die(thrown)) })
