/**
 * Files and folders that can do nothing: objects can do some of it.
 */
import * as Effect from "effect/Effect"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Call, FilesError } from "../../FilesError.ts"
import { failure } from "../files/openHandle.ts"

const refusing = (path: FilePath.FilePath) => (call: Call): Effect.Effect<never, FilesError> =>
  Effect.suspend(() => Effect.fail(failure(call, path, "ENOTSUP")))

/** An open file that fails with `ENOTSUP`, and needs no close. */
export const file = (path: FilePath.FilePath): Omit<Files.OpenFile, "stat"> => {
  const refuse = refusing(path)
  return {
    fileSystem: Effect.succeedNone,
    read: () => refuse("read"),
    readAt: () => refuse("read"),
    write: () => refuse("write"),
    writeAt: () => refuse("write"),
    dataFrom: () => refuse("lseek"),
    copyFrom: () => refuse("copy_file_range"),
    cloneFrom: () => refuse("ficlone"),
    truncate: () => refuse("ftruncate"),
    // A store has what it has answered for.
    sync: Effect.void,
    syncFileSystem: Effect.void,
    forget: refuse("fadvise"),
    setMode: () => refuse("fchmod"),
    setTimes: () => refuse("futimes"),
    close: Effect.void
  }
}

/** A folder that fails with `ENOTSUP` where it is to be changed otherwise than by removing what is in it. */
export const folder = (path: FilePath.FilePath) => {
  const refuse = refusing(path)
  return {
    isExact: true,
    create: () => refuse("create"),
    update: () => refuse("open"),
    createUnnamed: refuse("create"),
    makeFolder: () => refuse("mkdir"),
    readLink: () => refuse("readlink"),
    makeLink: () => refuse("symlink"),
    rename: () => refuse("rename"),
    renameExclusively: () => refuse("rename"),
    link: () => refuse("link"),
    sync: Effect.void,
    atOnce: () => Effect.succeedNone
  } satisfies Partial<Files.Folder>
}
