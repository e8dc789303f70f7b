/**
 * Makes elements of a fan-out from the walk over the sources of a copy: an element stands for many files where it can.
 * The rest of such an element becomes elements of its own.
 */
import type * as FanOut from "@fanout/core/FanOut"
import type { Outcome } from "@fanout/core/Outcome"
import type * as Source from "@fanout/core/Source"
import * as Arr from "effect/Array"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import type { Payload } from "../../Copy.ts"
import * as FilePath from "../../FilePath.ts"
import { SkipReason } from "../../SkipReason.ts"
import * as FolderSize from "../files/folderSize.ts"
import * as CollidingNames from "../path/collidingNames.ts"
import * as Destination from "../path/destination.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import { nothingDone, type Rest } from "../steps/unit.ts"
import { done, failedAs, ofSpecial, skippedAs } from "../tree/elementOutcomes.ts"
import type * as FileTree from "../tree/fileTree.ts"
import { type Gathered, Gathering } from "../tree/gatheredNames.ts"
import * as TreeCursor from "../tree/treeCursor.ts"
import type { CopyEntry, EntryCopied } from "./copyTask.ts"

type Entry = CopyEntry["payloadSchema"]["Type"]
type Element = Source.Element<Entry>

/** The parts of a job's payload that elements need. */
interface Job extends Pick<Payload, "leaveOut" | "transfers"> {
  readonly request: Pick<Payload["request"], "checksums" | "conflict" | "dereference">
}

/** Marks a name that collides with a sibling on file systems that fold case. */
const folding = (mayFold: boolean): Pick<Entry, "mayFold"> => mayFold ? { mayFold } : {}

/** Sources that are moved already, or whose places other files have taken since. */
export type Roots = ReadonlyMap<number, "moved" | "replaced">

/** Outcome of a source that was moved or replaced. */
const endOfRoot = (root: "moved" | "replaced", target: FilePath.FilePath): Outcome =>
  root === "moved"
    ? { _tag: "Done", value: { _tag: "Moved", strategy: "rename", sizeBytes: 0 } }
    : failedAs(
      "Replaced",
      `What was here when the move began is gone: it was renamed to "${FilePath.display(target)}", or others took it ` +
        "away. What is here now stays. A new command moves it"
    )

/** Makes an element of one entry that the walk has met. */
const elementOf = (
  { transfers, request: { conflict, dereference } }: Job,
  roots: Roots,
  twins = CollidingNames.find(() => transfers.map(({ target }) => target))
) =>
(element: FileTree.Element): Element => {
  const { cursor, mayFold, path } = element
  const place = Destination.placeOf(transfers, element)
  const at = { ...place, conflict, ...folding(mayFold === true || (path === "" && twins.has(place.target))) }
  const key = FilePath.display(at.source)
  const skipped = (reason: string): Element => ({ _tag: "Settled", cursor, key, outcome: skippedAs(reason) })
  switch (element._tag) {
    case "Open":
      return { _tag: "Item", cursor, payload: { ...at, kind: "folder" }, opens: true }
    case "Close":
      return { _tag: "After", cursor, payload: { ...at, kind: "folderEnd" } }
    case "Leaf":
      return element.kind === "special"
        ? { _tag: "Settled", cursor, key, outcome: ofSpecial(element, "copied") }
        : { _tag: "Item", cursor, payload: { ...at, kind: element.kind } }
    case "Unreadable": {
      const { error, retryAfter } = element
      const root = roots.get(element.source)
      if (root !== undefined) return { _tag: "Settled", cursor, key, outcome: endOfRoot(root, place.target) }
      // A source that was named and is missing has failed. On a retry it may have been moved by then.
      const isNamed = element.path === "" && Option.isNone(retryAfter)
      if (error.isMissing && !isNamed) return skipped(SkipReason.Vanished)
      // The source, or the target of its link, may exist at the retry, as a file or as a folder.
      const mayCome = (isNamed || dereference === true) && error.call !== "scandir"
      return {
        _tag: "Settled",
        cursor,
        key,
        outcome: failedAs(error.code, error.message),
        ...Option.match(retryAfter, {
          onNone: () => mayCome ? { retry: { payload: { ...at, kind: "file" as const } } } : {},
          onSome: (bracketAfter) => ({ retry: { payload: { ...at, kind: "folder" as const }, bracketAfter } })
        })
      }
    }
  }
}

