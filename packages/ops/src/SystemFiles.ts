/**
 * Calls the file system of this machine: by descriptor, straight through the C library where that can be loaded, and
 * through `node:fs` otherwise.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { type Call, FilesError } from "./FilesError.ts"
import * as FolderListing from "./FolderListing.ts"
import { copyEach } from "./internal/calls/copyEach.ts"
import * as Mounts from "./internal/calls/mounts.ts"
import { calls as nodeCalls, toStat } from "./internal/calls/nodeCalls.ts"
import * as quickCalls from "./internal/calls/quickCalls.ts"
import { readEach } from "./internal/calls/readEach.ts"
import type { Done, SystemCalls, Way } from "./internal/calls/systemCalls.ts"
import { QuickFiles } from "./QuickFiles.ts"

const failure = (call: Call, path: FilePath.FilePath, code: string, target?: FilePath.FilePath): FilesError =>
  new FilesError({ call, path, target: Option.fromUndefinedOr(target), code })

/**
 * Runs one call. It can't be called off: the kernel goes on with it, so an interrupted fiber must wait for it too.
 */
const attempt = <A>(
  call: Call,
  path: FilePath.FilePath,
  start: (done: Done<A>) => void,
  target?: FilePath.FilePath
): Effect.Effect<A, FilesError> =>
  Effect.uninterruptible(Effect.callback<A, FilesError>((resume) => {
    start((code, value) =>
      resume(code === undefined ? Effect.succeed(value) : Effect.fail(failure(call, path, code, target)))
    )
  }))

const missing = new Set(["ENOENT", "ENOTDIR"])

const orNone = <A>(look: Effect.Effect<A, FilesError>): Effect.Effect<Option.Option<A>, FilesError> =>
  Effect.matchEffect(look, {
    onFailure: (error) => missing.has(error.code) ? Effect.succeedNone : Effect.fail(error),
    onSuccess: Effect.succeedSome
  })

/** Something that is open, until it is closed or its scope ends. */
abstract class Open {
  readonly path: FilePath.FilePath
  protected readonly calls: SystemCalls
  protected readonly descriptor: number
  protected isOpen = true

  constructor(calls: SystemCalls, descriptor: number, path: FilePath.FilePath) {
    this.calls = calls
    this.descriptor = descriptor
    this.path = path
  }

  /** Never hands a descriptor to the kernel that is closed: the number may be somebody else's by now. */
  protected call<A>(
    call: Call,
    path: FilePath.FilePath,
    start: (calls: SystemCalls, descriptor: number, done: Done<A>) => void,
    target?: FilePath.FilePath
  ): Effect.Effect<A, FilesError> {
    return Effect.suspend(() =>
      this.isOpen
        ? attempt<A>(call, path, (done) => start(this.calls, this.descriptor, done), target)
        : Effect.fail(failure(call, path, "EBADF"))
    )
  }

  get stat(): Effect.Effect<Files.FileStat, FilesError> {
    return this.call<Files.FileStat>("fstat", this.path, (calls, descriptor, done) => calls.stat(descriptor, done))
  }

  /** What the finalizer of the scope does. */
  abstract readonly release: Effect.Effect<void>
}

const scoped = <A extends Open>(
  open: Effect.Effect<A, FilesError>
): Effect.Effect<A, FilesError, Scope.Scope> =>
  Files.waitForDescriptor(Effect.acquireRelease(open, (opened) => opened.release))

// --- Files ----------------------------------------------------------------------------------------------------------

class File extends Open implements Files.OpenFile {
  get close(): Effect.Effect<void, FilesError> {
    return this.call<void>("close", this.path, (calls, descriptor, done) => {
      this.isOpen = false
      calls.close(descriptor, done)
    })
  }

  /** What fails to close here was read, or is given up anyway. */
  get release(): Effect.Effect<void> {
    return Effect.suspend(() => this.isOpen ? Effect.ignore(this.close) : Effect.void)
  }

  get fileSystem(): Effect.Effect<Option.Option<string>, FilesError> {
    return Effect.map(
      this.call<string>("fstatfs", this.path, (calls, descriptor, done) => calls.fileSystem(descriptor, done)),
      (name) => name === "" ? Option.none() : Option.some(name)
    )
  }

