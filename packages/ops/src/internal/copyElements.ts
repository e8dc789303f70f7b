/**
 * What a copy makes of the walk over its sources: elements of a fan-out, which stand for many files where they can, and
 * what takes the place of these.
 */
import type * as FanOut from "@fanout/core/FanOut"
import type * as Source from "@fanout/core/Source"
import type * as Arr from "effect/Array"
import * as Option from "effect/Option"
import type * as Conflict from "../Conflict.ts"
import type { Checksums } from "../CopyChecksum.ts"
import type { CopiedFiles, CopyEntry, EntryCopied } from "../CopyTask.ts"
import * as Destination from "../Destination.ts"
import * as FilePath from "../FilePath.ts"
import type * as FileTree from "../FileTree.ts"
import { SkipReason } from "../SkipReason.ts"
import * as TreeCursor from "../TreeCursor.ts"
import * as Measure from "./calls/measure.ts"
import { done, failedAs, ofSpecial, skippedAs } from "./endings.ts"
import { type Gathered, Gathering } from "./gathering.ts"
import * as SavedCopy from "./savedCopy.ts"
import * as Twins from "./twins.ts"

type Entry = CopyEntry["payloadSchema"]["Type"]
type Element = Source.Element<Entry>

/** What is copied, as its job knows it. */
interface Copied {
  readonly request: {
    readonly conflict: Conflict.Mode
    readonly dereference?: true
    readonly checksums?: { readonly output?: FilePath.FilePath }
  }
  readonly transfers: Arr.NonEmptyReadonlyArray<Destination.Transfer>
  readonly leaveOut: ReadonlyArray<FilePath.FilePath>
}

/** What says that the destination may take a name for another one. */
const folding = (mayFold: boolean): Pick<Entry, "mayFold"> => mayFold ? { mayFold } : {}

