/**
 * Gives a copy what is to be kept of its source beside the content, as far as the file system has it.
 */
import * as Effect from "effect/Effect"
import { type Answer, type Calls, type Code, Failed, isCode, isFailed } from "../../Calls.ts"
import type { CopyOptions, Property } from "../../CopyOptions.ts"
import type * as Files from "../../Files.ts"
import { missing } from "../../FilesError.ts"
import type { Lost } from "../../ProgressUnits.ts"
import { giveOwner, type Owned } from "../files/fileOwner.ts"
import { withoutAttributes } from "../files/fileSystemTypes.ts"
import type { Routine } from "../files/routine.ts"
import type * as Place from "../path/place.ts"
import { withInherited } from "../path/unfinishedFolder.ts"
import type { CopyError } from "./copyError.ts"
import { onDestination, onSource } from "./sideErrors.ts"

/** Codes of FAT and some network file systems, which have no modes, or not this one; or only root may set it. */
const withoutAttribute = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

/** Codes of an extended attribute that is too large, or that not everybody may set. */
const withoutWay = new Set(["E2BIG", "ERANGE", "EACCES", "EINVAL"])

/** Codes of a lack of room: on ext4 each file has a few kilobytes for its attributes; or the disk is full. */
const withoutRoom = new Set(["ENOSPC", "EDQUOT"])

const setUserId = 0o4000
const setGroupId = 0o2000

/** Bits of a mode that are only kept with owner and group. */
export const setIdBits = setUserId | setGroupId

const none: ReadonlyArray<Lost> = []

/** What is kept, and whether the source is removed afterwards. */
export type Keeping = Pick<CopyOptions, "isMove" | "keeps">

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

// --- Extended attributes --------------------------------------------------------------------------------------------

const accessList = "system.posix_acl_access"

/** What is made in a folder that has this gets its list for access from it. */
export const defaultList = "system.posix_acl_default"

const lists = new Set([accessList, defaultList])

// What the system it is copied to says of a file, and not the file.
const ofTheSystem = new Set(["security.selinux", "security.evm", "security.ima"])

/** Whether an extended attribute is to be kept. */
export const isKept = (name: string, keeps: ReadonlySet<Property>): boolean =>
  lists.has(name) ? keeps.has("mode") : keeps.has("xattr") && !name.startsWith("system.") && !ofTheSystem.has(name)

/** The property that an extended attribute belongs to: a list for access is a part of the mode. */
const propertyOf = (name: string): Property & Lost => lists.has(name) ? "mode" : "xattr"

/** Extended attributes of a source that are kept, and the properties of those that could not be read. */
export interface Held {
  readonly attributes: ReadonlyArray<Files.Attribute>
  readonly unread: ReadonlyArray<Lost>
}

/** Nothing that was read. */
export const nothing: Held = { attributes: [], unread: none }

/** Whether a copy may do without what can't be read. A move would remove the last there is of it. */
const isDispensable = ({ name }: Code, { isMove }: Keeping): boolean => !isMove && !missing.has(name)

function* namesOf(calls: Calls, of: Owned): Routine<Answer<ReadonlyArray<string>>> {
  return typeof of === "number" ? yield* calls.listAttributes(of) : yield* calls.listAttributesAt(of.folder, of.name)
}

function* valueOf(calls: Calls, of: Owned, name: string): Routine<Answer<Uint8Array>> {
  return typeof of === "number"
    ? yield* calls.getAttribute(of, name)
    : yield* calls.getAttributeAt(of.folder, of.name, name)
}

function* valuesOf(
  calls: Calls,
  of: Owned,
  names: ReadonlyArray<string>,
  keeping: Keeping
): Routine<Held | Failed> {
  const attributes: Array<Files.Attribute> = []
  const unread = new Set<Lost>()
  for (const name of names) {
    if (!isKept(name, keeping.keeps)) continue
    const value = yield* valueOf(calls, of, name)
    if (!isCode(value)) attributes.push({ name, value })
    else if (value.name === "ENODATA") continue
    else if (isDispensable(value, keeping)) unread.add(propertyOf(name))
    else return new Failed("getxattr", value)
  }
  return { attributes, unread: Array.from(unread) }
}

