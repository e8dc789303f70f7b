/**
 * Compares trees of which one or both are objects: by checksums that stores keep, and by reading where they tell none.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import type { JobContext } from "@fanout/core/JobContext"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Difference, EntryDiffers } from "../../Difference.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { ChecksumAlgorithm } from "../../ObjectStore.ts"
import { comparedUnits } from "../../ProgressUnits.ts"
import * as Verify from "../../Verify.ts"
import { common, hasherOf, surest } from "../hash/storedDigest.ts"
import { aspects } from "../verify/metadataComparison.ts"
import * as PairTree from "../verify/pairTree.ts"
import { type ComparedEntries, differs, VerifyEntry, VerifyTasks } from "../verify/verifyEntry.ts"
import {
  compareOne,
  KnownContent,
  open,
  type Payload,
  requireUnchanged,
  unreadable
} from "../verify/verifyEntryLive.ts"
import { pauseNameOf } from "../work/diskPause.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import { asCall, infoOf, type ObjectAccess, withPair } from "./objectAccess.ts"
import * as ObjectFiles from "./objectFiles.ts"
import * as ObjectFolder from "./objectFolder.ts"
import * as ObjectListing from "./objectListing.ts"
import { stayPaused, whenReachable } from "./objectReach.ts"
import { type Info, untold } from "./objectStat.ts"

/** Larger files take long enough to be worth a task of their own. */
const mostBytes = 2 ** 20

/** As much of a file is read at once. */
const pieceBytes = 2 ** 19

const addresses = ({ a, b }: PairTree.Trees): ReadonlyArray<FilePath.FilePath> => [a, b].filter(FilePath.isAddress)

/** What stores tell of the objects of a pair: nothing of a file, or of a folder. */
type Told = Readonly<Record<keyof PairTree.Trees, Info | undefined>>

/** Reads a file, and gives its digest. */
const digestOf = Effect.fnUntraced(
  function*(side: PairTree.Side, path: FilePath.FilePath, algorithm: ChecksumAlgorithm) {
    const opened = yield* open(side, path)
    const hasher = hasherOf(algorithm)
    const buffer = Buffer.allocUnsafeSlow(Math.min(opened.stat.sizeBytes + 1, pieceBytes))
    for (let offset = 0;;) {
      const length = yield* Effect.mapError(opened.readAt(buffer, offset), opened.blame)
      if (length === 0) break
      hasher.update(buffer.subarray(0, length))
      offset += length
      yield* Progress.add("bytes", length)
      // Pieces that are read at once come without a pause.
      yield* Effect.yieldNow
      yield* Interrupter.check
    }
    yield* requireUnchanged(side, opened)
    return hasher.digest()
  },
  Effect.scoped
)

/** Digests of both by an algorithm that their stores know. Of a file and an object the file is read for that. */
const digestsOf = Effect.fnUntraced(function*({ a, b }: PairTree.Trees, told: Told) {
  const [inA, inB] = [told.a?.checksums ?? [], told.b?.checksums ?? []]
  if (FilePath.isAddress(a) && FilePath.isAddress(b)) return common(inA, inB)
  const checksum = surest([...inA, ...inB])
  if (checksum === undefined) return undefined
  const { algorithm, digest } = checksum
  return FilePath.isAddress(a)
    ? { algorithm, a: digest, b: yield* digestOf("B", b, algorithm) }
    : { algorithm, a: yield* digestOf("A", a, algorithm), b: digest }
})

/** Compares by what stores tell. Where they tell no checksum the objects are read. */
const knownContent = (told: Told): KnownContent =>
  Effect.fnUntraced(function*(trees, { sizeBytes: a }, { sizeBytes: b }) {
    const areObjects = addresses(trees).length === 2
    // Files of the kernel say that they have no bytes, so that has to be seen.
    if (a !== b) return areObjects || (a > 0 && b > 0) ? yield* differs({ _tag: "Size", a, b }) : false
    if (a === 0 && areObjects) return true
    const digests = yield* digestsOf(trees, told)
    yield* Progress.add(digests === undefined ? comparedUnits.reading : comparedUnits.checksum, 1)
    if (digests === undefined) return false
    return digests.a === digests.b || (yield* differs({ _tag: "Checksum", ...digests }))
  })

/** What may differ of a pair: what its objects do not tell, and all of a folder. */
const mayDiffer = (trees: PairTree.Trees, told: Told) =>
  (["a", "b"] as const).filter((side) => FilePath.isAddress(trees[side])).flatMap((side) => {
    const info = told[side]
    return info === undefined ? aspects : untold(info)
  })

/** How large both objects of a pair are that have to be read; 0 where a file or a checksum is compared. */
const bothRead = ({ a, b }: Told): number => {
  if (a === undefined || b === undefined) return 0
  const isTold = common(a.checksums ?? [], b.checksums ?? []) !== undefined
  return isTold ? 0 : Math.max(a.sizeBytes, b.sizeBytes)
}

/** Asks for the objects of a pair, which tell their checksums and metadata, and works with that. */
const asking = <A, E, R>(
  access: ObjectAccess,
  { a, b }: PairTree.Trees,
  work: (told: Told) => Effect.Effect<A, E, R>
) => {
  const ask = Effect.fnUntraced(function*(side: PairTree.Side, path: FilePath.FilePath) {
    if (!FilePath.isAddress(path)) return undefined
    access.known.set(
      path,
      yield* Effect.mapError(asCall("lstat", path, ObjectFolder.ask(access, path)), unreadable(side))
    )
    return infoOf(access, path)
  })
  return Effect.gen(function*() {
    return yield* work({ a: yield* ask("A", a), b: yield* ask("B", b) })
  }).pipe(Effect.ensuring(Effect.sync(() => [a, b].forEach((path) => access.known.delete(path)))))
}