/** Files that are neither copied nor replaced. */
const leftOut = ({ leaveOut, request: { checksums } }: Job): ReadonlySet<FilePath.FilePath> =>
  new Set(checksums?.output === undefined ? leaveOut : [...leaveOut, checksums.output])

/** Tells whether a folder may be copied whole: no protected file, and no target, is or comes to be below it. */
export const mayBeWhole = (payload: Job): FileTree.WholeOptions["mayBeWhole"] => {
  const { request: { dereference }, transfers } = payload
  // A followed link may lead to a target.
  const written = dereference === true ? transfers.map(({ target }) => target) : []
  const folders = [...Array.from(leftOut(payload), FilePath.parent), ...written]
  return (folder) => {
    const { source, target } = Destination.placeOf(payload.transfers, folder)
    return !folders.some((one) => FilePath.isWithin(one, source) || FilePath.isWithin(one, target))
  }
}

/** How many entries an element of the walk stands for. */
export const countOf = (element: FileTree.Element | FileTree.Whole): number =>
  element._tag === "Whole" ? FolderSize.countOf(element) : 1

/** How many entries of the walk an element of the fan-out stands for. */
export const standsFor = (element: Element): number => element._tag === "Item" ? element.count ?? 1 : 1

/** Most files of one folder in an element. */
export const mostTogether = 64

/** Most entries in the folders of an element that copies them whole: some milliseconds of work. */
export const mostWhole = 1024

/** Makes elements of the walk, and gathers files of one folder that follow one another. */
export class Elements {
  private readonly payload: Job
  private readonly elementOf: (element: FileTree.Element) => Element
  private readonly left: ReadonlySet<FilePath.FilePath>
  private readonly isGathering: boolean
  private readonly files: Gathering
  private readonly folders = new Gathering(mostWhole)

  constructor(payload: Job, together: number, roots: Roots) {
    this.payload = payload
    this.elementOf = elementOf(payload, roots)
    this.left = leftOut(payload)
    this.isGathering = together > 1
    this.files = new Gathering(together)
  }

  add(element: FileTree.Element | FileTree.Whole): ReadonlyArray<Element> {
    if (element._tag === "Whole") {
      return [...this.elements(this.files.take(), "files"), ...this.whole(element)]
    }
    const isOrdinary = element._tag === "Leaf" && element.kind !== "special" && element.path !== "" &&
      element.mayFold === undefined
    if (this.isGathering && isOrdinary && !this.isLeft(element)) {
      return [...this.elements(this.folders.take(), "folders"), ...this.elements(this.files.add(element), "files")]
    }
    return [...this.flush(), this.elementOf(element)]
  }

  /** Gathers whole folders of the same parent, whose end comes after them. */
  private whole(element: FileTree.Whole): ReadonlyArray<Element> {
    return this.elements(this.folders.add({ ...element, size: countOf(element) }), "folders")
  }

  /** Gives the gathered files or folders. There are never both. */
  flush(): ReadonlyArray<Element> {
    return [...this.elements(this.files.take(), "files"), ...this.elements(this.folders.take(), "folders")]
  }

  /** Whether an entry is a protected file, or would replace one. */
  private isLeft(element: FileTree.Element): boolean {
    if (this.left.size === 0) return false
    const { source, target } = Destination.placeOf(this.payload.transfers, element)
    return this.left.has(source) || this.left.has(target)
  }

  private elements(gathered: Gathered | undefined, kind: "files" | "folders"): ReadonlyArray<Element> {
    if (gathered === undefined) return []
    const { request: { conflict }, transfers } = this.payload
    const { cursor, folders, size, source } = gathered
    // The start and the end of a folder flush the gathering, so there is one folder.
    return folders.map(({ names, path, sizes }) => {
      const at = Destination.placeOf(transfers, { source, path })
      const below = kind === "folders" ? { below: path } : {}
      return {
        _tag: "Item",
        cursor,
        payload: { ...at, ...below, conflict, kind, names, ...sizes === undefined ? {} : { sizes } },
        count: size
      }
    })
  }
}

const created: SavedCopy.Saved = { decision: { _tag: "Create" } }

type Value = typeof EntryCopied.Type
type Copied = Omit<Extract<Value, { readonly _tag: "Files" }>, "_tag">
type Listed = Extract<Value, { readonly _tag: "Listed" }>
type Unlisted = Extract<Value, { readonly _tag: "Unlisted" }>

/** Most elements that the rest of an element is cut into, so that several threads share it. */
const mostLeft = 8