/** Reads the extended attributes that are kept of a source: an open file, or what has a name. */
export function* heldBy(calls: Calls, of: Owned, keeping: Keeping): Routine<Held | Failed> {
  const { keeps } = keeping
  // A link has no list for access.
  if (!keeps.has("xattr") && (typeof of !== "number" || !keeps.has("mode"))) return nothing
  const names = yield* namesOf(calls, of)
  if (!isCode(names)) return names.length === 0 ? nothing : yield* valuesOf(calls, of, names, keeping)
  if (withoutAttributes.has(names.name)) return nothing
  if (!isDispensable(names, keeping)) return new Failed("listxattr", names)
  const isLink = typeof of !== "number"
  const unread = (["mode", "xattr"] as const).filter((one) => keeps.has(one) && !(isLink && one === "mode"))
  return { attributes: [], unread }
}

/** Sets an extended attribute. What has no room is lost by a copy, whose source still has it, and not by a move. */
function* setAttribute(
  calls: Calls,
  copy: Owned,
  { name, value }: Files.Attribute,
  { isMove }: Keeping
): Routine<boolean | Failed> {
  const set = typeof copy === "number"
    ? yield* calls.setAttribute(copy, name, value)
    : yield* calls.setAttributeAt(copy.folder, copy.name, name, value)
  if (!isCode(set)) return true
  const isLost = withoutAttribute.has(set.name) || withoutWay.has(set.name) || (!isMove && withoutRoom.has(set.name))
  return isLost ? false : new Failed("setxattr", set)
}

// --- Mode -----------------------------------------------------------------------------------------------------------

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

/** What a copy is to have beside its content. */
export interface Wanted {
  readonly stat: Pick<Files.FileStat, "accessedNanos" | "group" | "kind" | "mode" | "modifiedNanos" | "owner">
  readonly held: Held
  /** Mode in the place of that of a new file, where the mode of the source is not kept. */
  readonly own?: number | undefined
  /** The copy as it was found: what it has is not set. */
  readonly there?: Files.FileStat | undefined
  /** Whether the copy was made with its mode. */
  readonly hasMode?: boolean
}

/**
 * The mode that a copy gets. With another owner, set-id bits would lend the rights of somebody else than they did. What
 * is new and has no mode of its source gets what the mask allows, and what the folder that it is made in hands down.
 */
function* modeFor(
  calls: Calls,
  copy: number,
  { own, stat: { group, kind, mode, owner } }: Wanted,
  isKept: boolean
): Routine<Answer<number>> {
  if (!isKept && own !== undefined) return own
  const allowed = isKept ? mode : mode & 0o777 & ~calls.denied()
  if (isKept ? (mode & setIdBits) === 0 : kind !== "folder") return allowed
  const made = yield* calls.stat(copy)
  if (isCode(made)) return made
  if (!isKept) return withInherited(allowed, made)
  return mode & ~(made.owner === owner ? 0 : setUserId) & ~(made.group === group ? 0 : setGroupId)
}

/** Sets a mode. A sandbox, such as that of a service, may refuse set-id bits: the rest of the mode is set then. */
function* setMode(calls: Calls, copy: number, mode: number): Routine<boolean | Failed> {
  let set = yield* calls.setMode(copy, mode)
  if (!isCode(set)) return true
  const isLost = withoutAttribute.has(set.name)
  if (isLost && (mode & setIdBits) !== 0) set = yield* calls.setMode(copy, mode & ~setIdBits)
  return isCode(set) && !withoutAttribute.has(set.name) ? new Failed("fchmod", set) : false
}

/** Gives an open copy its mode. Tells whether that is the one it is to have. */
function* giveMode(
  calls: Calls,
  copy: number,
  wanted: Wanted,
  isKept: boolean,
  isListLost: boolean
): Routine<boolean | Failed> {
  const mode = yield* modeFor(calls, copy, wanted, isKept)
  if (isCode(mode)) return new Failed("fstat", mode)
  const list = wanted.held.attributes.find(({ name }) => name === accessList)
  const given = isListLost || !isKept ? withoutList(mode, list) : mode
  return list === undefined && wanted.there?.mode === given ? true : yield* setMode(calls, copy, given)
}

// --- All of it ------------------------------------------------------------------------------------------------------

function* setOwner(calls: Calls, copy: Owned, { stat, there }: Wanted): Routine<boolean | Failed> {
  if (there !== undefined && there.owner === stat.owner && there.group === stat.group) return true
  const given = yield* giveOwner(calls, copy, stat)
  return isCode(given) ? new Failed(typeof copy === "number" ? "fchown" : "lchown", given) : given
}

