/**
 * Works out where each source is copied to, as cp does, and refuses what would do harm.
 *
 * An existing folder as the destination takes the sources under their own names; anything else is the name of the
 * copy. What the answer is depends on what exists, so it is found once, before the first byte, and kept: the same
 * question after half of a copy would have another answer. Paths come out absolute and without links above them.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { DestinationError, DestinationReason, type FilesError } from "../../FilesError.ts"
import { below } from "./components.ts"

/** Schema for one source and the path that its copy gets. */
export const Transfer = Schema.Struct({
  source: FilePath.FilePath,
  target: FilePath.FilePath,
  /** The target by the name that `DestinationOptions.called` begins with. */
  called: Schema.optionalKey(FilePath.FilePath)
})
export type Transfer = typeof Transfer.Type

/** Where something that a walk over the sources meets is, and where its copy goes. */
export const placeOf = (
  transfers: Arr.NonEmptyReadonlyArray<Transfer>,
  at: { readonly source: number; readonly path: FilePath.FilePath }
): Transfer => {
  const { source, target } = transfers[at.source] ?? transfers[0]
  return { source: below(source, at.path), target: below(target, at.path) }
}

/** Sources and destination, as a person gives them. */
export interface DestinationOptions {
  /** A trailing slash follows a link; `/.` at the end means what is in the folder. */
  readonly sources: Arr.NonEmptyReadonlyArray<FilePath.FilePath>

  readonly destination: FilePath.FilePath

  /** Takes the destination for the copy itself, even where it is a folder (`-T`). */
  readonly isTarget?: boolean

  /** Takes for a source what a link leads to. */
  readonly isFollowing?: boolean

  /** What the destination is called where targets are to be named from there on. */
  readonly called?: FilePath.FilePath | undefined
}

/** A source that was looked at. */
interface Found {
  readonly given: FilePath.FilePath
  readonly path: FilePath.FilePath
  /** What it is; nothing where that is not known. */
  readonly stat: Files.FileStat | undefined
  /** Name that its copy gets in a folder; empty where the folder itself is to get the content. */
  readonly name: FilePath.FilePath
}

const { FileOverFolder, FolderMissing, FolderOverFile, Inaccessible, IntoItself, NotAFolder } = DestinationReason.cases
const { OverItself, ParentMissing, SameFile, SameTarget, SourceMissing, TooManySources } = DestinationReason.cases

const refuse = (reason: DestinationReason): Effect.Effect<never, DestinationError> =>
  Effect.fail(new DestinationError({ reason }))

/** Nothing at the path is one reason, a disk that does not answer another. */
const orRefuse = (missing: DestinationReason) => (error: FilesError): Effect.Effect<never, DestinationError> =>
  refuse(error.isMissing ? missing : Inaccessible.make({ error }))

const inaccessible = (error: FilesError): Effect.Effect<never, DestinationError> => refuse(Inaccessible.make({ error }))

/** Folders above a path, from the inmost on. */
const foldersAbove = function*(path: FilePath.FilePath): Generator<FilePath.FilePath> {
  let inner = path
  for (let folder = FilePath.parent(path); folder !== inner && folder !== ""; folder = FilePath.parent(folder)) {
    yield folder
    inner = folder
  }
}

/** Whether the path names a folder as such: what is in it, or what a link leads to. */
const namesFolder = (path: FilePath.FilePath): boolean => path.endsWith("/") || isDots(FilePath.name(path))

const isDots = (name: FilePath.FilePath): boolean => name === "." || name === ".."

/** Name that a copy gets in a folder. A bucket has one there, though it is in none. */
const nameOf = (path: FilePath.FilePath): FilePath.FilePath => {
  const name = FilePath.name(path)
  if (isDots(name)) return FilePath.empty
  return name === "" && FilePath.isAddress(path) ? FilePath.make(path.split("/")[2] ?? "") : name
}