/** Cuts the names that a unit has not begun into elements of as many names as it has done in its time. */
const leftParts = (
  payload: Entry,
  left: number,
  cursorOf: (last: FilePath.FilePath) => string
): ReadonlyArray<Element> => {
  const { names = [], sizes } = payload
  const passed = names.length - left
  const each = passed === 0 ? left : Math.max(passed, Math.ceil(left / mostLeft))
  return Array.from({ length: left === 0 ? 0 : Math.ceil(left / each) }, (_, n): Element => {
    const [from, to] = [passed + n * each, passed + (n + 1) * each]
    const some = names.slice(from, to)
    return {
      _tag: "Item",
      cursor: cursorOf(some.at(-1) ?? FilePath.empty),
      payload: { ...payload, names: some, ...sizes === undefined ? {} : { sizes: sizes.slice(from, to) } },
      count: some.length
    }
  })
}

/** Place in the tree of sources. */
interface At {
  readonly source: number
  readonly path: FilePath.FilePath
}

const below = ({ path, source }: At, more: FilePath.FilePath): At => ({ source, path: FilePath.join(path, more) })

const cursorOf = (at: At, side: TreeCursor.Side): string => TreeCursor.format({ ...at, side })

/** An element that copies one name by itself. It looks at the source again, so that `kind` need not be right. */
const alone = (
  at: At,
  { conflict, source, target }: Entry,
  name: FilePath.FilePath,
  { mayFold = false, saved }: { readonly saved?: SavedCopy.Saved | undefined; readonly mayFold?: boolean } = {}
): Element => ({
  _tag: "Item",
  cursor: cursorOf(below(at, name), "leaf"),
  payload: {
    conflict,
    kind: "file",
    source: FilePath.join(source, name),
    target: FilePath.join(target, name),
    ...folding(mayFold)
  },
  ...saved === undefined ? {} : { checkpoint: SavedCopy.checkpoint.encode(saved) }
})

/** Elements that copy files of a folder together. */
const filesOf = (at: At, entry: Entry, names: ReadonlyArray<FilePath.FilePath>): ReadonlyArray<Element> => {
  const gathering = new Gathering()
  const met = names.map((name) => {
    const leaf = below(at, name)
    return gathering.add({ ...leaf, cursor: cursorOf(leaf, "leaf") })
  })
  return [...met, gathering.take()].flatMap((gathered) =>
    (gathered?.folders ?? []).map(({ names }): Element => ({
      _tag: "Item",
      cursor: gathered?.cursor ?? "",
      payload: { ...entry, kind: "files", names },
      count: names.length
    }))
  )
}

/** Elements of a folder: its start, its content and its end, as the walk gives them. */
const bracket = (at: At, entry: Entry, content: ReadonlyArray<Element>): ReadonlyArray<Element> => [
  { _tag: "Item", cursor: cursorOf(at, "open"), payload: { ...entry, kind: "folder" }, opens: true },
  ...content,
  { _tag: "After", cursor: cursorOf(at, "close"), payload: { ...entry, kind: "folderEnd" } }
]

/** Paths that a unit has placed or moved, in part. */
interface Begun {
  readonly made?: ReadonlyArray<FilePath.FilePath> | undefined
  readonly unremoved?: Copied["unremoved"]
}

/** Elements of a folder of which no entry is reported yet. It is listed after it is made. */
const untouched = (at: At, entry: Entry, { made = [], unremoved = [] }: Begun): ReadonlyArray<Element> => {
  const list: Entry = {
    ...entry,
    kind: "list",
    ...made.length === 0 ? {} : { made },
    ...unremoved.length === 0 ? {} : { unremoved }
  }
  return bracket(at, entry, [{ _tag: "Item", cursor: cursorOf(at, "rest"), payload: list }])
}

/** The begun paths below a folder, relative to it. The empty path stands for everything in the folder. */
const begunIn = ({ made = [], unremoved = [] }: Begun, name: FilePath.FilePath): Begun => {
  const below = (path: FilePath.FilePath): ReadonlyArray<FilePath.FilePath> =>
    path.startsWith(`${name}/`) ? [FilePath.make(path.slice(name.length + 1))] : []
  return {
    made: made.flatMap((path) => path === "" || path === name ? [FilePath.empty] : below(path)),
    unremoved: unremoved.flatMap(({ path, saved }) => below(path).map((path) => ({ path, saved })))
  }
}

