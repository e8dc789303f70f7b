/**
 * Makes system calls through the C library of Linux, by koffi.
 *
 * A call takes less time than through `node:fs`, names go by descriptor, and times are true to the nanosecond.
 */
import koffi, { type KoffiFunc } from "koffi"
import * as fs from "node:fs"
import * as os from "node:os"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { EntryKind } from "../../FolderListing.ts"
import * as FileSystemId from "./fileSystemId.ts"
import {
  type Done,
  fileMode,
  folderMode,
  isAnonymous,
  isLocal,
  isOverlay,
  type Mode,
  type SystemCalls,
  type Way
} from "./systemCalls.ts"

// What a call that others wait for needs is kept for the next one, for as many as koffi allows. These few arguments
// take little of it.
try {
  koffi.config({ async_stack_size: 65_536, async_heap_size: 65_536, resident_async_pools: 32 })
} catch {
  // Another part of the program has loaded a library before, and goes by other numbers. It is slower with these.
}

type Call = KoffiFunc<(...values: ReadonlyArray<unknown>) => number>

const libc = koffi.load(null)

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every function declared below returns a whole number
const declare = (definition: string): Call => libc.func(definition) as Call

const libcCalls = {
  openat: declare("int openat(int folder, const char *name, int flags, uint mode)"),
  syscall: declare("int64 syscall(int64 number, int64 folder, const char *name, void *how, size_t size)"),
  close: declare("int close(int descriptor)"),
  statx: declare("int statx(int folder, const char *name, int flags, uint mask, void *into)"),
  getdents: declare("int64 getdents64(int descriptor, void *into, size_t size)"),
  readlinkat: declare("int64 readlinkat(int folder, const char *name, void *into, size_t size)"),
  read: declare("int64 read(int descriptor, void *into, size_t size)"),
  pread: declare("int64 pread64(int descriptor, void *into, size_t size, int64 at)"),
  write: declare("int64 write(int descriptor, const void *from, size_t size)"),
  pwrite: declare("int64 pwrite64(int descriptor, const void *from, size_t size, int64 at)"),
  lseek: declare("int64 lseek64(int descriptor, int64 at, int whence)"),
  copyFileRange: declare("int64 copy_file_range(int from, void *at, int to, void *toAt, size_t size, uint flags)"),
  ftruncate: declare("int ftruncate64(int descriptor, int64 size)"),
  fadvise: declare("int posix_fadvise64(int descriptor, int64 at, int64 length, int advice)"),
  fsync: declare("int fsync(int descriptor)"),
  syncfs: declare("int syncfs(int descriptor)"),
  flistxattr: declare("int64 flistxattr(int descriptor, void *into, size_t size)"),
  fgetxattr: declare("int64 fgetxattr(int descriptor, const char *name, void *into, size_t size)"),
  fsetxattr: declare("int fsetxattr(int descriptor, const char *name, const void *value, size_t size, int flags)"),
  fstatfs: declare("int fstatfs(int descriptor, void *into)"),
  ioctl: declare("int ioctl(int descriptor, ulong request, void *into)"),
  ioctlWithNumber: declare("int ioctl(int descriptor, ulong request, long value)"),
  fchownat: declare("int fchownat(int folder, const char *name, uint owner, uint group, int flags)"),
  fchmod: declare("int fchmod(int descriptor, uint mode)"),
  utimensat: declare("int utimensat(int folder, const char *name, const void *times, int flags)"),
  mkdirat: declare("int mkdirat(int folder, const char *name, uint mode)"),
  symlinkat: declare("int symlinkat(const char *target, int folder, const char *name)"),
  renameat: declare("int renameat(int fromFolder, const char *from, int toFolder, const char *to)"),
  linkat: declare("int linkat(int fromFolder, const char *from, int toFolder, const char *to, int flags)"),
  unlinkat: declare("int unlinkat(int folder, const char *name, int flags)")
}

/** Some C libraries don't have it. */
const renameat2 = ((): Call | undefined => {
  try {
    return declare("int renameat2(int fromFolder, const char *from, int toFolder, const char *to, uint flags)")
  } catch {
    return undefined
  }
})()

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
const O_CLOEXEC = 0o2000000
const O_PATH = 0o10000000
const O_TMPFILE = 0o20000000 | O_DIRECTORY
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_REMOVEDIR = 0x200
const AT_SYMLINK_FOLLOW = 0x400
const AT_EMPTY_PATH = 0x1000
const STATX_INO = 0x100
const STATX_BTIME = 0x800
const STATX_MNT_ID = 0x1000
/** What `stat` knows, and the time of birth. */
const statMask = 0x7ff | STATX_BTIME
const RENAME_NOREPLACE = 1
const SEEK_DATA = 3
const SEEK_HOLE = 4
const POSIX_FADV_DONTNEED = 4
/** Request to share the blocks of another file (linux/fs.h). */
const FICLONE = 0x40049409
/** Number of `openat2`, the same on all architectures (linux/unistd.h). */
const SYS_openat2 = 437
const RESOLVE_NO_SYMLINKS = 4n
/** Length of the longest path that the kernel takes in one call, with the NUL at its end. */
const PATH_MAX = 4096