function* setTimes(calls: Calls, copy: Owned, { stat, there }: Wanted): Routine<boolean | Failed> {
  const isSame = there !== undefined && there.modifiedNanos === stat.modifiedNanos &&
    there.accessedNanos === stat.accessedNanos
  if (isSame) return true
  const set = typeof copy === "number"
    ? yield* calls.setTimes(copy, stat)
    : yield* calls.setTimesAt(copy.folder, copy.name, stat)
  if (!isCode(set)) return true
  if (withoutAttribute.has(set.name)) return false
  return new Failed(typeof copy === "number" ? "futimes" : "lutimes", set)
}

const withLost = (lost: ReadonlyArray<Lost>, one: Lost): ReadonlyArray<Lost> =>
  lost.includes(one) ? lost : [...lost, one]

/**
 * Gives a copy, an open file or folder, or a link by its name, what is to be kept, and tells what its file system does
 * not take. Another owner takes bits of the mode away, a list for access says another mode, and whatever is set says
 * "changed now": hence this order.
 */
export function* keep(
  calls: Calls,
  copy: Owned,
  wanted: Wanted,
  keeping: Keeping
): Routine<ReadonlyArray<Lost> | Failed> {
  const { hasMode = false, held: { attributes, unread } } = wanted
  const { keeps } = keeping
  let lost = unread
  if (keeps.has("owner")) {
    const isSet = yield* setOwner(calls, copy, wanted)
    if (isFailed(isSet)) return isSet
    if (!isSet) lost = withLost(lost, "owner")
  }
  for (const attribute of attributes) {
    const isSet = yield* setAttribute(calls, copy, attribute, keeping)
    if (isFailed(isSet)) return isSet
    if (!isSet) lost = withLost(lost, propertyOf(attribute.name))
  }
  if (typeof copy === "number" && !hasMode) {
    const isSet = yield* giveMode(calls, copy, wanted, keeps.has("mode"), lost.includes("mode"))
    if (isFailed(isSet)) return isSet
    if (!isSet) lost = withLost(lost, "mode")
  }
  if (!keeps.has("times")) return lost
  const isSet = yield* setTimes(calls, copy, wanted)
  if (isFailed(isSet)) return isSet
  return isSet ? lost : withLost(lost, "times")
}

// --- By handles -----------------------------------------------------------------------------------------------------

/** A link, and the folder that it is in. */
type Link = Pick<Place.Place, "folder" | "name">

/** What is to be kept of a link. An object is none. */
export const keepOfLink = Effect.fnUntraced(function*(
  from: Link,
  to: Link,
  stat: Files.FileStat,
  options: Keeping
): Effect.fn.Return<ReadonlyArray<Lost>, CopyError> {
  const read = from.folder.run?.(from.name, (calls, folder) => heldBy(calls, { folder, name: from.name }, options))
  const held = read === undefined ? nothing : yield* onSource(read)
  const set = to.folder.run?.(
    to.name,
    (calls, folder) => keep(calls, { folder, name: to.name }, { stat, held }, options)
  )
  return set === undefined ? none : yield* onDestination(set)
})

/**
 * Gives an open copy what is to be kept of its source, which is opened if that is needed. Where the mode is not kept,
 * what has an `own` one stays with that. An object has its properties as metadata: it takes no extended attributes.
 */
export const keepAttributes = Effect.fnUntraced(function*<R>(
  copy: Files.OpenFile,
  source: Effect.Effect<Files.OpenFile, CopyError, R>,
  stat: Files.FileStat,
  options: Keeping,
  own?: number
): Effect.fn.Return<ReadonlyArray<Lost>, CopyError, R> {
  const isRead = options.keeps.has("mode") || options.keeps.has("xattr")
  const read = isRead ? (yield* source).run?.((calls, from) => heldBy(calls, from, options)) : undefined
  const held = read === undefined ? nothing : yield* onSource(read)
  const lost = copy.run === undefined
    ? held.attributes.reduce((lost, { name }) => withLost(lost, propertyOf(name)), held.unread)
    : yield* onDestination(copy.run((calls, to) => keep(calls, to, { stat, held, own }, options)))
  // Nobody misses the mode of a new file where it is not kept.
  return options.keeps.has("mode") ? lost : lost.filter((one) => one !== "mode")
})
