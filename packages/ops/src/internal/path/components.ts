/**
 * Paths as the names that they are made of.
 */
import * as FilePath from "../../FilePath.ts"

/** The names of a path; the empty one has none. */
export const componentsOf = (path: FilePath.FilePath): ReadonlyArray<FilePath.FilePath> =>
  path === "" ? [] : path.split("/").map(FilePath.make)

/** The path of the first of some names. */
export const joined = (names: ReadonlyArray<FilePath.FilePath>, count: number): FilePath.FilePath =>
  names.slice(0, count).reduce(FilePath.join, FilePath.empty)
