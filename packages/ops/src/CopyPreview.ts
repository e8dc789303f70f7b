/**
 * Says what a copy would do, by the same walk and the same decisions, and does nothing.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Payload } from "./Copy.ts"
import * as FilePath from "./FilePath.ts"
import type * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import * as Filter from "./Filter.ts"
import { openPlace } from "./internal/entry/sourcePlace.ts"
import * as Destination from "./internal/path/destination.ts"
import type { NoFreeName } from "./internal/path/numberedName.ts"
import * as Place from "./internal/path/place.ts"
import * as Conflict from "./internal/steps/conflict.ts"
import { whySpecial } from "./internal/tree/elementOutcomes.ts"
import type * as FileTree from "./internal/tree/fileTree.ts"
import { followOf } from "./internal/tree/followedLinks.ts"
import { SourceWalk } from "./internal/tree/sourceWalk.ts"
import * as ProtectedFiles from "./internal/work/protectedFiles.ts"
import { SkipReason } from "./SkipReason.ts"

/**
 * What would become of one entry.
 *
 * @category models
 */
export interface Entry {
  /** What would be decided; `Fail` where the file system does not answer what has to be known for that. */
  readonly action: "Create" | "Merge" | "Refuse" | "RenameTo" | "Replace" | "Skip" | "Unchanged" | "Fail"

  /** `unknown` where it could not be looked at. */
  readonly kind: Files.FileKind | "unknown"
  readonly source: FilePath.FilePath

  /** Where the copy would be. */
  readonly target: FilePath.FilePath

  /** Bytes of a file; 0 of anything else. */
  readonly sizeBytes: number

  /** Why it would be skipped or refused, or fail; empty otherwise. */
  readonly why: string
}

type Transfer = Destination.Transfer

/** The place of a target, or its path if there is no folder that it can be in: a dry run makes none. */
const openTarget = (path: FilePath.FilePath) =>
  Effect.catchIf(Place.open(path), (error) => error.isMissing, () => Effect.succeed(path))

const entryOf = Effect.fnUntraced(function*(
  { source, target }: Transfer,
  { conflict: mode, dereference }: Payload["request"]
): Effect.fn.Return<
  Entry,
  FilesError | NoFreeName,
  Files.Files | Scope.Scope
> {
  const place = yield* openPlace(source, dereference === true)
  const stat = yield* Place.lstat(place)
  // No object is a link.
  if (stat.kind === "link" && FilePath.isAddress(target)) {
    return { action: "Skip", kind: "link", source, target, sizeBytes: 0, why: SkipReason.Link }
  }
  const decision = yield* Conflict.resolve(mode, { place, stat }, yield* openTarget(target))
  return {
    action: decision._tag,
    kind: stat.kind,
    source,
    target: Conflict.placeOf(decision, target),
    sizeBytes: stat.kind === "file" ? stat.sizeBytes : 0,
    why: Conflict.why(decision)
  }
}, Effect.scoped)

/** Entry that could not be looked at. What is gone by now would be skipped by the copy as well, if it was not named. */
const unknown = (transfer: Transfer, error: FilesError | NoFreeName, isNamed: boolean): Entry => {
  const isGone = !isNamed && error._tag === "FilesError" && error.isMissing &&
    FilePath.isWithin(transfer.source, error.path)
  return {
    ...transfer,
    action: isGone ? "Skip" : "Fail",
    kind: "unknown",
    sizeBytes: 0,
    why: isGone ? SkipReason.Vanished : error.message
  }
}

/**
 * What would become of every entry, in the order of the walk.
 *
 * **Gotchas**
 *
 * Of what is in a folder that would be refused nothing is said, nor of what the rules exclude. What others do to
 * source or destination between the preview and the copy may change decisions.
 *
 * @category running
 */
export const entries = ({ leaveOut, request, transfers }: Payload): Stream.Stream<Entry, never, Files.Files> =>
  Stream.suspend(() => {
    let refused: FileTree.Element | undefined
    const isBelowRefused = ({ path, source }: FileTree.Element): boolean =>
      refused !== undefined && refused.source === source && FilePath.isWithin(path, refused.path)
    const filter = Filter.make(request.rules ?? [])
    const options = {
      sources: transfers.map(({ source }) => source),
      filter,
      follow: followOf({ request, transfers })
    }
    return Stream.unwrap(Effect.map(SourceWalk, ({ walk }) => walk(options, false))).pipe(
      Stream.filterMapEffect((element: FileTree.Element) => {
        if (element._tag === "Close" || isBelowRefused(element)) return Effect.succeed(Result.failVoid)
        const transfer = Destination.placeOf(transfers, element)
        const isNamed = element.path === ""
        if (element._tag === "Unreadable") {
          return Effect.succeed(Result.succeed(unknown(transfer, element.error, isNamed)))
        }
        return Effect.match(entryOf(transfer, request), {
          onFailure: (error) => Result.succeed(unknown(transfer, error, isNamed)),
          onSuccess: (entry) => {
            if (element._tag === "Open" && entry.action === "Refuse") refused = element
            return Result.succeed(
              isNamed && element._tag === "Leaf" && element.kind === "special"
                ? { ...entry, action: "Fail" as const, why: whySpecial(element.special, "copied") }
                : entry
            )
          }
        })
      })
    )
  }).pipe(
    Stream.provideServiceEffect(ProtectedFiles.ProtectedFiles, ProtectedFiles.make(leaveOut, request.checksums?.output))
  )
