/**
 * Walks files and folders in a fixed order, from any place that a walk has been at before.
 *
 * A durable job stores where in its source it is, as one cursor, so the walk must be the same
 * each time: sources as they were given, folders sorted by bytes, a folder's content between its
 * `Open` and its `Close`. It looks at no file; what a folder says of its entries is enough.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { type Call, FilesError } from "../../FilesError.ts"
import * as Filter from "../../Filter.ts"
import * as FolderListing from "../../FolderListing.ts"
import { measure } from "../files/folderSize.ts"
import { now } from "../files/routine.ts"
import * as CollidingNames from "../path/collidingNames.ts"
import { componentsOf, joined } from "../path/components.ts"
import * as Place from "../path/place.ts"
import { Asking } from "./baseWalk.ts"
import { following } from "./followedLinks.ts"
import { inKeyOrder, keyOf } from "./keyOrder.ts"
import * as TreeCursor from "./treeCursor.ts"

const place = {
  /** Where the walk goes on behind this element. */
  cursor: Schema.String,
  /** Which of the sources it belongs to. */
  source: Schema.Natural,
  /** Path under the source; empty for the source itself. */
  path: FilePath.FilePath,
  /** Whether other file systems may take its name for that of another entry of its folder; where that is asked for. */
  mayFold: Schema.optionalKey(Schema.Literal(true))
}

/**
 * Schema for what a walk meets.
 *
 * - `Open` and `Close`: a folder begins and ends. A walk that leaves out all else tells how many `others` are in it,
 *   and whether it `holds` something that a filter leaves out.
 * - `Leaf`: anything else. Of a `special` source it is told what that is.
 * - `Unreadable`: a folder that can't be listed, in place of its `Open` and `Close`; or, right before its `Close`, the
 *   rest of a folder that could be listed once and now can't. Also what can't even be told to be a folder. With
 *   `retryAfter`, a walk after that cursor begins with what is missing, and ends it with the `Close` of the folder.
 */
export const Element = Schema.TaggedUnion({
  Open: { ...place, others: Schema.optionalKey(Schema.Natural), holds: Schema.optionalKey(Schema.Literal(true)) },
  Close: place,
  Leaf: {
    ...place,
    kind: Schema.Literals(["file", "link", "special"]),
    special: Schema.optionalKey(Files.SpecialKind)
  },
  Unreadable: { ...place, error: FilesError, retryAfter: Schema.OptionFromOptional(Schema.String) }
})
export type Element = typeof Element.Type

/**
 * Folder with all that is in and below it, which is nothing but files, links and folders, in place of all of these
 * elements. Its cursor is that of its `Close`.
 */
export interface Whole
  extends Files.FolderSize, Pick<Extract<Element, { readonly _tag: "Close" }>, "cursor" | "path" | "source">
{
  readonly _tag: "Whole"
}

/** Defect of a walk that is to start behind a cursor which is none. */
export class InvalidCursor
  extends Schema.TaggedError<InvalidCursor>("@fanout/ops/FileTree/InvalidCursor")("InvalidCursor", {
    cursor: Schema.String
  })
{
  override get message(): string {
    return `"${this.cursor}" is not a place in a walk over these sources`
  }
}

/** What to walk. */
export interface WalkOptions {
  /** Real paths of files and folders. No link is followed, neither here nor above, unless `follow` is given. */
  readonly sources: ReadonlyArray<FilePath.FilePath>

  /**
   * Meets what links lead to in their place. It takes for unreadable, with the code `ELOOP`, a folder that it is in
   * already, and these, which are written to meanwhile; with `ENOLINK` a link that leads to nothing.
   */
  readonly follow?: { readonly except: ReadonlyArray<FilePath.FilePath> } | undefined

  /** Takes folders on another mount than their source for unreadable ones, with the code `EXDEV`. */
  readonly oneFileSystem?: boolean

  /** Says what below the sources is left out. A folder that is left out is not opened. */
  readonly filter?: Filter.Filter

  /** Leaves out what is in folders and no folder itself. */
  readonly onlyFolders?: boolean

  /** Tells of entries whose names other file systems may take for one, and none of these as a `Whole`. */
  readonly tellsTwins?: boolean

  /** Meets what is in a folder in the order of keys of objects. */
  readonly inKeyOrder?: boolean

  /** Which of the sources are taken for gone, whatever is at their places by now. */
  readonly gone?: { readonly has: (source: number) => boolean }

