/**
 * Copies small files of a folder to objects, from objects, or objects to others, many at once, with no more than the
 * requests for their content.
 *
 * What takes more than that is left, and then copied by itself, which tells what came in its way.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type Calls, isCode } from "../../Calls.ts"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { ObjectInfo, ObjectStoreError, WriteOptions } from "../../ObjectStore.ts"
import { lostUnits, strategyUnits } from "../../ProgressUnits.ts"
import { type CopyEntry, EntryCopied } from "../copy/copyTask.ts"
import * as NameSpelling from "../entry/nameSpelling.ts"
import { isChanged } from "../files/statComparison.ts"
import { digestOf } from "../hash/storedDigest.ts"
import * as Conflict from "../steps/conflict.ts"
import { nothingDone, restOf } from "../steps/unit.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import { type ObjectAccess, type ObjectPlace, patiently, within } from "./objectAccess.ts"
import { readWhole } from "./objectContent.ts"
import { carriedBy, type Entry, hasMetadata, type Info, isUnchanged, propertiesOf, statOf } from "./objectStat.ts"
import { byStore } from "./objectUpload.ts"
import { isCopiedByStore } from "./storeCopy.ts"

type Payload = Task.Payload<typeof CopyEntry>

/** So many files of a folder are copied together, and so many times that: no more is done again after a kill. */
export const together = { files: 16, times: 16 } as const

/** The folder itself, by which a file without a name is made in it. */
const itself = FilePath.make(".")

/** Larger files are copied by themselves. */
const mostBytes = 2 ** 20

/** Ends the copy of a file that takes more than the requests for its content. */
const left = Effect.fail("left" as const)

type Failure = Effect.Error<typeof left> | ObjectStoreError | FilesError | Interrupter.Interrupted

/** What was read of a file, or of an object. */
interface Content extends Entry {
  readonly bytes: Uint8Array
}

/** A folder on this machine, or the keys that begin alike. */
interface Side {
  /** What has the name, as a listing has told or as it is now; nothing where nothing has it. */
  readonly find: (name: FilePath.FilePath) => Effect.Effect<Entry | undefined, Failure>
  /** What has the name now. */
  readonly look: (name: FilePath.FilePath) => Effect.Effect<Entry | undefined, Failure>
  /** Reads all of what is said to have this size. */
  readonly read: (name: FilePath.FilePath, sizeBytes: number) => Effect.Effect<Content, Failure>
  /** Whether what has the name can be replaced. */
  readonly replaces: boolean
  readonly write: (name: FilePath.FilePath, content: Content, isExclusive: boolean) => Effect.Effect<void, Failure>
  /** Sees to it that what was read has not changed meanwhile. */
  readonly check: (name: FilePath.FilePath, content: Content) => Effect.Effect<void, Failure>
}

/** Copies what was found, and gives how many bytes that was. What is exclusive replaces nothing if the store obeys. */
type Way = (name: FilePath.FilePath, found: Entry, isExclusive: boolean) => Effect.Effect<number, Failure>

// --- On this machine ------------------------------------------------------------------------------------------------

/** Reads a file that has this size; nothing where it has another one by now, or is written to meanwhile. */
const readAll = (calls: Calls, folder: number, name: FilePath.FilePath, sizeBytes: number) => {
  const file = calls.open(folder, name, "read").now()
  if (isCode(file)) return undefined
  const stat = calls.stat(file).now()
  const buffer = Buffer.allocUnsafe(sizeBytes + 1)
  let length = 0
  for (let more = -1; more !== 0 && length <= sizeBytes;) {
    const read = calls.read(file, buffer.subarray(length), null).now()
    if (isCode(read)) break
    length += more = read
  }
  const after = calls.stat(file).now()
  calls.closeNow(file)
  if (isCode(stat) || isCode(after)) return undefined
  const isWhole = stat.kind === "file" && stat.sizeBytes === sizeBytes && length === sizeBytes
  return isWhole && !isChanged(stat, after) ? { stat, bytes: buffer.subarray(0, length) } : undefined
}

