/**
 * Folders of this job's own that nobody else looks into: they are known by their names, and by a mode that nobody but
 * their owner could give them.
 */
import { type Calls, isCode } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import type { Routine } from "../files/routine.ts"
import { removeOwn } from "../files/treeRemoval.ts"
import { isBegun, isUnfinished, unfinishedMode, withInherited } from "../path/unfinishedFolder.ts"
import { namesIn } from "./folderNames.ts"

/** Sees to it that a folder that was made is known by its mode. */
function* begin(calls: Calls, folder: number): Routine<boolean> {
  const made = yield* calls.stat(folder)
  // Where others may rename what is there, it may be theirs by now.
  if (isCode(made) || !isBegun(made, calls.user())) return false
  const mode = withInherited(unfinishedMode, made)
  return made.mode === mode || !isCode(yield* calls.setMode(folder, mode))
}

/** Opens such a folder, if that is what has the name. */
export function* openKnown(calls: Calls, parent: number, name: FilePath.FilePath): Routine<number | undefined> {
  const folder = yield* calls.open(parent, name, "list")
  if (isCode(folder)) return undefined
  const stat = yield* calls.stat(folder)
  if (!isCode(stat) && isUnfinished(stat, calls.user())) return folder
  calls.closeNow(folder)
  return undefined
}

/** Makes such a folder, and opens it; nothing where that can't be, as where something has its name. */
export function* makeOwn(calls: Calls, parent: number, name: FilePath.FilePath): Routine<number | undefined> {
  if (isCode(yield* calls.makeFolder(parent, name, unfinishedMode))) return undefined
  const folder = yield* calls.open(parent, name, "list")
  if (!isCode(folder) && (yield* begin(calls, folder))) return folder
  if (!isCode(folder)) calls.closeNow(folder)
  // Only what is empty is removed.
  yield* calls.removeFolder(parent, name)
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
  *open(): Routine<number | undefined> {
    this.folder ??= yield* this.make()
    return this.folder < 0 ? undefined : this.folder
  }

  private *make(): Routine<number> {
    const { calls, name, target } = this
    // In a folder that names can only be added to it could be neither emptied nor removed.
    if ((yield* calls.isAppendOnly(target)) !== false) return -1
    const made = yield* makeOwn(calls, target, name)
    if (made !== undefined) return made
    // An attempt before this one may have left it.
    const user = calls.user()
    yield* removeOwn(calls, target, name, (stat) => isUnfinished(stat, user))
    return (yield* makeOwn(calls, target, name)) ?? -1
  }

  close(): void {
    if (this.folder !== undefined && this.folder >= 0) this.calls.closeNow(this.folder)
  }
}

/** What may be left of attempts before this one. */
export interface Leftovers {
  /** Whether something that others see may be changed. */
  readonly mayPublish: () => boolean
  /** Whether what has this name in a folder that was there before is left of a former attempt; if there was any. */
  readonly isLeftover: ((name: FilePath.FilePath) => boolean) | undefined
}

/** Removes what former attempts have left in a folder. Tells whether nothing is left of it. */
export function* removeLeftovers(
  calls: Calls,
  folder: number,
  { isLeftover, mayPublish }: Leftovers
): Routine<boolean> {
  if (isLeftover === undefined) return true
  const names = mayPublish() ? yield* namesIn(calls, folder) : undefined
  if (names === undefined) return false
  const user = calls.user()
  for (const name of names.folders.filter(isLeftover)) {
    if (!(yield* removeOwn(calls, folder, name, (stat) => isUnfinished(stat, user)))) return false
  }
  for (const name of names.others.filter(isLeftover)) {
    if (isCode(yield* calls.unlink(folder, name))) return false
  }
  return true
}
