/**
 * Folders of this job's own that nobody else looks into: they are known by their names, and by a mode that nobody but
 * their owner could give them.
 */
import { type Calls, isCode } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import { removeOwn } from "../files/treeRemoval.ts"
import { isBegun, isUnfinished, unfinishedMode, withInherited } from "../path/unfinishedFolder.ts"

/** Sees to it that a folder that was made is known by its mode. */
const begin = (calls: Calls, folder: number): boolean => {
  const made = calls.stat(folder).now()
  // Where others may rename what is there, it may be theirs by now.
  if (isCode(made) || !isBegun(made, calls.user())) return false
  const mode = withInherited(unfinishedMode, made)
  return made.mode === mode || !isCode(calls.setMode(folder, mode).now())
}

/** Opens such a folder, if that is what has the name. */
export const openKnown = (calls: Calls, parent: number, name: FilePath.FilePath): number | undefined => {
  const folder = calls.open(parent, name, "list").now()
  if (isCode(folder)) return undefined
  const stat = calls.stat(folder).now()
  if (!isCode(stat) && isUnfinished(stat, calls.user())) return folder
  calls.closeNow(folder)
  return undefined
}

/** Makes such a folder, and opens it; nothing where that can't be, as where something has its name. */
export const makeOwn = (calls: Calls, parent: number, name: FilePath.FilePath): number | undefined => {
  if (isCode(calls.makeFolder(parent, name, unfinishedMode).now())) return undefined
  const folder = calls.open(parent, name, "list").now()
  if (!isCode(folder) && begin(calls, folder)) return folder
  if (!isCode(folder)) calls.closeNow(folder)
  // Only what is empty is removed.
  calls.removeFolder(parent, name).now()
  return undefined
}

/** The folder that all copies of a unit are made in, beside where they are to be: made once something comes into it. */
export class Draft {
  /** -1 where there can't be one. */
  private folder: number | undefined
  private readonly calls: Calls
  private readonly target: number
  private readonly name: FilePath.FilePath

  constructor(calls: Calls, target: number, name: FilePath.FilePath) {
    this.calls = calls
    this.target = target
    this.name = name
  }

  /** Opens it; nothing where there can't be one. */
  open(): number | undefined {
    this.folder ??= this.make()
    return this.folder < 0 ? undefined : this.folder
  }

  private make(): number {
    const { calls, name, target } = this
    // In a folder that names can only be added to it could be neither emptied nor removed.
    if (calls.isAppendOnly(target).now() !== false) return -1
    const made = makeOwn(calls, target, name)
    if (made !== undefined) return made
    // An attempt before this one may have left it.
    const user = calls.user()
    removeOwn(calls, target, name, (stat) => isUnfinished(stat, user))
    return makeOwn(calls, target, name) ?? -1
  }

  close(): void {
    if (this.folder !== undefined && this.folder >= 0) this.calls.closeNow(this.folder)
  }
}
