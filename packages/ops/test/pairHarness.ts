import * as FilePath from "@fanout/ops/FilePath"
import * as Schema from "effect/Schema"
import * as MemoryFiles from "./MemoryFiles.ts"

/** Names whose order, or whose text in a cursor, is easy to get wrong. */
export const Name = Schema.Literals(["a", "a.txt", "a-", "é", "\udcff", "\\", "..a", "\u{1f600}", "0"])
const Kind = Schema.Literals(["file", "link", "folder", "special"])

/** What one side has otherwise than the other. */
const Edit = Schema.Literals(["none", "none", "missing", "extra", "kind", "content", "longer", "mode", "time"])

export const Pair = Schema.Array(Schema.Struct({ path: Schema.NonEmptyArray(Name), kind: Kind, edit: Edit }))

type Edit = typeof Edit.Type

export const trees = { a: FilePath.make("/a"), b: FilePath.make("/b") }

const otherKind = { file: "folder", link: "file", folder: "link", special: "file" } as const

interface Planted {
  readonly disk: MemoryFiles.Disk
  /** What was put, by its path; folders with the time that they are to have. */
  readonly kinds: Map<string, typeof Kind.Type>
  readonly times: Map<string, bigint>
}

/** Puts something where nothing is, in a folder that is one. */
const put = ({ disk, kinds, times }: Planted, path: string, kind: typeof Kind.Type, edit: Edit) => {
  if (kinds.has(path) || kinds.get(above(path)) !== "folder") return
  kinds.set(path, kind)
  const modified = edit === "time" ? 9_000n : 3_000n
  const mode = edit === "mode" ? 0o700 : 0o755
  if (kind === "folder") {
    disk.folder(path, { mode })
    times.set(path, modified)
  } else if (kind === "file") {
    const text = edit === "content" ? "texT" : edit === "longer" ? "text." : "text"
    disk.file(path, text, { mode, modified })
  } else if (kind === "link") {
    disk.symlink(path, edit === "content" ? "/b" : "/a", { modified })
  } else {
    disk.special(path)
  }
}

/** Two folders, `/a` and `/b`, that are alike but for what was edited. */
export const plant = (pair: typeof Pair.Type): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  const planted: Planted = { disk, kinds: new Map([["/", "folder"]]), times: new Map() }
  for (const side of ["/a", "/b"]) put(planted, side, "folder", "none")
  for (const { edit, kind, path } of pair) {
    for (const side of ["/a", "/b"]) {
      for (let depth = 1; depth < path.length; depth++) {
        put(planted, `${side}/${path.slice(0, depth).join("/")}`, "folder", "none")
      }
    }
    const whole = path.join("/")
    if (edit !== "extra") put(planted, `/a/${whole}`, kind, "none")
    if (edit !== "missing") put(planted, `/b/${whole}`, edit === "kind" ? otherKind[kind] : kind, edit)
  }
  // What was put into a folder has changed it.
  for (const [path, modifiedNanos] of planted.times) {
    disk.setTimes(disk.find(FilePath.make(path)), { accessedNanos: 7n, modifiedNanos })
  }
  return disk
}

/** Difference that there is, told without a walk: path and what is the matter. */
const between = (a: MemoryFiles.Seen | undefined, b: MemoryFiles.Seen | undefined): string => {
  if (a === undefined) return b?.kind === "special" ? "Skipped" : "Extra"
  if (b === undefined) return a.kind === "special" ? "Skipped" : "Missing"
  if (a.kind === "special" && b.kind === "special") return "Skipped"
  if (a.kind === "special" || b.kind === "special" || a.kind !== b.kind) return "Different"
  if (a.kind === "file" && b.kind === "file" && a.text !== b.text) return "Different"
  if (a.kind === "link" && b.kind === "link" && a.target !== b.target) return "Different"
  const isSameMode = a.kind === "link" || b.kind === "link" || a.mode === b.mode
  return isSameMode && a.modified === b.modified ? "Same" : "Metadata"
}

/** Everything that both trees have together, in order: what is in a folder that only one of them has is left out. */
export const expected = (disk: MemoryFiles.Disk): ReadonlyArray<string> => {
  const [a, b] = [disk.tree("/a"), disk.tree("/b")]
  const isFolderInBoth = (path: string): boolean =>
    path === "" || (a[path]?.kind === "folder" && b[path]?.kind === "folder" && isFolderInBoth(above(path)))
  const paths = Array.from(new Set([...Object.keys(a), ...Object.keys(b)]), FilePath.make)
    .filter((path) => isFolderInBoth(above(path))).toSorted(FilePath.order)
  return [
    ` ${between(disk.see("/a"), disk.see("/b"))}`,
    ...paths.map((path) => `${path} ${between(a[path], b[path])}`)
  ]
}

const above = (path: string): string => FilePath.parent(FilePath.make(path))
