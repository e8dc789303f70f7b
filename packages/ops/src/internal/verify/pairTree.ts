/**
 * Walks two trees at once, in a fixed order, from any place that a walk has been at before.
 *
 * A durable job stores where in its source it is, as one cursor, so the walk must be the same each time: names sorted
 * by bytes, what is in a folder right behind it. It looks at no file; what folders say of their entries is enough. A
 * folder that only one tree has is given once: nothing in it has a counterpart.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import * as Filter from "../../Filter.ts"
import * as FolderListing from "../../FolderListing.ts"
import { componentsOf, joined } from "../path/components.ts"
import * as Place from "../path/place.ts"
import { Asking } from "../tree/baseWalk.ts"
import * as FileTree from "../tree/fileTree.ts"
import * as PairCursor from "./pairCursor.ts"

/** Schema for which of the two trees is meant. */
export const Side = Schema.Literals(["A", "B"])
export type Side = typeof Side.Type

/** Schema for how many entries a folder has, folders in it and what is in them included. */
export const Held = Schema.Struct({
  entries: Schema.Natural,
  /** Whether these are all: where there are very many, or one of the folders can't be listed, there are more. */
  isAll: Schema.Boolean
})
export type Held = typeof Held.Type

interface Located {
  /** Where the walk goes on behind this element. */
  readonly cursor: string
  /** Path under both trees; empty for the trees themselves. */
  readonly path: FilePath.FilePath
}

interface Retriable extends Located {
  /** Where the walk begins with what is in this place, should it be a folder of both trees by then. */
  readonly retryAfter: string
}

/**
 * What a walk meets.
 *
 * - `Folder`: a folder of both trees. What is in it follows.
 * - `Pair`: anything else that both trees have.
 * - `Only`: what only one of them has. Of a folder it tells how much is in it.
 * - `Unreadable`: a folder of both trees that can't be listed in one of them, or whose rest can't any more; also what
 *   can't even be told to be a folder.
 * - `Nameless`: what is in a folder of both trees and is no entry, in one of them.
 * - `End`: the end of the folder whose content is given apart. Only a walk from within such a folder has one, and it
 *   is the last of it.
 */
export type Element =
  | Located & { readonly _tag: "Folder" }
  | Retriable & { readonly _tag: "Pair"; readonly a: Files.FileKind; readonly b: Files.FileKind }
  | Retriable & {
    readonly _tag: "Only"
    readonly side: Side
    readonly kind: Files.FileKind
    readonly held: Option.Option<Held>
  }
  | Retriable & { readonly _tag: "Unreadable"; readonly side: Side; readonly error: FilesError }
  | Located & { readonly _tag: "Nameless"; readonly side: Side; readonly error: FilesError }
  | Located & { readonly _tag: "End" }

/** The two trees, files or folders, by their real paths. */
export interface Trees {
  readonly a: FilePath.FilePath
  readonly b: FilePath.FilePath
}

/** Path of what is at a place, in both trees. */
export const pathsOf = ({ a, b }: Trees, path: FilePath.FilePath): Trees => ({
  a: FilePath.join(a, path),
  b: FilePath.join(b, path)
})

// As many folders can be listed in a second or less. Nothing else is taken from the walk in the meantime.
const mostHeld = 10_000

/** Counts what is in a folder, up to ten thousand entries. */
export const held = (
  folder: FilePath.FilePath,
  filter: Filter.Filter = Filter.none
): Effect.Effect<Held, never, Files.Files> =>
  FileTree.walk({ sources: [folder], filter }).pipe(
    Stream.filter(({ _tag }) => _tag !== "Close"),
    Stream.take(mostHeld + 2),
    Stream.runFold(
      () => ({ met: 0, isAll: true }),
      ({ isAll, met }, { _tag }) => ({ met: met + 1, isAll: isAll && _tag !== "Unreadable" })
    ),
    // The folder itself is met first.
    Effect.map(({ isAll, met }) => ({
      entries: Math.min(Math.max(0, met - 1), mostHeld),
      isAll: isAll && met - 1 <= mostHeld
    }))
  )

