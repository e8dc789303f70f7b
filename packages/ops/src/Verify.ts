/**
 * Job: compares two files or two trees by content, durably.
 *
 * The source of its one fan-out is a walk over both trees at once. What only one of them has is known to the walk; the
 * rest is compared by tasks: what follows one another is one element, and what is large or special about it takes its
 * place. A row is kept of what is not the same, and `Sorter` puts these into the order of the walk.
 */
import type * as FanOut from "@fanout/core/FanOut"
import type * as Frontier from "@fanout/core/Frontier"
import * as Job from "@fanout/core/Job"
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import { codeOf, type Difference, explain } from "./Difference.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import * as Filter from "./Filter.ts"
import * as QuickFiles from "./internal/files/quickFiles.ts"
import { lookAtAll } from "./internal/files/quickLook.ts"
import { done, skippedAs } from "./internal/tree/elementOutcomes.ts"
import { type Gathered, gathered, type Gatherer, Gathering } from "./internal/tree/gatheredNames.ts"
import { Aspect } from "./internal/verify/metadataComparison.ts"
import * as PairCursor from "./internal/verify/pairCursor.ts"
import * as PairTree from "./internal/verify/pairTree.ts"
import { EntryFailed, VerifyEntry } from "./internal/verify/verifyEntry.ts"
import { layer as handlers } from "./internal/verify/verifyEntryLive.ts"
import { pausing, whileThere } from "./internal/work/diskPause.ts"
import * as ElementCount from "./internal/work/elementCount.ts"
import { filesAtOnce } from "./internal/work/fileConcurrency.ts"
import * as JobFileSystems from "./internal/work/jobFileSystems.ts"
import * as ProtectedFiles from "./internal/work/protectedFiles.ts"
import { SkipReason } from "./SkipReason.ts"

/**
 * Schema for what is to be compared.
 *
 * @category schemas
 */
export const Payload = Schema.Struct({
  /** Two files or two folders, absolute and without links. */
  a: FilePath.FilePath,
  b: FilePath.FilePath,
  /** Metadata that may differ, sorted. */
  ignore: Schema.Array(Aspect),
  /** What is left out of both trees. */
  rules: Schema.optionalKey(Schema.Array(Filter.Rule)),
  /** What the trees were on when the job was planned, where that has a name. */
  homes: Schema.optionalKey(Schema.Array(JobFileSystems.Home)),
  /** Files that are not read: those of the job's own database. Without links above their names. */
  leaveOut: Schema.Array(FilePath.FilePath)
})
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many entries came to what; differences are its failed rows.
 *
 * @category constructors
 */
export const job = Job.make("verify", {
  payload: Payload,
  success: Progress.Tally,
  idempotencyKey: ({ a, b, ignore, rules }) => JSON.stringify([a, b, ignore, ...rules ? [rules] : []])
})

/**
 * Error of two paths that can't be compared.
 *
 * @category errors
 */
export class Incomparable extends Schema.TaggedError<Incomparable>("@fanout/ops/Verify/Incomparable")("Incomparable", {
  why: Schema.String
}) {
  override get message(): string {
    return this.why
  }
}

const incomparable = (why: string) => new Incomparable({ why })

const quoted = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

/** What a name that a person has given leads to. */
const find = Effect.fnUntraced(function*(given: FilePath.FilePath) {
  const files = yield* Files.Files
  const path = yield* files.realPath(given)
  return { given, path, stat: yield* files.lstat(path) }
}, (found, given) =>
  Effect.catchTag(found, "FilesError", (error) =>
    incomparable(
      error.code === "ENOENT"
        ? `There is nothing at ${quoted(given)}: check the spelling, or mount what it is on`
        : error.message
    )))

const kinds: Readonly<Record<Files.FileKind, string>> = {
  file: "a file",
  folder: "a folder",
  link: "a link",
  special: "neither a file nor a folder"
}

