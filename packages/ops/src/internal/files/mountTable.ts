/**
 * Reads the table of mounts (`/proc/self/mountinfo`, proc(5)), to know what a walk can meet.
 */
import * as FilePath from "../../FilePath.ts"
import { isLocalName } from "./fileSystemTypes.ts"

/** Something that is mounted: where, and what kind of file system. */
export interface Mount {
  readonly point: FilePath.FilePath
  readonly type: string
}

/** Spaces and the like are written as three octal digits. */
const unescaped = (field: string): FilePath.FilePath =>
  FilePath.fromBytes(
    Buffer.from(
      field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
      "latin1"
    )
  )

/** Parses the table, which is given as one character for each byte. What is no line of it is left out. */
export const parse = (table: string): ReadonlyArray<Mount> =>
  table.split("\n").flatMap((line) => {
    const fields = line.split(" ")
    const end = fields.indexOf("-")
    const [point, type] = [fields[4], fields[end + 1]]
    return end < 6 || point === undefined || type === undefined ? [] : [{ point: unescaped(point), type }]
  })

/**
 * Whether a walk from the path on meets nothing but local file systems: nothing is mounted in there, and all that is
 * mounted above is local. A table without a root is none.
 */
export const isLocalThroughout = (mounts: ReadonlyArray<Mount>, path: FilePath.FilePath): boolean => {
  const above = mounts.filter(({ point }) => FilePath.isWithin(path, point))
  return above.some(({ point }) => point === "/") && above.every(({ type }) => isLocalName(type)) &&
    mounts.every(({ point }) => point === path || !FilePath.isWithin(point, path))
}