  /** Cursor of the last element of an earlier walk over the same sources. */
  readonly after?: Option.Option<string>
}

/**
 * What to walk, and which folders below the sources, with all that is below them, may be told as one `Whole`: up to 16
 * in one another, itself included, since how much there is in a folder is asked in all above it.
 */
export interface WholeOptions extends WalkOptions {
  /** As many elements, counted without the ends of folders, may be in one. */
  readonly mostWhole: number
  readonly mayBeWhole: (folder: Pick<Whole, "path" | "source">) => boolean
}

type WholeLimits = Pick<WholeOptions, "mayBeWhole" | "mostWhole">

/** What tells a folder from others, where links may lead to the same one twice. */
type Identity = Pick<Files.FileStat, "device" | "inode">

/** A folder that the walk is in. */
interface Frame {
  readonly path: FilePath.FilePath
  /** Cursor of its `Open`. With a name behind it, it is the cursor of a leaf. */
  readonly cursor: string
  readonly listing: FolderListing.FolderListing
  readonly identity: Identity | undefined
  /** Names that may be taken for one of the others, where that is asked for. */
  readonly twins: ReadonlySet<FilePath.FilePath>
  index: number
  /** Why the rest of it is not known, and the cursor that it starts behind. */
  rest: { readonly error: FilesError; readonly retryAfter: string } | undefined
}

/** What is in a folder; where only folders are met, also how many others, and whether a filter leaves something out. */
interface Listed extends Pick<Extract<Element, { readonly _tag: "Open" }>, "holds" | "others"> {
  readonly listing: FolderListing.FolderListing
}

interface Entered extends Listed {
  readonly identity: Identity | undefined
}

/** An entry that the file system has to be asked about before the walk can go on. */
interface Question {
  readonly path: FilePath.FilePath
  readonly kind: "folder" | "unknown"
}

/** In what no folder is around of there are no others. */
const outermost: Pick<Frame, "twins"> = { twins: new Set() }

/** For so long it is taken to be true how much there is in a folder. What is in those before it may take hours. */
const freshMillis = 1000

class Walker extends Asking<Element | Whole, Question> {
  private readonly files: Files.Files["Service"]
  private readonly options: WalkOptions
  private readonly whole: WholeLimits | undefined
  /** What lists and looks, through links or not. */
  private readonly calls: Pick<Files.Files["Service"], "list" | "lstat" | "folder" | "folders">
  private readonly isLeftOut: Filter.Filter
  private readonly frames: Array<Frame> = []
  private source = -1
  /** How much there is in folders that the walk has not come to, as it was told of late. */
  private readonly sizes = new Map<FilePath.FilePath, Files.FolderSize>()
  /** When all that had been told before was dropped. */
  private freshFrom = Number.NEGATIVE_INFINITY
  /** What the present source is on, where that matters. */
  private home: Files.Identity | undefined = undefined

  constructor(files: Files.Files["Service"], options: WalkOptions, whole: WholeLimits | undefined) {
    super(undefined)
    this.files = files
    this.options = options
    this.whole = whole
    this.calls = options.follow === undefined ? files : following(files)
    this.isLeftOut = options.filter ?? Filter.none
  }

  protected step(): boolean {
    const frame = this.frames.at(-1)
    if (frame === undefined) {
      if (this.source + 1 >= this.options.sources.length) return false
      this.source++
      this.question = { path: FilePath.empty, kind: "unknown" }
    } else if (frame.index < frame.listing.size) {
      this.meet(frame, frame.index++)
    } else {
      this.leave(frame)
    }
    return true
  }

  private meet(frame: Frame, index: number): void {
    const name = frame.listing.nameAt(index)
    const kind = this.kindAt(frame.listing, index)
    const path = FilePath.join(frame.path, name)
    if (this.isPassed(path, kind)) return
    if (kind === "folder" || kind === "unknown") {
      this.question = { path, kind }
    } else if (this.options.onlyFolders !== true) {
      const cursor = frame.cursor + FilePath.toText(name)
      const leaf = { _tag: "Leaf", cursor, source: this.source, path, kind } as const
      this.chunk.push(this.isTwin(path) ? { ...leaf, mayFold: true } : leaf)
    }
  }

  /** What an entry is, as far as a walk knows that without asking: a link that is followed may lead to anything. */
  private kindAt(listing: FolderListing.FolderListing, index: number): FolderListing.EntryKind {
    const kind = listing.kindAt(index)
    return kind === "link" && this.options.follow !== undefined ? "unknown" : kind
  }

