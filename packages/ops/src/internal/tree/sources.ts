/**
 * What jobs that read files, and change none, are given, and what becomes of what they meet there.
 */
import type { JobId } from "@fanout/core/JobId"
import type { Outcome } from "@fanout/core/Outcome"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { SkipReason } from "../../SkipReason.ts"
import { below } from "../path/components.ts"
import * as TemporaryName from "../path/temporaryName.ts"
import { ofNamedLink, ofSpecial, ofUnreadable, skippedAs } from "./elementOutcomes.ts"
import type * as FileTree from "./fileTree.ts"

/** Schema for files that are to be read. */
export const Sources = Schema.Struct({
  /** Files and folders, absolute and without links. Links in folders are passed over. */
  sources: Schema.NonEmptyArray(FilePath.FilePath),
  /** Files that are not read: those of the job's own database. Without links above their names. */
  leaveOut: Schema.Array(FilePath.FilePath),
  /** Where what is read is written to, if that is inside of a source: it is not read either. Without links. */
  output: Schema.optionalKey(FilePath.FilePath)
})
type Sources = typeof Sources.Type

/**
 * Works out what to read: where links lead that were named, and whether the output is in there. What can't be found
 * stays as it is, and fails then.
 */
export const plan = ({ leaveOut, output, sources }: Sources): Effect.Effect<Sources, never, Files.Files> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const real = yield* Effect.forEach(sources, (path) => Effect.orElseSucceed(files.realPath(path), () => path))
    const isInside = output !== undefined && real.some((source) => FilePath.isWithin(output, source))
    return { sources: real, leaveOut, ...(isInside ? { output } : {}) }
  })

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
    return below(this.given.sources[source] ?? FilePath.empty, path)
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