  read(buffer: Uint8Array): Effect.Effect<number, FilesError> {
    return this.readFrom(buffer, null)
  }

  readAt(buffer: Uint8Array, offset: number): Effect.Effect<number, FilesError> {
    return this.readFrom(buffer, offset)
  }

  private readFrom(buffer: Uint8Array, at: number | null): Effect.Effect<number, FilesError> {
    return this.call<number>("read", this.path, (calls, descriptor, done) => calls.read(descriptor, buffer, at, done))
  }

  write(bytes: Uint8Array): Effect.Effect<void, FilesError> {
    const written = this.call<number>(
      "write",
      this.path,
      (calls, descriptor, done) => calls.write(descriptor, bytes, done)
    )
    return Effect.flatMap(written, (length) => {
      if (length === bytes.byteLength) return Effect.void
      // A device that takes nothing and names no error would be asked for ever.
      if (length === 0) return Effect.fail(failure("write", this.path, "EIO"))
      return this.write(bytes.subarray(length))
    })
  }

  setMode(mode: number): Effect.Effect<void, FilesError> {
    return this.call<void>("fchmod", this.path, (calls, descriptor, done) => calls.setMode(descriptor, mode, done))
  }

  setTimes(times: Files.FileTimes): Effect.Effect<void, FilesError> {
    return this.call<void>("futimes", this.path, (calls, descriptor, done) => calls.setTimes(descriptor, times, done))
  }
}

class UnnamedFile extends File implements Files.UnnamedFile {
  private readonly folder: Folder

  constructor(calls: SystemCalls, descriptor: number, folder: Folder) {
    super(calls, descriptor, folder.path)
    this.folder = folder
  }

  link(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return Effect.suspend(() =>
      this.isOpen
        ? this.folder.linkUnnamed(this.descriptor, name)
        : Effect.fail(failure("link", FilePath.join(this.path, name), "EBADF"))
    )
  }
}

// --- Folders --------------------------------------------------------------------------------------------------------

const isName = (name: FilePath.FilePath): boolean => name !== "" && name !== "." && name !== ".." && !name.includes("/")

const listOpen = Effect.fnUntraced(function*(calls: SystemCalls, descriptor: number, path: FilePath.FilePath) {
  const builder = FolderListing.builderUnsafe()
  const add = (name: string, kind: FolderListing.EntryKind): void => builder.addUnsafe(name, kind)
  while (yield* attempt<boolean>("scandir", path, (done) => calls.list(descriptor, add, done))) {
    // Each batch is one step.
  }
  return yield* builder.build
})

const closing = (calls: SystemCalls, path: FilePath.FilePath) => (descriptor: number): Effect.Effect<void> =>
  Effect.ignore(attempt<void>("close", path, (done) => calls.close(descriptor, done)))

