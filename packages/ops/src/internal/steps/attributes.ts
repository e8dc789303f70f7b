/**
 * Gives a copy what is to be kept of its source beside the content, as far as the file system has it.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { CopyOptions, Property } from "../../CopyOptions.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { Lost } from "../../ProgressUnits.ts"
import { withoutAttributes } from "../files/fileSystemTypes.ts"
import type * as Place from "../path/place.ts"
import { withInherited } from "../path/unfinishedFolder.ts"
import type { CopyError } from "./copyError.ts"
import { onDestination, onSource } from "./sideErrors.ts"

// What FAT and some network file systems answer: they have no modes, or not this one; or only root may.
const withoutAttribute = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

/** Whether a property that could not be set, by this code of an error, is lost: the rest is copied without it. */
const isLost = (code: string): boolean => withoutAttribute.has(code)

// What is too large for an extended attribute, or not for everybody to set.
const withoutWay = new Set(["E2BIG", "ERANGE", "EACCES", "EINVAL"])

// There is little room for them, on ext4 a few kilobytes for each file; or the disk is full.
const withoutRoom = new Set(["ENOSPC", "EDQUOT"])

const setUserId = 0o4000
const setGroupId = 0o2000
const setIdBits = setUserId | setGroupId

const none: ReadonlyArray<Lost> = []

/**
 * Whether a source was changed after its copy, so that the copy may lack some of what is to be kept. Nobody can set the
 * time of change, and both have it from the clock of this machine, most of the time.
 */
export const isNewer = (source: Files.FileStat, copy: Files.FileStat): boolean =>
  source.changedNanos > copy.changedNanos

/** Whether a copy has mode and owner of its source, if these are kept. A link has no mode of its own. */
export const hasModeAndOwner = (
  source: Files.FileStat,
  copy: Files.FileStat,
  keeps: ReadonlySet<Property>
): boolean =>
  (!keeps.has("mode") || source.kind === "link" || source.mode === copy.mode) &&
  (!keeps.has("owner") || (source.owner === copy.owner && source.group === copy.group))

/** Sets a property, and returns it as lost where the file system has no such thing. */
const tolerate = (
  property: Lost,
  effect: Effect.Effect<void, FilesError>,
  isTolerated = ({ code }: FilesError): boolean => isLost(code)
): Effect.Effect<ReadonlyArray<Lost>, CopyError> =>
  onDestination(Effect.catchIf(Effect.as(effect, none), isTolerated, () => Effect.succeed([property])))

// --- Mode -----------------------------------------------------------------------------------------------------------

/** With another owner the set-id bits would lend the rights of somebody else than they did. */
const safeMode = Effect.fnUntraced(function*(copy: Files.OpenFile, { group, mode, owner }: Files.FileStat) {
  if ((mode & setIdBits) === 0) return mode
  const made = yield* copy.stat
  return mode & ~(made.owner === owner ? 0 : setUserId) & ~(made.group === group ? 0 : setGroupId)
})

/** A sandbox, such as that of a service, may refuse set-id bits. What the mode allows apart from these is not lost. */
const setMode = Effect.fnUntraced(function*(copy: Files.OpenFile, mode: number) {
  const lost = yield* tolerate("mode", copy.setMode(mode))
  if (lost.length > 0 && (mode & setIdBits) !== 0) yield* tolerate("mode", copy.setMode(mode & ~setIdBits))
  return lost
})

/** The mode of something new, whose source has no say in what it gets from the folder that it is made in. */
const newMode = Effect.fnUntraced(function*(copy: Files.OpenFile, { kind, mode }: Files.FileStat) {
  const { denied } = yield* Files.Files
  const allowed = mode & 0o777 & ~(yield* denied)
  return kind === "folder" ? withInherited(allowed, yield* copy.stat) : allowed
})

const modeOf = (copy: Files.OpenFile, source: Files.FileStat, isKept: boolean, own: number | undefined) =>
  isKept ? safeMode(copy, source) : own === undefined ? newMode(copy, source) : Effect.succeed(own)

const accessList = "system.posix_acl_access"

/** Tags of entries of a list for access (linux/posix_acl.h). */
const [ofGroup, mask] = [0x04, 0x10]

/**
 * What the group of a file may do. In the mode of a file with a list for access there is the most that anybody may do
 * whom the list names: without the list that would be the group's.
 */
const groupOf = (list: Uint8Array): number => {
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength)
  let [group, most] = [0, 0o7]
  // Behind a version there are a tag, permissions and an id for each entry.
  for (let at = 4; at + 8 <= list.byteLength; at += 8) {
    const [tag, permissions] = [view.getUint16(at, true), view.getUint16(at + 2, true)]
    if (tag === ofGroup) group = permissions
    if (tag === mask) most = permissions
  }
  return group & most
}

/** Mode of a copy that has no list for access, where its source has one. */
const withoutList = (mode: number, list: Files.Attribute | undefined): number =>
  list === undefined ? mode : (mode & ~0o070) | (groupOf(list.value) << 3)

// --- Owner ----------------------------------------------------------------------------------------------------------

const keepOwner = (setOwner: Effect.Effect<boolean, FilesError>): Effect.Effect<ReadonlyArray<Lost>, CopyError> =>
  onDestination(Effect.map(setOwner, (isKept) => isKept ? none : ["owner"]))

// --- Extended attributes --------------------------------------------------------------------------------------------

/** What is made in a folder that has this gets its list for access from it. */
export const defaultList = "system.posix_acl_default"

const lists = new Set([accessList, defaultList])

// What the system it is copied to says of a file, and not the file.
const ofTheSystem = new Set(["security.selinux", "security.evm", "security.ima"])

