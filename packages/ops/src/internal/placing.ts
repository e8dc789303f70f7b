/**
 * Puts what is written under a temporary name in its place once it is whole.
 *
 * @since 0.1.0
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { CopyError, Reason } from "../CopyError.ts"
import type { CopyRequest } from "../CopyStrategy.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import { onDestination } from "./sides.ts"

// File systems without hard links say it in one of these ways.
const withoutLinks = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"])

const occupied = ({ target }: CopyRequest): Effect.Effect<never, CopyError> =>
  Effect.fail(new CopyError({ reason: Reason.cases.Occupied.make({ path: target }) }))

/** Gives the whole file its name, if that is free. A link can't take a name that is taken; a rename would. */
const placeExclusively = Effect.fnUntraced(function*(request: CopyRequest) {
  const files = yield* Files.Files
  const { target, temporary } = request
  const rename = Effect.gen(function*() {
    if (Option.isSome(yield* onDestination(files.find(target)))) return yield* occupied(request)
    yield* Lease.check
    yield* onDestination(files.rename(temporary, target))
  })
  yield* Effect.matchEffect(files.link(temporary, target), {
    onSuccess: () => Effect.ignore(files.unlink(temporary)),
    onFailure: (error) =>
      error.code === "EEXIST"
        ? occupied(request)
        : withoutLinks.has(error.code)
        ? rename
        : onDestination(Effect.fail(error))
  })
})

/**
 * Runs what writes the temporary file, then puts that in its place. Whatever goes wrong, or whoever interrupts it,
 * the temporary file is removed and the target is as before.
 */
export const placed = <A>(
  request: CopyRequest,
  write: Effect.Effect<A, CopyError | Interrupted, Files.Files | Scope.Scope>
): Effect.Effect<A, CopyError | Interrupted, Files.Files> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const { placing, target, temporary } = request
    return yield* Effect.onExit(
      Effect.gen(function*() {
        const written = yield* Effect.scoped(write)
        yield* Lease.check
        yield* placing === "replace" ? onDestination(files.rename(temporary, target)) : placeExclusively(request)
        return written
      }),
      // It carries this owner's token, so nobody else misses it.
      (exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(files.unlink(temporary))
    )
  })

/** Creates something under the temporary name, once more if an attempt before this one has left its own there. */
export const createTemporary = <A, R>(
  request: CopyRequest,
  create: Effect.Effect<A, FilesError, R>
): Effect.Effect<A, CopyError, R | Files.Files> =>
  onDestination(Effect.catchIf(
    create,
    (error) => error.code === "EEXIST",
    () => Files.Files.use((files) => Effect.andThen(files.unlink(request.temporary), create))
  ))
