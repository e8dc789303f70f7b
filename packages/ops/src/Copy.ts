/**
 * Job: copies files and folders, durably.
 *
 * The walk over the sources is the source of one fan-out: a folder opens a bracket and is given its mode and times
 * once all in it has settled. What happens to each file is decided by `Conflict`.
 */
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { Pools } from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { ChecksumsUnwritten } from "./CopyChecksum.ts"
import * as CopyOptions from "./CopyOptions.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { DestinationError } from "./FilesError.ts"
import * as Filter from "./Filter.ts"
import { HardLinks } from "./HardLinks.ts"
import { HashAlgorithm } from "./HashAlgorithm.ts"
import * as AbandonedDrafts from "./internal/copy/abandonedDrafts.ts"
import * as ChecksumFile from "./internal/copy/checksumFile.ts"
import {
  countOf,
  Elements,
  mayBeWhole,
  mostTogether,
  mostWhole,
  parts,
  type Roots,
  standsFor
} from "./internal/copy/copyElements.ts"
import * as CopyEntryLive from "./internal/copy/copyEntryLive.ts"
import { CopyEntry } from "./internal/copy/copyTask.ts"
import * as TouchedFolders from "./internal/copy/touchedFolders.ts"
import { NamedSources } from "./internal/entry/sourcePlace.ts"
import * as QuickFiles from "./internal/files/quickFiles.ts"
import * as FolderTimes from "./internal/move/folderTimes.ts"
import * as Destination from "./internal/path/destination.ts"
import * as TemporaryName from "./internal/path/temporaryName.ts"
import * as Conflict from "./internal/steps/conflict.ts"
import * as Durability from "./internal/steps/durability.ts"
import { WithoutUnnamed } from "./internal/steps/filePlacement.ts"
import * as LinkedFiles from "./internal/steps/linkedCopies.ts"
import { MadeFolders } from "./internal/steps/madeFolders.ts"
import * as FileTree from "./internal/tree/fileTree.ts"
import { followOf } from "./internal/tree/followedLinks.ts"
import { SourceWalk } from "./internal/tree/sourceWalk.ts"
import { doubtful, pauseOn, pausing, whileThere } from "./internal/work/diskPause.ts"
import * as ElementCount from "./internal/work/elementCount.ts"
import { filesAtOnce } from "./internal/work/fileConcurrency.ts"
import * as JobFileSystems from "./internal/work/jobFileSystems.ts"
import * as ProtectedFiles from "./internal/work/protectedFiles.ts"

/**
 * Schema for what is to be copied, as it was asked for: it names the job, so that the same request finds it again.
 *
 * @category schemas
 */
export const Request = Schema.Struct({
  /** Absolute; a slash at the end is kept. */
  sources: Schema.NonEmptyArray(FilePath.FilePath),
  destination: FilePath.FilePath,
  /** Takes the destination for the copy itself, even where it is a folder. */
  noTargetDirectory: Schema.Boolean,
  conflict: Conflict.Mode,
  /** What is kept of sources beside their content, if not the usual. */
  preserve: Schema.optionalKey(Schema.Array(CopyOptions.Property)),
  /** Whether what is copied is on the device before it counts as done. */
  durable: Schema.optionalKey(Schema.Literal(true)),
  /** Whether what is copied is read back from the device and compared. */
  verify: Schema.optionalKey(Schema.Literal(true)),
  /** Whether what links lead to is copied in their place. */
  dereference: Schema.optionalKey(Schema.Literal(true)),
  /** By what files are hashed on their way. Their checksums are in the rows, which `CopyChecksum` reads. */
  checksums: Schema.optionalKey(Schema.Struct({
    algorithm: HashAlgorithm,
    /** The file that they are written to in the end: a path without links, which is neither copied nor replaced. */
    output: Schema.optionalKey(FilePath.FilePath)
  })),
  /** What is left out below the sources. They are themselves copied in any case. */
  rules: Schema.optionalKey(Schema.Array(Filter.Rule))
})
export type Request = typeof Request.Type

