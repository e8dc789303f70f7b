/**
 * Makes calls through the C library of Linux, by koffi.
 *
 * A call takes less time than through `node:fs`, names go by descriptor, and times are true to the nanosecond.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import {
  andThen,
  type Answer,
  asked,
  type Call,
  type Calls,
  type Code,
  code,
  failed,
  immediate,
  map,
  orElse,
  unsupported
} from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { EntryKind } from "../../FolderListing.ts"
import * as FileFlags from "./fileFlags.ts"
import * as FileSystemId from "./fileSystemId.ts"
import { fileMode, isAnonymous, isLocal, isOverlay } from "./fileSystemTypes.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  FICLONE,
  flagsOf,
  lastError,
  libc,
  nameOf,
  type Native,
  native,
  O_NOATIME,
  PATH_MAX,
  POSIX_FADV_DONTNEED,
  POSIX_FADV_WILLNEED,
  RENAME_NOREPLACE,
  renameat2,
  RESOLVE_NO_SYMLINKS,
  SEEK_DATA,
  SEEK_HOLE,
  SEEK_SET,
  statMask,
  STATX_BTIME,
  STATX_INO,
  STATX_MNT_ID,
  SYS_openat2
} from "./libc.ts"
import { byPath, openEach, unnoted } from "./nodeCalls.ts"
import { isAppendOnly, Stat, statBytes, toIdentity } from "./statx.ts"

/** koffi refuses more than 256 calls at once, of all parts of the program, and Node seldom has so many threads. */
const mostLater = 128
let later = 0
const waiting: Array<() => void> = []

const [EINTR, EIO, EPERM] = [code("EINTR"), code("EIO"), code("EPERM")]

/** A call of a function that gives less than 0 where it fails. */
class LibcCall<A> implements Call<A> {
  private readonly call: Native
  private values: ReadonlyArray<unknown>
  private readonly give: (value: number) => Answer<A>

  constructor(call: Native, values: ReadonlyArray<unknown>, give: (value: number) => Answer<A>) {
    this.call = call
    this.values = values
    this.give = give
  }

  /** Whether this was to open without a note of it, which is up to the owner of a file; from then on it is noted. */
  private isNoted(error: Code): boolean {
    const [folder, name, flags, mode] = this.values
    if (error !== EPERM || this.call !== libc.openat || typeof flags !== "number" || (flags & O_NOATIME) === 0) {
      return false
    }
    this.values = [folder, name, flags & ~O_NOATIME, mode]
    return true
  }

  /** Whether it is to be made again. Whether an interrupted close has closed is not known, but on Linux it has. */
  private isAgain(error: Code): boolean {
    return (error === EINTR && this.call !== libc.close) || this.isNoted(error)
  }

  [Symbol.iterator]() {
    return asked<A>(this)
  }

  now(): Answer<A> {
    for (;;) {
      const value = this.call(...this.values)
      if (value >= 0) return this.give(value)
      const error = lastError()
      if (!this.isAgain(error)) return error
    }
  }

  later(done: (answer: Answer<A>) => void): void {
    if (later === mostLater) {
      waiting.push(() => this.later(done))
      return
    }
    later++
    this.call.async(...this.values, (refused: unknown, value: number) => {
      const error = refused !== null ? EIO : value < 0 ? lastError() : undefined
      later--
      waiting.shift()?.()
      if (error === undefined) done(this.give(value))
      else if (this.isAgain(error)) this.later(done)
      else done(error)
    })
  }
}

const itself = (value: number): number => value
const nothing = (): void => {}

const numberOf = (call: Native, ...values: ReadonlyArray<unknown>): Call<number> => new LibcCall(call, values, itself)
const voidOf = (call: Native, ...values: ReadonlyArray<unknown>): Call<void> => new LibcCall(call, values, nothing)

