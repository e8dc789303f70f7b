/**
 * Hashes files, one after the other.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
import { SkipReason } from "../../SkipReason.ts"
import { inTurns, type Reader, readFiles } from "../content/fileReader.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import { isLimited } from "../work/readingRate.ts"
import { type Hashed, hashOpen, isSame, keepTools, takeTools, type Tools } from "./fileHash.ts"
import * as HashCache from "./hashCache.ts"
import { type HashedFiles, type HashFiles, Unhashed } from "./hashTask.ts"
import * as SampledHash from "./sampledHash.ts"

type Payload = Omit<Task.Payload<typeof HashFiles>, "leaveOut">

/** What is to be made of each file. */
type Method = Omit<Payload, "root" | "folders">

interface Found extends Hashed {
  /** What the cache is to remember it by, if it is to. */
  readonly stamp?: HashCache.Stamp
}

type Outcome = Found | Unhashed

/** What files came to, in the order of their names. */
export type Outcomes = Array<Outcome>

/** The same as the task tells it. */
const toHashed = (outcomes: Outcomes, cache = false): HashedFiles => ({
  digests: outcomes.map((one) => "digest" in one ? one.digest : null),
  sizesBytes: outcomes.map((one) => "digest" in one ? one.sizeBytes : 0),
  ...cache ? { stamps: outcomes.map((one) => "digest" in one && one.stamp !== undefined ? one.stamp : null) } : {},
  unhashed: outcomes.flatMap((why, index) => "digest" in why ? [] : [{ index, why }])
})

type OutcomeOf<R = never> = Effect.Effect<Outcome, FilesError | Interrupter.Interrupted, R>

const { Alone, Failed, Skipped } = Unhashed.cases

/** Larger files take long enough to be worth a task of their own: other threads have something to do meanwhile. */
const mostBytes = 2 ** 20

const changed = (path: FilePath.FilePath) =>
  Failed.make({ code: "Changed", why: `"${FilePath.display(path)}" changed while it was read` })

interface OpenFile {
  readonly path: FilePath.FilePath
  readonly file: Files.OpenFile
  readonly stat: Files.FileStat
}

const hashWhole = ({ file, path, stat }: OpenFile, algorithm: HashAlgorithm): OutcomeOf =>
  Effect.map(hashOpen(file, stat, algorithm), (hashed) => hashed ?? changed(path))

/** Takes the digest of what is open from the cache, and else hashes it and has its digest remembered. */
const hashCached = Effect.fnUntraced(function*(open: OpenFile, algorithm: HashAlgorithm) {
  const { file, path, stat } = open
  const cache = yield* HashCache.HashCache
  const now = yield* Clock.currentTimeMillis
  // Asked of each file: a device is another's as soon as a disk was plugged out and the next one in.
  const fileSystem = yield* Effect.orElseSucceed(file.fileSystem, () => Option.none())
  if (Option.isNone(fileSystem)) return yield* hashWhole(open, algorithm)
  const stamp = HashCache.stampOf(fileSystem.value, stat)
  const found = yield* cache.find(algorithm, stamp)
  if (Option.isSome(found)) {
    yield* Progress.add("cached", 1)
    const hashed = { digest: found.value.digest, sizeBytes: stat.sizeBytes }
    return HashCache.isAged(found.value, now) ? { ...hashed, stamp } : hashed
  }
  const hashed = yield* hashOpen(file, stat, algorithm)
  if (hashed === undefined) return changed(path)
  // The stamp is for a digest of all that it was.
  return hashed.sizeBytes === stat.sizeBytes && HashCache.isSettled(stat, now) ? { ...hashed, stamp } : hashed
})

const hashSampled = Effect.fnUntraced(function*({ file, path, stat }: OpenFile) {
  const tools = takeTools("blake3")
  const { sizeBytes } = stat
  const contentId = yield* SampledHash.compute(
    tools.hasher,
    sizeBytes,
    (buffer, offset) =>
      Effect.tap(
        file.readAt(buffer, offset),
        (length) => Effect.andThen(TaskDispatcher.throttle(length), Progress.add("bytes", length))
      )
  )
  if (Option.isNone(contentId)) return changed(path)
  keepTools("blake3", tools)
  return isSame(stat, yield* file.stat, sizeBytes) ? { digest: contentId.value, sizeBytes } : changed(path)
})

const special = Skipped.make({ reason: SkipReason.Special })
const left: Readonly<Record<ProtectedFiles.Use, Unhashed>> = {
  Database: Skipped.make({ reason: SkipReason.Database }),
  Output: Skipped.make({ reason: SkipReason.Output })
}