const flagsOf: Readonly<Record<Mode, number>> = {
  folder: O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
  list: O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
  create: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
  update: O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
  unnamed: O_RDWR | O_TMPFILE | O_CLOEXEC
}

const nameOfCode = new Map(Object.entries(koffi.os.errno).map(([name, code]) => [code, name]))

/** Name of the error that the last call failed with. Where two names mean the same number, the usual one. */
const lastError = (): string => {
  const code = koffi.errno()
  return code === koffi.os.errno["EAGAIN"] ? "EAGAIN" : nameOfCode.get(code) ?? `errno ${code}`
}

/** koffi encodes text as UTF-8; only what is not UTF-8 needs a buffer. */
const native = (path: FilePath.FilePath): string | Buffer =>
  path.isWellFormed() ? path : Buffer.concat([FilePath.toBytes(path), Buffer.alloc(1)])

/** Makes a call, again where a signal came in between. */
type Make = (call: Call, values: ReadonlyArray<unknown>, done: Done<number>) => void

const makeAtOnce: Make = (call, values, done) => {
  for (;;) {
    const value = call(...values)
    const code = value < 0 ? lastError() : undefined
    // Whether a close that was interrupted has closed is not known, but on Linux it has.
    if (code !== "EINTR" || call === libcCalls.close) return done(code, value)
  }
}

/** koffi refuses more than 256 calls at once, of all parts of the program, and Node seldom has so many threads. */
const mostLater = 128
let later = 0
const waiting: Array<() => void> = []

const makeLater: Make = (call, values, done) => {
  if (later === mostLater) {
    waiting.push(() => makeLater(call, values, done))
    return
  }
  later++
  call.async(...values, (error: unknown, value: number) => {
    const code = error === null ? value < 0 ? lastError() : undefined : "EIO"
    later--
    waiting.shift()?.()
    if (code === "EINTR" && call !== libcCalls.close) makeLater(call, values, done)
    else done(code, value)
  })
}

/**
 * As much as half a millisecond's worth of names, the longest list of extended attributes, and the largest value of one
 * (linux/limits.h).
 */
const bufferBytes = 65_536

/** Buffers that nothing is read into: to make new ones each time would take memory until it is collected. */
const buffers: Array<Buffer> = []

const takeBuffer = (): Buffer => buffers.pop() ?? Buffer.allocUnsafe(bufferBytes)

// --- What the kernel fills in ---------------------------------------------------------------------------------------

const statBytes = 256

const kinds = new Map<number, Files.FileKind>([[0o100000, "file"], [0o040000, "folder"], [0o120000, "link"]])

/** Reads a `struct statx` (linux/stat.h), the same on all architectures. */
const toStat = (into: Buffer): Files.FileStat => {
  const mode = into.readUInt16LE(28)
  return {
    kind: kinds.get(mode & 0o170000) ?? "special",
    device: deviceOf(into),
    inode: into.readBigUInt64LE(32),
    links: into.readUInt32LE(16),
    mode: mode & 0o7777,
    owner: into.readUInt32LE(20),
    group: into.readUInt32LE(24),
    sizeBytes: Number(into.readBigUInt64LE(40)),
    allocatedBytes: 512 * Number(into.readBigUInt64LE(48)),
    accessedNanos: timeAt(into, 64),
    modifiedNanos: timeAt(into, 112),
    changedNanos: timeAt(into, 96),
    bornNanos: bornOf(into)
  }
}

/** When it was created; 0 where kernel or file system do not know. */
const bornOf = (into: Buffer): bigint => (into.readUInt32LE(0) & STATX_BTIME) === 0 ? 0n : timeAt(into, 80)

/** Number of the device, as the C library makes one of two. */
const deviceOf = (into: Buffer): bigint => {
  const [major, minor] = [BigInt(into.readUInt32LE(136)), BigInt(into.readUInt32LE(140))]
  return (major & 0xfffn) << 8n | major >> 12n << 44n | minor & 0xffn | minor >> 8n << 20n
}

