import { isCode } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import type * as Files from "@fanout/ops/Files"
import { type Call, FilesError } from "@fanout/ops/FilesError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { takeName } from "../src/internal/files/freeName.ts"
import { now } from "../src/internal/files/routine.ts"
import { faultyCalls } from "./faultyCalls.ts"

/** Runs before a call, also with the name of an attribute; what it fails with is what the call fails with. */
export type Before = (call: Call, path: FilePath.FilePath, attribute?: string) => Effect.Effect<void, FilesError>

/** Calls a file system, after asking whether this call is to fail; a call through what is open, too. */
export const intercept = (files: Files.Files["Service"], before: Before): Files.Files["Service"] => {
  const around = <A, E, R>(call: Call, path: FilePath.FilePath, effect: Effect.Effect<A, E, R>, attribute?: string) =>
    Effect.andThen(Effect.suspend(() => before(call, path, attribute)), effect)
  const inners = new WeakMap<Files.OpenFile, Files.OpenFile>()
  const innerFile = (file: Files.OpenFile): Files.OpenFile => inners.get(file) ?? file
  const innerFolders = new WeakMap<Files.Folder, Files.Folder>()
  const innerOf = (folder: Files.Folder | undefined): Files.Folder | undefined =>
    folder === undefined ? undefined : innerFolders.get(folder)
  /** Does work each of whose calls may fail. */
  const running =
    (run: NonNullable<Files.OpenFile["run"]>, path: FilePath.FilePath): NonNullable<Files.OpenFile["run"]> => (work) =>
      run((calls, descriptor) => work(faultyCalls(calls, before, [[descriptor, path]]), descriptor))
  const fileOf = (path: FilePath.FilePath, inner: Files.OpenFile): Files.OpenFile => ({
    stat: around("fstat", path, inner.stat),
    fileSystem: around("fstatfs", path, inner.fileSystem),
    read: (buffer) => around("read", path, inner.read(buffer)),
    readAt: (buffer, offset) => around("read", path, inner.readAt(buffer, offset)),
    write: (bytes) => around("write", path, inner.write(bytes)),
    writeAt: (bytes, offset) => around("write", path, inner.writeAt(bytes, offset)),
    dataFrom: (offset) => around("lseek", path, inner.dataFrom(offset)),
    copyFrom: (file, offset, bytes) => around("copy_file_range", path, inner.copyFrom(innerFile(file), offset, bytes)),
    cloneFrom: (file) => around("ficlone", path, inner.cloneFrom(innerFile(file))),
    truncate: (sizeBytes) => around("ftruncate", path, inner.truncate(sizeBytes)),
    forget: around("fadvise", path, inner.forget),
    sync: around("fsync", path, inner.sync),
    syncFileSystem: around("syncfs", path, inner.syncFileSystem),
    ...inner.run === undefined ? {} : { run: running(inner.run.bind(inner), path) },
    setMode: (mode) => around("fchmod", path, inner.setMode(mode)),
    setTimes: (times) => around("futimes", path, inner.setTimes(times)),
    close: around("close", path, inner.close)
  })
  const file = (path: FilePath.FilePath, inner: Files.OpenFile): Files.OpenFile => {
    const opened = fileOf(path, inner)
    inners.set(opened, inner)
    return opened
  }
  const unnamed = (path: FilePath.FilePath, inner: Files.UnnamedFile): Files.UnnamedFile => ({
    ...file(path, inner),
    link: (name) => around("link", FilePath.join(path, name), inner.link(name))
  })
  const folder = (inner: Files.Folder): Files.Folder => {
    const { path } = inner
    const at = (name: FilePath.FilePath) => FilePath.join(path, name)
    const open = (name: FilePath.FilePath) =>
      around("open", at(name), Effect.map(inner.open(name), (opened) => file(at(name), opened)))
    const lstat = (name: FilePath.FilePath) => around("lstat", at(name), inner.lstat(name))
    const readLink = (name: FilePath.FilePath) => around("readlink", at(name), inner.readLink(name))
    const runIn = inner.run?.bind(inner)
    const unlink = (name: FilePath.FilePath) => around("unlink", at(name), inner.unlink(name))
    const openFolder = (name: FilePath.FilePath) => around("open", at(name), Effect.map(inner.folder(name), folder))
    const removeFolder = (name: FilePath.FilePath) => around("rmdir", at(name), inner.removeFolder(name))
    const opened: Files.Folder = {
      path,
      stat: around("fstat", path, inner.stat),
      identity: around("fstat", path, inner.identity),
      list: around("scandir", path, inner.list),
      lstat,
      find: (name) => around("lstat", at(name), inner.find(name)),
      folder: openFolder,
      open,
      create: (name) => around("create", at(name), Effect.map(inner.create(name), (made) => file(at(name), made))),
      createUnnamed: around("create", path, Effect.map(inner.createUnnamed, (made) => unnamed(path, made))),
      makeFolder: (name) => around("mkdir", at(name), inner.makeFolder(name)),
      readLink,
      makeLink: (target, name) => around("symlink", at(name), inner.makeLink(target, name)),
      rename: (from, to, into) => around("rename", at(from), inner.rename(from, to, innerOf(into))),
      // Each of its steps may fail.
      renameExclusively: (from, to, into = opened, mayStay = false) =>
        around(
          "rename",
          at(from),
          Effect.gen(function*() {
            const descriptor = yield* (innerOf(into) ?? inner).atOnce((_, descriptor) => descriptor)
            const answer = yield* inner.atOnce((calls, folder) => {
              if (Option.isNone(descriptor)) return undefined
              const known = [[folder, path], [descriptor.value, into.path]] as const
              const target = { folder: descriptor.value, name: to }
              const { renameExclusively } = calls
              const faulty = { ...faultyCalls(calls, before, known), renameExclusively }
              return now(takeName, faulty, { folder, name: from }, target, mayStay)
            })
            const code = Option.getOrUndefined(answer)
            if (isCode(code)) yield* error("rename", at(from), code.name)
          })
        ),
      update: (name) => around("open", at(name), Effect.map(inner.update(name), (opened) => file(at(name), opened))),
      ...runIn === undefined
        ? {}
        : { run: (name, work) => running((inside) => runIn(name, inside), path)(work) },
      sync: around("fsync", path, inner.sync),
      link: (existing, name, to) => around("link", at(existing), inner.link(existing, name, innerOf(to))),
      unlink,
      atOnce: (work) =>
        inner.atOnce((calls, descriptor, mayGoOn) =>
          work(faultyCalls(calls, before, [[descriptor, path]]), descriptor, mayGoOn)
        ),
      removeFolder
    }
    innerFolders.set(opened, inner)
    return opened
  }
  const folderAt: Files.Files["Service"]["folder"] = (path) =>
    around("open", path, Effect.map(files.folder(path), folder))
  return {
    lstat: (path) => around("lstat", path, files.lstat(path)),
    stat: (path) => around("stat", path, files.stat(path)),
    find: (path) => around("lstat", path, files.find(path)),
    atOnce: (work, isNeeded) => files.atOnce((calls, mayGoOn) => work(faultyCalls(calls, before), mayGoOn), isNeeded),
    denied: files.denied,
    user: files.user,
    realPath: (path) => around("realpath", path, files.realPath(path)),
    folder: folderAt,
    list: (path) => around("scandir", path, files.list(path)),
    folders: (path) => around("scandir", path, files.folders(path)),
    open: (path) => around("open", path, Effect.map(files.open(path), (inner) => file(path, inner)))
  }
}

export const error = (call: Call, path: FilePath.FilePath, code: string): FilesError =>
  new FilesError({ call, path, code, target: Option.none() })

/** Fails those calls for which this holds. */
export const failing =
  (code: string, isToFail: (call: Call, path: FilePath.FilePath) => boolean): Before => (call, path) =>
    isToFail(call, path) ? Effect.fail(error(call, path, code)) : Effect.void

/** Fails the first call for which this holds, and tells whether there was one. */
export const failingOnce = (
  code: string,
  isToFail: (call: Call, path: FilePath.FilePath) => boolean
): { readonly before: Before; readonly hasFailed: () => boolean } => {
  let hasFailed = false
  return {
    before: (call, path) =>
      Effect.suspend(() => {
        if (hasFailed || !isToFail(call, path)) return Effect.void
        hasFailed = true
        return Effect.fail(error(call, path, code))
      }),
    hasFailed: () => hasFailed
  }
}

/** Fails calls by their names and paths: `open /in/a`. */
export const failingBy = (codes: ReadonlyMap<string, string>): Before => (call, path) => {
  const code = codes.get(`${call} ${path}`)
  return code === undefined ? Effect.void : Effect.fail(error(call, path, code))
}

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
