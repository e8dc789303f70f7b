/**
 * Says what a copy would do, by the same walk and the same decisions, and does nothing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Conflict from "./Conflict.ts"
import type { Payload } from "./Copy.ts"
import * as Destination from "./Destination.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import * as FileTree from "./FileTree.ts"
import type { NoFreeName } from "./NumberedName.ts"
import * as ProtectedFiles from "./ProtectedFiles.ts"
import { SkipReason } from "./SkipReason.ts"

/**
 * What would become of one entry.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  /** What would be decided; `Fail` where the file system does not answer what has to be known for that. */
  readonly action: Conflict.Decision["_tag"] | "Fail"

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

type Place = Destination.Transfer

const entryOf = Effect.fnUntraced(function*({ source, target }: Place, mode: Conflict.Mode): Effect.fn.Return<
  Entry,
  FilesError | NoFreeName,
  Files.Files
> {
  const files = yield* Files.Files
  const stat = yield* files.lstat(source)
  const decision = yield* Conflict.resolve(mode, { path: source, stat }, target)
  return {
    action: decision._tag,
    kind: stat.kind,
    source,
    target: Conflict.placeOf(decision, target),
    sizeBytes: stat.kind === "file" ? stat.sizeBytes : 0,
    why: Conflict.why(decision)
  }
})

/** Entry that could not be looked at. What is gone by now would be skipped by the copy as well. */
const unknown = (place: Place, error: FilesError | NoFreeName): Entry => {
  const isGone = error._tag === "FilesError" && error.isMissing && error.path === place.source
  return {
    ...place,
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
 * Of what is in a folder that would be refused nothing is said. What others do to source or destination between the
 * preview and the copy may change decisions.
 *
 * @category running
 * @since 0.1.0
 */
export const entries = ({ leaveOut, request, transfers }: Payload): Stream.Stream<Entry, never, Files.Files> =>
  Stream.suspend(() => {
    let refused: FileTree.Element | undefined
    const isBelowRefused = ({ path, source }: FileTree.Element): boolean =>
      refused !== undefined && refused.source === source && FilePath.isWithin(path, refused.path)
    return FileTree.walk({ sources: transfers.map(({ source }) => source) }).pipe(
      Stream.filterMapEffect((element: FileTree.Element) => {
        if (element._tag === "Close" || isBelowRefused(element)) return Effect.succeed(Result.failVoid)
        const place = Destination.placeOf(transfers, element)
        if (element._tag === "Unreadable") return Effect.succeed(Result.succeed(unknown(place, element.error)))
        return Effect.match(entryOf(place, request.conflict), {
          onFailure: (error) => Result.succeed(unknown(place, error)),
          onSuccess: (entry) => {
            if (element._tag === "Open" && entry.action === "Refuse") refused = element
            return Result.succeed(entry)
          }
        })
      })
    )
  }).pipe(Stream.provideServiceEffect(ProtectedFiles.ProtectedFiles, ProtectedFiles.make(leaveOut)))
