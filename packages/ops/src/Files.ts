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
import type * as Filter from "./Filter.ts"
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
 * What a `special` thing is.
 *
 * @category schemas
 * @since 0.1.0
 */
export const SpecialKind = Schema.Literals(["FIFO", "socket", "device"])

/**
 * What a `special` thing is.
 *
 * @category models
 * @since 0.1.0
 */
export type SpecialKind = typeof SpecialKind.Type

/**
 * What the file system knows of a file.
 *
 * @category models
 * @since 0.1.0
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
 * @since 0.1.0
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
 * @since 0.1.0
 */
export interface FileTimes {
  readonly accessedNanos: bigint
  readonly modifiedNanos: bigint
}

/**
 * Whose a file is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Owner {
  readonly owner: number
  readonly group: number
}

/**
 * Extended attribute. Access control lists are such, too.
 *
 * @category models
 * @since 0.1.0
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
 * @since 0.1.0
 */
export interface Stretch {
  readonly start: number
  /** Behind its last byte. */
  readonly end: number
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

  /** The same, and has the system begin to read all of it from there. It does not wait for that. */
  readonly readAnew: Effect.Effect<void, FilesError>

  /** Names of its extended attributes. Fails with `ENOTSUP` where there are none. */
  readonly attributeNames: Effect.Effect<ReadonlyArray<string>, FilesError>

  /** Value of an extended attribute. Fails with `ENODATA` where it has none of this name. */
  readonly attribute: (name: string) => Effect.Effect<Uint8Array, FilesError>

  /** Sets an extended attribute. */
  readonly setAttribute: (attribute: Attribute) => Effect.Effect<void, FilesError>

  /** Sets owner and group. Takes the set-id bits away. */
  readonly setOwner: (owner: Owner) => Effect.Effect<void, FilesError>

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
 * @since 0.1.0
 */
export interface UnnamedFile extends OpenFile {
  /** Gives it a name in the folder that it was created in. Fails with `EEXIST`. */
  readonly link: (name: FilePath) => Effect.Effect<void, FilesError>
}

/**
 * What files are read into, one after the other.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reader {
  /** Where their content comes to lie, piece by piece. */
  readonly buffer: Uint8Array

  /** Whether it goes on. It is asked before each file, and between its pieces. */
  readonly mayGoOn: () => boolean

  /** Whether a file may be opened, where some must not be. Then each is looked at before, and no more is told of it. */
  readonly mayOpen?: ((stat: FileStat) => boolean) | undefined

  /** Takes what the next file is, and tells whether it is to be read. */
  readonly begin: (stat: Pick<FileStat, "kind" | "sizeBytes">) => boolean

  /** Takes what was read; it is only there until this returns. */
  readonly piece: (bytes: Uint8Array) => void

  /** Takes, once all of the file was read, whether its size and the time of its last change are what they were. */
  readonly end: (isSame: boolean) => void

  /** Takes why a file, or the folder that it is in, could not be opened, or the file not be read to its end. */
  readonly fail: (error: FilesError) => void
}

/**
 * Names of files in a folder.
 *
 * @category models
 * @since 0.1.0
 */
export interface FilesIn {
  readonly path: FilePath
  readonly names: ReadonlyArray<FilePath>
}

/**
 * What takes how files, links and folders compare that have the same name in two folders, one pair after the other.
 *
 * @category models
 * @since 0.1.0
 */
export interface Comparer {
  /** Where what is read of either comes to lie, piece by piece. Both are of one size. */
  readonly buffers: readonly [a: Uint8Array, b: Uint8Array]

  /** Whether it goes on. It is asked before each pair. */
  readonly mayGoOn: () => boolean

  /** Whether a file may be opened, where some must not be. Then each is looked at before, and both are left. */
  readonly mayOpen?: ((stat: FileStat) => boolean) | undefined

