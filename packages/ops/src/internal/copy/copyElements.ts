/**
 * What a copy makes of the walk over its sources: elements of a fan-out, which stand for many files where they can, and
 * what takes the place of these.
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

/** What is copied, as its job knows it. */
interface Job extends Pick<Payload, "leaveOut" | "transfers"> {
  readonly request: Pick<Payload["request"], "checksums" | "conflict" | "dereference">
}

/** What says that the destination may take a name for another one. */
const folding = (mayFold: boolean): Pick<Entry, "mayFold"> => mayFold ? { mayFold } : {}

/** Sources that are moved already, or have others in their places since. */
export type Roots = ReadonlyMap<number, "moved" | "replaced">

/** Ends of sources that are not looked at. */
const endOfRoot = (root: "moved" | "replaced", target: FilePath.FilePath): Outcome =>
  root === "moved"
    ? { _tag: "Done", value: { _tag: "Moved", strategy: "rename", sizeBytes: 0 } }
    : failedAs(
      "Replaced",
      `What was here when the move began is gone: it was renamed to "${FilePath.display(target)}", or others took it ` +
        "away. What is here now stays. A new command moves it"
    )

/** What the walk meets, as elements of the fan-out. */
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
      // What was named and is not there has failed. One that was there before may have been moved.
      const isNamed = element.path === "" && Option.isNone(retryAfter)
      if (error.isMissing && !isNamed) return skipped(SkipReason.Vanished)
      // It, or what a link leads to, may be there by then. It is looked at once more, whatever it is.
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

/** Tells of folders whether they may be copied whole: none of these is, or comes to be, in or below them. */
export const mayBeWhole = (payload: Job): FileTree.WholeOptions["mayBeWhole"] => {
  const { request: { dereference }, transfers } = payload
  // What links lead to may be what is written to.
  const written = dereference === true ? transfers.map(({ target }) => target) : []
  const folders = [...Array.from(leftOut(payload), FilePath.parent), ...written]
  return (folder) => {
    const { source, target } = Destination.placeOf(payload.transfers, folder)
    return !folders.some((one) => FilePath.isWithin(one, source) || FilePath.isWithin(one, target))
  }
}

/** How many elements there would be in the place of one that the walk meets. */
export const countOf = (element: FileTree.Element | FileTree.Whole): number =>
  element._tag === "Whole" ? FolderSize.countOf(element) : 1

/** How many of what the walk meets an element stands for. */
export const standsFor = (element: Element): number => element._tag === "Item" ? element.count ?? 1 : 1

/** As many files of a folder are copied together. */
export const mostTogether = 64

/** As many elements are in folders that are copied with all in them: some milliseconds of work. */
export const mostWhole = 1024

