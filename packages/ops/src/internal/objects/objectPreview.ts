/**
 * Tells a preview of a copy with addresses what it decides by, and writes nothing.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Payload } from "../../Copy.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { ObjectStoreError, ObjectStores } from "../../ObjectStore.ts"
import * as Destination from "../path/destination.ts"
import type * as FileTree from "../tree/fileTree.ts"
import { SourceWalk } from "../tree/sourceWalk.ts"
import * as TreeCursor from "../tree/treeCursor.ts"
import { failureOf } from "./objectAccess.ts"
import { areForObjects, sharpen, walkOf } from "./objectCopyLive.ts"
import * as ObjectFiles from "./objectFiles.ts"

/** So many objects are asked for at the same time. */
const askedAtOnce = 16

/** A source that can't be walked to its end. */
const unreadable = (path: FilePath.FilePath, error: ObjectStoreError): FileTree.Element => ({
  _tag: "Unreadable",
  source: 0,
  path: FilePath.empty,
  cursor: TreeCursor.format({ source: 0, path: FilePath.empty, side: "leaf" }),
  error: failureOf("scandir", path)(error),
  retryAfter: Option.none()
})

const provisions = Effect.fnUntraced(function*({ request: { conflict }, transfers }: Payload) {
  const { access, files } = yield* ObjectFiles.withObjects(areForObjects(transfers))
  const walk: SourceWalk["walk"] = (options) => {
    const prepare = (element: FileTree.Element) => {
      const { source, target } = Destination.placeOf(transfers, element)
      const known = element._tag === "Leaf" ? sharpen(access, { conflict, source, target }) : Effect.void
      return Effect.as(known, { element, source, target })
    }
    const walked = Stream.mapEffect(walkOf(access, transfers, options, false), prepare, { concurrency: askedAtOnce })
    // One by one: each is decided on before the next one is told.
    return Stream.map(Stream.rechunk(walked, 1), ({ element, source, target }) => {
      // A folder is where keys are, so it is neither made nor in the way.
      const folders = element._tag === "Open" ? [source, target].filter(FilePath.isAddress) : []
      for (const path of folders) access.known.set(path, { _tag: "Folder" })
      return element
    }).pipe(
      Stream.catch((error) => Stream.succeed(unreadable(transfers[0].source, error))),
      Stream.provideService(Files.Files, files)
    )
  }
  return Layer.merge(Layer.succeed(Files.Files, files), Layer.succeed(SourceWalk, { walk, together: undefined }))
})

/** Layer that supplies what a preview of a copy with addresses needs. */
export const layerPreview = (payload: Payload): Layer.Layer<Files.Files, never, Files.Files | ObjectStores> =>
  Layer.unwrap(provisions(payload))