/**
 * Schema for the payload of the job: the request, and where everything goes. That is worked out once: a copy that was
 * killed has made its destination, and would go into it the next time.
 *
 * @category schemas
 */
export const Payload = Schema.Struct({
  request: Request,
  transfers: Schema.NonEmptyArray(Destination.Transfer),
  /** Files that are neither copied nor replaced: those of the job's own database. Without links above their names. */
  leaveOut: Schema.Array(FilePath.FilePath),
  /** What sources and targets were on when the job was planned, where that has a name. */
  homes: Schema.optionalKey(Schema.Array(JobFileSystems.Home))
})
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many elements, folders and their ends included, came to what.
 *
 * @category constructors
 */
export const job = Job.make("copy", {
  payload: Payload,
  success: Progress.Tally,
  error: ChecksumsUnwritten,
  idempotencyKey: ({ request }) => JSON.stringify(request),
  exclusiveKey: ({ request: { destination, noTargetDirectory, sources } }) =>
    JSON.stringify([sources, destination, noTargetDirectory])
})

/** What can't be done with objects is known to a module that is loaded where there are some. */
const refuseAddresses = (request: Request): Effect.Effect<void, DestinationError, Files.Files> =>
  [...request.sources, request.destination].some(FilePath.isAddress)
    ? Effect.flatMap(
      Effect.promise(() => import("./internal/objects/addressRefusal.ts")),
      ({ refuse }) => refuse(request)
    )
    : Effect.void

/**
 * Works out where everything goes, and refuses what would destroy a source or never end. `called` is the destination as
 * the names in a file of checksums begin.
 *
 * @category running
 */
export const plan = (
  request: Request,
  leaveOut: ReadonlyArray<FilePath.FilePath> = [],
  called: FilePath.FilePath = request.destination
): Effect.Effect<Payload, DestinationError, Files.Files> =>
  Effect.andThen(
    refuseAddresses(request),
    Destination.resolve({
      sources: request.sources,
      destination: request.destination,
      isTarget: request.noTargetDirectory,
      isFollowing: request.dereference === true,
      called: request.checksums?.output === undefined ? undefined : called
    })
  ).pipe(
    Effect.flatMap((transfers) =>
      Effect.map(
        JobFileSystems.find(transfers.flatMap(({ source, target }) => [source, target])),
        (homes) => ({ request, transfers, leaveOut, homes })
      )
    )
  )

const nothingMoved: Roots = new Map()

/**
 * Paths that all of a copy is under: what it reads, and what it writes.
 *
 * @category accessors
 */
export const pathsOf = ({ transfers }: Payload): ReadonlyArray<FilePath.FilePath> =>
  transfers.flatMap(({ source, target }) => [source, target])

/** How files get from the walk into the fan-out. */
interface Plan {
  /** How many of one folder are gathered where they follow one another; 1 where none are. */
  readonly together: number
  /** How many elements are under way at the same time. */
  readonly concurrency: number
  /** Which folders may be copied with all in them, where any may. */
  readonly mayBeWhole: FileTree.WholeOptions["mayBeWhole"] | undefined
  /** Whether something is what a run before this one has put aside, which is no source. */
  readonly isAside: ((name: FilePath.FilePath) => boolean) | undefined
}

/** Whether what is moved has to be copied for that. */
const isElsewhere = ({ source, target }: Destination.Transfer) =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const [from, to] = [yield* files.folder(source), yield* files.folder(FilePath.parent(target))]
    return !Files.isOnSame(yield* from.identity, yield* to.identity)
  }).pipe(Effect.scoped, Effect.orElseSucceed(() => false))

/**
 * Whether folders may be moved with all that is in them. That is for what is copied: the others are renamed, file by
 * file where something is there already. A folder in which something is left out stays where it is.
 */
const mayMoveWhole = ({ request: { rules = [] }, transfers }: Payload) =>
  rules.length > 0 ? Effect.succeed(false) : Effect.map(Effect.forEach(transfers, isElsewhere), Arr.every((is) => is))

