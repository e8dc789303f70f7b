/**
 * What there is to delete, as elements of the fan-outs that do it.
 */
import type * as FanOut from "@fanout/core/FanOut"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { DeleteError } from "../DeleteError.ts"
import * as DeleteRoot from "../DeleteRoot.ts"
import type { DeleteBatch, DeleteOne } from "../DeleteTask.ts"
import * as FilePath from "../FilePath.ts"
import type * as Files from "../Files.ts"
import { FilesError } from "../FilesError.ts"
import * as FileTree from "../FileTree.ts"
import { SkipReason } from "../SkipReason.ts"
import { failed } from "./descent.ts"
import { type Gathered, Gathering } from "./gathering.ts"

/** What a walk over a deletion has to know. */
export interface Scope {
  readonly roots: ReadonlyArray<DeleteRoot.DeleteRoot>
  readonly oneFileSystem: boolean
  /** Files that are not deleted. */
  readonly database: ReadonlyArray<FilePath.FilePath>
}

/** What there was when the job started. */
export const present = ({ roots }: Scope): ReadonlyArray<DeleteRoot.DeleteRoot> =>
  roots.filter(({ kind }) => kind !== "missing")

export const walk = (scope: Scope, after: Option.Option<string> = Option.none()) =>
  FileTree.walk({
    sources: present(scope).map(({ path }) => path),
    oneFileSystem: scope.oneFileSystem,
    after
  })

export const pathOf = (root: DeleteRoot.DeleteRoot, path: FilePath.FilePath): FilePath.FilePath =>
  path === "" ? root.path : FilePath.join(root.path, path)

/** Files in there that are not deleted. Mostly there are none, and then no path has to be made to look for it. */
export const leftOf = ({ database, roots }: Scope): ReadonlySet<FilePath.FilePath> =>
  new Set(database.filter((file) => roots.some(({ path }) => FilePath.isWithin(file, path))))

type BatchElement = FanOut.Element<Task.Payload<typeof DeleteBatch>>

const none: ReadonlyArray<never> = []

/** Gathers names of one folder that follow one another. */
class Batches {
  private readonly scope: Scope
  private readonly roots: ReadonlyArray<DeleteRoot.DeleteRoot>
  private readonly left: ReadonlySet<FilePath.FilePath>
  private readonly gathering = new Gathering()
  /** Cursor of the folder that was opened last, while nothing in it was met. */
  private opened: string | undefined

  constructor(scope: Scope) {
    this.scope = scope
    this.roots = present(scope)
    this.left = leftOf(scope)
  }

  add(element: FileTree.Element): ReadonlyArray<BatchElement> {
    const { cursor, path, source } = element
    const { opened } = this
    this.opened = undefined
    switch (element._tag) {
      case "Leaf":
        return this.addLeaf(element)
      case "Open": {
        const rest = this.flush()
        this.opened = path
        return rest
      }
      case "Close":
        return opened === path ? [this.element(source, path, [], cursor)] : this.flush()
      // It may be empty all the same.
      case "Unreadable":
        return element.error.isMissing || element.error.code === "EXDEV"
          ? this.flush()
          : [...this.flush(), this.element(source, path, [], cursor)]
    }
  }

  private addLeaf(element: FileTree.Element): ReadonlyArray<BatchElement> {
    const { path, source } = element
    const root = this.roots[source]
    if (root === undefined || (this.left.size > 0 && this.left.has(pathOf(root, path)))) return none
    // A root that is no folder is removed by the second walk, once: who has a path of its own is told of by itself.
    if (path === "") return this.flush()
    return this.elementsOf(this.gathering.add(element))
  }

  flush(): ReadonlyArray<BatchElement> {
    return this.elementsOf(this.gathering.take())
  }

  private elementsOf(gathered: Gathered | undefined): ReadonlyArray<BatchElement> {
    if (gathered === undefined) return none
    const { cursor, folders, source } = gathered
    // Whatever opens or closes a folder ends what was gathered before: there is one.
    return folders.map(({ names, path }) => this.element(source, path, names, cursor))
  }

  private element(
    source: number,
    folder: FilePath.FilePath,
    names: ReadonlyArray<FilePath.FilePath>,
    cursor: string
  ): BatchElement {
    const root = this.roots[source]
    if (root === undefined) throw new Error(`A walk over ${this.roots.length} sources has met number ${source}`)
    const { oneFileSystem } = this.scope
    return { _tag: "Item", cursor, payload: { root, oneFileSystem, folder, names } }
  }
}

/** All there is to delete, many names at once. What can't be reached is passed over. */
export const batches = (
  scope: Scope,
  after: Option.Option<string>
): Stream.Stream<BatchElement, never, Files.Files> =>
  Stream.suspend(() => {
    const batches = new Batches(scope)
    return Stream.mapAccum(
      walk(scope, after),
      () => batches,
      (batches, element) => [batches, batches.add(element)],
      { onHalt: () => batches.flush() }
    )
  })

