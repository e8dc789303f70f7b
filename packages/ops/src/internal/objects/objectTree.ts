/**
 * Walks objects as files in folders, in the order of their keys, by one listing.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import { FilesError } from "../../FilesError.ts"
import type { ListedObject, ObjectStoreError } from "../../ObjectStore.ts"
import { lastCharacter } from "../cloud/keyBytes.ts"
import { listAfter } from "../cloud/prefixListing.ts"
import { failure } from "../files/openHandle.ts"
import { componentsOf, joined } from "../path/components.ts"
import type * as FileTree from "../tree/fileTree.ts"
import * as TreeCursor from "../tree/treeCursor.ts"
import { pauseNameOf } from "../work/diskPause.ts"
import { type Known, type ObjectAccess, ofFolder } from "./objectAccess.ts"
import * as ObjectFolder from "./objectFolder.ts"
import { refusalOf, why } from "./objectKeys.ts"
import { stayPaused } from "./objectReach.ts"

/** Folders that a key which is no path would be in: those of its beginning that are one. */
const foldersOf = (key: string): ReadonlyArray<FilePath.FilePath> => {
  const names = key.split("/").slice(0, -1)
  const bad = names.findIndex((name) => refusalOf([name]) !== undefined)
  return names.slice(0, bad < 0 ? names.length : bad).map(FilePath.make)
}

/** What to walk. */
interface Options extends FileTree.WalkOptions {
  /** Whether objects become files, of which none has the name of a folder. */
  readonly areFiles?: boolean
  /** Whether all is only counted: nobody asks for what was listed then. */
  readonly isCounted: boolean
}

/** One source, and which one it is. */
interface Walking {
  readonly access: ObjectAccess
  readonly options: Options
  readonly source: number
  readonly path: FilePath.FilePath
}

const note = ({ access, options }: Walking, path: FilePath.FilePath, known: Known): void => {
  if (!options.isCounted) access.known.set(path, known)
}

/** The walk over one source, which is a folder. */
class KeyWalk {
  private readonly of: Walking
  /** Names of the folders that the walk is in, below the source. */
  private readonly names: Array<FilePath.FilePath>
  private chunk: Array<FileTree.Element> = []
  /** Path of a folder that is left out, or has ended, whose keys are passed. */
  private leftOut: string | undefined
  /** Paths of the leaves that the next keys begin with: one of these may be that of a folder, too. */
  private begun: ReadonlyArray<string> = []

  constructor(of: Walking, { ended, names = [] }: Partial<Place> = {}) {
    this.of = of
    this.names = [...names]
    this.leftOut = ended
  }

  private at(path: FilePath.FilePath, side: TreeCursor.Side) {
    const { source } = this.of
    return { cursor: TreeCursor.format({ source, path, side }), source, path }
  }

  private get here(): FilePath.FilePath {
    return joined(this.names, this.names.length)
  }

  private isLeftOut(path: FilePath.FilePath, isFolder: boolean): boolean {
    return this.of.options.filter?.(path, isFolder) ?? false
  }

  /** The source itself, as a folder that begins. */
  begin(): FileTree.Element {
    return { _tag: "Open", ...this.at(FilePath.empty, "open") }
  }

  /** Leaves folders until the walk is in so many. */
  private leave(depth: number): void {
    while (this.names.length > depth) {
      this.chunk.push({ _tag: "Close", ...this.at(this.here, "close") })
      this.names.pop()
    }
  }

  /** Goes into folders, the last of which may be marked; false where one of them is left out. */
  private enter(folders: ReadonlyArray<FilePath.FilePath>, isMarked = false): boolean {
    let shared = 0
    while (shared < this.names.length && this.names[shared] === folders[shared]) shared++
    this.leave(shared)
    for (const name of folders.slice(shared)) {
      const path = FilePath.join(this.here, name)
      const address = ofFolder(FilePath.join(this.of.path, path))
      const isExcluded = this.isLeftOut(path, true)
      if (isExcluded || this.begun.includes(path)) {
        this.leftOut = `${path}/`
        const told = `The objects in "${FilePath.display(address)}" can't be files: ${why["TAKEN"]}`
        if (!isExcluded) this.refuse(this.at(path, "close"), "TAKEN", told)
        return false
      }
      this.names.push(name)
      note(this.of, address, { _tag: "Folder", isMarked: isMarked && this.names.length === folders.length })
      // Which names a folder has is only known once all are listed: each may be taken for another one.
      const folding = this.of.options.areFiles === true ? { mayFold: true as const } : {}
      this.chunk.push({ _tag: "Open", ...this.at(path, "open"), ...folding })
    }
    return true
  }

  /** Tells of what can't be files. It never comes to be some, as what can't be looked at may. */
  private refuse(at: Pick<FileTree.Element, "cursor" | "source" | "path">, code: string, told: string): void {
    const error = new FilesError({ call: "scandir", path: this.of.path, target: Option.none(), code, told })
    this.chunk.push({ _tag: "Unreadable", ...at, error, retryAfter: Option.none() })
  }