/** What kernels or file systems do not know is 0. */
const toIdentity = (into: Buffer): Files.Identity => {
  const known = into.readUInt32LE(0)
  return {
    device: deviceOf(into),
    inode: into.readBigUInt64LE(32),
    bornNanos: bornOf(into),
    mount: (known & STATX_MNT_ID) === 0 ? 0n : into.readBigUInt64LE(144)
  }
}

const timeAt = (into: Buffer, at: number): bigint =>
  into.readBigInt64LE(at) * 1_000_000_000n + BigInt(into.readUInt32LE(at + 8))

const timesBytes = ({ accessedNanos, modifiedNanos }: Files.FileTimes): Buffer => {
  const bytes = Buffer.alloc(32)
  for (const [index, nanos] of [accessedNanos, modifiedNanos].entries()) {
    const within = (nanos % 1_000_000_000n + 1_000_000_000n) % 1_000_000_000n
    bytes.writeBigInt64LE((nanos - within) / 1_000_000_000n, 16 * index)
    bytes.writeBigInt64LE(within, 16 * index + 8)
  }
  return bytes
}

/** Kinds by `d_type` (dirent.h). */
const kindOfType: Readonly<Record<number, EntryKind>> = { 0: "unknown", 4: "folder", 8: "file", 10: "link" }

/** Reads the `struct linux_dirent64`s in a buffer, whose names end with NUL. */
const addEntries = (from: Buffer, length: number, add: (name: string, kind: EntryKind) => void): void => {
  for (let at = 0; at < length; at += from.readUInt16LE(at + 16)) {
    const name = from.toString("latin1", at + 19, from.indexOf(0, at + 19))
    if (name !== "." && name !== "..") add(name, kindOfType[from[at + 18] ?? 0] ?? "special")
  }
}

/** Asks for the name of a file system, where its type has one: the first that is known not to be another's. */
const askFileSystem = (make: Make, descriptor: number, done: Done<string>): void => {
  const statfs = Buffer.alloc(FileSystemId.statfsBytes)
  make(libcCalls.fstatfs, [descriptor, statfs], (code) => {
    if (code !== undefined) return done(code, "")
    if (!FileSystemId.needsUuid(statfs)) return done(undefined, FileSystemId.ofStatfs(statfs))
    const uuid = Buffer.alloc(FileSystemId.uuidBytes)
    // Kernels before Linux 6.9 don't know this request.
    make(
      libcCalls.ioctl,
      [descriptor, FileSystemId.getUuid, uuid],
      (code) => done(undefined, code === undefined ? FileSystemId.ofUuid(uuid) : "")
    )
  })
}

// --- Calls ----------------------------------------------------------------------------------------------------------

/** What the kernel resolves in one call without following a link, where it has such a call. */
const openWhole = (make: Make, path: FilePath.FilePath, flags: number, done: Done<number>): void => {
  const how = Buffer.alloc(24)
  how.writeBigUInt64LE(BigInt(flags), 0)
  how.writeBigUInt64LE(RESOLVE_NO_SYMLINKS, 16)
  make(libcCalls.syscall, [SYS_openat2, AT_FDCWD, native(path), how, how.length], done)
}

const isTooLong = (path: FilePath.FilePath): boolean =>
  path.length >= PATH_MAX / 3 && FilePath.toBytes(path).length >= PATH_MAX

const closeFolder = (descriptor: number): void => {
  libcCalls.close(descriptor)
}

/** Opens one component after the other. */
const openByStep = (make: Make, path: FilePath.FilePath, flags: number, done: Done<number>): void => {
  const names = path.split("/").filter((name) => name !== "")
  const step = (folder: number, index: number): void => {
    const isLast = index >= names.length - 1
    make(
      libcCalls.openat,
      [folder, native(FilePath.make(names[index] ?? ".")), isLast ? flags : flagsOf.folder, 0],
      (code, opened) => {
        closeFolder(folder)
        if (code !== undefined || isLast) done(code, opened)
        else step(opened, index + 1)
      }
    )
  }
  make(
    libcCalls.openat,
    [AT_FDCWD, "/", flagsOf.folder, 0],
    (code, root) => code === undefined ? step(root, 0) : done(code, root)
  )
}

const withoutValue = (done: Done<void>): Done<number> => (code) => done(code, undefined)

const identity = (make: Make): SystemCalls["identity"] => (descriptor, done) => {
  const into = Buffer.allocUnsafe(statBytes)
  make(
    libcCalls.statx,
    [descriptor, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME | STATX_MNT_ID, into],
    (code) => {
      const found = toIdentity(into)
      if (code !== undefined || found.bornNanos === 0n || !isAnonymous(found.device)) return done(code, found)
      // The first change in a folder of a lower layer makes another one in the upper layer, which is born then.
      make(
        libcCalls.fstatfs,
        [descriptor, into],
        (code) => done(code, isOverlay(into.readUInt32LE(0)) ? { ...found, bornNanos: 0n } : found)
      )
    }
  )
}