/** Fails with `ENOTSUP` in place of some codes. */
const unsupportedFor = <A>(call: Call<A>, ...codes: ReadonlyArray<string>): Call<A> =>
  orElse(call, (code) => failed(codes.includes(code.name) ? unsupported : code))

// --- What the kernel fills in ---------------------------------------------------------------------------------------

/**
 * As much as half a millisecond's worth of names, the longest list of extended attributes, and the largest value of one
 * (linux/limits.h).
 */
const bufferBytes = 65_536

/** Buffers that nothing is read into: to make new ones each time would take memory until it is collected. */
const buffers: Array<Buffer> = []

/** Has a call fill a buffer, and reads what is in it then. */
const filling = <A>(make: (into: Buffer) => Call<number>, read: (into: Buffer, length: number) => A): Call<A> => {
  const into = buffers.pop() ?? Buffer.allocUnsafe(bufferBytes)
  const filled = map(make(into), (length) => {
    const value = read(into, length)
    buffers.push(into)
    return value
  })
  return orElse(filled, (code) => {
    buffers.push(into)
    return failed(code)
  })
}

const statOf = (folder: number, name: string | Buffer, flags: number): Call<Files.FileStat> => {
  const into = Buffer.allocUnsafe(statBytes)
  return new LibcCall(libc.statx, [folder, name, flags, statMask, into], () => new Stat(into))
}

const timesBytes = (times: Files.FileTimes): Buffer => {
  if (times instanceof Stat) return times.timesBytes
  const { accessedNanos, modifiedNanos } = times
  const bytes = Buffer.allocUnsafe(32)
  for (const [index, nanos] of [accessedNanos, modifiedNanos].entries()) {
    const within = (nanos % 1_000_000_000n + 1_000_000_000n) % 1_000_000_000n
    bytes.writeBigInt64LE((nanos - within) / 1_000_000_000n, 16 * index)
    bytes.writeBigInt64LE(within, 16 * index + 8)
  }
  return bytes
}

// --- Opening --------------------------------------------------------------------------------------------------------

/** What the kernel resolves in one call without following a link, where it has such a call. */
const openWhole = (path: FilePath.FilePath, flags: number): Call<number> => {
  const how = Buffer.alloc(24)
  how.writeBigUInt64LE(BigInt(flags), 0)
  how.writeBigUInt64LE(RESOLVE_NO_SYMLINKS, 16)
  return numberOf(libc.syscall, SYS_openat2, AT_FDCWD, native(path), how, how.length)
}

const isTooLong = (path: FilePath.FilePath): boolean =>
  path.length >= PATH_MAX / 3 && FilePath.toBytes(path).length >= PATH_MAX

const closeNow = (descriptor: number): void => {
  libc.close(descriptor)
}

const openAt = (folder: number, name: FilePath.FilePath, flags: number, mode = 0): Call<number> =>
  numberOf(libc.openat, folder, native(name), flags, mode)

const openByStep = (path: FilePath.FilePath, flags: number): Call<number> =>
  openEach(path, {
    root: openAt(AT_FDCWD, FilePath.make("/"), flagsOf.folder),
    open: (folder, name, isLast) => openAt(folder, name, isLast ? flags : flagsOf.folder),
    closeNow
  })

const openPath: Calls["openPath"] = (path, mode) => {
  const flags = flagsOf[mode]
  if (isTooLong(path)) return openByStep(path, flags)
  // Neither kernels before Linux 5.6 nor some sandboxes let it be called.
  return orElse(
    unnoted(flags, (flags) => openWhole(path, flags)),
    (code) => code.name === "ENOSYS" || code.name === "EPERM" ? openByStep(path, flags) : failed(code)
  )
}

const open: Calls["open"] = (folder, name, mode) => {
  const opening = openAt(folder, name, flagsOf[mode], fileMode)
  // Kernels that don't know the flag take it for writing to a folder.
  return mode === "unnamed" ? unsupportedFor(opening, "EISDIR", "EOPNOTSUPP") : opening
}

