/**
 * Orders what is in a folder as an object store lists it: a folder `a` comes where `a/` does, behind `a.txt`.
 */
import type * as FilePath from "../../FilePath.ts"
import type * as FolderListing from "../../FolderListing.ts"

const slash = 0x2f

/** Whether a name, which is behind another one, comes before all that is in the folder of that other name. */
const isBeforeIn = (name: string, folder: string): boolean =>
  // Characters that take several bytes, and bytes that are no characters, are greater by either measure.
  name.startsWith(folder) && name.charCodeAt(folder.length) < slash

/** The entries by their places in the listing, in the order of keys. */
const orderOf = (listing: FolderListing.FolderListing): Uint32Array => {
  const order = new Uint32Array(listing.size)
  const waiting: Array<{ readonly index: number; readonly name: string }> = []
  let count = 0
  for (let index = 0; index < listing.size; index++) {
    const name = listing.nameAt(index)
    for (let last = waiting.at(-1); last !== undefined && !isBeforeIn(name, last.name); last = waiting.at(-1)) {
      order[count++] = last.index
      waiting.pop()
    }
    if (listing.kindAt(index) === "folder") waiting.push({ index, name })
    else order[count++] = index
  }
  for (const { index } of waiting.toReversed()) order[count++] = index
  return order
}

/** The same entries in the order of keys. What may be a folder without being known as one is taken for none. */
export const inKeyOrder = (listing: FolderListing.FolderListing): FolderListing.FolderListing => {
  const order = orderOf(listing)
  const placeOf = (index: number): number => order[index] ?? 0
  const indexAfter = (name: FilePath.FilePath): number => {
    const next = listing.indexAfter(name)
    const isThere = next > 0 && listing.nameAt(next - 1) === name
    // Behind one that is gone are those that are behind its name. Some may be met again.
    const found = order.indexOf(isThere ? next - 1 : next)
    return found < 0 ? listing.size : isThere ? found + 1 : found
  }
  return {
    size: listing.size,
    nameAt: (index) => listing.nameAt(placeOf(index)),
    kindAt: (index) => listing.kindAt(placeOf(index)),
    indexAfter
  }
}
