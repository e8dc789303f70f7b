/**
 * Empties folders of an open folder one after the other, in as few steps as can be: a name is removed in less time than
 * a step of a fiber takes. They are listed a part at a time, so the list of a large one is never held.
 */
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { EntryKind } from "../../FolderListing.ts"
import { Sequence } from "./sequence.ts"
import type { SystemCalls } from "./systemCalls.ts"

/** Names that are held at most: a part of a list of 64 KiB has not as many as are missing to `keyBase`. */
const mostHeld = 60_000
const keyBase = 2 ** 16

/**
 * More names are removed in the order of their inodes, as coreutils do with as many: file systems that list names by
 * hashes would else be all over their tables of inodes.
 */
const sortedAbove = 10_000

/** As many are removed in one go, in about a tenth of a millisecond. */
const namesInGo = 32
/** After as many of that all else on the thread has its turn, where calls are waited for. It is some milliseconds. */
const goesInTurn = 64

/** What is to be asked next. */
type Step = "next" | "look" | "list" | "unlink" | "close" | "remove"

interface Sweeping {
  readonly calls: SystemCalls
  readonly folder: number
  readonly names: ReadonlyArray<FilePath.FilePath>
  /** Code of the error where a name can't be used. */
  readonly refuse: (name: FilePath.FilePath) => string | undefined
  readonly sweeper: Files.Sweeper
  /** Takes how many of the names it got through. */
  readonly done: (count: number) => void
}

const isFolder = (kind: EntryKind): boolean => kind === "folder"

class Run extends Sequence {
  private readonly sweeping: Sweeping
  private step: Step = "next"
  private index = -1
  private descriptor = -1
  /** Names that the last parts of the list have told. */
  private entries: Array<FilePath.FilePath> = []
  /** For each of them, the inode and its place. */
  private keys: Array<number> = []
  private at = 0
  private isMore = false
  private inTurn = 0
  private isRefused = false
  private isStopped = false

  constructor(sweeping: Sweeping) {
    super(() => sweeping.done(this.index))
    this.sweeping = sweeping
  }

  private get name(): FilePath.FilePath {
    return this.sweeping.names[this.index] ?? FilePath.empty
  }

  protected ask(): boolean {
    const { calls, folder } = this.sweeping
    switch (this.step) {
      case "next":
        return this.next()
      case "look":
        calls.identity(this.descriptor, this.looked)
        return true
      case "list":
        calls.list(this.descriptor, this.listedOne, this.listed, isFolder)
        return true
      case "unlink":
        this.unlink()
        return true
      case "close":
        calls.close(this.descriptor, this.closed)
        return true
      case "remove":
        this.step = "next"
        calls.removeFolder(folder, this.name, this.removed)
        return true
    }
  }

  private next(): boolean {
    const { calls, folder, names, refuse, sweeper } = this.sweeping
    this.index++
    const name = names[this.index]
    if (name === undefined || this.isStopped || !sweeper.mayGoOn()) return false
    this.isRefused = refuse(name) !== undefined
    if (this.isRefused) this.goOn()
    else calls.open(folder, name, "list", this.opened)
    return true
  }

  /** One that can't be opened may be empty all the same. */
  private readonly opened = (code: string | undefined, descriptor: number): void => {
    this.descriptor = descriptor
    this.step = code === undefined ? "look" : "remove"
    this.goOn()
  }

  private readonly looked = (code: string | undefined, identity: Files.Identity): void => {
    this.isRefused = code !== undefined || !this.sweeping.sweeper.begin(this.name, identity)
    this.step = this.isRefused ? "close" : "list"
    this.goOn()
  }

  private readonly listedOne = (latin1: string, _: EntryKind, inode = 0): void => {
    const name = FilePath.fromLatin1(latin1)
    if (this.sweeping.sweeper.isLeft(name)) return
    this.keys.push(inode * keyBase + this.entries.length)
    this.entries.push(name)
  }

  private readonly listed = (code: string | undefined, isMore: boolean): void => {
    this.isMore = code === undefined && isMore
    if (!this.isMore || this.entries.length > mostHeld) {
      this.step = "unlink"
      if (this.entries.length > sortedAbove && this.entries.length <= keyBase) this.sort()
    }
    this.goOn()
  }

  private sort(): void {
    const { entries } = this
    this.entries = Array.from(
      Float64Array.from(this.keys).toSorted(),
      (key) => entries[key % keyBase] ?? FilePath.empty
    )
  }

  private unlink(): void {
    const { calls, sweeper } = this.sweeping
    this.isStopped = this.at < this.entries.length && !sweeper.mayGoOn()
    if (this.at === this.entries.length || this.isStopped) {
      this.entries = []
      this.keys = []
      this.at = 0
      this.step = this.isMore && !this.isStopped ? "list" : "close"
      return this.goOn()
    }
    if (++this.inTurn > goesInTurn) {
      this.inTurn = 0
      setImmediate(this.turned)
      return
    }
    const names = this.entries.slice(this.at, this.at + namesInGo)
    calls.unlinkEach(this.descriptor, names, this.unlinked, this.turned)
  }

  private readonly turned = (): void => this.goOn()

  /** What is gone before its turn is as good as removed. */
  private readonly unlinked = (code: string | undefined): boolean => {
    this.at++
    const { sweeper } = this.sweeping
    if (code === undefined || code === "ENOENT") sweeper.removedName()
    return sweeper.mayGoOn()
  }

  private readonly closed = (): void => {
    if (this.isStopped) this.index--
    this.step = this.isRefused || this.isStopped ? "next" : "remove"
    this.goOn()
  }

  private readonly removed = (code: string | undefined): void => {
    if (code === undefined) this.sweeping.sweeper.removedFolder()
    this.goOn()
  }
}

/** Empties folders. */
export const sweepEach = (sweeping: Sweeping): void => new Run(sweeping).run()
