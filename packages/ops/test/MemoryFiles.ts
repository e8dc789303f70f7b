import { type Call, type Calls, code, immediate, type Mode } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Layer from "effect/Layer"

/** How a file system takes what it is given, where it is none of the usual ones of Linux. */
export interface Ways {
  /** Says of a file that it has no bytes, as files of the kernel do. */
  readonly tellsNoSize?: boolean
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
  /** Files and folders that are open, by their descriptors. */
  readonly opened = new Map<number, Opened>()
  private lastDescriptor = 2

  /** How many files and folders are open. */
  get openCount(): number {
    return this.opened.size
  }

  open(inode: Inode): number {
    this.opened.set(++this.lastDescriptor, { inode, offset: 0, writeAt: writing(this, inode) })
    return this.lastDescriptor
  }
  /** What a device makes of what is written to it. */
  corrupts = (content: Uint8Array): Uint8Array => content
  /** Files and folders, and file systems, that were flushed. */
  syncs = { one: 0, all: 0 }

  inode(kind: Files.FileKind, mode: number, device = this.device): Inode {
    return {
      device,
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
  sizeBytes: inode.ways.tellsNoSize === true
    ? 0
    : inode.kind === "link"
    ? FilePath.toBytes(inode.target).length
    : inode.content.length,
  allocatedBytes: inode.content.length,
  ...inode.times,
  changedNanos: inode.changed,
  bornNanos: inode.born
})

/** What a call comes to, which is made at once. */
const attempt = <A>(body: () => A): Call<A> =>
  immediate(() => {
    try {
      return body()
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      return code(error.code)
    }
  })

/** Something that is open. */
interface Opened {
  readonly inode: Inode
  offset: number
  readonly writeAt: (bytes: Uint8Array, at: number) => void
}

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

const setAttribute = (disk: Disk, inode: Inode, name: string, value: Uint8Array): void => {
  if (!disk.takesAttributes) fail("ENOTSUP")
  // As Linux has it.
  if (inode.kind === "link" && name.startsWith("user.")) fail("EPERM")
  inode.attributes.set(name, value.slice())
}

/** The calls to a disk. */
export const callsOf = (disk: Disk): Calls => {
  const opened = (descriptor: number): Opened => disk.opened.get(descriptor) ?? fail("EBADF")
  const inodeOf = (descriptor: number): Inode => opened(descriptor).inode
  const entry = (folder: number, name: FilePath.FilePath): Inode =>
    entryOf(inodeOf(folder), checked(name)) ?? fail("ENOENT")
  const openAs = (found: Inode, mode: Mode): number => {
    if ((mode === "folder" || mode === "list") && found.kind !== "folder") fail("ENOTDIR")
    return disk.open(found.kind === "link" ? fail("ELOOP") : found)
  }
  const add = (folder: number, name: FilePath.FilePath, kind: Files.FileKind, mode: number): Inode => {
    const inode = disk.inode(kind, mode, inodeOf(folder).device)
    disk.put(inodeOf(folder), checked(name), inode)
    return inode
  }
  const unnamed = (folder: Inode): number => {
    if (!disk.takesUnnamed || folder.ways.lacksLinks === true) fail("ENOTSUP")
    if (folder.isGone) fail("ENOENT")
    const inode = disk.inode("file", 0o600, folder.device)
    inode.ways = folder.ways
    disk.unnamed.add(inode)
    return disk.open(inode)
  }
  const rename = (folder: number, from: FilePath.FilePath, into: number, to: FilePath.FilePath): void => {
    if (deviceOf(inodeOf(into)) !== deviceOf(inodeOf(folder))) fail("EXDEV")
    disk.move(inodeOf(folder), checked(from), inodeOf(into), checked(to))
  }
  const forget = (descriptor: number): Call<void> =>
    attempt(() => {
      const inode = inodeOf(descriptor)
      inode.content = disk.corrupts(inode.onDevice.content)
    })
  const listed = new Set<number>()
  const open: Calls["open"] = (folder, name, mode) =>
    attempt(() => {
      if (mode === "unnamed") return unnamed(inodeOf(folder))
      if (mode === "create") return disk.open(add(folder, name, "file", 0o600))
      return openAs(name === "." ? inodeOf(folder) : entry(folder, name), mode)
    })
  const close = (descriptor: number): void => {
    listed.delete(descriptor)
    if (!disk.opened.delete(descriptor)) fail("EBADF")
  }
  return {
    statPath: (path, follows) => attempt(() => toStat(disk.find(short(path), follows))),
    realPath: (path) =>
      attempt(() => {
        const place = disk.place(short(path), true)
        return place.found === undefined ? fail("ENOENT") : place.path
      }),
    open,
    openPath: (path, mode) => attempt(() => openAs(disk.real(path), mode)),
    createAs: (folder, name, mode) => attempt(() => disk.open(add(folder, name, "file", mode & ~0o022))),
    close: (descriptor) => attempt(() => close(descriptor)),
    closeNow: close,
    stat: (descriptor) => attempt(() => toStat(inodeOf(descriptor))),
    identity: (descriptor) => attempt(() => toIdentity(inodeOf(descriptor))),
    lstat: (folder, name) =>
      attempt(() => {
        const stat = toStat(entry(folder, name))
        const parent = inodeOf(folder)
        const isOther = parent.ways.inodesByName === true && entryNamed(parent, name) !== name
        return isOther ? { ...stat, inode: stat.inode + 1_000_000n } : stat
      }),
    fileSystem: (descriptor) => attempt(() => disk.fileSystems.get(inodeOf(descriptor).device) ?? ""),
    isAppendOnly: () => attempt(() => false),
    flags: () => attempt(() => 0),
    list: (descriptor, add, skips = () => false) =>
      attempt(() => {
        const { entries, kind } = inodeOf(descriptor)
        if (kind !== "folder") fail("ENOTDIR")
        if (listed.has(descriptor)) return false
        listed.add(descriptor)
        for (const [name, { kind }] of entries) {
          const told = disk.tellsKinds ? kind : "unknown"
          if (!skips(told)) add(Buffer.from(FilePath.toBytes(name)).toString("latin1"), told)
        }
        return true
      }),
    readLink: (folder, name) =>
      attempt(() => {
        const { kind, target } = entry(folder, name)
        return kind === "link" ? target : fail("EINVAL")
      }),
    read: (descriptor, buffer, at) =>
      attempt(() => {
        const file = opened(descriptor)
        if (file.inode.kind === "folder") fail("EISDIR")
        const from = at ?? file.offset
        const part = file.inode.content.subarray(from, from + buffer.length)
        buffer.set(part)
        if (at === null) file.offset += part.length
        return part.length
      }),
    write: (descriptor, bytes, at) =>
      attempt(() => {
        const file = opened(descriptor)
        file.writeAt(bytes, at ?? file.offset)
        if (at === null) file.offset += bytes.length
        return bytes.length
      }),
    seek: (descriptor, at, to) =>
      attempt(() => {
        const { length } = inodeOf(descriptor).content
        if (at >= length) fail("ENXIO")
        return to === "data" ? at : length
      }),
    copyRange: (from, to, at, length) =>
      attempt(() => {
        if (!disk.copiesByItself) fail("EXDEV")
        const part = inodeOf(from).content.subarray(at, at + length)
        if (part.length > 0) opened(to).writeAt(part, at)
        return part.length
      }),
    clone: (from, to) =>
      attempt(() => {
        inodeOf(to).content = disk.sharesBlocks ? inodeOf(from).content.slice() : fail("EOPNOTSUPP")
      }),
    truncate: (descriptor, sizeBytes) =>
      attempt(() => {
        const inode = inodeOf(descriptor)
        const content = new Uint8Array(sizeBytes)
        content.set(inode.content.subarray(0, sizeBytes))
        inode.content = content
        disk.touch(inode)
      }),
    forget,
    readAnew: forget,
    sync: (descriptor) =>
      attempt(() => {
        disk.syncs.one++
        disk.sync(inodeOf(descriptor))
      }),
    syncFileSystem: (descriptor) =>
      attempt(() => {
        inodeOf(descriptor)
        if (!disk.syncsAsOne) fail("ENOTSUP")
        disk.syncs.all++
        disk.syncAll()
      }),
    listAttributes: (descriptor) => attempt(() => attributeNames(disk, inodeOf(descriptor))),
    getAttribute: (descriptor, name) => attempt(() => inodeOf(descriptor).attributes.get(name) ?? fail("ENODATA")),
    setAttribute: (descriptor, name, value) => attempt(() => setAttribute(disk, inodeOf(descriptor), name, value)),
    listAttributesAt: (folder, of) => attempt(() => attributeNames(disk, entry(folder, of))),
    getAttributeAt: (folder, of, name) => attempt(() => entry(folder, of).attributes.get(name) ?? fail("ENODATA")),
    setAttributeAt: (folder, of, name, value) => attempt(() => setAttribute(disk, entry(folder, of), name, value)),
    setOwner: (descriptor, owner) => attempt(() => disk.setOwner(inodeOf(descriptor), owner)),
    setOwnerAt: (folder, name, owner) => attempt(() => disk.setOwner(entry(folder, name), owner)),
    setMode: (descriptor, mode) => attempt(() => disk.setMode(inodeOf(descriptor), mode)),
    setTimes: (descriptor, times) => attempt(() => disk.setTimes(inodeOf(descriptor), times)),
    setTimesAt: (folder, name, times) => attempt(() => disk.setTimes(entry(folder, name), times)),
    makeFolder: (folder, name, mode) => attempt(() => void add(folder, name, "folder", mode)),
    makeLink: (target, folder, name) =>
      attempt(() => {
        add(folder, name, "link", 0o777).target = target
      }),
    rename: (folder, from, into, to) => attempt(() => rename(folder, from, into, to)),
    renameExclusively: (folder, from, into, to) =>
      attempt(() => {
        if (!disk.renamesExclusively) fail("EINVAL")
        if (entryNamed(inodeOf(into), checked(to)) !== undefined) fail("EEXIST")
        rename(folder, from, into, to)
      }),
    link: (folder, existing, to, name) =>
      attempt(() => {
        const [inode, into] = [entry(folder, existing), inodeOf(to)]
        if (deviceOf(into) !== deviceOf(inodeOf(folder))) fail("EXDEV")
        if (into.ways.lacksLinks === true) fail("EPERM")
        disk.put(into, checked(name), inode.kind === "folder" ? fail("EPERM") : inode)
      }),
    linkUnnamed: (descriptor, folder, name) =>
      attempt(() => disk.put(inodeOf(folder), checked(name), inodeOf(descriptor))),
    unlink: (folder, name) =>
      attempt(() => entry(folder, name).kind === "folder" ? fail("EISDIR") : disk.take(inodeOf(folder), name)),
    removeFolder: (folder, name) =>
      attempt(() => {
        const { entries, kind, mount } = entry(folder, name)
        if (kind !== "folder") fail("ENOTDIR")
        if (mount !== inodeOf(folder).mount) fail("EBUSY")
        if (entries.size > 0) fail("ENOTEMPTY")
        disk.take(inodeOf(folder), name)
      }),
    denied: () => 0o022,
    user: () => 0
  }
}

export const make = (disk: Disk): Files.Files["Service"] => SystemFiles.of(callsOf(disk))

export const layer = (disk: Disk): Layer.Layer<Files.Files> => Layer.succeed(Files.Files, make(disk))
