/**
 * Names a place in a sorted walk over files and folders.
 *
 * A cursor is `<source>/<path>` behind a leaf, with `/` at its end behind the opening of a folder and `/.` behind
 * its closing. No file is called `.`, and no name is empty, so nothing else reads like that.
 */
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"

/**
 * Where a walk stands: behind a leaf, behind the opening of a folder, where the rest of a folder has been given up
 * and its closing comes next, or behind the closing.
 */
export type Side = "leaf" | "open" | "rest" | "close"

/** Place in a walk. */
export interface TreeCursor {
  readonly source: number
  /** Path under the source; empty for the source itself. */
  readonly path: FilePath.FilePath
  readonly side: Side
}

const suffixes: Readonly<Record<Side, string>> = { leaf: "", open: "/", rest: "//", close: "/." }

/** Encodes a place as well-formed text. */
export const format = ({ path, side, source }: TreeCursor): string =>
  `${source}${path === "" ? "" : `/${FilePath.toText(path)}`}${suffixes[side]}`

/** Decodes a place, or returns `None` where the text is not a cursor. */
export const parse = (text: string): Option.Option<TreeCursor> => {
  const side = (["close", "rest", "open"] as const).find((side) => text.endsWith(suffixes[side])) ?? "leaf"
  const [, source, path = ""] = /^(\d+)(?:\/(.+))?$/s.exec(text.slice(0, text.length - suffixes[side].length)) ?? []
  if (source === undefined || path.split("/").some((name, i) => name === "" ? i > 0 : name === "." || name === "..")) {
    return Option.none()
  }
  return Option.some({ source: Number(source), path: FilePath.fromText(path), side })
}
