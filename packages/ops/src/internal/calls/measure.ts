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
  private readonly calls: SystemCalls
  private readonly most: number

  constructor(calls: SystemCalls, most: number) {
    this.calls = calls
    this.most = most
  }

  /** Adds a folder, with all that is in and below it, and tells whether that was possible. */
  add(open: (done: Done<number>) => void, depth: number): boolean {
    const opened = depth > mostDeep ? undefined : ask<number>(open)
    if (opened?.code !== undefined || opened === undefined) return false
    try {
      this.folders++
      const names = this.list(opened.value)
      return names?.every((name) =>
        this.add((done) => this.calls.open(opened.value, name, "list", done), depth + 1)
      ) === true
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

/** Gives how much it is; `None` where it is too much, or anything but files, links and folders. */
export const measure = (calls: SystemCalls, path: FilePath.FilePath, most: number): Option.Option<Files.FolderSize> =>
  measureOpened(calls, (done) => calls.openPath(path, "list", done), most)

/** The same, of what this opens. */
export const measureOpened = (
  calls: SystemCalls,
  open: (done: Done<number>) => void,
  most: number
): Option.Option<Files.FolderSize> => {
  const measured = new Measure(calls, most)
  const isWhole = measured.add(open, 1)
  return isWhole ? Option.some({ leaves: measured.leaves, folders: measured.folders }) : Option.none()
}
