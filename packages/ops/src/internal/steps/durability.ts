/**
 * Sees to it that what a job writes is on the device before it counts as done.
 *
 * To flush files one by one takes as long for each as for hundreds at once. So whoever has written something waits for
 * the next flush of the whole file system, together with all others who have.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { type FilePath, isAddress } from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { oneForAll } from "../work/coalescedRun.ts"
import { CopyError } from "./copyError.ts"
import { onDestination } from "./sideErrors.ts"

/** One file system, which is flushed for all who wait. */
class Flushing {
  /** How often it could not be flushed, and why the last time. */
  failures: number
  private failure: FilesError | undefined
  private readonly flush: Effect.Effect<void>

  /** `failure` is why it could not be flushed before, if that was tried. */
  constructor(descriptor: Files.OpenFile, failure?: FilesError) {
    this.failure = failure
    this.failures = failure === undefined ? 0 : 1
    const note = (error: FilesError) =>
      Effect.sync(() => {
        this.failures++
        this.failure = error
      })
    // What has begun is waited for: nobody else would hear of what it ends with.
    this.flush = oneForAll(Effect.uninterruptible(Effect.catch(descriptor.syncFileSystem, note)))
  }

  /**
   * Returns once a flush has ended that began after this was asked for. Fails where one has failed since there were so
   * many failures: what could not be written then is not told again.
   */
  flushSince(failures: number): Effect.Effect<void, FilesError> {
    return Effect.andThen(
      this.flush,
      Effect.suspend(() =>
        this.failure === undefined || this.failures === failures ? Effect.void : Effect.fail(this.failure)
      )
    )
  }
}

/** Flushes what somebody writes to a folder, who has asked for this before that. */
export interface Flush {
  /** Returns once these files are on the device. */
  readonly content: (files: ReadonlyArray<Files.OpenFile>) => Effect.Effect<void, CopyError>
  /** Returns once the names in the folder are on the device. */
  readonly names: Effect.Effect<void, CopyError>
  /**
   * Both, of files that were there before. Fails also where what could not be written was told before this was asked
   * for: it may have been of these.
   */
  readonly earlier: (files: ReadonlyArray<Files.OpenFile>) => Effect.Effect<void, CopyError>
  /** Whether it is one flush of all, so that nobody needs to say which files. */
  readonly isOne: boolean
}

/** Reference to what makes the work of the present job durable; by default nothing is flushed. */
export const Durability = Context.Reference<{
  readonly prepare: (folder: Files.Folder) => Effect.Effect<Flush, CopyError>
}>("@fanout/ops/internal/durability", {
  defaultValue: () => ({ prepare: () => Effect.succeed(nothing) })
})
type Durability = typeof Durability.Service

const nothing: Flush = { content: () => Effect.void, names: Effect.void, earlier: () => Effect.void, isOne: true }

const oneByOne = (folder: Files.Folder): Flush => {
  const content = (files: ReadonlyArray<Files.OpenFile>) =>
    onDestination(Effect.forEach(files, ({ sync }) => sync, { discard: true }))
  const names = onDestination(folder.sync)
  return { content, names, earlier: (files) => Effect.andThen(content(files), names), isOne: false }
}

const asOne = (flushing: Flushing): Flush => {
  const { failures } = flushing
  const flush = onDestination(flushing.flushSince(failures))
  const earlier = onDestination(flushing.flushSince(0))
  return { content: () => flush, names: flush, earlier: () => earlier, isOne: true }
}

const isUnsupported = ({ code }: FilesError): boolean => code === "ENOTSUP"

/** Makes work durable until the scope ends. */
export const make: Effect.Effect<Durability, never, Files.Files | Scope.Scope> = Effect.gen(function*() {
  const files = yield* Files.Files
  const scope = yield* Effect.scope
  /** Of each device, if it can be flushed as one. */
  const known = new Map<bigint, Effect.Effect<Flushing | undefined, FilesError>>()
  const failures = new Map<bigint, FilesError>()
  // What could not be written is told to those alone who had something open before.
  const open = (folder: Files.Folder, device: bigint) =>
    files.open(folder.path).pipe(
      Scope.provide(scope),
      Effect.tap((descriptor) => descriptor.syncFileSystem),
      Effect.map((descriptor) => new Flushing(descriptor, failures.get(device))),
      Effect.catchIf(isUnsupported, () => Effect.undefined)
    )
  const find = Effect.fnUntraced(function*(folder: Files.Folder) {
    const { device } = yield* folder.stat
    const found = known.get(device) ?? (yield* Effect.cached(open(folder, device)))
    known.set(device, found)
    // One that could not be opened may be next time, in another folder.
    return yield* Effect.tapError(found, (error) =>
      Effect.sync(() => {
        known.delete(device)
        if (error.call === "syncfs") failures.set(device, error)
      }))
  })
  return {
    prepare: (folder) =>
      Effect.map(
        onDestination(find(folder)),
        (flushing) => flushing === undefined ? oneByOne(folder) : asOne(flushing)
      )
  }
})

/** What flushes as much as is asked for. What is read back from the device is there; its name may not be. */
export const of = (what: "none" | "content" | "names"): Effect.Effect<Durability, never, Files.Files | Scope.Scope> =>
  what === "none"
    ? Effect.sync(Durability.defaultValue)
    : what === "names"
    ? make
    : Effect.map(make, ({ prepare }) => ({
      prepare: (folder) => Effect.map(prepare(folder), (flush) => ({ ...flush, names: Effect.void }))
    }))

/** Makes ready to flush what will be written to a folder. An object store has what it has answered for. */
export const prepare = (folder: Files.Folder): Effect.Effect<Flush, CopyError> =>
  isAddress(folder.path)
    ? Effect.succeed(nothing)
    : Effect.flatMap(Durability, (durability) => durability.prepare(folder))

/** Whether one flush is for all that is written in folders at these paths. */
export const isOneAt = (paths: ReadonlyArray<FilePath>): Effect.Effect<boolean, never, Files.Files> =>
  Effect.forEach(paths, (path) =>
    Files.Files.use((files) => files.folder(path)).pipe(
      Effect.flatMap(prepare),
      Effect.map(({ isOne }) => isOne),
      Effect.scoped
    )).pipe(
      Effect.map((all) => all.every((isOne) => isOne)),
      Effect.orElseSucceed(() => false)
    )

/** Whether something is there, perhaps, and not on the device for sure. */
export const isUnflushed = (error: unknown): boolean =>
  error instanceof CopyError && error.reason._tag === "CallFailed" &&
  (error.reason.error.call === "fsync" || error.reason.error.call === "syncfs")
