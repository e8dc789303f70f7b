/**
 * Folders below another one that a unit works in.
 */
import { type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type { Routine } from "../files/routine.ts"

/** Folders by their paths below another one, opened once each. */
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
