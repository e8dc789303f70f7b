/**
 * Gathers names that a walk meets one after the other, so that one element of a fan-out stands for them.
 */
import * as Arr from "effect/Array"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"

/** All of what is gathered is in the checkpoint until it is done. */
export const maxTextLength = 2048

export const textLength = (text: FilePath.FilePath): number => text.isWellFormed() ? text.length : 6 * text.length

interface Counted {
  readonly cursor: string
  readonly source: number
  /** How much it counts: one, if nothing else is said. */
  readonly size?: number
}

/** Where a walk has met something. */
interface Met extends Counted {
  /** Path under the source; not empty. */
  readonly path: FilePath.FilePath
}

/** The same, by its folder. */
interface MetIn extends Counted {
  readonly folder: FilePath.FilePath
  /** May be empty, for the folder itself. */
  readonly name: FilePath.FilePath
}

/** Names in a folder. */
export interface Names {
  /** Path of the folder under the source; empty for the source itself. */
  readonly path: FilePath.FilePath
  readonly names: Array<FilePath.FilePath>
  /** What each of them counts, where that was said. */
  readonly sizes?: Array<number>
}

/** Names in folders of one source, in the order of the walk. */
export interface Gathered {
  readonly source: number
  readonly folders: Arr.NonEmptyReadonlyArray<Names>
  /** Cursor of the last of them. */
  readonly cursor: string
  /** How much they count. */
  readonly size: number
}

/** Gathers names until there are enough, or those of another source come. */
export class Gathering {
  private readonly most: number
  private folders: Array<Names> = []
  private count = 0
  private length = 0
  private source = 0
  private cursor = ""

  /** Names are gathered until they count so much: 64 by default. */
  constructor(most = 64) {
    this.most = most
  }

  /** Adds a name. Gives those that were gathered before, if it does not belong to them. */
  add({ path, ...met }: Met): Gathered | undefined {
    return this.addIn({ ...met, folder: FilePath.parent(path), name: FilePath.name(path) })
  }

  /** The same with a name in a folder. */
  addIn({ cursor, folder, name, size, source }: MetIn): Gathered | undefined {
    const counted = size ?? 1
    const length = textLength(name)
    const isFull = this.count + counted > this.most || this.length + length + this.lengthOf(folder) > maxTextLength
    const gathered = isFull || source !== this.source ? this.take() : undefined
    this.source = source
    this.cursor = cursor
    this.count += counted
    this.length += length + this.lengthOf(folder)
    const last = this.folders.at(-1)
    if (last?.path !== folder) {
      this.folders.push({ path: folder, names: [name], ...size === undefined ? {} : { sizes: [size] } })
      return gathered
    }
    last.names.push(name)
    if (size !== undefined) last.sizes?.push(size)
    return gathered
  }

  /** What a folder adds, if it is another one. A path that is longer than all else may be has to be there once. */
  private lengthOf(folder: FilePath.FilePath): number {
    return this.folders.at(-1)?.path === folder ? 0 : Math.min(textLength(folder), maxTextLength / 2)
  }

  /** Gives what was gathered, if anything was. */
  take(): Gathered | undefined {
    const { count: size, cursor, folders, source } = this
    if (!Arr.isReadonlyArrayNonEmpty(folders)) return undefined
    this.folders = []
    this.count = 0
    this.length = 0
    return { cursor, folders, size, source }
  }
}

/** What makes elements of what a walk meets, some only once others were met. */
export interface Gatherer<A, B> {
  readonly add: (met: A) => ReadonlyArray<B>
  /** Gives what was kept until then, once the walk is over. */
  readonly flush: () => ReadonlyArray<B>
}

/** Makes elements of what a walk meets. */
export const gathered = <A, E, R, B>(
  walk: Stream.Stream<A, E, R>,
  make: () => Gatherer<A, B>
): Stream.Stream<B, E, R> =>
  Stream.mapAccumArray(
    walk,
    make,
    (gatherer, chunk) => [gatherer, chunk.flatMap((met) => gatherer.add(met))],
    { onHalt: (gatherer) => gatherer.flush() }
  )