  /** Meets an object, by its key below the source. */
  meet(key: string, object: ListedObject): void {
    if (this.leftOut !== undefined && key.startsWith(this.leftOut)) return
    this.leftOut = undefined
    this.begun = this.begun.filter((begun) => key.startsWith(begun))
    const isMarker = key === "" || key.endsWith("/")
    const names = key === "" ? [] : (isMarker ? key.slice(0, -1) : key).split("/")
    const code = refusalOf(names) ?? (isMarker && object.sizeBytes > 0 ? "MARKER" : undefined)
    if (code !== undefined) {
      const { source } = this.of
      const at = {
        cursor: `${source}!${JSON.stringify(key)}`,
        source,
        path: FilePath.make(key.replaceAll("\0", "\u2400"))
      }
      const told = `The object "${FilePath.printable(object.key)}" can't be a file: ${why[code]}`
      // It fails alone, in the folders that the beginning of the key is.
      if (this.enter(foldersOf(key))) this.refuse(at, code, told)
      return
    }
    const paths = names.map(FilePath.make)
    const leaf = isMarker ? undefined : paths.pop()
    if (!this.enter(paths, isMarker) || leaf === undefined) return
    const path = FilePath.join(this.here, leaf)
    if (this.isLeftOut(path, false)) return
    if (this.of.options.areFiles === true) this.begun = [...this.begun, path]
    note(this.of, FilePath.join(this.of.path, path), { _tag: "Object", info: object })
    this.chunk.push({ _tag: "Leaf", ...this.at(path, "leaf"), kind: "file" })
  }

  /** Ends all folders, and the source. */
  end(): ReadonlyArray<FileTree.Element> {
    this.leave(0)
    return [...this.take(), { _tag: "Close", ...this.at(FilePath.empty, "close") }]
  }

  take(): ReadonlyArray<FileTree.Element> {
    const { chunk } = this
    this.chunk = []
    return chunk
  }
}

/** Where a walk over one source goes on. */
interface Place {
  /** The key that it is behind. */
  readonly key: string | undefined
  /** Names of the folders that it is in. */
  readonly names: ReadonlyArray<FilePath.FilePath>
  /** Path of the folder that has ended there: no key that a request can have is behind all that is in it. */
  readonly ended?: string
}

const placeOf = (cursor: string): Place => {
  const [, refused] = /^\d+!(.*)$/s.exec(cursor) ?? []
  if (refused !== undefined) {
    const key = String(JSON.parse(refused))
    return { key, names: foldersOf(key) }
  }
  const { path, side } = Option.getOrThrow(TreeCursor.parse(cursor))
  const names = componentsOf(path)
  if (side === "open") return { key: path === "" ? undefined : `${path}/`, names }
  const around = names.slice(0, -1)
  return side === "leaf"
    ? { key: path, names: around }
    : { key: `${path}/${lastCharacter}`, names: around, ended: `${path}/` }
}

type Walked = Stream.Stream<FileTree.Element, ObjectStoreError>

/** Walks a source that is a folder, from its start or from behind a cursor in it. */
const inside = (of: Walking, after?: string): Walked =>
  Stream.unwrap(Effect.map(of.access.at(of.path), ({ key: base, store }) => {
    const place = after === undefined ? undefined : placeOf(after)
    const prefix = base === "" ? "" : `${base}/`
    const walk = new KeyWalk(of, place)
    const begun = place === undefined ? [walk.begin()] : []
    const listed = listAfter(store, prefix, place?.key)
    const elements = Stream.mapAccum(listed, () => walk, (_, object) => {
      walk.meet(object.key.slice(prefix.length), object)
      return [walk, walk.take()] as const
    })
    // A listing that fails has no end: what is behind it is walked later.
    const end = Stream.suspend(() => Stream.fromIterable(walk.end()))
    return Stream.concat(Stream.concat(Stream.fromIterable(begun), elements), end)
  }))

/** Walks one source, whatever is there. */
const walkOne = (of: Walking, after: string | undefined): Walked => {
  const { access, path, source } = of
  if (after !== undefined) {
    const cursor = TreeCursor.parse(after)
    const isOver = Option.exists(cursor, ({ path, side }) => path === "" && side !== "open")
    return isOver ? Stream.empty : inside(of, after)
  }
  const at = { cursor: TreeCursor.format({ source, path: FilePath.empty, side: "leaf" }), source, path: FilePath.empty }
  return Stream.unwrap(Effect.map(ObjectFolder.ask(access, path), (found): Walked => {
    if (found._tag === "Folder") return inside(of)
    if (found._tag === "Object") {
      note(of, path, found)
      return Stream.succeed({ _tag: "Leaf", ...at, kind: "file" })
    }
    const error = failure("lstat", path, "ENOENT")
    return Stream.succeed({ _tag: "Unreadable", ...at, error, retryAfter: Option.none() })
  }))
}

/** Pauses the job where a store can't be listed: nothing of it is passed. */
export const pausing = <A, R>(walked: Stream.Stream<A, ObjectStoreError, R>) =>
  Stream.catch(
    walked,
    (error) => Stream.fromEffect(stayPaused(pauseNameOf(error.reason._tag) ?? "store", error.message))
  )

/** Walks sources that are all addresses. */
export const walk = (access: ObjectAccess, options: Options) => {
  const { after = Option.none(), sources } = options
  const cursor = Option.getOrUndefined(after)
  const first = cursor === undefined ? 0 : Number.parseInt(cursor, 10)
  const walked = sources.slice(first).map((path, index) =>
    walkOne({ access, options, source: first + index, path }, index === 0 ? cursor : undefined)
  )
  return walked.reduce<Walked>((all, one) => Stream.concat(all, one), Stream.empty)
}
