/**
 * Copies small files of a folder to objects, or from objects, many at once, with no more than the request for each.
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
import type { ObjectStoreError } from "../../ObjectStore.ts"
import { lostUnits } from "../../ProgressUnits.ts"
import { type CopyEntry, EntryCopied } from "../copy/copyTask.ts"
import { isChanged } from "../files/statComparison.ts"
import * as Conflict from "../steps/conflict.ts"
import { nothingDone, restOf } from "../steps/unit.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import { type Known, type ObjectAccess, type ObjectPlace, patiently, within } from "./objectAccess.ts"
import { readWhole } from "./objectContent.ts"
import { hasMetadata, type Info, isSettledByListing, metadataOf, statOf, withTimeOf } from "./objectStat.ts"

type Payload = Task.Payload<typeof CopyEntry>

/** So many files of a folder are copied together, and so many times that: no more is done again after a kill. */
export const together = { files: 16, times: 16 } as const

/** The folder itself, by which a file without a name is made in it. */
const itself = FilePath.make(".")

/** Larger files are copied by themselves. */
const mostBytes = 2 ** 20

/** What became of a file: how many bytes were copied, or that it takes more than that, and is left. */
type Became = number | "unchanged" | "left"

type Failure = ObjectStoreError | FilesError | Interrupter.Interrupted

/** Copies the file of that name. */
type CopyName = (name: FilePath.FilePath) => Effect.Effect<Became, Failure>

/** What is shared by the files of a folder. */
interface Folders {
  readonly access: ObjectAccess
  readonly payload: Payload
  readonly options: CopyOptions
  readonly bucket: ObjectPlace
  /** The folder of them that is on this machine. */
  readonly folder: Files.Folder
  /** Whether the files may be used, of which some are the database of the job. */
  readonly mayUse: (path: FilePath.FilePath, stat: Option.Option<Files.FileStat>) => boolean
}

const keyIn = ({ bucket: { key } }: Folders, name: FilePath.FilePath): string => key === "" ? name : `${key}/${name}`

/** What a listing has told of a name, once. What a run before this one was told has to be asked for again. */
const taken = ({ known }: ObjectAccess, path: FilePath.FilePath): Known | undefined => {
  const found = known.get(path)
  known.delete(path)
  return found
}

/** Leaves a file to be copied by itself, for which it is known what the store has. */
const leave = ({ known }: ObjectAccess, path: FilePath.FilePath, found: Known | undefined): "left" => {
  if (found !== undefined) known.set(path, found)
  return "left"
}

const knownOf = (info: Info | undefined): Known => info === undefined ? { _tag: "Absent" } : { _tag: "Object", info }

/** Asks what a key has. */
const ask = ({ bucket: { store } }: Folders, key: string): Effect.Effect<Info | undefined, ObjectStoreError> =>
  Effect.map(patiently(store.head(key)), Option.getOrUndefined)

/** What is on this machine, and what the store has; nothing where nothing is there. */
interface Both {
  readonly file: Files.FileStat | undefined
  readonly object: Info | undefined
}

/** Asks for the exact time of an object, where a file of the same size is on the other side. */
const sharpened = ({ bucket: { store }, payload: { conflict } }: Folders, { file, object }: Both, isUp: boolean) => {
  const isDoubtful = conflict === "changed" && object !== undefined && object.metadata === undefined &&
    file?.sizeBytes === object.sizeBytes
  if (!isDoubtful) return Effect.succeed(object)
  return isUp && isSettledByListing(file, object)
    ? Effect.succeed(withTimeOf(object, file))
    : Effect.map(patiently(store.head(object.key)), Option.getOrUndefined)
}

const factsOf = (stat: Files.FileStat | undefined): Option.Option<Conflict.Facts> =>
  stat === undefined ? Option.none() : Option.some(Conflict.factsOf(stat, FilePath.empty))