/** So many objects are under way at the same time that are copied one by one: each may have a buffer of 1 MiB. */
const objectsAtOnce = 32

/** Files of a folder are gathered that need no more than a request each. */
const plansOfObjects = Effect.fnUntraced(function*(
  { request: { conflict } }: Payload,
  { files, times }: NonNullable<SourceWalk["together"]>
): Effect.fn.Return<Plan, never, Pools> {
  const { checksums, isDurable, isMove, isVerified, keeps } = yield* CopyOptions.CopyOptions
  const isPlain = !(isDurable || isMove || isVerified) && checksums === undefined && keeps.has("mode") &&
    keeps.has("times")
  // Other modes have to keep first what they decide.
  const isGathering = isPlain && (conflict === "changed" || conflict === "overwrite")
  const most = yield* filesAtOnce
  return {
    together: isGathering ? files : 1,
    concurrency: Math.min(isGathering ? times : objectsAtOnce, most),
    mayBeWhole: undefined,
    isAside: undefined
  }
})

/**
 * Files of a folder are gathered where calls are quick: where they take their time, one task that waits for many would
 * be slower than many that wait. Folders are copied, or moved to another file system, with all that is in them.
 */
const plans = Effect.fnUntraced(function*(
  payload: Payload
): Effect.fn.Return<Plan, never, Files.Files | JobContext | Pools> {
  const { together } = yield* SourceWalk
  if (together !== undefined) return yield* plansOfObjects(payload, together)
  const { throughout } = yield* QuickFiles.QuickFiles
  const { isDurable, isMove, isVerified, keeps } = yield* CopyOptions.CopyOptions
  const { transfers } = payload
  const isQuick = Option.isSome(yield* throughout(pathsOf(payload)))
  // By its time a unit knows a copy of a run before this one from what was to be left.
  const isGathering = isQuick && (keeps.has("times") || payload.request.conflict !== "skip")
  const isWhole = isGathering && (!isMove || (yield* mayMoveWhole(payload))) &&
    // What waits for a flush waits for one of all.
    (!(isDurable || isVerified) || (yield* Durability.isOneAt(transfers.map(({ target }) => FilePath.parent(target)))))
  const { id, token } = yield* JobContext
  const isAside = (name: FilePath.FilePath): boolean => TemporaryName.isOf(id, name)
  return {
    together: isGathering ? mostTogether : 1,
    concurrency: yield* filesAtOnce,
    mayBeWhole: isWhole ? mayBeWhole(payload) : undefined,
    isAside: isMove && token > 1 ? isAside : undefined
  }
})

type Walked = Stream.Stream<FileTree.Element | FileTree.Whole, never, Files.Files | JobContext>

const walk =
  (payload: Payload, { isAside, mayBeWhole }: Plan, roots: Roots, isCounted = false) =>
  (after: Option.Option<string>) => {
    const { request: { rules = [] }, transfers } = payload
    const sources = transfers.map(({ source }) => source)
    const follow = followOf(payload)
    const isLeftOut = Filter.make(rules)
    const filter: Filter.Filter = isAside === undefined
      ? isLeftOut
      : (path, isFolder) => isAside(FilePath.name(path)) || isLeftOut(path, isFolder)
    const options = { sources, after, filter, gone: roots, follow, tellsTwins: true }
    const walked: Walked = mayBeWhole === undefined
      ? Stream.unwrap(Effect.map(SourceWalk, ({ walk }) => walk(options, isCounted)))
      : FileTree.walkWhole({ ...options, mayBeWhole, mostWhole })
    // Links may lead to where calls take their time.
    return QuickFiles.walking(sources, walked, follow !== undefined)
  }

type Met = ElementCount.Met<FileTree.Element | FileTree.Whole>

const makeMet = (): Met => new ElementCount.Met((element) => ({ items: countOf(element) }))

