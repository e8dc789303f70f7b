/**
 * Between what tasks take and give, and what is stored of it: JSON of their schemas.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Task from "../Task.ts"
import type { PayloadCodec } from "./fanOut/checkpoint.ts"

interface Codecs {
  readonly payload: PayloadCodec
  readonly encodeError: (error: unknown) => Schema.Json
  readonly encodeSuccess: (value: unknown) => Schema.Json
  readonly decodeError: (stored: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly decodeSuccess: (stored: unknown) => Effect.Effect<unknown, Schema.SchemaError>
}

const compiled = new WeakMap<Task.Any, Codecs>()

/** Codecs of a task, compiled once. */
export const codecsOf = (task: Task.Any): Codecs => {
  const known = compiled.get(task)
  if (known !== undefined) return known
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- schemas of tasks need no services
  const codecOf = (schema: Schema.Top) => Schema.toCodecJson(schema as Task.Codec) as Schema.Codec<unknown, Schema.Json>
  const payload = codecOf(task.payloadSchema)
  const error = codecOf(task.errorSchema)
  const success = codecOf(task.successSchema)
  const codecs: Codecs = {
    payload: { encode: Schema.encodeSync(payload), decode: Schema.decodeUnknownSync(payload) },
    encodeError: Schema.encodeSync(error),
    encodeSuccess: Schema.encodeSync(success),
    decodeError: Schema.decodeUnknownEffect(error),
    decodeSuccess: Schema.decodeUnknownEffect(success)
  }
  compiled.set(task, codecs)
  return codecs
}