type Kind = FolderListing.EntryKind

type Listed = Result.Result<FolderListing.FolderListing, FilesError>

/** Why something can't be walked in, and in which tree. */
interface Blame {
  readonly side: Side
  readonly error: FilesError
}

/** A folder of both trees that the walk is in. */
interface Frame {
  readonly path: FilePath.FilePath
  readonly a: FolderListing.FolderListing
  readonly b: FolderListing.FolderListing
  indexA: number
  indexB: number
  /** Why the rest of it is not known, and the cursor that it starts behind. */
  readonly rest: Blame & { readonly retryAfter: string } | undefined
}

/** An entry that the file system has to be asked about before the walk can go on. `undefined` where there is none. */
interface Question {
  readonly path: FilePath.FilePath
  readonly a: Kind | undefined
  readonly b: Kind | undefined
}

/** What is said of an entry whose kinds are known; nothing is of what is in neither tree. */
type Known = Files.FileKind | undefined

const isMissing = (listed: Listed): boolean => Result.isFailure(listed) && listed.failure.isMissing

const blame = (a: Listed, b: Listed): Blame | undefined => {
  if (Result.isFailure(a)) return { side: "A", error: a.failure }
  return Result.isFailure(b) ? { side: "B", error: b.failure } : undefined
}

const compare = (a: FilePath.FilePath | undefined, b: FilePath.FilePath | undefined): number => {
  if (a === b) return 0
  if (a === undefined) return 1
  return b === undefined ? -1 : FilePath.order(a, b)
}

const openApart = (path: FilePath.FilePath): string =>
  PairCursor.format({ path, side: "open", apart: Option.some(path) })

class Walker extends Asking<Element, Question> {
  private readonly files: Files.Files["Service"]
  private readonly trees: Trees
  private readonly isLeftOut: Filter.Filter
  private readonly tellsHeld: boolean
  private readonly frames: Array<Frame> = []
  private apart: Option.Option<FilePath.FilePath> = Option.none()

  constructor(files: Files.Files["Service"], trees: Trees, isLeftOut: Filter.Filter, tellsHeld: boolean) {
    super({ path: FilePath.empty, a: "unknown", b: "unknown" })
    this.files = files
    this.trees = trees
    this.isLeftOut = isLeftOut
    this.tellsHeld = tellsHeld
  }

  protected step(): boolean {
    const frame = this.frames.at(-1)
    if (frame === undefined) return false
    if (frame.indexA < frame.a.size || frame.indexB < frame.b.size) this.enter(frame)
    else this.leave(frame)
    return true
  }

  /** Goes by the name that comes next in either folder. */
  private enter(frame: Frame): void {
    const { a, b, indexA, indexB } = frame
    const [nameA, nameB] = [
      indexA < a.size ? a.nameAt(indexA) : undefined,
      indexB < b.size ? b.nameAt(indexB) : undefined
    ]
    const which = compare(nameA, nameB)
    const name = (which <= 0 ? nameA : nameB) ?? FilePath.empty
    if (which <= 0) frame.indexA++
    if (which >= 0) frame.indexB++
    this.meet({
      path: FilePath.join(frame.path, name),
      a: which <= 0 ? a.kindAt(indexA) : undefined,
      b: which >= 0 ? b.kindAt(indexB) : undefined
    })
  }

  /** Gives what is known of an entry, or asks about it: a folder may have to be entered or counted. */
  private meet({ path, ...listed }: Question): void {
    const [a, b] = [this.kept(path, listed.a), this.kept(path, listed.b)]
    const mayBeFolder = (a ?? "folder") === "folder" && (b ?? "folder") === "folder"
    if (a === "unknown" || b === "unknown" || mayBeFolder) this.question = { path, a, b }
    else this.tell(path, a, b)
  }

  /** What is met of an entry: nothing where it is left out. What is not known to be a folder may be one. */
  private kept<K extends Kind | undefined>(path: FilePath.FilePath, kind: K): K | undefined {
    if (kind === undefined || path === "" || kind === "unknown") return kind
    return this.isLeftOut(path, kind === "folder") ? undefined : kind
  }

