/**
 * Says why sources can't be copied to a destination, before a byte was copied, and what to do about it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import { FilesError } from "./FilesError.ts"

const pair = { source: FilePath.FilePath, target: FilePath.FilePath }

/**
 * Schema for what is wrong with sources and destination.
 *
 * **Details**
 *
 * - `SourceMissing`, `FolderMissing`: there is nothing at the path.
 * - `ParentMissing`: the folder that the copy is to be created in is missing.
 * - `NotAFolder`: a folder is needed where something else is.
 * - `TooManySources`: several sources where the destination is to be the copy itself.
 * - `SameFile`: source and target are one file, under whatever names.
 * - `IntoItself`: the target is inside of the source.
 * - `FolderOverFile`, `FileOverFolder`: the target is of the other kind.
 * - `SameTarget`: two sources would get the same place, or one a place inside of the other's.
 * - `Inaccessible`: the file system could not be asked.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Reason = Schema.TaggedUnion({
  SourceMissing: { path: FilePath.FilePath },
  FolderMissing: { path: FilePath.FilePath },
  ParentMissing: { path: FilePath.FilePath, parent: FilePath.FilePath },
  NotAFolder: { path: FilePath.FilePath },
  TooManySources: { count: Schema.Natural },
  SameFile: pair,
  IntoItself: pair,
  FolderOverFile: pair,
  FileOverFolder: pair,
  SameTarget: { first: FilePath.FilePath, second: FilePath.FilePath, target: FilePath.FilePath },
  Inaccessible: { error: FilesError }
})

/**
 * What is wrong with sources and destination.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

const show = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

/**
 * Error of a destination that was refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class DestinationError
  extends Schema.TaggedError<DestinationError>("@fanout/ops/DestinationError")("DestinationError", {
    reason: Reason
  })
{
  override get message(): string {
    return Reason.match(this.reason, {
      SourceMissing: ({ path }) => `There is nothing at ${show(path)}: check the spelling, or mount what it is on`,
      FolderMissing: ({ path }) => `There is no folder ${show(path)} to copy into: create it first, with mkdir`,
      ParentMissing: ({ parent, path }) =>
        `${show(path)} can't be created, since there is no folder ${show(parent)}: create it first, with mkdir -p`,
      NotAFolder: ({ path }) => `${show(path)} has to be a folder and is not: name another one, or move it away`,
      TooManySources: ({ count }) =>
        `With -T the destination is the copy itself, so ${count} sources are too many: name one, or leave out -T`,
      SameFile: ({ source, target }) =>
        `${show(source)} and ${show(target)} are the same file: name another destination`,
      IntoItself: ({ source, target }) =>
        `${show(source)} can't go into itself, to ${show(target)}: name a destination outside of it`,
      FolderOverFile: ({ source, target }) =>
        `The folder ${show(source)} can't take the place of ${show(target)}, which is none: move that away first`,
      FileOverFolder: ({ source, target }) =>
        `${show(source)} can't take the place of the folder ${show(target)}: move that away first`,
      SameTarget: ({ first, second, target }) =>
        `${show(first)} and ${show(second)} would both be copied to ${show(target)}: copy them one after the other`,
      Inaccessible: ({ error }) => error.message
    })
  }
}
