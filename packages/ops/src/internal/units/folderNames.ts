/**
 * Lists an open folder: folders in it, and what else there is.
 */
import { type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type { EntryKind } from "../../FolderListing.ts"
import type { Routine } from "../files/routine.ts"

/** Names in a folder. */
export interface Names {
  readonly folders: ReadonlyArray<FilePath.FilePath>
  readonly others: ReadonlyArray<FilePath.FilePath>
}

/** A folder that has more names by now is left: all else waits while it is listed. */
export const mostNames = 10_000

/** Gives the names, unless there are more of them, or the folder can't be listed. */
export function* namesIn(calls: Calls, folder: number, most = mostNames): Routine<Names | undefined> {
  const [folders, others]: [Array<FilePath.FilePath>, Array<FilePath.FilePath>] = [[], []]
  const unknown: Array<FilePath.FilePath> = []
  const add = (text: string, kind: EntryKind): void => {
    const into = kind === "folder" ? folders : kind === "unknown" ? unknown : others
    into.push(FilePath.fromLatin1(text))
  }
  for (;;) {
    const isMore = yield* calls.list(folder, add)
    if (isCode(isMore) || folders.length + others.length + unknown.length > most) return undefined
    if (!isMore) break
  }
  for (const name of unknown) {
    const stat = yield* calls.lstat(folder, name)
    const into = !isCode(stat) && stat.kind === "folder" ? folders : others
    into.push(name)
  }
  return { folders, others }
}
