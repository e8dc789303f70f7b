/**
 * Walks the sources of a copy, whatever they are.
 */
import * as Context from "effect/Context"
import type * as Stream from "effect/Stream"
import type * as Files from "../../Files.ts"
import * as FileTree from "./fileTree.ts"

/** How the sources of a copy are walked, and how many of their files are one element. */
export interface SourceWalk {
  /** Walks from the start, or from behind a cursor. Nothing is done with what is only counted. */
  readonly walk: (
    options: FileTree.WalkOptions,
    isCounted: boolean
  ) => Stream.Stream<FileTree.Element, never, Files.Files>
  /** How many files of a folder are copied together, and how often, if not by how quick calls are. */
  readonly together: { readonly files: number; readonly times: number } | undefined
}

/** Reference to the walk over sources; that over files, unless there are addresses. */
export const SourceWalk = Context.Reference<SourceWalk>("@fanout/ops/internal/sourceWalk", {
  defaultValue: () => ({ walk: FileTree.walk, together: undefined })
})
