/**
 * Job: copies files and folders, durably.
 *
 * The walk over the sources is the source of one fan-out: a folder opens a bracket and is given its mode and times
 * once all in it has settled. What happens to each file is decided by `Conflict`, and done by a `CopyStrategy`.
 *
 * @since 0.1.0
 */
import * as Checkpoint from "@fanout/core/Checkpoint"
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { Pools } from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Conflict from "./Conflict.ts"
import type { Checksums } from "./CopyChecksum.ts"
import * as CopyEntryLive from "./CopyEntryLive.ts"
import * as CopyOptions from "./CopyOptions.ts"
import { type CopiedFiles, CopyEntry, type EntryCopied } from "./CopyTask.ts"
import * as Destination from "./Destination.ts"
import type { DestinationError } from "./DestinationError.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import * as FileTree from "./FileTree.ts"
import * as Filter from "./Filter.ts"
import { HardLinks } from "./HardLinks.ts"
import { HashAlgorithm } from "./HashAlgorithm.ts"
import * as Durability from "./internal/durability.ts"
import { filesAtOnce } from "./internal/filesAtOnce.ts"
import * as FileSystems from "./internal/fileSystems.ts"
import * as FolderTimes from "./internal/folderTimes.ts"
import { followOf } from "./internal/following.ts"
import { type Gathered, Gathering } from "./internal/gathering.ts"
import { Turns } from "./internal/hardLinks.ts"
import { MadeFolders } from "./internal/madeFolders.ts"
import { pauseIfMoved, pauseOn, pausing } from "./internal/pausing.ts"
import * as TouchedFolders from "./internal/touchedFolders.ts"
import * as ProtectedFiles from "./ProtectedFiles.ts"
import * as QuickFiles from "./QuickFiles.ts"
import { SkipReason } from "./SkipReason.ts"
import * as TemporaryName from "./TemporaryName.ts"
import * as TreeCursor from "./TreeCursor.ts"

/**
 * Schema for what is to be copied, as it was asked for: it names the job, so that the same request finds it again.
 *
 * @category schemas
 * @since 0.1.0
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
    /** Where they are written to: without links, and neither copied nor replaced. */
    output: Schema.optionalKey(FilePath.FilePath)
  })),
  /** What is left out below the sources. They are themselves copied in any case. */
  rules: Schema.optionalKey(Schema.Array(Filter.Rule))
})

/**
 * What is to be copied, as it was asked for.
 *
 * @category models
 * @since 0.1.0
 */
export type Request = typeof Request.Type

/**
 * Schema for the payload of the job: the request, and where everything goes. That is worked out once: a copy that was
 * killed has made its destination, and would go into it the next time.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Payload = Schema.Struct({
  request: Request,
  transfers: Schema.NonEmptyArray(Destination.Transfer),
  /** Files that are neither copied nor replaced: those of the job's own database. Without links above their names. */
  leaveOut: Schema.Array(FilePath.FilePath),
  /** What sources and targets were on when the job was planned, where that has a name. */
  homes: Schema.optionalKey(Schema.Array(FileSystems.Home))
})

/**
 * Payload of the job.
 *
 * @category models
 * @since 0.1.0
 */
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many elements, folders and their ends included, came to what.
 *
 * @category constructors
 * @since 0.1.0
 */
export const job = Job.make("copy", {
  payload: Payload,
  success: Progress.Tally,
  idempotencyKey: ({ request }) => JSON.stringify(request),
  exclusiveKey: ({ request: { destination, noTargetDirectory, sources } }) =>
    JSON.stringify([sources, destination, noTargetDirectory])
})

/**
 * Works out where everything goes, and refuses what would destroy a source or never end.
 *
 * @category running
 * @since 0.1.0
 */
export const plan = (
  request: Request,
  leaveOut: ReadonlyArray<FilePath.FilePath> = []
): Effect.Effect<Payload, DestinationError, Files.Files> =>
  Destination.resolve({
    sources: request.sources,
    destination: request.destination,
    isTarget: request.noTargetDirectory,
    isFollowing: request.dereference === true
  }).pipe(
    Effect.flatMap((transfers) =>
      Effect.map(
        FileSystems.find(transfers.flatMap(({ source, target }) => [source, target])),
        (homes) => ({ request, transfers, leaveOut, homes })
      )
    )
  )

type Entry = CopyEntry["payloadSchema"]["Type"]
type Element = FanOut.Element<Entry>