/** What the walk meets, as elements of the fan-out. What is at none of its places by now is told as moved. */
const elementOf = (
  { transfers, request: { conflict, dereference } }: Copied,
  moved: ReadonlySet<number>,
  roots = Twins.find(transfers.map(({ target }) => target))
) =>
(element: FileTree.Element): Element => {
  const { cursor, mayFold, path } = element
  const place = Destination.placeOf(transfers, element)
  const at = { ...place, conflict, ...folding(mayFold === true || (path === "" && roots.has(place.target))) }
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
      if (moved.has(element.source)) {
        const value = { _tag: "Moved", strategy: "rename", sizeBytes: 0 }
        return { _tag: "Settled", cursor, key, outcome: { _tag: "Done", value } }
      }
      // What was named and is not there has failed. One that was there before may have been moved.
      const isNamed = element.path === "" && Option.isNone(retryAfter)
      if (error.isMissing && !isNamed) return skipped(SkipReason.Vanished)
      // It, or what a link leads to, may be there by then; it is copied if it is a file.
      const mayCome = isNamed || (dereference === true && error.call !== "scandir")
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
const leftOut = ({ leaveOut, request: { checksums } }: Copied): ReadonlySet<FilePath.FilePath> =>
  new Set(checksums?.output === undefined ? leaveOut : [...leaveOut, checksums.output])

/** Tells of folders whether they may be copied whole: none of these files is, or comes to be, in or below them. */
export const mayBeWhole = (payload: Copied): FileTree.WholeOptions["mayBeWhole"] => {
  const folders = Array.from(leftOut(payload), FilePath.parent)
  return (folder) => {
    const { source, target } = Destination.placeOf(payload.transfers, folder)
    return !folders.some((one) => FilePath.isWithin(one, source) || FilePath.isWithin(one, target))
  }
}

/** How many elements there would be in the place of one that the walk meets. */
export const countOf = (element: FileTree.Element | FileTree.Whole): number =>
  element._tag === "Whole" ? Measure.countOf(element) : 1

/** How many of what the walk meets an element stands for. */
export const standsFor = (element: Element): number => element._tag === "Item" ? element.count ?? 1 : 1

/** As many elements are in folders that are copied with all in them: some milliseconds of work. */
export const mostWhole = 1024

/** Makes elements of what the walk meets. Files of one folder that follow one another are gathered, if they may be. */
export class Elements {
  private readonly payload: Copied
  private readonly elementOf: (element: FileTree.Element) => Element
  private readonly left: ReadonlySet<FilePath.FilePath>
  private readonly isGathering: boolean
  private readonly files = new Gathering()
  private readonly folders = new Gathering(mostWhole)

  constructor(payload: Copied, isGathering: boolean, moved: ReadonlySet<number>) {
    this.payload = payload
    this.elementOf = elementOf(payload, moved)
    this.left = leftOut(payload)
    this.isGathering = isGathering
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
  const others = new Set(alone.map(({ index }) => index))
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

type Value = typeof EntryCopied.Type
type Listed = Extract<Value, { readonly _tag: "Listed" }>
type Unlisted = Extract<Value, { readonly _tag: "Unlisted" }>

/** What is to be copied by itself. It is looked at once more, so that what it is to be does not matter. */
const alone = (
  cursor: string,
  { conflict, source, target }: Entry,
  name: FilePath.FilePath,
  saved?: SavedCopy.Saved,
  mayFold = false
): Element => ({
  _tag: "Item",
  cursor: TreeCursor.beside(cursor, name),
  payload: {
    conflict,
    kind: "file",
    source: FilePath.join(source, name),
    target: FilePath.join(target, name),
    ...folding(mayFold)
  },
  ...saved === undefined ? {} : { checkpoint: SavedCopy.checkpoint.encode(saved) }
})

/** What is not copied, since something has its name. */
const skipped = (cursor: string, { source }: Entry, name: FilePath.FilePath): Element => ({
  _tag: "Settled",
  cursor: TreeCursor.beside(cursor, name),
  key: FilePath.display(FilePath.join(source, name)),
  outcome: skippedAs(SkipReason.Exists)
})

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

/** What became of files that were copied together, or has to be done for them. */
const filesParts = (
  cursor: string,
  payload: Entry,
  copied: CopiedFiles | undefined,
  leftCursor: (last: FilePath.FilePath) => string = () => cursor
): ReadonlyArray<Element> => {
  const { names = [] } = payload
  if (copied === undefined) return names.map((name) => alone(cursor, payload, name))
  const { left, linked, moved = 0, unchanged } = copied
  const { linkedAt = cursor, copiedAt = cursor, told = {} } = rowsOf(cursor, payload, copied)
  return [
    ...done(copiedAt, copied.copied, { _tag: "Copied", ...told }),
    ...done(copiedAt, moved, { _tag: "Moved", ...told }),
    ...done(linkedAt, linked, { _tag: "Linked" }),
    ...done(cursor, unchanged, { _tag: "Unchanged" }),
    ...copied.skipped.flatMap((index) => names[index] ?? []).map((name) => skipped(cursor, payload, name)),
    ...copied.alone.map(({ index, saved }) => alone(cursor, payload, names[index] ?? FilePath.empty, saved)),
    ...leftParts(payload, left, leftCursor)
  ]
}

/** Where something in the tree of sources is. */
interface At {
  readonly source: number
  readonly path: FilePath.FilePath
}

const below = ({ path, source }: At, more: FilePath.FilePath): At => ({ source, path: FilePath.join(path, more) })

const cursorOf = (at: At, side: TreeCursor.Side): string => TreeCursor.format({ ...at, side })

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

/** A folder of which nothing is copied. What is in it is seen once it is made. */
const untouched = (at: At, entry: Entry): ReadonlyArray<Element> =>
  bracket(at, entry, [{ _tag: "Item", cursor: cursorOf(at, "rest"), payload: { ...entry, kind: "list" } }])

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

/** What became of folders that were copied with all that is in them, or has to be done for them. */
const foldersParts = (at: At, payload: Entry, copied: CopiedFiles | undefined): ReadonlyArray<Element> => {
  const { names = [] } = payload
  const { ended, fewer, rest, untouched: left } = copied?.folders ??
    { ended: 0, rest: [], untouched: names, fewer: [] }
  const cursor = cursorOf(at, "rest")
  return [
    ...done(cursor, ended, { _tag: "FolderMade" }),
    ...done(cursor, ended, { _tag: "FolderEnded" }),
    ...copied === undefined
      ? []
      // Like those of the walk, by which it is known what folder they are in.
      : filesParts(cursor, payload, copied, (last) => cursorOf(below(at, last), "close")),
    ...fewer.map(({ count, path }) => vanishedInside(below(at, path), inside(payload, path), count)),
    ...rest.flatMap(({ folders, names, path, sizes }) => {
      const [place, entry] = [below(at, path), inside(payload, path)]
      const last = folders.at(-1)
      const again: ReadonlyArray<Element> = last === undefined ? [] : [{
        _tag: "Item",
        cursor: cursorOf(below(place, last), "close"),
        payload: { ...entry, kind: "folders", names: folders, sizes },
        count: folders.length
      }]
      return bracket(place, entry, [...filesOf(place, entry, names), ...again])
    }),
    ...left.flatMap((name) => untouched(below(at, name), inside(payload, name)))
  ]
}

/** What a folder turned out to have in it. */
const listParts = (at: At, payload: Entry, { folders, names }: Listed): ReadonlyArray<Element> => {
  const twins = Twins.find([...folders, ...names])
  const entry = inside(payload, FilePath.empty)
  return [
    ...filesOf(at, entry, names.filter((name) => !twins.has(name))),
    ...names.filter((name) => twins.has(name)).map((name) =>
      alone(cursorOf(below(at, name), "leaf"), entry, name, undefined, true)
    ),
    ...folders.flatMap((name) => untouched(below(at, name), { ...inside(payload, name), ...folding(twins.has(name)) }))
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

/** Tells what became of files that were copied together, or of folders. */
export const parts: FanOut.Parts<Entry, Value> = ({ cursor, payload }, value) => {
  const found = Option.getOrUndefined(value)
  const copied = found?._tag === "Files" ? found : undefined
  switch (payload.kind) {
    case "files":
      return filesParts(cursor, payload, copied)
    case "folders": {
      // It has the cursor of the end of the last of them.
      const { path, source } = placeAt(cursor)
      return foldersParts({ source, path: FilePath.parent(path) }, payload, copied)
    }
    case "list":
      return found?._tag === "Listed"
        ? listParts(placeAt(cursor), payload, found)
        : found?._tag === "Unlisted"
        ? unlistedParts(placeAt(cursor), payload, found)
        : undefined
    default:
      return undefined
  }
}

const placeAt = (cursor: string): At => Option.getOrThrow(TreeCursor.parse(cursor))