  /**
   * Takes what the next two are, which is only there until this returns, and whether they have the same mode, owner,
   * group and time of modification. Tells whether their content, or where they lead as links, is to be compared.
   */
  readonly begin: (a: FileStat, b: FileStat, isAlike: boolean) => boolean

  /**
   * Takes the place of the first byte that differs, or that only one of them has, if there is one; and how many bytes
   * were compared and are the same.
   */
  readonly end: (at: number | undefined, sameBytes: number) => void

  /** Is told, instead of that, that the one in A or the one in B is not what it was when it was opened. */
  readonly changed: (side: "A" | "B") => void

  /** Is told that the next two, or these two, can't be compared like that. Nothing more is told of them. */
  readonly leave: () => void
}

/**
 * What is to be compared in folders of two trees.
 *
 * @category models
 * @since 0.1.0
 */
export interface Comparison {
  /** Real paths of the trees. */
  readonly a: FilePath
  readonly b: FilePath
  /** By their paths in both trees. The empty name stands for the folder itself. */
  readonly folders: ReadonlyArray<FilesIn>
  readonly comparer: Comparer
}

/**
 * What decides about the copies of files, one after the other.
 *
 * @category models
 * @since 0.1.0
 */
export interface Copier {
  /** What their content goes through, piece by piece. */
  readonly buffer: Uint8Array

  /** Whether all names are taken for free: then nobody looks before a copy gets its own. */
  readonly isFree: boolean

  /**
   * Whether the folder is the copier's own, where nobody looks for anything: then a copy is written under its name,
   * and removed if it is not whole.
   */
  readonly isOwn: boolean

  /** Whether copies get owner and group, too. */
  readonly keepsOwner: boolean

  /** Whether a copy has the holes of its source. */
  readonly keepsHoles: boolean

  /** Is told that a copy can't have the owner of its source: only root may give files away, or there are none there. */
  readonly ownerLost: () => void

  /** Whether a file with this extended attribute is to have no copy, since that would lack it. */
  readonly isAttributeKept: (name: string) => boolean

  /** Whether it goes on. It is asked before each file, between its pieces, and before a copy gets its name. */
  readonly mayGoOn: () => boolean

  /** Takes what the next file is, and tells whether it is to be copied. It may be asked that once more. */
  readonly begin: (stat: FileStat) => boolean

  /**
   * Takes what has its name already, and gives the name of the copy until it takes the place of that. Where it gives
   * none what is there stays, and nothing more is told of the file.
   */
  readonly found: (there: FileStat) => FilePath | undefined

  /**
   * Is told that the file has no copy: it was written to while it was read, has such an extended attribute, has holes
   * that could not be kept, or its copy could not take the place of what was there, as none can by others than the
   * system's own files.
   */
  readonly leave: () => void

  /** Takes what is copied, piece by piece; it is only there until this returns. */
  readonly take?: ((bytes: Uint8Array) => void) | undefined

  /** Takes how large the copy is once it has its name. */
  readonly copied: (sizeBytes: number) => void

  /**
   * Takes a copy that is whole and has no name yet, where copies are to get theirs later. To give it one, and to close
   * it, is up to whoever takes it.
   */
  readonly hold?: ((file: UnnamedFile, sizeBytes: number) => void) | undefined

  /** Takes why a file has no copy. */
  readonly fail: (error: FilesError) => void

  /** Is told that what there is of a copy that is not whole could not be removed. */
  readonly spoiled: () => void
}

/**
 * What decides about the copies of folders with all that is in them.
 *
 * @category models
 * @since 0.1.0
 */
export interface FoldersCopier {
  /** Whether it goes on. It is asked before each folder. */
  readonly mayGoOn: () => boolean

  /** Whether a folder that was filled may get its name. */
  readonly mayPublish: () => boolean

  /** Whether a folder with this extended attribute is to be left, since its copy would lack it. */
  readonly isAttributeKept: (name: string) => boolean

  /** Whether folders get owner and group, too. */
  readonly keepsOwner: boolean

