/**
 * Writes lines to a file that is there once all of them are: until then they are under a temporary name beside it.
 */
import type { JobId } from "@fanout/core/JobId"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { FilesError } from "@fanout/ops/FilesError"
import * as Place from "@fanout/ops/Place"
import * as TemporaryName from "@fanout/ops/TemporaryName"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as RowOutput from "./RowOutput.ts"
import * as Settings from "./Settings.ts"
import * as Stop from "./Stop.ts"

/** Refuses what no file can be put in the place of. Its path is one without links. */
export const check = (
  path: FilePath.FilePath
): Effect.Effect<void, Stop.Stop, Files.Files | typeof Settings.db["Identifier"]> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    if ((yield* Settings.databaseFiles).includes(path)) {
      return yield* Stop.usage(`"${FilePath.display(path)}" is of the database of jobs, which would be lost.`)
    }
    const found = yield* files.find(path)
    if (Option.isSome(found) && found.value.kind !== "file") {
      return yield* Stop.usage(
        `"${FilePath.display(path)}" is no file that lines could be written to: name another one.`
      )
    }
    yield* files.list(FilePath.parent(path))
  }).pipe(Effect.catchTag("FilesError", ({ message }) => Effect.fail(Stop.usage(`${message}.`))))

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/** Removes what processes have left that were killed while they wrote the output of this job. */
const sweep = Effect.fnUntraced(function*(id: JobId, folder: Files.Folder) {
  const listing = yield* folder.list
  for (let index = 0; index < listing.size; index++) {
    const name = listing.nameAt(index)
    const isLeft = TemporaryName.isOf(id, name) &&
      Option.exists(TemporaryName.parse(name), ({ token }) => !isAlive(token))
    if (isLeft) yield* Effect.ignore(folder.unlink(name))
  }
})

const unwritten = ({ message }: FilesError): Stop.Stop =>
  Stop.failure(`${message}. The job can go on: the same command writes all lines.`)

/** Refuses a folder that no file can be created in. */
export const tryOut = (id: JobId, path: FilePath.FilePath): Effect.Effect<void, Stop.Stop, Files.Files> =>
  Effect.gen(function*() {
    const { folder } = yield* Place.open(path)
    yield* sweep(id, folder)
    const temporary = TemporaryName.make(id, process.pid, path)
    yield* Effect.acquireRelease(folder.create(temporary), () => Effect.ignore(folder.unlink(temporary)))
  }).pipe(
    Effect.scoped,
    Effect.catchTag("FilesError", ({ message }) => Effect.fail(Stop.usage(`${message}.`)))
  )

/** Opens the file, which is removed with its scope unless it was put in place. Its path is one without links. */
export const make = (
  id: JobId,
  path: FilePath.FilePath
): Effect.Effect<RowOutput.Sink, Stop.Stop, Files.Files | Scope.Scope> =>
  Effect.gen(function*() {
    const { folder, name } = yield* Place.open(path)
    yield* sweep(id, folder)
    const before = yield* folder.find(name)
    // The name tells the process in the place of the token of a lease: it is no owner who writes this.
    const temporary = TemporaryName.make(id, process.pid, path)
    let isPlaced = false
    yield* Effect.addFinalizer(() => isPlaced ? Effect.void : Effect.ignore(folder.unlink(temporary)))
    const file = yield* folder.create(temporary)
    const mode = Option.match(before, { onNone: () => 0o666 & ~process.umask(), onSome: ({ mode }) => mode & 0o777 })
    yield* file.setMode(mode)
    return {
      write: (bytes: Uint8Array) => Effect.mapError(file.write(bytes), unwritten),
      finish: Effect.gen(function*() {
        yield* file.close
        yield* folder.rename(temporary, name)
        isPlaced = true
      }).pipe(Effect.mapError(unwritten))
    }
  }).pipe(Effect.catchTag("FilesError", (error) => Effect.fail(unwritten(error))))
