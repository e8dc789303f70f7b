/**
 * Removes folders with everything in and below them, through descriptors: to look a path up takes longer than most
 * removals.
 */
import { type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { EntryKind } from "../../FolderListing.ts"
import { isName } from "./openHandle.ts"
import type { Routine } from "./routine.ts"

/** Most names in memory. One more listing of 64 KiB can't add enough to reach `keyBase`. */
const mostHeld = 60_000
const keyBase = 2 ** 16

/**
 * From this number on names are removed in the order of their inodes, as coreutils do: file systems that list names by
 * hash would otherwise read their inode tables in random order.
 */
const sortedAbove = 10_000

/** Names that are removed between two calls of `mayGoOn`: a tenth of a millisecond. */
const namesInGo = 32

/** Decides about each entry, and is told of removals. */
export interface Remover {
  /** Whether the removal may go on. */
  readonly mayGoOn: () => boolean
  /** Is told of each folder before its entries, and tells whether these may be removed. */
  readonly begin: (path: FilePath.FilePath, folder: number) => Routine<boolean>
  /** Whether a file or link stays. One that does not stay is removed right after. */
  readonly isLeft: (name: FilePath.FilePath) => Routine<boolean>
  /** Called after the removal of a file or link. */
  readonly removedName: (name: FilePath.FilePath) => void
  /** Called after the removal of a folder. */
  readonly removedFolder: () => void
}

/** Entries of a folder: files and links with their inodes, and folders. */
class Part {
  readonly names: Array<FilePath.FilePath> = []
  readonly folders: Array<FilePath.FilePath> = []
  private readonly keys: Array<number> = []

  readonly add = (latin1: string, kind: EntryKind, inode = 0): void => {
    const name = FilePath.fromLatin1(latin1)
    if (kind === "folder") this.folders.push(name)
    else {
      this.keys.push(inode * keyBase + this.names.length)
      this.names.push(name)
    }
  }

  /** The files and links in the order of their removal. */
  get inOrder(): ReadonlyArray<FilePath.FilePath> {
    const { keys, names } = this
    if (names.length <= sortedAbove || names.length > keyBase) return names
    return Array.from(Float64Array.from(keys).toSorted(), (key) => names[key % keyBase] ?? FilePath.empty)
  }
}

/** Removes files and links. `false` says that it was stopped. An entry that is gone already counts as removed. */
function* unlinkEach(
  calls: Calls,
  folder: number,
  names: ReadonlyArray<FilePath.FilePath>,
  remover: Remover
): Routine<boolean> {
  for (const [index, name] of names.entries()) {
    if (index % namesInGo === 0 && !remover.mayGoOn()) return false
    if (yield* remover.isLeft(name)) continue
    const removed = yield* calls.unlink(folder, name)
    if (!isCode(removed) || removed.name === "ENOENT") remover.removedName(name)
  }
  return true
}

/** Result for the entries of a folder. */
type Emptied = "emptied" | "left" | "stopped"

function* empty(
  calls: Calls,
  folder: number,
  path: FilePath.FilePath,
  depth: number,
  remover: Remover
): Routine<Emptied> {
  if (!(yield* remover.begin(path, folder))) return "left"
  const folders: Array<FilePath.FilePath> = []
  for (let isMore: boolean | undefined = true; isMore === true;) {
    const part = new Part()
    do {
      const listed = yield* calls.list(folder, part.add)
      isMore = isCode(listed) ? undefined : listed
    } while (isMore === true && part.names.length < mostHeld)
    folders.push(...part.folders)
    if (!(yield* unlinkEach(calls, folder, part.inOrder, remover))) return "stopped"
  }
  if (depth === 0) return "emptied"
  for (const name of folders) {
    const isThrough = yield* removeTree(calls, folder, name, remover, depth - 1, FilePath.join(path, name))
    if (!isThrough) return "stopped"
  }
  return "emptied"
}

/**
 * Removes a folder's entries, those of the folders below it down to a depth, and each folder that is empty then.
 * Entries that can't be removed are left. `false` says that it was stopped, and has removed a part.
 */
export function* removeTree(
  calls: Calls,
  parent: number,
  name: FilePath.FilePath,
  remover: Remover,
  depth: number,
  path = name
): Routine<boolean> {
  if (!remover.mayGoOn()) return false
  if (!isName(name)) return true
  const folder = yield* calls.open(parent, name, "list")
  // A folder that can't be opened may still be empty.
  if (!isCode(folder)) {
    const emptied = yield* empty(calls, folder, path, depth, remover)
    calls.closeNow(folder)
    if (emptied !== "emptied") return emptied === "left"
  }
  if (!isCode(yield* calls.removeFolder(parent, name))) remover.removedFolder()
  return true
}

/** Removes a folder of the job's own with everything in it; another folder only if it is empty. Tells whether. */
export function* removeOwn(
  calls: Calls,
  parent: number,
  name: FilePath.FilePath,
  isOwn: (stat: Files.FileStat) => boolean
): Routine<boolean> {
  const remover: Remover = {
    mayGoOn: () => true,
    *begin(path, folder) {
      // A folder in it may have the mode of its source already, without the permission to remove entries.
      if (path !== name) return !isCode(yield* calls.setMode(folder, 0o700))
      const stat = yield* calls.stat(folder)
      return !isCode(stat) && isOwn(stat)
    },
    *isLeft() {
      return false
    },
    removedName: () => {},
    removedFolder: () => {}
  }
  yield* removeTree(calls, parent, name, remover, Number.POSITIVE_INFINITY)
  const left = yield* calls.removeFolder(parent, name)
  return !isCode(left) || left.name === "ENOENT"
}
