/**
 * Says which call to the file system failed, on what, and why; and why a destination was refused.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"

/**
 * Schema for the calls that `Files` makes.
 *
 * @category schemas
 */
export const Call = Schema.Literals([
  "lstat",
  "stat",
  "fstat",
  "fstatfs",
  "scandir",
  "open",
  "create",
  "read",
  "write",
  "lseek",
  "copy_file_range",
  "ficlone",
  "ftruncate",
  "fadvise",
  "fsync",
  "syncfs",
  "listxattr",
  "getxattr",
  "setxattr",
  "fchown",
  "lchown",
  "fchmod",
  "futimes",
  "close",
  "mkdir",
  "readlink",
  "symlink",
  "lutimes",
  "rename",
  "link",
  "unlink",
  "rmdir",
  "realpath"
])
export type Call = typeof Call.Type

const verbs: Readonly<Record<Call, string>> = {
  lstat: "look at",
  stat: "look at",
  fstat: "look at",
  fstatfs: "tell the file system of",
  scandir: "list",
  open: "open",
  create: "create",
  read: "read",
  write: "write",
  lseek: "find the holes of",
  copy_file_range: "copy into",
  ficlone: "share blocks with",
  ftruncate: "set the size of",
  fadvise: "forget the content of",
  fsync: "flush",
  syncfs: "flush the file system of",
  listxattr: "list the extended attributes of",
  getxattr: "read an extended attribute of",
  setxattr: "set an extended attribute of",
  fchown: "set the owner of",
  lchown: "set the owner of",
  fchmod: "set the mode of",
  futimes: "set the times of",
  close: "close",
  mkdir: "create",
  readlink: "read",
  symlink: "create",
  lutimes: "set the times of",
  rename: "rename",
  link: "link",
  unlink: "remove",
  rmdir: "remove",
  realpath: "resolve"
}

const meanings: Readonly<Record<string, string>> = {
  E2BIG: "it is too large",
  EACCES: "permission denied",
  EBUSY: "it is in use",
  EDQUOT: "the disk quota is used up",
  EEXIST: "something with this name exists",
  EFBIG: "the file is too large for this file system",
  EIO: "the device failed to read or write",
  EINVAL: "the file system does not take this",
  EISDIR: "it is a folder",
  ELOOP: "it is a link, leads through too many, or leads back to where it is",
  EMFILE: "this process has too many files open",
  EMLINK: "it has too many links",
  ENAMETOOLONG: "the name is too long",
  ENFILE: "the system has too many files open",
  ENODEV: "the device is gone",
  ENOENT: "it does not exist",
  ENOLINK: "it is a link that leads to nothing",
  ENOSPC: "no space is left on the device",
  ENOTCONN: "the file system is not connected",
  ENOTDIR: "it, or something above it, is not a folder",
  ENOTEMPTY: "the folder is not empty",
  ENOTSUP: "the file system does not support it",
  ENXIO: "there is no such device",
  EOPNOTSUPP: "the file system does not support it",
  EPERM: "the operation is not permitted",
  EROFS: "the file system is read-only",
  ESTALE: "the file system has gone stale",
  ETXTBSY: "it is a program that runs",
  EXDEV: "it is on another file system"
}

/**
 * What the kernel answers where there is nothing at a path.
 *
 * @category predicates
 */
export const missing: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR"])

/**
 * Error of every call to the file system.
 *
 * @category errors
 */
export class FilesError extends Schema.TaggedError<FilesError>("@fanout/ops/FilesError")("FilesError", {
  call: Call,
  /** Name of the error as the kernel has it, such as `ENOENT`. */
  code: Schema.String,
  path: FilePath.FilePath,
  /** The other path of a call that takes two. */
  target: Schema.OptionFromOptional(FilePath.FilePath),
  /** What an object store says of it, where no file system was asked. The code is its reason then. */
  told: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    if (this.told !== undefined) return this.told
    const what = `${verbs[this.call]} "${FilePath.display(this.path)}"`
    const to = Option.match(this.target, { onNone: () => "", onSome: (path) => ` to "${FilePath.display(path)}"` })
    const meaning = meanings[this.code]
    return `Could not ${what}${to}: ${meaning === undefined ? this.code : `${meaning} (${this.code})`}`
  }

  /**
   * Whether there is nothing at the path: not itself, or not the folder it should be in.
   */
  get isMissing(): boolean {
    return missing.has(this.code)
  }

  /**
   * Whether a folder could not be removed because something is in it. POSIX has two codes for that.
   */
  get isNotEmpty(): boolean {
    return this.code === "ENOTEMPTY" || this.code === "EEXIST"
  }
}

