/**
 * Signed requests to one bucket of S3, with retries.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto"
import type { ObjectStoreError, StoreCall, StoreReason } from "../../ObjectStore.ts"
import { SignatureV4 } from "./awsLibraries.ts"
import type {
  ConnectionLost,
  HttpAnswer,
  HttpRequest,
  HttpTransport,
  OpenAnswer,
  WholeAnswer
} from "./httpTransport.ts"
import { credentialReason, type CredentialSource } from "./s3Credentials.ts"
import { reasonOf } from "./s3Failure.ts"
import type { Settings } from "./s3Settings.ts"
import type { Failure } from "./storeFailure.ts"

type Headers = Readonly<Record<string, string>>

export interface S3Call {
  readonly call: StoreCall
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE"
  readonly key?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Headers
  readonly body?: Uint8Array | undefined
  /** Counts how often it was sent. A condition may fail since the first time was done and its answer was lost. */
  readonly attempts?: { count: number }
}

export type TextAnswer = HttpAnswer & { readonly text: string }

export interface S3Requests {
  readonly send: (call: S3Call) => Effect.Effect<TextAnswer, ObjectStoreError>
  /** Reads into a buffer. */
  readonly read: (call: S3Call, into: Uint8Array) => Effect.Effect<WholeAnswer, ObjectStoreError>
  readonly open: (call: S3Call) => Effect.Effect<OpenAnswer, ObjectStoreError, Scope.Scope>
}

export interface RequestOptions {
  readonly settings: Settings
  readonly transport: HttpTransport
  readonly credentials: CredentialSource
  readonly failure: Failure
}

/** Node's hashes, as the library for signatures asks for them. */
class Sha256 {
  readonly #hash: Hash | Hmac
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined
      ? createHash("sha256")
      : createHmac("sha256", typeof secret === "string" ? secret : bytesOf(secret))
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(typeof data === "string" ? data : bytesOf(data))
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }
  reset(): void {}
}

const bytesOf = (data: ArrayBuffer | ArrayBufferView): Uint8Array =>
  data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** The content as text, without what the request proved with who asks: what is told of it is printed, and stored. */
const textOf = ({ proofs }: Pick<WholeAnswer, "proofs">, body: Uint8Array = new Uint8Array(0)): string =>
  proofs.reduce((text, proof) => text.replaceAll(proof, "…"), new TextDecoder().decode(body))

/** As S3 wants it: everything but letters, digits and `-._~` is escaped. */
const encodeText = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )

export const encodeKey = (key: string): string => key.split("/").map(encodeText).join("/")

const queryOf = (query: Readonly<Record<string, string>>): string => {
  const text = Object.entries(query).map(([name, value]) => `${encodeText(name)}=${encodeText(value)}`).join("&")
  return text === "" ? "" : `?${text}`
}

const emptyHash = createHash("sha256").digest("hex")

/** Half a minute for a request that hardly works, and minutes where a server puts much together before it answers. */
const patienceMillisOf = (call: StoreCall): number => call === "copy" || call === "completeUpload" ? 300_000 : 60_000

const mostRetries = 4
/** A listing has no permits that others could have meanwhile, so it waits by itself. */
const mostWaits = 8
const firstDelayMillis = 100
const mostDelayMillis = 5_000
const mostAskedMillis = 60_000

const listings: ReadonlySet<StoreCall> = new Set(["list", "listParts", "listUploads"])

/** Whether a call that failed is made again, after how many failures. */
const isRetried = (call: StoreCall, reason: StoreReason, failures: number): boolean => {
  switch (reason._tag) {
    case "Corrupt":
      return failures <= mostRetries
    case "ServiceFailed":
    case "Unreachable":
      // If the first one was begun, nobody would know of it.
      return call !== "beginUpload" && failures <= mostRetries
    case "Throttled":
      return listings.has(call) && failures <= mostWaits
    case "CredentialsExpired":
      return failures <= 1
    default:
      return false
  }
}

/** All of the delay is by chance, so that calls which failed together are not made again together. */
const delayMillis = (reason: StoreReason, failures: number): Effect.Effect<number> => {
  const asked = reason._tag === "Throttled" ? Math.min(reason.afterMillis ?? 0, mostAskedMillis) : 0
  const most = Math.min(firstDelayMillis * 2 ** failures, mostDelayMillis)
  return Effect.map(Random.next, (share) => asked + share * most)
}

/** Where the bucket is once the service has told its region. */
const inRegion = (settings: Settings, region: string): Settings => ({
  ...settings,
  region,
  endpoint: {
    ...settings.endpoint,
    hostname: settings.endpoint.hostname.replace(`.${settings.region}.`, () => `.${region}.`)
  }
})

