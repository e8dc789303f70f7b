/**
 * Calls the file system of this machine: by descriptor, straight through the C library where that can be loaded, and
 * through `node:fs` otherwise.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import { compareEach } from "./internal/calls/compareEach.ts"
import { listFolder, listFolders } from "./internal/calls/listFolder.ts"
import * as Mounts from "./internal/calls/mounts.ts"
import { bigint, calls as nodeCalls, native, toStat } from "./internal/calls/nodeCalls.ts"
import { attempt, scoped } from "./internal/calls/opened.ts"
import { File } from "./internal/calls/openFile.ts"
import { Folder } from "./internal/calls/openFolder.ts"
import * as quickCalls from "./internal/calls/quickCalls.ts"
import { readEach } from "./internal/calls/readEach.ts"
import * as runDelay from "./internal/calls/runDelay.ts"
import { isLocal, type SystemCalls, type Way } from "./internal/calls/systemCalls.ts"
import { userUnsafe } from "./internal/unfinished.ts"
import { QuickFiles } from "./QuickFiles.ts"

// --- Paths ----------------------------------------------------------------------------------------------------------

/** Looks at what a person names, which is done a few times for each job. */
const look = (call: "stat" | "lstat", path: FilePath.FilePath): Effect.Effect<Files.FileStat, FilesError> =>
  Effect.map(
    attempt<fs.BigIntStats>(call, path, (done) =>
      fs[call](native(path), bigint, (error, stats) =>
        done(error?.code, stats))),
    toStat
  )

/** The same, and `None` for what is not there. */
const find = (path: FilePath.FilePath): Effect.Effect<Option.Option<Files.FileStat>, FilesError> =>
  Effect.matchEffect(look("lstat", path), {
    onFailure: (error) => error.isMissing ? Effect.succeedNone : Effect.fail(error),
    onSuccess: Effect.succeedSome
  })

const realPath = (path: FilePath.FilePath): Effect.Effect<FilePath.FilePath, FilesError> =>
  Effect.map(
    attempt<Buffer>("realpath", path, (done) =>
      fs.realpath.native(native(path), "buffer", (error, real) =>
        done(error?.code, real))),
    FilePath.fromBytes
  )

const make = (calls: SystemCalls): Files.Files["Service"] => ({
  folder: (path) =>
    scoped(Effect.map(
      attempt<number>("open", path, (done) => calls.openPath(path, "folder", done)),
      (descriptor) => new Folder(calls, descriptor, path)
    )),
  readEach: (folders, reader) =>
    Effect.uninterruptible(
      Effect.callback((resume) => readEach({ calls, folders, reader, done: (count) => resume(Effect.succeed(count)) }))
    ),
  compareEach: (comparison) =>
    Effect.uninterruptible(
      Effect.callback((resume) => compareEach(calls, comparison, (count) => resume(Effect.succeed(count))))
    ),
  list: (path) => listFolder({ calls, path, open: (done) => calls.openPath(path, "list", done) }),
  folders: (path) => listFolders(calls, path),
  open: (path) =>
    scoped(Effect.map(
      attempt<number>("open", path, (done) => calls.openPath(path, "read", done)),
      (descriptor) => new File(calls, descriptor, path)
    )),
  stat: (path) => look("stat", path),
  lstat: (path) => look("lstat", path),
  find,
  realPath,
  measure: (path, measuring) =>
    Effect.callback((resume) => {
      if (calls.measure === undefined) return resume(Effect.succeedNone)
      calls.measure(path, measuring, (_, measured) => resume(Effect.succeed(Option.fromUndefinedOr(measured))))
    }),
  copyFolders: (request) =>
    Effect.uninterruptible(Effect.callback((resume) => {
      if (calls.copyFolders === undefined) return resume(Effect.succeedNone)
      calls.copyFolders(request, (_, copied) => resume(Effect.succeed(Option.fromUndefinedOr(copied))))
    })),
  placeFolders: (request) =>
    Effect.uninterruptible(Effect.callback((resume) => {
      if (calls.placeFolders === undefined) return resume(Effect.succeedNone)
      calls.placeFolders(request, (_, placed) => resume(Effect.succeed(Option.fromUndefinedOr(placed))))
    })),
  denied: Effect.sync(() => process.umask()),
  user: Effect.sync(userUnsafe)
})

