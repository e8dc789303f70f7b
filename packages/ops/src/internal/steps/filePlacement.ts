/**
 * Puts what is written in its place once it is whole.
 *
 * A file that must not take the place of another one is written before it has any name, so that nothing can be left
 * of it. Where that can't be, and for all else, it has a temporary name until then.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Iterable from "effect/Iterable"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import * as FolderListing from "../../FolderListing.ts"
import type { CopyRequest } from "../entry/copyRequest.ts"
import * as Place from "../path/place.ts"
import * as TemporaryName from "../path/temporaryName.ts"
import { CopyError, Reason } from "./copyError.ts"
import type { Flush } from "./durability.ts"
import { onDestination } from "./sideErrors.ts"

const { NameShortened, Occupied, Unsupported } = Reason.cases

// File systems without hard links say it in one of these ways; some in user space by EIO.
const withoutLinks = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EIO"])

/** Says that something has the name that was to be free. */
export const occupied = ({ target }: Pick<CopyRequest, "target">): CopyError =>
  new CopyError({ reason: Occupied.make({ path: Place.path(target) }) })

// --- Under a temporary name -----------------------------------------------------------------------------------------

/** Stands in a temporary name for a job, where there is none. */
const noJob = JobId.make("none")

/** Name that a target has until it is whole, or a source before it is removed. */
export const temporaryName = ({ job, token }: Lease.Lease, path: FilePath.FilePath): FilePath.FilePath =>
  TemporaryName.make(Option.getOrElse(job, () => noJob), token, path)

/** Codes of names that a file system does not take. */
const refusals = new Set(["ENAMETOOLONG", "EINVAL", "EILSEQ"])

/**
 * Fails where a folder takes a longer name for this one: what is there may be the copy of another source, or, under a
 * temporary name, what somebody is at work on.
 */
export const refuseShortened = Effect.fnUntraced(function*({ folder, name }: Place.Place) {
  if (folder.isExact === true) return
  const longer = FilePath.make(`${name}x`)
  const found = Effect.catchIf(folder.find(longer), ({ code }) => refusals.has(code), () => Effect.succeedNone)
  // Most folders have none.
  if (Option.isNone(yield* onDestination(found))) return
  const listing = yield* onDestination(folder.list)
  if (Iterable.contains(FolderListing.namesOf(listing), longer)) return
  return yield* new CopyError({ reason: NameShortened.make({ path: Place.path({ folder, name }) }) })
})

/** Creates something under a temporary name, once more if an attempt before this one has left its own there. */
export const createAnew = <A, R>(
  folder: Files.Folder,
  temporary: FilePath.FilePath,
  create: Effect.Effect<A, FilesError, R>
): Effect.Effect<A, FilesError, R> =>
  Effect.catchIf(create, ({ code }) => code === "EEXIST", () => Effect.andThen(folder.unlink(temporary), create))

/**
 * Creates something under the temporary name. Whatever goes wrong in the scope, or whoever interrupts it, that name is
 * removed with it.
 */
