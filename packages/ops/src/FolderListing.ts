/**
 * Holds the names in a folder packed and sorted, so that millions of them fit in memory.
 *
 * A folder can have a million entries, and a walk keeps the listing of each folder that it
 * is in. As strings they take a hundred bytes each; here they take the bytes of the name and five more. The few of a
 * small folder are strings: that takes less time.
 *
 * @since 0.1.0
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
 * @since 0.1.0
 */
export const EntryKind = Schema.Literals(["file", "link", "folder", "special", "unknown"])

/**
 * What the entry of a folder is.
 *
 * @category models
 * @since 0.1.0
 */
export type EntryKind = typeof EntryKind.Type

/**
 * Names and kinds of what is in a folder, sorted by the bytes of the names.
 *
 * @category models
 * @since 0.1.0
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
 * @since 0.1.0
 */
export function* namesOf(listing: FolderListing): Generator<FilePath.FilePath> {
  for (let index = 0; index < listing.size; index++) yield listing.nameAt(index)
}

/**
 * Collects the entries of a folder in whatever order the file system gives them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Builder {
  /** Adds an entry whose name is given as one character (U+0000 to U+00FF) for each byte. */
  readonly addUnsafe: (name: string, kind: EntryKind) => void

  /** Sorts what was added, a slice at a time, and gives up the builder. */
  readonly build: Effect.Effect<FolderListing>
}

/** So many names are kept as they are: to pack them takes longer than all else that is done for a small folder. */
const mostFew = 256

/** Names as strings, one character for each byte: these are in order where the bytes are. */
class Few implements FolderListing {
  private readonly names: ReadonlyArray<string>
  private readonly kinds: ReadonlyArray<EntryKind>

  constructor(names: ReadonlyArray<string>, kinds: ReadonlyArray<EntryKind>) {
    this.names = names
    this.kinds = kinds
  }

  get size(): number {
    return this.names.length
  }

  nameAt(index: number): FilePath.FilePath {
    return FilePath.fromLatin1(this.names[index] ?? "")
  }

  kindAt(index: number): EntryKind {
    return this.kinds[index] ?? "unknown"
  }

  indexAfter(name: FilePath.FilePath): number {
    const latin1 = Buffer.from(FilePath.toBytes(name)).toString("latin1")
    const index = this.names.findIndex((one) => one > latin1)
    return index < 0 ? this.size : index
  }
}

const inOrder = (names: ReadonlyArray<string>, kinds: ReadonlyArray<EntryKind>): FolderListing => {
  const order = Array.from(names.keys()).toSorted((a, b) => (names[a] ?? "") < (names[b] ?? "") ? -1 : 1)
  return new Few(order.map((index) => names[index] ?? ""), order.map((index) => kinds[index] ?? "unknown"))
}

/** Names one after the other in one array. The name of entry `i` ends where the next one starts. */
class Packed implements FolderListing {
  readonly size: number
  private readonly bytes: Uint8Array
  private readonly starts: Uint32Array
  private readonly kinds: Uint8Array

  constructor(bytes: Uint8Array, starts: Uint32Array, kinds: Uint8Array) {
    this.size = kinds.length
    this.bytes = bytes
    this.starts = starts
    this.kinds = kinds
  }

  nameAt(index: number): FilePath.FilePath {
    return FilePath.fromBytes(this.bytes.subarray(at(this.starts, index), at(this.starts, index + 1)))
  }

  kindAt(index: number): EntryKind {
    return EntryKind.literals[at(this.kinds, index)] ?? "unknown"
  }

  indexAfter(name: FilePath.FilePath): number {
    const bytes = FilePath.toBytes(name)
    let [low, high] = [0, this.size]
    while (low < high) {
      const middle = (low + high) >>> 1
      const entry = this.bytes.subarray(at(this.starts, middle), at(this.starts, middle + 1))
      if (Buffer.compare(entry, bytes) > 0) high = middle
      else low = middle + 1
    }
    return low
  }
}

const at = (array: Uint8Array | Uint32Array, index: number): number => array[index] ?? 0

/** Packs names of a folder that has many. */
class Packing {
  private bytes = new Uint8Array(16 * mostFew)
  private starts = new Uint32Array(2 * mostFew)
  private kinds = new Uint8Array(2 * mostFew)
  private size = 0

  add(name: string, kind: EntryKind): void {
    const start = at(this.starts, this.size)
    if (start + name.length > this.bytes.length) {
      this.bytes = withRoom(new Uint8Array(2 * this.bytes.length), this.bytes)
    }
    if (this.size + 1 >= this.kinds.length) {
      this.starts = withRoom(new Uint32Array(2 * this.kinds.length), this.starts)
      this.kinds = withRoom(new Uint8Array(2 * this.kinds.length), this.kinds)
    }
    for (let i = 0; i < name.length; i++) this.bytes[start + i] = name.charCodeAt(i)
    this.kinds[this.size] = EntryKind.literals.indexOf(kind)
    this.size++
    this.starts[this.size] = start + name.length
  }

