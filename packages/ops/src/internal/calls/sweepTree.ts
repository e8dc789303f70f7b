/**
 * Removes folders with all that is in and below them, where calls are made at once: of a small folder most of what else
 * it takes is to find the way there.
 */
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { ask } from "./answered.ts"
import { mostDeep } from "./measure.ts"
import type { SystemCalls, Tree } from "./systemCalls.ts"

/** As many names are removed before it is asked whether that may go on. */
const namesInGo = 32
/** Of more, which have come since it was looked, all else on the thread would wait too long. */
const mostNames = 4096

interface Listed {
  readonly folders: ReadonlyArray<FilePath.FilePath>
  readonly others: ReadonlyArray<FilePath.FilePath>
}

class Run {
  private readonly calls: SystemCalls
  private readonly sweeper: Files.Sweeper
  private listed = 0

  constructor(calls: SystemCalls, sweeper: Files.Sweeper) {
    this.calls = calls
    this.sweeper = sweeper
  }

  get isMuch(): boolean {
    return this.listed > mostNames
  }

  /** Removes what may be removed. Tells whether it went on to the end: what can't be removed is left. */
  sweep(parent: number, name: FilePath.FilePath, path: FilePath.FilePath, depth: number): boolean {
    const { calls, sweeper } = this
    if (!sweeper.mayGoOn()) return false
    const opened = ask<number>((done) => calls.open(parent, name, "list", done))
    if (opened.code === undefined) {
      const end = this.empty(opened.value, path, depth)
      ask<void>((done) => calls.close(opened.value, done))
      if (end !== "empty") return end === "left"
    }
    const removed = ask<void>((done) => calls.removeFolder(parent, name, done))
    if (removed.code === undefined) sweeper.removedFolder()
    return true
  }

  private empty(folder: number, path: FilePath.FilePath, depth: number): "empty" | "left" | "stopped" {
    const { calls, sweeper } = this
    const identity = ask<Files.Identity>((done) => calls.identity(folder, done))
    if (identity.code !== undefined || !sweeper.begin(path, identity.value)) return "left"
    const { folders, others } = this.list(folder)
    if (this.isMuch || !this.unlink(folder, others)) return "stopped"
    if (depth === mostDeep) return "empty"
    return folders.every((name) => this.sweep(folder, name, FilePath.join(path, name), depth + 1)) ? "empty" : "stopped"
  }

  private list(folder: number): Listed {
    const [folders, others]: [Array<FilePath.FilePath>, Array<FilePath.FilePath>] = [[], []]
    const add = (latin1: string, kind: string): void => {
      const name = FilePath.fromLatin1(latin1)
      this.listed++
      if (kind === "folder") folders.push(name)
      else if (!this.sweeper.isLeft(name)) others.push(name)
    }
    while (true) {
      const more = ask<boolean>((done) => this.calls.list(folder, add, done))
      if (more.code !== undefined || !more.value || this.isMuch) return { folders, others }
    }
  }

  private unlink(folder: number, names: ReadonlyArray<FilePath.FilePath>): boolean {
    const { calls, sweeper } = this
    for (let at = 0; at < names.length; at += namesInGo) {
      if (!sweeper.mayGoOn()) return false
      calls.unlinkEach(folder, names.slice(at, at + namesInGo), (code) => {
        if (code === undefined || code === "ENOENT") sweeper.removedName()
        return true
      }, () => {})
    }
    return true
  }
}

/**
 * Removes a folder with all that is in and below it, as far as that can be; false where it was stopped before, nothing
 * where there is too much.
 */
export const sweepTree = (calls: SystemCalls, { folder, name, sweeper }: Tree): boolean | undefined => {
  const run = new Run(calls, sweeper)
  const isThrough = run.sweep(folder, name, name, 1)
  return run.isMuch ? undefined : isThrough
}