  /** Is told that a folder which is whole can't have that owner. */
  readonly ownerLost: () => void

  /** Name that a new folder has, beside its own, until all is in it. Its path begins with one of the names. */
  readonly temporaryName: (path: FilePath) => FilePath

  /** Whether what has this name in a folder that was there before is left of a former attempt; if there was any. */
  readonly isLeftover: ((name: FilePath) => boolean) | undefined

  /** Whether this, in or below one of the folders, is left out. */
  readonly isLeftOut: Filter.Filter

  /** Begins with files and links of a folder. Afterwards `rest` gives the names of those that were left. */
  readonly files: (
    names: ReadonlyArray<FilePath>,
    isOwn: boolean
  ) => { readonly copier: Copier; readonly rest: () => ReadonlyArray<FilePath> }

  /** Whether something that is not whole could not be removed. */
  readonly isSpoiled: boolean

  /** Gives what forgets all that is counted from now on. */
  readonly mark: () => () => void

  /**
   * Is told of each new folder that is filled, which keeps its temporary name then, until `placeFolders` gives it its
   * own. What is in folders that are there is left.
   */
  readonly hold?: ((held: HeldFolder) => void) | undefined
}

/**
 * Folder that is filled, and waits for its name.
 *
 * @category models
 * @since 0.1.0
 */
export interface HeldFolder {
  readonly name: FilePath
  /** Name that it has until then. */
  readonly temporary: FilePath
  /** What its source is, if all of that is in it. */
  readonly source: FileStat | undefined
  /** How many folders below it are whole, and what there is more to do in it and below. */
  readonly below: Pick<FoldersCopied, "ended" | "rest">
}

/**
 * Folders that are to get their names.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlaceFoldersRequest {
  /** Real path of the folder that they are in. */
  readonly target: FilePath
  readonly held: ReadonlyArray<HeldFolder>
  readonly copier: FoldersCopier
}

/**
 * What became of folders that were to get their names: of each whether it has its name, and its mode and times.
 *
 * @category models
 * @since 0.1.0
 */
export type PlacedFolders = ReadonlyArray<"ended" | "placed" | "removed">

/**
 * What there is more to do in a folder that is there by now: these are neither copied nor made.
 *
 * @category models
 * @since 0.1.0
 */
export interface FolderRest {
  /** Begins with one of the names. */
  readonly path: FilePath
  readonly names: ReadonlyArray<FilePath>
  readonly folders: ReadonlyArray<FilePath>
  /** How much there is in each of these folders; 0 where that could not be seen. */
  readonly sizes: ReadonlyArray<number>
}

/**
 * What folders that were copied came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface FoldersCopied {
  /** How many of them and below them are whole, with mode and times. */
  readonly ended: number
  /** Folders that are there, and have not got their mode and times. */
  readonly rest: ReadonlyArray<FolderRest>
  /** Those of the names that nothing could be done with. */
  readonly untouched: ReadonlyArray<FilePath>
  /** How many of the last names were not come to. */
  readonly left: number
  /** Folders among the names in which less was met than there was to be, and how much less. */
  readonly fewer: ReadonlyArray<{ readonly path: FilePath; readonly count: number }>
}

/**
 * Folders that are to be copied with all that is in them.
 *
 * @category models
 * @since 0.1.0
 */
export interface FoldersRequest {
  /** Real paths of the folder that they are in, and of the one that they are copied into. */
  readonly source: FilePath
  readonly target: FilePath
  readonly names: ReadonlyArray<FilePath>
  /** How much there was in each, with a begin and an end of each folder; 0 where that is not known. */
  readonly sizes: ReadonlyArray<number>
  readonly copier: FoldersCopier
}

/**
 * How much there is in and below a folder.
 *
 * @category models
 * @since 0.1.0
 */
export interface FolderSize {
  /** Files and links. */
  readonly leaves: number
  /** Folders, with itself. */
  readonly folders: number
}

