/**
 * The calls to the file system that file jobs make, and nothing else that knows a platform.
 *
 * Everything in this package that touches a disk does it through this contract. Paths are bytes (`FilePath`), times
 * are nanoseconds, sizes may be over 4 GiB.
 *
 * A job works on real paths and is confined to them: what `folder`, `list` and `open` are given must not lead through
 * a link, in no component, and everything that changes something does it by a name in a `Folder` that is open. So
 * nobody who swaps a folder for a link while a job runs makes it read, write or remove anything elsewhere. What a
 * person names may well lead through links: `realPath` turns it into a real path, once, before the job starts.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Calls, Failed, Work } from "./Calls.ts"
import type { FilePath } from "./FilePath.ts"
import type { FilesError } from "./FilesError.ts"
import type { FolderListing } from "./FolderListing.ts"
import type { Checksum } from "./ObjectStore.ts"

/**
 * Schema for what a thing in a file system is; `special` is a FIFO, a socket or a device.
 *
 * @category schemas
 */
export const FileKind = Schema.Literals(["file", "link", "folder", "special"])
export type FileKind = typeof FileKind.Type

/**
 * What a `special` thing is.
 *
 * @category schemas
 */
export const SpecialKind = Schema.Literals(["FIFO", "socket", "device"])
export type SpecialKind = typeof SpecialKind.Type

/**
 * What the file system knows of a file.
 *
 * @category models
 */
export interface FileStat {
  readonly kind: FileKind
  /** What it is if it is `special`, as far as that is known. */
  readonly special?: SpecialKind | undefined
  /** Identifies the file together with `inode`, whatever it is called. */
  readonly device: bigint
  readonly inode: bigint
  /** How many names it has. */
  readonly links: number
  /** Permissions, with the set-id and sticky bits (`0o7777`). */
  readonly mode: number
  readonly owner: number
  readonly group: number
  readonly sizeBytes: number
  /** What it takes on the device. With less than its size it has holes, or is compressed. */
  readonly allocatedBytes: number
  readonly accessedNanos: bigint
  readonly modifiedNanos: bigint
  /** When content, mode, owner or names changed last. Nobody can set it. */
  readonly changedNanos: bigint
  /** When it was created; 0 where that is not known. Inodes are used again, with another time. */
  readonly bornNanos: bigint
}

/**
 * What tells a folder from every other one, whatever it is called.
 *
 * @category models
 */
export interface Identity {
  readonly device: bigint
  readonly inode: bigint
  /** When it was created; 0 where that is not known. Inodes are used again, with another time. */
  readonly bornNanos: bigint
  /** Number of the mount that it is on, until that is unmounted. A folder may be on several. */
  readonly mount: bigint
}

/**
 * Times that a copy gets from its source.
 *
 * @category models
 */
export interface FileTimes {
  readonly accessedNanos: bigint
  readonly modifiedNanos: bigint
}

/**
 * Whose a file is.
 *
 * @category models
 */
export interface Owner {
  readonly owner: number
  readonly group: number
}

/**
 * Extended attribute. Access control lists are such, too.
 *
 * @category models
 */
export interface Attribute {
  /** With its namespace before a dot; one character for each byte. */
  readonly name: string
  readonly value: Uint8Array
}

/**
 * Part of a file.
 *
 * @category models
 */
export interface Stretch {
  readonly start: number
  /** Behind its last byte. */
  readonly end: number
}

/**
 * File or folder that is open. It is closed with its scope at the latest. A size, place, mode or owner that is
 * negative, no whole number or too large fails with `EINVAL`, and changes nothing.
 *
 * @category models
 */
export interface OpenFile {
  /** What the file system knows of it. */
  readonly stat: Effect.Effect<FileStat, FilesError>

  /** Checksum of all of its content, where a store keeps one. */
  readonly kept?: Checksum | undefined

  /** Whether it is an object with metadata that no file can be given. */
  readonly hasMetadata?: boolean

  /**
   * Names the file system that it is on: as before when that was mounted anew, and as no other, whatever its device is
   * called. `None` where nothing is known to do so.
   */
  readonly fileSystem: Effect.Effect<Option.Option<string>, FilesError>

