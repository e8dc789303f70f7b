/**
 * What there is to delete, as elements of the fan-outs that do it.
 */
import type { Outcome } from "@fanout/core/Outcome"
import * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Payload } from "../../Delete.ts"
import type { DeleteError } from "../../DeleteError.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import * as Filter from "../../Filter.ts"
import { removedUnits } from "../../ProgressUnits.ts"
import { SkipReason } from "../../SkipReason.ts"
import { QuickFiles } from "../files/quickFiles.ts"
import { failedAs, skippedAs } from "../tree/elementOutcomes.ts"
import * as FileTree from "../tree/fileTree.ts"
import { gathered, type Gatherer, maxTextLength, textLength } from "../tree/gatheredNames.ts"
import { pathIn, pausing } from "../work/diskPause.ts"
import * as DeleteRoot from "./deleteRoot.ts"
import type { DeleteBatch, DeleteOne } from "./deleteTask.ts"
import { failed, noEntry } from "./descent.ts"

/** Files and folders that there were when the job started. */
export const present = ({ roots }: Payload): ReadonlyArray<DeleteRoot.DeleteRoot> => roots.filter(DeleteRoot.isFile)

/** What walks there and removes at once, where that is quick: what is mounted in there may be anywhere. */
export const quickFiles = (payload: Payload) =>
  payload.request.oneFileSystem
    // What a link leads to is none of its business.
    ? QuickFiles.use(({ throughout }) =>
      throughout(present(payload).map(({ kind, path }) => kind === "folder" ? path : FilePath.parent(path)))
    )
    : Effect.succeedNone

const optionsOf = (payload: Payload, after: Option.Option<string>) => ({
  sources: present(payload).map(({ path }) => path),
  oneFileSystem: payload.request.oneFileSystem,
  ...payload.request.rules === undefined ? {} : { filter: Filter.make(payload.request.rules) },
  after
})

/** The walk over all, and over what rules leave, too. */
export const walk = (payload: Payload) => FileTree.walk({ ...optionsOf(payload, Option.none()), filter: Filter.none })

/** Files in there that are not deleted. Mostly there are none, and then no path has to be made to look for it. */
export const leftOf = ({ leaveOut, roots }: Payload): ReadonlySet<FilePath.FilePath> =>
  new Set(leaveOut.filter((file) => roots.some(({ path }) => FilePath.isWithin(file, path))))

/** What a walk in folders meets. */
export type Met = FileTree.Element | FileTree.Whole

type BatchElement = Source.Element<Task.Payload<typeof DeleteBatch>>

const none: ReadonlyArray<never> = []

const maxFolders = 64
/** A folder may have more: they are removed by one thread in any case, since the kernel lets one at a time do so. */
const maxNames = 4096

interface Names {
  readonly path: FilePath.FilePath | null
  readonly names: Array<FilePath.FilePath>
  readonly areWhole?: boolean
}

/** So many entries, and folders in one another, are removed as one: some milliseconds of work. */
const mostWhole = 512

/** What is known of a folder that the walk is in. */
interface Opened {
  readonly others: number
  hasFolders: boolean
}

/** A walk that goes on in the middle of a folder tells only its end. */
const unknown: Opened = { others: 0, hasFolders: false }

/** Folders that are removed together, how many they are, how many names are in them, and how long their own are. */
interface Batch {
  readonly source: number
  readonly folders: Array<Names>
  cursor: string
  count: number
  size: number
  length: number
}

const emptyBatch = (source: number): Batch => ({ source, folders: [], cursor: "", count: 0, size: 0, length: 0 })