/** What the walk meets, as elements of the fan-out. What is at none of its places by now is told as moved. */
const elementOf = (
  { transfers, request: { conflict } }: Payload,
  moved: ReadonlySet<number>
) =>
(element: FileTree.Element): Element => {
  const { cursor } = element
  const at = { ...Destination.placeOf(transfers, element), conflict }
  const key = FilePath.display(at.source)
  const skipped = (reason: keyof typeof SkipReason): Element => ({
    _tag: "Settled",
    cursor,
    key,
    outcome: { _tag: "Skipped", reason: SkipReason[reason], count: 1 }
  })
  switch (element._tag) {
    case "Open":
      return { _tag: "Item", cursor, payload: { ...at, kind: "folder" }, opens: true }
    case "Close":
      return { _tag: "After", cursor, payload: { ...at, kind: "folderEnd" } }
    case "Leaf":
      return element.kind === "special"
        ? skipped("Special")
        : { _tag: "Item", cursor, payload: { ...at, kind: element.kind } }
    case "Unreadable": {
      const { error, retryAfter } = element
      if (moved.has(element.source)) {
        const value = { _tag: "Moved", strategy: "rename", sizeBytes: 0 }
        return { _tag: "Settled", cursor, key, outcome: { _tag: "Done", value } }
      }
      if (error.isMissing) return skipped("Vanished")
      return {
        _tag: "Settled",
        cursor,
        key,
        outcome: { _tag: "Failed", failure: { _tag: "Error", error: { code: error.code }, message: error.message } },
        ...Option.match(retryAfter, {
          onNone: () => ({}),
          onSome: (bracketAfter) => ({ retry: { payload: { ...at, kind: "folder" as const }, bracketAfter } })
        })
      }
    }
  }
}

const nothingMoved: ReadonlySet<number> = new Set()

/** Gathers files of one folder that follow one another, where they are copied together. */
class Elements {
  private readonly payload: Payload
  private readonly elementOf: (element: FileTree.Element) => Element
  private readonly left: ReadonlySet<FilePath.FilePath>
  private readonly gathering = new Gathering()

  constructor(payload: Payload) {
    this.payload = payload
    this.elementOf = elementOf(payload, nothingMoved)
    const { leaveOut, request: { checksums } } = payload
    this.left = new Set(checksums?.output === undefined ? leaveOut : [...leaveOut, checksums.output])
  }

  add(element: FileTree.Element): ReadonlyArray<Element> {
    if (element._tag === "Leaf" && element.kind !== "special" && element.path !== "" && !this.isLeft(element)) {
      return this.elements(this.gathering.add(element))
    }
    return [...this.flush(), this.elementOf(element)]
  }

  flush(): ReadonlyArray<Element> {
    return this.elements(this.gathering.take())
  }

  /** Whether it is one of those that are neither copied nor replaced. */
  private isLeft(element: FileTree.Element): boolean {
    if (this.left.size === 0) return false
    const { source, target } = Destination.placeOf(this.payload.transfers, element)
    return this.left.has(source) || this.left.has(target)
  }

  private elements(gathered: Gathered | undefined): ReadonlyArray<Element> {
    if (gathered === undefined) return []
    const { request: { conflict }, transfers } = this.payload
    const { cursor, folders, source } = gathered
    // Whatever opens or closes a folder ends what was gathered before: there is one.
    return folders.map(({ names, path }) => {
      const at = Destination.placeOf(transfers, { source, path })
      return { _tag: "Item", cursor, payload: { ...at, conflict, kind: "files", names }, count: names.length }
    })
  }
}

/**
 * Where those that were copied together have rows, and what these tell, if checksums are asked for: what is left
 * unchanged is then looked at by itself. Otherwise nothing of them has a row, nor runs, and none needs a cursor of its
 * own.
 */
const rowsOf = (cursor: string, { names = [], target }: Entry, { alone, digests }: CopiedFiles): {
  readonly copiedAt?: string
  readonly linkedAt?: string
  readonly told?: { readonly checksums: Checksums }
} => {
  if (digests === undefined) return {}
  const others = new Set(alone)
  const copied = names.flatMap((name, index) => {
    const digest = digests[index] ?? null
    return digest === null ? [] : [{ name, digest }]
  })
  const [first] = copied
  const link = names.find((_, index) => digests[index] === null && !others.has(index))
  return {
    ...first === undefined ? {} : { copiedAt: TreeCursor.beside(cursor, first.name) },
    ...link === undefined ? {} : { linkedAt: TreeCursor.beside(cursor, link) },
    told: {
      checksums: { folder: target, names: copied.map(({ name }) => name), digests: copied.map(({ digest }) => digest) }
    }
  }
}