  /** Reads on from where it stands, and returns how many bytes it got; 0 at the end of the file. */
  readonly read: (buffer: Uint8Array) => Effect.Effect<number, FilesError>

  /** Reads what is at this place, wherever it stands, and returns how many bytes it got; 0 behind the end. */
  readonly readAt: (buffer: Uint8Array, offset: number) => Effect.Effect<number, FilesError>

  /** Writes all of these bytes where it stands. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, FilesError>

  /** Writes all of these bytes at this place, wherever it stands. */
  readonly writeAt: (bytes: Uint8Array, offset: number) => Effect.Effect<void, FilesError>

  /**
   * The next stretch of data that begins at this place or behind it; between two are holes. `None` behind the last.
   * Fails with `ENOTSUP` where that is not known. `read` does not go on from where it stood before.
   */
  readonly dataFrom: (offset: number) => Effect.Effect<Option.Option<Stretch>, FilesError>

  /**
   * Writes what another file has at this place to the same place, within the kernel, and gives how many bytes it was;
   * 0 at the end of the other file. Fails with `ENOTSUP` where there is no such call, and with `EXDEV`, `EINVAL` and
   * others where it does not work for these files.
   */
  readonly copyFrom: (file: OpenFile, offset: number, bytes: number) => Effect.Effect<number, FilesError>

  /** Shares all the blocks of another file, where these can be shared. It must be empty. */
  readonly cloneFrom: (file: OpenFile) => Effect.Effect<void, FilesError>

  /** Sets the size. What it gains is a hole. */
  readonly truncate: (sizeBytes: number) => Effect.Effect<void, FilesError>

  /** Returns once all of it is on the device. What fails then may be lost: once more would not tell. */
  readonly sync: Effect.Effect<void, FilesError>

  /** Returns once all is on the device that was written to its file system before. Fails with `ENOTSUP`. */
  readonly syncFileSystem: Effect.Effect<void, FilesError>

  /**
   * Has the system forget what it remembers of the content, once that is on the device, so that it is read from there.
   * Fails with `ENOTSUP` where there is no such call.
   */
  readonly forget: Effect.Effect<void, FilesError>

  /**
   * Does work of many calls with its descriptor, one call after the other. Fails with the call that the work can't do
   * without. What has no descriptor, such as an object, does not have this.
   */
  readonly run?: <A>(
    work: (calls: Calls, descriptor: number) => Work<A | Failed>
  ) => Effect.Effect<A, FilesError>

  /** Sets permissions, with the set-id and sticky bits. */
  readonly setMode: (mode: number) => Effect.Effect<void, FilesError>

  /** Sets the times. */
  readonly setTimes: (times: FileTimes) => Effect.Effect<void, FilesError>

  /** Closes it now. What could not be written may only be noticed here. */
  readonly close: Effect.Effect<void, FilesError>
}

/**
 * File that has no name yet, open to write to it. If it gets none, nothing is left of it, not even after a crash.
 *
 * @category models
 */
export interface UnnamedFile extends OpenFile {
  /** Gives it a name in the folder that it was created in. Fails with `EEXIST`. */
  readonly link: (name: FilePath) => Effect.Effect<void, FilesError>
}

/**
 * Names of files in a folder.
 *
 * @category models
 */
export interface FilesIn {
  readonly path: FilePath
  readonly names: ReadonlyArray<FilePath>
}

/**
 * How much there is in and below a folder.
 *
 * @category models
 */
export interface FolderSize {
  /** Files and links. */
  readonly leaves: number
  /** Folders, with itself. */
  readonly folders: number
}

/**
 * The folders in a folder.
 *
 * @category models
 */
export interface FoldersIn {
  /** What tells the folder itself from others. */
  readonly identity: Identity
  /** Folders, and what may be one: where kinds are not told all is `unknown`. */
  readonly listing: FolderListing
  /** How many entries are no folder, or may be none. */
  readonly others: number
}

/**
 * Folder that is open, whatever becomes of its path. It is closed with its scope.
 *
 * **Details**
 *
 * Each name is one component: neither empty, `.` or `..`, nor with a slash in it (`EINVAL`). No link is followed.
 *
 * @category models
 */
