/**
 * Handler of the task `VerifyEntry`.
 *
 * Kind comes first, then size, content or target, and metadata where all of that is the same.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { EntryDiffers } from "../../Difference.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { SkipReason } from "../../SkipReason.ts"
import { compareContent, Compared, type Opened } from "../content/contentComparison.ts"
import { QuickFiles, type Sides, type Where } from "../files/quickFiles.ts"
import { isChanged, isShared } from "../files/statComparison.ts"
import * as Place from "../path/place.ts"
import { unlessGone } from "../work/diskPause.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import { readAt, unlessLimited } from "../work/readingRate.ts"
import { share } from "../work/sharedWork.ts"
import { compareEntries } from "./entryComparison.ts"
import * as MetadataComparison from "./metadataComparison.ts"
import * as PairTree from "./pairTree.ts"
import { countOf, differs, EntrySame, VerifyEntry, VerifyTasks } from "./verifyEntry.ts"

export type Payload = Task.Payload<typeof VerifyEntry>

/**
 * Compares two files by what is kept of their content elsewhere, and fails where they differ by that. Gives false where
 * nothing is kept.
 */
export type KnownContent = (
  trees: PairTree.Trees,
  a: Files.FileStat,
  b: Files.FileStat
) => Effect.Effect<boolean, EntryDiffers | Interrupted, Files.Files>

/** Reference to that; of files nothing is kept. */
export const KnownContent = Context.Reference<KnownContent>("@fanout/ops/internal/knownContent", {
  defaultValue: () => () => Effect.succeed(false)
})

/** Rights that objects keep. */
const rights = 0o777

const { FolderEnded, FolderSame, Same } = EntrySame.cases

export const unreadable = (side: PairTree.Side) => (error: FilesError): EntryDiffers =>
  differs({ _tag: "Unreadable", side, error })

/** Looks at what is at a real path, and at no other: no link leads there. Gives nothing where there is none. */
const look = Effect.fnUntraced(
  function*(_: PairTree.Side, path: FilePath.FilePath) {
    const place = yield* Place.open(path)
    const stat = yield* Place.lstat(place)
    return { stat, target: stat.kind === "link" ? yield* place.folder.readLink(place.name) : FilePath.empty }
  },
  Effect.scoped,
  (looked, side) =>
    Effect.catch(looked, (error) => error.isMissing ? Effect.undefined : Effect.fail(unreadable(side)(error)))
)

const lookAtBoth = Effect.fnUntraced(function*({ a, b }: PairTree.Trees) {
  const [inA, inB] = [yield* look("A", a), yield* look("B", b)]
  if (inA !== undefined && inB !== undefined) return [inA, inB] as const
  const only = inA ?? inB
  if (only === undefined) return yield* Task.skip(SkipReason.Vanished)
  const { kind } = only.stat
  const held = kind === "folder" ? Option.some(yield* PairTree.held(inA === undefined ? b : a)) : Option.none()
  return yield* differs({ _tag: inA === undefined ? "Extra" : "Missing", kind, held })
})

/** Fails where metadata differ; what is compared is the same otherwise. */
const requireMetadata = (
  a: Files.FileStat,
  b: Files.FileStat,
  { ignore, ...trees }: Payload
): Effect.Effect<void, EntryDiffers> => {
  const areFiles = !FilePath.isAddress(trees.a) && !FilePath.isAddress(trees.b)
  const comparable = (stat: Files.FileStat) => areFiles ? stat : { ...stat, mode: stat.mode & rights }
  const properties = MetadataComparison.compare(comparable(a), comparable(b), ignore)
  return Arr.isReadonlyArrayNonEmpty(properties) ? Effect.fail(differs({ _tag: "Metadata", properties })) : Effect.void
}

/** Of what is no longer what was met in both trees. */
const kindsOf = ({ kind: a }: Files.FileStat, { kind: b }: Files.FileStat): EntryDiffers =>
  differs(a === b ? { _tag: "Changed", side: "A" } : { _tag: "Kind", a, b })

export const open = Effect.fnUntraced(
  function*(side: PairTree.Side, path: FilePath.FilePath) {
    const files = yield* Files.Files
    const file = yield* files.open(path)
    return { file, stat: yield* file.stat, blame: unreadable(side), readAt: readAt(file) }
  },
  (opened, side) => Effect.mapError(opened, unreadable(side))
)

/** Fails where a file is not what it was when it was opened: what was found of it holds for nothing then. */
export const requireUnchanged = (side: PairTree.Side, { blame, file, stat }: Opened<EntryDiffers>) =>
  Effect.flatMap(
    Effect.mapError(file.stat, blame),
    (after) => isChanged(stat, after) ? Effect.fail(differs({ _tag: "Changed", side })) : Effect.void
  )

const compared = TaskCheckpoint.make(Compared)

