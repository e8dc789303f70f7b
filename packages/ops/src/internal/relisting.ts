/**
 * What takes the place of a folder that could not be listed to hash what is in it, once it is tried again.
 *
 * What is found in it has no numbers in the order of the walk, so its lines come last.
 */
import type * as FanOut from "@fanout/core/FanOut"
import type * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import * as Option from "effect/Option"
import * as FilePath from "../FilePath.ts"
import type * as FileTree from "../FileTree.ts"
import type { HashedFiles, HashFiles } from "../HashTask.ts"
import * as SourceCursor from "../SourceCursor.ts"
import * as TreeCursor from "../TreeCursor.ts"
import { failedAs, skippedAs } from "./endings.ts"
import { Gathering } from "./gathering.ts"
import type { SourceEndings } from "./sourceEndings.ts"

type Payload = Task.Payload<typeof HashFiles>
type Element = Source.Element<Payload>
type Settled = Extract<Element, { readonly _tag: "Settled" }>
type Unreadable = Extract<FileTree.Element, { readonly _tag: "Unreadable" }>

/** Name in a folder behind which a walk goes on at a place; nothing where that is at its beginning. */
const nameAfter = (folder: FilePath.FilePath, place: string): FilePath.FilePath | undefined => {
  const { path } = Option.getOrThrow(TreeCursor.parse(place))
  const [name] = path.slice(folder === "" ? 0 : folder.length + 1).split("/")
  return name === undefined || name === "" ? undefined : FilePath.make(name)
}

/** What a retry runs in place of a folder that can't be listed: it lists it. */
export const retryOf = (
  { path, retryAfter }: Unreadable,
  files: Omit<Payload, "folders">
): Settled["retry"] =>
  Option.match(retryAfter, {
    onNone: () => undefined,
    onSome: (place) => {
      const after = nameAfter(path, place)
      const lists = after === undefined ? {} : { after }
      return { payload: { ...files, folders: [{ path, names: [] }], lists } }
    }
  })

/** Folders that are listed once more. */
export class Relisting {
  private readonly endings: SourceEndings
  private readonly mostFiles: number

  constructor(endings: SourceEndings, mostFiles: number) {
    this.endings = endings
    this.mostFiles = mostFiles
  }

  /** Tells what is in a folder that was listed, or why it could not be. */
  readonly parts: FanOut.Parts<Payload, HashedFiles> = ({ cursor, payload }, value) => {
    if (Option.isNone(value)) return undefined
    const { listed, unhashed: [failed] } = value.value
    if (listed !== undefined) return [...this.placeholder(cursor, payload), ...this.elements(cursor, payload, listed)]
    if (failed === undefined) return undefined
    const { why } = failed
    const { folders: [{ path }], root } = payload
    const settled = { _tag: "Settled", cursor, key: FilePath.display(FilePath.join(root, path)) } as const
    return why._tag === "Failed"
      ? [{ ...settled, outcome: failedAs(why.code, why.why), retry: { payload } }]
      : [{ ...settled, outcome: skippedAs(why._tag === "Skipped" ? why.reason : "") }]
  }

  /** Takes the number of the folder, which others may wait for. */
  private placeholder(cursor: string, { algorithm, root }: Payload): ReadonlyArray<Element> {
    if (SourceCursor.isLate(cursor)) return []
    const value = {
      _tag: algorithm === "sampled" ? "Sampled" : "Hashed",
      root,
      folders: [],
      digests: [],
      sizesBytes: []
    }
    return [{ _tag: "Settled", cursor, key: "", outcome: { _tag: "Done", value, count: 0 } }]
  }

  private elements(
    cursor: string,
    payload: Payload,
    { after, files: names, folders, special }: NonNullable<HashedFiles["listed"]>
  ): ReadonlyArray<Element> {
    const { folders: [{ path: folder }], lists: _, ...files } = payload
    const { source } = Option.getOrThrow(TreeCursor.parse(SourceCursor.placeOf(cursor)))
    const number = SourceCursor.numberOf(cursor)
    const at = (path: FilePath.FilePath, side: TreeCursor.Side) =>
      SourceCursor.late(number, TreeCursor.format({ source, path, side }))
    const gathering = new Gathering(this.mostFiles)
    const elements: Array<Element> = []
    const push = (gathered: ReturnType<Gathering["take"]>): void => {
      if (gathered === undefined) return
      elements.push({ _tag: "Item", cursor: gathered.cursor, payload: { ...files, folders: gathered.folders } })
    }
    const meet = (name: FilePath.FilePath, kind: "file" | "special"): void => {
      const path = FilePath.join(folder, name)
      const leaf = { cursor: at(path, "leaf"), source, path }
      const outcome = this.endings.ofLeaf({ _tag: "Leaf", ...leaf, kind })
      if (outcome === undefined) return push(gathering.add(leaf))
      const key = FilePath.display(this.endings.absolute(source, path))
      elements.push({ _tag: "Settled", cursor: leaf.cursor, key, outcome })
    }
    for (const name of names) meet(name, "file")
    push(gathering.take())
    for (const name of special) meet(name, "special")
    const list = (cursor: string, path: FilePath.FilePath, lists: NonNullable<Payload["lists"]>): void => {
      elements.push({ _tag: "Item", cursor, payload: { ...files, folders: [{ path, names: [] }], lists } })
    }
    for (const name of folders) {
      const path = FilePath.join(folder, name)
      list(at(path, "open"), path, {})
    }
    if (after !== undefined) list(at(FilePath.join(folder, after), "rest"), folder, { after })
    return elements
  }
}
