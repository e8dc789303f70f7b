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
import { ofNamedLink, ofSpecial, ofUnreadable, skippedAs } from "./endings.ts"

/** What becomes of an element of a walk: it ends by itself, or is to be read, or nothing is said of it. */
export type Ending = Outcome | "read" | "passed"

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
  absolute({ path, source }: Pick<FileTree.Element, "path" | "source">): FilePath.FilePath {
    return FilePath.join(this.given.sources[source] ?? FilePath.empty, path)
  }

  /** Says how what a walk meets ends. Folders are passed over, and links in them. */
  of(element: FileTree.Element): Ending {
    switch (element._tag) {
      case "Open":
      case "Close":
        return "passed"
      case "Unreadable":
        return ofUnreadable(element)
      case "Leaf":
        if (element.kind === "link") return element.path === "" ? ofNamedLink(this.absolute(element)) : "passed"
        return element.kind === "special" ? ofSpecial(element, "read") : this.ofFile(this.absolute(element))
    }
  }

  /** The same of a file. */
  ofFile(file: FilePath.FilePath): Outcome | "read" {
    if (this.left.has(file)) return skippedAs(SkipReason.Database)
    const { output } = this.given
    return output !== undefined && (file === output || TemporaryName.isOf(this.id, FilePath.name(file)))
      ? skippedAs(SkipReason.Output)
      : "read"
  }
}