/** Compares two files. Those of the kernel say that they have no bytes, so that has to be seen. */
const compareFiles = Effect.fnUntraced(function*(payload: Payload) {
  const [a, b] = [yield* open("A", payload.a), yield* open("B", payload.b)]
  if (a.stat.kind !== "file" || b.stat.kind !== "file") return yield* kindsOf(a.stat, b.stat)
  const [sizeA, sizeB] = [a.stat.sizeBytes, b.stat.sizeBytes]
  const bySize = () => differs({ _tag: "Size", a: sizeA, b: sizeB })
  if (sizeA !== sizeB && sizeA > 0 && sizeB > 0) return yield* bySize()
  const at = isShared(a.stat, b.stat) ? Option.none() : yield* compareContent(a, b, compared)
  yield* requireUnchanged("A", a)
  yield* requireUnchanged("B", b)
  if (Option.isSome(at)) return yield* sizeA === sizeB ? differs({ _tag: "Content", at: at.value }) : bySize()
  yield* requireMetadata(a.stat, b.stat, payload)
  return Same.make({ sizeBytes: sizeA })
}, Effect.scoped)

const requireFiles = Effect.fnUntraced(function*(payload: Payload) {
  const [a, b] = yield* lookAtBoth(payload)
  if (a.stat.kind !== "file" || b.stat.kind !== "file") return yield* kindsOf(a.stat, b.stat)
})

const compareFolders = Effect.fnUntraced(function*(a: Files.FileStat, b: Files.FileStat, payload: Payload) {
  switch (payload.part) {
    case "folder":
    case "end":
      yield* requireMetadata(a, b, payload)
      return (payload.part === "end" ? FolderEnded : FolderSame).make({})
    case "apart": {
      const files = yield* Files.Files
      yield* Effect.mapError(files.list(payload.a), unreadable("A"))
      yield* Effect.mapError(files.list(payload.b), unreadable("B"))
      return FolderSame.make({})
    }
    default:
      // What is in it does not follow.
      return yield* kindsOf(a, b)
  }
})

/** Compares what is at both paths, whatever it is by now. */
export const compareOne = Effect.fnUntraced(function*(payload: Payload) {
  const [a, b] = yield* lookAtBoth(payload)
  const { kind } = a.stat
  if (kind !== b.stat.kind) return payload.part === "end" ? FolderEnded.make({}) : yield* kindsOf(a.stat, b.stat)
  const left = yield* ProtectedFiles.ProtectedFiles
  if ([a, b].some(({ stat }) => ProtectedFiles.useOfFile(left, stat) !== undefined)) {
    return yield* Task.skip(SkipReason.Database)
  }
  switch (kind) {
    case "file":
      if (yield* (yield* KnownContent)(payload, a.stat, b.stat)) {
        yield* requireMetadata(a.stat, b.stat, payload)
        return Same.make({ sizeBytes: a.stat.sizeBytes })
      }
      // What can't be opened may be something else by now.
      return yield* Effect.catchTag(
        compareFiles(payload),
        "EntryDiffers",
        (error) =>
          error.code === "Unreadable" ? Effect.andThen(requireFiles(payload), Effect.fail(error)) : Effect.fail(error)
      )
    case "link":
      if (a.target !== b.target) return yield* differs({ _tag: "Target", a: a.target, b: b.target })
      yield* requireMetadata(a.stat, b.stat, payload)
      return Same.make({ sizeBytes: 0 })
    case "special":
      return yield* Task.skip(SkipReason.Special)
    case "folder":
      return yield* compareFolders(a.stat, b.stat, payload)
  }
})

const compare = Effect.fnUntraced(function*(payload: Payload) {
  return yield* payload.part === "entries" ? compareEntries(payload) : compareOne(payload)
})

/** Of what is not in both trees a disk may be gone. */
const compareThere = <E, R>(comparing: Effect.Effect<Task.Success<typeof VerifyEntry>, E, R>) =>
  unlessGone(
    comparing,
    (exit) => Exit.isFailure(exit) || (exit.value._tag === "Entries" && exit.value.differing.length > 0)
  )

const handler = Effect.map(
  ProtectedFiles.leaving,
  (leaving) => ({ leaveOut = [], ...entry }: Payload) => leaving(leaveOut, compare(entry))
)

/** Layer that supplies the handler. */
export const layer: Layer.Layer<Task.Handler<typeof VerifyEntry>, never, Files.Files> = VerifyTasks.toLayer(
  Effect.map(handler, (compare) => ({ [VerifyEntry._tag]: (payload: Payload) => compareThere(compare(payload)) }))
)

/**
 * Layer that compares what is under these real paths here, where that is quick, and has others help once there is much
 * of it. They are started only then: that takes as long as some thousand small files.
 */
export const layerShared = <E>(
  others: Sides<typeof VerifyEntry, E>,
  { paths, startsAfter }: Where
): Layer.Layer<Task.Handler<typeof VerifyEntry>, never, Files.Files> =>
  VerifyTasks.toLayer(Effect.gen(function*() {
    const compare = yield* handler
    const { throughout } = yield* QuickFiles
    const shared = yield* share(VerifyEntry, others, { quick: yield* throughout(paths), startsAfter })
    return {
      [VerifyEntry._tag]: (payload: Payload) => {
        const { sizeBytes } = payload
        const bytes = sizeBytes === undefined ? undefined : 2 * sizeBytes
        const piece = { key: payload, payload, files: countOf(payload), bytes, work: () => compare(payload) }
        return compareThere(unlessLimited(shared(piece), compare(payload)))
      }
    }
  }))
