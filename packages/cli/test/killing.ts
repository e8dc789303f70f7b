/** What tests share that kill a command at each of its calls that change what is on a disk. */
import { assert } from "@effect/vitest"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import { meeting, run, told } from "./faults.ts"

/** Calls that change what is on a disk, and that a copy, a move or their database makes. */
const changing = [
  "openat",
  "write",
  "pwrite64",
  "copy_file_range",
  "linkat",
  "renameat",
  "renameat2",
  "mkdirat",
  "symlinkat",
  "unlinkat",
  "fchmod",
  "fchmodat",
  "fchown",
  "fchownat",
  "utimensat",
  "fsetxattr",
  "ftruncate",
  "fsync",
  "fdatasync",
  "syncfs"
]

/** A call. */
export interface Point {
  readonly call: string
  /** Its number among such calls of its thread, from 1. */
  readonly nth: number
}

/** Calls of a command that change what is in these trees, and those that change its database. */
const pointsOf = (place: string, args: ReadonlyArray<string>, trees: ReadonlyArray<string>) => {
  const trace = path.join(place, "trace")
  const { status, stderr } = run(place, args, meeting({ calls: changing, trace }))
  assert.strictEqual(status, 0, stderr)
  const counts = new Map<string, number>()
  const found = { trees: new Map<string, Point>(), database: new Map<string, Point>() }
  for (const line of told(trace).split("\n")) {
    const [, thread = "", call = ""] = /^(\d+) +(\w+)\(/.exec(line) ?? []
    if (call === "") continue
    const nth = (counts.get(`${thread} ${call}`) ?? 0) + 1
    counts.set(`${thread} ${call}`, nth)
    if (call === "openat" && !/O_CREAT|O_TMPFILE/.test(line)) continue
    if (trees.some((tree) => line.includes(tree))) found.trees.set(`${call} ${nth}`, { call, nth })
    else if (line.includes(path.join(place, "state"))) found.database.set(`${call} ${nth}`, { call, nth })
  }
  return { trees: Array.from(found.trees.values()), database: Array.from(found.database.values()) }
}

/** In a quick run so many calls are tried of each kind of command, spread over all of them. */
const tried = isLong ? Number.POSITIVE_INFINITY : 4

const spread = <A>(all: ReadonlyArray<A>, most: number): ReadonlyArray<A> => {
  const step = Math.max(1, all.length / most)
  return Array.from({ length: Math.min(most, all.length) }, (_, i) => all[Math.floor(i * step)]).filter((one) =>
    one !== undefined
  )
}

/** Kills a command at its calls, one after the other, each time anew. `killAt` tells whether it was killed. */
export const killEverywhere = (
  { args, atLeast, place, trees }: {
    /** Where the command runs as it is, to tell its calls. */
    readonly place: string
    readonly args: ReadonlyArray<string>
    readonly trees: ReadonlyArray<string>
    /** So many calls it makes there: fewer were not seen. */
    readonly atLeast: number
  },
  killAt: (point: Point) => boolean
): void => {
  const found = pointsOf(place, args, trees)
  assert.isAtLeast(found.trees.length, atLeast)
  // Most of its calls are the database's: some of them will do.
  const points = [...spread(found.trees, tried), ...spread(found.database, isLong ? 40 : 1)]
  const killed = points.filter(killAt).length
  // Calls have not always the same order, so that one may be the last of its thread.
  assert.isAbove(killed, points.length / 2)
}
