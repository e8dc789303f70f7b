/**
 * Chooses the way to copy the content of a file.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Files from "../../Files.ts"
import type { CopyError } from "../steps/copyError.ts"
import type { ContentWay } from "./contentCopy.ts"
import type { CopyRequest } from "./copyRequest.ts"
import * as LargeContentCopy from "./largeContentCopy.ts"
import * as WholeCopy from "./wholeCopy.ts"

/** Chooses the way for a source that is what this tells. */
export type ContentWays = (request: CopyRequest, stat: Files.FileStat) => Effect.Effect<ContentWay, CopyError>

/** Ways between files. */
export const ofFiles: ContentWays = ({ options }, stat) =>
  Effect.succeed(WholeCopy.isFor(stat, options) ? WholeCopy.way : LargeContentCopy.way)

/** Reference to what chooses the way; where the target is no file system it is another one. */
export const ContentWays = Context.Reference<ContentWays>("@fanout/ops/internal/contentWays", {
  defaultValue: () => ofFiles
})
