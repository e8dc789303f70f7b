/**
 * Folders of the job's own, such as drafts: they are recognised by their names, and by a mode that nobody but their
 * owner could have set.
 */
import { type Calls, isCode } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import type { Routine } from "../files/routine.ts"
import { removeOwn } from "../files/treeRemoval.ts"
import { isBegun, isUnfinished, unfinishedMode, withInherited } from "../path/unfinishedFolder.ts"
import { namesIn } from "./folderNames.ts"

/** Sets the mode by which a new folder is recognised. */
function* begin(calls: Calls, folder: number): Routine<boolean> {
  const made = yield* calls.stat(folder)
  // Where others may rename what is there, it may be theirs by now.
  if (isCode(made) || !isBegun(made, calls.user())) return false
  const mode = withInherited(unfinishedMode, made)
  return made.mode === mode || !isCode(yield* calls.setMode(folder, mode))
}

/** Opens a folder of the job's own, if the name belongs to one. */
export function* openKnown(calls: Calls, parent: number, name: FilePath.FilePath): Routine<number | undefined> {
  const folder = yield* calls.open(parent, name, "list")
  if (isCode(folder)) return undefined
  const stat = yield* calls.stat(folder)
  if (!isCode(stat) && isUnfinished(stat, calls.user())) return folder
  calls.closeNow(folder)
  return undefined
}

/** Makes a folder of the job's own, and opens it; `undefined` where that fails, as where the name is taken. */
export function* makeOwn(calls: Calls, parent: number, name: FilePath.FilePath): Routine<number | undefined> {
  if (isCode(yield* calls.makeFolder(parent, name, unfinishedMode))) return undefined
  const folder = yield* calls.open(parent, name, "list")
  if (!isCode(folder) && (yield* begin(calls, folder))) return folder
  if (!isCode(folder)) calls.closeNow(folder)
  // Only what is empty is removed.
  yield* calls.removeFolder(parent, name)
  return undefined
}

/** The folder in the target that all copies of a unit are made in. It is made for the first copy. */
export class Draft {
  /** Its descriptor; -1 where no draft can be made. */
  private folder: number | undefined
  private readonly calls: Calls
  private readonly target: number
  private readonly name: FilePath.FilePath

  constructor(calls: Calls, target: number, name: FilePath.FilePath) {
    this.calls = calls
    this.target = target
    this.name = name
  }

  /** Opens the draft; `undefined` where no draft can be made. */
  *open(): Routine<number | undefined> {
    this.folder ??= yield* this.make()
    return this.folder < 0 ? undefined : this.folder
  }

  private *make(): Routine<number> {
    const { calls, name, target } = this
    // In an append-only folder a draft could be neither emptied nor removed.
    if ((yield* calls.isAppendOnly(target)) !== false) return -1
    const made = yield* makeOwn(calls, target, name)
    if (made !== undefined) return made
    // An earlier attempt may have left a draft of this name.
    const user = calls.user()
    yield* removeOwn(calls, target, name, (stat) => isUnfinished(stat, user))
    return (yield* makeOwn(calls, target, name)) ?? -1
  }

  close(): void {
    if (this.folder !== undefined && this.folder >= 0) this.calls.closeNow(this.folder)
  }
}

/** Finds what earlier attempts have left. */
export interface Leftovers {
  /** Whether the job is still owned, so that visible names may be changed. */
  readonly mayPublish: () => boolean
  /** Whether a name in an existing folder is that of a leftover; `undefined` if no attempt came before. */
  readonly isLeftover: ((name: FilePath.FilePath) => boolean) | undefined
}

/** Removes what earlier attempts have left in a folder. Tells whether all of it is gone. */
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