/** What there is to copy. */
const entries = (payload: Payload, plan: Plan, roots: Roots, met = makeMet()) => {
  const sources = payload.transfers.map(({ source }) => source)
  const walked = (after: Option.Option<string>) => pausing(walk(payload, plan, roots)(after), doubtful(sources))
  return (after: Option.Option<string>) =>
    Stream.mapAccum(
      met.noting(walked(after), after),
      () => new Elements(payload, plan.together, roots),
      (elements, element) => [elements, elements.add(element)],
      { onHalt: (elements) => elements.flush() }
    )
}

/**
 * What there is to move, as far as it is counted: behind a move nothing is left to count. A move that goes on knows
 * what was counted, or does not count, since nobody knows what was there.
 */
const countedEntries = Effect.fnUntraced(function*(payload: Payload, plan: Plan, roots: Roots) {
  const source = entries(payload, plan, roots)
  const scope = yield* Effect.scope
  const known = yield* ElementCount.known
  if (Option.isSome(known)) yield* ElementCount.tellTotals(known.value)
  const counted = Semaphore.makeUnsafe(0)
  const counting = Effect.suspend(() => {
    let found = 0
    const counting = Stream.runForEachArray(walk(payload, plan, roots, true)(Option.none()), (elements) => {
      const count = Num.sumAll(elements.map(countOf))
      found += count
      return counted.release(count)
    })
    return Effect.andThen(counting, Effect.suspend(() => ElementCount.tellTotals({ items: found })))
  })
  const begin = counting.pipe(
    Effect.ignore,
    // What could not be counted is moved all the same, and so is what has come since.
    Effect.ensuring(counted.resize(Number.POSITIVE_INFINITY)),
    Effect.forkIn(scope)
  )
  return (after: Option.Option<string>) =>
    Option.isSome(after) || Option.isSome(known) ? source(after) : Stream.unwrap(Effect.as(
      begin,
      Stream.mapArrayEffect(
        source(after),
        (elements) => Effect.as(counted.take(Num.sumAll(elements.map(standsFor))), elements)
      )
    ))
})

/** A former owner may have left temporary files beside those that were sources themselves. */
const sweepTargets = Effect.fnUntraced(function*({ transfers }: Payload) {
  const { id, token } = yield* JobContext
  if (token === 1) return
  const files = yield* Files.Files
  for (const path of Arr.dedupe(transfers.map(({ target }) => FilePath.parent(target)))) {
    // An object store keeps nothing that is not whole under a name.
    if (FilePath.isAddress(path)) continue
    yield* files.folder(path).pipe(
      Effect.flatMap((folder) => TemporaryName.sweep({ folder, job: id, before: token })),
      Effect.scoped,
      // One that can't be read or written has to keep what is left in it.
      Effect.ignore
    )
  }
})

/** It is only there for this job. What is not forgotten now will be when it is old. */
const forgetLinks = Effect.gen(function*() {
  const { id } = yield* JobContext
  const { keeps } = yield* CopyOptions.CopyOptions
  if (keeps.has("links")) yield* Effect.ignore((yield* LinkedFiles.Memory).forget(id))
})

/**
 * Name of the fan-out whose rows have the checksums.
 *
 * @category models
 */
export const fanOutName = "entries"

/** Copies all but the sources that are not looked at. */
const copyAll = Effect.fnUntraced(function*(payload: Payload, roots: Roots) {
  const { attempt } = yield* JobContext
  const { isMove } = yield* CopyOptions.CopyOptions
  const touched = attempt > 1 ? yield* TouchedFolders.make : undefined
  const { fanOut } = yield* TaskDispatcher
  const plan = yield* plans(payload)
  const met = makeMet()
  if (!isMove) yield* ElementCount.countBeside(met.countAll(walk(payload, plan, nothingMoved, true)))
  const { concurrency, together } = plan
  // Each may be 64 files, or folders with more.
  const options = together > 1 ? { flushEvery: 64 } : {}
  const source = isMove ? yield* countedEntries(payload, plan, roots) : entries(payload, plan, roots, met)
  const { leaveOut, request: { checksums } } = payload
  const keep = checksums === undefined ? "failures" : "all"
  const tally = yield* fanOut(fanOutName, CopyEntry, source, { ...options, parts, concurrency, pauseOn, keep }).pipe(
    Effect.provideService(NamedSources, payload.transfers.map(({ source }) => source)),
    Effect.provideService(MadeFolders, new Set()),
    Effect.provideService(WithoutUnnamed, new Set()),
    Effect.provideService(LinkedFiles.Turns, new Map()),
    Effect.provideService(ProtectedFiles.ProtectedFiles, yield* ProtectedFiles.make(leaveOut, checksums?.output)),
    // It collects failures, so it never gives up.
    Effect.onError(() => TouchedFolders.close),
    Effect.tap(() => TouchedFolders.finish(payload.transfers)),
    Effect.provideService(TouchedFolders.TouchedFolders, touched)
  )
  // What is left beside them by now is nothing that anybody goes on with.
  yield* sweepTargets(payload)
  // What has failed may be tried again, and be one of several names.
  if (tally.failed === 0) yield* forgetLinks
  yield* ChecksumFile.write(payload)
  return tally
})

