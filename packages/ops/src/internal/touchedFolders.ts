/**
 * Remembers the folders that a retry puts files into: they had their times before, and are to have them again.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { CopyOptions } from "../CopyOptions.ts"
import type { Transfer } from "../Destination.ts"
import * as FilePath from "../FilePath.ts"
import type * as Files from "../Files.ts"
import * as Place from "../Place.ts"
import { removeFolder } from "./moving.ts"

/** No more are remembered. */
const most = 100_000

interface Touched {
  /** Folder that the sources are in. */
  readonly source: FilePath.FilePath
  readonly times: Files.FileTimes
}

/** Reference to these folders; only where some may have been ended before. */
export const TouchedFolders = Context.Reference<Map<FilePath.FilePath, Touched> | undefined>(
  "@fanout/ops/internal/touchedFolders",
  { defaultValue: () => undefined }
)

/** Remembers the folder that something is about to be put into. */
export const add = Effect.fnUntraced(function*(source: Place.Place, { folder }: Place.Place) {
  const touched = yield* TouchedFolders
  if (touched === undefined || touched.size >= most || touched.has(folder.path)) return
  const times = yield* folder.stat
  // Whoever was here meanwhile has seen it as it was.
  if (!touched.has(folder.path)) touched.set(folder.path, { source: source.folder.path, times })
})

/** Forgets a folder that was ended after all. */
export const forget = (target: FilePath.FilePath): Effect.Effect<void> =>
  Effect.map(TouchedFolders, (touched) => void touched?.delete(target))

/** Gives a folder the times that it had. */
const restore = Effect.fnUntraced(function*(target: FilePath.FilePath, { times }: Touched) {
  const folder = yield* Place.openFile(yield* Place.open(target))
  yield* folder.setTimes(times)
}, Effect.scoped)

/** Removes a folder and those above it, up to a source, as far as nothing is left in them. */
const removeEmpty = Effect.fnUntraced(function*(folder: FilePath.FilePath, top: FilePath.FilePath) {
  for (let path = folder; FilePath.isWithin(path, top); path = FilePath.parent(path)) {
    yield* removeFolder(yield* Place.open(path))
  }
}, Effect.scoped)

/**
 * Gives folders of these transfers the times that they had, and removes those that a move has taken the last file out
 * of. Where that can't be it is as if nobody had tried.
 */
export const finish = Effect.fnUntraced(function*(transfers: ReadonlyArray<Transfer>) {
  const touched = (yield* TouchedFolders) ?? new Map<FilePath.FilePath, Touched>()
  const { isMove } = yield* CopyOptions
  for (const { source, target } of transfers) {
    const own = Array.from(touched).filter(([path]) => FilePath.isWithin(path, target))
    for (const [path, folder] of own) {
      yield* Effect.ignore(restore(path, folder))
      if (isMove) yield* Effect.ignore(removeEmpty(folder.source, source))
    }
  }
})