/**
 * How it is looked how much there is in a folder.
 *
 * @category models
 * @since 0.1.0
 */
export interface Measuring {
  /** As many elements may be in it, without the ends of folders. */
  readonly most: number
  /** Whether something counts for nothing, by its path below the folder. */
  readonly isLeftOut?: Filter.Filter
  /** Takes what is found out of folders in it, where there is no answer for itself. */
  readonly tell?: TellSize
}

/**
 * Takes how much there is in a folder, by its path below another one.
 *
 * @category models
 * @since 0.1.0
 */
export type TellSize = (path: FilePath, size: FolderSize) => void

/**
 * What decides about folders that are emptied, one after the other.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sweeper {
  /** Whether it goes on. It is asked before each folder, and before each name in it. */
  readonly mayGoOn: () => boolean

  /** Takes which folder has the name, and tells whether anything of it may be removed. */
  readonly begin: (name: FilePath, identity: Identity) => boolean

  /** Whether this name in the folder is left. It is not asked about folders. */
  readonly isLeft: (name: FilePath) => boolean

  /** Is told that a name is gone. */
  readonly removedName: () => void

  /** Is told that the folder was removed. */
  readonly removedFolder: () => void
}

/**
 * The folders in a folder.
 *
 * @category models
 * @since 0.1.0
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
 * @since 0.1.0
 */
export interface Folder {
  /** Where it was when it was opened, as messages say it. */
  readonly path: FilePath

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

  /**
   * Copies files into another folder of this file system service, one after the other, with their modes and times: each
   * is written without a name, and gets it once it is whole, unless that is taken (`EEXIST`). In a folder of the
   * copier's own it has its name at once. Gives how many of them it
   * has dealt with: fewer than there are where the copier did not want to go on. It does not wait for descriptors.
   */
  readonly copyEach: (names: ReadonlyArray<FilePath>, to: Folder, copier: Copier) => Effect.Effect<number>

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

  /** Sets the times of what has the name; of the link itself where that is one. */
  readonly setTimes: (name: FilePath, times: FileTimes) => Effect.Effect<void, FilesError>

  /** Sets owner and group of what has the name; of the link itself where that is one. */
  readonly setOwner: (name: FilePath, owner: Owner) => Effect.Effect<void, FilesError>

  /**
   * Names of extended attributes of what has the name; of the link itself where that is one. Fails with `ENOTSUP`
   * where there are none.
   */
  readonly attributeNames: (of: FilePath) => Effect.Effect<ReadonlyArray<string>, FilesError>

  /** Value of an extended attribute of what has the name; of the link itself where that is one. */
  readonly attribute: (of: FilePath, name: string) => Effect.Effect<Uint8Array, FilesError>

  /** Sets an extended attribute of what has the name; of the link itself where that is one. */
  readonly setAttribute: (name: FilePath, attribute: Attribute) => Effect.Effect<void, FilesError>

  /**
   * Gives a file another name, here or in another folder of this file system service, in place of whatever file or link
   * has it.
   */
  readonly rename: (from: FilePath, to: FilePath, into?: Folder) => Effect.Effect<void, FilesError>

  /**
   * Gives a file or folder another name that is free. Fails with `EEXIST`, and with `ENOTSUP` or others where it can't.
   */
  readonly renameExclusively: (from: FilePath, to: FilePath, into?: Folder) => Effect.Effect<void, FilesError>

  /** Gives a file one more name, here or in another folder of this file system service. Fails with `EEXIST`. */
  readonly link: (existing: FilePath, name: FilePath, to?: Folder) => Effect.Effect<void, FilesError>

  /** Returns once its names are on the device. */
  readonly sync: Effect.Effect<void, FilesError>

  /** Removes one name of a file. Never removes a folder. */
  readonly unlink: (name: FilePath) => Effect.Effect<void, FilesError>

