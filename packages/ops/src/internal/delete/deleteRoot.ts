/**
 * What a job deletes, as it was when the job started: a path alone may lead to something else by the time that it goes
 * on.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type { Request } from "../../Delete.ts"
import { DeleteError, Reason } from "../../DeleteError.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { FilesError } from "../../FilesError.ts"
import * as Place from "../path/place.ts"
import { ObjectDeletion } from "./objectDeletion.ts"

/** Schema for what is to be deleted: one file, link or folder, or objects. */
export const DeleteRoot = Schema.Struct({
  /** Real path, or the address of an object, or what the addresses of all `objects` begin with. */
  path: FilePath.FilePath,
  /** `missing` where there was nothing. */
  kind: Schema.Literals(["folder", "other", "object", "objects", "missing"]),
  /** Device, inode and time of birth. Objects have none. */
  identity: Schema.String,
  /** The same of the folder that it is in. */
  parent: Schema.String,
  /** Why nobody knows what was there, where that is so. Such a root is `missing`. */
  error: Schema.optionalKey(FilesError)
})
export type DeleteRoot = typeof DeleteRoot.Type

/** What tells a file or folder from others, as text. */
export const identityText = (
  { bornNanos, device, inode }: Pick<Files.FileStat, "bornNanos" | "device" | "inode">
): string => `${device}:${inode}:${bornNanos}`

const fail = (reason: Reason): Effect.Effect<never, DeleteError> => Effect.fail(new DeleteError({ reason }))

const { FollowsLink, Inaccessible, IsDatabase, IsDots, IsRoot, NotAFolder, NothingThere, Replaced } = Reason.cases

const inaccessible = (error: FilesError): Effect.Effect<never, DeleteError> => fail(Inaccessible.make({ error }))

/** Whether it was there when the job started, on a file system. */
export const isFile = ({ kind }: DeleteRoot): boolean => kind === "folder" || kind === "other"

/** Whether it is an object, or several. */
export const isObject = ({ kind }: DeleteRoot): boolean => kind === "object" || kind === "objects"

interface Found extends DeleteRoot {
  /** What it is on; the folder's own mount, where it is one. */
  readonly on: Files.Identity | undefined
}

const missing = (path: FilePath.FilePath, error?: FilesError): Found => ({
  path,
  kind: "missing",
  identity: "",
  parent: "",
  ...error === undefined ? {} : { error },
  on: undefined
})

/** Looks at what is at a path, and at the folder that it is in. */
const see = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const { folder, name } = yield* Place.open(path)
  const parent = yield* folder.identity
  const stat = Option.getOrUndefined(yield* folder.find(name))
  const own = stat?.kind === "folder"
    ? yield* Effect.flatMap(folder.folder(name), (inner) => inner.identity)
    : undefined
  return { parent, stat, own }
}, Effect.scoped)

const isRootFolder = Effect.fnUntraced(function*(identity: Files.Identity) {
  const files = yield* Files.Files
  const root = yield* Effect.flatMap(files.folder(FilePath.make("/")), (folder) => folder.identity)
  return Files.isSameInode(root, identity)
}, Effect.scoped)

const lookAt = Effect.fnUntraced(function*(given: FilePath.FilePath, path: FilePath.FilePath) {
  const { own, parent, stat } = yield* see(path)
  if (stat === undefined) return missing(path)
  const found = { path, parent: identityText(parent) }
  if (own === undefined) {
    if (given.endsWith("/")) return yield* fail((stat.kind === "link" ? FollowsLink : NotAFolder).make({ path: given }))
    return { ...found, kind: "other", identity: identityText(stat), on: parent } as const
  }
  if (yield* isRootFolder(own)) return yield* fail(IsRoot.make({ path: given }))
  return { ...found, kind: "folder", identity: identityText(own), on: own } as const
})

const find = Effect.fnUntraced(function*(
  given: FilePath.FilePath
): Effect.fn.Return<Found, DeleteError | FilesError, Files.Files> {
  if (FilePath.isAddress(given)) return { ...yield* (yield* ObjectDeletion).find(given), on: undefined }
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
 * deleted with something that it is in. A path that can't be looked at fails by itself, unless nothing else is there.
 */
export const resolve = Effect.fnUntraced(function*(
  { oneFileSystem, paths }: Pick<Request, "oneFileSystem" | "paths">,
  /** Files of the job's own database. Without links above their names. */
  database: ReadonlyArray<FilePath.FilePath>
): Effect.fn.Return<Arr.NonEmptyReadonlyArray<DeleteRoot>, DeleteError, Files.Files> {
  const all = yield* Effect.forEach(
    paths,
    (path) => Effect.catchTag(find(path), "FilesError", (error) => Effect.succeed(missing(path, error)))
  )
  const found = Arr.dedupeWith(all, (a, b) => a.path === b.path)
  if (found.every(({ kind }) => kind === "missing")) {
    const error = found.find(({ error }) => error !== undefined)?.error
    return yield* error === undefined ? fail(NothingThere.make({ paths })) : inaccessible(error)
  }
  for (const { kind, path } of found) {
    if (kind !== "missing" && database.includes(path)) return yield* fail(IsDatabase.make({ path }))
  }
  const isCovered = (inner: Found, outer: Found): boolean =>
    (outer.kind === "folder" || outer.kind === "objects") && outer.path !== inner.path &&
    FilePath.isWithin(inner.path, outer.path) &&
    // What is mounted there is only deleted because it was asked for.
    (inner.on === undefined || !oneFileSystem || Files.isOnSame(inner.on, outer.on ?? inner.on))
  const kept = found.filter((inner) => !found.some((outer) => isCovered(inner, outer)))
  const roots = kept.map((root) => Struct.omit(root, ["on"]))
  return Arr.isArrayNonEmpty(roots) ? roots : [found[0]]
})

/**
 * What has become of a root: `Replaced` where it, or the folder that it is in, is another one than when the job
 * started.
 */
export type State = "Same" | "Gone" | "Replaced"

/** What has become of a root that was there when the job started. */
export const state = (root: DeleteRoot): Effect.Effect<State, DeleteError, Files.Files> =>
  Effect.matchEffect(see(root.path), {
    onFailure: (error) =>
      error.isMissing || error.code === "ELOOP" ? Effect.succeed("Replaced" as const) : inaccessible(error),
    onSuccess: ({ own, parent, stat }) => {
      const kind = own === undefined ? "other" : "folder"
      const isSame = stat !== undefined && root.kind === kind && root.identity === identityText(own ?? stat)
      return Effect.succeed(
        identityText(parent) !== root.parent ? "Replaced" : stat === undefined ? "Gone" : isSame ? "Same" : "Replaced"
      )
    }
  })

/**
 * Fails where a root, or the folder that it is in, is another one than when the job started. That a root is gone is as
 * good as if the job had deleted it.
 */
export const verify = Effect.fnUntraced(function*(roots: ReadonlyArray<DeleteRoot>) {
  for (const root of roots.filter(isFile)) {
    if ((yield* state(root)) !== "Replaced") continue
    return yield* fail(Replaced.make({ path: root.path }))
  }
})
