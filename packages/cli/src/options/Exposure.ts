/**
 * Tells where others could change what is found by a path. What is obeyed, or run, has to be its user's alone.
 */
import * as fs from "node:fs"
import * as path from "node:path"

const groupOrOthersWrite = 0o022
const sticky = 0o1000

/** A file or folder that others have a say in. */
export interface Exposure {
  readonly path: string
  /** Whose it is, if it is another's. Otherwise others can write to it. */
  readonly owner: number | undefined
}

const look = (file: string): fs.Stats | undefined => {
  try {
    return fs.lstatSync(file)
  } catch {
    // Nothing is there that could be opened.
    return undefined
  }
}

/** The first file or folder, from an absolute path up to the root, that others than this user and root can change. */
export const of = (file: string, uid: number): Exposure | undefined => {
  // Whoever has the root of the file system has all. In a namespace of users that may be nobody who is known there.
  const trusted = new Set([uid, 0, fs.lstatSync("/").uid])
  for (let at = file;; at = path.dirname(at)) {
    const found = look(at)
    if (found !== undefined && !trusted.has(found.uid)) return { path: at, owner: found.uid }
    // The mode of a link means nothing, and in a sticky folder others can't rename what is not theirs.
    const isGuarded = found === undefined || found.isSymbolicLink() ||
      (found.isDirectory() && (found.mode & sticky) !== 0)
    if (!isGuarded && (found.mode & groupOrOthersWrite) !== 0) return { path: at, owner: undefined }
    if (at === path.dirname(at)) return undefined
  }
}