class Folder extends Open implements Files.Folder {
  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.isOpen = false
      this.calls.closeFolder(this.descriptor)
    })
  }

  /** Makes a call by a name in this folder. */
  private named<A>(
    call: Call,
    name: FilePath.FilePath,
    start: (calls: SystemCalls, folder: number, done: Done<A>) => void,
    target?: FilePath.FilePath
  ): Effect.Effect<A, FilesError> {
    const path = FilePath.join(this.path, name)
    return isName(name) && (target === undefined || isName(target))
      ? this.call(call, path, start, target === undefined ? undefined : FilePath.join(this.path, target))
      : Effect.fail(failure(call, path, "EINVAL"))
  }

  get identity(): Effect.Effect<Files.Identity, FilesError> {
    return this.call<Files.Identity>(
      "fstat",
      this.path,
      (calls, descriptor, done) => calls.identity(descriptor, done)
    )
  }

  get list(): Effect.Effect<FolderListing.FolderListing, FilesError> {
    // What it was opened for may not be enough to list it, and where one list stands another would go on.
    return Files.waitForDescriptor(Effect.acquireUseRelease(
      this.call<number>(
        "scandir",
        this.path,
        (calls, folder, done) => calls.open(folder, FilePath.make("."), "list", done)
      ),
      (descriptor) => listOpen(this.calls, descriptor, this.path),
      closing(this.calls, this.path)
    ))
  }

  lstat(name: FilePath.FilePath): Effect.Effect<Files.FileStat, FilesError> {
    return this.named<Files.FileStat>("lstat", name, (calls, folder, done) => calls.lstat(folder, name, done))
  }

  find(name: FilePath.FilePath): Effect.Effect<Option.Option<Files.FileStat>, FilesError> {
    return orNone(this.lstat(name))
  }

  folder(name: FilePath.FilePath): Effect.Effect<Files.Folder, FilesError, Scope.Scope> {
    return scoped(Effect.map(
      this.named<number>("open", name, (calls, folder, done) => calls.open(folder, name, "folder", done)),
      (descriptor) => new Folder(this.calls, descriptor, FilePath.join(this.path, name))
    ))
  }

  open(name: FilePath.FilePath): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> {
    return this.openAs("open", "read", name)
  }

  readEach(names: ReadonlyArray<FilePath.FilePath>, reader: Files.Reader): Effect.Effect<number> {
    return Effect.uninterruptible(Effect.callback((resume) =>
      readEach({
        calls: this.calls,
        folder: this.descriptor,
        names,
        refuse: (name) => isName(name) ? this.isOpen ? undefined : "EBADF" : "EINVAL",
        reader,
        fail: (name, call, code) => reader.fail(failure(call, FilePath.join(this.path, name), code)),
        done: (count) => resume(Effect.succeed(count))
      })
    ))
  }

  copyEach(
    names: ReadonlyArray<FilePath.FilePath>,
    to: Files.Folder,
    copier: Files.Copier
  ): Effect.Effect<number> {
    if (!(to instanceof Folder)) return Effect.die(new Error(`"${to.path}" was opened by another service of files`))
    return Effect.uninterruptible(Effect.callback((resume) =>
      copyEach({
        calls: this.calls,
        from: this.descriptor,
        to: to.descriptor,
        names,
        refuse: (name) => isName(name) ? this.isOpen && to.isOpen ? undefined : "EBADF" : "EINVAL",
        copier,
        fail: (name, call, code, isCopy) =>
          copier.fail(failure(call, FilePath.join(isCopy ? to.path : this.path, name), code)),
        done: (count) => resume(Effect.succeed(count))
      })
    ))
  }

  create(name: FilePath.FilePath): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> {
    return this.openAs("create", "create", name)
  }

  private openAs(call: "open" | "create", mode: "read" | "create", name: FilePath.FilePath) {
    return scoped(Effect.map(
      this.named<number>(call, name, (calls, folder, done) => calls.open(folder, name, mode, done)),
      (descriptor) => new File(this.calls, descriptor, FilePath.join(this.path, name))
    ))
  }

  get createUnnamed(): Effect.Effect<Files.UnnamedFile, FilesError, Scope.Scope> {
    return scoped(Effect.map(
      this.call<number>(
        "create",
        this.path,
        (calls, folder, done) => calls.open(folder, FilePath.make("."), "unnamed", done)
      ),
      (descriptor) => new UnnamedFile(this.calls, descriptor, this)
    ))
  }

  linkUnnamed(descriptor: number, name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("link", name, (calls, folder, done) => calls.linkUnnamed(descriptor, folder, name, done))
  }

  makeFolder(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("mkdir", name, (calls, folder, done) => calls.makeFolder(folder, name, done))
  }

  readLink(name: FilePath.FilePath): Effect.Effect<FilePath.FilePath, FilesError> {
    return this.named<FilePath.FilePath>("readlink", name, (calls, folder, done) => calls.readLink(folder, name, done))
  }

  makeLink(target: FilePath.FilePath, name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("symlink", name, (calls, folder, done) => calls.makeLink(target, folder, name, done))
  }

  setTimes(name: FilePath.FilePath, times: Files.FileTimes): Effect.Effect<void, FilesError> {
    return this.named<void>("lutimes", name, (calls, folder, done) => calls.setTimesAt(folder, name, times, done))
  }

  rename(from: FilePath.FilePath, to: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("rename", from, (calls, folder, done) => calls.rename(folder, from, to, done), to)
  }

  link(existing: FilePath.FilePath, name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("link", existing, (calls, folder, done) => calls.link(folder, existing, name, done), name)
  }

  unlink(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("unlink", name, (calls, folder, done) => calls.unlink(folder, name, done))
  }

  unlinkEach(
    names: ReadonlyArray<FilePath.FilePath>,
    mayGoOn: () => boolean
  ): Effect.Effect<ReadonlyArray<string | undefined>> {
    return Effect.uninterruptible(Effect.callback((resume) => {
      const codes: Array<string | undefined> = []
      const next = (): void => {
        const name = names[codes.length]
        if (name === undefined || !mayGoOn()) return resume(Effect.succeed(codes))
        const done = (code: string | undefined): void => {
          codes.push(code)
          next()
        }
        if (!this.isOpen) done("EBADF")
        else if (isName(name)) this.calls.unlink(this.descriptor, name, done)
        else done("EINVAL")
      }
      next()
    }))
  }

  removeFolder(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("rmdir", name, (calls, folder, done) => calls.removeFolder(folder, name, done))
  }
}

