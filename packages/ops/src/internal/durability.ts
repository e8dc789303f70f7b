/**
 * Sees to it that what a job writes is on the device before it counts as done.
 *
 * To flush files one by one takes as long for each as for hundreds at once. So whoever has written something waits for
 * the next flush of the whole file system, together with all others who have.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { CopyError } from "../CopyError.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import { onDestination } from "./sides.ts"

/** One file system, which is flushed for all who wait. */
class Flushing {
  private readonly descriptor: Files.OpenFile
  private readonly semaphore = Semaphore.makeUnsafe(1)
  /** How many have asked, how many of them the last flush was for, and how it has ended. */
  private asked = 0
  private covered = 0
  private failure: FilesError | undefined

  constructor(descriptor: Files.OpenFile) {
    this.descriptor = descriptor
  }

  /** Returns once a flush has ended that began after this was asked for. */
  readonly flush: Effect.Effect<void, FilesError> = Effect.suspend(() => {
    const own = ++this.asked
    // Who waits was there before whoever asks from the next flush on, and has its turn before that begins.
    return this.semaphore.withPermits(1)(
      Effect.flatMap(
        Effect.suspend(() => this.covered >= own ? Effect.void : this.round),
        () => this.failure === undefined ? Effect.void : Effect.fail(this.failure)
      )
    )
  })

  private readonly round: Effect.Effect<void> = Effect.suspend(() => {
    const upTo = this.asked
    return Effect.match(this.descriptor.syncFileSystem, {
      onFailure: (error) => this.end(upTo, error),
      onSuccess: () => this.end(upTo, undefined)
    })
  })

  private end(upTo: number, failure: FilesError | undefined): void {
    this.covered = upTo
    this.failure = failure
  }
}

/** What makes the work of a job durable. */
export interface Durability {
  /** Makes ready to flush what will be written here: what fails before nobody could be told of otherwise. */
  readonly prepare: (folder: Files.Folder) => Effect.Effect<void, FilesError>
  /** Returns once files that were written, in this folder, are on the device. */
  readonly content: (folder: Files.Folder, files: ReadonlyArray<Files.OpenFile>) => Effect.Effect<void, FilesError>
  /** Returns once the names in this folder are on the device. */
  readonly names: (folder: Files.Folder) => Effect.Effect<void, FilesError>
}

/** Reference to what makes the work of the present job durable; by default nothing is flushed. */
export const Durability = Context.Reference<Durability>("@fanout/ops/internal/durability", {
  defaultValue: () => ({ prepare: () => Effect.void, content: () => Effect.void, names: () => Effect.void })
})

const isUnsupported = ({ code }: FilesError): boolean => code === "ENOTSUP"

/** Makes work durable until the scope ends. */
export const make: Effect.Effect<Durability, never, Files.Files | Scope.Scope> = Effect.gen(function*() {
  const files = yield* Files.Files
  const scope = yield* Effect.scope
  /** Of each device, if it can be flushed as one. */
  const known = new Map<bigint, Effect.Effect<Flushing | undefined, FilesError>>()
  // What could not be written is told to those alone who had something open before.
  const open = (folder: Files.Folder) =>
    files.open(folder.path).pipe(
      Scope.provide(scope),
      Effect.tap((descriptor) => descriptor.syncFileSystem),
      Effect.map((descriptor) => new Flushing(descriptor)),
      Effect.catchIf(isUnsupported, () => Effect.undefined)
    )
  const find = Effect.fnUntraced(function*(folder: Files.Folder) {
    const { device } = yield* folder.stat
    const found = known.get(device) ?? (yield* Effect.cached(open(folder)))
    known.set(device, found)
    // One that could not be opened may be next time, in another folder.
    return yield* Effect.tapError(found, () => Effect.sync(() => known.delete(device)))
  })
  return {
    prepare: (folder) => Effect.asVoid(find(folder)),
    content: (folder, written) =>
      Effect.flatMap(
        find(folder),
        (flushing) =>
          flushing === undefined ? Effect.forEach(written, ({ sync }) => sync, { discard: true }) : flushing.flush
      ),
    names: (folder) => Effect.flatMap(find(folder), (flushing) => flushing === undefined ? folder.sync : flushing.flush)
  }
})

/** What flushes as much as is asked for. What is read back from the device is there; its name may not be. */
export const of = (what: "none" | "content" | "names"): Effect.Effect<Durability, never, Files.Files | Scope.Scope> =>
  what === "none"
    ? Effect.sync(Durability.defaultValue)
    : what === "names"
    ? make
    : Effect.map(make, (durability) => ({ ...durability, names: () => Effect.void }))

/** Makes ready to flush what will be written to a folder. */
export const prepare = (folder: Files.Folder): Effect.Effect<void, CopyError> =>
  Effect.flatMap(Durability, (durability) => onDestination(durability.prepare(folder)))

/** Returns once a file that was written in a folder is on the device. */
export const flushContent = (folder: Files.Folder, file: Files.OpenFile): Effect.Effect<void, CopyError> =>
  Effect.flatMap(Durability, (durability) => onDestination(durability.content(folder, [file])))

/** Returns once the names in a folder are on the device. */
export const flushNames = (folder: Files.Folder): Effect.Effect<void, CopyError> =>
  Effect.flatMap(Durability, (durability) => onDestination(durability.names(folder)))
