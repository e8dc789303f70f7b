/**
 * Encodes payloads, errors and successes of tasks as JSON by their schemas, and decodes the JSON.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as Task from "../../Task.ts"
import type { PayloadCodec } from "../fanOut/payloads.ts"
import { jsonCodec } from "../jsonCodec.ts"

interface Codecs {
  readonly payload: PayloadCodec
  readonly encodeError: (error: unknown) => Schema.Json
  readonly encodeSuccess: (value: unknown) => Schema.Json
  readonly decodeError: (stored: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly decodeSuccess: (stored: unknown) => Effect.Effect<unknown, Schema.SchemaError>
}

/**
 * Makes a quick check whether a value is equal to the value's encoded form. The check takes a hundredth of the time of
 * an encoding. The check knows only records of plain values, which most payloads are, and is `false` for other schemas.
 */
const glanceOf = (ast: SchemaAST.AST): (value: unknown) => boolean => {
  const { annotations, checks, context, encoding } = ast
  if ((annotations ?? checks ?? context ?? encoding) !== undefined) return () => false
  switch (ast._tag) {
    case "String":
      return (value) => typeof value === "string"
    case "Number":
      return (value) => typeof value === "number"
    case "Boolean":
      return (value) => typeof value === "boolean"
    case "Objects": {
      if (ast.indexSignatures.length > 0 || ast.encodingChecks !== undefined) return () => false
      const fields = ast.propertySignatures.map(({ name, type }) => ({ name, fits: glanceOf(type) }))
      return (value) => {
        if (typeof value !== "object" || value === null || Array.isArray(value)) return false
        for (const { fits, name } of fields) if (!fits(Reflect.get(value, name))) return false
        return true
      }
    }
    default:
      return () => false
  }
}

const compiled = new WeakMap<Task.Any, Codecs>()

/** Codecs of a task, compiled once. */
export const codecsOf = (task: Task.Any): Codecs => {
  const known = compiled.get(task)
  if (known !== undefined) return known
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- schemas of tasks need no services
  const codecOf = (schema: Schema.Top) => jsonCodec(schema as Task.Codec)
  const payload = codecOf(task.payloadSchema)
  const error = codecOf(task.errorSchema)
  const success = codecOf(task.successSchema)
  const codecs: Codecs = {
    payload: {
      fits: glanceOf(task.payloadSchema.ast),
      encode: Schema.encodeSync(payload),
      decode: Schema.decodeUnknownSync(payload)
    },
    encodeError: Schema.encodeSync(error),
    encodeSuccess: Schema.encodeSync(success),
    decodeError: Schema.decodeUnknownEffect(error),
    decodeSuccess: Schema.decodeUnknownEffect(success)
  }
  compiled.set(task, codecs)
  return codecs
}