  private tell(path: FilePath.FilePath, a: Known, b: Known, held: Option.Option<Held> = Option.none()): void {
    const place = { ...this.at(path, "leaf"), retryAfter: openApart(path) }
    const kind = a ?? b
    if (a !== undefined && b !== undefined) this.chunk.push({ _tag: "Pair", ...place, a, b })
    else if (kind !== undefined) {
      this.chunk.push({ _tag: "Only", ...place, side: b === undefined ? "A" : "B", kind, held })
    }
  }

  private leave({ path, rest }: Frame): void {
    this.frames.pop()
    if (rest !== undefined) this.chunk.push({ _tag: "Unreadable", ...this.at(path, "rest"), ...rest })
    if (this.frames.length === 0 && Option.isSome(this.apart)) this.chunk.push({ _tag: "End", ...this.at(path, "end") })
  }

  private at(path: FilePath.FilePath, side: PairCursor.Side): Located {
    return { cursor: PairCursor.format({ path, side, apart: this.apart }), path }
  }

  // --- Asking the file system -------------------------------------------------------------------------------------

  protected answer({ path, ...entry }: Question, isAgain = false): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const a = this.kept(path, yield* this.kindOf("A", path, entry.a))
      const b = this.kept(path, yield* this.kindOf("B", path, entry.b))
      if (a === "folder" && b === "folder") return yield* this.open(path, isAgain)
      const alone = a === undefined && b === "folder" ? "B" : b === undefined && a === "folder" ? "A" : undefined
      if (alone === undefined || !this.tellsHeld) return this.tell(path, a, b)
      const counted = held(this.absolute(alone, path), Filter.within(this.isLeftOut, path))
      const count = Effect.provideService(counted, Files.Files, this.files)
      return this.tell(path, a, b, Option.some(yield* count))
    }).pipe(Effect.catch((why) => Effect.sync(() => this.unreadable(path, why))))
  }

  /** The kind of an entry that the folder did not tell. */
  private kindOf(side: Side, path: FilePath.FilePath, listed: Kind | undefined): Effect.Effect<Known, Blame> {
    if (listed !== "unknown") return Effect.succeed(listed)
    // By the folder it is in: a path may be too long for a call, and lead through a link by now.
    return Effect.flatMap(Place.open(this.absolute(side, path)), Place.lstat).pipe(
      Effect.scoped,
      Effect.provideService(Files.Files, this.files),
      Effect.map(({ kind }) => kind),
      // A tree that is not there at all is no difference.
      Effect.catch((error) => error.isMissing && path !== "" ? Effect.undefined : Effect.fail({ side, error }))
    )
  }

  private unreadable(path: FilePath.FilePath, why: Blame): void {
    this.chunk.push({ _tag: "Unreadable", ...this.at(path, "leaf"), retryAfter: openApart(path), ...why })
  }

  /** Tells what of a folder has no names, in A and B. */
  private tellNameless(path: FilePath.FilePath, [a, b]: readonly [a: Listed, b: Listed]): void {
    for (const [side, listed] of [["A", a], ["B", b]] as const) {
      const error = Result.isSuccess(listed) ? listed.success.fault : undefined
      if (error !== undefined) this.chunk.push({ _tag: "Nameless", ...this.at(path, `fault${side}`), side, error })
    }
  }

  private absolute(side: Side, path: FilePath.FilePath): FilePath.FilePath {
    return FilePath.join(side === "A" ? this.trees.a : this.trees.b, path)
  }

  private list(path: FilePath.FilePath): Effect.Effect<readonly [a: Listed, b: Listed]> {
    const of = (side: Side) => Effect.result(this.files.list(this.absolute(side, path)))
    return Effect.all([of("A"), of("B")], { concurrency: 2 })
  }

  private open(path: FilePath.FilePath, isAgain: boolean): Effect.Effect<void> {
    return Effect.flatMap(this.list(path), ([a, b]) => {
      const why = blame(a, b)
      if (why === undefined) {
        this.chunk.push({ _tag: "Folder", ...this.at(path, "open") })
        this.tellNameless(path, [a, b])
        this.push(path, [a, b])
        return Effect.void
      }
      // What is gone or something else by now is looked at again, but once: it may change all the time.
      if (!isAgain && (isMissing(a) || isMissing(b))) return this.answer({ path, a: "unknown", b: "unknown" }, true)
      this.unreadable(path, why)
      return Effect.void
    })
  }

  /** Goes into a folder, behind a name if one is given. */
  private push(
    path: FilePath.FilePath,
    [a, b]: readonly [a: Listed, b: Listed],
    passed?: FilePath.FilePath,
    rest?: Frame["rest"]
  ): void {
    const [listA, listB] = Result.isSuccess(a) && Result.isSuccess(b)
      ? [a.success, b.success]
      // Half of a folder tells nothing: all would be missing from the other half.
      : [FolderListing.empty, FolderListing.empty]
    const from = (listing: FolderListing.FolderListing) => passed === undefined ? 0 : listing.indexAfter(passed)
    this.frames.push({ path, a: listA, b: listB, indexA: from(listA), indexB: from(listB), rest })
  }

  // --- Going on ---------------------------------------------------------------------------------------------------

  /** Goes to where an earlier walk has been. */
  restore(text: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const cursor = PairCursor.parse(text)
      if (Option.isNone(cursor)) return yield* Effect.die(new FileTree.InvalidCursor({ cursor: text }))
      const { apart, path, side } = cursor.value
      this.apart = apart
      this.question = undefined
      const names = componentsOf(path)
      // What is around a folder whose content is given apart is none of this walk.
      const first = Option.match(apart, { onNone: () => 0, onSome: (folder) => componentsOf(folder).length })
      const isInside = side !== "leaf" && side !== "end"
      const deepest = isInside ? names.length : names.length - 1
      for (let depth = first; depth <= deepest; depth++) {
        if (side === "rest" && depth === deepest) this.push(path, nothing)
        else yield* this.reopen(names, depth, depth === deepest ? side : undefined)
      }
    })
  }

  /** Goes into a folder that an earlier walk has been in, behind the name that this one came by. */
  private reopen(
    names: ReadonlyArray<FilePath.FilePath>,
    depth: number,
    side: PairCursor.Side | undefined
  ): Effect.Effect<void> {
    const path = joined(names, depth)
    const passed = names[depth]
    return Effect.map(this.list(path), (listed) => {
      const why = blame(...listed)
      if (side === "open") this.tellNameless(path, listed)
      if (side === "faultA") this.tellNameless(path, [empty, listed[1]])
      // What has gone from both trees is no difference, unless the trees have.
      if (why === undefined || (path !== "" && listed.every(isMissing))) return this.push(path, listed, passed)
      const apart = Option.some(path)
      const retryAfter = passed === undefined
        ? openApart(path)
        : PairCursor.format({ path: joined(names, depth + 1), side: "leaf", apart })
      return this.push(path, listed, passed, { ...why, retryAfter })
    })
  }
}

const empty = Result.succeed(FolderListing.empty)
const nothing = [empty, empty] as const

/** How to walk. */
interface WalkOptions {
  /** Says what below the trees is left out. */
  readonly isLeftOut?: Filter.Filter | undefined
  /** Whether it is told how much is in folders that one of the trees has: whoever only counts needs not know it. */
  readonly tellsHeld?: boolean
}

/**
 * Walks the two trees, from the start or from behind a cursor, without what is left out below them.
 *
 * It keeps the names of the folders that it is in, and lists one folder of each tree at a time.
 *
 * A cursor that no walk can have given is the defect `FileTree.InvalidCursor`.
 */
export const walk = (
  trees: Trees,
  after: Option.Option<string> = Option.none(),
  { isLeftOut = Filter.none, tellsHeld = true }: WalkOptions = {}
): Stream.Stream<Element, never, Files.Files> =>
  Stream.fromPull(Effect.gen(function*() {
    const walker = new Walker(yield* Files.Files, trees, isLeftOut, tellsHeld)
    if (Option.isSome(after)) yield* walker.restore(after.value)
    return walker.pull
  }))
