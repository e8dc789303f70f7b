/**
 * Writes a file that is there once all of it is: until then it has a temporary name beside its own.
 */
import type { JobId } from "@fanout/core/JobId"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { FilesError } from "./FilesError.ts"
import * as FolderListing from "./FolderListing.ts"
import * as Place from "./internal/path/place.ts"
import * as TemporaryName from "./internal/path/temporaryName.ts"

/**
 * File that is written.
 *
 * @category models
 */
export interface OutputFile {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, FilesError>
  /** Puts it in the place of what has its name. With `isDurable` it is on the device then. */
  readonly finish: (isDurable: boolean) => Effect.Effect<void, FilesError>
}

/**
 * Who writes it. The temporary name says both.
 *
 * @category models
 */
export interface Writer {
  readonly job: JobId
  /** Of the lease, where owners of the job write it; else any number that tells writers apart, as of a process. */
  readonly token: number
}

/**
 * Creates the file, which is removed with its scope unless it is finished. Its path has no links, and it gets the mode
 * of what it takes the place of.
 *
 * @category constructors
 */
export const make = Effect.fnUntraced(function*(
  path: FilePath.FilePath,
  { job, token }: Writer
): Effect.fn.Return<OutputFile, FilesError, Files.Files | Scope.Scope> {
  const { folder, name } = yield* Place.open(path)
  const temporary = TemporaryName.make(job, token, path)
  const before = yield* folder.find(name)
  const denied = yield* (yield* Files.Files).denied
  const mode = Option.match(before, { onNone: () => 0o666 & ~denied, onSome: ({ mode }) => mode & 0o777 })
  // Its temporary name is nothing that anybody has asked for.
  const told = Effect.mapError(({ call, code }: FilesError) =>
    new FilesError({ call, code, path, target: Option.none() })
  )
  let isPlaced = false
  yield* Effect.addFinalizer(() => isPlaced ? Effect.void : Effect.ignore(folder.unlink(temporary)))
  const file = yield* told(folder.create(temporary))
  yield* told(file.setMode(mode))
  return {
    write: (bytes) => told(file.write(bytes)),
    finish: (isDurable) =>
      told(Effect.gen(function*() {
        if (isDurable) yield* file.sync
        yield* file.close
        yield* folder.rename(temporary, name)
        isPlaced = true
        if (isDurable) yield* folder.sync
      }))
  }
})

/**
 * Removes what writers of a job have left who were killed before they had finished the file: all whose token is of one
 * that is over.
 *
 * @category running
 */
export const sweep: (
  path: FilePath.FilePath,
  job: JobId,
  isOver: (token: number) => boolean
) => Effect.Effect<void, FilesError, Files.Files> = Effect.fnUntraced(function*(path, job, isOver) {
  const { folder } = yield* Place.open(path)
  for (const name of FolderListing.namesOf(yield* folder.list)) {
    const isLeft = TemporaryName.isFor(job, name, path) &&
      Option.exists(TemporaryName.parse(name), ({ token }) => isOver(token))
    if (isLeft) yield* Effect.ignore(folder.unlink(name))
  }
}, Effect.scoped)
