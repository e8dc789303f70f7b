/**
 * Opens the folder that the source of a copy is in, or the one that what a link leads to is in.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { FilesError } from "../../FilesError.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"

/** Opens the folder that a source is in, or the one that what a link leads to is in. */
export const openPlace = (
  path: FilePath.FilePath,
  isFollowing: boolean
): Effect.Effect<Place.Place, FilesError, Files.Files | Scope.Scope> =>
  isFollowing ? Effect.flatMap(Files.Files.use((files) => files.realPath(path)), Place.open) : Place.open(path)

/** A folder above the source that is gone, or is a link by now, has taken the source with it. */
export const openSource = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const { isFollowing } = yield* CopyOptions
  return yield* Effect.catchIf(
    openPlace(path, isFollowing),
    (error: FilesError) => error.isMissing || error.code === "ELOOP",
    ({ code }) => isFollowing ? notFollowed(path, code) : Effect.fail(vanished(path))
  )
})

/** Reference to the sources that a copy was told to copy. */
export const NamedSources = Context.Reference<ReadonlyArray<FilePath.FilePath>>("@fanout/ops/internal/namedSources", {
  defaultValue: () => []
})

/**
 * Gives the source that was named, of which this one is a part, if that is not there any more: what was in it did not
 * vanish by itself.
 */
export const goneWith = Effect.fnUntraced(function*(
  path: FilePath.FilePath
): Effect.fn.Return<FilePath.FilePath | undefined, never, Files.Files> {
  const { isFollowing, isMove } = yield* CopyOptions
  const named = (yield* NamedSources).find((source) => FilePath.isWithin(path, source))
  // A move takes away what it was told to move.
  if (named === undefined || isMove || FilePath.isAddress(named)) return undefined
  const found = yield* Effect.option(Files.Files.use((files) => files.lstat(named)))
  // In the place of a folder there may be a link to where it is now.
  const isThere = Option.exists(found, ({ kind }) => kind !== "link" || isFollowing || named === path)
  return isThere ? undefined : named
})

const vanished = (path: FilePath.FilePath) => new CopyError({ reason: Reason.cases.Vanished.make({ path }) })

/** A link that is there has not vanished, but leads nowhere, or round in circles. */
const notFollowed = Effect.fnUntraced(function*(path: FilePath.FilePath, code: string) {
  const found = yield* Files.Files.use((files) => files.find(path))
  if (Option.isNone(found)) return yield* vanished(path)
  const why = code === "ELOOP" ? code : "ENOLINK"
  return yield* new FilesError({ call: "stat", path, code: why, target: Option.none() })
})
