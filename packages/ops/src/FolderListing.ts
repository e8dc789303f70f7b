/**
 * Holds the names in a folder packed and sorted, so that millions of them fit in memory.
 *
 * A folder can have a million entries, and a walk keeps the listing of each folder that it is in. As strings they take
 * a hundred bytes each; here they take the bytes of the name and nine more.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import type { FilesError } from "./FilesError.ts"

/**
 * Schema for what the entry of a folder is; `special` is a FIFO, a socket or a device, and
 * `unknown` what the file system does not tell without being asked for each file.
 *
 * @category schemas
 */
export const EntryKind = Schema.Literals(["file", "link", "folder", "special", "unknown"])
export type EntryKind = typeof EntryKind.Type

/**
 * Names and kinds of what is in a folder, sorted by the bytes of the names.
 *
 * @category models
 */
export interface FolderListing {
  /** How many entries there are. */
  readonly size: number

  /** Name of an entry. */
  readonly nameAt: (index: number) => FilePath.FilePath

  /** Kind of an entry. */
  readonly kindAt: (index: number) => EntryKind

  /** Index of the first entry whose name comes after this one. */
  readonly indexAfter: (name: FilePath.FilePath) => number

  /** What is in the folder and no entry, since no file could have its name, if anything is. */
  readonly fault?: FilesError
}

/**
 * Names of all entries, in their order.
 *
 * @category accessors
 */
export function* namesOf(listing: FolderListing): Generator<FilePath.FilePath> {
  for (let index = 0; index < listing.size; index++) yield listing.nameAt(index)
}

/**
 * Collects the entries of a folder in whatever order the file system gives them.
 *
 * @category models
 */
export interface Builder {
  /** Adds an entry whose name is given as one character (U+0000 to U+00FF) for each byte. */
  readonly addUnsafe: (name: string, kind: EntryKind) => void

  /** Sorts what was added, a slice at a time, and gives up the builder. */
  readonly build: Effect.Effect<FolderListing>
}

/** An entry as it was added. */
interface Entry {
  readonly name: string
  readonly kind: EntryKind
}

/** So many names, as a power of two, are sorted at once, which takes some milliseconds, and kept together. */
const blockBits = 12
const blockSize = 2 ** blockBits

/** Names in order, one after the other as bytes: a part of a text would keep all of it for whoever holds a name. */
class Block {
  private readonly bytes: Buffer
  private readonly ends: Uint32Array
  private readonly kinds: Uint8Array

  constructor(entries: ReadonlyArray<Entry>) {
    // One character for each byte: to compare the strings is to compare the bytes.
    const sorted = entries.toSorted((a, b) => a.name < b.name ? -1 : 1)
    let end = 0
    this.bytes = Buffer.from(sorted.map(({ name }) => name).join(""), "latin1")
    this.ends = new Uint32Array(sorted.map(({ name }) => end += name.length))
    this.kinds = new Uint8Array(sorted.map(({ kind }) => EntryKind.literals.indexOf(kind)))
  }

  nameAt(index: number): string {
    return this.bytes.toString("latin1", index === 0 ? 0 : this.ends[index - 1], this.ends[index])
  }

  kindAt(index: number): EntryKind {
    return EntryKind.literals[this.kinds[index] ?? 0] ?? "unknown"
  }
}

/** Text of a name by its number: the block that it is in, and its place in there. */
const nameOf = (blocks: ReadonlyArray<Block>, number: number): string =>
  blocks[number >>> blockBits]?.nameAt(number % blockSize) ?? ""

// Some thousand steps take about a millisecond; the event loop must not stall for more than a few.
const stepsPerSlice = 4096

/** The order of all names, by merging blocks and then ever longer runs; yields after each slice of work. */
function* merge(blocks: ReadonlyArray<Block>, size: number): Generator<void, Uint32Array> {
  let [from, to] = [Uint32Array.from({ length: size }, (_, number) => number), new Uint32Array(size)]
  const nameAt = (index: number): string => nameOf(blocks, from[index] ?? 0)
  let left = stepsPerSlice
  for (let width = blockSize; width < size; width *= 2) {
    for (let low = 0; low < size; low += 2 * width) {
      const [middle, high] = [Math.min(low + width, size), Math.min(low + 2 * width, size)]
      let [a, b, nameA, nameB] = [low, middle, nameAt(low), nameAt(middle)]
      for (let out = low; out < high; out++) {
        const takesA = b === high || (a < middle && nameA <= nameB)
        to[out] = from[takesA ? a++ : b++] ?? 0
        if (takesA) nameA = nameAt(a)
        else nameB = nameAt(b)
        if (--left === 0) {
          left = stepsPerSlice
          yield
        }
      }
    }
    ;[from, to] = [to, from]
  }
  return from
}

/** Names in blocks, by their numbers in order; without these, the blocks are in order. */
class Ordered implements FolderListing {
  readonly size: number
  private readonly blocks: ReadonlyArray<Block>
  private readonly order: Uint32Array | undefined

  constructor(size: number, blocks: ReadonlyArray<Block>, order?: Uint32Array) {
    this.size = size
    this.blocks = blocks
    this.order = order
  }

  private numberAt(index: number): number {
    return this.order === undefined ? index : this.order[index] ?? 0
  }

  private textAt(index: number): string {
    return nameOf(this.blocks, this.numberAt(index))
  }

  nameAt(index: number): FilePath.FilePath {
    return FilePath.fromLatin1(this.textAt(index))
  }

  kindAt(index: number): EntryKind {
    const number = this.numberAt(index)
    return this.blocks[number >>> blockBits]?.kindAt(number % blockSize) ?? "unknown"
  }

  indexAfter(name: FilePath.FilePath): number {
    const latin1 = Buffer.from(FilePath.toBytes(name)).toString("latin1")
    let [low, high] = [0, this.size]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.textAt(middle) > latin1) high = middle
      else low = middle + 1
    }
    return low
  }
}

class Growing implements Builder {
  private readonly blocks: Array<Block> = []
  private entries: Array<Entry> = []

  addUnsafe(name: string, kind: EntryKind): void {
    this.entries.push({ name, kind })
    if (this.entries.length < blockSize) return
    this.blocks.push(new Block(this.entries))
    this.entries = []
  }

  readonly build: Effect.Effect<FolderListing> = Effect.suspend(() => {
    const { blocks: full, entries } = this
    const blocks = entries.length === 0 ? full : [...full, new Block(entries)]
    const size = full.length * blockSize + entries.length
    // Stores list in order, and so do some file systems.
    const areInOrder = blocks.every((block, index) =>
      index === 0 || nameOf(blocks, index * blockSize - 1) <= block.nameAt(0)
    )
    return areInOrder
      ? Effect.succeed(new Ordered(size, blocks))
      : Effect.map(inSlices(merge(blocks, size)), (order) => new Ordered(size, blocks, order))
  })
}

/** Has others run after each slice of some work. */
const inSlices = <A>(work: Generator<void, A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const { done, value } = work.next()
    return done === true ? Effect.succeed(value) : Effect.andThen(Effect.yieldNow, inSlices(work))
  })

/**
 * Creates a builder without entries.
 *
 * @category constructors
 */
export const builderUnsafe = (): Builder => new Growing()

/**
 * Listing of a folder that has nothing in it.
 *
 * @category constructors
 */
export const empty: FolderListing = new Ordered(0, [])