/** Decides by what is known. Nothing is decided about what is gone. */
const decide = ({ access, bucket: { bucket }, payload: { conflict } }: Folders, both: Both, isUp: boolean) => {
  const { file, object } = both
  const there = object === undefined ? undefined : statOf(bucket, object, access.process)
  const [from, to] = isUp ? [file, there] : [there, file]
  const source = factsOf(from)
  return Option.isSome(source) ? Conflict.decide(conflict, source.value, factsOf(to))._tag : undefined
}

// --- To objects -----------------------------------------------------------------------------------------------------

/** Reads a file that has this size; nothing where it has another one by now. */
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
  calls.closeNow(file)
  const isWhole = !isCode(stat) && stat.kind === "file" && stat.sizeBytes === sizeBytes && length === sizeBytes
  return isWhole ? { stat, bytes: buffer.subarray(0, length) } : undefined
}

/** Puts a file that was read. One that has changed on its way is left, and then sent once more. */
const put = Effect.fnUntraced(function*(
  folders: Folders,
  name: FilePath.FilePath,
  sizeBytes: number,
  isNew: boolean
) {
  const { bucket: { store }, folder, options } = folders
  const read = yield* folder.atOnce((calls, at) => readAll(calls, at, name, sizeBytes))
  if (Option.isNone(read) || read.value === undefined) return "left"
  const { bytes, stat } = read.value
  const key = keyIn(folders, name)
  const isObeyed = store.capabilities.conditions.put
  if (isNew && !isObeyed && (yield* ask(folders, key)) !== undefined) return "left"
  yield* Lease.check
  const condition = isNew && isObeyed ? { condition: { _tag: "Absent" } as const } : {}
  yield* patiently(store.put(key, bytes, { metadata: metadataOf(stat, options), ...condition }))
  const after = yield* folder.atOnce((calls, at) => calls.lstat(at, name).now())
  return Option.isSome(after) && !isCode(after.value) && isChanged(stat, after.value) ? "left" : sizeBytes
})

const upload = (folders: Folders): CopyName =>
  Effect.fnUntraced(function*(name) {
    const { access, folder, mayUse, payload: { source, target } } = folders
    const [path, at] = [FilePath.join(source, name), FilePath.join(target, name)]
    const listed = taken(access, at)
    if (!name.isWellFormed()) return "left"
    const found = yield* folder.atOnce((calls, at) => calls.lstat(at, name).now())
    const file = Option.isNone(found) || isCode(found.value) ? undefined : found.value
    if (file?.kind !== "file" || file.sizeBytes > mostBytes || !mayUse(path, Option.some(file))) {
      return leave(access, at, listed)
    }
    const met = listed === undefined
      ? yield* ask(folders, keyIn(folders, name))
      : listed._tag === "Object"
      ? listed.info
      : undefined
    const object = yield* sharpened(folders, { file, object: met }, true)
    const decision = decide(folders, { file, object }, true)
    if (decision === "Unchanged") return "unchanged"
    if (decision !== "Create" && decision !== "Replace") return leave(access, at, knownOf(object))
    yield* TaskDispatcher.throttle(file.sizeBytes)
    // Nobody who is asked to stop waits for the rate.
    yield* Interrupter.check
    return yield* within(access, file.sizeBytes)(put(folders, name, file.sizeBytes, decision === "Create"))
  })

// --- From objects ---------------------------------------------------------------------------------------------------

