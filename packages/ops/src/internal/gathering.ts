/**
 * Gathers names of one folder that a walk meets one after the other, so that one element of a fan-out stands for them.
 */
import * as FilePath from "../FilePath.ts"

// All of what is gathered is in the checkpoint until it is done.
const maxNames = 64
const maxTextLength = 1024

const textLength = (name: FilePath.FilePath): number => name.isWellFormed() ? name.length : 6 * name.length

/** Where a walk has met something. */
interface Met {
  readonly cursor: string
  readonly source: number
  /** Path under the source; not empty. */
  readonly path: FilePath.FilePath
}

/** Names of one folder. */
export interface Gathered {
  readonly source: number
  /** Path of the folder under the source; empty for the source itself. */
  readonly folder: FilePath.FilePath
  readonly names: ReadonlyArray<FilePath.FilePath>
  /** Cursor of the last of them. */
  readonly cursor: string
}

/** Gathers names until there are enough, or those of another folder come. */
export class Gathering {
  private names: Array<FilePath.FilePath> = []
  private length = 0
  private folder = FilePath.empty
  private source = 0
  private cursor = ""

  /** Adds a name. Gives those that were gathered before, if it does not belong to them. */
  add({ cursor, path, source }: Met): Gathered | undefined {
    const folder = FilePath.parent(path)
    const name = FilePath.name(path)
    const length = textLength(name)
    const isFull = this.names.length === maxNames || this.length + length > maxTextLength
    const gathered = isFull || source !== this.source || folder !== this.folder ? this.take() : undefined
    this.source = source
    this.folder = folder
    this.cursor = cursor
    this.names.push(name)
    this.length += length
    return gathered
  }

  /** Gives what was gathered, if anything was. */
  take(): Gathered | undefined {
    if (this.names.length === 0) return undefined
    const { cursor, folder, names, source } = this
    this.names = []
    this.length = 0
    return { cursor, folder, names, source }
  }
}
