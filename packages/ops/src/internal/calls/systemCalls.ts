/**
 * The system calls behind `Files`, as two modules make them: one straight through the C library, one through `node:fs`.
 *
 * Folders are descriptors, names are text that stands for bytes, and what a call comes to is handed to a function:
 * later, from the pool of threads, or before the call returns, where the thread that asks may wait.
 */
import type * as Option from "effect/Option"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Call } from "../../FilesError.ts"
import type { EntryKind } from "../../FolderListing.ts"

/** Takes the name of an error, such as `ENOENT`, or else what the call gave. */
export type Done<A> = (code: string | undefined, value: A) => void

type Name = FilePath.FilePath

/** What takes the content of files. */
export type ContentReader = Omit<Files.Reader, "mayGoOn" | "fail">

/** What a descriptor is to be used for; none of them follows a link in the last component. */
export type Mode =
  /** Only as the place of names; no right to list it is needed. */
  | "folder"
  | "list"
  /** To read a file, or to set the mode and times of anything. Does not wait for the writer of a FIFO. */
  | "read"
  /** To write and read a new file that only its owner may use. */
  | "create"
  /** To write on in a file that is there, and to read it. Waits for nobody. */
  | "update"
  /** To write and read a file without a name in the folder whose name is given. */
  | "unnamed"

/** A file that is to be copied with all that is told of it in one go. */
export interface PlainCopy {
  readonly copier: Files.Copier
  readonly from: number
  readonly to: number
  readonly name: Name
  /** Whether files that were made with a mode in this folder had it, as far as that was seen. */
  readonly modes: Map<number, boolean>
  /** Takes the descriptor of a copy that is whole and has no name, which then is not closed either. */
  readonly hold: ((copy: number, sizeBytes: number) => void) | undefined
}

/** A folder in another that is to be removed with all that is below it. */
export interface Tree {
  readonly folder: number
  readonly name: Name
  readonly sweeper: Files.Sweeper
}

/** What has the same name in two folders; an empty name stands for these themselves. */
export interface Pair {
  readonly comparer: Files.Comparer
  readonly a: number
  readonly b: number
  readonly name: Name
}

export interface SystemCalls {
  /** Opens what has the name in the folder. */
  readonly open: (folder: number, name: Name, mode: Mode, done: Done<number>) => void
  /** Opens what is at an absolute path without a link in it. */
  readonly openPath: (path: FilePath.FilePath, mode: "folder" | "list" | "read", done: Done<number>) => void
  readonly close: (descriptor: number, done: Done<void>) => void
  /** Closes what is only a place of names: no file system is told, so there is nothing to wait for. */
  readonly closeFolder: (descriptor: number) => void

  readonly stat: (descriptor: number, done: Done<Files.FileStat>) => void
  /** What tells an open folder from others. */
  readonly identity: (descriptor: number, done: Done<Files.Identity>) => void
  readonly lstat: (folder: number, name: Name, done: Done<Files.FileStat>) => void
  /** Names the file system that a file is on, also once it was mounted anew. Empty where nothing is known to. */
  readonly fileSystem: (descriptor: number, done: Done<string>) => void
  /**
   * Gives the next entries, names with one character for each byte, and inodes to the last 36 bits where they are told;
   * and whether there may be more. Of what is skipped no name is made.
   */
  readonly list: (
    descriptor: number,
    add: (name: string, kind: EntryKind, inode?: number) => void,
    done: Done<boolean>,
    skips?: (kind: EntryKind) => boolean
  ) => void
  readonly readLink: (folder: number, name: Name, done: Done<FilePath.FilePath>) => void

  /** Reads at a place, or on from where the descriptor stands. */
  readonly read: (descriptor: number, buffer: Uint8Array, at: number | null, done: Done<number>) => void
  /**
   * Opens a file and, where it is small and can be waited for, has it looked at and read, and closes it. Gives -1 for
   * one that is through, and else a descriptor that nothing was done with yet; with a code, which call has failed.
   */
  readonly readSmall: (folder: number, name: Name, reader: ContentReader, done: Done<number | Call>) => void
  /** Compares two files, links or folders, and tells the comparer. It is there where calls are made at once. */
  readonly comparePlain?: (pair: Pair, done: Done<void>) => void
  /** Writes at a place, or on from where the descriptor stands. */
  readonly write: (descriptor: number, bytes: Uint8Array, at: number | null, done: Done<number>) => void
  /**
   * Gives where data begins, not before this place, or where data ends that are there; `ENXIO` where there is none.
   * `read` does not go on from where it stood before.
   */
  readonly seek: (descriptor: number, at: number, to: "data" | "hole", done: Done<number>) => void
  /** Copies bytes within the kernel from a place in one file to the same place in another. */
  readonly copyRange: (from: number, to: number, at: number, length: number, done: Done<number>) => void
  /** Has a file that is empty share all the blocks of another one. */
  readonly clone: (from: number, to: number, done: Done<void>) => void
  readonly truncate: (descriptor: number, sizeBytes: number, done: Done<void>) => void
  /** Has what is remembered of a file's content forgotten. */
  readonly forget: (descriptor: number, done: Done<void>) => void
  /** The same, and has all of it be read ahead. It takes its time for what is large. */
  readonly readAnew: (descriptor: number, done: Done<void>) => void
  readonly sync: (descriptor: number, done: Done<void>) => void
  /** Has all be on the device that was written to the file system of something open before. */
  readonly syncFileSystem: (descriptor: number, done: Done<void>) => void
  /** Names of extended attributes, with one character for each byte. */
  readonly listAttributes: (descriptor: number, done: Done<ReadonlyArray<string>>) => void
  readonly getAttribute: (descriptor: number, name: string, done: Done<Uint8Array>) => void
  readonly setAttribute: (descriptor: number, name: string, value: Uint8Array, done: Done<void>) => void
  /** The same of what has a name; of the link itself where that is one. */
  readonly listAttributesAt: (folder: number, of: Name, done: Done<ReadonlyArray<string>>) => void
  readonly getAttributeAt: (folder: number, of: Name, name: string, done: Done<Uint8Array>) => void
  readonly setAttributeAt: (folder: number, of: Name, name: string, value: Uint8Array, done: Done<void>) => void
  readonly setOwner: (descriptor: number, owner: number, group: number, done: Done<void>) => void
  readonly setOwnerAt: (folder: number, name: Name, owner: number, group: number, done: Done<void>) => void
  readonly setMode: (descriptor: number, mode: number, done: Done<void>) => void
  readonly setTimes: (descriptor: number, times: Files.FileTimes, done: Done<void>) => void
  readonly setTimesAt: (folder: number, name: Name, times: Files.FileTimes, done: Done<void>) => void

