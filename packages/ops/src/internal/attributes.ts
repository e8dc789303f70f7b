/**
 * Gives a copy what is to be kept of its source beside the content, as far as the file system has it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { CopyError } from "../CopyError.ts"
import type { CopyOptions } from "../CopyOptions.ts"
import type { Lost } from "../CopyStrategy.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import { onDestination, onSource } from "./sides.ts"

// What FAT and some network file systems answer: they have no modes, or not this one; or only root may.
const withoutAttribute = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

// There is little room for extended attributes, on ext4 a few kilobytes for each file, and less for some namespaces.
const withoutRoom = new Set(["ENOSPC", "EDQUOT", "E2BIG", "ERANGE", "EACCES", "EINVAL"])

const setUserId = 0o4000
const setGroupId = 0o2000

const none: ReadonlyArray<Lost> = []

/** Sets a property, and returns it as lost where the file system has no such thing. */
export const tolerate = (
  property: Lost,
  effect: Effect.Effect<void, FilesError>,
  isLost = ({ code }: FilesError): boolean => withoutAttribute.has(code)
): Effect.Effect<ReadonlyArray<Lost>, CopyError> =>
  onDestination(Effect.catchIf(Effect.as(effect, none), isLost, () => Effect.succeed([property])))

// --- Mode -----------------------------------------------------------------------------------------------------------

/** With another owner the set-id bits would lend the rights of somebody else than they did. */
const safeMode = Effect.fnUntraced(function*(copy: Files.OpenFile, { group, mode, owner }: Files.FileStat) {
  if ((mode & (setUserId | setGroupId)) === 0) return mode
  const made = yield* copy.stat
  return mode & ~(made.owner === owner ? 0 : setUserId) & ~(made.group === group ? 0 : setGroupId)
})

const modeOf = (copy: Files.OpenFile, source: Files.FileStat, isKept: boolean) =>
  isKept
    ? safeMode(copy, source)
    : Files.Files.use((files) => Effect.map(files.denied, (denied) => source.mode & 0o777 & ~denied))

// --- Owner ----------------------------------------------------------------------------------------------------------

/** Who may not give a file away may still give it to one of the own groups. */
const setOwner = Effect.fnUntraced(function*(copy: Files.OpenFile, { group, owner }: Files.FileStat) {
  const made = yield* copy.stat
  if (made.owner === owner && made.group === group) return
  yield* Effect.tapError(
    copy.setOwner({ owner, group }),
    () => made.owner === owner ? Effect.void : Effect.ignore(copy.setOwner({ owner: made.owner, group }))
  )
})

// --- Extended attributes --------------------------------------------------------------------------------------------

const lists = new Set(["system.posix_acl_access", "system.posix_acl_default"])

// What the system it is copied to says of a file, and not the file.
const ofTheSystem = new Set(["security.selinux", "security.evm", "security.ima"])

/** Whether an extended attribute belongs to a file, and not to the file system that the file is on. */
export const isOfFile = (name: string): boolean => name.startsWith("system.") ? lists.has(name) : !ofTheSystem.has(name)

const keepAttribute = (copy: Files.OpenFile, attribute: Files.Attribute) =>
  tolerate(
    "xattr",
    copy.setAttribute(attribute),
    ({ code }) => withoutAttribute.has(code) || withoutRoom.has(code)
  )

/** Opens the source, if it is not open. */
type Source<R> = Effect.Effect<Files.OpenFile, CopyError, R>

/** A file system without them has none that could be lost. */
const keepExtended = Effect.fnUntraced(function*<R>(copy: Files.OpenFile, source: Source<R>) {
  const { attributes } = yield* source
  const all = yield* onSource(
    Effect.catchIf(attributes, ({ code }) => withoutAttribute.has(code), () => Effect.succeed([]))
  )
  const lost = yield* Effect.forEach(all.filter(({ name }) => isOfFile(name)), (one) => keepAttribute(copy, one))
  return lost.find((lost) => lost.length > 0) ?? none
})

/**
 * Sets what is to be kept, in this order: another owner takes bits of the mode away, a list for access says another
 * mode, and whatever is set says "changed now".
 */
export const keepAttributes = Effect.fnUntraced(function*<R>(
  copy: Files.OpenFile,
  source: Source<R>,
  stat: Files.FileStat,
  { keeps }: CopyOptions
): Effect.fn.Return<ReadonlyArray<Lost>, CopyError, R | Files.Files> {
  const owner = keeps.has("owner") ? yield* tolerate("owner", setOwner(copy, stat)) : none
  const extended = keeps.has("xattr") ? yield* keepExtended(copy, source) : none
  const mode = yield* onDestination(modeOf(copy, stat, keeps.has("mode")))
  const lostMode = yield* tolerate("mode", copy.setMode(mode))
  const times = keeps.has("times") ? yield* tolerate("times", copy.setTimes(stat)) : none
  return [...owner, ...extended, ...keeps.has("mode") ? lostMode : none, ...times]
})