/** Whether an extended attribute is a list for access, which belongs to the mode. */
export const ofMode = (name: string): boolean => lists.has(name)

/** Whether an extended attribute is to be kept. */
export const isKept = (name: string, keeps: ReadonlySet<Property>): boolean =>
  lists.has(name) ? keeps.has("mode") : keeps.has("xattr") && !name.startsWith("system.") && !ofTheSystem.has(name)

const propertyOf = (name: string): Property & Lost => lists.has(name) ? "mode" : "xattr"

/** What has no room is lost by a copy, whose source still has it, and not by a move. */
const keepAttribute = (copy: Pick<Files.OpenFile, "setAttribute">, attribute: Files.Attribute, isMove: boolean) =>
  tolerate(
    propertyOf(attribute.name),
    copy.setAttribute(attribute),
    ({ code }) => isLost(code) || withoutWay.has(code) || (!isMove && withoutRoom.has(code))
  )

/** Opens the source, if it is not open. */
type Source<R> = Effect.Effect<Files.OpenFile, CopyError, R>

/**
 * What is to be kept of extended attributes. A copy does without what can't be read, and has lost all these properties
 * where that is the names. A move would remove what there is of it.
 */
const attributesOf = Effect.fnUntraced(function*(
  source: Pick<Files.OpenFile, "attribute" | "attributeNames">,
  { isMove, keeps }: CopyOptions,
  properties: ReadonlyArray<Property & Lost>
) {
  const lost = new Set<Lost>()
  const orLost = <A>(read: Effect.Effect<A, FilesError>, without: A, properties: ReadonlyArray<Property & Lost>) =>
    Effect.catchIf(read, ({ isMissing }) => !isMove && !isMissing, () =>
      Effect.sync(() => {
        for (const property of properties) if (keeps.has(property)) lost.add(property)
        return without
      }))
  const names = Effect.catchIf(
    source.attributeNames,
    ({ code }) => withoutAttributes.has(code),
    () => Effect.succeed<ReadonlyArray<string>>([])
  )
  const read = (name: string) =>
    source.attribute(name).pipe(
      Effect.map((value): ReadonlyArray<Files.Attribute> => [{ name, value }]),
      // One that was removed since, or that is nothing of this file but of what it is on.
      Effect.catchIf(({ code }) => code === "ENODATA", () => Effect.succeed([])),
      (attribute) => orLost(attribute, [], [propertyOf(name)])
    )
  const attributes = yield* onSource(Effect.flatMap(
    orLost(names, [], properties),
    (names) => Effect.forEach(names.filter((name) => isKept(name, keeps)), read)
  ))
  return { attributes: attributes.flat(), lost }
})

/** Sets the extended attributes of a link. */
const keepLinkAttributes = Effect.fnUntraced(function*(
  from: Place.Place,
  to: Place.Place,
  options: CopyOptions
): Effect.fn.Return<ReadonlyArray<Lost>, CopyError> {
  if (!options.keeps.has("xattr")) return none
  const link = {
    attributeNames: from.folder.attributeNames(from.name),
    attribute: (name: string) => from.folder.attribute(from.name, name)
  }
  const { attributes, lost: unread } = yield* attributesOf(link, options, ["xattr"])
  const copy = { setAttribute: (attribute: Files.Attribute) => to.folder.setAttribute(to.name, attribute) }
  const lost = yield* Effect.forEach(attributes, (attribute) => keepAttribute(copy, attribute, options.isMove))
  return Arr.dedupe([...unread, ...lost.flat()])
})

/** Sets what is to be kept of a link. */
export const keepOfLink = Effect.fnUntraced(function*(
  from: Place.Place,
  { folder, name }: Place.Place,
  stat: Files.FileStat,
  options: CopyOptions
): Effect.fn.Return<ReadonlyArray<Lost>, CopyError> {
  const { keeps } = options
  const owner = keeps.has("owner") ? yield* keepOwner(folder.setOwner(name, stat)) : none
  const attributes = yield* keepLinkAttributes(from, { folder, name }, options)
  const times = keeps.has("times") ? yield* tolerate("times", folder.setTimes(name, stat)) : none
  return [...owner, ...attributes, ...times]
})

/**
 * Sets what is to be kept, in this order: another owner takes bits of the mode away, a list for access says another
 * mode, and whatever is set says "changed now". Where the mode is not kept, what has an `own` one stays with that.
 */
export const keepAttributes = Effect.fnUntraced(function*<R>(
  copy: Files.OpenFile,
  source: Source<R>,
  stat: Files.FileStat,
  options: CopyOptions,
  own?: number
): Effect.fn.Return<ReadonlyArray<Lost>, CopyError, R | Files.Files> {
  const { isMove, keeps } = options
  const lost = new Set<Lost>()
  const note = (some: Iterable<Lost>) => {
    for (const one of some) lost.add(one)
  }
  if (keeps.has("owner")) note(yield* keepOwner(copy.setOwner(stat)))
  const { attributes, lost: unread } = keeps.has("mode") || keeps.has("xattr")
    ? yield* attributesOf(yield* source, options, ["mode", "xattr"])
    : { attributes: [], lost: none }
  note(unread)
  for (const attribute of attributes) note(yield* keepAttribute(copy, attribute, isMove))
  const mode = yield* onDestination(modeOf(copy, stat, keeps.has("mode"), own))
  const list = attributes.find(({ name }) => name === accessList)
  const isWithoutList = lost.has("mode") || !keeps.has("mode")
  const lostMode = yield* setMode(copy, isWithoutList ? withoutList(mode, list) : mode)
  if (keeps.has("mode")) note(lostMode)
  if (keeps.has("times")) note(yield* tolerate("times", copy.setTimes(stat)))
  return Array.from(lost)
})
