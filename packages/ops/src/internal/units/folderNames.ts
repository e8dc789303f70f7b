/**
 * Lists an open folder: folders in it, and what else there is.
 */
import { type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type { EntryKind } from "../../FolderListing.ts"

/** Names in a folder. */
export interface Names {
  readonly folders: ReadonlyArray<FilePath.FilePath>
  readonly others: ReadonlyArray<FilePath.FilePath>
}

/** A folder that has more names by now is left: all else waits while it is listed. */
export const mostNames = 10_000

/** Gives the names, unless there are more of them, or the folder can't be listed. */
export const namesIn = (calls: Calls, folder: number, most = mostNames): Names | undefined => {
  const [folders, others]: [Array<FilePath.FilePath>, Array<FilePath.FilePath>] = [[], []]
  const isFolder = (name: FilePath.FilePath): boolean => {
    const stat = calls.lstat(folder, name).now()
    return !isCode(stat) && stat.kind === "folder"
  }
  const add = (text: string, kind: EntryKind): void => {
    const name = FilePath.fromLatin1(text)
    const into = kind === "folder" || (kind === "unknown" && isFolder(name)) ? folders : others
    into.push(name)
  }
  for (;;) {
    const isMore = calls.list(folder, add).now()
    if (isCode(isMore) || folders.length + others.length > most) return undefined
    if (!isMore) return { folders, others }
  }
}
