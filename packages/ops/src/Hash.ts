/**
 * Job: hashes files and trees, durably.
 *
 * An element stands for files that follow one another. One row lists every hashed file of the element; each file that
 * failed or was skipped has its own row. Files are numbered in the order of the walk, and cursors carry the numbers.
 * Rows are stored as elements end, in any order; `SourceRows` puts them back into the order of the walk.
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Struct from "effect/Struct"
import * as FilePath from "./FilePath.ts"
import type * as Files from "./Files.ts"
import type { DestinationError } from "./FilesError.ts"
import * as Filter from "./Filter.ts"
import * as HashAlgorithm from "./HashAlgorithm.ts"
import * as QuickFiles from "./internal/files/quickFiles.ts"
import { lookAtAll } from "./internal/files/quickLook.ts"
import { type Entry, HashCache } from "./internal/hash/hashCache.ts"
import { countOf, FilesIn, type HashedFiles, HashFiles, type Unhashed } from "./internal/hash/hashTask.ts"
import { layer as handlers } from "./internal/hash/hashTaskLive.ts"
import * as RelistedFolder from "./internal/hash/relistedFolder.ts"
import { failedAs, skippedAs } from "./internal/tree/elementOutcomes.ts"
import type * as FileTree from "./internal/tree/fileTree.ts"
import { type Gathered, gathered, type Gatherer, Gathering } from "./internal/tree/gatheredNames.ts"
import * as SourceCursor from "./internal/tree/sourceCursor.ts"
import * as Sources from "./internal/tree/sources.ts"
import { SourceWalk } from "./internal/tree/sourceWalk.ts"
import * as TreeCursor from "./internal/tree/treeCursor.ts"
import { doubtful, pausing, whileThere } from "./internal/work/diskPause.ts"
import * as ElementCount from "./internal/work/elementCount.ts"
import { filesAtOnce } from "./internal/work/fileConcurrency.ts"
import * as JobFileSystems from "./internal/work/jobFileSystems.ts"
import * as ProtectedFiles from "./internal/work/protectedFiles.ts"

/**
 * Schema for what is to be hashed.
 *
 * @category schemas
 */
export const Payload = Schema.Struct({
  ...Sources.Sources.fields,
  /** `"sampled"` for content ids, which are no checksums. */
  algorithm: Schema.Union([HashAlgorithm.HashAlgorithm, Schema.Literal("sampled")]),
  /** Whether what has not changed since it was hashed is not read again, by the `HashCache`. Samples are not kept. */
  cache: Schema.optionalKey(Schema.Boolean),
  /** What is left out below the sources. They are themselves hashed in any case. */
  rules: Schema.optionalKey(Schema.Array(Filter.Rule)),
  /** What sources were on when the job was planned, where that has a name. */
  homes: Schema.optionalKey(Schema.Array(JobFileSystems.Home))
})
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many files came to what; digests are in its rows.
 *
 * @category constructors
 */
export const job = Job.make("hash", {
  payload: Payload,
  success: Progress.Tally,
  idempotencyKey: ({ algorithm, cache, output, rules, sources }) =>
    JSON.stringify([sources, algorithm, output ?? null, ...cache === true ? ["cache"] : [], ...rules ? [rules] : []])
})

/**
 * Works out what to hash: where links lead that were named, and whether the output is in there. What can't be found
 * stays as it is, and fails then. Fails where an address is none, or stands beside a path.
 *
 * @category running
 */
export const plan = (given: Payload): Effect.Effect<Payload, DestinationError, Files.Files> =>
  Effect.gen(function*() {
    if (given.sources.some(FilePath.isAddress)) {
      const { refuseSources } = yield* Effect.promise(() => import("./internal/objects/addressRefusal.ts"))
      yield* refuseSources(given.sources)
    }
    const planned = yield* Sources.plan(given)
    return { ...Struct.omit(given, ["output"]), ...planned, homes: yield* JobFileSystems.find(planned.sources) }
  })

/**
 * Name of the fan-out whose rows have the digests.
 *
 * @category models
 */
export const fanOutName = "files"

type Payloads = Task.Payload<typeof HashFiles>
type Element = Source.Element<Payloads>

/** What is to be hashed, and which files of the job's database have other names. */
interface Hashed extends Payload {
  readonly linked: Payload["leaveOut"]
  readonly isLeftOut: Filter.Filter
}

