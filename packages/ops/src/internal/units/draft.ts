/**
 * The folder that all copies of a unit are made in, beside where they are to be.
 */
import type { Calls } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import { removeOwn } from "../files/treeRemoval.ts"
import { isUnfinished } from "../path/unfinishedFolder.ts"
import { makeOwn } from "./ownFolder.ts"

/** The draft, which is made once something comes into it. */
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
