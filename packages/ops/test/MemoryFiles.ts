import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import { type Call, FilesError } from "@fanout/ops/FilesError"
import * as FolderListing from "@fanout/ops/FolderListing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { isLost } from "../src/internal/attributes.ts"
import { withoutAttributes } from "../src/internal/calls/systemCalls.ts"

/** How a file system takes what it is given, where it is none of the usual ones of Linux. */
export interface Ways {
  /** What a name is stored as; gives the code of an error where it is refused. */
  readonly store?: (name: string) => string | { readonly code: string }
  /** Names are one where this makes the same of what they are stored as. */
  readonly fold?: (stored: string) => string
  /** So many nanoseconds are the least that times differ by. */
  readonly stepNanos?: bigint
  /** Takes modes, times or owners, and has forgotten them. */
  readonly forgets?: boolean
  /** Extended attributes can't be listed. */
  readonly hidesAttributes?: boolean
  /** What is looked at by another spelling of its name has another inode, as on some file systems in user space. */
  readonly inodesByName?: boolean
  /** Files have one name each. */
  readonly lacksLinks?: boolean
}

interface Inode {
  readonly device: bigint
  readonly inode: bigint
  readonly born: bigint
  readonly kind: Files.FileKind
  readonly entries: Map<FilePath.FilePath, Inode>
  target: FilePath.FilePath
  content: Uint8Array
  links: number
  owner: Files.Owner
  readonly attributes: Map<string, Uint8Array>
  mode: number
  times: Files.FileTimes
  changed: bigint
  /** Whether it is a folder that was removed. */
  isGone: boolean
  /** What holds for names in it, if it is a folder, and for what it is told; as for the folder that it was made in. */
  ways: Ways
  /** What it is on. */
  mount: bigint
  /** Content that could not be written to the device: it counts as written all the same. */
  lost: Uint8Array | undefined
  /** What is left of it after a power cut. */
  onDevice: { readonly content: Uint8Array; readonly entries: ReadonlyMap<FilePath.FilePath, Inode> }
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

const maxNameBytes = 255
const maxPathBytes = 4095

/** What the kernel takes for a path, where it is not walked by handles. */
const short = (path: FilePath.FilePath): FilePath.FilePath =>
  FilePath.toBytes(path).length > maxPathBytes ? fail("ENAMETOOLONG") : path

/** A name of one component. */
const checked = (name: FilePath.FilePath): FilePath.FilePath => {
  if (name === "" || name === "." || name === ".." || name.includes("/")) fail("EINVAL")
  return FilePath.toBytes(name).length > maxNameBytes ? fail("ENAMETOOLONG") : name
}

const storedAs = ({ ways: { store } }: Inode, name: FilePath.FilePath): FilePath.FilePath => {
  const stored = store?.(name) ?? name
  return typeof stored === "string" ? FilePath.make(stored) : fail(stored.code)
}

/** The name of an entry that a folder takes this one for, if there is one. */
const entryNamed = (folder: Inode, name: FilePath.FilePath): FilePath.FilePath | undefined => {
  const { entries, ways: { fold, store } } = folder
  if (fold === undefined && store === undefined) return entries.has(name) ? name : undefined
  const folded = fold ?? ((stored: string) => stored)
  const wanted = folded(storedAs(folder, name))
  return Array.from(entries.keys()).find((stored) => folded(stored) === wanted)
}

const entryOf = (folder: Inode, name: FilePath.FilePath): Inode | undefined => {
  const stored = entryNamed(folder, name)
  return stored === undefined ? undefined : folder.entries.get(stored)
}

/** A file system in memory, with what tests need to arrange and to look at. */
export class Disk {
  private lastInode = 1n
  private lastBorn = 1n
  private readonly freeInodes: Array<bigint> = []
  private lastMount = 1n
  /** Files that have no name yet. */
  readonly unnamed = new Set<Inode>()
  private ticks = 9_000_000_000_000_000_000n
  /** Device of what is created from now on. */
  device = 1n
  readonly root: Inode = this.inode("folder", 0o755)
  /** What names the file system of a device; nothing does where it is not in here. */
  readonly fileSystems = new Map([[1n, "memory"]])
  /** Gives the inode of what is removed to what is created next, as ext4 does. */
  usesInodesAgain = false
  /** Whether it is known when something was created. */
  tellsBirth = true
  /** Kinds that listings do not tell, as on file systems without them. */
  tellsKinds = true
  /** Files without a name, which some file systems don't have. */
  takesUnnamed = true
  /** Extended attributes, which some file systems don't have. */
  takesAttributes = true
  /** Copies from file to file, which some kernels don't do. */
  copiesByItself = true
  /** Renames where a name is free, and not otherwise, in one step. */
  renamesExclusively = true
  /** Has files share blocks. */
  sharesBlocks = false
  /** Whether a file system can be flushed as one. */
  syncsAsOne = true
  /** Files and folders that are open. */
  openCount = 0
  /** What a device makes of what is written to it. */
  corrupts = (content: Uint8Array): Uint8Array => content
  /** Files and folders, and file systems, that were flushed. */
  syncs = { one: 0, all: 0 }