/**
 * Works out what to compare: where links lead that were named. Refuses what is no two trees.
 *
 * @category running
 */
export const plan = (
  given: Payload
): Effect.Effect<Payload, Incomparable, Files.Files> =>
  Effect.gen(function*() {
    if (areObjects(given)) {
      const { refuseTrees } = yield* Effect.promise(() => import("./internal/objects/addressRefusal.ts"))
      yield* Effect.mapError(refuseTrees(given.a, given.b), ({ message }) => incomparable(message))
    }
    const [a, b] = [yield* find(given.a), yield* find(given.b)]
    for (const { given, stat: { kind } } of [a, b]) {
      if (kind === "special") return yield* incomparable(`${quoted(given)} is ${kinds.special}: name one`)
    }
    if (a.stat.kind !== b.stat.kind) {
      return yield* incomparable(
        `${quoted(a.given)} is ${kinds[a.stat.kind]} and ${quoted(b.given)} is ${kinds[b.stat.kind]}: ` +
          "name two files or two folders"
      )
    }
    if (Files.isSameInode(a.stat, b.stat)) {
      return yield* incomparable(
        `${quoted(a.given)} and ${quoted(b.given)} are the same ${a.stat.kind}: name the copy that is to be compared`
      )
    }
    for (const [inner, outer] of [[a, b], [b, a]] as const) {
      if (FilePath.isWithin(inner.path, outer.path)) {
        return yield* incomparable(
          `${quoted(inner.given)} is inside of ${quoted(outer.given)}, so that a part would be compared with the ` +
            "whole: name two folders of which none is in the other"
        )
      }
    }
    const ignore = Arr.dedupe(given.ignore).toSorted((x, y) => x < y ? -1 : 1)
    return { ...given, a: a.path, b: b.path, ignore, homes: yield* JobFileSystems.find([a.path, b.path]) }
  })

/**
 * Name of the fan-out whose rows have the differences.
 *
 * @category models
 */
export const fanOutName = "entries"

type Entry = Task.Payload<typeof VerifyEntry>
type Element = Source.Element<Entry>

const encode = Schema.encodeSync(Schema.toCodecJson(EntryFailed))

const failedBy = (difference: Difference): Outcome.Outcome => ({
  _tag: "Failed",
  failure: {
    _tag: "Error",
    error: encode({ _tag: "EntryDiffers", code: codeOf(difference), difference }),
    message: explain(difference)
  }
})

/** What is to be compared, and which files of the job's database have other names. */
interface Compared extends Payload {
  readonly linked: Payload["leaveOut"]
}

const leavingOut = (linked: Payload["leaveOut"]): Pick<Entry, "leaveOut"> =>
  linked.length === 0 ? {} : { leaveOut: linked }

/** Gathers what can be compared together. All else stands for itself. */
const gatherer = (payload: Compared, mostEntries: number): Gatherer<PairTree.Element, Element> => {
  const { a, b, ignore, leaveOut, linked } = payload
  const leftNames = new Set(leaveOut.map(FilePath.name))
  const gathering = new Gathering(mostEntries)
  const entries = (gathered: Gathered | undefined): ReadonlyArray<Element> => {
    if (gathered === undefined) return []
    const { cursor, folders, size: count } = gathered
    return [Source.item(cursor, { a, b, part: "entries", ignore, folders, ...leavingOut(linked) }, { count })]
  }
  const flush = () => entries(gathering.take())
  const add = (element: PairTree.Element): ReadonlyArray<Element> => {
    const { cursor, path } = element
    if (element._tag === "Folder") {
      return entries(gathering.addIn({ cursor, source: 0, folder: path, name: FilePath.empty }))
    }
    const isOrdinary = element._tag === "Pair" && element.a === element.b && element.a !== "special" && path !== "" &&
      !leftNames.has(FilePath.name(path))
    if (isOrdinary) return entries(gathering.add({ cursor, path, source: 0 }))
    return [...flush(), alone(payload, element)]
  }
  return { add, flush }
}