/** Compares a pair that was asked for. */
const comparePair = (access: ObjectAccess, payload: Payload, told: Told) =>
  compareOne({ ...payload, ignore: [...payload.ignore, ...mayDiffer(payload, told)] }).pipe(
    withPair(access, bothRead(told)),
    Effect.provideService(KnownContent, knownContent(told))
  )

/** Compares pairs one after the other, as far as there is nothing special about them. */
const compareEach = Effect.fnUntraced(function*(access: ObjectAccess, payload: Payload) {
  const { folders = [], ...rest } = payload
  const differing: Array<ComparedEntries["differing"][number]> = []
  const alone: Array<ComparedEntries["alone"][number]> = []
  let [index, same, sameFolders] = [0, 0, 0]
  for (const { names, path } of folders) {
    for (const name of names) {
      yield* Interrupter.check
      if (name === "") {
        // A folder of objects has nothing to be compared.
        sameFolders++
      } else {
        const pair = { ...rest, ...PairTree.pathsOf(payload, FilePath.join(path, name)), part: "again" } as const
        let largest = 0
        const compared = yield* Effect.exit(asking(access, pair, (told) => {
          largest = Math.max(told.a?.sizeBytes ?? 0, told.b?.sizeBytes ?? 0)
          return largest > mostBytes ? Effect.undefined : comparePair(access, pair, told)
        }))
        const error = Option.getOrUndefined(Exit.findErrorOption(compared))
        if (error instanceof EntryDiffers) differing.push({ index, difference: error.difference })
        else if (Exit.isSuccess(compared) && compared.value?._tag === "Same") same++
        else alone.push({ index, sizeBytes: largest > mostBytes ? largest : 0 })
      }
      index++
    }
  }
  return { _tag: "Entries", same, folders: sameFolders, differing, alone } satisfies ComparedEntries
})

type Outcome = Task.Success<typeof VerifyEntry>

const isOfStore = (difference: Difference) =>
  difference._tag === "Unreadable" && pauseNameOf(difference.error.code) !== undefined ? [difference.error] : []

/** What went wrong with an object, if all of its store may meet that. */
const troubleIn = (exit: Exit.Exit<Outcome, unknown>) => {
  const found = Exit.isSuccess(exit)
    ? exit.value._tag === "Entries" ? exit.value.differing.map(({ difference }) => difference) : []
    : Option.toArray(Exit.findErrorOption(exit)).flatMap((error) =>
      error instanceof EntryDiffers ? [error.difference] : []
    )
  const error = found.flatMap(isOfStore).at(0)
  return error && { code: error.code, why: error.message }
}

/** What a job needs that compares trees with objects, in place of what one of files does. */
const provisions = Effect.fnUntraced(function*(payload: Verify.Payload) {
  const roots = addresses(payload)
  const { access, files: local } = yield* ObjectFiles.withQuickFiles([payload.a, payload.b])
  const job = yield* Effect.context<JobContext>()
  // The walk waits for a store that can't be listed: nothing of it is passed.
  const orPause = <A, R>(effect: Effect.Effect<A, FilesError, R>) =>
    Effect.catch(effect, (error): Effect.Effect<A, FilesError> => {
      const by = pauseNameOf(error.code)
      return by === undefined ? Effect.fail(error) : Effect.provideContext(stayPaused(by, error.message), job)
    })
  const trees = yield* Effect.forEach(
    roots,
    (root) => Effect.map(Effect.orDie(access.at(root)), (place) => [root, new ObjectListing.Pages(place)] as const)
  )
  const list = (path: FilePath.FilePath) =>
    ObjectListing.list(access, path, trees.find(([root]) => FilePath.isWithin(path, root))?.[1])
  const files: Files.Files["Service"] = {
    ...local,
    list: (path) => FilePath.isAddress(path) ? list(path) : local.list(path),
    atOnce: () => Effect.succeedNone
  }
  const walked: Files.Files["Service"] = {
    ...files,
    list: (path) => orPause(files.list(path)),
    folder: (path) =>
      Effect.map(files.folder(path), (folder) => ({ ...folder, lstat: (name) => orPause(folder.lstat(name)) }))
  }
  const leaving = yield* Effect.provideService(ProtectedFiles.leaving, Files.Files, files)
  const compare = ({ leaveOut = [], ...entry }: Payload) => {
    const compared = Effect.gen(function*(): Effect.fn.Return<
      Outcome,
      EntryDiffers | Interrupter.Interrupted | Task.Skipped,
      Files.Files
    > {
      return yield* entry.part === "entries" ?
        compareEach(access, entry)
        : asking(access, entry, (told) => comparePair(access, entry, told))
    })
    return leaving(leaveOut, whenReachable(access.at, addresses(entry), compared, troubleIn)).pipe(
      Effect.provideService(Files.Files, files)
    )
  }
  return Layer.merge(Layer.succeed(Files.Files, walked), VerifyTasks.toLayer({ [VerifyEntry._tag]: compare }))
})

/** Program of a job that compares trees with objects. */
export const program = (payload: Verify.Payload) =>
  Effect.provide(Verify.program(payload), Layer.unwrap(provisions(payload)))