/** Gathers what a walk meets into elements: files by folder, and endings that nobody has to hash for. */
const gatherer = (
  id: JobId,
  payload: Hashed,
  /** Number of the next file that is not among those gathered. */
  number: number,
  mostFiles: number
): Gatherer<FileTree.Element, Element> => {
  const { algorithm, cache, linked } = payload
  const gathering = new Gathering(mostFiles)
  const endings = new Sources.SourceEndings(id, payload)
  /** How files of a source are hashed. */
  const filesIn = (source: number): Omit<Payloads, "folders"> => ({
    root: endings.absolute({ source, path: FilePath.empty }),
    algorithm,
    ...cache === true ? { cache } : {},
    ...linked.length === 0 ? {} : { leaveOut: linked }
  })
  const item = (cursor: string, payload: Payloads): Element => {
    number += countOf(payload)
    return Source.item(SourceCursor.format(number - 1, cursor), payload)
  }
  const items = (gathered: Gathered | undefined): ReadonlyArray<Element> =>
    gathered === undefined ? [] : [item(gathered.cursor, { ...filesIn(gathered.source), folders: gathered.folders })]
  const flush = () => items(gathering.take())
  const add = (element: FileTree.Element): ReadonlyArray<Element> => {
    const outcome = endings.of(element)
    if (outcome === "passed") return []
    const { cursor, path, source } = element
    if (outcome === "read" && path !== "") return items(gathering.add(element))
    const before = flush()
    const file = endings.absolute(element)
    if (outcome === "read") {
      const folders = [{ path: FilePath.empty, names: [FilePath.name(file)] }] as const
      return [...before, item(cursor, { ...filesIn(source), root: FilePath.parent(file), folders })]
    }
    const isFailed = element._tag === "Unreadable" && outcome._tag === "Failed"
    const retry = isFailed ? RelistedFolder.retryOf(element, filesIn(source)) : {}
    const place = SourceCursor.format(number++, cursor)
    return [...before, Source.settled(place, { key: FilePath.display(file), outcome, ...retry })]
  }
  return { add, flush }
}

/**
 * So many files are one element: each costs as much as a hundred of them. Where a file may take long an element is
 * fewer, of which more are under way at the same time; of objects, which are requests, very few. So many elements are
 * recorded together: what a crash undoes.
 */
const together = {
  quick: { files: 256, flushEvery: 16 },
  slow: { files: 64, flushEvery: 32 },
  objects: { files: 8, flushEvery: 64 }
} as const

const togetherOf = ({ sources }: Payload, isQuick: boolean) =>
  together[sources.some(FilePath.isAddress) ? "objects" : isQuick ? "quick" : "slow"]

/** Whether the walk meets something that is an element, or among the files of one. */
const isElement = (met: FileTree.Element): boolean =>
  met._tag === "Leaf" ? met.kind !== "link" || met.path === "" : met._tag === "Unreadable"

/** How many bytes files have that the walk meets. */
const bytesOf = (endings: Sources.SourceEndings) => (elements: ReadonlyArray<FileTree.Element>) =>
  Effect.map(
    lookAtAll(elements.filter((element) => endings.of(element) === "read").map((file) => endings.absolute(file))),
    Option.map((stats) => Num.sumAll(stats.map((stat) => stat?.sizeBytes ?? 0)))
  )

const walk = ({ isLeftOut: filter, sources }: Hashed, isCounted: boolean) => (after: Option.Option<string>) =>
  QuickFiles.walking(
    sources,
    Stream.unwrap(Effect.map(SourceWalk, ({ walk }) => walk({ sources, filter, after }, isCounted)))
  )

/** What there is to hash. */
interface Given {
  readonly id: JobId
  readonly payload: Hashed
  readonly mostFiles: number
  readonly met: ElementCount.Met<FileTree.Element>
}

/** Files and endings in the order of the walk; folders and links in them are passed over. */
const elements = ({ id, met, mostFiles, payload }: Given) => (after: Option.Option<string>) =>
  gathered(
    met.noting(
      pausing(walk(payload, false)(Option.map(after, SourceCursor.placeOf)), doubtful(payload.sources)),
      after
    ),
    () => gatherer(id, payload, SourceCursor.nextNumber(after), mostFiles)
  )

/** Counts what there is to hash, beside the work. Of samples, and of what is cached, nobody knows how many bytes. */
const count = Effect.fnUntraced(function*({ id, met, payload }: Given) {
  yield* ElementCount.countBeside(met.countAll(walk(payload, true)))
  if (payload.algorithm === "sampled" || payload.cache === true) return
  const endings = new Sources.SourceEndings(id, payload)
  yield* ElementCount.countBytesBeside(walk(payload, true)(Option.none()), bytesOf(endings))
})

