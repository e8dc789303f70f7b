/**
 * Object stores that addresses as `s3://bucket/prefix` lead to: S3, and services that speak its protocol.
 *
 * This module is small. What a store needs is loaded once the first address asks for it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Payload } from "./Copy.ts"
import type { Files } from "./Files.ts"
import { type CloudAddress, type ObjectStore, type ObjectStoreError, ObjectStores } from "./ObjectStore.ts"

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
 * Layer that supplies files in which an address may stand in place of a path, for what plans a copy or a deletion, and
 * tells what the latter would do.
 *
 * @category layers
 */
export const layerFiles: Layer.Layer<Files, never, Files | ObjectStores> = Layer.unwrap(
  Effect.map(Effect.promise(() => import("./internal/objects/objectJobs.ts")), ({ layerFiles }) => layerFiles)
)

/**
 * Layer that supplies what `CopyPreview.entries` needs for a copy or a move with addresses: what is at both sides is
 * listed, and times are asked for where they decide.
 *
 * @category layers
 */
export const layerPreview = (payload: Payload): Layer.Layer<Files, never, Files | ObjectStores> =>
  Layer.unwrap(
    Effect.map(Effect.promise(() => import("./internal/objects/objectJobs.ts")), ({ layerPreview }) =>
      layerPreview(payload))
  )

/**
 * Options of stores of S3. What is not given is taken from the environment, and then from the profile, as AWS's own
 * tools do.
 *
 * @category models
 */
export interface S3Options {
  /** URL of the service, such as `https://objects.example.com:8443`. AWS by default. */
  readonly endpoint?: string
  /** Region, `us-east-1` by default. Where a bucket of AWS is in another region, its requests go to that one. */
  readonly region?: string
  /** Profile of `~/.aws/config` and `~/.aws/credentials`. */
  readonly profile?: string
  /**
   * Where a request names the bucket: in its path, or in the name of the host. By default in the name of the host at
   * AWS, unless the name does not fit, and in the path elsewhere.
   */
  readonly addressing?: "path" | "virtual"
  /** Whether the store sends, keeps and tells CRC-32. By default at AWS alone: other services refuse or forget it. */
  readonly checksums?: boolean
  /** Credentials, in the place of those that are found. */
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: Redacted.Redacted
    readonly sessionToken?: Redacted.Redacted
  }
  /** Connections to one bucket at the same time, 64 by default. Further requests wait. */
  readonly sockets?: number
}

/**
 * The way to a bucket, for people who look for what is wrong with it. Nothing of a secret is told.
 *
 * @category models
 */
export interface BucketWay {
  /** URL of the service, with the bucket in the name of the host if it is asked there. */
  readonly endpoint: string
  readonly region: string
  readonly profile: string
  /** Where credentials are from, and when they expire, if they do. Fails where there are none. */
  readonly credentials: Effect.Effect<
    { readonly origin: string; readonly expiresMillis: Option.Option<number> },
    ObjectStoreError
  >
  /** How far the clock of this machine is ahead of that of the service, if it tells its time, to the second. */
  readonly clockMillis: Effect.Effect<Option.Option<number>, ObjectStoreError>
}

/**
 * Finds the way to a bucket, without a request to it. Fails as `Misconfigured` where the configuration contradicts
 * itself.
 *
 * @category accessors
 */
export const examine = (
  { bucket }: Pick<CloudAddress, "bucket">,
  options: S3Options = {}
): Effect.Effect<BucketWay, ObjectStoreError, Scope.Scope> =>
  Effect.flatMap(
    Effect.promise(() => import("./internal/cloud/s3Examination.ts")),
    ({ examineS3 }) => examineS3(given(options), bucket)
  )

/** A number of connections that is none would let through all requests at once, or none for ever. */
const given = ({ sockets = 64, ...others }: S3Options) => {
  if (Number.isSafeInteger(sockets) && sockets >= 1) return { ...others, sockets }
  throw new Error(`The sockets of S3 have to be a whole number, at least 1; they were given as ${sockets}`)
}

/**
 * Layer with the stores of S3, and of services that speak its protocol.
 *
 * **Details**
 *
 * `at` fails as `Misconfigured` where the configuration contradicts itself. Credentials are looked for by the first
 * request, and again when they have expired. Connections close with the layer.
 *
 * @category layers
 */
export const layer = (options: S3Options = {}): Layer.Layer<ObjectStores> =>
  Layer.effect(
    ObjectStores,
    Effect.gen(function*() {
      const settings = given(options)
      const scope = yield* Effect.scope
      const semaphore = yield* Semaphore.make(1)
      const stores = new Map<string, ObjectStore>()
      const opened = Effect.fnUntraced(function*(bucket: string) {
        const there = stores.get(bucket)
        if (there !== undefined) return there
        const { openS3Store } = yield* Effect.promise(() => import("./internal/cloud/s3Stores.ts"))
        const store = yield* Scope.provide(openS3Store(settings, bucket), scope)
        stores.set(bucket, store)
        return store
      })
      return { at: ({ bucket }) => semaphore.withPermit(opened(bucket)) }
    })
  )