// --- Service --------------------------------------------------------------------------------------------------------

/** The C library is reached on Linux only; and not where there is no binary for it, or none may be loaded. */
const fastest = (way: Way): Effect.Effect<SystemCalls> =>
  process.platform === "linux"
    ? Effect.match(Effect.tryPromise(() => import("./internal/calls/koffiCalls.ts")), {
      onFailure: () => nodeCalls[way],
      onSuccess: ({ calls }) => calls[way]
    })
    : Effect.succeed(nodeCalls[way])

/**
 * Whether calls are made straight through the C library, as they are where that can be loaded.
 *
 * @category accessors
 * @since 0.1.0
 */
export const isNative: Effect.Effect<boolean> = Effect.map(fastest("later"), (calls) => calls !== nodeCalls.later)

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
 * @since 0.1.0
 */
export const layer: Layer.Layer<Files.Files> = Layer.effect(Files.Files, Effect.map(fastest("later"), make))

/**
 * Layer that calls the file system as `layer` does, and has the thread wait for each call: on a thread of its own that
 * is several times as fast, since nothing goes through Node's pool of four threads.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBlocking: Layer.Layer<Files.Files> = Layer.effect(
  Files.Files,
  Effect.map(fastest("atOnce"), make)
)

/** Whether the file system of a path is on this machine. What can't be asked is not. */
const isLocalAt = (path: FilePath.FilePath): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) =>
    fs.statfs(
      native(path),
      (error, stats) => resume(Effect.succeed(error === null && isLocal(stats.type)))
    )
  )

/** More sources than that are not looked at: the table of mounts may be long, and all else would wait. */
const maxSources = 1000

/** Whether nothing else is met below these paths, and above them. What can't be read tells nothing. */
const isLocalThroughout = (paths: ReadonlyArray<FilePath.FilePath>): Effect.Effect<boolean> =>
  paths.length > maxSources ?
    Effect.succeed(false) :
    Effect.callback<boolean>((resume) =>
      fs.readFile("/proc/self/mountinfo", "latin1", (error, table) => {
        const mounts = error === null ? Mounts.parse(table) : []
        resume(Effect.succeed(paths.every((path) => Mounts.isLocalThroughout(mounts, path))))
      })
    )

/**
 * Layer that supplies `QuickFiles`: calls for folders and names are made at once on file systems that Linux keeps on
 * this machine, for 8 ms at a time, and not for 200 ms after one that took 20 ms while nothing else had the processors.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerQuick: Layer.Layer<never> = Layer.effect(
  QuickFiles,
  Effect.gen(function*() {
    const [atOnce, later] = [yield* fastest("atOnce"), yield* fastest("later")]
    const calls = quickCalls.make({ atOnce, later }, () => performance.now(), runDelay.read)
    const [here, throughout] = [make(calls.here), make(calls.throughout)]
    const where = (isQuick: Effect.Effect<boolean>, files: Files.Files["Service"]) =>
      process.platform === "linux"
        ? Effect.map(isQuick, (is) => is ? Option.some(files) : Option.none())
        : Effect.succeedNone
    return {
      at: (paths) => where(Effect.map(Effect.forEach(paths, isLocalAt), (local) => local.every((is) => is)), here),
      throughout: (paths) => where(isLocalThroughout(paths), throughout),
      isSlow: calls.isSlow
    }
  })
)

/**
 * Layer that calls the file system as `layer` does, through `node:fs` in any case.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNode: Layer.Layer<Files.Files> = Layer.succeed(Files.Files, make(nodeCalls.later))