/** Number of the first of so many. Those that were found later have one for all. */
const firstOf = (cursor: string, count: number): number =>
  SourceCursor.numberOf(cursor) - (SourceCursor.isLate(cursor) ? 0 : count - 1)

interface Single {
  readonly cursor: string
  readonly payload: Payloads
  readonly key: string
}

/** Gives elements for the single files of one that stands for many. */
const singles = (cursor: string, { folders, root, ...method }: Payloads): ReadonlyArray<Single> => {
  const files = folders.flatMap(({ names, path }) => names.map((name) => ({ path, name })))
  const first = firstOf(cursor, files.length)
  const place = Option.getOrThrow(TreeCursor.parse(SourceCursor.placeOf(cursor)))
  return files.map(({ name, path }, index) => {
    // A source that is a file itself has no name in it.
    const at = TreeCursor.format({ ...place, path: place.path === "" ? place.path : FilePath.join(path, name) })
    return {
      cursor: SourceCursor.isLate(cursor) ? SourceCursor.late(first, at) : SourceCursor.format(first + index, at),
      payload: { root, folders: [{ path, names: [name] }], ...method, isAlone: true },
      key: FilePath.display(FilePath.join(root, FilePath.join(path, name)))
    }
  })
}

/** The number of the first of them at the place of the last: none of the others has both. */
const cursorOfAll = (cursor: string, count: number): string => {
  const [number, place] = [firstOf(cursor, count), SourceCursor.placeOf(cursor)]
  return SourceCursor.isLate(cursor) ? SourceCursor.late(number, place, count > 1) : SourceCursor.format(number, place)
}

/** Tells what became of files that were hashed together. */
const filesParts: FanOut.Parts<Payloads, HashedFiles> = ({ cursor, payload }, value) => {
  const { algorithm, folders, isAlone, root } = payload
  if (Option.isNone(value)) {
    if (isAlone === true) return undefined
    return singles(cursor, payload).map(({ cursor, payload }) => Source.item(cursor, payload))
  }
  const { digests, sizesBytes, unhashed } = value.value
  const ones = unhashed.length > 0 ? singles(cursor, payload) : []
  const others = unhashed.flatMap(({ index, why }) => ones.slice(index, index + 1).map((one) => unhashedPart(one, why)))
  const count = digests.length - unhashed.length
  if (count === 0) return others
  const kept = { _tag: algorithm === "sampled" ? "Sampled" : "Hashed", root, folders, digests, sizesBytes }
  const outcome = { _tag: "Done", value: kept, count } as const
  return [Source.settled(cursorOfAll(cursor, digests.length), { key: FilePath.display(root), outcome }), ...others]
}

const unhashedPart = ({ cursor, key, payload }: Single, why: Unhashed): Element => {
  switch (why._tag) {
    case "Alone":
      return Source.item(cursor, { ...payload, sizeBytes: why.sizeBytes })
    case "Skipped":
      return Source.settled(cursor, { key, outcome: skippedAs(why.reason) })
    case "Failed":
      return Source.settled(cursor, { key, outcome: failedAs(why.code, why.why), retry: { payload } })
  }
}

type Ended = FanOut.Ended<Payloads, HashedFiles>

/** What is to be remembered of what has ended. */
const entriesOf = (ended: ReadonlyArray<Ended>): ReadonlyArray<Entry> =>
  ended.flatMap(({ payload, value }) => {
    if (Option.isNone(payload) || Option.isNone(value)) return []
    const { algorithm } = payload.value
    const { digests, stamps = [] } = value.value
    if (algorithm === "sampled") return []
    return stamps.flatMap((stamp, index) => {
      const digest = digests[index] ?? null
      return stamp === null || digest === null ? [] : [{ algorithm, digest, ...stamp }]
    })
  })

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 */
export const program = (payload: Payload) => whileThere(payload.homes, hash(payload))

