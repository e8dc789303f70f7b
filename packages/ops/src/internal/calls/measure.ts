/**
 * Looks how much there is in and below a folder, where calls are made at once.
 */
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { EntryKind } from "../../FolderListing.ts"
import { ask } from "./asking.ts"
import type { Done, SystemCalls } from "./systemCalls.ts"

/** So many folders may be in one another, the first included: each that is being worked on has descriptors. */
export const mostDeep = 16

/** How many elements that is: each folder has a begin and an end. */
export const countOf = ({ folders, leaves }: Files.FolderSize): number => leaves + 2 * folders

/** As much as there may be, until there is more. */
class Measure {
  leaves = 0
  folders = 0
  /** What all is known of, but for what is in one of them. */
  readonly known: Array<readonly [path: FilePath.FilePath, size: Files.FolderSize]> = []
  private readonly calls: SystemCalls
  private readonly most: number

  constructor(calls: SystemCalls, most: number) {
    this.calls = calls
    this.most = most
  }

  /** Adds a folder, with all that is in and below it, and tells whether that was possible. */
  add(path: FilePath.FilePath, open: (done: Done<number>) => void, depth: number): boolean {
    const opened = depth > mostDeep ? undefined : ask<number>(open)
    if (opened?.code !== undefined || opened === undefined) return false
    const { folders, known, leaves } = this
    const { length } = known
    try {
      this.folders++
      const isAdded = this.list(opened.value)?.every((name) =>
        this.add(FilePath.join(path, name), (done) =>
          this.calls.open(opened.value, name, "list", done), depth + 1)
      ) === true
      if (isAdded) {
        known.length = length
        known.push([path, { leaves: this.leaves - leaves, folders: this.folders - folders }])
      }
      return isAdded
    } finally {
      this.calls.closeFolder(opened.value)
    }
  }

  /** Names of folders in a folder. */
  private list(folder: number): ReadonlyArray<FilePath.FilePath> | undefined {
    const names: Array<string> = []
    let isOrdinary = true
    const add = (name: string): void => {
      names.push(name)
    }
    // What is not a folder needs no name.
    const skips = (kind: EntryKind): boolean => {
      if (kind === "file" || kind === "link") this.leaves++
      else if (kind !== "folder") isOrdinary = false
      return kind !== "folder"
    }
    for (;;) {
      const more = ask<boolean>((done) => this.calls.list(folder, add, done, skips))
      if (more.code !== undefined || !isOrdinary || this.leaves + this.folders + names.length > this.most) {
        return undefined
      }
      if (!more.value) return names.map(FilePath.fromLatin1)
    }
  }
}

/**
 * Gives how much it is; `None` where it is too much, or anything but files, links and folders. What was found out of
 * folders in it is told then.
 */
export const measure = (
  calls: SystemCalls,
  path: FilePath.FilePath,
  most: number,
  tell?: Files.TellSize
): Option.Option<Files.FolderSize> =>
  measureOpened(calls, path, (done) => calls.openPath(path, "list", done), most, tell)

/** The same, of what this opens. */
export const measureOpened = (
  calls: SystemCalls,
  path: FilePath.FilePath,
  open: (done: Done<number>) => void,
  most: number,
  tell?: Files.TellSize
): Option.Option<Files.FolderSize> => {
  const measured = new Measure(calls, most)
  if (measured.add(path, open, 1)) return Option.some({ leaves: measured.leaves, folders: measured.folders })
  if (tell !== undefined) { for (const [path, size] of measured.known) tell(path, size) }
  return Option.none()
}
