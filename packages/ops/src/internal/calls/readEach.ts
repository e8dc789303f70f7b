/**
 * Reads files of an open folder one after the other, in as few steps as can be: for small files they are most of what
 * it takes, and code that is new to a thread is slow for the first thousands of files.
 */
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Call } from "../../FilesError.ts"
import { Sequence } from "./sequence.ts"
import type { SystemCalls } from "./systemCalls.ts"

/** What is to be asked next. */
type Step = "next" | "look" | "read" | "lookAgain" | "close"

interface Reading {
  readonly calls: SystemCalls
  readonly folder: number
  readonly names: ReadonlyArray<FilePath.FilePath>
  /** Code of the error where a name can't be used. */
  readonly refuse: (name: FilePath.FilePath) => string | undefined
  readonly reader: Files.Reader
  /** Takes why a file was not read to its end. */
  readonly fail: (name: FilePath.FilePath, call: Call, code: string) => void
  /** Takes how many of the names it got through. */
  readonly done: (count: number) => void
}

/** Whether nobody has written to a file in between. */
const isSame = (before: Files.FileStat, after: Files.FileStat): boolean =>
  before.modifiedNanos === after.modifiedNanos && before.sizeBytes === after.sizeBytes

class Run extends Sequence {
  private readonly reading: Reading
  private step: Step = "next"
  private index = -1
  private descriptor = -1
  private before: Files.FileStat | undefined
  private sizeBytes = 0
  private isStopped = false

  constructor(reading: Reading) {
    super(() => reading.done(this.index))
    this.reading = reading
  }

  protected ask(): boolean {
    const { calls, folder, names, reader, refuse } = this.reading
    switch (this.step) {
      case "next": {
        this.index++
        const name = names[this.index]
        if (name === undefined || this.isStopped || !reader.mayGoOn()) return false
        const code = refuse(name)
        if (code === undefined) calls.readSmall(folder, name, reader, this.begun)
        else this.begun(code, "open")
        return true
      }
      case "look":
        calls.stat(this.descriptor, this.looked)
        return true
      case "read":
        calls.read(this.descriptor, reader.buffer, null, this.read)
        return true
      case "lookAgain":
        calls.stat(this.descriptor, this.lookedAgain)
        return true
      case "close":
        calls.close(this.descriptor, this.closed)
        return true
    }
  }

  private fail(call: Call, code: string, next: Step): void {
    const name = this.reading.names[this.index]
    if (name !== undefined) this.reading.fail(name, call, code)
    this.step = next
  }

  private readonly begun = (code: string | undefined, value: number | Call): void => {
    if (typeof value === "string") {
      this.fail(value, code ?? "EIO", "next")
    } else if (value >= 0) {
      this.descriptor = value
      this.sizeBytes = 0
      this.step = "look"
    }
    this.goOn()
  }

  private readonly looked = (code: string | undefined, stat: Files.FileStat): void => {
    this.before = stat
    if (code !== undefined) this.fail("fstat", code, "close")
    else this.step = this.reading.reader.begin(stat) ? "read" : "close"
    this.goOn()
  }

  private readonly read = (code: string | undefined, length: number): void => {
    const { reader } = this.reading
    if (code !== undefined) {
      this.fail("read", code, "close")
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
    if (code !== undefined) this.fail("fstat", code, "close")
    else this.reading.reader.end(this.before !== undefined && isSame(this.before, stat))
    this.step = "close"
    this.goOn()
  }

  /** What fails to close was read. One that was stopped on its way counts as not begun. */
  private readonly closed = (): void => {
    this.step = "next"
    if (this.isStopped) this.index--
    this.goOn()
  }
}

/** Reads files. */
export const readEach = (reading: Reading): void => new Run(reading).run()