const areObjects = ({ a, b }: PairTree.Trees): boolean => FilePath.isAddress(a) || FilePath.isAddress(b)

const alone = (
  { ignore, leaveOut, linked, ...trees }: Compared,
  element: Exclude<PairTree.Element, { readonly _tag: "Folder" }>
): Element => {
  const { cursor, path } = element
  const { a, b } = PairTree.pathsOf(trees, path)
  const isOfObjects = areObjects(trees)
  const payload = (part: Entry["part"]): Entry => ({ a, b, part, ignore, ...leavingOut(linked) })
  if (element._tag === "End") return Source.closes(cursor, payload("end"))
  const key = FilePath.display(a)
  if (element._tag === "Nameless") {
    const { error, side } = element
    return Source.settled(cursor, { key, outcome: failedBy({ _tag: "Unreadable", side, error }) })
  }
  const skipped = (reason: string) => Source.settled(cursor, { key, outcome: skippedAs(reason) })
  /** What may be a folder in both trees once this is mended has to be compared then, with what is in it. */
  const failed = (difference: Difference, hasFolder: boolean) =>
    Source.settled(cursor, {
      key,
      outcome: failedBy(difference),
      retry: hasFolder
        ? { payload: payload("apart"), bracketAfter: element.retryAfter }
        : { payload: payload("again") }
    })
  if (leaveOut.includes(a) || leaveOut.includes(b)) return skipped(SkipReason.Database)
  switch (element._tag) {
    case "Pair": {
      const { a, b } = element
      if (a !== b) return failed({ _tag: "Kind", a, b }, a === "folder" || b === "folder")
      return a === "special" ? skipped(SkipReason.Special) : Source.item(cursor, payload("again"))
    }
    case "Only": {
      const { held, kind, side } = element
      if (kind === "special") return skipped(SkipReason.Special)
      if (isOfObjects && kind === "link") return skipped(SkipReason.Link)
      return failed({ _tag: side === "A" ? "Missing" : "Extra", kind, held }, kind === "folder")
    }
    case "Unreadable": {
      const { error, side } = element
      const difference: Difference = error.isMissing && path !== ""
        ? { _tag: side === "A" ? "Extra" : "Missing", kind: "folder", held: Option.none() }
        : { _tag: "Unreadable", side, error }
      return failed(difference, true)
    }
  }
}

/** Where an entry is that was compared with others, and how it is compared by itself. */
interface Single {
  readonly cursor: string
  readonly payload: Entry
  readonly key: string
}

/** Gives what stands for one of the entries of an element. */
const singles = ({ folders = [], ignore, leaveOut = [], ...trees }: Entry): ReadonlyArray<Single> =>
  folders.flatMap(({ names, path: folder }) =>
    names.map((name) => {
      const isFolder = name === ""
      const path = FilePath.join(folder, name)
      const { a, b } = PairTree.pathsOf(trees, path)
      return {
        // No walk goes on from there, so it does not matter whether it was given apart.
        cursor: PairCursor.format({ path, side: isFolder ? "open" : "leaf", apart: Option.none() }),
        payload: { a, b, part: isFolder ? "folder" : "again", ignore, ...leavingOut(leaveOut) },
        key: FilePath.display(a)
      }
    })
  )

