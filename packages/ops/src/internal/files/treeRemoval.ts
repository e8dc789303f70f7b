/**
 * Removes folders with what is in and below them: of a small one most of what it takes is to find the way there.
 */
import { type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { EntryKind } from "../../FolderListing.ts"
import { isName } from "./openHandle.ts"
import type { Routine } from "./routine.ts"

/** Names that are held at most: a part of a list of 64 KiB has not as many as are missing to `keyBase`. */
const mostHeld = 60_000
const keyBase = 2 ** 16

/**
 * More names are removed in the order of their inodes, as coreutils do with as many: file systems that list names by
 * hashes would else be all over their tables of inodes.
 */
const sortedAbove = 10_000

/** As many names are removed, in a tenth of a millisecond, before it is asked whether that may go on. */
const namesInGo = 32

/** What decides about what is removed. */
export interface Remover {
  /** Whether it goes on. */
  readonly mayGoOn: () => boolean
  /** Takes which folder has the path, and tells whether anything in it may be removed. */
  readonly begin: (path: FilePath.FilePath, folder: number) => Routine<boolean>
  /** Whether this name in the folder is left; it is removed right after. It is not asked about folders. */
  readonly isLeft: (name: FilePath.FilePath) => Routine<boolean>
  /** Is told that a name is gone. */
  readonly removedName: (name: FilePath.FilePath) => void
  /** Is told that a folder was removed. */
  readonly removedFolder: () => void
}

/** Entries of a folder: names of what is no folder with the inodes of each, and names of folders. */
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

  /** The names in the order in which they are removed. */
  get inOrder(): ReadonlyArray<FilePath.FilePath> {
    const { keys, names } = this
    if (names.length <= sortedAbove || names.length > keyBase) return names
    return Array.from(Float64Array.from(keys).toSorted(), (key) => names[key % keyBase] ?? FilePath.empty)
  }
}

/** Removes names, and tells whether it came through. What is gone before its turn is as good as removed. */
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

/** What became of what is in a folder. */
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
 * Removes what is in a folder, and in those below it down to a depth, and each of them that is empty then. What can't
 * be removed is left. Tells whether it came through; else something of it may be removed.
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
  // One that can't be opened may be empty all the same.
  if (!isCode(folder)) {
    const emptied = yield* empty(calls, folder, path, depth, remover)
    calls.closeNow(folder)
    if (emptied !== "emptied") return emptied === "left"
  }
  if (!isCode(yield* calls.removeFolder(parent, name))) remover.removedFolder()
  return true
}

/** Removes all of a folder of this job's own, if that is what has the name: else only if it is empty. Tells whether. */
export function* removeOwn(
  calls: Calls,
  parent: number,
  name: FilePath.FilePath,
  isOwn: (stat: Files.FileStat) => boolean
): Routine<boolean> {
  const remover: Remover = {
    mayGoOn: () => true,
    *begin(path, folder) {
      // A folder in it may have the mode of its source by now, which may let nobody take anything out of it.
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
