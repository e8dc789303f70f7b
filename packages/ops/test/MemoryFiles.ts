import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import { type Call, FilesError } from "@fanout/ops/FilesError"
import * as FolderListing from "@fanout/ops/FolderListing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

interface Inode {
  readonly inode: bigint
  readonly kind: Files.FileKind
  readonly entries: Map<FilePath.FilePath, Inode>
  target: FilePath.FilePath
  content: Uint8Array
  mode: number
  times: Files.FileTimes
}

interface Place {
  readonly folder: Inode
  readonly name: FilePath.FilePath
  readonly found: Inode | undefined
  /** Path without links. */
  readonly path: FilePath.FilePath
}

/** Why a call fails, before it is known which call it is. */
class Errno extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

const fail = (code: string): never => {
  throw new Errno(code)
}

/** What is at a path, as tests compare it. */
export type Seen =
  | { readonly kind: "folder"; readonly mode: number; readonly modified: bigint }
  | { readonly kind: "file"; readonly text: string; readonly mode: number; readonly modified: bigint }
  | { readonly kind: "link"; readonly target: string; readonly modified: bigint }
  | { readonly kind: "special" }

const zero: Files.FileTimes = { accessedNanos: 0n, modifiedNanos: 0n }

/** A file system in memory, with what tests need to arrange and to look at. */
export class Disk {
  private lastInode = 1n
  private ticks = 0n
  readonly root: Inode = this.inode("folder", 0o755)
  /** Kinds that listings do not tell, as on file systems without them. */
  tellsKinds = true

  private inode(kind: Files.FileKind, mode: number): Inode {
    return {
      inode: this.lastInode++,
      kind,
      entries: new Map(),
      target: FilePath.empty,
      content: new Uint8Array(0),
      mode,
      times: zero
    }
  }

  place(path: FilePath.FilePath, follow: boolean, depth = 0): Place {
    if (depth > 40) fail("ELOOP")
    if (path === "") fail("ENOENT")
    let [folder, at] = [this.root, FilePath.make("/")]
    let place: Place = { folder, name: FilePath.empty, found: folder, path: at }
    const names = path.split("/").filter((name) => name !== "" && name !== ".")
    const mustBeFolder = path.endsWith("/") || path.endsWith("/.")
    for (const [index, text] of names.entries()) {
      if (place.found === undefined) fail("ENOENT")
      if (place.found?.kind !== "folder") fail("ENOTDIR")
      if (text === "..") {
        place = this.place(FilePath.parent(place.path), true)
        continue
      }
      folder = place.found ?? folder
      at = place.path
      const name = FilePath.make(text)
      place = { folder, name, found: folder.entries.get(name), path: FilePath.join(at, name) }
      const isLast = index === names.length - 1
      if (place.found?.kind === "link" && (!isLast || follow || mustBeFolder)) {
        place = this.place(FilePath.join(at, place.found.target), true, depth + 1)
      }
    }
    if (mustBeFolder && place.found !== undefined && place.found.kind !== "folder") fail("ENOTDIR")
    return place
  }

  find(path: FilePath.FilePath, follow = false): Inode {
    return this.place(path, follow).found ?? fail("ENOENT")
  }

  add(path: FilePath.FilePath, kind: Files.FileKind, mode: number): Inode {
    const place = this.place(path, false)
    if (place.found !== undefined) fail("EEXIST")
    const inode = this.inode(kind, mode)
    place.folder.entries.set(place.name, inode)
    this.touch(place.folder)
    return inode
  }

  remove(path: FilePath.FilePath): void {
    const place = this.place(path, false)
    if (place.found === undefined) fail("ENOENT")
    place.folder.entries.delete(place.name)
    this.touch(place.folder)
  }

  /** A folder that changes is changed now: later than anything a test sets. */
  touch(inode: Inode): void {
    inode.times = { ...inode.times, modifiedNanos: 9_000_000_000_000_000_000n + this.ticks++ }
  }

  // --- What tests arrange -------------------------------------------------------------------------------------------