/** Tells what became of files that were copied together. */
const parts: FanOut.Parts<Entry, typeof EntryCopied.Type> = ({ cursor, payload }, value) => {
  const { kind, names = [], source, target, ...rest } = payload
  if (kind !== "files" || (Option.isSome(value) && value.value._tag !== "Files")) return undefined
  const alone = (name: FilePath.FilePath): FanOut.Element<Entry> => ({
    _tag: "Item",
    cursor: TreeCursor.beside(cursor, name),
    // It is looked at once more, so that what it is to be does not matter.
    payload: { ...rest, kind: "file", source: FilePath.join(source, name), target: FilePath.join(target, name) }
  })
  if (Option.isNone(value) || value.value._tag !== "Files") return names.map(alone)
  const { copied, left, linked, unchanged } = value.value
  const { linkedAt = cursor, copiedAt = cursor, told = {} } = rowsOf(cursor, payload, value.value)
  const done = (at: string, count: number, value: { readonly _tag: string }): ReadonlyArray<FanOut.Element<Entry>> =>
    count === 0 ? [] : [{ _tag: "Settled", cursor: at, key: "", outcome: { _tag: "Done", value, count } }]
  const others = value.value.alone.flatMap((index) => names[index] ?? [])
  return [
    ...done(copiedAt, copied, { _tag: "Copied", ...told }),
    ...done(linkedAt, linked, { _tag: "Linked" }),
    ...done(cursor, unchanged, { _tag: "Unchanged" }),
    ...others.map(alone),
    ...left === 0
      ? []
      : [{ _tag: "Item", cursor, payload: { ...payload, names: names.slice(-left) }, count: left } as const]
  ]
}

const total = Checkpoint.make("total", Schema.Natural)

/** Counts what there is to copy, once, unless that is over before anybody asks how much of it is done. */
const count = Effect.fnUntraced(function*(payload: Payload) {
  const known = yield* total.get
  const found = Option.isSome(known)
    ? known.value
    : yield* Effect.delay(
      Stream.runFold(walk(payload, Option.none(), nothingMoved), () => 0, (n) => n + 1),
      "500 millis"
    )
  // What was counted of a disk that is gone is no total.
  if ((yield* FileSystems.findMoved()) !== undefined) return
  yield* Progress.total("items", found)
  if (Option.isNone(known)) yield* total.save(found)
})

/**
 * Paths that all of a copy is under: what it reads, and what it writes.
 *
 * @category accessors
 * @since 0.1.0
 */
export const pathsOf = ({ transfers }: Payload): ReadonlyArray<FilePath.FilePath> =>
  transfers.flatMap(({ source, target }) => [source, target])

const walk = (payload: Payload, after: Option.Option<string>, gone: ReadonlySet<number>) => {
  const { request: { rules = [] }, transfers } = payload
  const sources = transfers.map(({ source }) => source)
  const follow = followOf(payload)
  const walked = FileTree.walk({ sources, after, filter: Filter.make(rules), gone, follow })
  // Links may lead to where calls take their time.
  return follow === undefined ? QuickFiles.walking(sources, walked) : walked
}

/**
 * What there is to copy, and how. Files of a folder are gathered where calls are quick: where they take their time, one
 * task that waits for many would be slower than many that wait. In other modes most of them would be left all the same.
 */
const entries = Effect.fnUntraced(function*(payload: Payload, moved: ReadonlySet<number>) {
  const { throughout } = yield* QuickFiles.QuickFiles
  const { isFollowing, isMove, keeps } = yield* CopyOptions.CopyOptions
  const isQuick = Option.isSome(yield* throughout(pathsOf(payload)))
  const keepsUsual = CopyOptions.usual.every((property) => keeps.has(property))
  const sources = payload.transfers.map(({ source }) => source)
  const walked = (after: Option.Option<string>) => pausing(walk(payload, after, moved), sources)
  if (!isQuick || isFollowing || isMove || !keepsUsual || payload.request.conflict !== "changed") {
    return {
      source: (after: Option.Option<string>) => Stream.map(walked(after), elementOf(payload, moved)),
      options: {}
    }
  }
  return {
    source: (after: Option.Option<string>) =>
      Stream.mapAccum(
        walked(after),
        () => new Elements(payload),
        (elements, element) => [elements, elements.add(element)],
        { onHalt: (elements) => elements.flush() }
      ),
    // Each may be 64 files.
    options: { flushEvery: 64, parts }
  }
})

/** Sweeps a folder. One that can't be read or written has to keep what is left in it. */
const sweep = (folder: FilePath.FilePath, options: Omit<Parameters<typeof TemporaryName.sweep>[0], "folder">) =>
  Files.Files.use((files) => files.folder(folder)).pipe(
    Effect.flatMap((folder) => TemporaryName.sweep({ ...options, folder })),
    Effect.scoped,
    Effect.ignore
  )

