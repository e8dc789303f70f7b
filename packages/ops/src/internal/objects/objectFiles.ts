/**
 * A file system in which an address may stand where a path does.
 */
import * as Effect from "effect/Effect"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { failure } from "../files/openHandle.ts"
import type { ObjectAccess } from "./objectAccess.ts"
import * as ObjectFolder from "./objectFolder.ts"

/** An address without slashes at its end. */
const plain = (path: FilePath.FilePath): FilePath.FilePath => FilePath.make(path.replace(/\/+$/, ""))

/** Adds objects to a file system. */
export const make = (files: Files.Files["Service"], access: ObjectAccess): Files.Files["Service"] => {
  const either =
    <A>(ofObject: (path: FilePath.FilePath) => A, ofFile: (path: FilePath.FilePath) => A) =>
    (path: FilePath.FilePath): A => FilePath.isAddress(path) ? ofObject(plain(path)) : ofFile(path)
  const lstat = (path: FilePath.FilePath) => ObjectFolder.lstat(access, path)
  return {
    ...files,
    folder: either((path) => Effect.succeed(ObjectFolder.folder(access, path)), files.folder),
    list: either((path) => ObjectFolder.list(access, path), files.list),
    folders: either((path) => Effect.fail(failure("scandir", path, "ENOTSUP")), files.folders),
    open: either((path) => ObjectFolder.open(access, path), files.open),
    stat: either(lstat, files.stat),
    lstat: either(lstat, files.lstat),
    find: either((path) => ObjectFolder.find(access, path), files.find),
    realPath: either(Effect.succeed, files.realPath)
  }
}