export interface Folder {
  /** Where it was when it was opened, as messages say it. */
  readonly path: FilePath

  /** Whether each name in it is its own, however long, and never taken for another one, so that nobody has to look. */
  readonly isExact?: true

  /** What the file system knows of it. */
  readonly stat: Effect.Effect<FileStat, FilesError>

  /** What tells it from other folders. */
  readonly identity: Effect.Effect<Identity, FilesError>

  /** What is in it. */
  readonly list: Effect.Effect<FolderListing, FilesError>

  /** What has the name; the link itself where that is one. */
  readonly lstat: (name: FilePath) => Effect.Effect<FileStat, FilesError>

  /** Like `lstat`, and `None` where there is nothing. */
  readonly find: (name: FilePath) => Effect.Effect<Option.Option<FileStat>, FilesError>

  /** Opens a folder in it. Fails with `ENOTDIR` on anything else, links included. */
  readonly folder: (name: FilePath) => Effect.Effect<Folder, FilesError, Scope.Scope>

  /** Opens a file or folder to read from it. Never follows a link (`ELOOP`), never waits for the writer of a FIFO. */
  readonly open: (name: FilePath) => Effect.Effect<OpenFile, FilesError, Scope.Scope>

  /** Creates a file that only its owner may use (`0600`), and opens it to write to it. Fails with `EEXIST`. */
  readonly create: (name: FilePath) => Effect.Effect<OpenFile, FilesError, Scope.Scope>

  /** Opens a file that is there to write on in it. Never follows a link (`ELOOP`), never waits for anybody. */
  readonly update: (name: FilePath) => Effect.Effect<OpenFile, FilesError, Scope.Scope>

  /** Creates a file without a name. Fails with `ENOTSUP` where the file system, or the way to call it, has none. */
  readonly createUnnamed: Effect.Effect<UnnamedFile, FilesError, Scope.Scope>

  /** Creates a folder that only its owner may use (`01700`: that it is not done shows). Fails with `EEXIST`. */
  readonly makeFolder: (name: FilePath) => Effect.Effect<void, FilesError>

  /** Where a link points to, as it stands in the link. */
  readonly readLink: (name: FilePath) => Effect.Effect<FilePath, FilesError>

  /** Creates a link that points to the target. Fails with `EEXIST`. */
  readonly makeLink: (target: FilePath, name: FilePath) => Effect.Effect<void, FilesError>

  /**
   * Does work of many calls by a name, one call after the other, as that of a file is done. A folder of objects does
   * not have this.
   */
  readonly run?: <A>(
    name: FilePath,
    work: (calls: Calls, folder: number) => Work<A | Failed>
  ) => Effect.Effect<A, FilesError>

  /**
   * Gives a file another name, here or in another folder of this file system service, in place of whatever file or link
   * has it.
   */
  readonly rename: (from: FilePath, to: FilePath, into?: Folder) => Effect.Effect<void, FilesError>

  /**
   * Gives something another name that is free, and takes the former one away. Fails with `EEXIST` where it is taken.
   * Where the file system does not do both in one step, a file gets it as one more name; then it keeps the former one,
   * too, if that `mayStay` and can't be taken away. For all else it is looked first.
   */
  readonly renameExclusively: (
    from: FilePath,
    to: FilePath,
    into?: Folder,
    mayStay?: boolean
  ) => Effect.Effect<void, FilesError>

  /** Gives a file one more name, here or in another folder of this file system service. Fails with `EEXIST`. */
  readonly link: (existing: FilePath, name: FilePath, to?: Folder) => Effect.Effect<void, FilesError>

  /** Returns once its names are on the device. */
  readonly sync: Effect.Effect<void, FilesError>

  /** Removes one name of a file. Never removes a folder. */
  readonly unlink: (name: FilePath) => Effect.Effect<void, FilesError>

  /** Removes a folder that is empty. Never removes anything else. */
  readonly removeFolder: (name: FilePath) => Effect.Effect<void, FilesError>

