/**
 * Errors of calls to one bucket, and what no store is asked since no store can do it.
 */
import * as Effect from "effect/Effect"
import * as Num from "effect/Number"
import {
  type Capabilities,
  type CloudAddress,
  type Limits,
  ObjectStoreError,
  type StoreCall,
  type StoreReason,
  type WriteOptions
} from "../../ObjectStore.ts"

const MiB = 2 ** 20
const GiB = 2 ** 30

/** What AWS documents. Services whose limits are lower are named in `docs/clouds.md`. */
export const limits: Limits = {
  keyBytes: 1024,
  metadataBytes: 2048,
  putBytes: 5 * GiB,
  leastPartBytes: 5 * MiB,
  mostPartBytes: 5 * GiB,
  parts: 10_000,
  removedKeys: 1000
}

export type Failure = (call: StoreCall, key: string, reason: StoreReason) => ObjectStoreError

/** Makes the errors of a bucket. */
export const failureOf = (bucket: Pick<CloudAddress, "scheme" | "bucket">): Failure => (call, key, reason) =>
  new ObjectStoreError({ call, address: { ...bucket, key }, reason })

export const refused = (code: string, detail: string): StoreReason => ({ _tag: "Refused", status: 400, code, detail })

/** What a call writes, if it does, and which kind of call it is for a condition. */
interface Written extends WriteOptions {
  readonly obeys?: keyof Capabilities["conditions"]
}

/**
 * Why a call is not made, if it is not. Without a key it would be one to the bucket itself. Properties become headers,
 * where other characters would end the header or be changed on their way.
 */
const problemOf = (
  { conditions, limits }: Capabilities,
  key: string,
  { attributes = {}, condition, metadata = {}, obeys }: Written
): StoreReason | undefined => {
  if (condition !== undefined && obeys !== undefined && !conditions[obeys]) {
    return { _tag: "Unsupported", what: "a condition" }
  }
  if (key === "") return refused("InvalidKey", "the key is empty")
  if (!key.isWellFormed()) return refused("InvalidKey", "the key is no valid Unicode")
  if (Buffer.byteLength(key) > limits.keyBytes) {
    return refused("KeyTooLong", `the key has more than ${limits.keyBytes} bytes`)
  }
  const wrong = [...Object.entries(attributes), ...Object.entries(metadata)].find(([name, value]) =>
    !/^[a-z0-9-]+$/.test(name) || !/^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value)
  )
  if (wrong !== undefined) return refused("InvalidMetadata", `the metadata "${wrong[0]}" can't be written as a header`)
  const bytes = Num.sumAll(Object.entries(metadata).map(([name, value]) => name.length + value.length))
  return bytes > limits.metadataBytes
    ? refused("MetadataTooLarge", `the metadata have more than ${limits.metadataBytes} bytes`)
    : undefined
}

/** Fails calls to a bucket. */
export interface Failing {
  readonly fail: (call: StoreCall, key: string, reason: StoreReason) => Effect.Effect<never, ObjectStoreError>
  /** Fails where no request is to be made. */
  readonly check: (call: StoreCall, key: string, written?: Written) => Effect.Effect<void, ObjectStoreError>
}

export const failingBy = (failure: Failure, capabilities: Capabilities): Failing => {
  // An error takes long to make, and most that are prepared are not met.
  const fail: Failing["fail"] = (call, key, reason) => Effect.suspend(() => Effect.fail(failure(call, key, reason)))
  return {
    fail,
    check: (call, key, written = {}) => {
      const problem = problemOf(capabilities, key, written)
      return problem === undefined ? Effect.void : fail(call, key, problem)
    }
  }
}