/** Gathers folders in the order in which they can be removed: each after those in it. */
const gatherer = (payload: Payload): Gatherer<Met, BatchElement> => {
  const roots = present(payload)
  const leftOut = Array.from(leftOf(payload))
  let batch = emptyBatch(0)
  /** Folders that the walk is in, as far as it has opened them. */
  const opened: Array<Opened> = []
  const flush = (next = 0): ReadonlyArray<BatchElement> => {
    const { cursor, folders, size, source } = batch
    const root = roots[source]
    batch = emptyBatch(next)
    if (root === undefined || folders.length === 0) return none
    const left = leftOut.filter((file) => FilePath.isWithin(file, root.path))
    const { oneFileSystem, rules } = payload.request
    return [Source.item(cursor, { root, oneFileSystem, folders, size, left, ...rules ? { rules } : {} })]
  }
  const addFolder = (
    { cursor, path, source }: Met,
    size: number,
    areWhole = false
  ): ReadonlyArray<BatchElement> => {
    const root = roots[source]
    if (root === undefined) throw new Error(`A walk over ${roots.length} sources has met number ${source}`)
    const folder = path === "" ? null : FilePath.parent(path)
    const name = FilePath.name(path === "" ? root.path : path)
    const length = textLength(name) + (folder === null ? 0 : textLength(folder))
    const isFull = batch.count === maxFolders || batch.size + size > maxNames || batch.length + length > maxTextLength
    const before = isFull || source !== batch.source ? flush(source) : none
    const last = batch.folders.at(-1)
    const isSame = last?.path === folder && (last.areWhole ?? false) === areWhole
    if (isSame) last.names.push(name)
    else batch.folders.push({ path: folder, names: [name], ...areWhole ? { areWhole } : {} })
    batch.cursor = cursor
    batch.count++
    batch.size += size
    batch.length += isSame ? textLength(name) : length
    return before
  }
  const add = (element: Met): ReadonlyArray<BatchElement> => {
    const around = opened.at(-1)
    switch (element._tag) {
      case "Whole":
        if (around !== undefined) around.hasFolders = true
        return addFolder(element, element.leaves + element.folders - 1, true)
      case "Open":
        if (around !== undefined) around.hasFolders = true
        opened.push({ others: element.others ?? 0, hasFolders: false })
        return none
      // Then all in it has been gathered before. One that has only folders in it is removed after the last of these.
      case "Close": {
        const { hasFolders, others } = opened.pop() ?? unknown
        return others > 0 || !hasFolders ? addFolder(element, others) : none
      }
      // It may be empty all the same.
      case "Unreadable":
        if (element.error.isMissing || element.error.code === "EXDEV") return none
        if (around !== undefined) around.hasFolders = true
        return addFolder(element, 0)
      // A root that is no folder is removed by the second walk, once: who has a path of its own is told of by itself.
      case "Leaf":
        return none
    }
  }
  return { add, flush: () => flush() }
}

/** Walks in all folders that there are to delete. */
export const walkFolders = (payload: Payload, after: Option.Option<string>) => {
  const options = optionsOf(payload, after)
  const mayBeWhole = () => payload.request.rules === undefined
  return pausing(
    FileTree.walkWhole({ ...options, onlyFolders: true, mostWhole, mayBeWhole }),
    pathIn(options.sources)
  )
}

/**
 * Says what is to be removed of each thing that a walk in folders meets, one after the other: everything that is no
 * folder, and folders that nothing stays in.
 */
export const removables = () => {
  /** Whether something stays, for each folder that the walk is in. */
  const stays: Array<boolean> = []
  const stay = (): Readonly<Record<string, number>> => {
    if (stays.length > 0) stays[stays.length - 1] = true
    return {}
  }
  return (element: Met): Readonly<Record<string, number>> => {
    switch (element._tag) {
      case "Whole":
        return { [removedUnits.files]: element.leaves, [removedUnits.folders]: element.folders }
      case "Open":
        stays.push(element.holds ?? false)
        return { [removedUnits.files]: element.others ?? 0 }
      case "Close":
        return stays.pop() === true ? stay() : { [removedUnits.folders]: 1 }
      case "Leaf":
        return { [removedUnits.files]: 1 }
      case "Unreadable":
        return element.error.isMissing ? {} : stay()
    }
  }
}

/** Folders that a walk meets, many at once. What can't be reached is passed over. */
export const batches = (
  payload: Payload,
  walk: Stream.Stream<Met, never, Files.Files>
): Stream.Stream<BatchElement, never, Files.Files> => gathered(walk, () => gatherer(payload))

type OneElement = Source.Element<Task.Payload<typeof DeleteOne>>

const missingMark = "missing:"

const settled = (cursor: string, path: FilePath.FilePath, outcome: Outcome) =>
  Source.settled(cursor, { key: FilePath.display(path), outcome })

const failedBy = (error: FilesError): Outcome => {
  const { code, message } = failed(error)
  return failedAs(code, message)
}

