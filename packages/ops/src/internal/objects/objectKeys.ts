/**
 * Tells which keys are paths, and lists what is behind any key.
 */
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import type { ListedObject, ObjectStore, ObjectStoreError } from "../../ObjectStore.ts"

/** Most bytes that a name of a file has. */
const nameBytes = 255

/** Why a key is no path, which is the code of the failure. */
export const refusalOf = (names: ReadonlyArray<string>): string | undefined => {
  for (const name of names) {
    if (name === "") return "EMPTYNAME"
    if (name === "." || name === "..") return "DOTS"
    if (name.includes("\0")) return "NUL"
    if (!name.isWellFormed()) return "NOTUTF8"
    if (Buffer.byteLength(name) > nameBytes) return "ENAMETOOLONG"
  }
  return undefined
}

export const why: Readonly<Record<string, string>> = {
  EMPTYNAME: "a name between two slashes is empty",
  DOTS: "a name in it is . or ..",
  NUL: "it has a NUL character",
  NOTUTF8: "it is not UTF-8",
  ENAMETOOLONG: `a name in it has more than ${nameBytes} bytes`,
  MARKER: "it ends with a slash and has content",
  TAKEN: "an object has the name of its folder"
}

/** A key as bytes, in whose order a store lists. No path has a NUL. */
export const bytesOf = (key: string): Uint8Array => {
  const parts = key.split("\0").map((part) => FilePath.toBytes(FilePath.make(part)))
  return Buffer.concat(parts.flatMap((part, index) => index === 0 ? [part] : [new Uint8Array(1), part]))
}

/**
 * Lists what is behind a key below a prefix. The object that has the prefix as its key has an empty one; without a key
 * it is listed, too. No request can have a key that is not UTF-8: then it asks for more, and passes that.
 */
export const listAfter = (
  store: ObjectStore,
  prefix: string,
  key?: string
): Stream.Stream<ListedObject, ObjectStoreError> => {
  if (key === undefined) return store.list(prefix)
  const after = prefix + key
  if (after.isWellFormed()) return store.list(prefix, { after })
  const bytes = bytesOf(after)
  return Stream.dropWhile(
    store.list(prefix, { after: after.slice(0, after.search(/\p{Cs}/u)) }),
    (object) => Buffer.compare(bytesOf(object.key), bytes) <= 0
  )
}
