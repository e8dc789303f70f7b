import type * as JobId from "@fanout/core/JobId"
import type * as JobRecord from "@fanout/core/JobRecord"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Outcome from "@fanout/core/Outcome"
import { process, settle } from "@fanout/core/testing"
import * as Copy from "@fanout/ops/Copy"
import * as CopyPreview from "@fanout/ops/CopyPreview"
import * as Delete from "@fanout/ops/Delete"
import * as DeletePreview from "@fanout/ops/DeletePreview"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Filter from "@fanout/ops/Filter"
import * as HardLinks from "@fanout/ops/HardLinks"
import * as Hash from "@fanout/ops/Hash"
import * as HashCheck from "@fanout/ops/HashCheck"
import * as Move from "@fanout/ops/Move"
import {
  type Attributes,
  type Capabilities,
  type ObjectContent,
  type ObjectStore,
  ObjectStoreError,
  ObjectStores,
  type StoreCall,
  type StoreReason
} from "@fanout/ops/ObjectStore"
import { Trash } from "@fanout/ops/Trash"
import * as Verify from "@fanout/ops/Verify"
import type * as Arr from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as DeleteBatchLive from "../src/internal/delete/deleteBatchLive.ts"
import * as DeleteOneLive from "../src/internal/delete/deleteOneLive.ts"
import * as ObjectFiles from "../src/internal/objects/objectFiles.ts"
import * as Objects from "../src/internal/objects/objectJobs.ts"
import * as ObjectTree from "../src/internal/objects/objectTree.ts"
import type * as Conflict from "../src/internal/steps/conflict.ts"
import { remembering } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import * as MemoryStore from "./memoryStore.ts"

/** A request that a job makes: its call, and what it is for. */
interface Request {
  readonly call: StoreCall
  readonly key: string
  /** Which of all requests it is, from 1 on. */
  readonly number: number
}

type Hook = (request: Request) => Effect.Effect<void, ObjectStoreError>

/** A disk, and a cloud with buckets of the names `bucket` and `other`, which outlive jobs. */
export interface World {
  readonly disk: MemoryFiles.Disk
  readonly store: ObjectStore
  readonly other: ObjectStore
  readonly stores: ObjectStores["Service"]
  readonly requests: Array<string>
  /** What becomes of the next answer to a reading, by keys. */
  readonly answers: Map<string, (content: ObjectContent) => ObjectContent>
  /** Why the store does not remove objects, by keys. */
  readonly kept: Map<string, StoreReason>
  /** Keys that are not UTF-8, which the bucket can't have. Listings tell of them, too. */
  strange: ReadonlyArray<string>
  /** How many keys a page of such a listing has. */
  pageKeys: number
  /** What is done before a request is made, and once it has been answered; a failure takes the place of the answer. */
  before: Hook
  after: Hook
}

export const failure = (reason: StoreReason, call: StoreCall = "put", key = ""): ObjectStoreError =>
  new ObjectStoreError({ call, address: { scheme: "s3", bucket: "bucket", key }, reason })

const bytesOf = (key: string): Uint8Array => FilePath.toBytes(FilePath.make(key))