// --- Paths ----------------------------------------------------------------------------------------------------------

/** Node passes text on as UTF-8; only what is not UTF-8 needs a buffer. */
const native = (path: FilePath.FilePath): string | Buffer =>
  path.isWellFormed() ? path : Buffer.from(FilePath.toBytes(path))

const bigint = { bigint: true } as const

/** Looks at what a person names, which is done a few times for each job. */
const look = (call: "stat" | "lstat", path: FilePath.FilePath): Effect.Effect<Files.FileStat, FilesError> =>
  Effect.map(
    attempt<fs.BigIntStats>(call, path, (done) =>
      fs[call](native(path), bigint, (error, stats) =>
        done(error?.code, stats))),
    toStat
  )

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
  list: (path) =>
    Files.waitForDescriptor(Effect.acquireUseRelease(
      attempt<number>("scandir", path, (done) => calls.openPath(path, "list", done)),
      (descriptor) => listOpen(calls, descriptor, path),
      closing(calls, path)
    )),
  open: (path) =>
    scoped(Effect.map(
      attempt<number>("open", path, (done) => calls.openPath(path, "read", done)),
      (descriptor) => new File(calls, descriptor, path)
    )),
  stat: (path) => look("stat", path),
  lstat: (path) => look("lstat", path),
  find: (path) => orNone(look("lstat", path)),
  realPath
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

/** Numbers of file systems that are on a disk of this machine, or in its memory (linux/magic.h); mounts have names. */
const localTypes = new Set([
  0xef53, // ext
  0x58465342, // xfs
  0x9123683e, // btrfs
  0xf2f52010, // f2fs
  0x2fc12fc1, // zfs
  0xca451a4e, // bcachefs
  0x794c7630, // overlay
  0x01021994 // tmpfs
])

/** Whether the file system of a path is on this machine. What can't be asked is not. */
const isLocal = (path: FilePath.FilePath): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) =>
    fs.statfs(
      native(path),
      (error, stats) => resume(Effect.succeed(error === null && localTypes.has(stats.type >>> 0)))
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
 * this machine, for 8 ms at a time, and not for 200 ms after one that took 20 ms.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerQuick: Layer.Layer<never> = Layer.effect(
  QuickFiles,
  Effect.gen(function*() {
    const [atOnce, later] = [yield* fastest("atOnce"), yield* fastest("later")]
    const calls = quickCalls.make({ atOnce, later }, () => performance.now())
    const [here, throughout] = [make(calls.here), make(calls.throughout)]
    const where = (isQuick: Effect.Effect<boolean>, files: Files.Files["Service"]) =>
      process.platform === "linux"
        ? Effect.map(isQuick, (is) => is ? Option.some(files) : Option.none())
        : Effect.succeedNone
    return {
      at: (paths) => where(Effect.map(Effect.forEach(paths, isLocal), (local) => local.every((is) => is)), here),
      throughout: (paths) => where(isLocalThroughout(paths), throughout)
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
