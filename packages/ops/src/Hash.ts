/**
 * Job: hashes files and trees, durably.
 *
 * Files that follow one another are one element, which is told as a row of all that have a digest, and
 * one for each other. Every file has a number, which is in the cursor. Rows are stored as elements end, in any order;
 * `SourceRows` puts them back into the order of the walk.
 *
 * @since 0.1.0
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import type { Outcome } from "@fanout/core/Outcome"
import * as Progress from "@fanout/core/Progress"
import type * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FilePath from "./FilePath.ts"
import type * as Files from "./Files.ts"
import * as FileTree from "./FileTree.ts"
import * as HashAlgorithm from "./HashAlgorithm.ts"
import { type Entry, HashCache } from "./HashCache.ts"
import { type HashedFiles, HashFiles, type Unhashed } from "./HashTask.ts"
import { failedAs, ofUnreadable, skippedAs } from "./internal/endings.ts"
import { filesAtOnce } from "./internal/filesAtOnce.ts"
import { type Gathered, Gathering } from "./internal/gathering.ts"
import * as Relisting from "./internal/relisting.ts"
import { SourceEndings } from "./internal/sourceEndings.ts"
import * as ProtectedFiles from "./ProtectedFiles.ts"
import * as QuickFiles from "./QuickFiles.ts"
import * as SourceCursor from "./SourceCursor.ts"
import * as Sources from "./Sources.ts"
import * as TreeCursor from "./TreeCursor.ts"

/**
 * Schema for what is to be hashed.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Payload = Schema.Struct({
  ...Sources.Sources.fields,
  /** `"sampled"` for content ids, which are no checksums. */
  algorithm: Schema.Union([HashAlgorithm.HashAlgorithm, Schema.Literal("sampled")]),
  /** Whether what has not changed since it was hashed is not read again, by the `HashCache`. Samples are not kept. */
  cache: Schema.optionalKey(Schema.Boolean)
})

/**
 * What is to be hashed.
 *
 * @category models
 * @since 0.1.0
 */
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many files came to what; digests are in its rows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const job = Job.make("hash", {
  payload: Payload,
  success: Progress.Tally,
  idempotencyKey: ({ algorithm, cache, output, sources }) =>
    JSON.stringify([sources, algorithm, output ?? null, ...cache === true ? ["cache"] : []])
})

/**
 * Works out what to hash: where links lead that were named, and whether the output is in there. What can't be found
 * stays as it is, and fails then.
 *
 * @category running
 * @since 0.1.0
 */
export const plan = (
  { leaveOut, output, sources, ...how }: Payload
): Effect.Effect<Payload, never, Files.Files> =>
  Effect.map(
    Sources.plan({ sources, leaveOut, ...(output === undefined ? {} : { output }) }),
    (planned) => ({ ...planned, ...how })
  )

/**
 * Name of the fan-out whose rows have the digests.
 *
 * @category models
 * @since 0.1.0
 */
export const fanOutName = "files"

type Payloads = Task.Payload<typeof HashFiles>
type Element = Source.Element<Payloads>
type Settled = Extract<Element, { readonly _tag: "Settled" }>

/** What is to be hashed, and which files of the job's database have other names. */
interface Hashed extends Payload {
  readonly linked: Payload["leaveOut"]
}

/** Gathers what a walk meets into elements: files by folder, and endings that nobody has to hash for. */
class Elements {
  private readonly payload: Hashed
  private readonly endings: SourceEndings
  private readonly gathering: Gathering
  /** Number of the next file that is not among those gathered. */
  private number: number
  private ready: Array<Element> = []

  constructor(id: JobId, payload: Hashed, number: number, mostFiles: number) {
    this.gathering = new Gathering(mostFiles)
    this.payload = payload
    this.endings = new SourceEndings(id, payload)
    this.number = number
  }

  addAll(elements: ReadonlyArray<FileTree.Element>): ReadonlyArray<Element> {
    for (const element of elements) this.add(element)
    return this.take()
  }

