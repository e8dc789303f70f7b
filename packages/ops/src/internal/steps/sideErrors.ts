/**
 * Turns errors of the file system into errors of a copy, by the side that they are on.
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import { CopyError, Reason } from "./copyError.ts"

const { CallFailed, KindChanged, Vanished } = Reason.cases

/** A source can vanish, or turn into something else: a link where none is opened, a file where a link is read. */
const sourceReason = (error: FilesError): Reason => {
  if (error.isMissing) return Vanished.make({ path: error.path })
  if (error.code === "ELOOP" || (error.call === "readlink" && error.code === "EINVAL")) {
    return KindChanged.make({ path: error.path })
  }
  return CallFailed.make({ side: "source", error })
}

export const onSource = <A, R>(effect: Effect.Effect<A, FilesError, R>): Effect.Effect<A, CopyError, R> =>
  Effect.mapError(effect, (error) => new CopyError({ reason: sourceReason(error) }))

export const onDestination = <A, R>(effect: Effect.Effect<A, FilesError, R>): Effect.Effect<A, CopyError, R> =>
  Effect.mapError(effect, (error) => new CopyError({ reason: CallFailed.make({ side: "destination", error }) }))
