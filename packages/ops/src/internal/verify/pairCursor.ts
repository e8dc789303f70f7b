/**
 * Names a place in a sorted walk over two trees at once.
 *
 * A cursor is `./<path>`, with `/` at its end behind what opens a folder, `/..` where the rest of a folder has been
 * given up, and `/.` behind the end of a folder. `/./A` is behind what is in the folder of tree A and has no name. A
 * folder whose content is given apart, because it could not be given in its turn, has two slashes behind its name. No
 * file is called `.` or `..`, and no name is empty, so nothing else reads like that.
 */
import * as Option from "effect/Option"
import type * as Order from "effect/Order"
import * as FilePath from "../../FilePath.ts"

/**
 * Where a walk stands: behind a leaf, behind the opening of a folder, behind what is in that and no name, where the
 * rest of a folder has been given up, or behind the end of a folder that is given apart.
 */
export type Side = "leaf" | "open" | "faultA" | "faultB" | "rest" | "end"

/** Place in a walk. */
export interface PairCursor {
  /** Path under both trees; empty for the trees themselves. */
  readonly path: FilePath.FilePath
  readonly side: Side
  /** The folder in the path, or the path itself, whose content is given apart. */
  readonly apart: Option.Option<FilePath.FilePath>
}

const suffixes: Readonly<Record<Side, string>> = {
  leaf: "",
  open: "/",
  faultA: "/./A",
  faultB: "/./B",
  rest: "/..",
  end: "/."
}

const root = "."

/** Path from the root on as it is in a cursor. */
const textOf = (path: FilePath.FilePath): string => path === "" ? root : `${root}/${FilePath.toText(path)}`

/** Encodes a place as well-formed text. */
export const format = ({ apart, path, side }: PairCursor): string => {
  const text = textOf(path)
  const start = Option.match(apart, { onNone: () => "", onSome: (folder) => `${textOf(folder)}/` })
  return start + text.slice(Math.max(0, start.length - 1)) + suffixes[side]
}

/** The side, and how much of the text is the path. */
const sideOf = (text: string): { readonly side: Side; readonly length: number } => {
  for (const side of ["faultA", "faultB", "rest", "end", "open"] as const) {
    if (text.endsWith(suffixes[side])) return { side, length: text.length - suffixes[side].length }
  }
  return { side: "leaf", length: text.length }
}

/** Decodes a place, or returns `None` where the text is not a cursor. */
export const parse = (text: string): Option.Option<PairCursor> => {
  const { length, side } = sideOf(text)
  const [first, ...names] = text.slice(0, length).split("/")
  // Behind the folder that is given apart, or at the end where it is the path itself, there is one empty name.
  const mark = names.indexOf("")
  const isMarked = mark !== -1
  const own = isMarked ? names.toSpliced(mark, 1) : names
  if (first !== root || own.some((name) => name === "" || name === "." || name === "..")) return Option.none()
  const pathOf = (count: number) => FilePath.fromText(own.slice(0, count).join("/"))
  return Option.some({
    path: pathOf(own.length),
    side,
    apart: isMarked ? Option.some(pathOf(mark)) : Option.none()
  })
}

/**
 * Orders places as a walk comes by them: a folder before what is in it, its end behind that. Whether something was
 * given apart makes no difference.
 */
export const order: Order.Order<Pick<PairCursor, "path" | "side">> = (a, b) => {
  const [isBehindA, isBehindB] = [isBehind(a), isBehind(b)]
  if (a.path === b.path) return isBehindA === isBehindB ? 0 : isBehindA ? 1 : -1
  if (isBehindA && FilePath.isWithin(b.path, a.path)) return 1
  if (isBehindB && FilePath.isWithin(a.path, b.path)) return -1
  return FilePath.order(a.path, b.path)
}

const isBehind = ({ side }: Pick<PairCursor, "side">): boolean => side === "rest" || side === "end"