/** Lists what a bucket has, with strange keys. */
const listing =
  ({ list }: ObjectStore, { pageKeys, strange }: World): ObjectStore["list"] => (prefix, options = {}) => {
    if (strange.length === 0) return list(prefix, options)
    const { after = "" } = options
    const added = strange.filter((key) => key.startsWith(prefix))
      .map((key) => ({ key, sizeBytes: 4, etag: "", storedMillis: 0 }))
    const listed = Effect.map(Stream.runCollect(list(prefix)), (objects) =>
      [...objects, ...added]
        .toSorted((a, b) => Buffer.compare(bytesOf(a.key), bytesOf(b.key)))
        .filter(({ key }) => Buffer.compare(bytesOf(key), bytesOf(after)) > 0))
    return Stream.rechunk(Stream.fromIterableEffect(listed), pageKeys)
  }

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
    read: MemoryStore.readByGet(get),
    // The first page is asked for even where there is nothing.
    list: (prefix, options) =>
      Stream.mapArrayEffect(
        paged("list", prefix, listing(store, world)(prefix, options)),
        (page, index) => Effect.as(index === 0 ? Effect.void : noted("list", prefix, Effect.void), page)
      ),
    children: (prefix, options) =>
      noted(
        "list",
        prefix,
        Effect.map(
          Stream.runCollect(listing(store, world)(prefix, options)),
          (all) => Array.from(new Set(all.map(({ key }) => key.slice(0, key.indexOf("/", prefix.length) + 1) || key)))
        )
      ),
    head: (key) => noted("head", key, store.head(key)),
    put: (key, bytes, options) => noted("put", key, store.put(key, bytes, options)),
    copy: (source, key, options) => noted("copy", key, store.copy(source, key, options)),
    remove: (keys) =>
      noted(
        "remove",
        keys.join(" "),
        Effect.suspend(() => {
          const kept = keys.flatMap((key) => {
            const reason = world.kept.get(key)
            return reason === undefined ? [] : [failure(reason, "remove", key)]
          })
          return Effect.map(store.remove(keys.filter((key) => !world.kept.has(key))), (errors) => [...errors, ...kept])
        })
      ),
    uploads: {
      ...store.uploads,
      begin: (key, options) => noted("beginUpload", key, store.uploads.begin(key, options)),
      put: (upload, number, bytes) =>
        noted("putPart", `${upload.key} ${number}`, store.uploads.put(upload, number, bytes)),
      copy: (upload, number, source, range) =>
        noted("copyPart", `${upload.key} ${number}`, store.uploads.copy(upload, number, source, range)),
      parts: (upload) => paged("listParts", upload.key, store.uploads.parts(upload)),
      complete: (upload, parts, options) =>
        noted("completeUpload", upload.key, store.uploads.complete(upload, parts, options)),
      open: (prefix) => paged("listUploads", prefix, store.uploads.open(prefix)),
      abort: (upload) => noted("abortUpload", upload.key, store.uploads.abort(upload))
    }
  }
}

/** Makes it. The other bucket may be of another provider. */
export const makeWorld = (capabilities: Capabilities = MemoryStore.memoryCapabilities, otherProvider = "memory") =>
  Effect.gen(function*() {
    const { at: storeAt } = yield* ObjectStores
    const at = ({ bucket }: ObjectStore["bucket"]) =>
      Effect.map(
        storeAt({ scheme: "s3", bucket }),
        (store) => bucket === "other" ? { ...store, provider: otherProvider } : store
      )
    const store = yield* at({ scheme: "s3", bucket: "bucket" })
    const other = yield* at({ scheme: "s3", bucket: "other" })
    const disk = new MemoryFiles.Disk()
    for (const folder of ["/from", "/to"]) disk.folder(folder)
    const world: World = {
      disk,
      store,
      other,
      requests: [],
      answers: new Map(),
      kept: new Map(),
      strange: [],
      pageKeys: 1000,
      before: () => Effect.void,
      after: () => Effect.void,
      stores: { at: (address) => Effect.map(at(address), (store) => watched(store, world)) }
    }
    return world
  }).pipe(Effect.provide(MemoryStore.layer({ buckets: ["bucket", "other"], capabilities })))

/** Plans a job. Only what it does then meets faults, and is noted. */
const prepared = <P, E, R>(world: World, planned: Effect.Effect<P, E, R>) =>
  Effect.gen(function*() {
    const { after, before } = world
    Object.assign(world, { after: () => Effect.void, before: () => Effect.void })
    const payload = yield* planned
    Object.assign(world, { after, before })
    world.requests.length = 0
    return payload
  })

