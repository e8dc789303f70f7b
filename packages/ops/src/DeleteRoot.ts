/**
 * What a job deletes, as it was when the job started: a path alone may lead to something else by the time that it goes
 * on.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { DeleteError, Reason } from "./DeleteError.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import * as Place from "./Place.ts"

/**
 * Schema for one file, link or folder that is to be deleted.
 *
 * @category schemas
 * @since 0.1.0
 */
export const DeleteRoot = Schema.Struct({
  /** Real path. */
  path: FilePath.FilePath,
  /** `missing` where there was nothing. */
  kind: Schema.Literals(["folder", "other", "missing"]),
  /** Device, inode and time of birth. */
  identity: Schema.String,
  /** The same of the folder that it is in. */
  parent: Schema.String
})

/**
 * One file, link or folder that is to be deleted.
 *
 * @category models
 * @since 0.1.0
 */
export type DeleteRoot = typeof DeleteRoot.Type

/**
 * What tells a folder from others, as text.
 *
 * @category accessors
 * @since 0.1.0
 */
export const folderText = ({ bornNanos, device, inode }: Files.Identity): string => `${device}:${inode}:${bornNanos}`

/**
 * What tells something else than a folder from others, as text.
 *
 * @category accessors
 * @since 0.1.0
 */
export const otherText = ({ bornNanos, device, inode }: Files.FileStat): string => `${device}:${inode}:${bornNanos}`

const fail = (reason: Reason): Effect.Effect<never, DeleteError> => Effect.fail(new DeleteError({ reason }))

const { FollowsLink, Inaccessible, IsDatabase, IsDots, IsRoot, NotAFolder, NothingThere, Replaced } = Reason.cases

const inaccessible = (error: FilesError): Effect.Effect<never, DeleteError> => fail(Inaccessible.make({ error }))

interface Found extends DeleteRoot {
  /** What it is on; the folder's own mount, where it is one. */
  readonly on: Files.Identity | undefined
}

const missing = (path: FilePath.FilePath): Found => ({ path, kind: "missing", identity: "", parent: "", on: undefined })

const isRootFolder = Effect.fnUntraced(function*(identity: Files.Identity) {
  const files = yield* Files.Files
  const root = yield* Effect.flatMap(files.folder(FilePath.make("/")), (folder) => folder.identity)
  return Files.isSameInode(root, identity)
}, Effect.scoped)

const lookAt = Effect.fnUntraced(function*(given: FilePath.FilePath, path: FilePath.FilePath) {
  const place = yield* Place.open(path)
  const found = yield* Place.find(place)
  if (Option.isNone(found)) return missing(path)
  const { kind } = found.value
  if (given.endsWith("/") && kind !== "folder") {
    return yield* fail((kind === "link" ? FollowsLink : NotAFolder).make({ path: given }))
  }
  const parent = yield* place.folder.identity
  const around = { path, parent: folderText(parent) }
  if (kind !== "folder") return { ...around, kind: "other", identity: otherText(found.value), on: parent } as const
  const identity = yield* Effect.flatMap(place.folder.folder(place.name), (folder) => folder.identity)
  if (yield* isRootFolder(identity)) return yield* fail(IsRoot.make({ path: given }))
  return { ...around, kind: "folder", identity: folderText(identity), on: identity } as const
}, Effect.scoped)

const find = Effect.fnUntraced(function*(
  given: FilePath.FilePath
): Effect.fn.Return<Found, DeleteError | FilesError, Files.Files> {
  const files = yield* Files.Files
  const name = FilePath.name(given)
  if (name === "") return yield* fail(IsRoot.make({ path: given }))
  if (name === "." || name === "..") return yield* fail(IsDots.make({ path: given }))
  const parent = yield* Effect.catchIf(
    Effect.asSome(files.realPath(FilePath.parent(given))),
    ({ isMissing }) => isMissing,
    () => Effect.succeedNone
  )
  return Option.isNone(parent) ? missing(given) : yield* lookAt(given, FilePath.join(parent.value, name))
})

