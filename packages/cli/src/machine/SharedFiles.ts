/**
 * Tells which files all machines of a cluster see: those on a network file system, and those in folders that were
 * named.
 */
import { mountOf } from "@fanout/core/node"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Machine from "./Machine.ts"

/** What knows which files are shared. */
export interface SharedFiles {
  /** Why the first of these paths that is not shared is not. Reads the table of mounts, and no file system. */
  readonly whyNot: (paths: ReadonlyArray<FilePath.FilePath>) => Effect.Effect<Option.Option<string>>
}

/** Folders of the machine that a virtual one runs on: others may have other ones. */
const ofHost = new Set("9p vboxsf vmhgfs prl_fs virtiofs".split(" "))

/** Whether what is on such storage is seen by other machines. */
export const isOnNetwork = ({ kind, type }: Pick<Machine.Storage, "kind" | "type">): boolean =>
  kind === "network" && !ofHost.has(type)

const mountAt = (path: FilePath.FilePath): Effect.Effect<string | undefined> =>
  Effect.map(
    mountOf(path),
    (found) => Option.getOrUndefined(Option.map(found, ({ device, point }) => `${device} ${point}`))
  )

/** Takes the files in these real folders for shared, for as long as the folders are on what they are on now. */
export const make = Effect.fnUntraced(function*(folders: ReadonlyArray<FilePath.FilePath>) {
  const named = yield* Effect.forEach(folders, (folder) => Effect.map(mountAt(folder), (mount) => ({ folder, mount })))
  const whyNotOne = Effect.fnUntraced(function*(path: FilePath.FilePath) {
    const within = named.find(({ folder }) => FilePath.isWithin(path, folder))
    if (within !== undefined) {
      if (within.mount === (yield* mountAt(within.folder))) return undefined
      return `"${FilePath.display(within.folder)}" is on another file system than when this process started`
    }
    const storage = Option.getOrUndefined(yield* Machine.storageAt(path))
    if (storage !== undefined && isOnNetwork(storage)) return undefined
    const on = storage === undefined ? "a file system of unknown type" : storage.type
    return `"${FilePath.display(path)}" is on ${on}, which other machines may not see`
  })
  const whyNot: SharedFiles["whyNot"] = (paths) =>
    Effect.map(Effect.forEach(paths, whyNotOne), (all) => Option.fromUndefinedOr(all.find((why) => why !== undefined)))
  return { whyNot }
})
