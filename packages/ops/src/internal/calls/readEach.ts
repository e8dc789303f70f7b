/**
 * Reads files of folders one after the other, in as few steps as can be: for small files they are most of what it
 * takes, and code that is new to a thread is slow for the first thousands of files.
 */
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Call } from "../../FilesError.ts"
import { isChanged } from "../content.ts"
import { failure, isName } from "./opened.ts"
import { Sequence } from "./sequence.ts"
import type { SystemCalls } from "./systemCalls.ts"

/** What is to be asked next. */
type Step = "folder" | "next" | "open" | "look" | "read" | "lookAgain" | "close"

interface Reading {
  readonly calls: SystemCalls
  readonly folders: ReadonlyArray<Files.FilesIn>
  readonly reader: Files.Reader
  /** Takes how many of the files it got through. */
  readonly done: (count: number) => void
}

class Run extends Sequence {
  private readonly calls: SystemCalls
  private readonly reader: Files.Reader
  private readonly folders: Iterator<Files.FilesIn, undefined>
  private step: Step = "folder"
  /** The folder that is open, and which of its names comes next. */
  private folder: Files.FilesIn = { path: FilePath.empty, names: [] }
  private folderDescriptor = -1
  private index = 0
  private descriptor = -1
  private before: Files.FileStat | undefined
  private sizeBytes = 0
  private isStopped = false
  /** How many of the files were dealt with. */
  private count = 0

  constructor({ calls, done, folders, reader }: Reading) {
    super(() => done(this.count))
    this.calls = calls
    this.reader = reader
    this.folders = folders.values()
  }

  protected ask(): boolean {
    switch (this.step) {
      case "folder":
        return this.askFolder()
      case "next":
        return this.askNext()
      case "open":
        this.calls.readSmall(this.folderDescriptor, this.name, this.reader, this.begun)
        return true
      case "look":
        this.calls.stat(this.descriptor, this.looked)
        return true
      case "read":
        this.calls.read(this.descriptor, this.reader.buffer, null, this.read)
        return true
      case "lookAgain":
        this.calls.stat(this.descriptor, this.lookedAgain)
        return true
      case "close":
        this.calls.close(this.descriptor, this.closed)
        return true
    }
  }

  private askFolder(): boolean {
    const next = this.folders.next().value
    if (next === undefined) return false
    this.folder = next
    this.index = 0
    this.calls.openPath(next.path, "folder", this.openedFolder)
    return true
  }

  private askNext(): boolean {
    const name = this.folder.names[this.index]
    if (name === undefined || this.isStopped || !this.reader.mayGoOn()) {
      this.calls.closeFolder(this.folderDescriptor)
      return name === undefined && this.askFolder()
    }
    if (!isName(name)) this.begun("EINVAL", "open")
    else if (this.reader.mayOpen === undefined) {
      this.calls.readSmall(this.folderDescriptor, name, this.reader, this.begun)
    } else this.calls.lstat(this.folderDescriptor, name, this.met)
    return true
  }

  private get name(): FilePath.FilePath {
    return this.folder.names[this.index] ?? FilePath.empty
  }

  /** Goes on with the file after this one, which was dealt with. */
  private leave(): void {
    this.index++
    this.count++
    this.step = "next"
  }

  private fail(call: Call, code: string): void {
    this.reader.fail(failure(call, FilePath.join(this.folder.path, this.name), code))
  }

  private readonly openedFolder = (code: string | undefined, descriptor: number): void => {
    if (code === undefined) {
      this.folderDescriptor = descriptor
      this.step = "next"
    } else {
      const { names, path } = this.folder
      for (const _ of names) this.reader.fail(failure("open", path, code))
      this.count += names.length
    }
    this.goOn()
  }

  /** Why something can't be looked at is told by what opens it. */
  private readonly met = (code: string | undefined, stat: Files.FileStat): void => {
    if (code === undefined && this.reader.mayOpen?.(stat) === false) this.leave()
    else this.step = "open"
    this.goOn()
  }

  private readonly begun = (code: string | undefined, value: number | Call): void => {
    if (typeof value === "string") {
      this.fail(value, code ?? "EIO")
      this.leave()
    } else if (value < 0) {
      this.leave()
    } else {
      this.descriptor = value
      this.sizeBytes = 0
      this.step = "look"
    }
    this.goOn()
  }

  private readonly looked = (code: string | undefined, stat: Files.FileStat): void => {
    this.before = stat
    if (code !== undefined) this.fail("fstat", code)
    this.step = code === undefined && this.reader.begin(stat) ? "read" : "close"
    this.goOn()
  }

  private readonly read = (code: string | undefined, length: number): void => {
    const { reader } = this
    if (code !== undefined) {
      this.fail("read", code)
      this.step = "close"
      return this.goOn()
    }
    if (length > 0) reader.piece(length === reader.buffer.length ? reader.buffer : reader.buffer.subarray(0, length))
    this.sizeBytes += length
    // A read that does not fill the buffer has met the end, if that is where it should be.
    const isOver = length === 0 || (this.sizeBytes === this.before?.sizeBytes && length < reader.buffer.length)
    if (isOver) {
      this.step = "lookAgain"
    } else if (!reader.mayGoOn()) {
      this.isStopped = true
      this.step = "close"
    }
    this.goOn()
  }

  private readonly lookedAgain = (code: string | undefined, stat: Files.FileStat): void => {
    if (code !== undefined) this.fail("fstat", code)
    else this.reader.end(this.before !== undefined && !isChanged(this.before, stat))
    this.step = "close"
    this.goOn()
  }

  /** What fails to close was read. One that was stopped on its way counts as not begun. */
  private readonly closed = (): void => {
    if (this.isStopped) this.step = "next"
    else this.leave()
    this.goOn()
  }
}

/** Reads files. */
export const readEach = (reading: Reading): void => new Run(reading).run()
