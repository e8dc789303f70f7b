import type * as JobId from "@fanout/core/JobId"
import type * as JobRecord from "@fanout/core/JobRecord"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Outcome from "@fanout/core/Outcome"
import { process, settle } from "@fanout/core/testing"
import * as Clouds from "@fanout/ops/clouds"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as HardLinks from "@fanout/ops/HardLinks"
import {
  type Capabilities,
  type ObjectContent,
  type ObjectStore,
  ObjectStoreError,
  ObjectStores,
  type StoreCall,
  type StoreReason
} from "@fanout/ops/ObjectStore"
import type * as Arr from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { readByGet } from "../src/internal/cloud/readByGet.ts"
import * as Objects from "../src/internal/objects/objectJobs.ts"
import type * as Conflict from "../src/internal/steps/conflict.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** A request that a job makes: its call, and what it is for. */
interface Request {
  readonly call: StoreCall
  readonly key: string
  /** Which of all requests it is, from 1 on. */
  readonly number: number
}

type Hook = (request: Request) => Effect.Effect<void, ObjectStoreError>

/** A disk, and a cloud with a bucket of the name `bucket`, which outlive jobs. */
export interface World {
  readonly disk: MemoryFiles.Disk
  readonly store: ObjectStore
  readonly stores: ObjectStores["Service"]
  readonly requests: Array<string>
  /** What becomes of the next answer to a reading, by keys. */
  readonly answers: Map<string, (content: ObjectContent) => ObjectContent>
  /** What is done before a request is made, and once it has been answered; a failure takes the place of the answer. */
  before: Hook
  after: Hook
}

export const failure = (reason: StoreReason, call: StoreCall = "put", key = ""): ObjectStoreError =>
  new ObjectStoreError({ call, address: { scheme: "s3", bucket: "bucket", key }, reason })

const watched = (store: ObjectStore, world: World): ObjectStore => {
  const noted = <A, R>(call: StoreCall, key: string, request: Effect.Effect<A, ObjectStoreError, R>) =>
    Effect.suspend(() => {
      const number = world.requests.push(`${call} ${key}`)
      const told = { call, key, number }
      return world.before(told).pipe(
        Effect.andThen(Effect.suspend(() => request)),
        Effect.tap(() => world.after(told))
      )
    })
  const paged = <A>(call: StoreCall, key: string, stream: Stream.Stream<A, ObjectStoreError>) =>
    Stream.unwrap(noted(call, key, Effect.succeed(stream)))
  const get: ObjectStore["get"] = (key, options) =>
    Effect.map(noted("get", key, store.get(key, options)), (content) => {
      const change = world.answers.get(key)
      world.answers.delete(key)
      return change === undefined ? content : change(content)
    })
  return {
    ...store,
    get,
    read: readByGet(get),
    // The first page is asked for even where there is nothing.
    list: (prefix, options) =>
      Stream.mapArrayEffect(
        paged("list", prefix, store.list(prefix, options)),
        (page, index) => Effect.as(index === 0 ? Effect.void : noted("list", prefix, Effect.void), page)
      ),
    head: (key) => noted("head", key, store.head(key)),
    put: (key, bytes, options) => noted("put", key, store.put(key, bytes, options)),
    copy: (source, key, options) => noted("copy", key, store.copy(source, key, options)),
    uploads: {
      ...store.uploads,
      begin: (key, options) => noted("beginUpload", key, store.uploads.begin(key, options)),
      put: (upload, number, bytes) =>
        noted("putPart", `${upload.key} ${number}`, store.uploads.put(upload, number, bytes)),
      parts: (upload) => paged("listParts", upload.key, store.uploads.parts(upload)),
      complete: (upload, parts, options) =>
        noted("completeUpload", upload.key, store.uploads.complete(upload, parts, options)),
      open: (prefix) => paged("listUploads", prefix, store.uploads.open(prefix)),
      abort: (upload) => noted("abortUpload", upload.key, store.uploads.abort(upload))
    }
  }
}

export const makeWorld = (capabilities: Capabilities = Clouds.memoryCapabilities) =>
  Effect.gen(function*() {
    const { at } = yield* ObjectStores
    const store = yield* at({ scheme: "s3", bucket: "bucket" })
    const disk = new MemoryFiles.Disk()
    for (const folder of ["/from", "/to"]) disk.folder(folder)
    const world: World = {
      disk,
      store,
      requests: [],
      answers: new Map(),
      before: () => Effect.void,
      after: () => Effect.void,
      stores: { at: (address) => Effect.map(at(address), (store) => watched(store, world)) }
    }
    return world
  }).pipe(Effect.provide(Clouds.layerMemory({ buckets: ["bucket", "other"], capabilities })))

const program = Copy.job.toLayer(Objects.copy.program, {
  onCancel: Objects.copy.onCancel,
  waits: {
    network: { until: (payload) => Objects.isReachable(Copy.pathsOf(payload)), schedule: Schedule.spaced("10 seconds") }
  }
})

export interface Options {
  readonly conflict?: Conflict.Mode
  readonly files?: FaultyFiles.Before
  /** Kills the process of the job at this request, before it was made or once it was answered. */
  readonly kill?: { readonly at: number; readonly when: "before" | "after" }
  /** What is done once the job is paused or has failed, before it goes on. */
  readonly whenStopped?: Effect.Effect<void, ObjectStoreError>
  /** Whether it is cancelled then. */
  readonly cancels?: boolean
  readonly request?: Partial<Copy.Request>
}

const outside = ({ disk, stores }: World, { files = () => Effect.void }: Options) =>
  Layer.mergeAll(
    Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), files)),
    Layer.succeed(ObjectStores, stores),
    HardLinks.layerNone
  )

