/**
 * Looks at what `fanout doctor` tells of an address: the way to its bucket, what its store can do, and uploads that
 * nobody has ended.
 */
import * as Clouds from "@fanout/ops/clouds"
import type * as FilePath from "@fanout/ops/FilePath"
import {
  type CloudAddress,
  formatAddress,
  type ObjectStore,
  type ObjectStoreError,
  ObjectStores,
  type OpenUpload,
  parseAddress
} from "@fanout/ops/ObjectStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as format from "../ui/format.ts"
import { broken, type Check, lacking, ok } from "./Check.ts"

const minute = 60_000

/** What is told of how far the clock of this machine is ahead. Stores refuse requests from a quarter of an hour on. */
export const ofClock = (aheadMillis: number): Check => {
  const by = format.duration(Math.abs(aheadMillis))
  const text = Math.abs(aheadMillis) < 2000 ? "as that of the service" : `${by} ${aheadMillis > 0 ? "ahead" : "behind"}`
  if (Math.abs(aheadMillis) >= 15 * minute) return broken("clock", `${text}, so the service refuses requests: set it`)
  return Math.abs(aheadMillis) >= 5 * minute
    ? lacking("clock", `${text}: set it, for example by NTP, so that changed files are not taken for unchanged`)
    : ok("clock", text)
}

/** What is told of credentials that were found, and of how long they are good. */
export const ofCredentials = (origin: string, leftMillis: Option.Option<number>): Check =>
  Option.match(leftMillis, {
    onNone: () => ok("credentials", `from ${origin}`),
    onSome: (left) =>
      left > 0
        ? ok("credentials", `from ${origin}, for ${format.duration(left)} more`)
        : broken("credentials", `from ${origin}, which have expired: log in again`)
  })

const wayTo = Effect.fnUntraced(function*(address: CloudAddress) {
  const { clockMillis, credentials, endpoint, profile, region } = yield* Clouds.examine(address)
  const now = yield* Clock.currentTimeMillis
  const found = Effect.match(credentials, {
    onFailure: ({ message }) => broken("credentials", message),
    onSuccess: ({ expiresMillis, origin }) => ofCredentials(origin, Option.map(expiresMillis, (at) => at - now))
  })
  const clock = Effect.match(clockMillis, {
    onFailure: ({ message }) => broken("clock", message),
    onSuccess: Option.match({ onNone: () => lacking("clock", "the service does not tell its time"), onSome: ofClock })
  })
  return [
    ok("endpoint", `${endpoint}, region ${region}, profile ${profile}`),
    yield* found,
    yield* clock
  ]
}, Effect.scoped)

/** What a store can do, and what follows where it can't. */
const ofCapabilities = ({ capabilities: { checksum, conditions } }: ObjectStore): ReadonlyArray<Check> => {
  const obeyed = [
    ...conditions.put ? ["when an object is put"] : [],
    ...conditions.complete ? ["when an upload in parts is completed"] : [],
    ...conditions.copy ? ["when the store copies"] : []
  ]
  return [
    obeyed.length === 3
      ? ok("conditions", "asked for at each write")
      : lacking("conditions", `asked for ${obeyed.join(", ") || "never"}: elsewhere fanout looks before it writes`),
    checksum === undefined
      ? lacking("checksums", "off: if the service keeps CRC-32, set AWS_REQUEST_CHECKSUM_CALCULATION=when_supported")
      : ok("checksums", `${checksum.toUpperCase()} of each object`)
  ]
}

const reach = Effect.fnUntraced(function*(store: ObjectStore, address: CloudAddress) {
  const began = yield* Clock.currentTimeMillis
  yield* Stream.runHead(store.list(address.key))
  const took = format.duration((yield* Clock.currentTimeMillis) - began)
  return ok(formatAddress(address), `the bucket can be listed, which took ${took}`)
})

/** Whether a key is that of an address, or below it. */
const isAt = ({ key }: CloudAddress) => (upload: OpenUpload): boolean =>
  key === "" || upload.key === key || upload.key.startsWith(key.endsWith("/") ? key : `${key}/`)

const uploadsAt = (store: ObjectStore, address: CloudAddress) =>
  Stream.filter(store.uploads.open(address.key), isAt(address))

/** So many uploads are told by themselves, the oldest ones: each takes a request. */
const mostTold = 20

/** Requests at the same time. */
const concurrency = 8