  inode(kind: Files.FileKind, mode: number): Inode {
    return {
      device: this.device,
      inode: (this.usesInodesAgain ? this.freeInodes.shift() : undefined) ?? this.lastInode++,
      born: this.tellsBirth ? this.lastBorn++ : 0n,
      kind,
      entries: new Map(),
      target: FilePath.empty,
      content: new Uint8Array(0),
      links: 0,
      owner: { owner: 0, group: 0 },
      attributes: new Map(),
      mode,
      times: zero,
      changed: this.ticks,
      isGone: false,
      ways: {},
      mount: 1n,
      lost: undefined,
      onDevice: { content: new Uint8Array(0), entries: new Map() }
    }
  }

  /** A device fails to write what it is to: nobody tries again, as on Linux. */
  loseDirty(): void {
    const visit = (inode: Inode): void => {
      if (Buffer.compare(inode.content, inode.onDevice.content) !== 0) inode.lost = inode.content
      inode.entries.forEach(visit)
    }
    visit(this.root)
    this.unnamed.forEach(visit)
  }

  /** Flushes one file or folder. */
  sync(inode: Inode): void {
    const content = inode.content === inode.lost ? inode.onDevice.content : inode.content.slice()
    inode.onDevice = { content, entries: new Map(inode.entries) }
  }

  /** Flushes all that has a name, or is one of those. */
  syncAll(more: Iterable<Inode> = this.unnamed): void {
    const visit = (inode: Inode): void => {
      this.sync(inode)
      inode.entries.forEach(visit)
    }
    visit(this.root)
    for (const inode of more) this.sync(inode)
  }

  /** Leaves what was flushed. */
  cutPower(): void {
    const visit = (inode: Inode): void => {
      inode.content = inode.onDevice.content.slice()
      inode.entries.clear()
      for (const [name, entry] of inode.onDevice.entries) inode.entries.set(name, entry)
      inode.entries.forEach(visit)
    }
    visit(this.root)
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
      place = { folder, name, found: entryOf(folder, name), path: FilePath.join(at, name) }
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

  /** What is at a real path, however long it is: no link is followed. Dots mean what they mean to the kernel. */
  real(path: FilePath.FilePath): Inode {
    const above: Array<Inode> = []
    let found = this.root
    for (const name of path.split("/").filter((name) => name !== "")) {
      if (found.kind !== "folder") fail("ENOTDIR")
      if (name === ".") continue
      if (name === "..") {
        found = above.pop() ?? this.root
        continue
      }
      above.push(found)
      found = entryOf(found, FilePath.make(name)) ?? fail("ENOENT")
    }
    if (path.endsWith("/") && found.kind !== "folder") fail("ENOTDIR")
    return found
  }

  put(folder: Inode, name: FilePath.FilePath, inode: Inode): void {
    if (folder.isGone) fail("ENOENT")
    if (entryNamed(folder, name) !== undefined) fail("EEXIST")
    folder.entries.set(storedAs(folder, name), inode)
    inode.ways = folder.ways
    inode.links++
    inode.mount = folder.mount
    inode.changed = ++this.ticks
    this.touch(folder)
  }

  add(path: FilePath.FilePath, kind: Files.FileKind, mode: number): Inode {
    const { folder, name } = this.place(path, false)
    const inode = this.inode(kind, mode)
    this.put(folder, name, inode)
    return inode
  }

  /** Takes a name away, and with the name of a folder all that is in it. */
  take(folder: Inode, name: FilePath.FilePath): void {
    const stored = entryNamed(folder, name) ?? fail("ENOENT")
    const found = folder.entries.get(stored) ?? fail("ENOENT")
    folder.entries.delete(stored)
    if (--found.links === 0) this.freeInodes.push(found.inode)
    found.changed = ++this.ticks
    this.touch(folder)
    if (found.kind !== "folder") return
    found.isGone = true
    for (const inner of Array.from(found.entries.keys())) this.take(found, inner)
  }

  move(from: Inode, name: FilePath.FilePath, to: Inode, newName: FilePath.FilePath): void {
    const stored = entryNamed(from, name) ?? fail("ENOENT")
    const moved = from.entries.get(stored) ?? fail("ENOENT")
    const found = entryOf(to, newName)
    if (found === moved) return
    if (moved.mount !== from.mount) fail("EBUSY")
    if (from.mount !== to.mount) fail("EXDEV")
    if (found?.kind === "folder" && moved.kind !== "folder") fail("EISDIR")
    if (found !== undefined && found.kind !== "folder" && moved.kind === "folder") fail("ENOTDIR")
    if (found !== undefined && found.entries.size > 0) fail("ENOTEMPTY")
    from.entries.delete(stored)
    moved.links--
    this.touch(from)
    // What is replaced gives its name on, in its spelling, as it does on Linux.
    const spelled = entryNamed(to, newName) ?? newName
    if (found !== undefined) this.take(to, newName)
    this.put(to, spelled, moved)
  }

  /** What changes is changed now: later than anything a test sets. */
  touch(inode: Inode): void {
    inode.times = { ...inode.times, modifiedNanos: ++this.ticks }
    inode.changed = this.ticks
  }

  setTimes(inode: Inode, { accessedNanos, modifiedNanos }: Files.FileTimes): void {
    const { forgets = false, stepNanos = 1n } = inode.ways
    const rounded = (nanos: bigint): bigint => nanos - nanos % stepNanos
    if (!forgets) inode.times = { accessedNanos: rounded(accessedNanos), modifiedNanos: rounded(modifiedNanos) }
    inode.changed = ++this.ticks
  }

  setOwner(inode: Inode, { group, owner }: Files.Owner): void {
    if (inode.ways.forgets !== true) inode.owner = { owner, group }
    inode.mode &= ~0o6000
    inode.changed = ++this.ticks
  }

  setMode(inode: Inode, mode: number): void {
    if (inode.ways.forgets !== true) inode.mode = mode
    inode.changed = ++this.ticks
  }

  // --- What tests arrange -------------------------------------------------------------------------------------------

  /** Has the folder, and what comes to be in it, take things in these ways. */
  takes(path: string, ways: Ways): void {
    this.find(FilePath.make(path)).ways = ways
  }

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
    inode.changed = ++this.ticks
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
    const { folder, name } = this.place(FilePath.make(path), false)
    this.put(folder, name, this.find(FilePath.make(existing)))
  }