/** Where sources go. */
export const plan = (
  world: World,
  sources: string | Arr.NonEmptyReadonlyArray<string>,
  destination: string,
  options: Options = {}
) => {
  const [first, ...more] = typeof sources === "string" ? [sources] as const : sources
  return Copy.plan({
    sources: [FilePath.make(first), ...more.map((one) => FilePath.make(one))],
    destination: FilePath.make(destination),
    noTargetDirectory: false,
    conflict: options.conflict ?? "changed",
    ...options.request
  }).pipe(Effect.provide(Objects.layerFiles), Effect.provide(outside(world, options)))
}

const start = process({ jobs: [Copy.job], pools: { io: 4 } }, program)

type Id = JobId.JobId
type Manager = Effect.Success<typeof start>["manager"]

/** Until the job is over or paused, or its process is killed. */
const untilItRests = (manager: Manager, id: Id, isKilled = () => false) =>
  Effect.andThen(TestClock.adjust("5 seconds"), settle).pipe(
    // Who is killed gives no answer any more.
    Effect.andThen(Effect.suspend(() => isKilled() ? Effect.succeed(true) : Effect.map(manager.get(id), isAtRest))),
    Effect.repeat({ until: (isOver) => isOver, times: 200 })
  )

/** A job that waits is queued. */
const isAtRest = ({ state }: JobRecord.JobRecord): boolean =>
  state._tag === "Queued" ? state.waits !== undefined : state._tag !== "Running"

const resultOf = Effect.fnUntraced(function*(manager: Manager, id: Id) {
  const rows = yield* Stream.runCollect(manager.outcomes(id))
  return {
    state: (yield* manager.get(id)).state,
    tally: (yield* manager.progress(id)).tally,
    rows: rows.flatMap(({ key, outcome }) =>
      outcome._tag === "Done"
        ? []
        : [`${key}: ${outcome._tag === "Skipped" ? outcome.reason : Outcome.message(outcome.failure)}`]
    )
  }
})

/** Copies by a job, and tells what that came to. A job that is killed goes on in another process. */
export const copy = (
  world: World,
  sources: string | Arr.NonEmptyReadonlyArray<string>,
  destination: string,
  options: Options = {}
) =>
  Effect.gen(function*() {
    const { after, before } = world
    // Only the job meets faults.
    Object.assign(world, { after: () => Effect.void, before: () => Effect.void })
    const payload = yield* plan(world, sources, destination, options)
    Object.assign(world, { after, before })
    world.requests.length = 0
    const first = yield* start
    const { kill } = options
    const killed = Deferred.makeUnsafe<void>()
    const killing: Hook = ({ number }) =>
      number === kill?.at && !Deferred.isDoneUnsafe(killed)
        ? Effect.andThen(Effect.andThen(first.kill, Deferred.succeed(killed, undefined)), Effect.never)
        : Effect.void
    if (kill !== undefined) world[kill.when] = killing
    const { id } = yield* first.manager.start(Copy.job, payload)
    yield* untilItRests(first.manager, id, () => Deferred.isDoneUnsafe(killed))
    const isKilled = Deferred.isDoneUnsafe(killed)
    Object.assign(world, { after, before })
    const { manager } = isKilled ? yield* start : first
    if (isKilled) yield* untilItRests(manager, id)
    const stopped = (yield* manager.get(id)).state
    if (options.whenStopped !== undefined && stopped._tag !== "Completed") {
      yield* options.whenStopped
      yield* options.cancels === true
        ? manager.cancel(id)
        : stopped._tag === "Queued"
        // It goes on by itself.
        ? TestClock.adjust("1 minute")
        : stopped._tag === "Paused"
        ? manager.resume(id)
        : manager.retry(id)
      yield* untilItRests(manager, id)
    }
    return { isKilled, stopped, ...yield* resultOf(manager, id) }
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(outside(world, options), Layer.fresh(MemoryJobStore.layer)))
  )

const partBytes = 2 ** 20

/** A store in which parts are small, so that few bytes are a large file. */
export const ofSmallParts: Capabilities = {
  ...Clouds.memoryCapabilities,
  limits: { ...Clouds.memoryCapabilities.limits, putBytes: partBytes, leastPartBytes: 1, mostPartBytes: partBytes }
}

/** Text of so many parts and a bit, no two lines of which are the same. */
export const long = (parts: number): string =>
  Array.from({ length: parts * partBytes / 32 + 1 }, (_, n) => `line ${n}\n`.padStart(32, ".")).join("")

/** Keys of the bucket. */
export const keys = ({ store }: World, prefix = "") =>
  Effect.map(Stream.runCollect(store.list(prefix)), (all) => all.map(({ key }) => key))

/** Uploads that nobody has ended. */
export const openUploads = ({ store }: World) => Stream.runCollect(store.uploads.open(""))

/** Content and metadata of an object. */
export const read = ({ store }: World, key: string) =>
  Effect.scoped(Effect.gen(function*() {
    const { bytes, info } = yield* store.get(key)
    return { text: Buffer.concat(yield* Stream.runCollect(bytes)).toString(), metadata: info.metadata }
  }))

/** Puts a text at a key. */
export const put = ({ store }: World, key: string, text: string, metadata: Readonly<Record<string, string>> = {}) =>
  store.put(key, Buffer.from(text), { metadata })

/** The tree without times of folders, which objects do not keep. */
export const treeOf = ({ disk }: World, path: string) =>
  Object.fromEntries(
    Object.entries(disk.tree(path)).map(([name, seen]) =>
      [name, seen.kind === "folder" ? { ...seen, modified: 0n } : seen] as const
    )
  )
