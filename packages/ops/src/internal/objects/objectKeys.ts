/**
 * Tells which keys are paths.
 */

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
