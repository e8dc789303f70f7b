/**
 * Remembers the folders that the present run of a job has made and not ended: what is in them it has put there itself,
 * so nobody has to look whether a name is free.
 *
 * Others may have written there meanwhile all the same. Who relies on this has to create what it creates exclusively,
 * and look after all when that fails.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { FilePath } from "../../FilePath.ts"

/** Reference to the paths of these folders; outside of a job none is remembered. */
export const MadeFolders = Context.Reference<Set<FilePath> | undefined>("@fanout/ops/internal/madeFolders", {
  defaultValue: () => undefined
})

export const add = (path: FilePath): Effect.Effect<void> => Effect.map(MadeFolders, (made) => void made?.add(path))

export const remove = (path: FilePath): Effect.Effect<void> =>
  Effect.map(MadeFolders, (made) => void made?.delete(path))

export const has = (path: FilePath): Effect.Effect<boolean> =>
  Effect.map(MadeFolders, (made) => made?.has(path) === true)
