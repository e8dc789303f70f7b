/**
 * Walks the sources of a copy, whatever they are.
 */
import type { JobContext } from "@fanout/core/JobContext"
import * as Context from "effect/Context"
import type * as Stream from "effect/Stream"
import type * as Files from "../../Files.ts"
import * as FileTree from "./fileTree.ts"

/** Walks from the start, or from behind a cursor. Nothing is done with what is only counted. */
export type SourceWalk = (
  options: FileTree.WalkOptions,
  isCounted: boolean
) => Stream.Stream<FileTree.Element, never, Files.Files | JobContext>

/** Reference to the walk over sources; that over files, unless there are addresses. */
export const SourceWalk = Context.Reference<SourceWalk>("@fanout/ops/internal/sourceWalk", {
  defaultValue: () => FileTree.walk
})