/** What was named and is not there, before anything else. */
const missing = ({ roots }: Payload, after: Option.Option<string>): ReadonlyArray<OneElement> => {
  const first = Option.match(after, {
    onNone: () => 0,
    onSome: (cursor) =>
      cursor.startsWith(missingMark) ? Number(cursor.slice(missingMark.length)) + 1 : Number.POSITIVE_INFINITY
  })
  return roots.flatMap(({ error, kind, path }, index) => {
    if (kind !== "missing" || index < first) return []
    return [settled(`${missingMark}${index}`, path, failedBy(error ?? noEntry(path)))]
  })
}

interface Left {
  readonly replaced: ReadonlySet<FilePath.FilePath>
  /** Whether nobody has met what is left yet. */
  readonly isFirst: boolean
}

/** Passes over roots as wholes. One that the walk goes on in the middle of is not. */
const passing = (payload: Payload, { isFirst, replaced }: Left) => {
  const roots = present(payload)
  let inside: number | undefined
  return ({ _tag, cursor, path, source }: FileTree.Element): ReadonlyArray<OneElement> | undefined => {
    const root = roots[source]
    if (root === undefined) return undefined
    const isPassed = replaced.has(root.path) || (root.kind === "other" && !isFirst)
    const isWhole = path === "" && (_tag !== "Close" || inside === source)
    if (!isPassed || !(isWhole || inside === source)) return undefined
    inside = isWhole && _tag !== "Open" ? undefined : source
    if (inside !== undefined || !replaced.has(root.path)) return none
    return [settled(cursor, root.path, skippedAs(SkipReason.Replaced))]
  }
}

/** Roots that are others by now. */
export const replacedOf = (
  payload: Payload
): Effect.Effect<ReadonlySet<FilePath.FilePath>, DeleteError, Files.Files> =>
  Effect.map(
    Effect.filter(present(payload), (root) => Effect.map(DeleteRoot.state(root), (state) => state === "Replaced")),
    (roots) => new Set(roots.map(({ path }) => path))
  )

/** What is left of all there was to delete, one by one. A root that is no folder is met only the first time. */
export const leftovers = (
  payload: Payload,
  after: Option.Option<string>,
  left: Left
): Stream.Stream<OneElement, never, Files.Files> => {
  const pass = passing(payload, left)
  const elementOf = elementsOf(payload)
  const options = optionsOf(payload, Option.filter(after, (cursor) => !cursor.startsWith(missingMark)))
  return Stream.concat(
    Stream.fromIterable(missing(payload, after)),
    Stream.flatMap(
      pausing(FileTree.walk(options), pathIn(options.sources)),
      (element) => Stream.fromIterable(pass(element) ?? elementOf(element))
    )
  )
}

const elementsOf = (deletion: Payload) => {
  const { request: { oneFileSystem } } = deletion
  const roots = present(deletion)
  const left = leftOf(deletion)
  const named = new Set(roots.map(({ path }) => path))
  return (element: FileTree.Element): ReadonlyArray<OneElement> => {
    const { cursor, path, source } = element
    const root = roots[source]
    if (root === undefined) return []
    const payload = (kind: Task.Payload<typeof DeleteOne>["kind"]) => ({ root, oneFileSystem, path, kind })
    const absolute = FilePath.join(root.path, path)
    switch (element._tag) {
      case "Open":
        return [Source.item(cursor, payload("folder"), { opens: true })]
      case "Close":
        return [Source.closes(cursor, payload("folderEnd"))]
      case "Leaf":
        return left.has(absolute)
          ? [settled(cursor, absolute, skippedAs(SkipReason.Database))]
          : [Source.item(cursor, payload("leaf"))]
      case "Unreadable": {
        const { error, retryAfter } = element
        // A job that goes on after its last folder is removed, or a mount that is a root by itself.
        if (error.isMissing || (error.code === "EXDEV" && named.has(absolute))) return []
        return [{
          ...settled(cursor, absolute, failedBy(error)),
          ...Option.match(retryAfter, {
            onNone: () => ({}),
            onSome: (bracketAfter) => ({ retry: { payload: payload("folder"), bracketAfter } })
          })
        }]
      }
    }
  }
}
