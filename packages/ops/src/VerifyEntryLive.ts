/**
 * Handler of the task `VerifyEntry`.
 *
 * Kind comes first, then size, content or target, and metadata where all of that is the same.
 *
 * @since 0.1.0
 */
import type * as Interrupter from "@fanout/core/Interrupter"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Difference } from "./Difference.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import { compareEntries } from "./internal/comparing.ts"
import { compareContent, Compared, edition, type Opened } from "./internal/sameContent.ts"
import { share } from "./internal/sharing.ts"
import * as Metadata from "./Metadata.ts"
import * as PairTree from "./PairTree.ts"
import * as Place from "./Place.ts"
import * as ProtectedFiles from "./ProtectedFiles.ts"
import { QuickFiles, type Sides, type Where } from "./QuickFiles.ts"
import { SkipReason } from "./SkipReason.ts"
import { countOf, differs, type EntryDiffers, EntrySame, VerifyEntry, VerifyTasks } from "./VerifyEntry.ts"

type Payload = Task.Payload<typeof VerifyEntry>
type Failure = EntryDiffers | Interrupter.Interrupted | Task.Skipped

const { FolderEnded, FolderSame, Same } = EntrySame.cases

const unreadable = (side: PairTree.Side) => (error: FilesError): EntryDiffers =>
  differs({ _tag: "Unreadable", side, error })

/** Gives what there is in one of the trees, and nothing where there is none. */
const orNone = <A, R>(
  side: PairTree.Side,
  look: Effect.Effect<A, FilesError, R>
): Effect.Effect<Option.Option<A>, EntryDiffers, R> =>
  Effect.catch(
    Effect.asSome(look),
    (error) => error.isMissing ? Effect.succeedNone : Effect.fail(unreadable(side)(error))
  )

/** Looks at what is at a real path, and at no other: no link leads there. */
const look = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const place = yield* Place.open(path)
  const stat = yield* Place.lstat(place)
  return { stat, target: stat.kind === "link" ? yield* place.folder.readLink(place.name) : FilePath.empty }
}, Effect.scoped)

/** A pair, where both trees have something. */
const both = <A extends { readonly stat: Files.FileStat }>(
  a: Option.Option<A>,
  b: Option.Option<A>
): Effect.Effect<readonly [a: A, b: A], EntryDiffers | Task.Skipped> => {
  if (Option.isSome(a) && Option.isSome(b)) return Effect.succeed([a.value, b.value])
  if (Option.isNone(a) && Option.isNone(b)) return Task.skip(SkipReason.Vanished)
  const held = Option.none()
  return Option.match(a, {
    onSome: ({ stat: { kind } }) => Effect.fail(differs({ _tag: "Missing", kind, held })),
    onNone: () => {
      const kind = Option.match(b, { onNone: () => "file" as const, onSome: ({ stat }) => stat.kind })
      return Effect.fail(differs({ _tag: "Extra", kind, held }))
    }
  })
}

const lookAtBoth = ({ a, b }: PairTree.Trees) =>
  Effect.gen(function*() {
    return yield* both(yield* orNone("A", look(a)), yield* orNone("B", look(b)))
  })

/** Fails where metadata differ; what is compared is the same otherwise. */
const requireMetadata = (
  a: Files.FileStat,
  b: Files.FileStat,
  { ignore }: Payload
): Effect.Effect<void, EntryDiffers> => {
  const properties = Metadata.compare(a, b, ignore)
  return Arr.isReadonlyArrayNonEmpty(properties) ? Effect.fail(differs({ _tag: "Metadata", properties })) : Effect.void
}

// --- Files ----------------------------------------------------------------------------------------------------------

const open = (
  side: PairTree.Side,
  path: FilePath.FilePath
): Effect.Effect<Option.Option<Opened<EntryDiffers>>, EntryDiffers, Files.Files | Scope.Scope> =>
  orNone(
    side,
    Effect.gen(function*() {
      const files = yield* Files.Files
      const file = yield* files.open(path)
      return { file, stat: yield* file.stat, blame: unreadable(side) }
    })
  )

/** Fails where a file is not what it was when it was opened: what was found of it holds for nothing then. */
const requireUnchanged = (side: PairTree.Side, { blame, file, stat }: Opened<EntryDiffers>) =>
  Effect.flatMap(
    Effect.mapError(file.stat, blame),
    (after) => edition(after) === edition(stat) ? Effect.void : Effect.fail(differs({ _tag: "Changed", side }))
  )

const differenceAt = (at: number, a: Files.FileStat, b: Files.FileStat): Difference =>
  a.sizeBytes === b.sizeBytes
    ? { _tag: "Content", at }
    : { _tag: "Size", a: a.sizeBytes, b: b.sizeBytes }

const compared = TaskCheckpoint.make(Compared)

/** Compares two files that are open. Files of the kernel say that they have no bytes, so that has to be seen. */
const compareOpen = Effect.fnUntraced(function*(
  a: Opened<EntryDiffers>,
  b: Opened<EntryDiffers>,
  payload: Payload
) {
  const [sizeA, sizeB] = [a.stat.sizeBytes, b.stat.sizeBytes]
  if (sizeA !== sizeB && sizeA > 0 && sizeB > 0) return yield* differs({ _tag: "Size", a: sizeA, b: sizeB })
  // Trees that share files, as snapshots by hard links do, have nothing to read.
  const at = Files.isSameInode(a.stat, b.stat) ? Option.none() : yield* compareContent(a, b, compared)
  yield* requireUnchanged("A", a)
  yield* requireUnchanged("B", b)
  if (Option.isSome(at)) return yield* differs(differenceAt(at.value, a.stat, b.stat))
  yield* requireMetadata(a.stat, b.stat, payload)
  return Same.make({ sizeBytes: sizeA })
})

