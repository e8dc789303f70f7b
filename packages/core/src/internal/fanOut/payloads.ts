/**
 * Encodes and decodes the payloads of elements.
 *
 * Each payload is checked when its element is taken. A check at the time of a checkpoint would see only the elements
 * that are unsettled then, and chance would decide which payloads fail.
 */
import type * as Schema from "effect/Schema"
import { messageOf } from "../messageOf.ts"

/** The reason why a part of an element cannot be stored. The task of the element does not run. */
export class Mismatch extends Error {}

/** Does a step that throws where a part of an element does not match its schema. */
export const orMismatch = <A>(part: string, step: () => A): A | Mismatch => {
  try {
    return step()
  } catch (thrown) {
    return new Mismatch(`its ${part} does not match its schema: ${messageOf(thrown)}`)
  }
}

export interface PayloadCodec {
  /** Whether a payload is known to fit its schema, so that it can be encoded later. */
  readonly fits: (payload: unknown) => boolean
  readonly encode: (payload: unknown) => Schema.Json
  readonly decode: (payload: unknown) => unknown
}

/** A payload, with its encoding if the encoding is known. */
export interface Loaded {
  readonly payload: unknown
  encoded: Schema.Json | Mismatch | undefined
}

export class Payloads {
  private readonly codec: PayloadCodec

  constructor(codec: PayloadCodec) {
    this.codec = codec
  }

  /** Checks that a payload can be stored. Gives the encoding if the check had to encode. */
  check(payload: unknown): Loaded["encoded"] {
    return orMismatch("payload", () => this.codec.fits(payload) ? undefined : this.codec.encode(payload))
  }

  decode(encoded: Schema.Json): unknown {
    return this.codec.decode(encoded)
  }

  /** Never throws: a handler may have changed a payload since it was checked. */
  encodedOf(loaded: Loaded): Schema.Json | Mismatch {
    return loaded.encoded ??= orMismatch("payload", () => this.codec.encode(loaded.payload))
  }
}
