/**
 * Errors of calls to one bucket, and what no store is asked since no store can do it.
 */
import * as Effect from "effect/Effect"
import {
  type CloudAddress,
  type Limits,
  ObjectStoreError,
  type StoreCall,
  type StoreReason
} from "../../ObjectStore.ts"

export type Failure = (call: StoreCall, key: string, reason: StoreReason) => ObjectStoreError

/** Makes the errors of a bucket. */
export const failureOf = (bucket: Pick<CloudAddress, "scheme" | "bucket">): Failure => (call, key, reason) =>
  new ObjectStoreError({ call, address: { ...bucket, key }, reason })

const refused = (code: string, detail: string): StoreReason => ({ _tag: "Refused", status: 400, code, detail })

/** A request without a key would be one to the bucket itself. */
export const checkKey = (
  failure: Failure,
  limits: Limits,
  call: StoreCall,
  key: string
): Effect.Effect<void, ObjectStoreError> => {
  if (key === "") return Effect.fail(failure(call, key, refused("InvalidKey", "the key is empty")))
  if (!key.isWellFormed()) return Effect.fail(failure(call, key, refused("InvalidKey", "the key is no valid Unicode")))
  return Buffer.byteLength(key) > limits.keyBytes
    ? Effect.fail(failure(call, key, refused("KeyTooLong", `the key has more than ${limits.keyBytes} bytes`)))
    : Effect.void
}

/** Metadata become headers of requests, where other characters would end the header or be changed on their way. */
export const checkMetadata = (
  failure: Failure,
  limits: Limits,
  call: StoreCall,
  key: string,
  metadata: Readonly<Record<string, string>> = {}
): Effect.Effect<void, ObjectStoreError> => {
  let bytes = 0
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z0-9-]+$/.test(name) || !/^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value)) {
      const detail = `the metadata "${name}" can't be written as a header`
      return Effect.fail(failure(call, key, refused("InvalidMetadata", detail)))
    }
    bytes += name.length + value.length
  }
  if (bytes <= limits.metadataBytes) return Effect.void
  const detail = `the metadata have more than ${limits.metadataBytes} bytes`
  return Effect.fail(failure(call, key, refused("MetadataTooLarge", detail)))
}