/**
 * Finds what is at each path, and refuses what must not be deleted. What is named twice counts once, as does what is
 * deleted with something that it is in.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resolve = Effect.fnUntraced(function*(options: {
  /** Absolute, as they were given otherwise. */
  readonly paths: Arr.NonEmptyReadonlyArray<FilePath.FilePath>
  readonly oneFileSystem: boolean
  /** Files of the job's own database. Without links above their names. */
  readonly database: ReadonlyArray<FilePath.FilePath>
}): Effect.fn.Return<Arr.NonEmptyReadonlyArray<DeleteRoot>, DeleteError, Files.Files> {
  const { database, oneFileSystem, paths } = options
  const found = yield* Effect.forEach(paths, (path) => Effect.catchTag(find(path), "FilesError", inaccessible))
  if (found.every(({ kind }) => kind === "missing")) return yield* fail(NothingThere.make({ paths }))
  for (const { kind, path } of found) {
    if (kind !== "missing" && database.includes(path)) return yield* fail(IsDatabase.make({ path }))
  }
  const isCovered = (inner: Found, outer: Found): boolean =>
    outer.kind === "folder" && outer.path !== inner.path && FilePath.isWithin(inner.path, outer.path) &&
    // What is mounted there is only deleted because it was asked for.
    (inner.on === undefined || !oneFileSystem || Files.isOnSame(inner.on, outer.on ?? inner.on))
  const [first, ...others] = Arr.dedupeWith(found, (a, b) => a.path === b.path)
  const kept = [first, ...others].filter((inner) => ![first, ...others].some((outer) => isCovered(inner, outer)))
  const roots = kept.map(({ identity, kind, parent, path }) => ({ identity, kind, parent, path }))
  return Arr.isArrayNonEmpty(roots) ? roots : [first]
})

const stateOrFail = Effect.fnUntraced(function*(root: DeleteRoot): Effect.fn.Return<
  State,
  FilesError,
  Files.Files | Scope.Scope
> {
  const place = yield* Effect.catchIf(
    Place.open(root.path),
    ({ code, isMissing }) => isMissing || code === "ELOOP",
    () => Effect.undefined
  )
  if (place === undefined || folderText(yield* place.folder.identity) !== root.parent) return "Replaced"
  const found = yield* Place.find(place)
  if (Option.isNone(found)) return "Gone"
  if (found.value.kind !== "folder") {
    return root.kind === "other" && otherText(found.value) === root.identity ? "Same" : "Replaced"
  }
  const identity = yield* Effect.flatMap(place.folder.folder(place.name), (folder) => folder.identity)
  return root.kind === "folder" && folderText(identity) === root.identity ? "Same" : "Replaced"
})

/**
 * What has become of a root: `Replaced` where it, or the folder that it is in, is another one than when the job
 * started.
 *
 * @category models
 * @since 0.1.0
 */
export type State = "Same" | "Gone" | "Replaced"

/**
 * What has become of a root that was there when the job started.
 *
 * @category accessors
 * @since 0.1.0
 */
export const state = (root: DeleteRoot): Effect.Effect<State, DeleteError, Files.Files> =>
  Effect.catchTag(Effect.scoped(stateOrFail(root)), "FilesError", inaccessible)

/**
 * Fails where a root, or the folder that it is in, is another one than when the job started. That a root is gone is as
 * good as if the job had deleted it.
 *
 * @category running
 * @since 0.1.0
 */
export const verify = (roots: ReadonlyArray<DeleteRoot>): Effect.Effect<void, DeleteError, Files.Files> =>
  Effect.forEach(
    roots.filter(({ kind }) => kind !== "missing"),
    (root) =>
      Effect.flatMap(
        state(root),
        (state) => state === "Replaced" ? fail(Replaced.make({ path: root.path })) : Effect.void
      ),
    { discard: true }
  )