  /**
   * Copies a small file, and tells the copier; or gives `false`, where it is not to be had like this: nothing is left
   * of it then. It is there where calls are made at once.
   */
  readonly copyPlain?: (copy: PlainCopy, done: Done<boolean>) => void

  /**
   * Whether names in a folder can be made and neither changed nor removed. It is there where calls are made at once and
   * this can be seen.
   */
  readonly isAppendOnly?: (folder: number, done: Done<boolean>) => void

  /** Copies folders; or gives nothing, where nothing was done. It is there where calls are made at once. */
  readonly copyFolders?: (request: Files.FoldersRequest, done: Done<Files.FoldersCopied | undefined>) => void

  /** Gives folders that were held their names; or gives nothing, where nothing was done. */
  readonly placeFolders?: (request: Files.PlaceFoldersRequest, done: Done<Files.PlacedFolders | undefined>) => void

  /**
   * Looks how much there is in and below a folder: `None` where that is not ordinary, or too much, and then tells what
   * it knows of folders in it; nothing, where it was not looked. It is there where calls are made at once.
   */
  readonly measure?: (
    path: FilePath.FilePath,
    measuring: Files.Measuring,
    done: Done<Option.Option<Files.FolderSize> | undefined>
  ) => void

  readonly makeFolder: (folder: number, name: Name, mode: number, done: Done<void>) => void
  readonly makeLink: (target: FilePath.FilePath, folder: number, name: Name, done: Done<void>) => void
  readonly rename: (folder: number, from: Name, into: number, to: Name, done: Done<void>) => void
  /** Fails where the other name is taken. */
  readonly renameExclusively: (folder: number, from: Name, into: number, to: Name, done: Done<void>) => void
  readonly link: (folder: number, existing: Name, to: number, name: Name, done: Done<void>) => void
  /** Gives a file without a name one. */
  readonly linkUnnamed: (descriptor: number, folder: number, name: Name, done: Done<void>) => void
  readonly unlink: (folder: number, name: Name, done: Done<void>) => void
  /** Does that with one name after the other, until what takes the code of each says that it is enough. */
  readonly unlinkEach: (
    folder: number,
    names: ReadonlyArray<Name>,
    take: (code: string | undefined) => boolean,
    done: Done<void>
  ) => void
  readonly removeFolder: (folder: number, name: Name, done: Done<void>) => void
  /**
   * Removes a folder with all that is below it, as far as it can be, and tells whether it got through; or gives
   * nothing, where that is to be done in steps. It is there where calls are made at once.
   */
  readonly sweepTree?: (tree: Tree, done: Done<boolean | undefined>) => void
}

/** Removes names by calls of which each is waited for. */
export const unlinkOneByOne =
  (unlink: SystemCalls["unlink"]): SystemCalls["unlinkEach"] => (folder, names, take, done) => {
    const next = (index: number): void => {
      const name = names[index]
      if (name === undefined) return done(undefined, undefined)
      unlink(folder, name, (code) => take(code) ? next(index + 1) : done(undefined, undefined))
    }
    next(0)
  }

/** Whether what a call comes to is given later, or before it returns. */
export type Way = "later" | "atOnce"

/** What file systems answer that have no extended attributes. */
export const withoutAttributes: ReadonlySet<string> = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

/** Number of the file system that lays folders over others (linux/magic.h). */
const overlay = 0x794c7630

export const isOverlay = (type: number): boolean => type >>> 0 === overlay

/** Numbers of file systems that are on a disk of this machine, or in its memory (linux/magic.h); mounts have names. */
const localTypes = new Set([
  0xef53, // ext
  0x58465342, // xfs
  0x9123683e, // btrfs
  0xf2f52010, // f2fs
  0x2fc12fc1, // zfs
  0xca451a4e, // bcachefs
  0x794c7630, // overlay
  0x01021994 // tmpfs
])

/** Whether a file system of this type is on this machine. */
export const isLocal = (type: number): boolean => localTypes.has(type >>> 0)

/** Whether a file system has no device of its own (major number 0), as overlays have none: only those are asked. */
export const isAnonymous = (device: bigint): boolean => (device >> 8n & 0xfffn) === 0n && device >> 44n === 0n

/** Permissions of a file that is created, until it gets those it is to have. */
export const fileMode = 0o600