/** The checkpoint of a file that a unit has begun with. */
const savedFor = (begun: Begun, name: FilePath.FilePath): SavedCopy.Saved | undefined =>
  begun.unremoved?.find(({ path }) => path === name)?.saved ??
    (begun.made?.some((path) => path === "" || path === name) === true ? created : undefined)

/** The payload of a folder below an entry. */
const inside = ({ below, conflict, source, target }: Entry, path: FilePath.FilePath): Entry => ({
  conflict,
  kind: "folder",
  source: FilePath.join(source, path),
  target: FilePath.join(target, path),
  ...below === undefined ? {} : { below: FilePath.join(below, path) }
})

/** Entries that were counted in a folder and are gone, so that their names are not known. */
const vanishedInside = (at: At, { source }: Entry, count: number): Element => ({
  _tag: "Settled",
  cursor: cursorOf(at, "leaf"),
  key: FilePath.display(source),
  outcome: { _tag: "Skipped", reason: SkipReason.VanishedInside, count }
})

/** Elements of the rest of an existing folder. */
const restParts = (
  at: At,
  payload: Entry,
  { folders, names, sizes }: Rest
): ReadonlyArray<Element> => {
  const last = folders.at(-1)
  const again: ReadonlyArray<Element> = last === undefined ? [] : [{
    _tag: "Item",
    cursor: cursorOf(below(at, last), "close"),
    payload: { ...payload, kind: "folders", names: folders, sizes },
    count: folders.length
  }]
  return [...filesOf(at, payload, names), ...again]
}

/** Elements of the rest of the unit's own folder: files by themselves, and folders after they are made. */
const ownParts = (
  at: At,
  payload: Entry,
  { folders, names }: Rest,
  saved: ReadonlyMap<number, SavedCopy.Saved>,
  begun: Begun
): ReadonlyArray<Element> => [
  ...names.map((name, index) => alone(at, payload, name, { saved: saved.get(index) ?? savedFor(begun, name) })),
  ...folders.flatMap((name) => untouched(below(at, name), inside(payload, name), begunIn(begun, name)))
]

/**
 * Outcomes of a unit's copies. Outcomes that have rows, as with checksums, each need a cursor of their own.
 */
const copiedParts = (
  at: At,
  payload: Entry,
  { copied, digests, ended, linked, moved = 0, unchanged, unchangedDigests }: Copied
): ReadonlyArray<Element> => {
  const _tag = moved > 0 ? "Moved" : "Copied"
  const first = below(at, payload.names?.[0] ?? FilePath.empty)
  const told = (all: Copied["digests"], _tag: string) =>
    all.flatMap(({ digests, names, path }) => {
      const [name = FilePath.empty] = names
      const checksums = { folder: FilePath.join(payload.target, path), names, digests }
      return done(cursorOf(below(at, FilePath.join(path, name)), "leaf"), names.length, { _tag, checksums })
    })
  const countIn = (all: Copied["digests"]) => Num.sumAll(all.map(({ names }) => names.length))
  return [
    ...done(cursorOf(first, "open"), ended, { _tag: "FolderMade" }),
    ...told(digests, _tag),
    ...told(unchangedDigests, "Unchanged"),
    ...done(cursorOf(first, "rest"), copied + moved - countIn(digests), { _tag }),
    ...done(cursorOf(first, "rest"), linked, { _tag: "Linked" }),
    ...done(cursorOf(first, "rest"), unchanged - countIn(unchangedDigests), { _tag: "Unchanged" }),
    ...done(cursorOf(first, "close"), ended, { _tag: "FolderEnded" })
  ]
}

/** Orders paths so that a folder's entries come right after it. */
const byPath = Order.mapInput(Order.String, ({ path }: Rest) => path.replaceAll("/", "\0"))

/** Folders that have a rest, each with the folders in it. */
const restBrackets = (at: At, payload: Entry, rests: ReadonlyArray<Rest>): ReadonlyArray<Element> => {
  const all: Array<{ readonly rest: Rest; readonly inner: Array<Rest> }> = []
  for (const rest of Arr.sort(rests, byPath)) {
    const last = all.at(-1)
    if (last !== undefined && FilePath.isWithin(rest.path, last.rest.path)) last.inner.push(rest)
    else all.push({ rest, inner: [] })
  }
  return all.flatMap(({ inner, rest }) => {
    const [place, entry] = [below(at, rest.path), inside(payload, rest.path)]
    return bracket(place, entry, [...restParts(place, entry, rest), ...restBrackets(at, payload, inner)])
  })
}