/** Before Linux 5.8 nobody is told what could not be written when a file system is flushed. */
const tellsOfFlushes = /^(?:[6-9]|[1-9]\d|5\.(?:[89]|[1-9]\d))/.test(os.release())

const isMissing = (code: string | undefined): boolean => code === "ENOSYS" || code === "EOPNOTSUPP"

const forContent = (make: Make) =>
  ({
    write: (descriptor, bytes, at, done) =>
      at === null
        ? make(libcCalls.write, [descriptor, bytes, bytes.length], done)
        : make(libcCalls.pwrite, [descriptor, bytes, bytes.length, at], done),
    seek: (descriptor, at, to, done) =>
      make(libcCalls.lseek, [descriptor, at, to === "data" ? SEEK_DATA : SEEK_HOLE], done),
    copyRange: (from, to, at, length, done) => {
      const places = [Buffer.alloc(8), Buffer.alloc(8)] as const
      for (const place of places) place.writeBigInt64LE(BigInt(at))
      make(libcCalls.copyFileRange, [from, places[0], to, places[1], length, 0], done)
    },
    clone: (from, to, done) => make(libcCalls.ioctlWithNumber, [to, FICLONE, from], withoutValue(done)),
    truncate: (descriptor, sizeBytes, done) => make(libcCalls.ftruncate, [descriptor, sizeBytes], withoutValue(done)),
    forget: (descriptor, done) =>
      make(libcCalls.fadvise, [descriptor, 0, 0, POSIX_FADV_DONTNEED], (code, value) =>
        // It gives the number of the error.
        done(value > 0 ? nameOfCode.get(value) ?? `errno ${value}` : code, undefined)),
    sync: (descriptor, done) => make(libcCalls.fsync, [descriptor], withoutValue(done)),
    syncFileSystem: (descriptor, done) => {
      if (!tellsOfFlushes) return done("ENOTSUP", undefined)
      const statfs = Buffer.alloc(FileSystemId.statfsBytes)
      make(libcCalls.fstatfs, [descriptor, statfs], (code) => {
        // Others may take it for a wish.
        if (code === undefined && !isLocal(statfs.readUInt32LE(0))) done("ENOTSUP", undefined)
        else if (code !== undefined) done(code, undefined)
        // Where a sandbox or a file system refuses the call, files are flushed one by one.
        else make(libcCalls.syncfs, [descriptor], (code) => done(isMissing(code) ? "ENOTSUP" : code, undefined))
      })
    }
  }) satisfies Partial<SystemCalls>

const noNames: ReadonlyArray<string> = []

const attributeName = (name: string): Buffer => Buffer.from(`${name}\0`, "latin1")

const forAttributes = (make: Make) =>
  ({
    listAttributes: (descriptor, done) =>
      // Most files have none, and to tell that takes no buffer.
      make(libcCalls.flistxattr, [descriptor, null, 0], (code, length) => {
        if (code !== undefined || length === 0) return done(code, noNames)
        const into = takeBuffer()
        make(libcCalls.flistxattr, [descriptor, into, into.length], (code, length) => {
          const names = code === undefined && length > 0 ? into.toString("latin1", 0, length - 1).split("\0") : noNames
          buffers.push(into)
          done(code, names)
        })
      }),
    getAttribute: (descriptor, name, done) => {
      const into = takeBuffer()
      make(libcCalls.fgetxattr, [descriptor, attributeName(name), into, into.length], (code, length) => {
        const value = new Uint8Array(into.subarray(0, Math.max(length, 0)))
        buffers.push(into)
        done(code, value)
      })
    },
    setAttribute: (descriptor, name, value, done) =>
      make(libcCalls.fsetxattr, [descriptor, attributeName(name), value, value.length, 0], withoutValue(done)),
    setOwner: (descriptor, owner, group, done) =>
      make(libcCalls.fchownat, [descriptor, "", owner, group, AT_EMPTY_PATH], withoutValue(done)),
    setOwnerAt: (folder, name, owner, group, done) =>
      make(libcCalls.fchownat, [folder, native(name), owner, group, AT_SYMLINK_NOFOLLOW], withoutValue(done))
  }) satisfies Partial<SystemCalls>