const hashOne = (open: OpenFile, { algorithm, cache, isAlone }: Method): OutcomeOf => {
  if (open.stat.kind !== "file") return Effect.succeed(special)
  if (algorithm === "sampled") return hashSampled(open)
  if (open.stat.sizeBytes > mostBytes && isAlone !== true) {
    return Effect.succeed(Alone.make({ sizeBytes: open.stat.sizeBytes }))
  }
  return cache === true ? hashCached(open, algorithm) : hashWhole(open, algorithm)
}

/** What a walk has met and is gone by now has vanished. */
const unhashed = (error: FilesError): Unhashed =>
  error.isMissing
    ? Skipped.make({ reason: SkipReason.Vanished })
    : Failed.make({ code: error.code, why: error.message })

/** Opens what a walk has met, which was a file, and hashes it, unless it must not even be opened. */
const hashNamed = (folder: Files.Folder, name: FilePath.FilePath, method: Method) =>
  Effect.gen(function*() {
    const files = yield* ProtectedFiles.ProtectedFiles
    const use = files.found.length === 0 ? undefined : ProtectedFiles.useOfFile(files, yield* folder.lstat(name))
    if (use !== undefined) return left[use]
    // An object is read as it is opened.
    if (FilePath.isAddress(folder.path) && method.isAlone !== true) {
      const { sizeBytes } = yield* folder.lstat(name)
      if (sizeBytes > mostBytes) return Alone.make({ sizeBytes })
    }
    const file = yield* folder.open(name)
    return yield* hashOne({ file, path: FilePath.join(folder.path, name), stat: yield* file.stat }, method)
  }).pipe(
    Effect.scoped,
    Effect.catchTag("FilesError", (error) => Effect.succeed(unhashed(error)))
  )

/** Hashes small files as they are read, and leaves the others. */
const hashing = (
  { buffer, hasher }: Tools,
  into: Outcomes,
  { files, isSampled, mayGoOn, pathOf }: {
    readonly files: ProtectedFiles.ProtectedFiles
    readonly isSampled: boolean
    readonly mayGoOn: () => boolean
    /** Path of a file by its place. */
    readonly pathOf: (index: number) => FilePath.FilePath
  }
) => {
  let [expectedBytes, sizeBytes] = [0, 0]
  /** Of what says that it is empty a sample is not all there may be. */
  const isAlone = (bytes: number): boolean =>
    isSampled ? bytes === 0 || bytes > SampledHash.wholeUpToBytes : bytes > mostBytes
  const leave = (why: Unhashed): false => {
    into.push(why)
    return false
  }
  const reader = {
    /** Of all files so far. */
    bytes: 0,
    buffer,
    mayGoOn,
    mayOpen: files.found.length === 0 ? undefined : (stat: Files.FileStat): boolean => {
      const use = ProtectedFiles.useOfFile(files, stat)
      return use === undefined || leave(left[use])
    },
    begin: ({ kind, sizeBytes: bytes }: Files.FileStat): boolean => {
      expectedBytes = bytes
      if (kind !== "file") return leave(special)
      return !isAlone(bytes) || leave(Alone.make({ sizeBytes: bytes }))
    },
    piece: (bytes: Uint8Array): void => {
      if (isSampled && sizeBytes === 0) hasher.update(SampledHash.sizeOf(expectedBytes))
      hasher.update(bytes)
      sizeBytes += bytes.length
      reader.bytes += bytes.length
    },
    end: (isSame: boolean): void => {
      const digest = hasher.digest()
      // Those of the kernel say that they are empty.
      const isWhole = isSame && (expectedBytes === 0 || expectedBytes === sizeBytes)
      if (isWhole) into.push({ digest: isSampled ? SampledHash.ofDigest(digest) : digest, sizeBytes })
      else leave(changed(pathOf(into.length)))
      sizeBytes = 0
    },
    fail: (error: FilesError): void => {
      // A hasher that was given a part of a file starts anew.
      if (sizeBytes > 0) hasher.digest()
      sizeBytes = 0
      // By itself it waits until there is one.
      const lacksDescriptor = error.code === "EMFILE" || error.code === "ENFILE"
      leave(lacksDescriptor ? Alone.make({ sizeBytes: 0 }) : unhashed(error))
    }
  } satisfies Reader & { bytes: number }
  return reader
}