export const createTemporary = <A, R>(
  request: CopyRequest,
  create: Effect.Effect<A, FilesError, R>
): Effect.Effect<A, CopyError, R | Scope.Scope> => {
  const { target: { folder }, temporary } = request
  return refuseShortened({ folder, name: temporary }).pipe(
    // It carries this owner's token, so nobody else misses it.
    Effect.andThen(
      Effect.addFinalizer((exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(folder.unlink(temporary)))
    ),
    Effect.andThen(onDestination(createAnew(folder, temporary, create)))
  )
}

/** Gives what has the temporary name, and is whole, its own. */
export const place = (request: CopyRequest): Effect.Effect<void, CopyError | Interrupted> => {
  const { placing, target: { folder, name }, temporary } = request
  return Effect.andThen(
    Lease.check,
    placing === "replace"
      ? onDestination(folder.rename(temporary, name))
      : Effect.catch(
        folder.renameExclusively(temporary, name, folder, true),
        (error) => error.code === "EEXIST" ? Effect.fail(occupied(request)) : onDestination(Effect.fail(error))
      )
  )
}

// --- Without a name -------------------------------------------------------------------------------------------------

/**
 * Reference to the devices on which no file can be written before it has a name, as far as the present job knows them,
 * so that not every file is tried in vain. Outside of a job nothing is remembered.
 */
export const WithoutUnnamed = Context.Reference<Set<bigint> | undefined>("@fanout/ops/internal/withoutUnnamed", {
  defaultValue: () => undefined
})

// What file systems and kernels without such files answer; an old kernel takes the folder for what is to be written.
const withoutUnnamed = new Set(["ENOTSUP", "EOPNOTSUPP", "EISDIR", "ENOSYS", "EINVAL"])

/** Keeps in mind that there is no such file on the device of this folder. */
const rememberMissing = (folder: Files.Folder) =>
  Effect.flatMap(WithoutUnnamed, (known) => Effect.map(folder.stat, ({ device }) => void known?.add(device)))

/** Creates a file without a name; nothing where there is no such thing. */
const createUnnamed = Effect.fnUntraced(function*(folder: Files.Folder) {
  const known = yield* WithoutUnnamed
  // Nothing is asked of the disk as long as it works everywhere.
  if (known !== undefined && known.size > 0 && known.has((yield* folder.stat).device)) return undefined
  return yield* Effect.catchIf(
    folder.createUnnamed,
    ({ code }) => withoutUnnamed.has(code),
    () => Effect.as(rememberMissing(folder), undefined)
  )
})

/** Closes a file that has got its name just now, and takes that away again where the file may not be whole. */
const closePlaced = ({ target: { folder, name } }: CopyRequest, file: Files.OpenFile) =>
  Effect.onExit(
    onDestination(file.close),
    (exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(Effect.andThen(Lease.check, folder.unlink(name)))
  )

/** Whether a folder has gone. In one that was removed nothing can be created. */
const isGone = ({ target: { folder }, temporary }: CopyRequest): Effect.Effect<boolean> =>
  Effect.scoped(folder.create(temporary)).pipe(
    Effect.match({ onFailure: ({ isMissing }) => isMissing, onSuccess: () => false }),
    Effect.ensuring(Effect.ignore(folder.unlink(temporary)))
  )

/**
 * Whether no file can get its name like that. One is named by way of `/proc`: where that is not mounted it is the file
 * that is not found.
 */
const isUnsupported = (request: CopyRequest, { code }: FilesError): Effect.Effect<boolean> =>
  code === "ENOENT" ? Effect.map(isGone(request), (isGone) => !isGone) : Effect.succeed(withoutLinks.has(code))

/** Gives a file without a name its own. Where no file can get one like that, the copy has to start over. */
const placeUnnamed = Effect.fnUntraced(function*(request: CopyRequest, file: Files.UnnamedFile) {
  const { folder, name } = request.target
  yield* Lease.check
  yield* Effect.catch(
    file.link(name),
    Effect.fnUntraced(function*(error) {
      if (error.code === "EEXIST") return yield* occupied(request)
      if (!(yield* isUnsupported(request, error))) return yield* onDestination(Effect.fail(error))
      yield* onDestination(rememberMissing(folder))
      return yield* new CopyError({ reason: Unsupported.make({ path: Place.path(request.target) }) })
    })
  )
  yield* closePlaced(request, file)
})

// --- Flushed --------------------------------------------------------------------------------------------------------

/** Sees to it that a name which something has got is on the device. If it is not, what was not there is taken away. */
export const flushPlaced = (
  { placing, target: { folder, name } }: CopyRequest,
  { names }: Flush
): Effect.Effect<void, CopyError> =>
  Effect.tapError(
    names,
    () => placing === "exclusive" ? Effect.ignore(Effect.andThen(Lease.check, folder.unlink(name))) : Effect.void
  )

// --- Either ---------------------------------------------------------------------------------------------------------

/** File that nobody else sees until it is whole. */
export interface Draft {
  readonly file: Files.OpenFile

  /** Closes the file and puts it in its place. Fails with `Unsupported` where it has to be written another way. */
  readonly place: Effect.Effect<void, CopyError | Interrupted>
}

const createNamed = Effect.fnUntraced(function*(request: CopyRequest) {
  const file = yield* createTemporary(request, request.target.folder.create(request.temporary))
  return { file, place: Effect.andThen(onDestination(file.close), place(request)) }
})

/** Creates the file that is written to. */
export const createDraft = Effect.fnUntraced(function*(
  request: CopyRequest
): Effect.fn.Return<Draft, CopyError, Scope.Scope> {
  if (request.placing === "replace") return yield* createNamed(request)
  const file = yield* onDestination(createUnnamed(request.target.folder))
  return file === undefined ? yield* createNamed(request) : { file, place: placeUnnamed(request, file) }
})
