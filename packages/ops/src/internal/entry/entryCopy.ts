/**
 * Copies one file, one link, or one folder without what is in it, with mode and times.
 *
 * Whatever the way, the target is old or new, never half: right before each step that others can see, it is looked
 * whether the job is still this owner's.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Effect from "effect/Effect"
import type * as Files from "../../Files.ts"
import * as Place from "../path/place.ts"
import { keepOfLink } from "../steps/attributes.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { prepare } from "../steps/durability.ts"
import { createTemporary, flushPlaced, place } from "../steps/filePlacement.ts"
import { onSource } from "../steps/sideErrors.ts"
import { copyContent } from "./contentCopy.ts"
import { ContentWays } from "./contentWays.ts"
import type { Copied, CopyRequest } from "./copyRequest.ts"
import * as FolderCopy from "./folderCopy.ts"

/** Copies a symbolic link as it stands, wherever it leads. */
const copyLink = Effect.fnUntraced(function*(request: CopyRequest) {
  const { options, source, stat, target: { folder }, temporary } = request
  const flush = yield* prepare(folder)
  const target = yield* onSource(source.folder.readLink(source.name))
  yield* createTemporary(request, folder.makeLink(target, temporary))
  const lost = yield* keepOfLink(source, { folder, name: temporary }, stat, options)
  yield* place(request)
  yield* flushPlaced(request, flush)
  return { strategy: "link", sizeBytes: 0, lost }
}, Effect.scoped)

/** Copies what the source is. */
export const copy = (request: CopyRequest): Effect.Effect<Copied, CopyError | Interrupted, Files.Files> => {
  const { source, stat } = request
  switch (stat.kind) {
    case "folder":
      return FolderCopy.make(request)
    case "link":
      return copyLink(request)
    case "file":
      return ContentWays.pipe(
        Effect.flatMap((wayFor) => wayFor(request, stat)),
        Effect.flatMap((way) => copyContent(request, way))
      )
    case "special":
      return Effect.fail(new CopyError({ reason: Reason.cases.Unsupported.make({ path: Place.path(source) }) }))
  }
}