const hash = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const { id } = yield* JobContext
  const cache = yield* HashCache
  const quick = yield* (yield* QuickFiles.QuickFiles).throughout(payload.sources)
  const { files: mostFiles, flushEvery } = togetherOf(payload, Option.isSome(quick))
  const isLeftOut = Filter.make(payload.rules ?? [])
  const hashed = { ...payload, isLeftOut, linked: yield* ProtectedFiles.withOtherNames(payload.leaveOut) }
  const given = {
    id,
    payload: hashed,
    mostFiles,
    met: new ElementCount.Met<FileTree.Element>((one) => ({ items: isElement(one) ? 1 : 0 }))
  }
  const source = elements(given)
  const concurrency = yield* filesAtOnce
  yield* count(given)
  const relisted = RelistedFolder.parts(new Sources.SourceEndings(id, payload), mostFiles, isLeftOut)
  const parts: FanOut.Parts<Payloads, HashedFiles> = (element, value) =>
    (element.payload.lists === undefined ? filesParts : relisted)(element, value)
  const options = { keep: "all", parts, concurrency, flushEvery } as const
  const remember = (ended: ReadonlyArray<Ended>) => {
    const entries = entriesOf(ended)
    return Arr.isReadonlyArrayNonEmpty(entries) ? cache.remember(entries) : Effect.void
  }
  return yield* payload.cache === true
    ? cache.recording(fanOut(fanOutName, HashFiles, source, { ...options, onCommit: remember }))
    : fanOut(fanOutName, HashFiles, source, options)
  // It collects failures, so it never gives up.
})

/**
 * Layer that supplies the job's program, for any file system. All work is done on fibers.
 *
 * @category layers
 */
export const layer: Layer.Layer<Job.ToProgram<typeof job>, never, Files.Files> = job.toLayer(program).pipe(
  Layer.provide(handlers)
)

/** What a row has of files that were hashed, or identified by samples. */
const HashedRow = Schema.Struct({
  root: FilePath.FilePath,
  folders: Schema.Array(FilesIn),
  digests: Schema.Array(Schema.NullOr(Schema.String)),
  sizesBytes: Schema.Array(Schema.Natural)
})

const decodeHashed = Schema.decodeUnknownSync(HashedRow)

/**
 * What files that follow one another came to. One that failed or was skipped is by itself, and has no digest.
 *
 * @category models
 */
export interface Line {
  /** Place of the first of them in the order of the walk, from 0 on; of a folder that was listed later, if they are. */
  readonly number: number
  readonly count: number
  /** Where they come among those of folders that were listed later; empty for others. */
  readonly latePlace: string
  readonly row: OutcomeRow
  /** Which of the sources they are in, and where the last one is that the row tells of. */
  readonly place: { readonly source: number; readonly path: FilePath.FilePath }
  readonly files: ReadonlyArray<HashedFile>
}

/**
 * File that was hashed.
 *
 * @category models
 */
export interface HashedFile {
  /** Path under the source; empty for the source itself. */
  readonly path: FilePath.FilePath
  /** Its real path is that of its folder and its name. */
  readonly folder: FilePath.FilePath
  readonly name: FilePath.FilePath
  /** Content id where it was identified by samples. */
  readonly digest: string
  readonly sizeBytes: number
}

/**
 * Reads a row of this job, and throws on any other.
 *
 * @category constructors
 */
export const fromRow = (row: OutcomeRow): ReadonlyArray<Line> => {
  const first = SourceCursor.numberOf(row.cursor)
  const cursor = SourceCursor.placeOf(row.cursor)
  // A key that is no path has no place in a walk over files.
  const place = Option.getOrElse(
    TreeCursor.parse(cursor),
    () => ({ source: Number.parseInt(cursor, 10), path: FilePath.empty })
  )
  const isLate = SourceCursor.isLate(row.cursor)
  // In the order of a walk what is in a folder comes before a name that only begins like it.
  const latePlaceOf = (path: FilePath.FilePath) => isLate ? FilePath.toText(path).replaceAll("/", "\0") : ""
  const alone = { number: first, count: 1, latePlace: latePlaceOf(place.path), row, place, files: [] }
  if (row.outcome._tag !== "Done") return [alone]
  const { digests, folders, root, sizesBytes } = decodeHashed(row.outcome.value)
  // A folder that was listed later.
  if (folders.length === 0) return [alone]
  const lines: Array<Line> = []
  let files: Array<HashedFile> = []
  let number = first
  /** Ends what follows one another: the next one has no digest, or there is none. */
  const end = (): void => {
    const [file] = files
    if (file !== undefined) {
      const at = isLate ? first : number - files.length
      lines.push({ number: at, count: files.length, latePlace: latePlaceOf(file.path), row, place, files })
    }
    files = []
  }
  for (const { names, path } of folders) {
    const folder = FilePath.join(root, path)
    for (const name of names) {
      const digest = digests[number - first] ?? null
      if (digest === null) {
        end()
      } else {
        files.push({
          // A source that is a file itself has no name in it.
          path: place.path === "" ? place.path : FilePath.join(path, name),
          folder,
          name,
          digest,
          sizeBytes: sizesBytes[number - first] ?? 0
        })
      }
      number++
    }
  }
  end()
  return lines
}