/** The path from the root on. The empty one is nowhere, as for the kernel. */
const absolute = (path: FilePath.FilePath) =>
  Files.Files.use((files) =>
    FilePath.isAbsolute(path) || path === "" || FilePath.isAddress(path)
      ? Effect.succeed(path)
      : Effect.map(files.realPath(FilePath.make(".")), (here) => FilePath.join(here, path))
  )

/** The path without links above its last component. No address has any. */
const withRealParent = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const files = yield* Files.Files
  if (FilePath.isAddress(path)) return yield* files.realPath(path)
  return FilePath.join(yield* files.realPath(FilePath.parent(path)), FilePath.name(path))
})

const find = Effect.fnUntraced(function*(
  given: FilePath.FilePath,
  isFollowing: boolean
): Effect.fn.Return<Found, FilesError, Files.Files> {
  const files = yield* Files.Files
  const path = yield* absolute(given)
  const real = yield* isFollowing || namesFolder(path) ? files.realPath(path) : withRealParent(path)
  return { given, path: real, stat: yield* files.lstat(real), name: nameOf(path) }
})

/** A source that can't be looked at now, where others can: it fails by itself, or is there when its turn comes. */
const unseen = Effect.fnUntraced(function*(given: FilePath.FilePath, reason: DestinationError) {
  const path = yield* Effect.catch(absolute(given), inaccessible)
  const name = nameOf(path)
  const isFile = reason.reason._tag === "NotAFolder"
  if (isFile || name === "") return yield* reason
  const real = yield* Effect.orElseSucceed(withRealParent(path), () => withoutSlashes(path))
  return { given, path: real, stat: undefined, name }
})

/** What links from the path lead to, if that is anything. */
export const follow = (
  path: FilePath.FilePath
): Effect.Effect<Option.Option<Files.FileStat>, FilesError, Files.Files> =>
  Files.Files.use((files) =>
    Effect.catchIf(
      Effect.asSome(files.stat(path)),
      (error) => error.isMissing || error.code === "ELOOP",
      () => Effect.succeedNone
    )
  )

/**
 * An address with a slash at its end, or of a bucket, is a folder: what is there has no part in that. Any other one is
 * the name of the only source. It is looked at all the same: a bucket that can't be used is told of now.
 */
const cloudPlace = Effect.fnUntraced(function*(
  sources: Arr.NonEmptyReadonlyArray<Found>,
  { destination, isTarget = false }: DestinationOptions
) {
  const path = withoutSlashes(destination)
  yield* Effect.catch(Files.Files.use((files) => files.find(path)), inaccessible)
  const isBucket = path.split("/").length === 3
  return { isFolder: !isTarget && (destination.endsWith("/") || isBucket || sources.length > 1), path }
})

/** The folder that the sources go into, if it is one; the path that the only source gets otherwise. */
const place = Effect.fnUntraced(function*(sources: Arr.NonEmptyReadonlyArray<Found>, options: DestinationOptions) {
  const files = yield* Files.Files
  const { destination, isTarget = false } = options
  if (FilePath.isAddress(destination)) return yield* cloudPlace(sources, options)
  const path = yield* Effect.catch(absolute(destination), inaccessible)
  const there = yield* Effect.catch(follow(path), inaccessible)
  const isFolder = Option.exists(there, ({ kind }) => kind === "folder")
  if (isFolder && (!isTarget || namesFolder(path))) {
    return { isFolder: !isTarget, path: yield* Effect.catch(files.realPath(path), inaccessible) }
  }
  const isTaken = Option.isSome(yield* Effect.catch(files.find(withoutSlashes(path)), inaccessible))
  if (sources.length > 1) {
    return yield* refuse((isTaken ? NotAFolder : FolderMissing).make({ path: destination }))
  }
  // Only a folder can be created under a name that ends with a slash.
  if (namesFolder(path) && (isTaken || sources[0].stat?.kind !== "folder")) {
    return yield* refuse((isTaken ? NotAFolder : FolderMissing).make({ path: destination }))
  }
  const parent = FilePath.parent(path)
  const missing = ParentMissing.make({ path: destination, parent })
  const real = yield* Effect.catch(withRealParent(path), orRefuse(missing))
  if ((yield* Effect.catch(files.stat(FilePath.parent(real)), inaccessible)).kind !== "folder") {
    return yield* refuse(NotAFolder.make({ path: parent }))
  }
  return { isFolder: false, path: real }
})

