/**
 * Shows what keys have in common, up to a slash, as a folder.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { ObjectStoreError } from "../../ObjectStore.ts"
import { failure } from "../files/openHandle.ts"
import { asCall, infoOf, type Known, type ObjectAccess, ofFolder } from "./objectAccess.ts"
import * as ObjectContent from "./objectContent.ts"
import * as ObjectListing from "./objectListing.ts"
import { folderStat, numberOf, statOf } from "./objectStat.ts"
import * as Unsupported from "./unsupportedCalls.ts"

/**
 * Asks the store what has the name: an object, or else a folder where keys begin with it. A bucket is a folder, and
 * nothing else has a name that ends with a slash.
 */
export const ask = Effect.fnUntraced(function*(
  access: ObjectAccess,
  path: FilePath.FilePath
): Effect.fn.Return<Known, ObjectStoreError> {
  const { key, store } = yield* access.at(path)
  const found = key === "" || path.endsWith("/") ? Option.none() : yield* store.head(key)
  if (Option.isSome(found)) return { _tag: "Object", info: found.value }
  const inside = yield* Stream.runHead(store.list(key === "" ? "" : `${key}/`))
  return { _tag: key === "" || Option.isSome(inside) ? "Folder" : "Absent" }
})

/** What has the name, as a file or a folder: as it was listed of late, or as the store says. */
export const find = Effect.fnUntraced(function*(
  access: ObjectAccess,
  path: FilePath.FilePath
): Effect.fn.Return<Option.Option<Files.FileStat>, FilesError> {
  const known = access.known.get(path) ?? (yield* asCall("lstat", path, ask(access, path)))
  const { bucket, key } = yield* asCall("lstat", path, access.at(path))
  switch (known._tag) {
    case "Absent":
      return Option.none()
    case "Folder":
      return Option.some(folderStat(bucket, key, yield* Clock.currentTimeMillis, access.process))
    case "Object":
      return Option.some(statOf(bucket, known.info, access.process))
  }
})

/** Like `find`, and fails where there is nothing. */
export const lstat = (access: ObjectAccess, path: FilePath.FilePath): Effect.Effect<Files.FileStat, FilesError> =>
  Effect.flatMap(
    find(access, path),
    Option.match({ onNone: () => Effect.fail(failure("lstat", path, "ENOENT")), onSome: Effect.succeed })
  )

/** Opens an object to read it. A folder that is opened says what it is, and no more. */
export const open = Effect.fnUntraced(function*(access: ObjectAccess, path: FilePath.FilePath) {
  const place = yield* asCall("open", path, access.at(path))
  if (path.endsWith("/") || access.known.get(path)?._tag === "Folder") {
    return { ...Unsupported.file(path), stat: lstat(access, path) } satisfies Files.OpenFile
  }
  const listed = infoOf(access, path)
  // Who looks at it from now on is to see what it is by then.
  access.known.delete(path)
  return yield* access.opened === undefined
    ? ObjectContent.open(access, place, path, listed?.sizeBytes)
    : ObjectContent.openUnread(access.opened, access, place, path, listed)
})

/** Removes an object. */
const unlink = Effect.fnUntraced(function*(
  access: ObjectAccess,
  path: FilePath.FilePath,
  call: "unlink" | "rmdir" = "unlink"
): Effect.fn.Return<void, FilesError> {
  const { key, store } = yield* asCall(call, path, access.at(path))
  const remove = Effect.flatMap(
    store.remove([call === "rmdir" ? `${key}/` : key]),
    ([failed]) => failed === undefined ? Effect.void : Effect.fail(failed)
  )
  yield* asCall(call, path, remove)
})

/** Removes what marks an empty folder, if there is one and nothing else is in the folder. A marker has no content. */
const removeFolder = Effect.fnUntraced(function*(access: ObjectAccess, path: FilePath.FilePath) {
  const { key, store } = yield* asCall("rmdir", path, access.at(path))
  if (key === "") return yield* failure("rmdir", path, "ENOTEMPTY")
  const found = yield* asCall("rmdir", path, Stream.runCollect(Stream.take(store.list(`${key}/`), 2)))
  const isEmpty = found.every((object) => object.key === `${key}/` && object.sizeBytes === 0)
  if (!isEmpty) return yield* failure("rmdir", path, "ENOTEMPTY")
  if (found.length > 0) yield* unlink(access, path, "rmdir")
})

/** The folder at an address. */
export const folder = (access: ObjectAccess, path: FilePath.FilePath): Files.Folder => {
  const of = (name: FilePath.FilePath): FilePath.FilePath => FilePath.join(path, name)
  const device = numberOf(path.split("/")[2] ?? "")
  return {
    ...Unsupported.folder(path),
    path,
    stat: lstat(access, path),
    identity: Effect.succeed({ device, inode: numberOf(ofFolder(path)), bornNanos: 0n, mount: device }),
    list: ObjectListing.list(access, path),
    lstat: (name) => lstat(access, of(name)),
    find: (name) => find(access, of(name)),
    folder: (name) => Effect.succeed(folder(access, of(name))),
    open: (name) => open(access, of(name)),
    unlink: (name) => unlink(access, of(name)),
    removeFolder: (name) => removeFolder(access, of(name))
  }
}