/** Tells what became of entries that were compared together. */
const parts: FanOut.Parts<Entry, Task.Success<typeof VerifyEntry>> = ({ cursor, payload }, value) => {
  if (payload.part !== "entries") return undefined
  const compared = Option.getOrUndefined(value)
  if (compared?._tag !== "Entries") return singles(payload).map(({ cursor, payload }) => Source.item(cursor, payload))
  const { alone, differing, folders, same } = compared
  const all = differing.length + alone.length === 0 ? [] : singles(payload)
  const some = <A extends { readonly index: number }>(of: ReadonlyArray<A>, part: (one: Single, of: A) => Element) =>
    of.flatMap((one) => all.slice(one.index, one.index + 1).map((single) => part(single, one)))
  return [
    ...done(cursor, same, { _tag: "Same" }),
    ...done(cursor, folders, { _tag: "FolderSame" }),
    ...some(
      differing,
      ({ cursor, key, payload }, { difference }) =>
        Source.settled(cursor, { key, outcome: failedBy(difference), retry: { payload } })
    ),
    ...some(
      alone,
      ({ cursor, payload }, { sizeBytes }) => Source.item(cursor, sizeBytes === 0 ? payload : { ...payload, sizeBytes })
    )
  ]
}

/**
 * So many entries are one element: each costs as much as a hundred of them. Where a file may take long an element is
 * fewer, of which more are under way at the same time; of objects, which are requests, very few.
 */
const together = { quick: 256, slow: 64, objects: 8 } as const

/** So many endings are recorded together: what a crash undoes. */
const flushEvery = 64

/** Bytes that are to be read of each of two files, if any are: of those of one size, unless they are the same file. */
const bytesOf = (a: Files.FileStat | undefined, b: Files.FileStat | undefined): number =>
  a === undefined || b === undefined || a.sizeBytes !== b.sizeBytes || Files.isSameInode(a, b) ? 0 : a.sizeBytes

/** How many bytes are to be compared of what the walk meets. */
const bytesIn = (trees: PairTree.Trees) =>
  Effect.fnUntraced(function*(elements: ReadonlyArray<PairTree.Element>) {
    const pairs = elements.flatMap((one) =>
      one._tag === "Pair" && one.a === "file" && one.b === "file" ? [PairTree.pathsOf(trees, one.path)] : []
    )
    const inA = yield* lookAtAll(pairs.map(({ a }) => a))
    const inB = yield* lookAtAll(pairs.map(({ b }) => b))
    return Option.zipWith(inA, inB, (inA, inB) => Num.sumAll(inA.map((a, n) => bytesOf(a, inB[n]))))
  })

const walk = ({ a, b, rules = [] }: Payload, tellsHeld: boolean) => {
  const isLeftOut = Filter.make(rules)
  return (after: Option.Option<string>) =>
    QuickFiles.walking([a, b], PairTree.walk({ a, b }, after, { isLeftOut, tellsHeld }))
}

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 */
export const program = (payload: Payload) => whileThere(payload.homes, compare(payload))

const compare = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const quick = yield* (yield* QuickFiles.QuickFiles).throughout([payload.a, payload.b])
  const entries = together[areObjects(payload) ? "objects" : Option.isSome(quick) ? "quick" : "slow"]
  const compared = { ...payload, linked: yield* ProtectedFiles.withOtherNames(payload.leaveOut) }
  const trees = [payload.a, payload.b]
  const doubtful = ({ _tag, path }: PairTree.Element) =>
    _tag === "Only" || _tag === "Unreadable" || (_tag === "Folder" && path === "") ? trees : []
  const met = new ElementCount.Met<PairTree.Element>(() => ({ items: 1 }))
  if (areObjects(payload)) {
    // To list them once more takes as many requests, and the memory for as many names.
    yield* ElementCount.countBeside(met.whole)
  } else {
    const counted = walk(payload, false)
    yield* ElementCount.countBeside(met.countAll(counted))
    yield* ElementCount.countBytesBeside(counted(Option.none()), bytesIn(payload))
  }
  const source = (after: Option.Option<string>) =>
    gathered(
      met.noting(pausing(walk(payload, true)(after), doubtful), after),
      () => gatherer(compared, entries)
    )
  // It collects failures, so it never gives up.
  return yield* fanOut(fanOutName, VerifyEntry, source, { parts, concurrency: yield* filesAtOnce, flushEvery })
})