const addressOf = ({ bucket }: ObjectStore, { key }: OpenUpload): string => formatAddress({ ...bucket, key })

const ofUpload = Effect.fnUntraced(function*(store: ObjectStore, upload: OpenUpload, now: number) {
  const begun = upload.begunMillis === undefined
    ? "begun nobody knows when"
    : `begun ${format.age(now - upload.begunMillis)} ago`
  const parts = yield* Effect.result(Stream.runCollect(store.uploads.parts(upload)))
  const held = Result.match(parts, {
    onFailure: ({ message }) => message,
    onSuccess: (parts) =>
      parts.length === 0
        ? "no part"
        : `${format.counted(parts.length, "part")} of ${
          format.bytes(Num.sumAll(parts.map(({ sizeBytes }) => sizeBytes)))
        }`
  })
  return lacking("upload", `${addressOf(store, upload)}, ${begun}, ${held}`)
})

const openUploads = Effect.fnUntraced(function*(store: ObjectStore, address: CloudAddress) {
  const now = yield* Clock.currentTimeMillis
  const { count, oldest } = yield* Stream.runFold(
    uploadsAt(store, address),
    () => ({ count: 0, oldest: new Array<OpenUpload>() }),
    ({ count, oldest }, upload) => ({
      count: count + 1,
      oldest: [...oldest, upload].toSorted((a, b) => (a.begunMillis ?? 0) - (b.begunMillis ?? 0)).slice(0, mostTold)
    })
  )
  if (count === 0) return [ok("open uploads", "none")]
  const told = yield* Effect.forEach(oldest, (upload) => ofUpload(store, upload, now), { concurrency })
  const advice = `fanout doctor --abort-uploads 7d ${formatAddress(address)}`
  return [
    lacking(
      "open uploads",
      `${
        format.count(count)
      }, whose parts are paid for. A copy that goes on needs its own. \`${advice}\` aborts those ` +
        "begun more than a week ago; a lifecycle rule of the bucket (AbortIncompleteMultipartUpload) does so by itself"
    ),
    ...told
  ]
})

/** Aborts uploads that were begun before that, and tells how many, and which not. */
const abortUploads = Effect.fnUntraced(function*(store: ObjectStore, address: CloudAddress, ageMillis: number) {
  const before = (yield* Clock.currentTimeMillis) - ageMillis
  const ends = uploadsAt(store, address).pipe(
    Stream.filter(({ begunMillis }) => begunMillis !== undefined && begunMillis < before),
    Stream.mapEffect((upload) => Effect.result(store.uploads.abort(upload)), { concurrency })
  )
  const { aborted, failed } = yield* Stream.runFold(
    ends,
    () => ({ aborted: 0, failed: new Array<Check>() }),
    ({ aborted, failed }, end) =>
      Result.isSuccess(end)
        ? { aborted: aborted + 1, failed }
        : { aborted, failed: [...failed, broken("upload", end.failure.message)].slice(0, mostTold) }
  )
  return [
    ok("aborted", `${format.counted(aborted, "upload")} begun more than ${format.age(ageMillis)} ago`),
    ...failed
  ]
})

/** What is found of an address. With an age, uploads that are older are aborted first. */
export const examination = (
  path: FilePath.FilePath,
  abortsAfterMillis: Option.Option<number>
): Effect.Effect<ReadonlyArray<Check>> => {
  const parsed = parseAddress(path)
  if (Result.isFailure(parsed)) return Effect.succeed([broken(parsed.failure.text, parsed.failure.message)])
  const address = parsed.success
  const orBroken = (checks: Effect.Effect<ReadonlyArray<Check>, ObjectStoreError, ObjectStores>) =>
    Effect.catch(checks, ({ message }) => Effect.succeed([broken(formatAddress(address), message)]))
  const inside = Effect.gen(function*() {
    const store = yield* ObjectStores.use(({ at }) => at(address))
    return [
      yield* reach(store, address),
      ...ofCapabilities(store),
      ...Option.isSome(abortsAfterMillis) ? yield* abortUploads(store, address, abortsAfterMillis.value) : [],
      ...yield* openUploads(store, address)
    ]
  })
  return Effect.zipWith(orBroken(wayTo(address)), orBroken(inside), (way, found) => [...way, ...found]).pipe(
    Effect.provide(Clouds.layer())
  )
}