// --- Looking --------------------------------------------------------------------------------------------------------

const identity: Calls["identity"] = (descriptor) => {
  const into = Buffer.allocUnsafe(statBytes)
  const mask = STATX_INO | STATX_BTIME | STATX_MNT_ID
  return andThen(
    new LibcCall(libc.statx, [descriptor, "", AT_EMPTY_PATH, mask, into], () => toIdentity(into)),
    (found) =>
      found.bornNanos === 0n || !isAnonymous(found.device)
        ? immediate(() => found)
        // The first change in a folder of a lower layer makes another one in the upper layer, which is born then.
        : map(
          numberOf(libc.fstatfs, descriptor, into),
          () => isOverlay(into.readUInt32LE(0)) ? { ...found, bornNanos: 0n } : found
        )
  )
}

/** Asks for the name of a file system, where its type has one: the first that is known not to be another's. */
const fileSystem: Calls["fileSystem"] = (descriptor) => {
  if (!FileSystemId.isKnownLayout) return immediate(() => "")
  const [statfs, uuid] = [Buffer.alloc(FileSystemId.statfsBytes), Buffer.alloc(FileSystemId.uuidBytes)]
  const asked = map(numberOf(libc.ioctl, descriptor, FileSystemId.getUuid, uuid), () => FileSystemId.ofUuid(uuid))
  return andThen(numberOf(libc.fstatfs, descriptor, statfs), () =>
    FileSystemId.needsUuid(statfs)
      // Kernels before Linux 6.9 don't know this request.
      ? orElse(asked, () => immediate(() => ""))
      : immediate(() => FileSystemId.ofStatfs(statfs)))
}

const flags: Calls["flags"] = (descriptor) => {
  const into = Buffer.alloc(8)
  const asked = new LibcCall(libc.ioctl, [descriptor, FileFlags.getFlags, into], () => into.readUInt32LE(0))
  return FileFlags.isKnownRequest
    ? orElse(asked, (code) => FileFlags.withoutFlags.has(code.name) ? immediate(() => 0) : failed(code))
    : immediate(() => 0)
}

/** Kinds by `d_type` (dirent.h). */
const kindOfType: Readonly<Record<number, EntryKind>> = { 0: "unknown", 4: "folder", 8: "file", 10: "link" }

const dot = 46

/** Whether the name that begins there is that of the folder itself, or of the one that it is in. */
const isDots = (from: Buffer, at: number): boolean =>
  from[at] === dot && (from[at + 1] === 0 || (from[at + 1] === dot && from[at + 2] === 0))

/** Reads the `struct linux_dirent64`s in a buffer, whose names end with NUL. */
const addEntries = (
  from: Buffer,
  length: number,
  add: (name: string, kind: EntryKind, inode: number) => void,
  skips: ((kind: EntryKind) => boolean) | undefined
): void => {
  for (let at = 0; at < length; at += from.readUInt16LE(at + 16)) {
    const kind = kindOfType[from[at + 18] ?? 0] ?? "special"
    if (isDots(from, at + 19) || skips?.(kind) === true) continue
    const inode = from.readUInt32LE(at) + (from.readUInt32LE(at + 4) & 0xf) * 2 ** 32
    add(from.toString("latin1", at + 19, from.indexOf(0, at + 19)), kind, inode)
  }
}

const list: Calls["list"] = (descriptor, add, skips) =>
  filling((into) => numberOf(libc.getdents, descriptor, into, into.length), (into, length) => {
    addEntries(into, length, add, skips)
    return length > 0
  })

const readLink: Calls["readLink"] = (folder, name) =>
  filling(
    (into) => numberOf(libc.readlinkat, folder, native(name), into, PATH_MAX),
    (into, length) => FilePath.fromBytes(into.subarray(0, length))
  )

// --- Content --------------------------------------------------------------------------------------------------------