/** A unit that has to restore the sources it has put aside before another element may go on. */
const goingOn = (cursor: string, payload: Entry, stuck: SavedCopy.Moved): Element => ({
  _tag: "Item",
  cursor,
  payload: { ...payload, isStuck: true },
  count: payload.names?.length ?? 0,
  checkpoint: SavedCopy.together.encode(stuck)
})

/** Outcomes and further elements of a unit. */
const unitParts = (at: At, payload: Entry, copied: Copied): ReadonlyArray<Element> => {
  const { fewer, left, rest, saved = [], skipped, stuck } = copied
  const side = payload.kind === "files" ? "leaf" : "close"
  const known = new Map(saved.map((one) => [one.index, one.saved]))
  const last = payload.names?.at(-1) ?? FilePath.empty
  if (stuck !== undefined) return [goingOn(cursorOf(below(at, last), side), payload, stuck)]
  return [
    ...copiedParts(at, payload, copied),
    ...skipped.map((path): Element => ({
      _tag: "Settled",
      cursor: cursorOf(below(at, path), "leaf"),
      key: FilePath.display(FilePath.join(payload.source, path)),
      outcome: skippedAs(SkipReason.Exists)
    })),
    ...fewer.map(({ count, path }) => vanishedInside(below(at, path), inside(payload, path), count)),
    ...leftParts(payload, left, (last) => cursorOf(below(at, last), side)),
    ...rest.flatMap((one) => one.path === "" ? ownParts(at, payload, one, known, copied) : []),
    ...restBrackets(at, payload, rest.filter(({ path }) => path !== ""))
  ]
}

/** Elements of the entries that a folder was found to have. */
const listParts = (at: At, payload: Entry, { folders, names }: Listed): ReadonlyArray<Element> => {
  const twins = CollidingNames.find(() => [...folders, ...names])
  const { made = [], unremoved = [], ...own } = payload
  const begun = { made, unremoved }
  const entry = inside(own, FilePath.empty)
  const isAlone = (name: FilePath.FilePath): boolean => twins.has(name) || savedFor(begun, name) !== undefined
  return [
    ...filesOf(at, entry, names.filter((name) => !isAlone(name))),
    ...names.filter(isAlone).map((name) =>
      alone(at, entry, name, { saved: savedFor(begun, name), mayFold: twins.has(name) })
    ),
    ...folders.flatMap((name) =>
      untouched(below(at, name), { ...inside(own, name), ...folding(twins.has(name)) }, begunIn(begun, name))
    )
  ]
}

/** Outcome of a folder that can't be listed. A retry begins with the folder, as after the walk. */
const unlistedParts = (at: At, payload: Entry, { code, why }: Unlisted): ReadonlyArray<Element> => [{
  _tag: "Settled",
  cursor: cursorOf(at, "rest"),
  key: FilePath.display(payload.source),
  outcome: failedAs(code, why),
  retry: { payload: { ...payload, kind: "folder" }, bracketAfter: cursorOf(at, "open") }
}]

/** Turns the success of a unit, or of a listed folder, into outcomes and further elements. */
export const parts: FanOut.Parts<Entry, Value> = ({ cursor, payload }, value) => {
  const found = Option.getOrUndefined(value)
  switch (payload.kind) {
    case "files":
    case "folders": {
      // Only its checkpoint knows which sources are aside: a retry goes on with it.
      if (payload.isStuck === true && found === undefined) return undefined
      // The element has the cursor of its last name.
      const { path, source } = placeAt(cursor)
      // An element that was given up may have killed its thread.
      const copied = found?._tag === "Files"
        ? found
        : nothingDone({ areFolders: payload.kind === "folders", names: payload.names ?? [] })
      return unitParts({ source, path: FilePath.parent(path) }, payload, copied)
    }
    case "list":
      return found?._tag === "Listed"
        ? listParts(placeAt(cursor), payload, found)
        : found?._tag === "Unlisted"
        ? unlistedParts(placeAt(cursor), payload, found)
        : undefined
    default: {
      const at = placeAt(cursor)
      return found?._tag === "FolderFound"
        ? untouched(at, { ...payload, kind: "folder", below: at.path }, {})
        : undefined
    }
  }
}

const placeAt = (cursor: string): At => Option.getOrThrow(TreeCursor.parse(cursor))