const pair = { source: FilePath.FilePath, target: FilePath.FilePath }

/**
 * Schema for what is wrong with sources and destination.
 *
 * **Details**
 *
 * - `SourceMissing`, `FolderMissing`: there is nothing at the path.
 * - `ParentMissing`: the folder that the copy is to be created in is missing.
 * - `NotAFolder`: a folder is needed where something else is.
 * - `TooManySources`: several sources where the destination is to be the copy itself.
 * - `SameFile`: source and target are one file, under whatever names.
 * - `IntoItself`: the target is inside of the source.
 * - `OverItself`: the source is in the target, and what is inside of `inner` would take the place of other sources.
 * - `FolderOverFile`, `FileOverFolder`: the target is of the other kind.
 * - `SameTarget`: two sources would get the same place, or one a place inside of the other's.
 * - `Inaccessible`: the file system could not be asked.
 * - `Address`: an address is none, or what is asked for can't be done with one.
 *
 * @category schemas
 */
export const DestinationReason = Schema.TaggedUnion({
  SourceMissing: { path: FilePath.FilePath },
  FolderMissing: { path: FilePath.FilePath },
  ParentMissing: { path: FilePath.FilePath, parent: FilePath.FilePath },
  NotAFolder: { path: FilePath.FilePath },
  TooManySources: { count: Schema.Natural },
  SameFile: pair,
  IntoItself: pair,
  OverItself: { ...pair, inner: FilePath.FilePath },
  FolderOverFile: pair,
  FileOverFolder: pair,
  SameTarget: { first: FilePath.FilePath, second: FilePath.FilePath, target: FilePath.FilePath },
  Inaccessible: { error: FilesError },
  Address: { why: Schema.String }
})
export type DestinationReason = typeof DestinationReason.Type

const show = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

/**
 * Error of a destination that was refused.
 *
 * @category errors
 */
export class DestinationError
  extends Schema.TaggedError<DestinationError>("@fanout/ops/DestinationError")("DestinationError", {
    reason: DestinationReason
  })
{
  override get message(): string {
    return DestinationReason.match(this.reason, {
      SourceMissing: ({ path }) => `There is nothing at ${show(path)}: check the spelling, or mount what it is on`,
      FolderMissing: ({ path }) => `There is no folder ${show(path)} to copy into: create it first, with mkdir`,
      ParentMissing: ({ parent, path }) =>
        `${show(path)} can't be created, since there is no folder ${show(parent)}: create it first, with mkdir -p`,
      NotAFolder: ({ path }) => `${show(path)} has to be a folder and is not: name another one, or move it away`,
      TooManySources: ({ count }) =>
        `With -T the destination is the copy itself, so ${count} sources are too many: name one, or leave out -T`,
      SameFile: ({ source, target }) =>
        `${show(source)} and ${show(target)} are the same file: name another destination`,
      IntoItself: ({ source, target }) =>
        `${show(source)} can't go into itself, to ${show(target)}: name a destination outside of it`,
      OverItself: ({ inner, source, target }) =>
        `${show(source)} can't go to ${show(target)}, since copies of what is in ${show(inner)} would take the place ` +
        "of what is to be copied, too: name a destination outside of it",
      FolderOverFile: ({ source, target }) =>
        `The folder ${show(source)} can't take the place of ${show(target)}, which is none: move that away first`,
      FileOverFolder: ({ source, target }) =>
        `${show(source)} can't take the place of the folder ${show(target)}: move that away first`,
      SameTarget: ({ first, second, target }) =>
        `${show(first)} and ${show(second)} would both be copied to ${show(target)}: copy them one after the other`,
      Inaccessible: ({ error }) => error.message,
      Address: ({ why }) => why
    })
  }
}