  readonly build = Effect.fnUntraced(function*(this: Packing, isSorted: boolean) {
    const { kinds, size } = this
    const starts = this.starts.subarray(0, size + 1)
    const bytes = this.bytes.subarray(0, at(starts, size))
    if (isSorted) return new Packed(bytes.slice(), starts.slice(), kinds.slice(0, size))

    const sorting = sort(bytes, starts)
    let step = sorting.next()
    while (step.done !== true) {
      yield* Effect.yieldNow
      step = sorting.next()
    }
    return reordered(bytes, starts, kinds, step.value)
  })
}

class Growing implements Builder {
  private few: Array<string> = []
  private kinds: Array<EntryKind> = []
  private many: Packing | undefined
  private isSorted = true
  private last = ""

  addUnsafe(name: string, kind: EntryKind): void {
    // One character for each byte: comparing the strings compares the bytes.
    this.isSorted &&= this.last <= name
    this.last = name
    if (this.few.length === mostFew) this.pack()
    if (this.many === undefined) {
      this.few.push(name)
      this.kinds.push(kind)
    } else {
      this.many.add(name, kind)
    }
  }

  private pack(): void {
    const { few, kinds } = this
    const many = new Packing()
    few.forEach((name, index) => many.add(name, kinds[index] ?? "unknown"))
    this.many = many
    this.few = []
    this.kinds = []
  }

  readonly build: Effect.Effect<FolderListing> = Effect.suspend(() => {
    const { few, isSorted, kinds, many } = this
    if (many !== undefined) return many.build(isSorted)
    return Effect.succeed(isSorted ? new Few(few, kinds) : inOrder(few, kinds))
  })
}

const withRoom = <A extends Uint8Array | Uint32Array>(larger: A, smaller: A): A => {
  larger.set(smaller)
  return larger
}

// Some thousand comparisons take about a millisecond; the event loop must not stall for more than a few.
const comparisonsPerSlice = 8192

/** The order of the names, by merging ever longer runs; yields after each slice of work. */
function* sort(bytes: Uint8Array, starts: Uint32Array): Generator<void, Uint32Array> {
  const size = starts.length - 1
  let from = Uint32Array.from({ length: size }, (_, index) => index)
  let to = new Uint32Array(size)
  let budget = comparisonsPerSlice
  for (let width = 1; width < size; width *= 2) {
    for (let low = 0; low < size; low += 2 * width) {
      const [middle, high] = [Math.min(low + width, size), Math.min(low + 2 * width, size)]
      for (let left = low, right = middle, out = low; out < high; out++) {
        const takesLeft = right === high ||
          (left < middle && compareNames(bytes, starts, at(from, left), at(from, right)) <= 0)
        to[out] = at(from, takesLeft ? left++ : right++)
        if (--budget === 0) {
          budget = comparisonsPerSlice
          yield
        }
      }
    }
    ;[from, to] = [to, from]
  }
  return from
}

const compareNames = (bytes: Uint8Array, starts: Uint32Array, a: number, b: number): number => {
  let [i, j] = [at(starts, a), at(starts, b)]
  const [endA, endB] = [at(starts, a + 1), at(starts, b + 1)]
  while (i < endA && j < endB) {
    const difference = at(bytes, i++) - at(bytes, j++)
    if (difference !== 0) return difference
  }
  return (endA - i) - (endB - j)
}

const reordered = (bytes: Uint8Array, starts: Uint32Array, kinds: Uint8Array, order: Uint32Array): FolderListing => {
  const [newBytes, newStarts] = [new Uint8Array(bytes.length), new Uint32Array(starts.length)]
  const newKinds = new Uint8Array(order.length)
  let end = 0
  order.forEach((old, index) => {
    const start = at(starts, old)
    const stop = at(starts, old + 1)
    for (let i = start; i < stop; i++) newBytes[end++] = at(bytes, i)
    newStarts[index + 1] = end
    newKinds[index] = at(kinds, old)
  })
  return new Packed(newBytes, newStarts, newKinds)
}

/**
 * Creates a builder without entries.
 *
 * @category constructors
 * @since 0.1.0
 */
export const builderUnsafe = (): Builder => new Growing()

/**
 * Listing of a folder that has nothing in it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const empty: FolderListing = new Packed(new Uint8Array(0), new Uint32Array(1), new Uint8Array(0))