  flush(): ReadonlyArray<Element> {
    this.push(this.gathering.take())
    return this.take()
  }

  private take(): ReadonlyArray<Element> {
    const { ready } = this
    this.ready = []
    return ready
  }

  private add(element: FileTree.Element): void {
    switch (element._tag) {
      case "Open":
      case "Close":
        return
      case "Leaf":
        return this.addLeaf(element)
      case "Unreadable":
        return this.settle(element, ofUnreadable(element), Relisting.retryOf(element, this.filesIn(element.source)))
    }
  }

  private addLeaf(element: Extract<FileTree.Element, { readonly _tag: "Leaf" }>): void {
    const { cursor, kind, path, source } = element
    if (kind === "link" && path !== "") return
    const ending = this.endings.ofLeaf(element)
    if (ending !== undefined) return this.settle(element, ending)
    if (path !== "") return this.push(this.gathering.add(element))
    const file = this.endings.absolute(source, path)
    const folders = [{ path: FilePath.empty, names: [FilePath.name(file)] }] as const
    this.push(this.gathering.take())
    this.pushItem(cursor, { ...this.filesIn(source), root: FilePath.parent(file), folders })
  }

  private settle({ cursor, path, source }: FileTree.Element, outcome: Outcome, retry?: Settled["retry"]): void {
    this.push(this.gathering.take())
    const key = FilePath.display(this.endings.absolute(source, path))
    this.ready.push({
      _tag: "Settled",
      cursor: SourceCursor.format(this.number++, cursor),
      key,
      outcome,
      ...retry === undefined || outcome._tag !== "Failed" ? {} : { retry }
    })
  }

  /** How files of a source are hashed. */
  private filesIn(source: number): Omit<Payloads, "folders"> {
    const { algorithm, cache, linked } = this.payload
    return {
      root: this.endings.absolute(source, FilePath.empty),
      algorithm,
      ...cache === true ? { cache } : {},
      ...linked.length === 0 ? {} : { leaveOut: linked }
    }
  }

  private push(gathered: Gathered | undefined): void {
    if (gathered === undefined) return
    const { cursor, folders, source } = gathered
    this.pushItem(cursor, { ...this.filesIn(source), folders })
  }

  private pushItem(cursor: string, payload: Payloads): void {
    this.number += payload.folders.reduce((sum, { names }) => sum + names.length, 0)
    this.ready.push({ _tag: "Item", cursor: SourceCursor.format(this.number - 1, cursor), payload })
  }
}

/**
 * So many files are one element: each costs as much as a hundred of them. Where a file may take long an element is
 * fewer, of which more are under way at the same time. So many elements are recorded together: what a crash undoes.
 */
const together = { quick: { files: 256, flushEvery: 16 }, slow: { files: 64, flushEvery: 32 } } as const

/** Files and endings in the order of the walk; folders and links in them are passed over. */
const elements = (id: JobId, payload: Hashed, mostFiles: number, after: Option.Option<string>) => {
  const { sources } = payload
  const place = Option.map(after, SourceCursor.placeOf)
  const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => SourceCursor.numberOf(cursor) + 1 })
  return QuickFiles.walking(sources, FileTree.walk({ sources, after: place })).pipe(
    Stream.mapAccumArray(
      () => new Elements(id, payload, first, mostFiles),
      (elements, chunk) => [elements, elements.addAll(chunk)],
      { onHalt: (elements) => elements.flush() }
    )
  )
}

/** Files of an element that stands for many, and their numbers. */
const filesOf = (cursor: string, { folders }: Payloads) => {
  const files = folders.flatMap(({ names, path }) => names.map((name) => ({ path, name })))
  return { files, first: firstOf(cursor, files.length) }
}

/** Number of the first of so many. Those that were found later have one for all. */
const firstOf = (cursor: string, count: number): number =>
  SourceCursor.numberOf(cursor) - (SourceCursor.isLate(cursor) ? 0 : count - 1)

interface Single {
  readonly cursor: string
  readonly payload: Payloads
  readonly key: string
}

