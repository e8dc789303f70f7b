import type * as FilePath from "@fanout/ops/FilePath"
import type * as Files from "@fanout/ops/Files"
import { type Call, FilesError } from "@fanout/ops/FilesError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** Runs before a call; what it fails with is what the call fails with. */
export type Before = (call: Call, path: FilePath.FilePath) => Effect.Effect<void, FilesError>

/** Calls a file system, after asking whether this call is to fail. */
export const intercept = (files: Files.Files["Service"], before: Before): Files.Files["Service"] => {
  const around = <A, E, R>(call: Call, path: FilePath.FilePath, effect: Effect.Effect<A, E, R>) =>
    Effect.andThen(before(call, path), effect)
  const file = (path: FilePath.FilePath, inner: Files.OpenFile): Files.OpenFile => ({
    stat: around("fstat", path, inner.stat),
    read: (buffer) => around("read", path, inner.read(buffer)),
    readAt: (buffer, offset) => around("read", path, inner.readAt(buffer, offset)),
    write: (bytes) => around("write", path, inner.write(bytes)),
    setMode: (mode) => around("fchmod", path, inner.setMode(mode)),
    setTimes: (times) => around("futimes", path, inner.setTimes(times)),
    close: around("close", path, inner.close)
  })
  return {
    lstat: (path) => around("lstat", path, files.lstat(path)),
    stat: (path) => around("stat", path, files.stat(path)),
    find: (path) => around("lstat", path, files.find(path)),
    realPath: (path) => around("realpath", path, files.realPath(path)),
    list: (folder) => around("scandir", folder, files.list(folder)),
    open: (path) => around("open", path, Effect.map(files.open(path), (inner) => file(path, inner))),
    create: (path) => around("create", path, Effect.map(files.create(path), (inner) => file(path, inner))),
    makeFolder: (path) => around("mkdir", path, files.makeFolder(path)),
    readLink: (path) => around("readlink", path, files.readLink(path)),
    makeLink: (target, path) => around("symlink", path, files.makeLink(target, path)),
    setLinkTimes: (path, times) => around("lutimes", path, files.setLinkTimes(path, times)),
    rename: (from, to) => around("rename", from, files.rename(from, to)),
    link: (existing, path) => around("link", existing, files.link(existing, path)),
    unlink: (path) => around("unlink", path, files.unlink(path))
  }
}

export const error = (call: Call, path: FilePath.FilePath, code: string): FilesError =>
  new FilesError({ call, path, code, target: Option.none() })

/** Lets `n` calls pass and fails the one after them, once. */
export const failAfter = (
  n: number,
  code: string
): { readonly before: Before; readonly failed: () => Call | undefined } => {
  let left = n
  let failed: Call | undefined
  return {
    before: (call, path) =>
      Effect.suspend(() => {
        if (left-- !== 0) return Effect.void
        failed = call
        return Effect.fail(error(call, path, code))
      }),
    failed: () => failed
  }
}