/** Skips what must not be opened, not even to compare it. */
const requireUnprotected = Effect.fnUntraced(function*(payload: Payload) {
  const files = yield* ProtectedFiles.ProtectedFiles
  if (files.found.length === 0) return
  for (const { stat } of yield* lookAtBoth(payload)) {
    if (ProtectedFiles.useOfFile(files, stat) !== undefined) return yield* Task.skip(SkipReason.Database)
  }
})

const compareFiles = Effect.fnUntraced(function*(payload: Payload) {
  yield* requireUnprotected(payload)
  const [a, b] = yield* both(yield* open("A", payload.a), yield* open("B", payload.b))
  return a.stat.kind === "file" && b.stat.kind === "file"
    ? yield* compareOpen(a, b, payload)
    : yield* differs(kindsOf(a.stat, b.stat))
}, Effect.scoped)

const requireFiles = Effect.fnUntraced(function*(payload: Payload) {
  const [a, b] = yield* lookAtBoth(payload)
  if (a.stat.kind !== "file" || b.stat.kind !== "file") return yield* differs(kindsOf(a.stat, b.stat))
})

const compareFile = (payload: Payload) =>
  // A link is never opened, and some special files can't be: what they are is told by looking at them.
  Effect.catchTag(compareFiles(payload), "EntryDiffers", (error) =>
    error.code === "Unreadable" ? Effect.andThen(requireFiles(payload), Effect.fail(error)) : Effect.fail(error))

/** Of what is no longer what the walk has met in both trees. */
const kindsOf = ({ kind: a }: Files.FileStat, { kind: b }: Files.FileStat): Difference =>
  a === b ? { _tag: "Changed", side: "A" } : { _tag: "Kind", a, b }

// --- Links and folders ----------------------------------------------------------------------------------------------

const compareLinks = Effect.fnUntraced(function*(payload: Payload) {
  const [a, b] = yield* lookAtBoth(payload)
  if (a.stat.kind !== "link" || b.stat.kind !== "link") return yield* differs(kindsOf(a.stat, b.stat))
  if (a.target !== b.target) return yield* differs({ _tag: "Target", a: a.target, b: b.target })
  yield* requireMetadata(a.stat, b.stat, payload)
  return Same.make({ sizeBytes: 0 })
})

const compareFolders = Effect.fnUntraced(function*(payload: Payload) {
  const [a, b] = yield* lookAtBoth(payload)
  if (a.stat.kind !== "folder" || b.stat.kind !== "folder") return yield* differs(kindsOf(a.stat, b.stat))
  yield* requireMetadata(a.stat, b.stat, payload)
  return FolderSame.make({})
})

const endFolder = Effect.fnUntraced(function*(payload: Payload) {
  const [a, b] = yield* lookAtBoth(payload)
  if (a.stat.kind === "folder" && b.stat.kind === "folder") yield* requireMetadata(a.stat, b.stat, payload)
  return FolderEnded.make({})
})

// --- Again ----------------------------------------------------------------------------------------------------------

/** Adds how much is in a folder that only one of the trees has. */
const withHeld = Effect.fnUntraced(function*(error: EntryDiffers, { a, b }: Payload) {
  const { difference } = error
  const isOnly = difference._tag === "Missing" || difference._tag === "Extra"
  if (!isOnly || difference.kind !== "folder") return yield* error
  const held = Option.some(yield* PairTree.held(difference._tag === "Missing" ? a : b))
  return yield* differs({ ...difference, held })
})

/** Compares what could not be compared before, whatever it is by now. */
const compareAgain = Effect.fnUntraced(function*(payload: Payload) {
  const [a, b] = yield* lookAtBoth(payload).pipe(
    Effect.catchTag("EntryDiffers", (error) => withHeld(error, payload))
  )
  const { kind } = a.stat
  if (kind !== b.stat.kind) return yield* differs(kindsOf(a.stat, b.stat))
  switch (kind) {
    case "file":
      return yield* compareFile(payload)
    case "link":
      return yield* compareLinks(payload)
    case "special":
      return yield* Task.skip(SkipReason.Special)
    case "folder": {
      // Only where what is in it follows.
      if (payload.part !== "apart") return yield* differs(kindsOf(a.stat, b.stat))
      const files = yield* Files.Files
      yield* Effect.mapError(files.list(payload.a), unreadable("A"))
      yield* Effect.mapError(files.list(payload.b), unreadable("B"))
      return FolderSame.make({})
    }
  }
})

type Compare = (payload: Payload) => Effect.Effect<Task.Success<typeof VerifyEntry>, Failure, Files.Files>

const compare: Readonly<Record<Payload["part"], Compare>> = {
  entries: compareEntries,
  file: compareFile,
  link: compareLinks,
  folder: compareFolders,
  again: compareAgain,
  apart: compareAgain,
  end: endFolder
}

const handler = Effect.map(
  ProtectedFiles.leaving,
  (leaving) => ({ leaveOut = [], ...entry }: Payload) => leaving(leaveOut, compare[entry.part](entry))
)

/**
 * Layer that supplies the handler.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof VerifyEntry>, never, Files.Files> = VerifyTasks.toLayer(
  Effect.map(handler, (compare) => ({ [VerifyEntry._tag]: compare }))
)

/**
 * Layer that compares what is under these real paths here, where that is quick, and has others help once there is much
 * of it. They are started only then: that takes as long as some thousand small files.
 *
 * @category layers
 * @since 0.1.0
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
        return shared({ key: payload, payload, files: countOf(payload), bytes, work: () => compare(payload) })
      }
    }
  }))
