/**
 * Calls the file system of this machine: by descriptor, straight through the C library where that can be loaded, and
 * through `node:fs` otherwise.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import type { Calls } from "./Calls.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { blocking, later, Quick, runDelay, type Way } from "./internal/files/callWays.ts"
import { listFolder, listFolders } from "./internal/files/folderReader.ts"
import * as MountTable from "./internal/files/mountTable.ts"
import { calls as nodeCalls } from "./internal/files/nodeCalls.ts"
import { File } from "./internal/files/openFile.ts"
import { Folder } from "./internal/files/openFolder.ts"
import { attempt, read, scoped } from "./internal/files/openHandle.ts"
import { QuickFiles } from "./internal/files/quickFiles.ts"

const make = (calls: Calls) => (way: Way): Files.Files["Service"] => {
  const system = { calls, way }
  const look = (name: "stat" | "lstat", path: FilePath.FilePath) =>
    attempt(way, name, () => read(calls.statPath(path, name === "stat")), { path, isLong: true })
  return {
    folder: (path) =>
      scoped(Effect.map(
        attempt(way, "open", () => calls.openPath(path, "folder"), { path }),
        (descriptor) => new Folder(system, descriptor, path)
      )),
    list: (path) => listFolder(system, path, () => calls.openPath(path, "list")),
    folders: (path) => listFolders(system, path),
    open: (path) =>
      scoped(Effect.map(
        attempt(way, "open", () => calls.openPath(path, "read"), { path }),
        (descriptor) => new File(system, descriptor, path)
      )),
    stat: (path) => look("stat", path),
    lstat: (path) => look("lstat", path),
    find: (path) =>
      Effect.catchIf(Effect.asSome(look("lstat", path)), ({ isMissing }) => isMissing, () => Effect.succeedNone),
    realPath: (path) => attempt(way, "realpath", () => calls.realPath(path), { path, isLong: true }),
    atOnce: (work, isNeeded) => way.atOnce((mayGoOn) => work(calls, mayGoOn), isNeeded),
    denied: Effect.sync(calls.denied),
    user: Effect.sync(calls.user)
  }
}

/**
 * Makes a file system of calls of your own, which are waited for.
 *
 * @category constructors
 */
export const of = (calls: Calls): Files.Files["Service"] => make(calls)(blocking)

/** The C library is reached on Linux only; and not where there is no binary for it, or none may be loaded. */
const fastest: Effect.Effect<Calls> = process.platform === "linux"
  ? Effect.match(Effect.tryPromise(() => import("./internal/files/libcCalls.ts")), {
    onFailure: () => nodeCalls,
    onSuccess: ({ calls }) => calls
  })
  : Effect.succeed(nodeCalls)

const layerOf = (way: Way): Layer.Layer<Files.Files> =>
  Layer.effect(Files.Files, Effect.map(fastest, (calls) => make(calls)(way)))

/**
 * Whether calls are made straight through the C library, as they are where that can be loaded.
 *
 * @category accessors
 */
export const isNative: Effect.Effect<boolean> = Effect.map(fastest, (calls) => calls !== nodeCalls)

/**
 * Layer that calls the file system, and lets other fibers run in the meantime.
 *
 * **Gotchas**
 *
 * Through `node:fs` times are set to the microsecond at best, since it takes them as a double, and there are no files
 * without a name. On anything but Linux it knows paths, not descriptors: a folder that is swapped for a link while it
 * is open is followed.
 *
 * @category layers
 */
export const layer: Layer.Layer<Files.Files> = layerOf(later)

/**
 * Layer that calls the file system as `layer` does, and has the thread wait for each call: on a thread of its own that
 * is several times as fast, since nothing goes through Node's pool of four threads.
 *
 * @category layers
 */
export const layerBlocking: Layer.Layer<Files.Files> = layerOf(blocking)

/** More sources than that are not looked at: the table of mounts may be long, and all else would wait. */
const maxSources = 1000

/** Whether nothing else is met below these paths, and above them. What can't be read tells nothing. */
const isLocalThroughout = (paths: ReadonlyArray<FilePath.FilePath>): Effect.Effect<boolean> =>
  paths.length > maxSources ?
    Effect.succeed(false) :
    Effect.callback<boolean>((resume) =>
      fs.readFile("/proc/self/mountinfo", "latin1", (error, table) => {
        const mounts = error === null ? MountTable.parse(table) : []
        resume(Effect.succeed(paths.every((path) => MountTable.isLocalThroughout(mounts, path))))
      })
    )

/**
 * Layer that supplies `QuickFiles`: calls are made at once on file systems that Linux keeps on this machine, for 8 ms
 * at a time, and not for 200 ms after one that took 20 ms while nothing else had the processors.
 *
 * @category layers
 */
export const layerQuick: Layer.Layer<never> = Layer.effect(
  QuickFiles,
  Effect.map(fastest, (calls) => {
    const quick = new Quick(() => process.uptime() * 1000, runDelay)
    const files = Option.some(make(calls)(quick))
    return {
      throughout: (paths) =>
        process.platform === "linux" && !paths.some(FilePath.isAddress)
          ? Effect.map(isLocalThroughout(paths), (isLocal) => isLocal ? files : Option.none())
          : Effect.succeedNone,
      isSlow: quick.isSlow
    }
  })
)

/**
 * Layer that calls the file system as `layer` does, through `node:fs` in any case.
 *
 * @category layers
 */
export const layerNode: Layer.Layer<Files.Files> = Layer.succeed(Files.Files, make(nodeCalls)(later))