  /** Whether an entry is left out, whatever it turns out to be. */
  private isPassed(path: FilePath.FilePath, kind: FolderListing.EntryKind): boolean {
    return this.isLeftOut(path, kind === "folder") && (kind !== "unknown" || this.isLeftOut(path, true))
  }

  private leave({ path, rest }: Frame): void {
    this.frames.pop()
    if (rest !== undefined) {
      this.chunk.push({
        _tag: "Unreadable",
        ...this.at(path, "rest"),
        error: rest.error,
        retryAfter: Option.some(rest.retryAfter)
      })
    }
    this.chunk.push({ _tag: "Close", ...this.at(path, "close") })
  }

  private at(path: FilePath.FilePath, side: TreeCursor.Side) {
    const { source } = this
    const at = { cursor: TreeCursor.format({ source, path, side }), source, path }
    return this.isTwin(path) ? { ...at, mayFold: true as const } : at
  }

  /** Whether something in the present folder may be taken for something else there. */
  private isTwin(path: FilePath.FilePath): boolean {
    const { twins } = this.frames.at(-1) ?? outermost
    return twins.size > 0 && twins.has(FilePath.name(path))
  }

  private absolute(path: FilePath.FilePath): FilePath.FilePath {
    return FilePath.join(this.options.sources[this.source] ?? FilePath.empty, path)
  }

  protected answer({ kind, path }: Question): Effect.Effect<void> {
    if (kind === "folder") return this.open(path)
    return Effect.matchEffect(this.lookAt(this.absolute(path)), {
      onSuccess: ({ kind, special }) => {
        if (path !== "" && this.isLeftOut(path, kind === "folder")) return Effect.void
        if (kind === "folder") return this.open(path)
        return path !== "" && this.options.onlyFolders === true ? Effect.void : Effect.sync(() => {
          this.chunk.push({ _tag: "Leaf", ...this.at(path, "leaf"), kind, ...special === undefined ? {} : { special } })
        })
      },
      onFailure: (error) =>
        Effect.sync(() => {
          this.chunk.push({ _tag: "Unreadable", ...this.at(path, "leaf"), error, retryAfter: Option.none() })
        })
    })
  }

  private lookAt(path: FilePath.FilePath): Effect.Effect<Files.FileStat, FilesError> {
    const { follow, gone } = this.options
    if (gone?.has(this.source) === true) return Effect.fail(unreadable("lstat", path, "ENOENT"))
    return Effect.catch(this.calls.lstat(path), (error) => {
      // Only the folder that it is in can be opened at a path that is too long for the kernel.
      if (error.code === "ENAMETOOLONG" && follow === undefined) {
        return Effect.flatMap(Place.open(path), Place.lstat).pipe(
          Effect.scoped,
          Effect.provideService(Files.Files, this.files)
        )
      }
      if (follow === undefined || !error.isMissing) return Effect.fail(error)
      // What is there all the same is a link.
      return Effect.matchEffect(this.files.lstat(path), {
        onFailure: () => Effect.fail(error),
        onSuccess: () => Effect.fail(unreadable("stat", path, "ENOLINK"))
      })
    })
  }

  private list(path: FilePath.FilePath): Effect.Effect<Listed, FilesError> {
    const absolute = this.absolute(path)
    const { filter, oneFileSystem = false, onlyFolders = false } = this.options
    /** Fails where a folder is not on the same file system as its source, and that matters. */
    const requireHome = (identity: Files.Identity): Effect.Effect<void, FilesError> => {
      if (path === "") this.home = identity
      return !oneFileSystem || this.home === undefined || Files.isOnSame(identity, this.home)
        ? Effect.void
        : Effect.fail(unreadable("scandir", absolute, "EXDEV"))
    }
    if (onlyFolders && filter === undefined) {
      return Effect.tap(this.calls.folders(absolute), ({ identity }) => requireHome(identity))
    }
    const listed = (listing: FolderListing.FolderListing): Listed =>
      onlyFolders ? { listing, ...this.othersIn(path, listing) } : { listing }
    if (!oneFileSystem) return Effect.map(this.calls.list(absolute), listed)
    return Effect.scoped(Effect.flatMap(this.calls.folder(absolute), (folder) =>
      folder.identity.pipe(
        Effect.flatMap(requireHome),
        Effect.andThen(folder.list),
        Effect.map(listed)
      )))
  }

