/**
 * Reads what the kernel tells in files.
 */
import * as fs from "node:fs"

/** Text of a file; `undefined` where it can't be read. */
export const readText = (path: string): string | undefined => {
  try {
    return fs.readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}