  /**
   * Opens folders in it, one after the other, removes all names in each that are no folders', and then the folder, if
   * it is empty by then. What can't be removed is left. Gives how many of them it has dealt with: fewer than there are
   * where the sweeper did not want to go on; from the next a part was removed, perhaps. It does not wait for
   * descriptors.
   */
  readonly sweepEach: (names: ReadonlyArray<FilePath>, sweeper: Sweeper) => Effect.Effect<number>

  /**
   * Does that with a folder in it and all that is below, as deep as what can be measured: those below come first, and
   * `begin` takes the path of each from the name on. Tells whether it got through. `None` where that is to be done in
   * steps: where calls are not made at once nothing was done then, and some of it where there is more than a small
   * folder has.
   */
  readonly sweepTree: (name: FilePath, sweeper: Sweeper) => Effect.Effect<Option.Option<boolean>>

  /** Removes a folder that is empty. Never removes anything else. */
  readonly removeFolder: (name: FilePath) => Effect.Effect<void, FilesError>
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
  /** Opens the folder at a real path, however long it is. A link in it fails with `ELOOP` or `ENOTDIR`. */
  readonly folder: (path: FilePath) => Effect.Effect<Folder, FilesError, Scope.Scope>

  /**
   * Opens folders at real paths and reads files in each, all one after the other, as `folder`, `Folder.open` and what
   * that gives do. Gives how many of the files it has dealt with: fewer than there are where the reader did not want to
   * go on; of the next a part was read, perhaps. It does not wait for descriptors (`EMFILE`).
   */
  readonly readEach: (folders: ReadonlyArray<FilesIn>, reader: Reader) => Effect.Effect<number>

  /**
   * Opens folders in both trees, and compares in each what has these names, all one after the other. No link is
   * followed. Gives how many of the names it has dealt with: fewer than there are where the comparer did not want to go
   * on. Where calls are not made at once, and where files are not ordinary, all are left.
   */
  readonly compareEach: (comparison: Comparison) => Effect.Effect<number>

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
   * Copies folders with all that is in them, as far as these are files, links and folders with nothing special about
   * them, with modes and times. Others see a new one once it has all that it gets. `None` where calls are not made at
   * once: nothing was done then.
   */
  readonly copyFolders: (request: FoldersRequest) => Effect.Effect<Option.Option<FoldersCopied>>

  /** Gives folders their names, or removes those that can't have them. `None` where nothing was done. */
  readonly placeFolders: (request: PlaceFoldersRequest) => Effect.Effect<Option.Option<PlacedFolders>>

  /**
   * Looks how much there is in and below the folder at a real path: `None` where that is anything but files, links and
   * folders, or too much, or could not be seen. `None` of all that where calls are not made at once.
   */
  readonly measure: (
    path: FilePath,
    measuring: Measuring
  ) => Effect.Effect<Option.Option<Option.Option<FolderSize>>>

  /** Permissions that new files of this process do not get (its `umask`). */
  readonly denied: Effect.Effect<number>

  /** User that new files of this process belong to. */
  readonly user: Effect.Effect<number>
}>()("@fanout/ops/Files") {}

/**
 * Checks whether both are one file or folder, under whatever names.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSameInode = (
  a: Pick<FileStat, "device" | "inode">,
  b: Pick<FileStat, "device" | "inode">
): boolean => a.device === b.device && a.inode === b.inode

/**
 * Checks whether two folders are on the same mount of the same file system, or part of one.
 *
 * @category predicates
 * @since 0.1.0
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
 * @since 0.1.0
 */
export const waitForDescriptor = <A, R>(
  call: Effect.Effect<A, FilesError, R>
): Effect.Effect<A, FilesError, R> =>
  // The schedule is only set up once it is needed: this is on the way of every open.
  Effect.catchIf(call, lacksDescriptor, () =>
    Effect.retry(call, { schedule: untilDescriptorsAreFree, while: lacksDescriptor }))