/** Gives elements for single files of one that stands for many. */
const singles = (cursor: string, payload: Payloads) => {
  const { folders: _, root, ...method } = payload
  const { files, first } = filesOf(cursor, payload)
  const place = Option.getOrThrow(TreeCursor.parse(SourceCursor.placeOf(cursor)))
  const cursorOf = (index: number, at: string) =>
    SourceCursor.isLate(cursor) ? SourceCursor.late(first, at) : SourceCursor.format(first + index, at)
  return (index: number): Single => {
    const { name, path } = files[index] ?? { name: FilePath.empty, path: FilePath.empty }
    // A source that is a file itself has no name in it.
    const inside = place.path === "" ? place.path : FilePath.join(path, name)
    return {
      cursor: cursorOf(index, TreeCursor.format({ ...place, path: inside })),
      payload: { root, folders: [{ path, names: [name] }], ...method, isAlone: true },
      key: FilePath.display(FilePath.join(root, FilePath.join(path, name)))
    }
  }
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
    const one = singles(cursor, payload)
    return filesOf(cursor, payload).files.map((_, index) => alone(one(index)))
  }
  const { digests, sizesBytes, unhashed } = value.value
  const one = unhashed.length > 0 ? singles(cursor, payload) : undefined
  const others = one === undefined ? [] : unhashed.map(({ index, why }) => unhashedPart(one(index), why))
  const count = digests.length - unhashed.length
  if (count === 0) return others
  const kept = { _tag: algorithm === "sampled" ? "Sampled" : "Hashed", root, folders, digests, sizesBytes }
  return [{
    _tag: "Settled",
    cursor: cursorOfAll(cursor, digests.length),
    key: FilePath.display(root),
    outcome: { _tag: "Done", value: kept, count }
  }, ...others]
}

const alone = ({ cursor, payload }: Single): Source.Element<Payloads> => ({ _tag: "Item", cursor, payload })

const unhashedPart = (one: Single, why: Unhashed): Source.Element<Payloads> => {
  const { cursor, key, payload } = one
  switch (why._tag) {
    case "Alone":
      return alone({ ...one, payload: { ...payload, sizeBytes: why.sizeBytes } })
    case "Skipped":
      return { _tag: "Settled", cursor, key, outcome: skippedAs(why.reason) }
    case "Failed":
      return { _tag: "Settled", cursor, key, outcome: failedAs(why.code, why.why), retry: { payload } }
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
 * @since 0.1.0
 */
export const program = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const { id } = yield* JobContext
  const cache = yield* HashCache
  const quick = yield* (yield* QuickFiles.QuickFiles).throughout(payload.sources)
  const { files: mostFiles, flushEvery } = together[Option.isSome(quick) ? "quick" : "slow"]
  const hashed = { ...payload, linked: yield* ProtectedFiles.withOtherNames(payload.leaveOut) }
  const source = (after: Option.Option<string>) => elements(id, hashed, mostFiles, after)
  const concurrency = yield* filesAtOnce
  const relisting = new Relisting.Relisting(new SourceEndings(id, payload), mostFiles)
  const parts: FanOut.Parts<Payloads, HashedFiles> = (element, value) =>
    (element.payload.lists === undefined ? filesParts : relisting.parts)(element, value)
  const options = { keep: "all", parts, concurrency, flushEvery } as const
  const remember = (ended: ReadonlyArray<Ended>) => {
    const entries = entriesOf(ended)
    return Arr.isReadonlyArrayNonEmpty(entries) ? cache.remember(entries) : Effect.void
  }
  const hashing = payload.cache === true
    ? cache.recording(fanOut(fanOutName, HashFiles, source, { ...options, onCommit: remember }))
    : fanOut(fanOutName, HashFiles, source, options)
  return yield* hashing
  // It collects failures, so it never gives up.
})

/**
 * Layer that supplies the job's program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  Job.ToProgram<typeof job>,
  never,
  Files.Files | Task.Handler<typeof HashFiles>
> = job.toLayer(program)
