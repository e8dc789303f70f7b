/**
 * What takes the place of a folder that could not be listed to hash what is in it, once it is tried again.
 *
 * What is found in it has no numbers in the order of the walk, so its lines come last.
 */
import type * as FanOut from "@fanout/core/FanOut"
import type { Outcome } from "@fanout/core/Outcome"
import * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import type { Filter } from "../../Filter.ts"
import { SkipReason } from "../../SkipReason.ts"
import { failedAs, skippedAs } from "../tree/elementOutcomes.ts"
import type * as FileTree from "../tree/fileTree.ts"
import { type Gathered, Gathering } from "../tree/gatheredNames.ts"
import * as SourceCursor from "../tree/sourceCursor.ts"
import type { SourceEndings } from "../tree/sources.ts"
import * as TreeCursor from "../tree/treeCursor.ts"
import type { HashedFiles, HashFiles } from "./hashTask.ts"

type Payload = Task.Payload<typeof HashFiles>
type Element = Source.Element<Payload>
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
): { readonly retry?: { readonly payload: Payload } } =>
  Option.match(retryAfter, {
    onNone: () => ({}),
    onSome: (place) => ({ retry: { payload: listing(files, path, nameAfter(path, place)) } })
  })

const listing = (files: Omit<Payload, "folders">, path: FilePath.FilePath, after?: FilePath.FilePath): Payload => ({
  ...files,
  folders: [{ path, names: [] }],
  lists: after === undefined ? {} : { after }
})

/** Tells what is in a folder that was listed once more, or why it could not be. */
export const parts =
  (endings: SourceEndings, mostFiles: number, isLeftOut: Filter): FanOut.Parts<Payload, HashedFiles> =>
  ({ cursor, payload }, value) => {
    if (Option.isNone(value)) return undefined
    const { listed, unhashed: [failed] } = value.value
    const { algorithm, folders: [{ path: folder }], lists: _, ...rest } = payload
    const files = { algorithm, ...rest }
    const { root } = files
    const key = FilePath.display(FilePath.join(root, folder))
    if (failed?.why._tag === "Failed") {
      const { code, why } = failed.why
      return [Source.settled(cursor, { key, outcome: failedAs(code, why), retry: { payload } })]
    }
    if (listed === undefined) {
      const reason = failed?.why._tag === "Skipped" ? failed.why.reason : ""
      return [Source.settled(cursor, { key, outcome: skippedAs(reason) })]
    }
    const { source } = Option.getOrThrow(TreeCursor.parse(SourceCursor.placeOf(cursor)))
    const number = SourceCursor.numberOf(cursor)
    const at = (path: FilePath.FilePath, side: TreeCursor.Side) =>
      SourceCursor.late(number, TreeCursor.format({ source, path, side }))
    const gathering = new Gathering(mostFiles)
    const elements: Array<Element> = []
    const push = (gathered: Gathered | undefined): void => {
      if (gathered !== undefined) elements.push(Source.item(gathered.cursor, { ...files, folders: gathered.folders }))
    }
    if (!SourceCursor.isLate(cursor)) {
      // Others may wait for the number of the folder.
      const none = {
        _tag: algorithm === "sampled" ? "Sampled" : "Hashed",
        root,
        folders: [],
        digests: [],
        sizesBytes: []
      }
      elements.push(Source.settled(cursor, { key: "", outcome: { _tag: "Done", value: none, count: 0 } }))
    }
    const kept = (names: ReadonlyArray<FilePath.FilePath>, areFolders = false) =>
      names.map((name) => FilePath.join(folder, name)).filter((path) => !isLeftOut(path, areFolders))
    const leafOf = (path: FilePath.FilePath) => ({ cursor: at(path, "leaf"), source, path })
    const settle = (leaf: ReturnType<typeof leafOf>, outcome: Outcome): void => {
      elements.push(Source.settled(leaf.cursor, { key: FilePath.display(endings.absolute(leaf)), outcome }))
    }
    for (const leaf of kept(listed.files).map(leafOf)) {
      const outcome = endings.ofFile(endings.absolute(leaf))
      if (outcome === "read") push(gathering.add(leaf))
      else settle(leaf, outcome)
    }
    push(gathering.take())
    for (const leaf of kept(listed.special).map(leafOf)) settle(leaf, skippedAs(SkipReason.Special))
    for (const path of kept(listed.folders, true)) {
      elements.push(Source.item(at(path, "open"), listing(files, path)))
    }
    const { after } = listed
    if (after !== undefined) {
      elements.push(Source.item(at(FilePath.join(folder, after), "rest"), listing(files, folder, after)))
    }
    return elements
  }
