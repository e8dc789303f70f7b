/**
 * Errors of calls to one bucket, and what no store is asked since no store can do it.
 */
import * as Effect from "effect/Effect"
import * as Num from "effect/Number"
import {
  type CloudAddress,
  type Limits,
  ObjectStoreError,
  type StoreCall,
  type StoreReason,
  type WriteOptions
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

/** These become headers of requests, where other characters would end the header or be changed on their way. */
export const checkProperties = (
  failure: Failure,
  limits: Limits,
  call: StoreCall,
  key: string,
  { attributes = {}, metadata = {} }: Pick<WriteOptions, "attributes" | "metadata">
): Effect.Effect<void, ObjectStoreError> => {
  const all = [...Object.entries(attributes), ...Object.entries(metadata)]
  const wrong = all.find(([name, value]) => !/^[a-z0-9-]+$/.test(name) || !/^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value))
  if (wrong !== undefined) {
    const detail = `the metadata "${wrong[0]}" can't be written as a header`
    return Effect.fail(failure(call, key, refused("InvalidMetadata", detail)))
  }
  const bytes = Num.sumAll(Object.entries(metadata).map(([name, value]) => name.length + value.length))
  if (bytes <= limits.metadataBytes) return Effect.void
  const detail = `the metadata have more than ${limits.metadataBytes} bytes`
  return Effect.fail(failure(call, key, refused("MetadataTooLarge", detail)))
}
