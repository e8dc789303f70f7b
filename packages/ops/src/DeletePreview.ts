/**
 * Says what a deletion would do, by the same walk and the same guards, and does nothing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Payload } from "./Delete.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { FilesError } from "./FilesError.ts"
import type * as FileTree from "./FileTree.ts"
import { leftOf, present, type Scope, scopeOf, walk } from "./internal/deleteElements.ts"
import type { DeleteRoot } from "./internal/deleteRoot.ts"
import { failed } from "./internal/descent.ts"
import { SkipReason } from "./SkipReason.ts"

/**
 * What would become of one entry.
 *
 * @category models
 * @since 0.1.0
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

const missing = ({ path }: DeleteRoot): Entry => ({
  action: "Fail",
  kind: "unknown",
  path,
  why: new FilesError({ call: "lstat", code: "ENOENT", path, target: Option.none() }).message
})

const trashed = (root: DeleteRoot): Effect.Effect<Entry, never, Files.Files> =>
  root.kind === "missing"
    ? Effect.succeed(missing(root))
    : Effect.map(Files.Files.use((files) => Effect.option(files.lstat(root.path))), (stat) => ({
      action: "Trash",
      kind: Option.match(stat, { onNone: () => "unknown", onSome: ({ kind }) => kind }),
      path: root.path,
      why: ""
    }))

/** What is met in a walk, in the order in which it would be removed. */
const steps = (scope: Scope) => {
  const roots = present(scope)
  const left = leftOf(scope)
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
    switch (element._tag) {
      case "Open":
        stays.push(false)
        return []
      case "Close":
        return stays.pop() === true
          ? staying({ action: "Leave", kind: "folder", path, why: "something in it stays" })
          : [{ action: "Delete", kind: "folder", path, why: "" }]
      case "Leaf":
        return left.has(path)
          ? staying({ action: "Leave", kind: element.kind, path, why: SkipReason.Database })
          : [{ action: "Delete", kind: element.kind, path, why: "" }]
      case "Unreadable": {
        const { error } = element
        return error.isMissing ? [] : staying({
          action: "Fail",
          kind: "unknown",
          path,
          why: failed(error).message
        })
      }
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
 * @since 0.1.0
 */
export const entries = (payload: Payload): Stream.Stream<Entry, never, Files.Files> =>
  Stream.suspend(() => {
    const { request: { trash }, roots } = payload
    if (trash) return Stream.mapEffect(Stream.fromIterable(roots), trashed)
    const scope = scopeOf(payload)
    const stepsOf = steps(scope)
    return Stream.concat(
      Stream.fromIterable(roots.filter(({ kind }) => kind === "missing").map(missing)),
      Stream.mapAccum(walk(scope), () => undefined, (state, element) => [state, stepsOf(element)])
    )
  })
