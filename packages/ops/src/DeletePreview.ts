/**
 * Says what a deletion would do, by the same walk and the same guards, and does nothing.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Payload } from "./Delete.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import * as Filter from "./Filter.ts"
import { leftOf, present, walk } from "./internal/delete/deleteElements.ts"
import type { DeleteRoot } from "./internal/delete/deleteRoot.ts"
import { failed, noEntry } from "./internal/delete/descent.ts"
import { ObjectDeletion } from "./internal/delete/objectDeletion.ts"
import type * as FileTree from "./internal/tree/fileTree.ts"
import { SkipReason } from "./SkipReason.ts"

/**
 * What would become of one entry.
 *
 * @category models
 */
export interface Entry {
  /** `Leave` where it stays on purpose, or something in it stays; `Fail` where it can't be removed. */
  readonly action: "Delete" | "Trash" | "Leave" | "Fail"

  /** `unknown` where it could not be looked at. */
  readonly kind: Files.FileKind | "unknown"
  readonly path: FilePath.FilePath

  /** Why it would stay; empty otherwise. */
  readonly why: string
}

const entry = (action: Entry["action"], kind: Entry["kind"], path: FilePath.FilePath, why = ""): Entry => ({
  action,
  kind,
  path,
  why
})

const missing = ({ error, path }: DeleteRoot): Entry => entry("Fail", "unknown", path, (error ?? noEntry(path)).message)

const trashed = (root: DeleteRoot): Effect.Effect<Entry, never, Files.Files> =>
  root.kind === "missing" ?
    Effect.succeed(missing(root)) :
    Files.Files.use(({ lstat }) =>
      Effect.match(lstat(root.path), {
        onFailure: () => entry("Trash", "unknown", root.path),
        onSuccess: ({ kind }) => entry("Trash", kind, root.path)
      })
    )

/** What is met in a walk, in the order in which it would be removed. */
const steps = (payload: Payload) => {
  const roots = present(payload)
  const left = leftOf(payload)
  const isExcluded = Filter.make(payload.request.rules ?? [])
  /** Excluded folder that the walk is in. */
  let excluded: FilePath.FilePath | undefined
  /** Whether something stays, for each folder that the walk is in. */
  const stays: Array<boolean> = []
  const staying = (entry: Entry): ReadonlyArray<Entry> => {
    if (stays.length > 0) stays[stays.length - 1] = true
    return [entry]
  }
  return (element: FileTree.Element): ReadonlyArray<Entry> => {
    const root = roots[element.source]
    if (root === undefined) return []
    const path = FilePath.join(root.path, element.path)
    if (excluded !== undefined) {
      if (element._tag === "Close" && path === excluded) excluded = undefined
      return []
    }
    if (element._tag !== "Close" && element.path !== "" && isExcluded(element.path, element._tag !== "Leaf")) {
      if (element._tag === "Open") excluded = path
      const kind = element._tag === "Leaf" ? element.kind : "folder"
      return staying(entry("Leave", kind, path, "it is excluded"))
    }
    switch (element._tag) {
      case "Open":
        stays.push(false)
        return []
      case "Close":
        return stays.pop() === true
          ? staying(entry("Leave", "folder", path, "something in it stays"))
          : [entry("Delete", "folder", path)]
      case "Leaf":
        return left.has(path)
          ? staying(entry("Leave", element.kind, path, SkipReason.Database))
          : [entry("Delete", element.kind, path)]
      case "Unreadable":
        return element.error.isMissing ? [] : staying(entry("Fail", "unknown", path, failed(element.error).message))
    }
  }
}

/**
 * What would become of every entry, in the order of the walk; a folder after all that is in it.
 *
 * **Gotchas**
 *
 * Whether something may be removed is only known once that is tried.
 *
 * @category running
 */
export const entries = (payload: Payload): Stream.Stream<Entry, never, Files.Files> =>
  Stream.suspend(() => {
    const { request: { trash }, roots } = payload
    if (trash) return Stream.mapEffect(Stream.fromIterable(roots), trashed)
    return Stream.fromIterable(roots.filter(({ kind }) => kind === "missing").map(missing)).pipe(
      Stream.concat(Stream.unwrap(Effect.map(ObjectDeletion, ({ entries }) => entries(payload)))),
      Stream.concat(
        Stream.mapAccumArray(walk(payload), () => steps(payload), (stepsOf, met) => [stepsOf, met.flatMap(stepsOf)])
      )
    )
  })
