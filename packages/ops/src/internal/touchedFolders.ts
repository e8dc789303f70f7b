/**
 * Remembers the folders that a retry puts files into: they had their times before, and are to have them again.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { CopyOptions } from "../CopyOptions.ts"
import type { Transfer } from "../Destination.ts"
import * as FilePath from "../FilePath.ts"
import * as FolderCopy from "../FolderCopy.ts"
import * as Place from "../Place.ts"

/** No more are remembered. */
const most = 100_000

/** Reference to these folders, each with the folder of its sources; only where some may have been ended before. */
export const TouchedFolders = Context.Reference<Map<FilePath.FilePath, FilePath.FilePath> | undefined>(
  "@fanout/ops/internal/touchedFolders",
  { defaultValue: () => undefined }
)

/** Remembers the folder that something was put into. */
export const add = (source: Place.Place, target: Place.Place): Effect.Effect<void> =>
  Effect.map(TouchedFolders, (touched) => {
    if (touched !== undefined && touched.size < most) touched.set(target.folder.path, source.folder.path)
  })

/** Gives folders of these transfers what they had. Where that can't be it is as if nobody had tried. */
export const finish = Effect.fnUntraced(function*(transfers: ReadonlyArray<Transfer>) {
  const touched = (yield* TouchedFolders) ?? new Map()
  const options = yield* CopyOptions
  const own = Array.from(touched).filter(([target]) => transfers.some((one) => FilePath.isWithin(target, one.target)))
  for (const [target, source] of own) {
    yield* Effect.ignore(Effect.scoped(Effect.gen(function*() {
      yield* FolderCopy.finish(yield* Place.open(source), yield* Place.open(target), options)
    })))
  }
})