const copyRange: Calls["copyRange"] = (from, to, at, length) => {
  const place = () => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(at))
    return bytes
  }
  // From one file system to another there is an older call: the place in the copy is its descriptor's.
  const send = andThen(numberOf(libc.lseek, to, at, SEEK_SET), () => numberOf(libc.sendfile, to, from, place(), length))
  const orSend = (call: Call<number>): Call<number> =>
    orElse(call, (code) => code.name === "EXDEV" ? send : failed(code))
  // With nothing to copy the kernel answers by itself, and at once.
  const asked = immediate(() => numberOf(libc.copyFileRange, from, null, to, null, 0, 0).now())
  return orSend(andThen(asked, () => numberOf(libc.copyFileRange, from, place(), to, place(), length, 0)))
}

const advise = (descriptor: number, advice: number): Call<void> =>
  // It gives the number of the error.
  new LibcCall(libc.fadvise, [descriptor, 0, 0, advice], (value) => value > 0 ? nameOf(value) : undefined)

/** Before Linux 5.8 nobody is told what could not be written when a file system is flushed. */
const tellsOfFlushes = /^(?:[6-9]|[1-9]\d|5\.(?:[89]|[1-9]\d))/.test(os.release())

const syncFileSystem: Calls["syncFileSystem"] = (descriptor) => {
  if (!tellsOfFlushes) return failed(unsupported)
  const statfs = Buffer.alloc(FileSystemId.statfsBytes)
  return andThen(numberOf(libc.fstatfs, descriptor, statfs), () =>
    isLocal(statfs.readUInt32LE(0))
      // Where a sandbox or a file system refuses the call, files are flushed one by one.
      ? unsupportedFor(voidOf(libc.syncfs, descriptor), "ENOSYS", "EOPNOTSUPP")
      // Others may take it for a wish.
      : failed(unsupported))
}

// --- Extended attributes --------------------------------------------------------------------------------------------

const noNames: ReadonlyArray<string> = []

const attributeName = (name: string): Buffer => Buffer.from(`${name}\0`, "latin1")

/** Folder in which each descriptor has a name; not there where no `/proc` is mounted. */
const descriptors = "/proc/self/fd"

/** What a call without a descriptor of its own reaches by the folder that it is in. */
const inFolder = (folder: number, name: FilePath.FilePath): string | Buffer =>
  native(FilePath.make(`${descriptors}/${folder}/${name}`))

const listAttributes = (call: Native, of: unknown): Call<ReadonlyArray<string>> =>
  // Most files have none, and to tell that takes no buffer.
  andThen(numberOf(call, of, null, 0), (length) =>
    length === 0
      ? immediate(() => noNames)
      : filling(
        (into) => numberOf(call, of, into, into.length),
        (into, length) => length === 0 ? noNames : into.toString("latin1", 0, length - 1).split("\0")
      ))

const getAttribute = (call: Native, of: unknown, name: string): Call<Uint8Array> =>
  filling(
    (into) => numberOf(call, of, attributeName(name), into, into.length),
    (into, length) => new Uint8Array(into.subarray(0, length))
  )

