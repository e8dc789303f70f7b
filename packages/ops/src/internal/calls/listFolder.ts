/**
 * Lists a folder, in as few steps as can be: a walk over a tree of small folders does little else.
 */
import * as Effect from "effect/Effect"
import type * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { Call, FilesError } from "../../FilesError.ts"
import * as FolderListing from "../../FolderListing.ts"
import { failure } from "./opened.ts"
import { Sequence } from "./sequence.ts"
import type { Done, SystemCalls } from "./systemCalls.ts"

interface Listed {
  /** What tells the folder from others, if that was asked. */
  readonly identity: Files.Identity | undefined
  readonly builder: FolderListing.Builder
  readonly others: number
}

interface Listing {
  readonly calls: SystemCalls
  readonly path: FilePath.FilePath
  /** Opens the folder, to be listed. */
  readonly open: (done: Done<number>) => void
  /** Whether only the folders in it are listed, and it is told which folder it is. */
  readonly onlyFolders?: boolean
}

/** What is to be asked next. */
type Step = "open" | "look" | "list" | "close" | "end"

class Run extends Sequence {
  private readonly listing: Listing
  private step: Step = "open"
  private descriptor = -1
  private identity: Files.Identity | undefined
  private readonly builder = FolderListing.builderUnsafe()
  private others = 0
  private error: FilesError | undefined
  private isStopped = false
  private ended: () => void = () => {}

  constructor(listing: Listing, resume: (result: Effect.Effect<Listed, FilesError>) => void) {
    super(() => {
      resume(this.result)
      this.ended()
    })
    this.listing = listing
  }

  private get result(): Effect.Effect<Listed, FilesError> {
    const { builder, error, identity, others } = this
    return error === undefined ? Effect.succeed({ identity, builder, others }) : Effect.fail(error)
  }

  /** Lists no more. A call can't be called off: that it has ended, and the folder is closed, is waited for. */
  readonly stop: Effect.Effect<void> = Effect.callback((resume) => {
    this.isStopped = true
    if (this.step === "end") return resume(Effect.void)
    this.ended = () => resume(Effect.void)
  })

  protected ask(): boolean {
    const { calls, onlyFolders, open } = this.listing
    switch (this.step) {
      case "open":
        open(this.opened)
        return true
      case "look":
        calls.identity(this.descriptor, this.looked)
        return true
      case "list":
        calls.list(this.descriptor, this.add, this.listed, onlyFolders === true ? this.skips : undefined)
        return true
      case "close":
        calls.close(this.descriptor, this.closed)
        return true
      case "end":
        return false
    }
  }

  private goTo(step: Step, call: Call, code: string | undefined, otherwise: Step): void {
    this.step = code === undefined ? step : otherwise
    if (code !== undefined) this.error = failure(call, this.listing.path, code)
    this.goOn()
  }

  private readonly opened = (code: string | undefined, descriptor: number): void => {
    this.descriptor = descriptor
    this.goTo(this.listing.onlyFolders === true ? "look" : "list", "scandir", code, "end")
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
    this.goTo(isMore && !this.isStopped ? "list" : "close", "scandir", code, "close")

  /** What was read fails to close for nothing. */
  private readonly closed = (): void => {
    this.step = "end"
    this.goOn()
  }
}

const list = (listing: Listing): Effect.Effect<Listed, FilesError> =>
  Files.waitForDescriptor(Effect.callback<Listed, FilesError>((resume) => {
    const run = new Run(listing, resume)
    run.run()
    return run.stop
  }))

/** Lists a folder that this opens. */
export const listFolder = (listing: Listing): Effect.Effect<FolderListing.FolderListing, FilesError> =>
  Effect.flatMap(list(listing), ({ builder }) => builder.build)

/** Lists the folders in the folder at a path. */
export const listFolders = (
  calls: SystemCalls,
  path: FilePath.FilePath
): Effect.Effect<Files.FoldersIn, FilesError> =>
  Effect.flatMap(
    list({ calls, path, open: (done) => calls.openPath(path, "list", done), onlyFolders: true }),
    ({ builder, identity, others }) =>
      identity === undefined
        ? Effect.die(new Error(`"${path}" was listed without being looked at`))
        : Effect.map(builder.build, (listing) => ({ identity, others, listing }))
  )
