/**
 * Calls the file system through `node:fs`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { type Call, FilesError } from "./FilesError.ts"
import * as FolderListing from "./FolderListing.ts"

type Done<A> = (error: NodeJS.ErrnoException | null, value: A) => void

/** Calls that read files, which a thread of its own may just as well wait for. */
interface Calls {
  readonly close: (descriptor: number, done: Done<void>) => void
  readonly fstat: (descriptor: number, options: { readonly bigint: true }, done: Done<fs.BigIntStats>) => void
  readonly lstat: (path: fs.PathLike, options: { readonly bigint: true }, done: Done<fs.BigIntStats>) => void
  readonly open: (path: fs.PathLike, flags: number, mode: number, done: Done<number>) => void
  readonly read: (
    descriptor: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null,
    done: Done<number>
  ) => void
}

const CurrentCalls = Context.Reference<Calls>("@fanout/ops/NodeFiles/CurrentCalls", { defaultValue: () => fs })

/**
 * Runs one call. It can't be called off: libuv goes on with it, so an interrupted fiber must wait for it too.
 */
const attempt = <A>(
  start: (done: Done<A>, calls: Calls) => void,
  onError: (error: NodeJS.ErrnoException) => Effect.Effect<A, FilesError>
): Effect.Effect<A, FilesError> =>
  Effect.withFiber((fiber) => {
    const calls = Context.get(fiber.context, CurrentCalls)
    return Effect.uninterruptible(Effect.callback<A, FilesError>((resume) => {
      start((error, value) => resume(error ? onError(error) : Effect.succeed(value)), calls)
    }))
  })

const failure = (
  call: Call,
  path: FilePath.FilePath,
  target: FilePath.FilePath | undefined,
  error: NodeJS.ErrnoException
): FilesError => new FilesError({ call, path, target: Option.fromUndefinedOr(target), code: error.code ?? error.name })

const run = <A>(
  call: Call,
  path: FilePath.FilePath,
  start: (done: Done<A>, calls: Calls) => void,
  target?: FilePath.FilePath
): Effect.Effect<A, FilesError> => attempt(start, (error) => Effect.fail(failure(call, path, target, error)))

/** Node passes text on as UTF-8; only what is not UTF-8 needs a buffer. */
const native = (path: FilePath.FilePath): string | Buffer => path.isWellFormed() ? path : nativeBytes(path)

