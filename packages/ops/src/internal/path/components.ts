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

/** The path of what a walk meets in a folder, by its path there: a key that begins with a slash is in it as well. */
export const below = (folder: FilePath.FilePath, path: FilePath.FilePath): FilePath.FilePath =>
  FilePath.isAbsolute(path) ? FilePath.make(`${folder.replace(/\/$/, "")}/${path}`) : FilePath.join(folder, path)