/**
 * Layer that supplies the job's program, for any file system. All work is done on fibers.
 *
 * @category layers
 */
export const layer: Layer.Layer<Job.ToProgram<typeof job>, never, Files.Files> = job.toLayer(program).pipe(
  Layer.provide(handlers)
)

const placeOf = (cursor: string): PairCursor.PairCursor =>
  Option.getOrElse(
    PairCursor.parse(cursor),
    () => ({ path: FilePath.empty, side: "end" as const, apart: Option.none() })
  )

interface Placed {
  readonly place: PairCursor.PairCursor
}

interface Waiting extends Placed {
  readonly row: OutcomeRow
}

const byPlace = Order.mapInput(PairCursor.order, ({ place }: Placed) => place)

/**
 * Puts rows into the order of the walk.
 *
 * **Gotchas**
 *
 * It keeps what comes behind an element that is not settled yet: a large file that takes as long as all others keeps
 * all of their rows.
 *
 * @category models
 */
export class Sorter {
  private readonly waiting: Array<Waiting> = []
  private first: string | undefined

  /** Takes the rows that were recorded next. */
  add(rows: ReadonlyArray<OutcomeRow>): void {
    const fresh = rows.map((row) => ({ row, place: placeOf(row.cursor) })).toSorted(byPlace)
    const [next] = fresh
    if (next === undefined) return
    const behind = this.waiting.splice(this.countUpTo(next.place))
    for (const one of [...behind, ...fresh].toSorted(byPlace)) this.waiting.push(one)
  }

  /**
   * Gives those that nothing can come before any more, by a frontier that was read before the rows were. Each
   * frontier is a later one than those before it.
   */
  take({ last, unsettled }: Frontier.Frontier): ReadonlyArray<OutcomeRow> {
    // As long as the same one is the first, all before it were given.
    if (this.first !== undefined && unsettled.includes(this.first)) return []
    const [first] = unsettled.map((cursor) => ({ cursor, place: placeOf(cursor) })).toSorted(byPlace)
    this.first = first?.cursor
    if (first === undefined) return Option.isNone(last) ? [] : this.giveFirst(this.countUpTo(placeOf(last.value)))
    const count = this.waiting.findIndex(({ place }) => PairCursor.order(place, first.place) >= 0)
    return count < 0 ? this.rest : this.giveFirst(count)
  }

  /** Gives what is left, once the job rests. */
  get rest(): ReadonlyArray<OutcomeRow> {
    return this.giveFirst(this.waiting.length)
  }

  /** How many come no later. Mostly few come later: rows are recorded nearly in order. */
  private countUpTo(end: PairCursor.PairCursor): number {
    return this.waiting.findLastIndex(({ place }) => PairCursor.order(place, end) <= 0) + 1
  }

  private giveFirst(count: number): ReadonlyArray<OutcomeRow> {
    return this.waiting.splice(0, count).map(({ row }) => row)
  }
}

/**
 * A difference that was recorded, and where. `difference` is `None` where something else has gone wrong.
 *
 * @category models
 */
export interface Line {
  /** Path under both trees; empty for the trees themselves. */
  readonly path: FilePath.FilePath
  readonly difference: Option.Option<Difference>
  readonly why: string
}

const decode = Schema.decodeUnknownOption(Schema.toCodecJson(EntryFailed))

/**
 * Reads the difference from a row; `None` where there is none, as of what was skipped.
 *
 * @category constructors
 */
export const lineOf = ({ cursor, outcome }: OutcomeRow): Option.Option<Line> => {
  if (outcome._tag !== "Failed") return Option.none()
  const { failure } = outcome
  const error = failure._tag === "Error" ? decode(failure.error) : Option.none()
  return Option.some({
    path: placeOf(cursor).path,
    difference: Option.map(error, ({ difference }) => difference),
    why: Outcome.message(failure)
  })
}