const nativeBytes = (path: FilePath.FilePath): Buffer => {
  const bytes = FilePath.toBytes(path)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const bigint = { bigint: true } as const

const kindOf = (stats: fs.BigIntStats): Files.FileKind =>
  stats.isFile() ? "file" : stats.isDirectory() ? "folder" : stats.isSymbolicLink() ? "link" : "special"

const toStat = (stats: fs.BigIntStats): Files.FileStat => ({
  kind: kindOf(stats),
  device: stats.dev,
  inode: stats.ino,
  mode: Number(stats.mode & 0o7777n),
  owner: Number(stats.uid),
  group: Number(stats.gid),
  sizeBytes: Number(stats.size),
  accessedNanos: stats.atimeNs,
  modifiedNanos: stats.mtimeNs
})

/**
 * Seconds for `utimes`. A double holds the times of today to a quarter of a microsecond. Node takes a number below
 * zero for the present time, and text for what it says.
 */
const toSeconds = (nanos: bigint): number | string => {
  const seconds = Number(nanos / 1_000_000_000n) + Number(nanos % 1_000_000_000n) / 1e9
  return seconds < 0 ? String(seconds) : seconds
}

const missing = new Set(["ENOENT", "ENOTDIR"])

const find = (path: FilePath.FilePath): Effect.Effect<Option.Option<Files.FileStat>, FilesError> =>
  attempt<Option.Option<Files.FileStat>>(
    (done, calls) =>
      calls.lstat(
        native(path),
        bigint,
        (error, stats) => done(error, error ? Option.none() : Option.some(toStat(stats)))
      ),
    (error) =>
      missing.has(error.code ?? "")
        ? Effect.succeedNone
        : Effect.fail(failure("lstat", path, undefined, error))
  )

const lstat = (path: FilePath.FilePath): Effect.Effect<Files.FileStat, FilesError> =>
  Effect.map(run<fs.BigIntStats>("lstat", path, (done, calls) => calls.lstat(native(path), bigint, done)), toStat)

// --- Open files -----------------------------------------------------------------------------------------------------

class NodeFile implements Files.OpenFile {
  private isOpen = true
  private readonly descriptor: number
  private readonly path: FilePath.FilePath

  constructor(descriptor: number, path: FilePath.FilePath) {
    this.descriptor = descriptor
    this.path = path
  }

  /** Never hands a descriptor to the kernel that is closed: the number may be somebody else's by now. */
  private call<A>(
    call: Call,
    start: (descriptor: number, done: Done<A>, calls: Calls) => void
  ): Effect.Effect<A, FilesError> {
    return Effect.suspend(() =>
      this.isOpen
        ? run<A>(call, this.path, (done, calls) => start(this.descriptor, done, calls))
        : Effect.fail(this.error(call, "EBADF"))
    )
  }

  private error(call: Call, code: string): FilesError {
    return new FilesError({ call, path: this.path, target: Option.none(), code })
  }

  readonly stat: Effect.Effect<Files.FileStat, FilesError> = Effect.map(
    this.call<fs.BigIntStats>("fstat", (descriptor, done, calls) => calls.fstat(descriptor, bigint, done)),
    toStat
  )

  read(buffer: Uint8Array): Effect.Effect<number, FilesError> {
    return this.readFrom(buffer, null)
  }

  readAt(buffer: Uint8Array, offset: number): Effect.Effect<number, FilesError> {
    return this.readFrom(buffer, offset)
  }

  private readFrom(buffer: Uint8Array, position: number | null): Effect.Effect<number, FilesError> {
    return this.call(
      "read",
      (descriptor, done, calls) => calls.read(descriptor, buffer, 0, buffer.byteLength, position, done)
    )
  }

  write(bytes: Uint8Array): Effect.Effect<void, FilesError> {
    const written = this.call<number>(
      "write",
      (descriptor, done) => fs.write(descriptor, bytes, 0, bytes.byteLength, null, done)
    )
    return Effect.flatMap(written, (length) => {
      if (length === bytes.byteLength) return Effect.void
      // A device that takes nothing and names no error would be asked for ever.
      if (length === 0) return Effect.fail(this.error("write", "EIO"))
      return this.write(bytes.subarray(length))
    })
  }

  setMode(mode: number): Effect.Effect<void, FilesError> {
    return this.call("fchmod", (descriptor, done) => fs.fchmod(descriptor, mode, done))
  }

  setTimes({ accessedNanos, modifiedNanos }: Files.FileTimes): Effect.Effect<void, FilesError> {
    return this.call(
      "futimes",
      (descriptor, done: Done<void>) => fs.futimes(descriptor, toSeconds(accessedNanos), toSeconds(modifiedNanos), done)
    )
  }

  readonly close: Effect.Effect<void, FilesError> = this.call<void>("close", (descriptor, done, calls) => {
    this.isOpen = false
    calls.close(descriptor, done)
  })

  /** What the finalizer of the scope does. A file that fails to close here was read, or is given up anyway. */
  readonly release: Effect.Effect<void> = Effect.suspend(() => this.isOpen ? Effect.ignore(this.close) : Effect.void)
}

const open = (
  call: "open" | "create",
  path: FilePath.FilePath,
  flags: number
): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> =>
  Files.waitForDescriptor(Effect.acquireRelease(
    Effect.map(
      run<number>(call, path, (done, calls) => calls.open(native(path), flags, 0o600, done)),
      (descriptor) => new NodeFile(descriptor, path)
    ),
    (file) => file.release
  ))

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants

// --- Listings -------------------------------------------------------------------------------------------------------

const kindOfEntry = (entry: fs.Dirent): FolderListing.EntryKind =>
  entry.isFile() ? "file" : entry.isDirectory() ? "folder" : entry.isSymbolicLink() ? "link" : "special"

// As Latin-1 a name is one character for each byte, whatever the bytes are.
const encoding = "latin1"

/**
 * Reads the folder in one call, the fastest way by far for what most folders hold.
 *
 * Where a file system does not tell kinds, Node would ask for each by a path that it builds from the decoded
 * name. It can't build one from a buffer and a string, and reports that instead: the sign to list without kinds.
 */
const listAtOnce = (folder: FilePath.FilePath): Effect.Effect<FolderListing.FolderListing, FilesError> => {
  const builder = FolderListing.builderUnsafe()
  const path = nativeBytes(folder)
  return Effect.andThen(
    attempt<void>(
      (done) =>
        fs.readdir(path, { encoding, withFileTypes: true }, (error, entries) => {
          if (!error) { for (const entry of entries) builder.addUnsafe(entry.name, kindOfEntry(entry)) }
          done(error)
        }),
      (error) =>
        error.code === "ERR_INVALID_ARG_TYPE"
          ? run<void>("scandir", folder, (done) =>
            fs.readdir(path, { encoding }, (error, names) => {
              if (!error) { for (const name of names) builder.addUnsafe(name, "unknown") }
              done(error)
            }))
          : Effect.fail(failure("scandir", folder, undefined, error))
    ),
    builder.build
  )
}

const entriesPerBatch = 1024

/** Reads the next entries, and returns whether there may be more. */
const readBatch = (
  folder: FilePath.FilePath,
  opened: fs.Dir,
  builder: FolderListing.Builder
): Effect.Effect<boolean, FilesError> =>
  run<boolean>("scandir", folder, (done) => {
    let left = entriesPerBatch
    const next = (error: NodeJS.ErrnoException | null, entry: fs.Dirent | null): void => {
      if (error || entry === null) return done(error, false)
      builder.addUnsafe(entry.name, kindOfEntry(entry))
      if (--left === 0) return done(null, true)
      opened.read(next)
    }
    opened.read(next)
  })

/** Reads the folder in batches: a million entries at once would hold up the event loop, and half a gigabyte. */
const listInBatches = (folder: FilePath.FilePath): Effect.Effect<FolderListing.FolderListing, FilesError> =>
  Effect.acquireUseRelease(
    run<fs.Dir>(
      "scandir",
      folder,
      (done) => fs.opendir(nativeBytes(folder), { encoding, bufferSize: entriesPerBatch }, done)
    ),
    Effect.fnUntraced(function*(opened) {
      const builder = FolderListing.builderUnsafe()
      while (yield* readBatch(folder, opened, builder)) {
        // Each batch is one step.
      }
      return yield* builder.build
    }),
    (opened) => Effect.ignore(run<void>("close", folder, (done: Done<void>) => opened.close(done)))
  )

// What a folder itself takes up tells roughly how much is in it: some thousand entries here.
const largeFolderBytes = 65_536

const list = Effect.fnUntraced(function*(folder: FilePath.FilePath) {
  const stat = yield* lstat(folder)
  if (stat.kind !== "folder") {
    return yield* new FilesError({ call: "scandir", path: folder, target: Option.none(), code: "ENOTDIR" })
  }
  if (stat.sizeBytes <= largeFolderBytes) return yield* listAtOnce(folder)
  return yield* Effect.catchIf(
    listInBatches(folder),
    (error) => error.code === "ERR_INVALID_ARG_TYPE",
    () => listAtOnce(folder)
  )
})

// --- Service --------------------------------------------------------------------------------------------------------

/**
 * Layer that calls the file system through `node:fs`.
 *
 * **Gotchas**
 *
 * Times are set to the microsecond at best, since `node:fs` takes them as a double. A folder above the last
 * component that is swapped for a link is followed: `node:fs` knows paths, not descriptors.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Files.Files> = Layer.succeed(Files.Files, {
  lstat,
  stat: (path) => Effect.map(run<fs.BigIntStats>("stat", path, (done) => fs.stat(native(path), bigint, done)), toStat),
  find,
  realPath: (path) =>
    Effect.map(
      run<Buffer>("realpath", path, (done) => fs.realpath.native(native(path), "buffer", done)),
      FilePath.fromBytes
    ),
  list: (folder) => Files.waitForDescriptor(list(folder)),
  open: (path) => open("open", path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
  create: (path) => open("create", path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW),
  makeFolder: (path) => run("mkdir", path, (done: Done<void>) => fs.mkdir(native(path), 0o700, done)),
  readLink: (path) =>
    Effect.map(
      run<Buffer>("readlink", path, (done) => fs.readlink(native(path), "buffer", done)),
      FilePath.fromBytes
    ),
  makeLink: (target, path) =>
    run("symlink", path, (done: Done<void>) => fs.symlink(native(target), native(path), done)),
  setLinkTimes: (path, { accessedNanos, modifiedNanos }) =>
    run(
      "lutimes",
      path,
      (done: Done<void>) => fs.lutimes(native(path), toSeconds(accessedNanos), toSeconds(modifiedNanos), done)
    ),
  rename: (from, to) => run("rename", from, (done: Done<void>) => fs.rename(native(from), native(to), done), to),
  link: (existing, path) =>
    run("link", existing, (done: Done<void>) => fs.link(native(existing), native(path), done), path),
  unlink: (path) => run("unlink", path, (done: Done<void>) => fs.unlink(native(path), done))
})

/** Makes a call at once, and gives what it comes to. */
const atOnce = <A>(done: Done<A>, call: () => A): void => {
  let end: () => void
  try {
    const value = call()
    end = () => done(null, value)
  } catch (error) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what Node throws, and nobody reads the value
    end = () => done(error as NodeJS.ErrnoException, undefined as A)
  }
  end()
}

/**
 * Layer that calls the file system as `layer` does, and has whoever reads a file wait for it: on a thread of its own
 * that is several times as fast, since nothing goes through Node's pool of four threads.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBlocking: Layer.Layer<Files.Files> = Layer.merge(
  layer,
  Layer.succeed(CurrentCalls, {
    close: (descriptor, done) => atOnce(done, () => fs.closeSync(descriptor)),
    fstat: (descriptor, options, done) => atOnce(done, () => fs.fstatSync(descriptor, options)),
    lstat: (path, options, done) => atOnce(done, () => fs.lstatSync(path, options)),
    open: (path, flags, mode, done) => atOnce(done, () => fs.openSync(path, flags, mode)),
    read: (descriptor, buffer, offset, length, position, done) =>
      atOnce(done, () => fs.readSync(descriptor, buffer, offset, length, position))
  })
)
