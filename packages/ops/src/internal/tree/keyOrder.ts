/**
 * Orders what is in a folder as an object store lists it: a folder `a` comes where `a/` does, behind `a.txt`.
 */
import * as FilePath from "../../FilePath.ts"
import type * as FolderListing from "../../FolderListing.ts"

const slash = 0x2f

/** Key of an entry within its folder: that of a folder ends with a slash. */
export const keyOf = (name: FilePath.FilePath, isFolder: boolean): FilePath.FilePath =>
  isFolder ? FilePath.make(`${name}/`) : name

/** Whether a name, which is behind another one, comes before all that is in the folder of that other name. */
const isBeforeIn = (name: string, folder: string): boolean =>
  // Characters that take several bytes, and bytes that are no characters, are greater by either measure.
  name.startsWith(folder) && name.charCodeAt(folder.length) < slash

/** The entries by their places in the listing, in the order of keys. */
const orderOf = (listing: FolderListing.FolderListing, kindAt: FolderListing.FolderListing["kindAt"]): Uint32Array => {
  const order = new Uint32Array(listing.size)
  const waiting: Array<{ readonly index: number; readonly name: string }> = []
  let count = 0
  for (let index = 0; index < listing.size; index++) {
    const name = listing.nameAt(index)
    for (let last = waiting.at(-1); last !== undefined && !isBeforeIn(name, last.name); last = waiting.at(-1)) {
      order[count++] = last.index
      waiting.pop()
    }
    if (kindAt(index) === "folder") waiting.push({ index, name })
    else order[count++] = index
  }
  for (const { index } of waiting.toReversed()) order[count++] = index
  return order
}

/**
 * The same entries in the order of keys, by kinds that may be known better than from the folder. What comes behind is
 * asked by a key, whether or not an entry has it.
 */
export const inKeyOrder = (
  listing: FolderListing.FolderListing,
  kinds: ReadonlyMap<number, FolderListing.EntryKind> = new Map()
): FolderListing.FolderListing => {
  const kindOf = (place: number): FolderListing.EntryKind => kinds.get(place) ?? listing.kindAt(place)
  const order = orderOf(listing, kindOf)
  const placeOf = (index: number): number => order[index] ?? 0
  const nameAt = (index: number): FilePath.FilePath => listing.nameAt(placeOf(index))
  const kindAt = (index: number): FolderListing.EntryKind => kindOf(placeOf(index))
  const indexAfter = (key: FilePath.FilePath): number => {
    const bytes = FilePath.toBytes(key)
    let [low, high] = [0, listing.size]
    while (low < high) {
      const middle = (low + high) >>> 1
      const found = keyOf(nameAt(middle), kindAt(middle) === "folder")
      if (Buffer.compare(FilePath.toBytes(found), bytes) > 0) high = middle
      else low = middle + 1
    }
    return low
  }
  return { size: listing.size, nameAt, kindAt, indexAfter }
}
