/**
 * Compares what has the same names in folders of two trees, in as few steps as can be.
 */
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { isName } from "./opened.ts"
import { Sequence } from "./sequence.ts"
import type { SystemCalls } from "./systemCalls.ts"

/** What is to be asked next. */
type Step = "folder" | "other" | "next"

class Run extends Sequence {
  private readonly calls: SystemCalls
  private readonly comparison: Files.Comparison
  private readonly folders: Iterator<Files.FilesIn, undefined>
  private step: Step = "folder"
  /** The folders that are open, and which of the names comes next. */
  private folder: Files.FilesIn = { path: FilePath.empty, names: [] }
  private a = -1
  private b = -1
  private index = 0
  /** How many of the names were dealt with. */
  private count = 0

  constructor(calls: SystemCalls, comparison: Files.Comparison, done: (count: number) => void) {
    super(() => done(this.count))
    this.calls = calls
    this.comparison = comparison
    this.folders = comparison.folders.values()
  }

  protected ask(): boolean {
    const { a, b } = this.comparison
    switch (this.step) {
      case "folder":
        return this.askFolder(a)
      case "other":
        this.calls.openPath(FilePath.join(b, this.folder.path), "folder", this.openedOther)
        return true
      case "next":
        return this.askNext(a)
    }
  }

  private askFolder(a: FilePath.FilePath): boolean {
    const next = this.folders.next().value
    if (next === undefined) return false
    this.folder = next
    this.index = 0
    if (this.calls.comparePlain === undefined) this.leaveFolder()
    else this.calls.openPath(FilePath.join(a, next.path), "folder", this.opened)
    return true
  }

  private askNext(path: FilePath.FilePath): boolean {
    const { a, b, folder: { names } } = this
    const { comparer } = this.comparison
    const name = names[this.index]
    if (name === undefined || !comparer.mayGoOn()) {
      this.calls.closeFolder(a)
      this.calls.closeFolder(b)
      return name === undefined && this.askFolder(path)
    }
    if (name === "" || isName(name)) this.calls.comparePlain?.({ a, b, name, comparer }, this.compared)
    else this.leaveOne()
    return true
  }

  private leaveOne(): void {
    this.comparison.comparer.leave()
    this.compared()
  }

  /** Leaves all of a folder that can't be opened in both trees. */
  private leaveFolder(): void {
    for (const _ of this.folder.names) this.comparison.comparer.leave()
    this.count += this.folder.names.length
    this.step = "folder"
    this.goOn()
  }

  private readonly opened = (code: string | undefined, descriptor: number): void => {
    if (code !== undefined) return this.leaveFolder()
    this.a = descriptor
    this.step = "other"
    this.goOn()
  }

  private readonly openedOther = (code: string | undefined, descriptor: number): void => {
    if (code !== undefined) {
      this.calls.closeFolder(this.a)
      return this.leaveFolder()
    }
    this.b = descriptor
    this.step = "next"
    this.goOn()
  }

  private readonly compared = (): void => {
    this.index++
    this.count++
    this.goOn()
  }
}

/** Compares, and gives how many of the names it got through. */
export const compareEach = (
  calls: SystemCalls,
  comparison: Files.Comparison,
  done: (count: number) => void
): void => new Run(calls, comparison, done).run()