/** What remembers hard links. A job that keeps them asks it first: without it one file would become several. */
const memoryOf = Effect.fnUntraced(function*({ keeps }: CopyOptions.CopyOptions) {
  const memory = yield* HardLinks
  const { id } = yield* JobContext
  if (keeps.has("links")) yield* memory.find(id, [])
  return memory
})

/**
 * Program of a job that copies, in whatever way.
 *
 * **Details**
 *
 * `rename` says which sources, by their place in the list, are not looked at: they are at their targets already, since
 * they have got another name, or others are in their places.
 *
 * @category running
 */
export const run = <E, R>(
  payload: Payload,
  options: CopyOptions.CopyOptions,
  rename: Effect.Effect<ReadonlyMap<number, "moved" | "replaced">, E, R>
) =>
  whileThere(payload.homes, Effect.flatMap(rename, (roots) => copyAll(payload, roots))).pipe(
    Effect.provideServiceEffect(
      Durability.Durability,
      Durability.of(options.isDurable ? "names" : options.isVerified ? "content" : "none")
    ),
    Effect.provideServiceEffect(
      FolderTimes.FolderTimes,
      options.isMove ? FolderTimes.make : Effect.sync(FolderTimes.FolderTimes.defaultValue)
    ),
    Effect.provideServiceEffect(LinkedFiles.Memory, memoryOf(options)),
    Effect.provideService(CopyOptions.CopyOptions, options)
  )

/**
 * How sources are copied, by what the request says.
 *
 * @category accessors
 */
export const optionsOf = (
  { checksums, dereference, durable, preserve = CopyOptions.usual, rules = [], verify }: Request
): CopyOptions.CopyOptions => ({
  keeps: new Set(preserve),
  isDurable: durable === true,
  isVerified: verify === true,
  checksums: checksums?.algorithm,
  isFollowing: dereference === true,
  rules,
  isMove: false
})

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 */
export const program = (payload: Payload) => run(payload, optionsOf(payload.request), Effect.succeed(nothingMoved))

/**
 * Removes every temporary file that the job has left under its targets, but what is in these folders, and beside the
 * checksums, and closes folders that a retry has left open.
 *
 * @category running
 */
export const onCancel = (
  payload: Payload,
  id: JobContext["Service"]["id"],
  saved: Job.Saved,
  spared: ReadonlyArray<FilePath.FilePath> = []
): Effect.Effect<void, never, Files.Files> =>
  AbandonedDrafts.removeAll(payload, id, spared).pipe(
    Effect.andThen(ChecksumFile.sweep(payload, id)),
    Effect.andThen(TouchedFolders.restoreAll(saved))
  )

/**
 * Layer that supplies the job's program, and has fibers of this process copy, on whatever `Files` there are.
 *
 * **When to use**
 *
 * Use for file systems of your own, in tests for one. On those of the machine `FileJobs.layer` is much faster.
 *
 * @category layers
 */
export const layer: Layer.Layer<Job.ToProgram<typeof job>, never, Files.Files | HardLinks> = job.toLayer(
  program,
  { onCancel }
).pipe(Layer.provide(CopyEntryLive.layer))
