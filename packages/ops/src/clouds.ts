/**
 * Object stores that addresses as `s3://bucket/prefix` lead to.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Memory from "./internal/cloud/memoryStore.ts"
import { type Capabilities, ObjectStores } from "./ObjectStore.ts"

export {
  CloudAddress,
  CloudAddressError,
  formatAddress,
  isCloudAddress,
  type ObjectStore,
  ObjectStoreError,
  ObjectStores,
  parseAddress
} from "./ObjectStore.ts"

/**
 * Options of stores in memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryOptions {
  /** Names of the buckets that there are. */
  readonly buckets: ReadonlyArray<string>
  /** What the stores can do, all that S3 can by default. */
  readonly capabilities?: Capabilities
}

/**
 * What stores in memory can do unless they are told otherwise: what S3 can do, with the limits of S3.
 *
 * @category models
 * @since 0.1.0
 */
export const memoryCapabilities: Capabilities = Memory.memoryCapabilities

/**
 * Layer with buckets in memory, for tests. They are empty, and vanish with the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = ({ buckets, capabilities }: MemoryOptions): Layer.Layer<ObjectStores> =>
  Layer.sync(ObjectStores, () => {
    const kept = Memory.makeBuckets(buckets)
    return { at: ({ bucket }) => Effect.sync(() => Memory.makeMemoryStore(kept, bucket, capabilities)) }
  })