  /** Does work like `Files.atOnce` by the descriptor of this folder. `None` also where it is closed. */
  readonly atOnce: <A>(
    work: (calls: Calls, folder: number, mayGoOn: () => boolean) => A
  ) => Effect.Effect<Option.Option<A>>
}

/**
 * Service that calls the file system.
 *
 * **Details**
 *
 * A call that has begun is waited for, an interrupted fiber's too: a buffer or descriptor that
 * the kernel still uses must not be given to somebody else.
 *
 * @category services
 */
export class Files extends Context.Service<Files, {
  /** Opens the folder at a real path, however long it is. A link in it fails with `ELOOP` or `ENOTDIR`. */
  readonly folder: (path: FilePath) => Effect.Effect<Folder, FilesError, Scope.Scope>

  /** What is in the folder at a real path. A link in it fails with `ELOOP` or `ENOTDIR`. */
  readonly list: (path: FilePath) => Effect.Effect<FolderListing, FilesError>

  /** The folders in the folder at a real path. A link in it fails with `ELOOP` or `ENOTDIR`. */
  readonly folders: (path: FilePath) => Effect.Effect<FoldersIn, FilesError>

  /**
   * Opens what is at a real path to read from it. A link in it fails with `ELOOP`, or `ENOTDIR` above the last
   * component. Never waits for the writer of a FIFO.
   */
  readonly open: (path: FilePath) => Effect.Effect<OpenFile, FilesError, Scope.Scope>

  /** What is at the path, or where links from there lead to. */
  readonly stat: (path: FilePath) => Effect.Effect<FileStat, FilesError>

  /** What is at the path; the link itself where that is one. Links above it are followed. */
  readonly lstat: (path: FilePath) => Effect.Effect<FileStat, FilesError>

  /** Like `lstat`, and `None` where there is nothing. */
  readonly find: (path: FilePath) => Effect.Effect<Option.Option<FileStat>, FilesError>

  /** The path without links, `.` and `..`, from the root on. */
  readonly realPath: (path: FilePath) => Effect.Effect<FilePath, FilesError>

  /**
   * Does work that makes many calls, one after the other, while nothing else has the thread. `mayGoOn` tells how long:
   * it is asked before each piece of work but the first. `None` where calls are not made at once, or, unless it has to
   * be done, are slow for now: nothing was done then.
   */
  readonly atOnce: <A>(
    work: (calls: Calls, mayGoOn: () => boolean) => A,
    isNeeded?: boolean
  ) => Effect.Effect<Option.Option<A>>

  /** Permissions that new files of this process do not get (its `umask`). */
  readonly denied: Effect.Effect<number>

  /** User that new files of this process belong to. */
  readonly user: Effect.Effect<number>
}>()("@fanout/ops/Files") {}

/**
 * Checks whether both are one file or folder, under whatever names.
 *
 * @category predicates
 */
export const isSameInode = (
  a: Pick<FileStat, "device" | "inode">,
  b: Pick<FileStat, "device" | "inode">
): boolean => a.device === b.device && a.inode === b.inode

/**
 * Checks whether two folders are on the same mount of the same file system, or part of one.
 *
 * @category predicates
 */
export const isOnSame = (a: Identity, b: Identity): boolean => a.device === b.device && a.mount === b.mount

// Together about 30 s, jitter apart: the descriptors of this process come back as soon as other copies end.
const untilDescriptorsAreFree = Schedule.min([Schedule.exponential("5 millis", 1.5), Schedule.spaced("1 second")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 40 })
)

const lacksDescriptor = (error: FilesError): boolean => error.code === "EMFILE" || error.code === "ENFILE"

/**
 * Waits, up to half a minute, while a call fails because too many files are open.
 *
 * @category running
 */
export const waitForDescriptor = <A, R>(
  call: Effect.Effect<A, FilesError, R>
): Effect.Effect<A, FilesError, R> =>
  // The schedule is only set up once it is needed: this is on the way of every open.
  Effect.catchIf(call, lacksDescriptor, () =>
    Effect.retry(call, { schedule: untilDescriptorsAreFree, while: lacksDescriptor }))