/** Writes a file that gets its name once it is whole, if that is free. */
const writeNew = (
  calls: Calls,
  folder: number,
  name: FilePath.FilePath,
  bytes: Uint8Array,
  stat: Files.FileStat
): boolean => {
  const file = calls.open(folder, itself, "unnamed").now()
  if (isCode(file)) return false
  let written = 0
  while (written < bytes.length) {
    const more = calls.write(file, bytes.subarray(written), null).now()
    if (isCode(more) || more === 0) break
    written += more
  }
  const isPlaced = written === bytes.length && !isCode(calls.setMode(file, stat.mode).now()) &&
    !isCode(calls.setTimes(file, stat).now()) && !isCode(calls.linkUnnamed(file, folder, name).now())
  // What could not be written may only be noticed now.
  const isClosed = !isCode(calls.close(file).now())
  if (isPlaced && !isClosed) calls.unlink(folder, name).now()
  return isPlaced && isClosed
}

/** Whether files can get their names once they are whole in this folder. */
const takesUnnamed = (calls: Calls, folder: number): boolean => {
  const file = calls.open(folder, itself, "unnamed").now()
  if (isCode(file)) return false
  calls.closeNow(file)
  return true
}

/** The folder at a path. In a target, files have to get their names once they are whole. */
const folderAt = Effect.fnUntraced(function*(path: FilePath.FilePath, isTarget: boolean) {
  const folder = yield* Files.Files.use((files) => files.folder(path))
  const files = yield* ProtectedFiles.ProtectedFiles
  /** Makes calls in the folder at once, where that can be. */
  const atOnce = <A>(work: (calls: Calls, folder: number) => A | undefined): Effect.Effect<A, Failure> =>
    Effect.flatMap(folder.atOnce(work), (made) => {
      const value = Option.getOrUndefined(made)
      return value === undefined ? left : Effect.succeed(value)
    })
  if (isTarget && !(yield* atOnce(takesUnnamed))) return yield* left
  const look: Side["look"] = Effect.fnUntraced(function*(name) {
    const found = yield* atOnce((calls, at) => {
      const stat = calls.lstat(at, name).now()
      const isThere = (variant: FilePath.FilePath) => !isCode(calls.lstat(at, variant).now())
      const isOther = isTarget && folder.isExact !== true && !isCode(stat) && NameSpelling.mayBeOther(name, isThere)
      return isOther ? undefined : stat
    })
    if (isCode(found) && found.name !== "ENOENT") return yield* left
    const stat = isCode(found) ? undefined : found
    // Some are the database of the job.
    const use = ProtectedFiles.useOf(files, FilePath.join(path, name), Option.fromUndefinedOr(stat))
    return use !== undefined ? yield* left : stat && { stat }
  })
  return {
    find: look,
    look,
    read: (name, sizeBytes) => atOnce((calls, at) => readAll(calls, at, name, sizeBytes)),
    // That is for who gives a whole file the name of another one.
    replaces: false,
    write: Effect.fnUntraced(function*(name, { bytes, info, stat }) {
      const isWritten = yield* atOnce((calls, at) => writeNew(calls, at, name, bytes, stat))
      if (!isWritten) return yield* left
      if (info !== undefined && hasMetadata(info)) yield* Progress.add(lostUnits.metadata, 1)
    }),
    check: Effect.fnUntraced(function*(name, { stat }) {
      const now = yield* Effect.option(atOnce((calls, at) => calls.lstat(at, name).now()))
      if (Option.isSome(now) && !isCode(now.value) && isChanged(stat, now.value)) return yield* left
    })
  } satisfies Side
})

// --- In a bucket ----------------------------------------------------------------------------------------------------

/**
 * Makes an object where none exists, if the store obeys that condition. If the request got no answer and the object
 * exists, it is compared with what was sent: the earlier request may have succeeded.
 */
