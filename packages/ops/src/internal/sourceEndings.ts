/**
 * Tells of what a walk over sources meets how it ends without being read, if it does.
 */
import type { JobId } from "@fanout/core/JobId"
import type { Outcome } from "@fanout/core/Outcome"
import * as FilePath from "../FilePath.ts"
import type * as FileTree from "../FileTree.ts"
import { SkipReason } from "../SkipReason.ts"
import type { Sources } from "../Sources.ts"
import * as TemporaryName from "../TemporaryName.ts"
import { ofNamedLink, ofSpecial, skippedAs } from "./endings.ts"

type Leaf = Extract<FileTree.Element, { readonly _tag: "Leaf" }>

/** Sources of a job. */
export class SourceEndings {
  private readonly id: JobId
  private readonly given: Sources
  private readonly left: ReadonlySet<FilePath.FilePath>

  constructor(id: JobId, given: Sources) {
    this.id = id
    this.given = given
    this.left = new Set(given.leaveOut)
  }

  /** Path of what is in a source. */
  absolute(source: number, inside: FilePath.FilePath): FilePath.FilePath {
    return FilePath.join(this.given.sources[source] ?? FilePath.empty, inside)
  }

  /** How a file, or a link that was named, ends that is not read; nothing where it is to be. */
  ofLeaf(leaf: Leaf): Outcome | undefined {
    const { kind, path, source } = leaf
    if (kind === "link") return ofNamedLink(this.absolute(source, path))
    if (kind === "special") return ofSpecial(leaf, "read")
    const { output } = this.given
    if (this.left.size === 0 && output === undefined) return undefined
    const file = this.absolute(source, path)
    if (this.left.has(file)) return skippedAs(SkipReason.Database)
    if (output === undefined) return undefined
    return file === output || TemporaryName.isOf(this.id, FilePath.name(file))
      ? skippedAs(SkipReason.Output)
      : undefined
  }
}