const portOf = (settings: Settings): string => settings.endpoint.port === undefined ? "" : `:${settings.endpoint.port}`
/** Name and port of the service, as a request names them. */
export const hostOf = (settings: Settings): string => {
  const { hostname } = settings.endpoint
  return (hostname.includes(":") ? `[${hostname}]` : hostname) + portOf(settings)
}

/** Signs requests to where the bucket is at that time. */
const signing = (credentials: CredentialSource, settingsNow: () => Settings) => {
  const signer = new SignatureV4({
    service: "s3",
    region: () => Promise.resolve(settingsNow().region),
    credentials: async () => {
      const { accessKeyId, secretAccessKey, sessionToken } = await credentials.find()
      return { accessKeyId, secretAccessKey, ...sessionToken === undefined ? {} : { sessionToken } }
    },
    sha256: Sha256,
    uriEscapePath: false
  })
  return Effect.fnUntraced(function*(
    { body, call, headers = {}, key, method, query = {} }: S3Call,
    hash: string
  ): Effect.fn.Return<HttpRequest, StoreReason> {
    const settings = settingsNow()
    const { hostname, protocol } = settings.endpoint
    const path = `${settings.basePath}/${key === undefined ? "" : encodeKey(key)}`
    const all = { ...headers, host: hostOf(settings), "x-amz-content-sha256": hash }
    const signingDate = new Date(yield* Clock.currentTimeMillis)
    const signed = yield* Effect.tryPromise({
      try: () => signer.sign({ method, protocol, hostname, path, query: { ...query }, headers: all }, { signingDate }),
      catch: credentialReason
    })
    const patienceMillis = patienceMillisOf(call)
    return { method, path: path + queryOf(query), headers: signed.headers, body, patienceMillis }
  })
}

export const makeRequests = ({ credentials, failure, settings: first, transport }: RequestOptions): S3Requests => {
  let settings = first
  const sign = signing(credentials, () => settings)
  const unreachable = ({ code }: ConnectionLost): StoreReason => ({ _tag: "Unreachable", code })

  /** Decides on each failure, and goes on where the next attempt may succeed. */
  const retried = <A, R>(
    what: S3Call,
    attempt: (hash: string) => Effect.Effect<A, StoreReason, R>
  ): Effect.Effect<A, ObjectStoreError, R> => {
    const hash = what.body === undefined ? emptyHash : createHash("sha256").update(what.body).digest("hex")
    const loop = (failures: number, isMoved = false): Effect.Effect<A, StoreReason, R> =>
      Effect.catch(
        Effect.suspend(() => {
          if (what.attempts !== undefined) what.attempts.count++
          return attempt(hash)
        }),
        (reason) => {
          if (reason._tag === "RegionWrong" && reason.region !== undefined && first.isAws && !isMoved) {
            settings = inRegion(first, reason.region)
            return loop(failures, true)
          }
          if (reason._tag === "CredentialsExpired") credentials.forget()
          if (!isRetried(what.call, reason, failures + 1)) return Effect.fail(reason)
          return Effect.andThen(
            Effect.flatMap(delayMillis(reason, failures), Effect.sleep),
            loop(failures + 1, isMoved)
          )
        }
      )
    return Effect.mapError(loop(0), (reason) => failure(what.call, what.key ?? "", reason))
  }

  const refused = (
    what: S3Call,
    answer: WholeAnswer | OpenAnswer,
    body: Uint8Array | undefined
  ): Effect.Effect<never, StoreReason> =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => {
        const isMatching = what.headers?.["if-match"] !== undefined
        return Effect.fail(reasonOf(what.call, { ...answer, text: textOf(answer, body), isMatching }, now))
      }
    )

  const whole = (what: S3Call, into?: Uint8Array) =>
    retried(what, (hash) =>
      Effect.gen(function*() {
        const request = yield* sign(what, hash)
        const sent = transport.send(settings.endpoint, { ...request, into })
        const answer = yield* Effect.mapError(sent, unreachable)
        return answer.status < 300 ? answer : yield* refused(what, answer, answer.body)
      }))

  return {
    send: (what) => Effect.map(whole(what), (answer) => ({ ...answer, text: textOf(answer, answer.body) })),
    read: whole,
    open: (what) =>
      retried(what, (hash) =>
        Effect.gen(function*() {
          const request = yield* sign(what, hash)
          const answer = yield* Effect.mapError(transport.open(settings.endpoint, request), unreachable)
          if (answer.status < 300) return answer
          const chunks = yield* Effect.mapError(Stream.runCollect(Stream.take(answer.bytes, 16)), unreachable)
          return yield* refused(what, answer, Buffer.concat(chunks))
        }))
  }
}