/** Makes elements of what the walk meets. Files of one folder that follow one another are gathered, if they may be. */
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

  /** Those of one folder only are gathered: it has its end after them. */
  private whole(element: FileTree.Whole): ReadonlyArray<Element> {
    return this.elements(this.folders.add({ ...element, size: countOf(element) }), "folders")
  }

  /** What was gathered. There are never both. */
  flush(): ReadonlyArray<Element> {
    return [...this.elements(this.files.take(), "files"), ...this.elements(this.folders.take(), "folders")]
  }

  /** Whether it is one of those that are neither copied nor replaced. */
  private isLeft(element: FileTree.Element): boolean {
    if (this.left.size === 0) return false
    const { source, target } = Destination.placeOf(this.payload.transfers, element)
    return this.left.has(source) || this.left.has(target)
  }

  private elements(gathered: Gathered | undefined, kind: "files" | "folders"): ReadonlyArray<Element> {
    if (gathered === undefined) return []
    const { request: { conflict }, transfers } = this.payload
    const { cursor, folders, size, source } = gathered
    // Whatever opens or closes a folder ends what was gathered before: there is one.
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

/** What is left of a piece comes back as so many at most: not one after the other, where others could do some. */
const mostLeft = 8

/** What is left of names that were copied together: as many in each element as were got through this time. */
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

/** Where something in the tree of sources is. */
interface At {
  readonly source: number
  readonly path: FilePath.FilePath
}

const below = ({ path, source }: At, more: FilePath.FilePath): At => ({ source, path: FilePath.join(path, more) })

const cursorOf = (at: At, side: TreeCursor.Side): string => TreeCursor.format({ ...at, side })

/** What is to be copied by itself. It is looked at once more, so that what it is to be does not matter. */
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

/** Files of a folder, as many together as may be. */
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

/** A folder like the walk gives it, with what is in it. */
const bracket = (at: At, entry: Entry, content: ReadonlyArray<Element>): ReadonlyArray<Element> => [
  { _tag: "Item", cursor: cursorOf(at, "open"), payload: { ...entry, kind: "folder" }, opens: true },
  ...content,
  { _tag: "After", cursor: cursorOf(at, "close"), payload: { ...entry, kind: "folderEnd" } }
]

/** What a unit has begun with. */
interface Begun {
  readonly made?: ReadonlyArray<FilePath.FilePath> | undefined
  readonly unremoved?: Copied["unremoved"]
}

/** A folder of which nothing is told as copied. What is in it is seen once it is made. */
const untouched = (at: At, entry: Entry, { made = [], unremoved = [] }: Begun): ReadonlyArray<Element> => {
  const list: Entry = {
    ...entry,
    kind: "list",
    ...made.length === 0 ? {} : { made },
    ...unremoved.length === 0 ? {} : { unremoved }
  }
  return bracket(at, entry, [{ _tag: "Item", cursor: cursorOf(at, "rest"), payload: list }])
}

/** What was begun in a folder, by paths from there. Of paths that are made the empty one stands for all. */
const begunIn = ({ made = [], unremoved = [] }: Begun, name: FilePath.FilePath): Begun => {
  const below = (path: FilePath.FilePath): ReadonlyArray<FilePath.FilePath> =>
    path.startsWith(`${name}/`) ? [FilePath.make(path.slice(name.length + 1))] : []
  return {
    made: made.flatMap((path) => path === "" || path === name ? [FilePath.empty] : below(path)),
    unremoved: unremoved.flatMap(({ path, saved }) => below(path).map((path) => ({ path, saved })))
  }
}

/** What a file goes on from that a unit has begun with, if it has. */
const savedFor = (begun: Begun, name: FilePath.FilePath): SavedCopy.Saved | undefined =>
  begun.unremoved?.find(({ path }) => path === name)?.saved ??
    (begun.made?.some((path) => path === "" || path === name) === true ? created : undefined)

/** What is copied below an entry. */
const inside = ({ below, conflict, source, target }: Entry, path: FilePath.FilePath): Entry => ({
  conflict,
  kind: "folder",
  source: FilePath.join(source, path),
  target: FilePath.join(target, path),
  ...below === undefined ? {} : { below: FilePath.join(below, path) }
})

/** What was in a folder when it was measured, and is not in it by now, so that nobody knows its name. */
const vanishedInside = (at: At, { source }: Entry, count: number): Element => ({
  _tag: "Settled",
  cursor: cursorOf(at, "leaf"),
  key: FilePath.display(source),
  outcome: { _tag: "Skipped", reason: SkipReason.VanishedInside, count }
})

/** What there is more to do in a folder that is there. */
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

/** What is left of a unit's own folder: files one by one, and folders once they are made. */
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
 * What copies of a unit came to. Where they have rows, as with checksums, each of these needs a cursor of its own.
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

/** Orders paths so that those in a folder come right after it. */
const byPath = Order.mapInput(Order.String, ({ path }: Rest) => path.replaceAll("/", "\0"))

/** Folders that there is more to do in, each with those that are in it. */
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

/** A unit that has to go on with what it has put aside, before anybody else can. */
const goingOn = (cursor: string, payload: Entry, stuck: SavedCopy.Moved): Element => ({
  _tag: "Item",
  cursor,
  payload: { ...payload, isStuck: true },
  count: payload.names?.length ?? 0,
  checkpoint: SavedCopy.together.encode(stuck)
})

/** What became of a unit, or has to be done for it. */
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

/** What a folder turned out to have in it. */
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

/** A folder whose content is not known. A retry begins with it, like with one of the walk. */
const unlistedParts = (at: At, payload: Entry, { code, why }: Unlisted): ReadonlyArray<Element> => [{
  _tag: "Settled",
  cursor: cursorOf(at, "rest"),
  key: FilePath.display(payload.source),
  outcome: failedAs(code, why),
  retry: { payload: { ...payload, kind: "folder" }, bracketAfter: cursorOf(at, "open") }
}]

/** Tells what became of units, or of folders that were listed. */
export const parts: FanOut.Parts<Entry, Value> = ({ cursor, payload }, value) => {
  const found = Option.getOrUndefined(value)
  switch (payload.kind) {
    case "files":
    case "folders": {
      // Nobody else knows what it has put aside: a retry goes on with that.
      if (payload.isStuck === true && found === undefined) return undefined
      // It has the cursor of the last of them.
      const { path, source } = placeAt(cursor)
      // Where it was given up its thread may have died of it.
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
