/**
 * Lists the folders in a folder, in as few steps as can be: a walk over a tree of small folders does little else.
 */
import * as Effect from "effect/Effect"
import type * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { Call, FilesError } from "../../FilesError.ts"
import * as FolderListing from "../../FolderListing.ts"
import { failure } from "./opened.ts"
import { Sequence } from "./sequence.ts"
import type { SystemCalls } from "./systemCalls.ts"

interface Listed {
  readonly identity: Files.Identity
  readonly builder: FolderListing.Builder
  readonly others: number
}

/** What is to be asked next. */
type Step = "open" | "look" | "list" | "close" | "end"

class Run extends Sequence {
  private readonly calls: SystemCalls
  private readonly path: FilePath.FilePath
  private step: Step = "open"
  private descriptor = -1
  private identity: Files.Identity | undefined
  private readonly builder = FolderListing.builderUnsafe()
  private others = 0
  private error: FilesError | undefined

  constructor(
    calls: SystemCalls,
    path: FilePath.FilePath,
    resume: (result: Effect.Effect<Listed, FilesError>) => void
  ) {
    super(() => resume(this.result))
    this.calls = calls
    this.path = path
  }

  private get result(): Effect.Effect<Listed, FilesError> {
    const { builder, error, identity, others } = this
    if (error !== undefined) return Effect.fail(error)
    return identity === undefined
      ? Effect.die(new Error(`"${this.path}" was listed without being looked at`))
      : Effect.succeed({ identity, builder, others })
  }

  protected ask(): boolean {
    switch (this.step) {
      case "open":
        this.calls.openPath(this.path, "list", this.opened)
        return true
      case "look":
        this.calls.identity(this.descriptor, this.looked)
        return true
      case "list":
        this.calls.list(this.descriptor, this.add, this.listed, this.skips)
        return true
      case "close":
        this.calls.close(this.descriptor, this.closed)
        return true
      case "end":
        return false
    }
  }

  private goTo(step: Step, call: Call, code: string | undefined, otherwise: Step): void {
    this.step = code === undefined ? step : otherwise
    if (code !== undefined) this.error = failure(call, this.path, code)
    this.goOn()
  }

  private readonly opened = (code: string | undefined, descriptor: number): void => {
    this.descriptor = descriptor
    this.goTo("look", "scandir", code, "end")
  }

  private readonly looked = (code: string | undefined, identity: Files.Identity): void => {
    this.identity = identity
    this.goTo("list", "fstat", code, "close")
  }

  private readonly add = (name: string, kind: FolderListing.EntryKind): void => this.builder.addUnsafe(name, kind)

  private readonly skips = (kind: FolderListing.EntryKind): boolean => {
    if (kind !== "folder") this.others++
    return kind !== "folder" && kind !== "unknown"
  }

  private readonly listed = (code: string | undefined, isMore: boolean): void =>
    this.goTo(isMore ? "list" : "close", "scandir", code, "close")

  /** What was read fails to close for nothing. */
  private readonly closed = (): void => {
    this.step = "end"
    this.goOn()
  }
}

/** Lists the folders in a folder. */
export const listFolders = (
  calls: SystemCalls,
  path: FilePath.FilePath
): Effect.Effect<Files.FoldersIn, FilesError> =>
  Files.waitForDescriptor(
    Effect.uninterruptible(
      Effect.callback<Listed, FilesError>((resume) => new Run(calls, path, resume).run())
    )
  ).pipe(
    Effect.flatMap(({ builder, ...rest }) => Effect.map(builder.build, (listing) => ({ ...rest, listing })))
  )
