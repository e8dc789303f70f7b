/**
 * Payloads of elements, and what is stored of them.
 *
 * Whether one can be stored is found out when it is taken, for each: later only those are asked about that are
 * unsettled when a checkpoint is written, and time would decide which these are.
 */
import type * as Schema from "effect/Schema"
import { messageOf } from "../messageOf.ts"

/** Why a payload can't be stored, and is not run. */
export class Mismatch extends Error {}

export interface PayloadCodec {
  /** Whether a payload is known to fit its schema, so that it can be encoded whenever that is needed. */
  readonly fits: (payload: unknown) => boolean
  readonly encode: (payload: unknown) => Schema.Json
  readonly decode: (payload: unknown) => unknown
}

/** A payload, and as it is stored, once that is known. */
export interface Loaded {
  readonly payload: unknown
  encoded: Schema.Json | Mismatch | undefined
}

export class Payloads {
  private readonly codec: PayloadCodec

  constructor(codec: PayloadCodec) {
    this.codec = codec
  }

  /** Finds out whether a payload can be stored; gives its encoding, where it takes that to know. */
  check(payload: unknown): Loaded["encoded"] {
    if (this.codec.fits(payload)) return undefined
    try {
      return this.encode(payload)
    } catch (thrown) {
      return new Mismatch(`its payload does not match its schema: ${messageOf(thrown)}`)
    }
  }

  decode(encoded: Schema.Json): unknown {
    return this.codec.decode(encoded)
  }

  encodedOf(loaded: Loaded): Schema.Json | Mismatch {
    return loaded.encoded ??= this.encode(loaded.payload)
  }

  /** What is nothing has no JSON. */
  private encode(payload: unknown): Schema.Json {
    return this.codec.encode(payload) ?? null
  }
}
