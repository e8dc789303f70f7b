/**
 * Names what jobs count as they go on.
 */
import type { Property } from "./CopyOptions.ts"

/**
 * Property of the source that the copy could not be given, since its file system has no such thing. `metadata` is
 * all that an object tells beside its time and mode.
 *
 * @category models
 */
export type Lost = Exclude<Property, "sparse"> | "metadata"

/**
 * Units of progress that count the copies which have lost a property.
 *
 * @category models
 */
export const lostUnits: Readonly<Record<Lost, string>> = {
  mode: "lostMode",
  times: "lostTimes",
  owner: "lostOwner",
  links: "lostLinks",
  xattr: "lostXattr",
  metadata: "lostMetadata"
}

/**
 * Units of progress that count the files which were copied in a way, by its name. What is copied through memory as
 * a whole is not counted.
 *
 * @category models
 */
export const strategyUnits: ReadonlyMap<string, string> = new Map([
  ["reflink", "reflinked"],
  ["kernel", "kernelCopied"],
  ["chunked", "chunked"],
  ["hard link", "hardLinked"],
  ["rename", "renamed"],
  ["server", "serverCopied"]
])

/**
 * Units of progress that count what a deletion has removed.
 *
 * @category models
 */
export const removedUnits = { files: "removedFiles", folders: "removedFolders" } as const

/**
 * Units of progress that count files which were compared with objects: by checksums that stores keep, and by reading
 * the objects.
 *
 * @category models
 */
export const comparedUnits = { checksum: "comparedByChecksum", reading: "comparedByReading" } as const

/**
 * Units of progress that count bytes of large files: how many those have that were begun, and how many of these are
 * copied. Together they tell what is left of files that are under way.
 *
 * @category models
 */
export const largeUnits = { begun: "largeBytesBegun", copied: "largeBytesCopied" } as const
