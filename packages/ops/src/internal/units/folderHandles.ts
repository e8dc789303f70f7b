/**
 * Open folders below the source or the target of a unit.
 */
import { type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type { Routine } from "../files/routine.ts"

/** Opens each folder once, by its path below the top. */
export class Folders {
  private readonly calls: Calls
  private readonly top: FilePath.FilePath
  private readonly opened = new Map<FilePath.FilePath, number | undefined>()

  constructor(calls: Calls, top: FilePath.FilePath) {
    this.calls = calls
    this.top = top
  }

  *at(path: FilePath.FilePath): Routine<number | undefined> {
    if (!this.opened.has(path)) {
      const folder = yield* this.calls.openPath(FilePath.join(this.top, path), "list")
      this.opened.set(path, isCode(folder) ? undefined : folder)
    }
    return this.opened.get(path)
  }

  close(): void {
    for (const folder of this.opened.values()) if (folder !== undefined) this.calls.closeNow(folder)
  }
}