type OneElement = FanOut.Element<Task.Payload<typeof DeleteOne>>

const missingMark = "missing:"

const errorElement = (
  cursor: string,
  path: FilePath.FilePath,
  error: FilesError,
  retry?: { readonly payload: Task.Payload<typeof DeleteOne>; readonly bracketAfter: string }
): OneElement => {
  const { code, message } = failed(error)
  return {
    _tag: "Settled",
    cursor,
    key: FilePath.display(path),
    outcome: { _tag: "Failed", failure: { _tag: "Error", error: { code }, message } },
    ...(retry === undefined ? {} : { retry })
  }
}

/** What was named and is not there, before anything else. */
const missing = (scope: Scope, after: Option.Option<string>): ReadonlyArray<OneElement> => {
  const first = Option.match(after, {
    onNone: () => 0,
    onSome: (cursor) =>
      cursor.startsWith(missingMark) ? Number(cursor.slice(missingMark.length)) + 1 : Number.POSITIVE_INFINITY
  })
  return scope.roots.flatMap(({ kind, path }, index) => {
    if (kind !== "missing" || index < first) return []
    const error = new FilesError({ call: "lstat", code: "ENOENT", path, target: Option.none() })
    return [errorElement(`${missingMark}${index}`, path, error)]
  })
}

const skipped = (cursor: string, path: FilePath.FilePath, reason: string): OneElement => ({
  _tag: "Settled",
  cursor,
  key: FilePath.display(path),
  outcome: { _tag: "Skipped", reason, count: 1 }
})

interface Left {
  readonly replaced: ReadonlySet<FilePath.FilePath>
  /** Whether nobody has met what is left yet. */
  readonly isFirst: boolean
}

/** Passes over roots as wholes. One that the walk goes on in the middle of is not. */
const passing = (scope: Scope, { isFirst, replaced }: Left) => {
  const roots = present(scope)
  let inside: number | undefined
  return ({ _tag, cursor, path, source }: FileTree.Element): ReadonlyArray<OneElement> | undefined => {
    const root = roots[source]
    if (root === undefined) return undefined
    const isPassed = replaced.has(root.path) || (root.kind === "other" && !isFirst)
    const isWhole = path === "" && (_tag !== "Close" || inside === source)
    if (!isPassed || !(isWhole || inside === source)) return undefined
    inside = isWhole && _tag !== "Open" ? undefined : source
    if (inside !== undefined || !replaced.has(root.path)) return none
    return [skipped(cursor, root.path, SkipReason.Replaced)]
  }
}

/** Roots that are others by now. */
export const replacedOf = (
  scope: Scope
): Effect.Effect<ReadonlySet<FilePath.FilePath>, DeleteError, Files.Files> =>
  Effect.map(
    Effect.filter(present(scope), (root) => Effect.map(DeleteRoot.state(root), (state) => state === "Replaced")),
    (roots) => new Set(roots.map(({ path }) => path))
  )

/** What is left of all there was to delete, one by one. A root that is no folder is met only the first time. */
export const leftovers = (
  scope: Scope,
  after: Option.Option<string>,
  left: Left
): Stream.Stream<OneElement, never, Files.Files> => {
  const pass = passing(scope, left)
  const elementOf = elementsOf(scope)
  const place = Option.filter(after, (cursor) => !cursor.startsWith(missingMark))
  return Stream.concat(
    Stream.fromIterable(missing(scope, after)),
    Stream.flatMap(walk(scope, place), (element) => Stream.fromIterable(pass(element) ?? elementOf(element)))
  )
}

const elementsOf = (scope: Scope) => {
  const roots = present(scope)
  const left = leftOf(scope)
  const named = new Set(roots.map(({ path }) => path))
  return (element: FileTree.Element): ReadonlyArray<OneElement> => {
    const { cursor, path, source } = element
    const root = roots[source]
    if (root === undefined) return []
    const payload = { root, oneFileSystem: scope.oneFileSystem, path }
    const absolute = pathOf(root, path)
    switch (element._tag) {
      case "Open":
        return [{ _tag: "Item", cursor, payload: { ...payload, kind: "folder" }, opens: true }]
      case "Close":
        return [{ _tag: "After", cursor, payload: { ...payload, kind: "folderEnd" } }]
      case "Leaf":
        return left.has(absolute)
          ? [skipped(cursor, absolute, SkipReason.Database)]
          : [{ _tag: "Item", cursor, payload: { ...payload, kind: "leaf" } }]
      case "Unreadable": {
        const { error, retryAfter } = element
        // A job that goes on after its last folder is removed, or a mount that is a root by itself.
        if (error.isMissing || (error.code === "EXDEV" && named.has(absolute))) return []
        return [errorElement(
          cursor,
          absolute,
          error,
          Option.match(retryAfter, {
            onNone: () => undefined,
            onSome: (bracketAfter) => ({ payload: { ...payload, kind: "folder" as const }, bracketAfter })
          })
        )]
      }
    }
  }
}