const withoutSlashes = (path: FilePath.FilePath): FilePath.FilePath =>
  FilePath.isAddress(path)
    ? FilePath.make(path.replace(/\/+$/, ""))
    : FilePath.join(FilePath.parent(path), FilePath.name(path))

/** What is at a path and where links from there lead to, as far as there is anything. */
const identities = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const files = yield* Files.Files
  const itself = yield* files.find(path)
  if (Option.isNone(itself) || itself.value.kind !== "link") return Option.toArray(itself)
  const followed = yield* follow(path)
  return [itself.value, ...Option.toArray(followed)]
})

/** Fails where the copy would destroy its source, or could never end. */
const guard = Effect.fnUntraced(function*(source: Found, target: FilePath.FilePath) {
  const files = yield* Files.Files
  const { stat } = source
  if (stat === undefined) return
  const pair = { source: source.given, target }
  if (FilePath.isAddress(target)) {
    // What is in a bucket is looked at by each copy. An address has one spelling alone.
    const path = stat.kind === "folder" ? withoutSlashes(source.path) : source.path
    if (path === target) return yield* refuse(SameFile.make(pair))
    const isInside = stat.kind === "folder" && FilePath.isWithin(target, path)
    return isInside ? yield* refuse(IntoItself.make(pair)) : undefined
  }
  const [sourceIs, targetIs] = [yield* identities(source.path), yield* identities(target)]
  if (sourceIs.some((a) => targetIs.some((b) => Files.isSameInode(a, b)))) return yield* refuse(SameFile.make(pair))
  if (stat.kind === "folder") {
    for (const folder of foldersAbove(target)) {
      if (Files.isSameInode(stat, yield* files.stat(folder))) return yield* refuse(IntoItself.make(pair))
    }
  }
  const [there] = targetIs
  if (there === undefined || stat.kind === "special") return
  if (stat.kind === "folder" && there.kind !== "folder") return yield* refuse(FolderOverFile.make(pair))
  if (stat.kind !== "folder" && there.kind === "folder") return yield* refuse(FileOverFolder.make(pair))
})

/** A source, and the path that its copy gets. */
interface Pair {
  readonly source: Found
  readonly target: FilePath.FilePath
}

/** What tells a folder from all others, whatever it is called; empty where there is none. An address has one name. */
const folderKey = (path: FilePath.FilePath) =>
  FilePath.isAddress(path) ? Effect.succeed<string>(withoutSlashes(path)) : Effect.map(
    Files.Files.use((files) => files.find(path)),
    Option.match({
      onNone: () => "",
      onSome: ({ device, inode, kind }) => kind === "folder" ? `${device}:${inode}` : ""
    })
  )

/**
 * Fails where what is in a source would take the place of a source: from a/b to a, what is in a/b/b would take that of
 * what is in a/b.
 */
