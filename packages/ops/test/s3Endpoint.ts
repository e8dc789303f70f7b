import * as Clouds from "@fanout/ops/clouds"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { makeTransport } from "../src/internal/cloud/httpTransport.ts"
import { fixedCredentials } from "../src/internal/cloud/s3Credentials.ts"
import { makeRequests } from "../src/internal/cloud/s3Requests.ts"
import { findSettings } from "../src/internal/cloud/s3Settings.ts"
import { failureOf } from "../src/internal/cloud/storeFailure.ts"

/** A service that tests may ask. */
export interface S3Endpoint {
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

const optionsOf = ({ accessKeyId, endpoint, secretAccessKey }: S3Endpoint): Clouds.S3Options => ({
  endpoint,
  credentials: { accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) }
})

/** Creates buckets, which no store does. Some services refuse those that are there. */
export const createBuckets = (service: S3Endpoint, names: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const transport = yield* Effect.orDie(makeTransport({ sockets: 1 }))
    yield* Effect.forEach(names, (name) =>
      Effect.gen(function*() {
        const settings = yield* Effect.promise(() => findSettings({ endpoint: service.endpoint }, name))
        const credentials = fixedCredentials(service)
        const failure = failureOf({ scheme: "s3", bucket: name })
        yield* Effect.catchIf(
          makeRequests({ settings, transport, credentials, failure }).send({ call: "configure", method: "PUT" }),
          ({ reason }) => reason._tag === "Refused" && reason.code === "BucketAlreadyOwnedByYou",
          () => Effect.void
        )
      }), { discard: true })
  }))

/** Stores of the service, with its buckets. */
export const layerOf = (service: S3Endpoint, buckets: ReadonlyArray<string>, options: Clouds.S3Options = {}) =>
  Layer.provideMerge(
    Clouds.layer({ ...optionsOf(service), ...options }),
    Layer.effectDiscard(createBuckets(service, buckets))
  )