const make = <A>(
  { key, store }: ObjectPlace,
  isObeyed: boolean,
  call: (condition: Pick<WriteOptions, "condition">) => Effect.Effect<A, ObjectStoreError>,
  isOwn: (there: ObjectInfo) => boolean
): Effect.Effect<void, ObjectStoreError> =>
  Effect.catchIf(
    Effect.asVoid(patiently(call(isObeyed ? { condition: { _tag: "Absent" } } : {}))),
    ({ reason }) => isObeyed && reason._tag === "PreconditionFailed",
    (error) =>
      Effect.flatMap(patiently(store.head(key)), (there) =>
        Option.exists(there, isOwn) ? Effect.void : Effect.fail(error))
  )

const keyIn = (place: ObjectPlace, name: FilePath.FilePath): ObjectPlace => ({
  ...place,
  key: place.key === "" ? name : `${place.key}/${name}`
})

/** The keys that begin with an address. */
const keysAt = Effect.fnUntraced(function*(access: ObjectAccess, path: FilePath.FilePath, bucket: ObjectPlace) {
  const { known, process } = access
  const options = yield* CopyOptions
  const entryOf = (info: Info): Entry => ({ stat: statOf(bucket.bucket, info, process), info })
  const look: Side["look"] = Effect.fnUntraced(function*(name) {
    if (!name.isWellFormed()) return yield* left
    const { key, store } = keyIn(bucket, name)
    const info = Option.getOrUndefined(yield* patiently(store.head(key)))
    // Who copies it by itself need not ask for it again. What is gone may be so with its bucket.
    if (info === undefined) known.delete(FilePath.join(path, name))
    else known.set(FilePath.join(path, name), { _tag: "Object", info })
    return info && entryOf(info)
  })
  return {
    find: (name) => {
      const listed = known.get(FilePath.join(path, name))
      // What a run before this one was told is not known any more.
      return listed === undefined
        ? look(name)
        : Effect.succeed(listed._tag === "Object" ? entryOf(listed.info) : undefined)
    },
    look,
    read: Effect.fnUntraced(function*(name, sizeBytes) {
      const { bytes, info } = yield* patiently(readWhole(keyIn(bucket, name), sizeBytes))
      return bytes === undefined ? yield* left : { bytes, ...entryOf(info) }
    }),
    replaces: true,
    write: (name, { bytes, info, stat }, isExclusive) => {
      const place = keyIn(bucket, name)
      const properties = info === undefined ? propertiesOf(place.key, stat, options) : carriedBy(info)
      return make(
        place,
        isExclusive && place.store.capabilities.conditions.put,
        (condition) => place.store.put(place.key, bytes, { ...properties, ...condition }),
        (there) =>
          there.checksums.some(({ algorithm, digest }) => digest === digestOf(algorithm, bytes)) &&
          Object.entries(properties.metadata).every(([name, value]) => there.metadata[name] === value)
      )
    },
    // What was read is of one moment.
    check: () => Effect.void
  } satisfies Side
})

// --- Both -----------------------------------------------------------------------------------------------------------

/** Has the content pass through this process. */
const through = (access: ObjectAccess, from: Side, to: Side): Way =>
  Effect.fnUntraced(function*(name, { stat: { sizeBytes } }, isExclusive) {
    yield* TaskDispatcher.throttle(sizeBytes)
    // Nobody who is asked to stop waits for the rate.
    yield* Interrupter.check
    const copy = Effect.gen(function*() {
      const content = yield* from.read(name, sizeBytes)
      yield* Lease.check
      yield* to.write(name, content, isExclusive)
      yield* from.check(name, content)
      return content.bytes.length
    })
    return yield* within(access, sizeBytes)(copy)
  })

/** Has the store copy the content. */
const inStore = (from: ObjectPlace, to: ObjectPlace): Way =>
  Effect.fnUntraced(function*(name, { info, stat }, isExclusive) {
    if (info === undefined) return yield* left
    const { etag, key } = info
    const place = keyIn(to, name)
    yield* Interrupter.check
    yield* Lease.check
    yield* make(
      place,
      isExclusive && place.store.capabilities.conditions.copy,
      (condition) => place.store.copy({ bucket: from.bucket, key, etag }, place.key, condition),
      (there) => there.etag === etag
    )
    yield* Progress.add(strategyUnits.get(byStore) ?? byStore, 1)
    return stat.sizeBytes
  })

