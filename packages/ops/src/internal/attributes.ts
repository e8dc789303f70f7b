/**
 * Gives a copy the mode and the times of its source, as far as the file system has them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { CopyError } from "../CopyError.ts"
import type { Lost } from "../CopyStrategy.ts"
import type * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import { onDestination } from "./sides.ts"

// What FAT and some network file systems answer: they have no modes, or not this one.
const withoutAttribute = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

const setUserId = 0o4000
const setGroupId = 0o2000

/** With another owner the set-id bits would lend the rights of somebody else than they did. */
const safeMode = Effect.fnUntraced(function*(copy: Files.OpenFile, { group, mode, owner }: Files.FileStat) {
  if ((mode & (setUserId | setGroupId)) === 0) return mode
  const made = yield* copy.stat
  return mode & ~(made.owner === owner ? 0 : setUserId) & ~(made.group === group ? 0 : setGroupId)
})

const nothing: ReadonlyArray<Lost> = []

/** Sets a property, and returns it as lost where the file system has no such thing. */
export const tolerate = (
  property: Lost,
  effect: Effect.Effect<void, FilesError>
): Effect.Effect<ReadonlyArray<Lost>, CopyError> =>
  onDestination(Effect.catchIf(
    Effect.as(effect, nothing),
    (error: FilesError) => withoutAttribute.has(error.code),
    () => Effect.succeed([property])
  ))

/** Sets mode and times, in this order: setting the times is not undone by setting the mode, but says "changed now". */
export const keepAttributes = Effect.fnUntraced(function*(
  copy: Files.OpenFile,
  source: Files.FileStat
): Effect.fn.Return<ReadonlyArray<Lost>, CopyError> {
  const mode = yield* onDestination(safeMode(copy, source))
  const lostMode = yield* tolerate("mode", copy.setMode(mode))
  const lostTimes = yield* tolerate("times", copy.setTimes(source))
  return lostMode.length + lostTimes.length === 0 ? lostMode : [...lostMode, ...lostTimes]
})
