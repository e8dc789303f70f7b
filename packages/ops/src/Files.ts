/**
 * The calls to the file system that file jobs make, and nothing else that knows a platform.
 *
 * Everything in this package that touches a disk does it through this contract. Paths are
 * bytes (`FilePath`), times are nanoseconds, sizes may be over 4 GiB, and no call follows
 * a link in the last component of a path unless it says so.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { FilePath } from "./FilePath.ts"
import type { FilesError } from "./FilesError.ts"
import type { FolderListing } from "./FolderListing.ts"

/**
 * Schema for what a thing in a file system is; `special` is a FIFO, a socket or a device.
 *
 * @category schemas
 * @since 0.1.0
 */
export const FileKind = Schema.Literals(["file", "link", "folder", "special"])

/**
 * What a thing in a file system is.
 *
 * @category models
 * @since 0.1.0
 */
export type FileKind = typeof FileKind.Type

/**
 * What the file system knows of a file.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileStat {
  readonly kind: FileKind
  /** Identifies the file together with `inode`, whatever it is called. */
  readonly device: bigint
  readonly inode: bigint
  /** Permissions, with the set-id and sticky bits (`0o7777`). */
  readonly mode: number
  readonly owner: number
  readonly group: number
  readonly sizeBytes: number
  readonly accessedNanos: bigint
  readonly modifiedNanos: bigint
}

/**
 * Times that a copy gets from its source.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileTimes {
  readonly accessedNanos: bigint
  readonly modifiedNanos: bigint
}

/**
 * File or folder that is open. It is closed with its scope at the latest.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenFile {
  /** What the file system knows of it. */
  readonly stat: Effect.Effect<FileStat, FilesError>

  /** Reads on from where it stands, and returns how many bytes it got; 0 at the end of the file. */
  readonly read: (buffer: Uint8Array) => Effect.Effect<number, FilesError>

  /** Reads what is at this place, wherever it stands, and returns how many bytes it got; 0 behind the end. */
  readonly readAt: (buffer: Uint8Array, offset: number) => Effect.Effect<number, FilesError>

  /** Writes all of these bytes where it stands. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, FilesError>

  /** Sets permissions, with the set-id and sticky bits. */
  readonly setMode: (mode: number) => Effect.Effect<void, FilesError>

  /** Sets the times. */
  readonly setTimes: (times: FileTimes) => Effect.Effect<void, FilesError>

  /** Closes it now. What could not be written may only be noticed here. */
  readonly close: Effect.Effect<void, FilesError>
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
 * @since 0.1.0
 */
export class Files extends Context.Service<Files, {
  /** What is at the path; the link itself where that is one. */
  readonly lstat: (path: FilePath) => Effect.Effect<FileStat, FilesError>

  /** What is at the path, or where links from there lead to. */
  readonly stat: (path: FilePath) => Effect.Effect<FileStat, FilesError>

  /** Like `lstat`, and `None` where there is nothing. */
  readonly find: (path: FilePath) => Effect.Effect<Option.Option<FileStat>, FilesError>

  /** The path without links, `.` and `..`, from the root on. */
  readonly realPath: (path: FilePath) => Effect.Effect<FilePath, FilesError>

  /** What is in the folder. Fails with `ENOTDIR` on a link to one. */
  readonly list: (folder: FilePath) => Effect.Effect<FolderListing, FilesError>

  /** Opens a file or folder to read from it. Never follows a link (`ELOOP`), never waits for the writer of a FIFO. */
  readonly open: (path: FilePath) => Effect.Effect<OpenFile, FilesError, Scope.Scope>

  /** Creates a file that only its owner may use (`0600`), and opens it to write to it. Fails with `EEXIST`. */
  readonly create: (path: FilePath) => Effect.Effect<OpenFile, FilesError, Scope.Scope>

  /** Creates a folder that only its owner may use (`0700`). Fails with `EEXIST`. */
  readonly makeFolder: (path: FilePath) => Effect.Effect<void, FilesError>

  /** Where a link points to, as it stands in the link. */
  readonly readLink: (path: FilePath) => Effect.Effect<FilePath, FilesError>

  /** Creates a link that points to the target. Fails with `EEXIST`. */
  readonly makeLink: (target: FilePath, path: FilePath) => Effect.Effect<void, FilesError>

  /** Sets the times of a link. */
  readonly setLinkTimes: (path: FilePath, times: FileTimes) => Effect.Effect<void, FilesError>

  /** Gives the file another name, in place of whatever file or link has it. */
  readonly rename: (from: FilePath, to: FilePath) => Effect.Effect<void, FilesError>

  /** Gives the file one more name. Fails with `EEXIST`. */
  readonly link: (existing: FilePath, path: FilePath) => Effect.Effect<void, FilesError>

  /** Removes one name of a file. Never removes a folder. */
  readonly unlink: (path: FilePath) => Effect.Effect<void, FilesError>
}>()("@fanout/ops/Files") {}

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
 * @since 0.1.0
 */
export const waitForDescriptor = <A, R>(
  call: Effect.Effect<A, FilesError, R>
): Effect.Effect<A, FilesError, R> =>
  // The schedule is only set up once it is needed: this is on the way of every open.
  Effect.catchIf(call, lacksDescriptor, () =>
    Effect.retry(call, { schedule: untilDescriptorsAreFree, while: lacksDescriptor }))
