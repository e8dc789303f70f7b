/**
 * Tells the way to a bucket of S3, for people who look for what is wrong with it. Nothing of a secret is told.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { BucketWay } from "../../clouds.ts"
import type { ObjectStoreError } from "../../ObjectStore.ts"
import { credentialReason, type Credentials } from "./s3Credentials.ts"
import { hostOf } from "./s3Requests.ts"
import { openWay, type S3Given } from "./s3Stores.ts"
import { failureOf } from "./storeFailure.ts"

/** Where credentials are from, by the marks that AWS's library leaves at them, the most exact first. */
const origins = [
  ["CREDENTIALS_CODE", "the program"],
  ["CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN", "a web identity token"],
  ["CREDENTIALS_PROFILE_STS_WEB_ID_TOKEN", "a web identity token of the profile"],
  ["CREDENTIALS_ENV_VARS", "the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"],
  ["CREDENTIALS_PROFILE_SSO", "single sign-on of the profile"],
  ["CREDENTIALS_PROFILE_SSO_LEGACY", "single sign-on of the profile"],
  ["CREDENTIALS_PROFILE_LOGIN", "a login of the profile"],
  ["CREDENTIALS_PROFILE_PROCESS", "credential_process of the profile"],
  ["CREDENTIALS_PROFILE_SOURCE_PROFILE", "a role of the profile"],
  ["CREDENTIALS_PROFILE_NAMED_PROVIDER", "a source that the profile names"],
  ["CREDENTIALS_PROFILE", "keys of the profile"],
  ["CREDENTIALS_HTTP", "the service of the container"]
] as const

const originOf = (credentials: Credentials): string => {
  const marks = Predicate.hasProperty(credentials, "$source") ? credentials.$source : undefined
  return origins.find(([mark]) => Predicate.hasProperty(marks, mark))?.[1] ?? "the sources that AWS's tools have"
}

/** What the way to a bucket is. */
export const examineS3 = Effect.fnUntraced(function*(
  given: S3Given,
  bucket: string
): Effect.fn.Return<BucketWay, ObjectStoreError, Scope.Scope> {
  const { credentials, settings, transport } = yield* openWay(given, bucket)
  const failure = failureOf({ scheme: "s3", bucket })
  const { endpoint, profile, region } = settings
  return {
    endpoint: `${endpoint.protocol}//${hostOf(settings)}`,
    region,
    profile,
    credentials: Effect.map(
      Effect.tryPromise({
        try: () => credentials.find(),
        catch: (error) => failure("configure", "", credentialReason(error))
      }),
      (found) => {
        const expires = Predicate.hasProperty(found, "expiration") ? found.expiration : undefined
        return {
          origin: originOf(found),
          expiresMillis: expires instanceof Date ? Option.some(expires.getTime()) : Option.none()
        }
      }
    ),
    clockMillis: Effect.gen(function*() {
      // Without a signature: any answer has the time, and one to a clock that is wrong would be nothing else.
      const request = { method: "HEAD", path: `${settings.basePath}/`, headers: { host: hostOf(settings) } }
      const { headers } = yield* Effect.mapError(
        transport.send(endpoint, { ...request, patienceMillis: 30_000 }),
        ({ code }) => failure("configure", "", { _tag: "Unreachable", code })
      )
      const served = Date.parse(headers["date"] ?? "")
      return Number.isNaN(served) ? Option.none() : Option.some((yield* Clock.currentTimeMillis) - served)
    })
  }
})