  folder(path: string, options: { readonly mode?: number; readonly modified?: bigint } = {}): void {
    const made = this.add(FilePath.make(path), "folder", options.mode ?? 0o755)
    made.times = { accessedNanos: 7n, modifiedNanos: options.modified ?? 1_000n }
  }

  file(
    path: string,
    text: string | Uint8Array,
    options: { readonly mode?: number; readonly modified?: bigint } = {}
  ): void {
    const made = this.add(FilePath.make(path), "file", options.mode ?? 0o644)
    made.content = typeof text === "string" ? Buffer.from(text, "latin1") : text
    made.times = { accessedNanos: 7n, modifiedNanos: options.modified ?? 2_000n }
  }

  /** Changes the content of a file in place. */
  change(path: FilePath.FilePath, edit: (text: string) => string): void {
    const inode = this.find(path)
    inode.content = Buffer.from(edit(Buffer.from(inode.content).toString("latin1")), "latin1")
  }

  symlink(path: string, target: string, options: { readonly modified?: bigint } = {}): void {
    const made = this.add(FilePath.make(path), "link", 0o777)
    made.target = FilePath.make(target)
    made.times = { accessedNanos: 7n, modifiedNanos: options.modified ?? 3_000n }
  }

  special(path: string): void {
    this.add(FilePath.make(path), "special", 0o644)
  }

  hardLink(existing: string, path: string): void {
    const inode = this.find(FilePath.make(existing))
    const place = this.place(FilePath.make(path), false)
    place.folder.entries.set(place.name, inode)
  }

  // --- What tests look at -------------------------------------------------------------------------------------------

  see(path: string): Seen | undefined {
    const found = this.place(FilePath.make(path), false).found
    return found === undefined ? undefined : seen(found)
  }

  /** Everything under a folder, by relative path. */
  tree(path: string): Record<string, Seen> {
    const all: Record<string, Seen> = {}
    const visit = (inode: Inode, prefix: string): void => {
      for (const [name, child] of Array.from(inode.entries).toSorted(([a], [b]) => FilePath.order(a, b))) {
        all[prefix + name] = seen(child)
        visit(child, `${prefix}${name}/`)
      }
    }
    visit(this.find(FilePath.make(path), true), "")
    return all
  }
}

const seen = (inode: Inode): Seen => {
  const { kind, mode, times: { modifiedNanos: modified } } = inode
  if (kind === "folder") return { kind, mode, modified }
  if (kind === "link") return { kind, target: inode.target, modified }
  if (kind === "file") return { kind, text: Buffer.from(inode.content).toString("latin1"), mode, modified }
  return { kind: "special" }
}

const toStat = (inode: Inode): Files.FileStat => ({
  kind: inode.kind,
  device: 1n,
  inode: inode.inode,
  mode: inode.mode,
  owner: 0,
  group: 0,
  sizeBytes: inode.kind === "link" ? FilePath.toBytes(inode.target).length : inode.content.length,
  ...inode.times
})

const attempt = <A>(
  call: Call,
  path: FilePath.FilePath,
  body: () => A,
  target?: FilePath.FilePath
): Effect.Effect<A, FilesError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(body())
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      return Effect.fail(new FilesError({ call, path, code: error.code, target: Option.fromUndefinedOr(target) }))
    }
  })

const opened = (disk: Disk, inode: Inode, path: FilePath.FilePath): Files.OpenFile => {
  let [isOpen, offset, room] = [true, 0, new Uint8Array(0)]
  const use = <A>(call: Call, body: () => A) => attempt(call, path, () => isOpen ? body() : fail("EBADF"))
  return {
    stat: use("fstat", () => toStat(inode)),
    read: (buffer) =>
      use("read", () => {
        if (inode.kind === "folder") fail("EISDIR")
        const part = inode.content.subarray(offset, offset + buffer.length)
        buffer.set(part)
        offset += part.length
        return part.length
      }),
    readAt: (buffer, at) =>
      use("read", () => {
        if (inode.kind === "folder") fail("EISDIR")
        const part = inode.content.subarray(at, at + buffer.length)
        buffer.set(part)
        return part.length
      }),
    write: (bytes) =>
      use("write", () => {
        const end = offset + bytes.length
        // Room for twice as much, or many small writes would take the square of the time.
        if (end > room.length) {
          const larger = new Uint8Array(2 * end)
          larger.set(inode.content)
          room = larger
        }
        room.set(bytes, offset)
        inode.content = room.subarray(0, Math.max(inode.content.length, end))
        offset = end
        disk.touch(inode)
      }),
    setMode: (mode) =>
      use("fchmod", () => {
        inode.mode = mode
      }),
    setTimes: (times) =>
      use("futimes", () => {
        inode.times = { accessedNanos: times.accessedNanos, modifiedNanos: times.modifiedNanos }
      }),
    close: use("close", () => {
      isOpen = false
    })
  }
}