/** Says what a copy would do. */
export const previewCopy = (world: World, source: string, destination: string, options: Options = {}) =>
  Effect.flatMap(
    prepared(world, plan(world, source, destination, options)),
    (payload) => Stream.runCollect(Stream.provide(CopyPreview.entries(payload), Objects.layerPreview(payload)))
  ).pipe(
    Effect.provide(outside(world, options))
  )

/** Walks objects, from the start or from behind a cursor. */
export const walk = (world: World, source: string, after: Option.Option<string> = Option.none()) =>
  Stream.unwrap(
    Effect.map(ObjectFiles.withObjects(), ({ access }) =>
      ObjectTree.walk(access, { sources: [FilePath.make(source)], isCounted: true, after }))
  ).pipe(Stream.provide(outside(world, {})))

/** A job goes on by itself once the stores of its paths can be reached. */
const waits = <P>(pathsOf: (payload: P) => ReadonlyArray<FilePath.FilePath>) => ({
  network: { until: (payload: P) => Objects.isReachable(pathsOf(payload)), schedule: Schedule.spaced("10 seconds") }
})

const programs = Layer.mergeAll(
  Copy.job.toLayer(Objects.copy.program, { onCancel: Objects.copy.onCancel, waits: waits(Copy.pathsOf) }),
  Move.job.toLayer(Objects.move.program, { onCancel: Objects.move.onCancel, waits: waits(Copy.pathsOf) }),
  Hash.job.toLayer(Objects.hash.program, { waits: waits(({ sources }: Hash.Payload) => sources) }),
  HashCheck.job.toLayer(Objects.hash.check, { waits: waits(HashCheck.likelyPaths) }),
  Verify.job.toLayer(Objects.verify.program, { waits: waits(({ a, b }: Verify.Payload) => [a, b]) }),
  Delete.job.toLayer(
    (payload) => Effect.provide(Delete.program(payload), Layer.merge(Objects.deletion.layer, DeleteBatchLive.layer)),
    { waits: waits(({ roots }: Delete.Payload) => roots.map(({ path }) => path)) }
  ).pipe(
    Layer.provide(DeleteOneLive.layer),
    Layer.provide(Layer.mock(Trash, {}))
  )
)

export interface Options {
  /** How many tasks run at the same time; 4 by default. */
  readonly atOnce?: number
  readonly conflict?: Conflict.Mode
  readonly files?: FaultyFiles.Before
  /** Kills the process of the job at this request, before it was made or once it was answered. */
  readonly kill?: { readonly at: number; readonly when: "before" | "after" }
  /** What is done once the job is paused, or something has failed, before it goes on. */
  readonly whenStopped?: Effect.Effect<void, ObjectStoreError>
  /** Whether it is cancelled then. */
  readonly cancels?: boolean
  readonly request?: Partial<Copy.Request>
  /** Whether sources are removed once their copies are recorded. */
  readonly moves?: boolean
}

const outside = ({ disk, stores }: World, { files = () => Effect.void }: Options) =>
  Layer.mergeAll(
    Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), files)),
    Layer.succeed(ObjectStores, stores),
    Layer.succeed(HardLinks.HardLinks, remembering())
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

const startWith = (io: number) =>
  process({ jobs: [Copy.job, Delete.job, Hash.job, HashCheck.job, Move.job, Verify.job], pools: { io } }, programs)

type Id = JobId.JobId
type Manager = Effect.Success<ReturnType<typeof startWith>>["manager"]

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
    units: (yield* manager.progress(id)).units,
    tally: (yield* manager.progress(id)).tally,
    all: rows,
    rows: rows.flatMap(({ key, outcome }) =>
      outcome._tag === "Done"
        ? []
        : [`${key}: ${outcome._tag === "Skipped" ? outcome.reason : Outcome.message(outcome.failure)}`]
    )
  }
})