/** A former owner may have left temporary files beside those that were sources themselves. */
const sweepTargets = Effect.fnUntraced(function*({ transfers }: Payload) {
  const { id, token } = yield* JobContext
  if (token === 1) return
  const folders = Arr.dedupe(transfers.map(({ target }) => FilePath.parent(target)))
  yield* Effect.forEach(folders, (folder) => sweep(folder, { job: id, before: token }), { discard: true })
})

/** It is only there for this job. What is not forgotten now will be when it is old. */
const forgetLinks = Effect.gen(function*() {
  const { id } = yield* JobContext
  yield* Effect.ignore((yield* HardLinks).forget(id))
})

/**
 * Name of the fan-out whose rows have the checksums.
 *
 * @category models
 * @since 0.1.0
 */
export const fanOutName = "entries"

/** Copies all but the sources that are moved already. */
const copyAll = Effect.fnUntraced(function*(payload: Payload, moved: ReadonlySet<number>) {
  const { attempt } = yield* JobContext
  const { isMove } = yield* CopyOptions.CopyOptions
  const touched = attempt > 1 ? new Map() : undefined
  const { fanOut } = yield* TaskDispatcher
  // It only tells how much there is: where it fails, that is not known; nor while it gets less.
  if (!isMove) yield* Effect.forkScoped(Effect.ignore(count(payload)))
  const concurrency = yield* filesAtOnce
  const { options, source } = yield* entries(payload, moved)
  const { leaveOut, request: { checksums } } = payload
  const keep = checksums === undefined ? "failures" : "all"
  const tally = yield* fanOut(fanOutName, CopyEntry, source, { ...options, concurrency, pauseOn, keep }).pipe(
    Effect.provideService(MadeFolders, new Set()),
    Effect.provideService(Turns, new Map()),
    Effect.provideService(TouchedFolders.TouchedFolders, touched),
    Effect.provideService(ProtectedFiles.ProtectedFiles, yield* ProtectedFiles.make(leaveOut, checksums?.output)),
    // It collects failures, so it never gives up.
    Effect.catchTag("FanOutStopped", Effect.die)
  )
  yield* Effect.provideService(
    TouchedFolders.finish(payload.transfers),
    TouchedFolders.TouchedFolders,
    touched
  )
  // What is left beside them by now is nothing that anybody goes on with.
  yield* sweepTargets(payload)
  // What has failed may be tried again, and be one of several names.
  if (tally.failed === 0) yield* forgetLinks
  return tally
})

/**
 * Program of a job that copies, in whatever way.
 *
 * **Details**
 *
 * `rename` says which sources, by their place in the list, are at their targets already: they have got another name.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <E, R>(
  payload: Payload,
  options: CopyOptions.CopyOptions,
  rename: Effect.Effect<ReadonlySet<number>, E, R>
) =>
  pauseIfMoved.pipe(
    Effect.andThen(rename),
    Effect.flatMap((moved) => copyAll(payload, moved)),
    Effect.provideServiceEffect(
      Durability.Durability,
      Durability.of(options.isDurable ? "names" : options.isVerified ? "content" : "none")
    ),
    Effect.provideServiceEffect(
      FolderTimes.FolderTimes,
      options.isMove ? FolderTimes.make : Effect.sync(FolderTimes.FolderTimes.defaultValue)
    ),
    Effect.provideService(FileSystems.Homes, payload.homes ?? []),
    Effect.provideService(CopyOptions.CopyOptions, options)
  )

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 * @since 0.1.0
 */
export const program = (payload: Payload) => {
  const { checksums, durable = false, preserve = CopyOptions.usual, verify = false } = payload.request
  const options = {
    keeps: new Set(preserve),
    isDurable: durable,
    isVerified: verify,
    checksums: checksums?.algorithm,
    isFollowing: payload.request.dereference === true,
    isMove: false
  }
  return run(payload, options, Effect.succeed(nothingMoved))
}

/**
 * Removes every temporary file that the job has left under its targets.
 *
 * @category running
 * @since 0.1.0
 */
export const onCancel = (
  payload: Payload,
  id: JobContext["Service"]["id"]
): Effect.Effect<void, never, Files.Files> =>
  FileTree.walk({ sources: payload.transfers.map(({ target }) => target) }).pipe(
    Stream.filter((element) => element._tag === "Open" || element.path === ""),
    Stream.runForEach((element) => {
      const { target } = Destination.placeOf(payload.transfers, element)
      const folders = [
        ...element.path === "" ? [FilePath.parent(target)] : [],
        ...element._tag === "Open" ? [target] : []
      ]
      return Effect.forEach(folders, (folder) => sweep(folder, { job: id }))
    })
  )

/**
 * Layer that supplies the job's program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Job.ToHandler<typeof job>, never, Files.Files | Pools> = job.toLayer(program, {
  onCancel
}).pipe(Layer.provide(CopyEntryLive.layer))