/** What is shared by the files of a folder. */
interface Unit {
  readonly access: ObjectAccess
  readonly payload: Payload
  readonly from: Side
  readonly to: Side
  readonly way: Way
}

/** Opens both sides. */
const open = Effect.fnUntraced(function*(
  access: ObjectAccess,
  payload: Payload
): Effect.fn.Return<Unit, Failure, Files.Files | Scope.Scope> {
  const sideOf = Effect.fnUntraced(function*(path: FilePath.FilePath, isTarget: boolean) {
    if (!FilePath.isAddress(path)) return { side: yield* folderAt(path, isTarget) }
    const place = yield* access.at(path)
    return { side: yield* keysAt(access, path, place), place }
  })
  const from = yield* sideOf(payload.source, false)
  const to = yield* sideOf(payload.target, true)
  const way = from.place !== undefined && to.place !== undefined && isCopiedByStore(from.place, to.place)
    ? inStore(from.place, to.place)
    : through(access, from.side, to.side)
  return { access, payload, from: from.side, to: to.side, way }
})

/** Decides by what was listed, and by more where that does not tell. */
const decide = Effect.fnUntraced(function*(
  { access, from, payload: { conflict }, to }: Unit,
  name: FilePath.FilePath,
  source: Entry,
  target: Entry | undefined
) {
  if (conflict === "changed" && target?.stat.kind === "file") {
    const { sizeBytes } = source.stat
    const isSame = yield* isUnchanged({
      source,
      target,
      look: (side) => (side === "source" ? from : to).look(name),
      read: Effect.map(within(access, sizeBytes)(from.read(name, sizeBytes)), ({ bytes }) => bytes)
    })
    return isSame === undefined ? yield* left : isSame ? "Unchanged" : "Replace"
  }
  const factsOf = ({ stat }: Entry) => Conflict.factsOf(stat, FilePath.empty)
  return Conflict.decide(conflict, factsOf(source), Option.map(Option.fromUndefinedOr(target), factsOf))._tag
})

/** Copies what has the name. */
const copyOne = Effect.fnUntraced(function*(unit: Unit, name: FilePath.FilePath) {
  const { access: { known }, from, payload: { conflict, source, target }, to, way } = unit
  const found = yield* from.find(name)
  if (found?.stat.kind !== "file" || found.stat.sizeBytes > mostBytes) return yield* left
  const decision = yield* decide(unit, name, found, yield* to.find(name))
  const isNew = decision === "Create"
  if (!isNew && decision !== "Unchanged" && (decision !== "Replace" || !to.replaces)) return yield* left
  // From now on it may be another one.
  for (const path of [source, target]) known.delete(FilePath.join(path, name))
  return decision === "Unchanged" ? "unchanged" : yield* way(name, found, isNew && conflict !== "overwrite")
})

/** Copies files of a folder to objects, or objects to files, or to other objects. */
export const copyFiles = Effect.fnUntraced(function*(access: ObjectAccess, payload: Payload) {
  const { names = [] } = payload
  const stop = yield* Interrupter.Interrupter
  const unit = yield* Effect.option(open(access, payload))
  const became = yield* Effect.forEach(
    names,
    (name) =>
      Option.isNone(unit) || stop.reason !== undefined
        ? Effect.succeed("left" as const)
        // By itself it is told why.
        : Effect.orElseSucceed(copyOne(unit.value, name), () => "left" as const),
    { concurrency: "unbounded" }
  )
  const copied = became.filter((one) => typeof one === "number")
  const bytes = Num.sumAll(copied)
  if (bytes > 0) yield* Progress.add("bytes", bytes)
  const rest = names.filter((_, index) => became[index] === "left")
  return EntryCopied.cases.Files.make({
    ...nothingDone({ areFolders: false, names: [] }),
    copied: copied.length,
    bytes,
    unchanged: became.filter((one) => one === "unchanged").length,
    rest: rest.length === 0 ? [] : [restOf(FilePath.empty, rest)]
  })
}, Effect.scoped)