  /** What a filter leaves of a folder that is no folder, or may be none, and whether it leaves out something. */
  private othersIn(folder: FilePath.FilePath, listing: FolderListing.FolderListing): Omit<Listed, "listing"> {
    let [others, holds] = [0, false]
    for (let index = 0; index < listing.size; index++) {
      const isFolder = listing.kindAt(index) === "folder"
      if (this.isLeftOut(FilePath.join(folder, listing.nameAt(index)), isFolder)) holds = true
      else if (!isFolder) others++
    }
    return holds ? { others, holds } : { others }
  }

  /** Looks whether a folder may be entered, where a link may lead to one that the walk is in, or that is written to. */
  private identify(
    path: FilePath.FilePath,
    { except }: NonNullable<WalkOptions["follow"]>
  ): Effect.Effect<Identity, FilesError> {
    return Effect.gen({ self: this }, function*() {
      const absolute = this.absolute(path)
      const own = yield* this.calls.lstat(absolute)
      const real = yield* this.files.realPath(absolute)
      const isIn = this.frames.some(({ identity }) => identity !== undefined && Files.isSameInode(identity, own))
      if (isIn || except.some((target) => FilePath.isWithin(real, target))) {
        return yield* unreadable("scandir", absolute, "ELOOP")
      }
      return own
    })
  }

  /** Lists a folder, if it may be entered. */
  private enterable(path: FilePath.FilePath): Effect.Effect<Entered, FilesError> {
    const { follow, inKeyOrder: isByKey = false } = this.options
    const entered = (identity: Identity | undefined) =>
      Effect.flatMap(
        this.list(path),
        ({ listing, ...listed }) =>
          Effect.map(isByKey ? this.byKey(path, listing) : Effect.succeed(listing), (listing) => ({
            ...listed,
            listing,
            identity
          }))
      )
    return follow === undefined ? entered(undefined) : Effect.flatMap(this.identify(path, follow), entered)
  }

  /** A listing in the order of keys: whether an entry is a folder has to be known before its place is. */
  private byKey(
    folder: FilePath.FilePath,
    listing: FolderListing.FolderListing
  ): Effect.Effect<FolderListing.FolderListing> {
    return Effect.gen({ self: this }, function*() {
      const kinds = new Map<number, FolderListing.EntryKind>()
      for (let index = 0; index < listing.size; index++) {
        const path = FilePath.join(folder, listing.nameAt(index))
        if (this.kindAt(listing, index) !== "unknown" || this.isPassed(path, "unknown")) continue
        const looked = yield* Effect.option(this.lookAt(this.absolute(path)))
        if (Option.isSome(looked) && looked.value.kind !== "special") kinds.set(index, looked.value.kind)
      }
      return inKeyOrder(listing, kinds)
    })
  }

  private open(path: FilePath.FilePath): Effect.Effect<void> {
    const { source, whole } = this
    const mayBeWhole = whole !== undefined && path !== "" && whole.mayBeWhole({ source, path }) && !this.isTwin(path)
    if (!mayBeWhole) return this.enter(path)
    const absolute = this.absolute(path)
    return Effect.flatMap(Clock.currentTimeMillis, (millis) => {
      const known = this.known(absolute, millis)
      if (known !== undefined) return Effect.sync(() => this.pass(path, known))
      return Effect.flatMap(
        this.files.atOnce((calls) =>
          now(measure, calls, calls.openPath(absolute, "list"), {
            most: whole.mostWhole,
            isLeftOut: Filter.within(this.isLeftOut, path),
            isFollowing: this.options.follow !== undefined,
            tell: (below, size) => this.sizes.set(FilePath.join(absolute, below), size)
          })
        ),
        // It is too much, or not known at once.
        (measured) =>
          Option.match(Option.flatten(measured), {
            onNone: () => this.enter(path),
            onSome: (size) => Effect.sync(() => this.pass(path, size))
          })
      )
    })
  }

  /** How much there is in a folder, if that was told of late. It is asked for once. */
  private known(folder: FilePath.FilePath, now: number): Files.FolderSize | undefined {
    if (now - this.freshFrom > freshMillis) {
      this.sizes.clear()
      this.freshFrom = now
    }
    const size = this.sizes.get(folder)
    this.sizes.delete(folder)
    return size
  }