const forNames = (make: Make) =>
  ({
    makeFolder: (folder, name, done) => make(libcCalls.mkdirat, [folder, native(name), folderMode], withoutValue(done)),
    makeLink: (target, folder, name, done) =>
      make(libcCalls.symlinkat, [native(target), folder, native(name)], withoutValue(done)),
    rename: (folder, from, into, to, done) =>
      make(libcCalls.renameat, [folder, native(from), into, native(to)], withoutValue(done)),
    renameExclusively: (folder, from, into, to, done) =>
      renameat2 === undefined
        ? done("ENOTSUP", undefined)
        : make(renameat2, [folder, native(from), into, native(to), RENAME_NOREPLACE], withoutValue(done)),
    link: (folder, existing, to, name, done) =>
      make(libcCalls.linkat, [folder, native(existing), to, native(name), 0], withoutValue(done)),
    // By descriptor alone it takes a privilege.
    linkUnnamed: (descriptor, folder, name, done) =>
      make(
        libcCalls.linkat,
        [AT_FDCWD, `/proc/self/fd/${descriptor}`, folder, native(name), AT_SYMLINK_FOLLOW],
        withoutValue(done)
      ),
    unlink: (folder, name, done) => make(libcCalls.unlinkat, [folder, native(name), 0], withoutValue(done)),
    removeFolder: (folder, name, done) =>
      make(libcCalls.unlinkat, [folder, native(name), AT_REMOVEDIR], withoutValue(done))
  }) satisfies Partial<SystemCalls>

const of = (make: Make): SystemCalls => {
  const stat = (folder: number, name: string | Buffer, flags: number, done: Done<Files.FileStat>): void => {
    const into = Buffer.allocUnsafe(statBytes)
    make(libcCalls.statx, [folder, name, flags, statMask, into], (code) => done(code, toStat(into)))
  }
  return {
    open: (folder, name, mode, done) =>
      mode === "unnamed"
        ? make(libcCalls.openat, [folder, native(name), flagsOf.unnamed, fileMode], (code, opened) =>
          // Kernels that don't know the flag take it for writing to a folder.
          done(code === "EISDIR" || code === "EOPNOTSUPP" ? "ENOTSUP" : code, opened))
        : make(libcCalls.openat, [folder, native(name), flagsOf[mode], fileMode], done),
    openPath: (path, mode, done) => {
      const flags = flagsOf[mode]
      if (isTooLong(path)) return openByStep(make, path, flags, done)
      openWhole(make, path, flags, (code, opened) => {
        // Neither kernels before Linux 5.6 nor some sandboxes let it be called.
        if (code === "ENOSYS" || code === "EPERM") openByStep(make, path, flags, done)
        else done(code, opened)
      })
    },
    close: (descriptor, done) => make(libcCalls.close, [descriptor], withoutValue(done)),
    closeFolder,
    stat: (descriptor, done) => stat(descriptor, "", AT_EMPTY_PATH, done),
    identity: identity(make),
    lstat: (folder, name, done) => stat(folder, native(name), AT_SYMLINK_NOFOLLOW, done),
    fileSystem: (descriptor, done) =>
      FileSystemId.isKnownLayout ? askFileSystem(make, descriptor, done) : done(undefined, ""),
    list: (descriptor, add, done) => {
      const into = takeBuffer()
      make(libcCalls.getdents, [descriptor, into, into.length], (code, length) => {
        if (code === undefined) addEntries(into, length, add)
        buffers.push(into)
        done(code, length > 0)
      })
    },
    readLink: (folder, name, done) => {
      const into = Buffer.allocUnsafe(PATH_MAX)
      make(
        libcCalls.readlinkat,
        [folder, native(name), into, into.length],
        (code, length) => done(code, code === undefined ? FilePath.fromBytes(into.subarray(0, length)) : FilePath.empty)
      )
    },
    read: (descriptor, buffer, at, done) =>
      at === null
        ? make(libcCalls.read, [descriptor, buffer, buffer.length], done)
        : make(libcCalls.pread, [descriptor, buffer, buffer.length, at], done),
    ...forContent(make),
    ...forAttributes(make),
    setMode: (descriptor, mode, done) => make(libcCalls.fchmod, [descriptor, mode], withoutValue(done)),
    setTimes: (descriptor, times, done) =>
      make(libcCalls.utimensat, [descriptor, null, timesBytes(times), 0], withoutValue(done)),
    setTimesAt: (folder, name, times, done) =>
      make(libcCalls.utimensat, [folder, native(name), timesBytes(times), AT_SYMLINK_NOFOLLOW], withoutValue(done)),
    ...forNames(make)
  }
}

/** Calls that a thread of the pool waits for, and calls that are waited for. */
export const calls: Readonly<Record<Way, SystemCalls>> = { later: of(makeLater), atOnce: of(makeAtOnce) }