/** The calls, for whoever waits for them and for whoever does not. */
export const calls: Calls = {
  ...byPath,
  open,
  openPath,
  createAs: (folder, name, mode) => openAt(folder, name, flagsOf.create, mode),
  close: (descriptor) => voidOf(libc.close, descriptor),
  closeNow,
  stat: (descriptor) => statOf(descriptor, "", AT_EMPTY_PATH),
  identity,
  lstat: (folder, name) => statOf(folder, native(name), AT_SYMLINK_NOFOLLOW),
  fileSystem,
  isAppendOnly: (folder) => {
    const into = Buffer.allocUnsafe(statBytes)
    return new LibcCall(libc.statx, [folder, "", AT_EMPTY_PATH, statMask, into], () => isAppendOnly(into))
  },
  flags,
  list,
  readLink,
  read: (descriptor, buffer, at) =>
    at === null
      ? numberOf(libc.read, descriptor, buffer, buffer.length)
      : numberOf(libc.pread, descriptor, buffer, buffer.length, at),
  write: (descriptor, bytes, at) =>
    at === null
      ? numberOf(libc.write, descriptor, bytes, bytes.length)
      : numberOf(libc.pwrite, descriptor, bytes, bytes.length, at),
  seek: (descriptor, at, to) => numberOf(libc.lseek, descriptor, at, to === "data" ? SEEK_DATA : SEEK_HOLE),
  copyRange,
  clone: (from, to) => voidOf(libc.ioctlWithNumber, to, FICLONE, from),
  truncate: (descriptor, sizeBytes) => voidOf(libc.ftruncate, descriptor, sizeBytes),
  forget: (descriptor) => advise(descriptor, POSIX_FADV_DONTNEED),
  readAnew: (descriptor) =>
    andThen(advise(descriptor, POSIX_FADV_DONTNEED), () => advise(descriptor, POSIX_FADV_WILLNEED)),
  sync: (descriptor) => voidOf(libc.fsync, descriptor),
  syncFileSystem,
  listAttributes: (descriptor) => listAttributes(libc.flistxattr, descriptor),
  getAttribute: (descriptor, name) => getAttribute(libc.fgetxattr, descriptor, name),
  setAttribute: (descriptor, name, value) =>
    voidOf(libc.fsetxattr, descriptor, attributeName(name), value, value.length, 0),
  listAttributesAt: (folder, of) =>
    orElse(
      listAttributes(libc.llistxattr, inFolder(folder, of)),
      (code) => failed(code.name === "ENOENT" && !fs.existsSync(descriptors) ? unsupported : code)
    ),
  getAttributeAt: (folder, of, name) => getAttribute(libc.lgetxattr, inFolder(folder, of), name),
  setAttributeAt: (folder, of, name, value) =>
    voidOf(libc.lsetxattr, inFolder(folder, of), attributeName(name), value, value.length, 0),
  setOwner: (descriptor, { group, owner }) => voidOf(libc.fchownat, descriptor, "", owner, group, AT_EMPTY_PATH),
  setOwnerAt: (folder, name, { group, owner }) =>
    voidOf(libc.fchownat, folder, native(name), owner, group, AT_SYMLINK_NOFOLLOW),
  setMode: (descriptor, mode) => voidOf(libc.fchmod, descriptor, mode),
  setTimes: (descriptor, times) => voidOf(libc.utimensat, descriptor, null, timesBytes(times), 0),
  setTimesAt: (folder, name, times) =>
    voidOf(libc.utimensat, folder, native(name), timesBytes(times), AT_SYMLINK_NOFOLLOW),
  makeFolder: (folder, name, mode) => voidOf(libc.mkdirat, folder, native(name), mode),
  makeLink: (target, folder, name) => voidOf(libc.symlinkat, native(target), folder, native(name)),
  rename: (folder, from, into, to) => voidOf(libc.renameat, folder, native(from), into, native(to)),
  renameExclusively: (folder, from, into, to) =>
    renameat2 === undefined
      ? failed(unsupported)
      : voidOf(renameat2, folder, native(from), into, native(to), RENAME_NOREPLACE),
  link: (folder, existing, to, name) => voidOf(libc.linkat, folder, native(existing), to, native(name), 0),
  // By descriptor alone it takes a privilege.
  linkUnnamed: (descriptor, folder, name) =>
    voidOf(libc.linkat, AT_FDCWD, `${descriptors}/${descriptor}`, folder, native(name), AT_SYMLINK_FOLLOW),
  unlink: (folder, name) => voidOf(libc.unlinkat, folder, native(name), 0),
  removeFolder: (folder, name) => voidOf(libc.unlinkat, folder, native(name), AT_REMOVEDIR)
}
