/**
 * Turns errors of the file system into errors of a copy, by the side that they are on.
 */
import * as Effect from "effect/Effect"
import { FilesError } from "../../FilesError.ts"
import { CopyError, Reason } from "./copyError.ts"

const { CallFailed, Changed, KindChanged, Vanished } = Reason.cases

/** A source can vanish, or turn into something else: a link where none is opened, a file where a link is read. */
const sourceReason = (error: FilesError): Reason => {
  if (error.isMissing) return Vanished.make({ path: error.path })
  // An object is another one by now.
  if (error.code === "PreconditionFailed") return Changed.make({ path: error.path })
  if (error.code === "ELOOP" || (error.call === "readlink" && error.code === "EINVAL")) {
    return KindChanged.make({ path: error.path })
  }
  return CallFailed.make({ side: "source", error })
}

const on = (reasonOf: (error: FilesError) => Reason) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchIf(
    effect,
    (error): error is Extract<E, FilesError> => error instanceof FilesError,
    (error) => Effect.fail(new CopyError({ reason: reasonOf(error) }))
  )

export const onSource = on(sourceReason)

export const onDestination = on((error) => CallFailed.make({ side: "destination", error }))