const guardSources = Effect.fnUntraced(function*(pairs: ReadonlyArray<Pair>) {
  const files = yield* Files.Files
  const targets = new Map<string, Pair>()
  for (const pair of pairs) {
    if (pair.source.stat?.kind === "folder") targets.set(yield* folderKey(pair.target), pair)
  }
  targets.delete("")
  if (targets.size === 0) return
  const keys = new Map<FilePath.FilePath, string>()
  for (const pair of pairs) {
    const path = withoutSlashes(pair.source.path)
    for (const folder of [path, ...foldersAbove(path)]) {
      const key = keys.get(folder) ?? (yield* folderKey(folder))
      keys.set(folder, key)
      const into = targets.get(key)
      if (into === undefined) continue
      const { source, target } = into
      const below = FilePath.make(path.slice(folder.length).replace(/^\//, ""))
      const inner = FilePath.join(source.path, below)
      if (Option.isNone(yield* files.find(inner))) continue
      return yield* refuse(OverItself.make({ source: source.given, target, inner }))
    }
  }
})

/** Whether two sources are one. An object and a folder are two, though their names differ by a slash alone. */
const areSame = (a: Found, b: Found): boolean =>
  a.path === b.path || (a.stat?.kind === b.stat?.kind && withoutSlashes(a.path) === withoutSlashes(b.path))

/** What is named twice counts once; two sources of which one would write where the other does are refused. */
const distinct = Effect.fnUntraced(function*(
  pairs: Arr.NonEmptyReadonlyArray<Pair>
): Effect.fn.Return<Arr.NonEmptyReadonlyArray<Pair>, DestinationError> {
  const taken = new Map<FilePath.FilePath, Found>()
  const refuseBoth = (first: Found, second: Found, target: FilePath.FilePath) =>
    refuse(SameTarget.make({ first: first.given, second: second.given, target }))
  for (const { source, target } of pairs) {
    const first = taken.get(target)
    if (first !== undefined && !areSame(first, source)) return yield* refuseBoth(first, source, target)
    taken.set(target, first ?? source)
  }
  for (const { source, target } of pairs) {
    for (const folder of foldersAbove(target)) {
      const first = taken.get(folder)
      if (first !== undefined) return yield* refuseBoth(first, source, target)
    }
  }
  const [first, ...others] = pairs
  return [first, ...others.filter(({ source, target }) => taken.get(target) === source)]
})

/**
 * Resolves sources and destination to the list of what is copied where, in the order of the sources.
 *
 * The rules are those of `cp -a`, except that two sources never get the same place, or one inside of the other's:
 * what one of them writes would be a conflict for the other. A source that is named twice is copied once. A link at
 * the destination is replaced, not followed. Sources that are missing, or can't be looked at, are in the list, too, as
 * long as there are others.
 */
export const resolve = Effect.fnUntraced(function*(
  options: DestinationOptions
): Effect.fn.Return<Arr.NonEmptyReadonlyArray<Transfer>, DestinationError, Files.Files> {
  const count = options.sources.length
  if (count > 1 && options.isTarget === true) return yield* refuse(TooManySources.make({ count }))
  const looks = yield* Effect.forEach(
    options.sources,
    (path) =>
      Effect.catch(find(path, options.isFollowing === true), (error) => {
        // A slash behind the name of a file makes it none.
        const isFile = error.code === "ENOTDIR" && path.endsWith("/")
        return orRefuse((isFile ? NotAFolder : SourceMissing).make({ path }))(error)
      }).pipe(Effect.result, Effect.map((look) => ({ look, path })))
  )
  const isNoneFound = looks.every(({ look }) => Result.isFailure(look))
  const sources = yield* Effect.forEach(looks, ({ look, path }) =>
    Result.isSuccess(look)
      ? Effect.succeed(look.success)
      : isNoneFound
      ? Effect.fail(look.failure)
      : unseen(path, look.failure))
  const destination = yield* place(sources, options)
  const pairs = yield* distinct(Arr.map(sources, (source) => ({
    source,
    target: destination.isFolder ? FilePath.join(destination.path, source.name) : destination.path
  })))
  for (const { source, target } of pairs) {
    yield* Effect.catchTag(guard(source, target), "FilesError", inaccessible)
  }
  yield* Effect.catchTag(guardSources(pairs), "FilesError", inaccessible)
  const { called } = options
  return Arr.map(pairs, ({ source, target }) => ({
    source: source.path,
    target,
    ...called === undefined
      ? {}
      : { called: destination.isFolder ? FilePath.join(called, source.name) : called }
  }))
})