  private enter(path: FilePath.FilePath): Effect.Effect<void> {
    return Effect.matchEffect(this.enterable(path), {
      onSuccess: (entered) => Effect.sync(() => this.begin(path, entered)),
      onFailure: (error) =>
        Effect.sync(() => {
          // To try again would not lead anywhere else.
          const retryAfter = error.code === "ELOOP" ? Option.none() : Option.some(this.at(path, "open").cursor)
          this.chunk.push({ _tag: "Unreadable", ...this.at(path, "close"), error, retryAfter })
        })
    })
  }

  private pass(path: FilePath.FilePath, size: Files.FolderSize): void {
    this.chunk.push({ _tag: "Whole", ...this.at(path, "close"), ...size })
  }

  private twinsIn(listing: FolderListing.FolderListing): Frame["twins"] {
    return this.options.tellsTwins === true
      ? CollidingNames.find(() => FolderListing.namesOf(listing))
      : outermost.twins
  }

  private begin(path: FilePath.FilePath, { identity, listing, ...told }: Entered): void {
    const place = this.at(path, "open")
    const twins = this.twinsIn(listing)
    this.frames.push({ path, cursor: place.cursor, identity, listing, twins, index: 0, rest: undefined })
    this.chunk.push({ _tag: "Open", ...place, ...told })
  }

  /** Goes to where an earlier walk has been. */
  restore(text: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const cursor = yield* this.place(text)
      this.source = cursor.source
      const names = componentsOf(cursor.path)
      const isInside = cursor.side === "open" || cursor.side === "rest"
      const deepest = isInside ? names.length : names.length - 1
      for (let depth = 0; depth <= deepest; depth++) {
        const isDeepest = depth === deepest
        const retryAfter = isDeepest ? text : this.at(joined(names, depth + 1), "close").cursor
        const frame = yield* this.reopen(joined(names, depth), retryAfter, isDeepest && cursor.side === "rest")
        const passed = names[depth]
        if (passed !== undefined) {
          const isFolder = !isDeepest || cursor.side === "close"
          const key = this.options.inKeyOrder === true ? keyOf(passed, isFolder) : passed
          frame.index = frame.listing.indexAfter(key)
        }
        this.frames.push(frame)
      }
    })
  }

  private place(text: string): Effect.Effect<TreeCursor.TreeCursor> {
    const cursor = Option.filter(TreeCursor.parse(text), ({ source }) => source < this.options.sources.length)
    return Option.match(cursor, {
      onSome: Effect.succeed,
      onNone: () => Effect.die(new InvalidCursor({ cursor: text }))
    })
  }

  private reopen(path: FilePath.FilePath, retryAfter: string, isGivenUp: boolean): Effect.Effect<Frame> {
    const { cursor } = this.at(path, "open")
    const empty: Frame = {
      path,
      cursor,
      listing: FolderListing.empty,
      identity: undefined,
      twins: outermost.twins,
      index: 0,
      rest: undefined
    }
    if (isGivenUp) return Effect.succeed(empty)
    return Effect.match(this.enterable(path), {
      onSuccess: ({ identity, listing }) => ({ ...empty, identity, listing, twins: this.twinsIn(listing) }),
      onFailure: (error) => ({ ...empty, rest: { error, retryAfter } })
    })
  }
}

const unreadable = (call: Call, path: FilePath.FilePath, code: string): FilesError =>
  new FilesError({ call, path, code, target: Option.none() })

/**
 * Walks the sources, from the start or from behind a cursor.
 *
 * Behind a cursor inside of folders the walk still gives their `Close`, even where they are gone by now. It keeps
 * the names of the folders that it is in, and lists one folder at a time.
 *
 * A cursor that no walk over as many sources can have given is a defect. With a filter, folders that a cursor is in are
 * not asked about again.
 */
export const walk = (options: WalkOptions): Stream.Stream<Element, never, Files.Files> =>
  Stream.filter(start(options, undefined), (element) => element._tag !== "Whole")

/** Walks the sources like `walk`, and tells folders as one where that may be. */
export const walkWhole = (options: WholeOptions): Stream.Stream<Element | Whole, never, Files.Files> =>
  start(options, options)

const start = (
  options: WalkOptions,
  whole: WholeLimits | undefined
): Stream.Stream<Element | Whole, never, Files.Files> =>
  Stream.fromPull(Effect.gen(function*() {
    const walker = new Walker(yield* Files.Files, options, whole)
    const after = options.after ?? Option.none()
    if (Option.isSome(after)) yield* walker.restore(after.value)
    return walker.pull
  }))
