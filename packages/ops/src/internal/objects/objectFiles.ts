/**
 * A file system in which an address may stand where a path does.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { ObjectStores } from "../../ObjectStore.ts"
import { failure } from "../files/openHandle.ts"
import { QuickFiles } from "../files/quickFiles.ts"
import * as Access from "./objectAccess.ts"
import * as ObjectDelete from "./objectDeleteLive.ts"
import * as ObjectFolder from "./objectFolder.ts"
import * as ObjectListing from "./objectListing.ts"

/** An address with one slash at its end for several, and none behind a bucket. */
const plain = (path: FilePath.FilePath): FilePath.FilePath =>
  FilePath.make(path.replace(/\/+$/, FilePath.name(path) === "" ? "" : "/"))

/** Adds objects to a file system. */
const make = (files: Files.Files["Service"], access: Access.ObjectAccess): Files.Files["Service"] => {
  const either =
    <A>(ofObject: (path: FilePath.FilePath) => A, ofFile: (path: FilePath.FilePath) => A) =>
    (path: FilePath.FilePath): A => FilePath.isAddress(path) ? ofObject(plain(path)) : ofFile(path)
  const lstat = (path: FilePath.FilePath) => ObjectFolder.lstat(access, path)
  // The slash tells a folder from an object of its name, which may come later.
  const realPath = (path: FilePath.FilePath) =>
    Effect.map(
      ObjectFolder.find(access, path),
      (found) => Option.exists(found, ({ kind }) => kind === "folder") ? plain(FilePath.make(`${path}/`)) : path
    )
  return {
    ...files,
    folder: either((path) => Effect.succeed(ObjectFolder.folder(access, path)), files.folder),
    list: either((path) => ObjectListing.list(access, path), files.list),
    folders: either((path) => Effect.fail(failure("scandir", path, "ENOTSUP")), files.folders),
    open: either((path) => ObjectFolder.open(access, path), files.open),
    stat: either(lstat, files.stat),
    lstat: either(lstat, files.lstat),
    find: either((path) => ObjectFolder.find(access, path), files.find),
    realPath: either(realPath, files.realPath)
  }
}

/**
 * Files, among which are objects, and what is shared by all that works on these. Objects that are all copied to others
 * are opened without being read.
 */
export const withObjects = Effect.fnUntraced(function*(areForObjects = false) {
  const local = yield* Files.Files
  const made = yield* Access.make({ user: yield* local.user, denied: yield* local.denied })
  const access = areForObjects ? { ...made, opened: new Map() } : made
  return { access, files: make(local, access) }
})

/** The same, where files of this machine among these are asked at once, if that is quick. */
export const withQuickFiles = Effect.fnUntraced(function*(
  paths: ReadonlyArray<FilePath.FilePath>,
  areForObjects = false
) {
  const { access, files } = yield* withObjects(areForObjects)
  const { throughout } = yield* QuickFiles
  const quick = yield* throughout(paths.filter((path) => !FilePath.isAddress(path)))
  return { access, files: Option.match(quick, { onNone: () => files, onSome: (quick) => make(quick, access) }) }
})

/** Layer that supplies files in which an address may stand in place of a path, also where they are deleted. */
export const layerFiles: Layer.Layer<Files.Files, never, Files.Files | ObjectStores> = Layer.merge(
  Layer.effect(Files.Files, Effect.map(withObjects(), ({ files }) => files)),
  ObjectDelete.layer
)