  /** Makes an empty folder a mount point: of another device, or of the same one once more. */
  mount(path: string, device: "other" | "same" = "other"): void {
    this.find(FilePath.make(path)).mount = this.lastMount += device === "other" ? 256n : 1n
  }

  remove(path: string): void {
    const { folder, name } = this.place(FilePath.make(path), false)
    this.take(folder, name)
  }

  rename(from: string, to: string): void {
    const [old, now] = [this.place(FilePath.make(from), false), this.place(FilePath.make(to), false)]
    this.move(old.folder, old.name, now.folder, now.name)
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

/** Mounts with numbers near each other are of one device. */
const deviceOf = ({ device, mount }: Inode): bigint => device + mount / 256n

const toIdentity = (inode: Inode): Files.Identity => ({
  device: deviceOf(inode),
  inode: inode.inode,
  bornNanos: inode.born,
  mount: inode.mount
})

export const toStat = (inode: Inode): Files.FileStat => ({
  kind: inode.kind,
  device: deviceOf(inode),
  inode: inode.inode,
  links: inode.links,
  mode: inode.mode,
  ...inode.owner,
  sizeBytes: inode.kind === "link" ? FilePath.toBytes(inode.target).length : inode.content.length,
  allocatedBytes: inode.content.length,
  ...inode.times,
  changedNanos: inode.changed,
  bornNanos: inode.born
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

/** Something that is open until it is closed. */
class Handle {
  private isOpen = true
  private readonly disk: Disk

  constructor(disk: Disk) {
    this.disk = disk
    disk.openCount++
  }

  use<A>(body: () => A): A {
    return this.isOpen ? body() : fail("EBADF")
  }

  close(): void {
    if (this.isOpen) this.disk.openCount--
    this.isOpen = false
  }
}

/** Opens within a scope. */
const scoped = <A>(
  disk: Disk,
  call: Call,
  path: FilePath.FilePath,
  open: (handle: () => Handle) => A
): Effect.Effect<A, FilesError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      attempt(call, path, () => {
        let handle: Handle | undefined
        const opened = open(() => handle ??= new Handle(disk))
        return { handle, opened }
      }),
      ({ handle }) => Effect.sync(() => handle?.close())
    ),
    ({ opened }) => opened
  )

/** Inodes of files that are open, as other files copy from them. */
const inodes = new WeakMap<Files.OpenFile, Inode>()

/** Content that many small writes go to: there is room for twice as much, or they would take the square of the time. */
const writing = (disk: Disk, inode: Inode) => {
  let room = new Uint8Array(0)
  return (bytes: Uint8Array, at: number): void => {
    const end = at + bytes.length
    if (end > room.length || inode.content.buffer !== room.buffer) {
      room = new Uint8Array(2 * Math.max(end, inode.content.length))
      room.set(inode.content)
    }
    // What was cut off, and what was skipped, reads as zeros.
    if (at > inode.content.length) room.fill(0, inode.content.length, at)
    room.set(bytes, at)
    inode.content = room.subarray(0, Math.max(inode.content.length, end))
    disk.touch(inode)
  }
}

const attributeNames = (disk: Disk, { attributes, ways }: Inode): ReadonlyArray<string> =>
  ways.hidesAttributes === true
    ? fail("EIO")
    : disk.takesAttributes
    ? Array.from(attributes.keys())
    : fail("ENOTSUP")

const attribute = ({ attributes }: Inode, name: string): Uint8Array => attributes.get(name) ?? fail("ENODATA")

const setAttribute = (disk: Disk, inode: Inode, { name, value }: Files.Attribute): void => {
  if (!disk.takesAttributes) fail("ENOTSUP")
  // As Linux has it.
  if (inode.kind === "link" && name.startsWith("user.")) fail("EPERM")
  inode.attributes.set(name, value)
}

const fileOf = (disk: Disk, inode: Inode, path: FilePath.FilePath, handle: Handle): Files.OpenFile => {
  let offset = 0
  const writeTo = writing(disk, inode)
  const use = <A>(call: Call, body: () => A) => attempt(call, path, () => handle.use(body))
  const readFrom = (buffer: Uint8Array, at: number): number => {
    if (inode.kind === "folder") fail("EISDIR")
    const part = inode.content.subarray(at, at + buffer.length)
    buffer.set(part)
    return part.length
  }
  const from = (file: Files.OpenFile): Inode => inodes.get(file) ?? fail("EBADF")
  const forget = use("fadvise", () => {
    inode.content = disk.corrupts(inode.onDevice.content)
  })
  const file: Files.OpenFile = {
    stat: use("fstat", () => toStat(inode)),
    fileSystem: use("fstatfs", () => Option.fromUndefinedOr(disk.fileSystems.get(inode.device))),
    read: (buffer) =>
      use("read", () => {
        const length = readFrom(buffer, offset)
        offset += length
        return length
      }),
    readAt: (buffer, at) => use("read", () => readFrom(buffer, at)),
    write: (bytes) =>
      use("write", () => {
        writeTo(bytes, offset)
        offset += bytes.length
      }),
    writeAt: (bytes, at) => use("write", () => writeTo(bytes, at)),
    dataFrom: (at) =>
      use(
        "lseek",
        () => at < inode.content.length ? Option.some({ start: at, end: inode.content.length }) : Option.none()
      ),
    copyFrom: (file, at, bytes) =>
      use("copy_file_range", () => {
        if (!disk.copiesByItself) fail("EXDEV")
        const part = from(file).content.subarray(at, at + bytes)
        if (part.length > 0) writeTo(part, at)
        return part.length
      }),
    cloneFrom: (file) =>
      use("ficlone", () => {
        inode.content = disk.sharesBlocks ? from(file).content.slice() : fail("EOPNOTSUPP")
      }),
    truncate: (sizeBytes) =>
      use("ftruncate", () => {
        const content = new Uint8Array(sizeBytes)
        content.set(inode.content.subarray(0, sizeBytes))
        inode.content = content
        disk.touch(inode)
      }),
    forget,
    readAnew: forget,
    sync: use("fsync", () => {
      disk.syncs.one++
      disk.sync(inode)
    }),
    syncFileSystem: use("syncfs", () => {
      if (!disk.syncsAsOne) fail("ENOTSUP")
      disk.syncs.all++
      disk.syncAll()
    }),
    attributeNames: use("listxattr", () => attributeNames(disk, inode)),
    attribute: (name) => use("getxattr", () => attribute(inode, name)),
    setAttribute: (attribute) => use("setxattr", () => setAttribute(disk, inode, attribute)),
    setOwner: (owner) => use("fchown", () => disk.setOwner(inode, owner)),
    setMode: (mode) => use("fchmod", () => disk.setMode(inode, mode)),
    setTimes: (times) => use("futimes", () => disk.setTimes(inode, times)),
    close: use("close", () => handle.close())
  }
  inodes.set(file, inode)
  return file
}

const list = (
  disk: Disk,
  path: FilePath.FilePath,
  find: () => Inode
): Effect.Effect<FolderListing.FolderListing, FilesError> =>
  Effect.flatMap(
    attempt("scandir", path, () => {
      const inode = find()
      if (inode.kind !== "folder") fail("ENOTDIR")
      const builder = FolderListing.builderUnsafe()
      for (const [name, { kind }] of inode.entries) {
        builder.addUnsafe(Buffer.from(FilePath.toBytes(name)).toString("latin1"), disk.tellsKinds ? kind : "unknown")
      }
      return builder
    }),
    (builder) => builder.build
  )

const foldersIn = (disk: Disk, path: FilePath.FilePath): Effect.Effect<Files.FoldersIn, FilesError> =>
  Effect.flatMap(
    attempt("scandir", path, () => {
      const inode = disk.real(path)
      if (inode.kind !== "folder") fail("ENOTDIR")
      const builder = FolderListing.builderUnsafe()
      let others = 0
      for (const [name, { kind }] of inode.entries) {
        if (!disk.tellsKinds || kind !== "folder") others++
        if (!disk.tellsKinds || kind === "folder") {
          builder.addUnsafe(Buffer.from(FilePath.toBytes(name)).toString("latin1"), disk.tellsKinds ? kind : "unknown")
        }
      }
      return { builder, identity: toIdentity(inode), others }
    }),
    ({ builder, ...rest }) => Effect.map(builder.build, (listing) => ({ ...rest, listing }))
  )

const optional = (
  stat: Effect.Effect<Files.FileStat, FilesError>
): Effect.Effect<Option.Option<Files.FileStat>, FilesError> =>
  Effect.catchIf(Effect.asSome(stat), (error) => error.isMissing, () => Effect.succeedNone)

const openFolder = (disk: Disk, inode: Inode, path: FilePath.FilePath, handle: () => Handle): Files.Folder =>
  inode.kind === "folder" ? folderOf(disk, inode, path, handle()) : fail("ENOTDIR")

const openFile = (disk: Disk, inode: Inode, path: FilePath.FilePath, handle: () => Handle): Files.OpenFile =>
  inode.kind === "link" ? fail("ELOOP") : fileOf(disk, inode, path, handle())

const unnamedOf = (
  disk: Disk,
  folder: Inode,
  path: FilePath.FilePath,
  own: () => Handle,
  parent: Handle
): Files.UnnamedFile => {
  if (!disk.takesUnnamed || folder.ways.lacksLinks === true) fail("ENOTSUP")
  if (folder.isGone) fail("ENOENT")
  const [inode, handle] = [disk.inode("file", 0o600), own()]
  inode.ways = folder.ways
  disk.unnamed.add(inode)
  return {
    ...fileOf(disk, inode, path, handle),
    link: (name) =>
      attempt(
        "link",
        FilePath.join(path, name),
        () => handle.use(() => parent.use(() => disk.put(folder, checked(name), inode)))
      )
  }
}

/** Does something with names, one after the other, until it is not gone through with one. Gives how many it was. */
const oneByOne = <R>(
  names: ReadonlyArray<FilePath.FilePath>,
  one: (name: FilePath.FilePath) => Effect.Effect<boolean, FilesError, R>,
  on: Pick<Files.Reader, "mayGoOn" | "fail">
): Effect.Effect<number, never, R> =>
  Effect.gen(function*() {
    for (const [index, name] of names.entries()) {
      if (!on.mayGoOn()) return index
      const isThrough = yield* Effect.catch(one(name), (error) => Effect.as(Effect.sync(() => on.fail(error)), true))
      if (!isThrough) return index
    }
    return names.length
  })

/** Empties folders one by one. */
export const sweepEach = (
  { folder, removeFolder }: Pick<Files.Folder, "folder" | "removeFolder">,
  names: ReadonlyArray<FilePath.FilePath>,
  sweeper: Files.Sweeper
): Effect.Effect<number> => {
  const empty = Effect.fnUntraced(function*(name: FilePath.FilePath) {
    const opened = yield* folder(name)
    if (!sweeper.begin(name, yield* opened.identity)) return "left"
    const listing = yield* opened.list
    for (let i = 0; i < listing.size; i++) {
      const inner = listing.nameAt(i)
      if (listing.kindAt(i) === "folder" || sweeper.isLeft(inner)) continue
      if (!sweeper.mayGoOn()) return "stopped"
      const isGone = yield* Effect.match(opened.unlink(inner), {
        onFailure: ({ code }) => code === "ENOENT",
        onSuccess: () => true
      })
      if (isGone) sweeper.removedName()
    }
    return "empty"
  }, Effect.scoped)
  return Effect.gen(function*() {
    for (const [index, name] of names.entries()) {
      if (!sweeper.mayGoOn()) return index
      const state = yield* Effect.orElseSucceed(empty(name), () => "empty")
      if (state === "stopped") return index
      if (state === "left") continue
      yield* Effect.match(removeFolder(name), { onFailure: () => undefined, onSuccess: () => sweeper.removedFolder() })
    }
    return names.length
  })
}

/** Reads files of folders one by one. */
export const readEach = Effect.fnUntraced(function*(
  folder: Files.Files["Service"]["folder"],
  folders: ReadonlyArray<Files.FilesIn>,
  reader: Files.Reader
) {
  let sum = 0
  for (const { names, path } of folders) {
    const count = yield* Effect.flatMap(folder(path), (opened) => readIn(opened, names, reader)).pipe(
      Effect.scoped,
      Effect.catch((error) =>
        Effect.sync(() => {
          for (const _ of names) reader.fail(error)
          return names.length
        })
      )
    )
    sum += count
    if (count < names.length) break
  }
  return sum
})

const changeOf = (stat: Files.FileStat) =>
  [stat.device, stat.inode, stat.sizeBytes, stat.modifiedNanos, stat.changedNanos].join(" ")

const isAlike = (a: Files.FileStat, b: Files.FileStat): boolean =>
  a.mode === b.mode && a.owner === b.owner && a.group === b.group && a.modifiedNanos === b.modifiedNanos

/** The first place where two contents differ, or where one of them ends. */
const firstDifference = (a: Uint8Array, b: Uint8Array): number | undefined => {
  const at = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => i).find((i) => a[i] !== b[i])
  return at
}

/** Compares what has the same names in folders of two trees, one by one. */
export const compareEach = Effect.fnUntraced(function*(
  folder: Files.Files["Service"]["folder"],
  { a, b, comparer, folders }: Files.Comparison
) {
  const contentOf = Effect.fnUntraced(function*(file: Files.OpenFile, sizeBytes: number) {
    const bytes = new Uint8Array(sizeBytes)
    const length = yield* file.readAt(bytes, 0)
    return bytes.subarray(0, length)
  })
  const files = Effect.fnUntraced(function*(inA: Files.Folder, inB: Files.Folder, name: FilePath.FilePath) {
    for (const folder of comparer.mayOpen === undefined ? [] : [inA, inB]) {
      if (comparer.mayOpen?.(yield* folder.lstat(name)) === false) return comparer.leave()
    }
    const [fileA, fileB] = [yield* inA.open(name), yield* inB.open(name)]
    const [statA, statB] = [yield* fileA.stat, yield* fileB.stat]
    if (!comparer.begin(statA, statB, isAlike(statA, statB))) return
    if (statA.inode === statB.inode) return comparer.end(undefined, 0)
    const contents = [yield* contentOf(fileA, statA.sizeBytes), yield* contentOf(fileB, statB.sizeBytes)] as const
    if (changeOf(yield* fileA.stat) !== changeOf(statA)) return comparer.changed("A")
    if (changeOf(yield* fileB.stat) !== changeOf(statB)) return comparer.changed("B")
    const at = firstDifference(...contents)
    comparer.end(at, at ?? statA.sizeBytes)
  }, Effect.scoped)
  const links = Effect.fnUntraced(function*(inA: Files.Folder, inB: Files.Folder, name: FilePath.FilePath) {
    const [statA, statB] = [yield* inA.lstat(name), yield* inB.lstat(name)]
    if (statA.kind !== "link" || statB.kind !== "link") return comparer.leave()
    if (!comparer.begin(statA, statB, isAlike(statA, statB))) return
    const [leadsA, leadsB] = [yield* inA.readLink(name), yield* inB.readLink(name)]
    comparer.end(firstDifference(FilePath.toBytes(leadsA), FilePath.toBytes(leadsB)), 0)
  })
  const one = (inA: Files.Folder, inB: Files.Folder, name: FilePath.FilePath) =>
    name === ""
      ? Effect.gen(function*() {
        const [statA, statB] = [yield* inA.stat, yield* inB.stat]
        comparer.begin(statA, statB, isAlike(statA, statB))
      })
      : Effect.catch(
        files(inA, inB, name),
        (error) => error.code === "ELOOP" ? links(inA, inB, name) : Effect.fail(error)
      )
  let sum = 0
  const inFolders = Effect.fnUntraced(function*({ names, path }: Files.FilesIn) {
    const inA = yield* folder(FilePath.join(a, path))
    const inB = yield* folder(FilePath.join(b, path))
    for (const name of names) {
      if (!comparer.mayGoOn()) return false
      yield* Effect.catch(one(inA, inB, name), () => Effect.sync(() => comparer.leave()))
      sum++
    }
    return true
  }, Effect.scoped)
  for (const entries of folders) {
    const isThrough = yield* Effect.catch(inFolders(entries), () =>
      Effect.sync(() => {
        for (const _ of entries.names) comparer.leave()
        sum += entries.names.length
        return true
      }))
    if (!isThrough) break
  }
  return sum
})

const readIn = (
  { lstat, open }: Pick<Files.Folder, "lstat" | "open">,
  names: ReadonlyArray<FilePath.FilePath>,
  reader: Files.Reader
): Effect.Effect<number> => {
  const readOne = Effect.fnUntraced(function*(name: FilePath.FilePath) {
    if (reader.mayOpen !== undefined && !reader.mayOpen(yield* lstat(name))) return true
    const file = yield* open(name)
    const stat = yield* file.stat
    const { sizeBytes } = stat
    if (!reader.begin(stat)) return true
    for (let read = 0;;) {
      const length = yield* file.read(reader.buffer)
      if (length > 0) reader.piece(reader.buffer.subarray(0, length))
      read += length
      if (length === 0 || (read === sizeBytes && length < reader.buffer.length)) break
      if (!reader.mayGoOn()) return false
    }
    const after = yield* file.stat
    reader.end(after.sizeBytes === sizeBytes && after.modifiedNanos === stat.modifiedNanos)
    return true
  }, Effect.scoped)
  return oneByOne(names, readOne, reader)
}

const isOf = (copy: Files.FileStat, { group, owner }: Files.FileStat): boolean =>
  copy.owner === owner && copy.group === group

/** Copies files one by one. */
export const copyEach = (
  { attributeNames, lstat, open, readLink }: Pick<Files.Folder, "attributeNames" | "lstat" | "open" | "readLink">,
  names: ReadonlyArray<FilePath.FilePath>,
  to: Files.Folder,
  copier: Files.Copier
): Effect.Effect<number> => {
  const takeBack = (name: FilePath.FilePath) =>
    Effect.catch(to.unlink(name), ({ code }) => Effect.sync(() => code === "ENOENT" ? undefined : copier.spoiled()))
  const orLost = (owned: Effect.Effect<void, FilesError>) =>
    Effect.catchIf(owned, ({ code }) => isLost(code), () => Effect.sync(() => copier.ownerLost()))
  const write = Effect.fnUntraced(function*(name: FilePath.FilePath, file: Files.OpenFile, stat: Files.FileStat) {
    const scope = yield* Scope.make()
    const { hold, isOwn } = copier
    let isHeld = false
    yield* Effect.addFinalizer((exit) => isHeld ? Effect.void : Scope.close(scope, exit))
    const unnamed = isOwn ? undefined : yield* Scope.provide(to.createUnnamed, scope)
    const copy = unnamed ?? (yield* Scope.provide(to.create(name), scope))
    let isWhole = false
    if (isOwn) yield* Effect.addFinalizer(() => isWhole ? Effect.void : takeBack(name))
    let sizeBytes = 0
    for (;;) {
      const length = yield* file.read(copier.buffer)
      if (length === 0) break
      copier.take?.(copier.buffer.subarray(0, length))
      yield* copy.write(copier.buffer.subarray(0, length))
      sizeBytes += length
      if (sizeBytes === stat.sizeBytes && length < copier.buffer.length) break
      if (stat.sizeBytes > 0 && sizeBytes > stat.sizeBytes) return "changed"
      if (!copier.mayGoOn()) return undefined
    }
    const now = yield* file.stat
    const isSame = now.inode === stat.inode && now.modifiedNanos === stat.modifiedNanos
    if (!isSame || now.sizeBytes !== stat.sizeBytes) return "changed"
    if (copier.keepsOwner && !isOf(yield* copy.stat, stat)) yield* orLost(copy.setOwner(stat))
    yield* copy.setMode(stat.mode)
    yield* copy.setTimes(stat)
    isWhole = true
    if (unnamed === undefined) return sizeBytes
    if (hold !== undefined) {
      isHeld = true
      hold({ ...unnamed, close: Effect.ensuring(copy.close, Scope.close(scope, Exit.void)) }, sizeBytes)
      return "held"
    }
    if (!copier.mayGoOn()) return undefined
    yield* unnamed.link(name)
    yield* Effect.tapError(copy.close, () => Effect.ignore(to.unlink(name)))
    return sizeBytes
  })
  const hasNoAttributes = (names: Effect.Effect<ReadonlyArray<string>, FilesError>) =>
    Effect.match(names, {
      onFailure: ({ code }) => withoutAttributes.has(code),
      onSuccess: (names) => !names.some(copier.isAttributeKept)
    })
  const copyOne = Effect.fnUntraced(function*(name: FilePath.FilePath) {
    const stat = yield* lstat(name)
    if (!copier.begin(stat)) return true
    const found = copier.isFree || copier.isOwn ? Option.none() : yield* to.find(name)
    if (Option.isSome(found)) {
      if (copier.found(found.value) !== undefined) copier.leave()
      return true
    }
    if (stat.kind === "link") {
      if (!(yield* hasNoAttributes(attributeNames(name)))) {
        copier.leave()
        return true
      }
      yield* to.makeLink(yield* readLink(name), name)
      const setOwner = copier.keepsOwner ? orLost(to.setOwner(name, stat)) : Effect.void
      yield* Effect.tapError(Effect.andThen(setOwner, to.setTimes(name, stat)), () => takeBack(name))
      copier.copied(0)
      return true
    }
    const file = yield* open(name)
    if (!(yield* hasNoAttributes(file.attributeNames))) {
      copier.leave()
      return true
    }
    const sizeBytes = yield* write(name, file, stat)
    if (sizeBytes === undefined) return false
    if (sizeBytes === "changed") {
      copier.leave()
      return true
    }
    if (sizeBytes !== "held") copier.copied(sizeBytes)
    return true
  }, Effect.scoped)
  return oneByOne(names, copyOne, copier)
}

/** Inodes of folders that are open, as files of others are linked into them. */
const folders = new WeakMap<Files.Folder, Inode>()

const folderOf = (disk: Disk, folder: Inode, path: FilePath.FilePath, handle: Handle): Files.Folder => {
  const at = (name: FilePath.FilePath) => FilePath.join(path, name)
  const known = (name: FilePath.FilePath): Inode => entryOf(folder, checked(name)) ?? fail("ENOENT")
  const use = <A>(call: Call, name: FilePath.FilePath, body: () => A, target?: FilePath.FilePath) =>
    attempt(call, at(name), () => handle.use(body), target === undefined ? undefined : at(target))
  const open = <A>(call: Call, name: FilePath.FilePath, body: (handle: () => Handle) => A) =>
    scoped(disk, call, at(name), (own) => handle.use(() => body(own)))
  const add = (name: FilePath.FilePath, kind: Files.FileKind, mode: number): Inode => {
    const inode = disk.inode(kind, mode)
    disk.put(folder, checked(name), inode)
    return inode
  }
  const lstat = (name: FilePath.FilePath) =>
    use("lstat", name, () => {
      const stat = toStat(known(name))
      const isOther = folder.ways.inodesByName === true && entryNamed(folder, name) !== name
      return isOther ? { ...stat, inode: stat.inode + 1_000_000n } : stat
    })
  const namesOf = (of: FilePath.FilePath) => use("listxattr", of, () => attributeNames(disk, known(of)))
  const readLink = (name: FilePath.FilePath) =>
    use("readlink", name, () => {
      const { kind, target } = known(name)
      return kind === "link" ? target : fail("EINVAL")
    })
  const openNamed = (name: FilePath.FilePath) => open("open", name, (own) => openFile(disk, known(name), at(name), own))
  const unlink = (name: FilePath.FilePath) =>
    use("unlink", name, () => known(name).kind === "folder" ? fail("EISDIR") : disk.take(folder, name))
  const inodeOf = (other: Files.Folder): Inode => folders.get(other) ?? fail("EBADF")
  const rename = (from: FilePath.FilePath, into: Files.Folder, to: FilePath.FilePath): void => {
    if (deviceOf(inodeOf(into)) !== deviceOf(folder)) fail("EXDEV")
    disk.move(folder, checked(from), inodeOf(into), checked(to))
  }
  const openNamedFolder = (name: FilePath.FilePath) =>
    open("open", name, (own) => openFolder(disk, known(name), at(name), own))
  const removeFolder = (name: FilePath.FilePath) =>
    use("rmdir", name, () => {
      const { entries, kind, mount } = known(name)
      if (kind !== "folder") fail("ENOTDIR")
      if (mount !== folder.mount) fail("EBUSY")
      if (entries.size > 0) fail("ENOTEMPTY")
      disk.take(folder, name)
    })
  const opened: Files.Folder = {
    path,
    stat: attempt("fstat", path, () => handle.use(() => toStat(folder))),
    identity: attempt("fstat", path, () => handle.use(() => toIdentity(folder))),
    list: list(disk, path, () => handle.use(() => folder)),
    lstat,
    find: (name) => optional(lstat(name)),
    folder: openNamedFolder,
    open: openNamed,
    create: (name) => open("create", name, (own) => fileOf(disk, add(name, "file", 0o600), at(name), own())),
    update: (name) => open("open", name, (own) => openFile(disk, known(name), at(name), own)),
    createUnnamed: scoped(
      disk,
      "create",
      path,
      (own) => handle.use(() => unnamedOf(disk, folder, path, own, handle))
    ),
    makeFolder: (name) => Effect.asVoid(use("mkdir", name, () => add(name, "folder", 0o1700))),
    readLink,
    makeLink: (target, name) =>
      use("symlink", name, () => {
        add(name, "link", 0o777).target = target
      }),
    setTimes: (name, times) => use("lutimes", name, () => disk.setTimes(known(name), times)),
    rename: (from, to, into = opened) => use("rename", from, () => rename(from, into, to), to),
    renameExclusively: (from, to, into = opened) =>
      use("rename", from, () => {
        if (!disk.renamesExclusively) fail("EINVAL")
        if (entryNamed(inodeOf(into), checked(to)) !== undefined) fail("EEXIST")
        rename(from, into, to)
      }, to),
    setOwner: (name, owner) => use("lchown", name, () => disk.setOwner(known(name), owner)),
    attributeNames: namesOf,
    attribute: (of, name) => use("getxattr", of, () => attribute(known(of), name)),
    setAttribute: (name, attribute) => use("setxattr", name, () => setAttribute(disk, known(name), attribute)),
    link: (existing, name, to = opened) =>
      use("link", existing, () => {
        const inode = known(existing)
        const into = inodeOf(to)
        if (deviceOf(into) !== deviceOf(folder)) fail("EXDEV")
        if (into.ways.lacksLinks === true) fail("EPERM")
        disk.put(into, checked(name), inode.kind === "folder" ? fail("EPERM") : inode)
      }, name),
    sync: attempt("fsync", path, () =>
      handle.use(() => {
        disk.syncs.one++
        disk.sync(folder)
      })),
    unlink,
    copyEach: (names, to, copier) =>
      copyEach({ attributeNames: namesOf, lstat, open: openNamed, readLink }, names, to, copier),
    sweepEach: (names, sweeper) => sweepEach({ folder: openNamedFolder, removeFolder }, names, sweeper),
    sweepTree: () => Effect.succeedNone,
    removeFolder
  }
  folders.set(opened, folder)
  return opened
}

export const make = (disk: Disk): Files.Files["Service"] => {
  const lstat = (path: FilePath.FilePath) => attempt("lstat", path, () => toStat(disk.find(short(path))))
  const folder = (path: FilePath.FilePath) =>
    scoped(disk, "open", path, (own) => openFolder(disk, disk.real(path), path, own))
  return {
    lstat,
    stat: (path) => attempt("stat", path, () => toStat(disk.find(short(path), true))),
    find: (path) => optional(lstat(path)),
    realPath: (path) =>
      attempt("realpath", path, () => {
        const place = disk.place(short(path), true)
        return place.found === undefined ? fail("ENOENT") : place.path
      }),
    copyFolders: () => Effect.succeedNone,
    placeFolders: () => Effect.succeedNone,
    measure: () => Effect.succeedNone,
    denied: Effect.succeed(0o022),
    user: Effect.succeed(0),
    folder,
    readEach: (folders, reader) => readEach(folder, folders, reader),
    compareEach: (comparison) => compareEach(folder, comparison),
    list: (path) => list(disk, path, () => disk.real(path)),
    folders: (path) => foldersIn(disk, path),
    open: (path) => scoped(disk, "open", path, (own) => openFile(disk, disk.real(path), path, own))
  }
}

export const layer = (disk: Disk): Layer.Layer<Files.Files> => Layer.succeed(Files.Files, make(disk))
