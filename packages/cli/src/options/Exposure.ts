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

/** As many links the kernel follows. */
const mostLinks = 40

/**
 * The first file or folder that others than this user and root can change, of all that an absolute path leads through,
 * by its links, too: also where it leads to what is not there yet.
 */
export const of = (file: string, uid: number): Exposure | undefined => {
  // Whoever has the root of the file system has all. In a namespace of users that may be nobody who is known there.
  const trusted = new Set([uid, 0, fs.lstatSync("/").uid])
  const names = ["/", ...file.split("/")].toReversed()
  let [at, links] = ["", 0]
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    const next = path.resolve(at, name)
    const found = look(next)
    if (found === undefined) return undefined
    if (!trusted.has(found.uid)) return { path: next, owner: found.uid }
    if (found.isSymbolicLink()) {
      if (++links > mostLinks) return undefined
      const target = fs.readlinkSync(next)
      names.push(...target.split("/").toReversed())
      if (target.startsWith("/")) at = "/"
      continue
    }
    // In a sticky folder others can't rename what is not theirs.
    const isGuarded = found.isDirectory() && (found.mode & sticky) !== 0
    if (!isGuarded && (found.mode & groupOrOthersWrite) !== 0) return { path: next, owner: undefined }
    at = next
  }
  return undefined
}
