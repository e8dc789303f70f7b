/**
 * Files in which Linux tells of itself, under `/proc` and `/sys`.
 */
import * as fs from "node:fs"

/** Text of a file; `undefined` where it can't be read. */
export const read = (path: string): string | undefined => {
  try {
    return fs.readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}