/** Hashes those that are small, and leaves the others. Gives those that it has not come to. */
export const hashEach = Effect.fnUntraced(function*(
  folders: ReadonlyArray<Files.FilesIn>,
  algorithm: Payload["algorithm"],
  into: Outcomes
) {
  const stop = yield* Interrupter.Interrupter
  const isSampled = algorithm === "sampled"
  const by = isSampled ? "blake3" : algorithm
  const tools = takeTools(by)
  const paths = () => folders.flatMap(({ names, path }) => names.map((name) => FilePath.join(path, name)))
  const reader = hashing(tools, into, {
    files: yield* ProtectedFiles.ProtectedFiles,
    isSampled,
    mayGoOn: () => stop.reason === undefined,
    pathOf: (index) => paths()[index] ?? FilePath.empty
  })
  const left = yield* inTurns(folders, (calls, left, mayGoOn) => readFiles(calls, left, reader, mayGoOn), reader)
  if (left.length === 0) keepTools(by, tools)
  return left
})

/** Hashes files of a folder one by one, whatever that takes. */
const hashIn = (
  { names, path }: Files.FilesIn,
  method: Method
): Effect.Effect<Outcomes, Interrupter.Interrupted, Files.Files> =>
  Effect.gen(function*() {
    const folder = yield* (yield* Files.Files).folder(path)
    return yield* Effect.forEach(names, (name) => Effect.andThen(Interrupter.check, hashNamed(folder, name, method)))
  }).pipe(
    Effect.scoped,
    // No name was tried: what goes wrong with one ends there.
    Effect.catchTag("FilesError", (error) => Effect.succeed(names.map(() => unhashed(error))))
  )

/** Hashes what was left to be hashed by itself, here: to take samples is over as fast as to read a small file. */
const hashLeft = Effect.fnUntraced(function*(folders: ReadonlyArray<Files.FilesIn>, method: Method, into: Outcomes) {
  let first = 0
  for (const { names, path } of folders) {
    const isLeft = (n: number) => Predicate.isTagged(into[first + n], "Alone")
    const places = names.flatMap((_, n) => isLeft(n) ? [first + n] : [])
    const hashed = places.length === 0 ? [] : yield* hashIn({ path, names: names.filter((_, n) => isLeft(n)) }, method)
    for (const [n, one] of hashed.entries()) into[places[n] ?? 0] = one
    first += names.length
  }
})

/** So many names of a folder are listed at once: what they become is in the checkpoint until it is done. */
const mostListed = 2 ** 14

/** Lists a folder that could not be listed before, from behind a name on. */
const list = (
  path: FilePath.FilePath,
  { after }: NonNullable<Payload["lists"]>,
  isSource: boolean
): Effect.Effect<HashedFiles, never, Files.Files> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const listing = yield* files.list(path)
    const names = { file: [], folder: [], link: [], special: [] } as Record<Files.FileKind, Array<FilePath.FilePath>>
    const start = after === undefined ? 0 : listing.indexAfter(after)
    const end = Math.min(start + mostListed, listing.size)
    for (let at = start; at < end; at++) {
      const name = listing.nameAt(at)
      const told = listing.kindAt(at)
      // What can't be looked at is told by what opens it.
      const kind = told === "unknown"
        ? yield* Effect.match(files.lstat(FilePath.join(path, name)), {
          onFailure: () => "file" as const,
          onSuccess: ({ kind }) => kind
        })
        : told
      names[kind].push(name)
    }
    const more = end < listing.size ? { after: listing.nameAt(end - 1) } : {}
    const listed = { files: names.file, folders: names.folder, special: names.special, ...more }
    return { ...toHashed([]), listed }
  }).pipe(Effect.catchTag("FilesError", (error) => {
    const why = isSource ? Failed.make({ code: error.code, why: error.message }) : unhashed(error)
    return Effect.succeed(toHashed([why]))
  }))

export const hashFiles = Effect.fnUntraced(function*({ folders, root, ...method }: Payload) {
  const { lists } = method
  if (lists !== undefined) return yield* list(FilePath.join(root, folders[0].path), lists, folders[0].path === "")
  const { algorithm, cache, isAlone } = method
  const outcomes: Outcomes = []
  const real = folders.map(({ names, path }) => ({ path: FilePath.join(root, path), names }))
  // Those that are to be read at a rate are read one by one, and no object is read at once.
  const areSingle = (yield* isLimited) || cache === true || isAlone === true || FilePath.isAddress(root)
  const left = areSingle ? real : yield* hashEach(real, algorithm, outcomes)
  for (const folder of left) outcomes.push(...yield* hashIn(folder, method))
  if (algorithm === "sampled") yield* hashLeft(real, method, outcomes)
  return toHashed(outcomes, cache)
})