const scoped = (acquire: Effect.Effect<Files.OpenFile, FilesError>) =>
  Effect.acquireRelease(acquire, (file) => Effect.ignore(file.close))

const list = (disk: Disk, folder: FilePath.FilePath) =>
  Effect.flatMap(
    attempt("scandir", folder, () => {
      const inode = disk.find(folder)
      if (inode.kind !== "folder") fail("ENOTDIR")
      const builder = FolderListing.builderUnsafe()
      for (const [name, { kind }] of inode.entries) {
        builder.addUnsafe(Buffer.from(FilePath.toBytes(name)).toString("latin1"), disk.tellsKinds ? kind : "unknown")
      }
      return builder
    }),
    (builder) => builder.build
  )

const renamed = (disk: Disk, from: FilePath.FilePath, to: FilePath.FilePath): void => {
  const moved = disk.find(from)
  const place = disk.place(to, false)
  if (place.found === moved) return
  if (place.found?.kind === "folder" && moved.kind !== "folder") fail("EISDIR")
  if (place.found !== undefined && place.found.kind !== "folder" && moved.kind === "folder") fail("ENOTDIR")
  disk.remove(from)
  place.folder.entries.set(place.name, moved)
  disk.touch(place.folder)
}

export const make = (disk: Disk): Files.Files["Service"] => ({
  lstat: (path) => attempt("lstat", path, () => toStat(disk.find(path))),
  stat: (path) => attempt("stat", path, () => toStat(disk.find(path, true))),
  find: (path) =>
    Effect.catchIf(
      attempt("lstat", path, () => Option.some(toStat(disk.find(path)))),
      (error) => error.isMissing,
      () => Effect.succeedNone
    ),
  realPath: (path) =>
    attempt("realpath", path, () => {
      const place = disk.place(path, true)
      return place.found === undefined ? fail("ENOENT") : place.path
    }),
  list: (folder) => list(disk, folder),
  open: (path) =>
    scoped(attempt("open", path, () => {
      const inode = disk.find(path)
      return inode.kind === "link" ? fail("ELOOP") : opened(disk, inode, path)
    })),
  create: (path) => scoped(attempt("create", path, () => opened(disk, disk.add(path, "file", 0o600), path))),
  makeFolder: (path) => Effect.asVoid(attempt("mkdir", path, () => disk.add(path, "folder", 0o700))),
  readLink: (path) =>
    attempt("readlink", path, () => {
      const inode = disk.find(path)
      return inode.kind === "link" ? inode.target : fail("EINVAL")
    }),
  makeLink: (target, path) =>
    attempt("symlink", path, () => {
      disk.add(path, "link", 0o777).target = target
    }),
  setLinkTimes: (path, times) =>
    attempt("lutimes", path, () => {
      disk.find(path).times = { accessedNanos: times.accessedNanos, modifiedNanos: times.modifiedNanos }
    }),
  rename: (from, to) => attempt("rename", from, () => renamed(disk, from, to), to),
  link: (existing, path) =>
    attempt("link", existing, () => {
      const inode = disk.find(existing)
      const place = disk.place(path, false)
      if (place.found !== undefined) fail("EEXIST")
      place.folder.entries.set(place.name, inode)
      disk.touch(place.folder)
    }, path),
  unlink: (path) =>
    attempt("unlink", path, () => {
      if (disk.find(path).kind === "folder") fail("EISDIR")
      disk.remove(path)
    })
})

export const layer = (disk: Disk): Layer.Layer<Files.Files> => Layer.succeed(Files.Files, make(disk))
