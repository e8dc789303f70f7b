import { andThen, type Call, type Calls, code, immediate, map } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import type { Call as Name, FilesError } from "@fanout/ops/FilesError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"

/** What happens before a call: what it fails with is what the call fails with. What takes its time is left out. */
type Before = (call: Name, path: FilePath.FilePath, attribute?: string) => Effect.Effect<void, FilesError>

/** Makes calls, after asking whether this one is to fail. Paths of some descriptors may be known. */
export const faultyCalls = (
  calls: Calls,
  before: Before,
  known: Iterable<readonly [number, FilePath.FilePath]> = []
): Calls => {
  const paths = new Map(known)
  const of = (descriptor: number): FilePath.FilePath => paths.get(descriptor) ?? FilePath.empty
  const at = (folder: number, name: FilePath.FilePath) => FilePath.join(of(folder), name)
  const around = <A>(name: Name, path: FilePath.FilePath, call: Call<A>, attribute?: string): Call<A> =>
    andThen(
      immediate(() => {
        const exit = Effect.runSyncExit(before(name, path, attribute))
        if (Exit.isSuccess(exit)) return undefined
        const error = Cause.findErrorOption(exit.cause)
        if (Option.isSome(error)) return code(error.value.code)
        // Somebody waits for something: nobody can, here.
        const defect = Cause.squash(exit.cause)
        if (Cause.isAsyncFiberError(defect)) return undefined
        throw defect
      }),
      () => call
    )
  const opening = (name: Name, path: FilePath.FilePath, call: Call<number>): Call<number> =>
    map(around(name, path, call), (descriptor) => {
      paths.set(descriptor, path)
      return descriptor
    })
  return {
    ...calls,
    statPath: (path, follows) => around(follows ? "stat" : "lstat", path, calls.statPath(path, follows)),
    realPath: (path) => around("realpath", path, calls.realPath(path)),
    open: (folder, name, mode) =>
      opening(
        mode === "create" || mode === "unnamed" ? "create" : "open",
        mode === "unnamed" ? of(folder) : at(folder, name),
        calls.open(folder, name, mode)
      ),
    openPath: (path, mode) => opening("open", path, calls.openPath(path, mode)),
    createAs: (folder, name, mode) => opening("create", at(folder, name), calls.createAs(folder, name, mode)),
    close: (descriptor) => around("close", of(descriptor), calls.close(descriptor)),
    stat: (descriptor) => around("fstat", of(descriptor), calls.stat(descriptor)),
    identity: (descriptor) => around("fstat", of(descriptor), calls.identity(descriptor)),
    lstat: (folder, name) => around("lstat", at(folder, name), calls.lstat(folder, name)),
    list: (descriptor, add, skips) => around("scandir", of(descriptor), calls.list(descriptor, add, skips)),
    readLink: (folder, name) => around("readlink", at(folder, name), calls.readLink(folder, name)),
    read: (descriptor, buffer, place) => around("read", of(descriptor), calls.read(descriptor, buffer, place)),
    write: (descriptor, bytes, place) => around("write", of(descriptor), calls.write(descriptor, bytes, place)),
    seek: (descriptor, place, to) => around("lseek", of(descriptor), calls.seek(descriptor, place, to)),
    copyRange: (from, to, place, length) => around("copy_file_range", of(to), calls.copyRange(from, to, place, length)),
    truncate: (descriptor, sizeBytes) => around("ftruncate", of(descriptor), calls.truncate(descriptor, sizeBytes)),
    readAnew: (descriptor) => around("fadvise", of(descriptor), calls.readAnew(descriptor)),
    listAttributes: (descriptor) => around("listxattr", of(descriptor), calls.listAttributes(descriptor)),
    getAttribute: (descriptor, name) => around("getxattr", of(descriptor), calls.getAttribute(descriptor, name), name),
    setAttribute: (descriptor, name, value) =>
      around("setxattr", of(descriptor), calls.setAttribute(descriptor, name, value)),
    listAttributesAt: (folder, name) => around("listxattr", at(folder, name), calls.listAttributesAt(folder, name)),
    getAttributeAt: (folder, of, name) =>
      around("getxattr", at(folder, of), calls.getAttributeAt(folder, of, name), name),
    setAttributeAt: (folder, of, name, value) =>
      around("setxattr", at(folder, of), calls.setAttributeAt(folder, of, name, value)),
    setOwner: (descriptor, owner) => around("fchown", of(descriptor), calls.setOwner(descriptor, owner)),
    setOwnerAt: (folder, name, owner) => around("lchown", at(folder, name), calls.setOwnerAt(folder, name, owner)),
    setMode: (descriptor, mode) => around("fchmod", of(descriptor), calls.setMode(descriptor, mode)),
    setTimes: (descriptor, times) => around("futimes", of(descriptor), calls.setTimes(descriptor, times)),
    setTimesAt: (folder, name, times) => around("lutimes", at(folder, name), calls.setTimesAt(folder, name, times)),
    makeFolder: (folder, name, mode) => around("mkdir", at(folder, name), calls.makeFolder(folder, name, mode)),
    makeLink: (target, folder, name) => around("symlink", at(folder, name), calls.makeLink(target, folder, name)),
    rename: (folder, from, into, to) => around("rename", at(folder, from), calls.rename(folder, from, into, to)),
    renameExclusively: (folder, from, into, to) =>
      around("rename", at(folder, from), calls.renameExclusively(folder, from, into, to)),
    link: (folder, existing, to, name) => around("link", at(folder, existing), calls.link(folder, existing, to, name)),
    unlink: (folder, name) => around("unlink", at(folder, name), calls.unlink(folder, name)),
    removeFolder: (folder, name) => around("rmdir", at(folder, name), calls.removeFolder(folder, name))
  }
}