/** Runs a job, and tells what that came to. A job that is killed goes on in another process. */
const run = <P, E, E2, R>(
  world: World,
  planned: Effect.Effect<P, E>,
  startIn: (manager: Manager, payload: P) => Effect.Effect<{ readonly id: Id }, E2, R>,
  options: Options
) =>
  Effect.gen(function*() {
    const { after, before } = world
    const payload = yield* prepared(world, planned)
    const start = startWith(options.atOnce ?? 4)
    const first = yield* start
    const { kill } = options
    const killed = Deferred.makeUnsafe<void>()
    const killing: Hook = ({ number }) =>
      number === kill?.at && !Deferred.isDoneUnsafe(killed)
        ? Effect.andThen(Effect.andThen(first.kill, Deferred.succeed(killed, undefined)), Effect.never)
        : Effect.void
    if (kill !== undefined) {
      const hook = world[kill.when]
      world[kill.when] = (request) => Effect.andThen(hook(request), killing(request))
    }
    const { id } = yield* startIn(first.manager, payload)
    yield* untilItRests(first.manager, id, () => Deferred.isDoneUnsafe(killed))
    const isKilled = Deferred.isDoneUnsafe(killed)
    Object.assign(world, { after, before })
    const { manager } = isKilled ? yield* start : first
    if (isKilled) yield* untilItRests(manager, id)
    const stopped = (yield* manager.get(id)).state
    const isIncomplete = stopped._tag !== "Completed" || (yield* manager.progress(id)).tally.failed > 0
    if (options.whenStopped !== undefined && isIncomplete) {
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

/** Copies by a job. */
export const copy = (
  world: World,
  sources: string | Arr.NonEmptyReadonlyArray<string>,
  destination: string,
  options: Options = {}
) =>
  run(
    world,
    plan(world, sources, destination, options),
    ({ start }, payload) => start(options.moves === true ? Move.job : Copy.job, payload),
    options
  )

/** Hashes by a job, and tells what that came to. */
export const hash = (world: World, source: string, options: Options = {}) =>
  run(
    world,
    Hash.plan({ sources: [FilePath.make(source)], algorithm: "sha256", leaveOut: [] }).pipe(
      Effect.provide(Objects.layerFiles),
      Effect.provide(outside(world, options))
    ),
    ({ start }, payload) => start(Hash.job, payload),
    options
  )

/** Works out what to check by a checksum file on the disk. */
export const planCheck = (world: World, file: string) =>
  HashCheck.plan({ file: FilePath.make(file), folder: FilePath.make("/"), algorithm: Option.none(), leaveOut: [] })
    .pipe(Effect.provide(outside(world, {})))

/** Checks by such a file, and tells what each line came to. */
export const check = (world: World, file: string) =>
  Effect.map(
    run(world, planCheck(world, file), ({ start }, payload) => start(HashCheck.job, payload), {}),
    (result) => ({ ...result, lines: result.all.flatMap(HashCheck.fromRow).toSorted((a, b) => a.number - b.number) })
  )

/** Compares by a job, and tells what that came to: differences by the paths of both. */
export const verify = (
  world: World,
  a: string,
  b: string,
  options: Options & Partial<Pick<Verify.Payload, "ignore">> = {}
) =>
  Effect.map(
    run(
      world,
      Verify.plan({ a: FilePath.make(a), b: FilePath.make(b), ignore: options.ignore ?? [], leaveOut: [] }).pipe(
        Effect.provide(Objects.layerFiles),
        Effect.provide(outside(world, options))
      ),
      ({ start }, payload) => start(Verify.job, payload),
      options
    ),
    (result) => ({
      ...result,
      differences: Object.fromEntries(
        result.all.flatMap((row) => Option.toArray(Verify.lineOf(row))).map(({ path, why }) => [path, why])
      )
    })
  )

type Paths = readonly [string, ...ReadonlyArray<string>]

/** What is to be deleted. */
export const planDelete = (world: World, [first, ...more]: Paths, { rules = [], trash = false }: DeleteOptions = {}) =>
  Delete.plan({
    paths: [FilePath.make(first), ...more.map((path) => FilePath.make(path))],
    trash,
    oneFileSystem: true,
    ...rules.length === 0 ? {} : { rules: rules.map((rule) => Filter.Rule.make(rule)) }
  }).pipe(Effect.provide(Objects.layerFiles), Effect.provide(outside(world, {})))

/** What would become of each object. */
export const preview = (world: World, paths: Paths, options: DeleteOptions = {}) =>
  Effect.flatMap(planDelete(world, paths, options), (payload) => Stream.runCollect(DeletePreview.entries(payload)))
    .pipe(
      Effect.provide(Objects.layerFiles),
      Effect.provide(outside(world, options)),
      Effect.map((entries) => entries.map(({ action, path }) => `${action} ${path}`))
    )

interface DeleteOptions extends Options {
  readonly rules?: ReadonlyArray<string>
  readonly trash?: boolean
}

/** Deletes by a job. */
export const remove = (world: World, paths: Paths, options: DeleteOptions = {}) =>
  run(world, planDelete(world, paths, options), ({ start }, payload) => start(Delete.job, payload), options)

const partBytes = 2 ** 20

/** A store in which parts are small, so that few bytes are a large file. */
export const ofSmallParts: Capabilities = {
  ...MemoryStore.memoryCapabilities,
  limits: { ...MemoryStore.memoryCapabilities.limits, putBytes: partBytes, leastPartBytes: 1, mostPartBytes: partBytes }
}

/** Text of so many parts and a bit, no two lines of which are the same. */
export const long = (parts: number): string =>
  Array.from({ length: parts * partBytes / 32 + 1 }, (_, n) => `line ${n}\n`.padStart(32, ".")).join("")

/** Moves by a job, and tells what that came to. */
export const move = (world: World, source: string, destination: string, options: Options = {}) =>
  copy(world, source, destination, { conflict: "overwrite", moves: true, ...options })

/** Keys of the bucket. */
export const keys = ({ store }: Pick<World, "store">, prefix = "") =>
  Effect.map(Stream.runCollect(store.list(prefix)), (all) => all.map(({ key }) => key))

/** Uploads that nobody has ended. */
export const openUploads = ({ store }: Pick<World, "store">) => Stream.runCollect(store.uploads.open(""))

/** Content, metadata and attributes of an object. */
export const read = ({ store }: Pick<World, "store">, key: string) =>
  Effect.scoped(Effect.gen(function*() {
    const { bytes, info } = yield* store.get(key)
    const { attributes, metadata } = info
    return { text: Buffer.concat(yield* Stream.runCollect(bytes)).toString(), metadata, attributes }
  }))

/** Puts a text at a key, in parts where it is long. */
export const put = (
  { store }: Pick<World, "store">,
  key: string,
  text: string,
  metadata: Readonly<Record<string, string>> = {},
  attributes: Attributes = {}
) =>
  Effect.gen(function*() {
    const bytes = Buffer.from(text)
    const { mostPartBytes, putBytes } = store.capabilities.limits
    if (bytes.length <= putBytes) return yield* store.put(key, bytes, { metadata, attributes })
    const upload = yield* store.uploads.begin(key, { metadata, attributes })
    const parts = Array.from(
      { length: Math.ceil(bytes.length / mostPartBytes) },
      (_, n) => bytes.subarray(n * mostPartBytes, (n + 1) * mostPartBytes)
    )
    const put = yield* Effect.forEach(parts, (part, n) => store.uploads.put(upload, n + 1, part))
    return yield* store.uploads.complete(upload, put)
  })

/** The tree without times of folders, which objects do not keep. */
export const treeOf = ({ disk }: World, path: string) =>
  Object.fromEntries(
    Object.entries(disk.tree(path)).map(([name, seen]) =>
      [name, seen.kind === "folder" ? { ...seen, modified: 0n } : seen] as const
    )
  )
