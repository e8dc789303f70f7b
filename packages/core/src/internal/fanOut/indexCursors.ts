/**
 * Cursors of items that have no cursors of their own: the index of an item, and a hash of the items up to it.
 *
 * The hash tells a later run that the items have changed: without it, the item at a known index would count as done
 * although another item has run.
 */
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Element, Source } from "../../Source.ts"

export class IndexCursors<A> {
  private readonly keyOf: (item: A) => string
  private index = 0
  private hash = offsetBasis

  constructor(keyOf: (item: A) => string = textOf) {
    this.keyOf = keyOf
  }

  /** Gives the cursor of the next item. */
  next(item: A): string {
    this.hash = hashed(this.hash, `${this.textOf(item)}\0`)
    return `${this.index++}:${this.hash.toString(36)}`
  }

  private textOf(item: A): string {
    try {
      return this.keyOf(item)
    } catch (cause) {
      throw new Error(`Item ${this.index} has no JSON by which it is known again: give \`keyOf\``, { cause })
    }
  }

  /** Whether the cursor is the last one that was taken. Throws if another item was at its index. */
  isLast(cursor: string, last: string | undefined): boolean {
    if (cursor === last) return true
    if (last?.startsWith(`${cursor.slice(0, cursor.indexOf(":"))}:`) === true) throw changed(last)
    return false
  }
}

export const cursorsOf = <A>(items: ReadonlyArray<A>, keyOf?: (item: A) => string): ReadonlyArray<string> => {
  const cursors = new IndexCursors(keyOf)
  return items.map((item) => cursors.next(item))
}

/** A source of elements that are in memory and have these cursors. */
export const sourceOf = <P>(elements: ReadonlyArray<Element<P>>): Source<P> => (after) =>
  Stream.suspend(() => {
    if (Option.isNone(after)) return Stream.fromIterable(elements)
    const index = elements.findIndex(({ cursor }) => cursor === after.value)
    if (index < 0) throw changed(after.value)
    return Stream.fromIterable(elements.slice(index + 1))
  })

/** The error of items that are others than those of an earlier run. */
export const changed = (last: string | undefined): Error =>
  new Error(
    `The items of this fan-out have changed since item ${last?.split(":")[0]} has run: give the same items in each ` +
      "run of the job, such as those of its payload"
  )

/** The JSON of an item, in which bigints, maps and sets have a text too. Throws for an item without JSON. */
const textOf = (item: unknown): string => {
  if (item === undefined) return ""
  const text: unknown = JSON.stringify(item, (_, value: unknown) => {
    if (typeof value === "bigint") return `${value}n`
    return value instanceof Map || value instanceof Set ? Array.from(value) : value
  })
  if (typeof text === "string") return text
  throw new Error(`a ${typeof item} has no JSON`)
}

// FNV-1a, 32 bits, of UTF-16 units: http://www.isthe.com/chongo/tech/comp/fnv/
const offsetBasis = 0x811c9dc5
const prime = 0x01000193

const hashed = (hash: number, text: string): number => {
  let value = hash
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), prime)
  return value >>> 0
}