/** Writes a file that gets its name once it is whole, if that is free. */
const write = (
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

const get = Effect.fnUntraced(function*(folders: Folders, name: FilePath.FilePath, sizeBytes: number) {
  const { access, bucket, folder } = folders
  const place = { ...bucket, key: keyIn(folders, name) }
  const { bytes, info } = yield* patiently(readWhole(place, sizeBytes))
  if (bytes === undefined) return "left"
  yield* Lease.check
  const stat = statOf(bucket.bucket, info, access.process)
  const isWritten = yield* folder.atOnce((calls, at) => write(calls, at, name, bytes, stat))
  if (!Option.getOrElse(isWritten, () => false)) return "left"
  if (hasMetadata(info)) yield* Progress.add(lostUnits.metadata, 1)
  return bytes.length
})

const download = (folders: Folders): CopyName =>
  Effect.fnUntraced(function*(name) {
    const { access, folder, mayUse, payload: { source, target } } = folders
    const path = FilePath.join(source, name)
    const listed = taken(access, path)
    const met = listed?._tag === "Object" ? listed.info : yield* ask(folders, keyIn(folders, name))
    const at = FilePath.join(target, name)
    const found = yield* folder.atOnce((calls, at) => calls.lstat(at, name).now())
    const isTold = Option.isSome(found) && (!isCode(found.value) || found.value.name === "ENOENT")
    const file = Option.isNone(found) || isCode(found.value) ? undefined : found.value
    if (met === undefined || met.sizeBytes > mostBytes || !isTold || !mayUse(at, Option.fromUndefinedOr(file))) {
      return leave(access, path, met === undefined ? undefined : knownOf(met))
    }
    const object = yield* sharpened(folders, { file, object: met }, false)
    const decision = decide(folders, { file, object }, false)
    if (decision === "Unchanged") return "unchanged"
    if (object === undefined || decision !== "Create") return leave(access, path, object && knownOf(object))
    yield* TaskDispatcher.throttle(object.sizeBytes)
    yield* Interrupter.check
    return yield* within(access, object.sizeBytes)(get(folders, name, object.sizeBytes))
  })

// --- Both -----------------------------------------------------------------------------------------------------------

/** Whether files can get their names once they are whole in this folder. */
const takesUnnamed = (calls: Calls, folder: number): boolean => {
  const file = calls.open(folder, itself, "unnamed").now()
  if (isCode(file)) return false
  calls.closeNow(file)
  return true
}

/** Opens what is shared by the files of a folder. */
const open = Effect.fnUntraced(function*(
  access: ObjectAccess,
  payload: Payload,
  isUp: boolean
): Effect.fn.Return<Folders, ObjectStoreError | FilesError, Files.Files | Scope.Scope> {
  const [local, address] = isUp ? [payload.source, payload.target] : [payload.target, payload.source]
  const files = yield* ProtectedFiles.ProtectedFiles
  return {
    access,
    payload,
    options: yield* CopyOptions,
    bucket: yield* access.at(address),
    folder: yield* Files.Files.use((files) => files.folder(local)),
    mayUse: (path, stat) => ProtectedFiles.useOf(files, path, stat) === undefined
  }
})

/** Copies files of a folder to objects, or from objects. */
export const copyFiles = Effect.fnUntraced(function*(access: ObjectAccess, payload: Payload, isUp: boolean) {
  const { names = [] } = payload
  const stop = yield* Interrupter.Interrupter
  const opened = yield* Effect.option(open(access, payload, isUp))
  const mayCopy = Option.isSome(opened) &&
    (isUp || Option.getOrElse(yield* opened.value.folder.atOnce(takesUnnamed), () => false))
  const copy = mayCopy ? Option.map(opened, isUp ? upload : download) : Option.none()
  const became = yield* Effect.forEach(
    names,
    (name) =>
      Option.isNone(copy) || stop.reason !== undefined
        ? Effect.succeed("left" as const)
        // By itself it is told why.
        : Effect.orElseSucceed(copy.value(name), () => "left" as const),
    { concurrency: "unbounded" }
  )
  const copied = became.filter((one) => typeof one === "number")
  const bytes = Num.sumAll(copied)
  if (bytes > 0) yield* Progress.add("bytes", bytes)
  const left = names.filter((_, index) => became[index] === "left")
  return EntryCopied.cases.Files.make({
    ...nothingDone({ areFolders: false, names: [] }),
    copied: copied.length,
    bytes,
    unchanged: became.filter((one) => one === "unchanged").length,
    rest: left.length === 0 ? [] : [restOf(FilePath.empty, left)]
  })
}, Effect.scoped)
