/**
 * Finds the store of each bucket of S3. Nothing of this, nor of the libraries that it needs, is loaded before an
 * address asks for it.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { readFile } from "node:fs/promises"
import type { S3Options } from "../../clouds.ts"
import type { ObjectStore, ObjectStoreError } from "../../ObjectStore.ts"
import { makeTransport } from "./httpTransport.ts"
import type { S3BucketOptions } from "./s3Bucket.ts"
import { type CredentialSource, fixedCredentials, foundCredentials } from "./s3Credentials.ts"
import { findSettings, SettingsError } from "./s3Settings.ts"
import { makeS3Store } from "./s3Store.ts"
import { failureOf } from "./storeFailure.ts"

/** Options, with a bound of connections. */
export type S3Given = S3Options & Required<Pick<S3Options, "sockets">>

const sourceOf = ({ credentials, profile }: S3Given): CredentialSource =>
  credentials === undefined ? foundCredentials(profile) : fixedCredentials({
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: Redacted.value(credentials.secretAccessKey),
    sessionToken: credentials.sessionToken === undefined ? undefined : Redacted.value(credentials.sessionToken)
  })

/** Finds all that requests to a bucket need. Its connections close with the scope. */
export const openWay = Effect.fnUntraced(function*(
  given: S3Given,
  bucket: string
): Effect.fn.Return<Omit<S3BucketOptions, "name">, ObjectStoreError, Scope.Scope> {
  const failure = failureOf({ scheme: "s3", bucket })
  const refuse = (detail: string) => failure("configure", "", { _tag: "Misconfigured", detail })
  const settings = yield* Effect.tryPromise({
    try: () => findSettings(given, bucket),
    catch: (error) => refuse(error instanceof SettingsError ? error.message : "the configuration of AWS can't be read")
  })
  const { authorities: file } = settings
  const authorities = file === undefined ? undefined : yield* Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: () => refuse(`the file of certificates "${file}" can't be read. Check AWS_CA_BUNDLE`)
  })
  const transport = yield* Effect.mapError(
    makeTransport({ sockets: given.sockets, authorities }),
    ({ code }) => refuse(`the proxy can't be used (${code}). Check HTTP_PROXY and HTTPS_PROXY`)
  )
  return { settings, transport, credentials: sourceOf(given) }
})

/** Makes the store of a bucket, whose connections close with the scope. */
export const openS3Store = (
  given: S3Given,
  bucket: string
): Effect.Effect<ObjectStore, ObjectStoreError, Scope.Scope> =>
  Effect.map(openWay(given, bucket), (way) => makeS3Store({ name: bucket, ...way }))
