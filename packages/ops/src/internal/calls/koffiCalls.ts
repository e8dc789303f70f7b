/**
 * Makes system calls through the C library of Linux, by koffi.
 *
 * A call takes less time than through `node:fs`, names go by descriptor, and times are true to the nanosecond.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { comparePlain } from "./comparePlain.ts"
import { withFolders } from "./copyFolders.ts"
import { copyPlain } from "./copyPlain.ts"
import { addEntries } from "./entries.ts"
import * as FileSystemId from "./fileSystemId.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  type Call,
  FICLONE,
  flagsOf,
  lastError,
  libc,
  nameOfCode,
  native,
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
import * as readSmall from "./readSmall.ts"
import { Answer, statBytes, toIdentity, toStat } from "./stat.ts"
import { sweepTree } from "./sweepTree.ts"
import {
  type Done,
  fileMode,
  isAnonymous,
  isLocal,
  isOverlay,
  type SystemCalls,
  unlinkOneByOne,
  type Way
} from "./systemCalls.ts"

/** Makes a call, again where a signal came in between. */
type Make = (call: Call, values: ReadonlyArray<unknown>, done: Done<number>) => void

const makeAtOnce: Make = (call, values, done) => {
  for (;;) {
    const value = call(...values)
    const code = value < 0 ? lastError() : undefined
    // Whether a close that was interrupted has closed is not known, but on Linux it has.
    if (code !== "EINTR" || call === libc.close) return done(code, value)
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
    if (code === "EINTR" && call !== libc.close) makeLater(call, values, done)
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

const timesBytes = ({ accessedNanos, modifiedNanos }: Files.FileTimes): Buffer => {
  const bytes = Buffer.alloc(32)
  for (const [index, nanos] of [accessedNanos, modifiedNanos].entries()) {
    const within = (nanos % 1_000_000_000n + 1_000_000_000n) % 1_000_000_000n
    bytes.writeBigInt64LE((nanos - within) / 1_000_000_000n, 16 * index)
    bytes.writeBigInt64LE(within, 16 * index + 8)
  }
  return bytes
}

/** Asks for the name of a file system, where its type has one: the first that is known not to be another's. */
const askFileSystem = (make: Make, descriptor: number, done: Done<string>): void => {
  const statfs = Buffer.alloc(FileSystemId.statfsBytes)
  make(libc.fstatfs, [descriptor, statfs], (code) => {
    if (code !== undefined) return done(code, "")
    if (!FileSystemId.needsUuid(statfs)) return done(undefined, FileSystemId.ofStatfs(statfs))
    const uuid = Buffer.alloc(FileSystemId.uuidBytes)
    // Kernels before Linux 6.9 don't know this request.
    make(
      libc.ioctl,
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
  make(libc.syscall, [SYS_openat2, AT_FDCWD, native(path), how, how.length], done)
}

const isTooLong = (path: FilePath.FilePath): boolean =>
  path.length >= PATH_MAX / 3 && FilePath.toBytes(path).length >= PATH_MAX

const closeFolder = (descriptor: number): void => {
  libc.close(descriptor)
}

/** Opens one component after the other. */
const openByStep = (make: Make, path: FilePath.FilePath, flags: number, done: Done<number>): void => {
  const names = path.split("/").filter((name) => name !== "")
  const step = (folder: number, index: number): void => {
    const isLast = index >= names.length - 1
    make(
      libc.openat,
      [folder, native(FilePath.make(names[index] ?? ".")), isLast ? flags : flagsOf.folder, 0],
      (code, opened) => {
        closeFolder(folder)
        if (code !== undefined || isLast) done(code, opened)
        else step(opened, index + 1)
      }
    )
  }
  make(
    libc.openat,
    [AT_FDCWD, "/", flagsOf.folder, 0],
    (code, root) => code === undefined ? step(root, 0) : done(code, root)
  )
}

const withoutValue = (done: Done<void>): Done<number> => (code) => done(code, undefined)

const identity = (make: Make): SystemCalls["identity"] => (descriptor, done) => {
  const into = Buffer.allocUnsafe(statBytes)
  make(
    libc.statx,
    [descriptor, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME | STATX_MNT_ID, into],
    (code) => {
      const found = toIdentity(into)
      if (code !== undefined || found.bornNanos === 0n || !isAnonymous(found.device)) return done(code, found)
      // The first change in a folder of a lower layer makes another one in the upper layer, which is born then.
      make(
        libc.fstatfs,
        [descriptor, into],
        (code) => done(code, isOverlay(into.readUInt32LE(0)) ? { ...found, bornNanos: 0n } : found)
      )
    }
  )
}

/** Before Linux 5.8 nobody is told what could not be written when a file system is flushed. */
const tellsOfFlushes = /^(?:[6-9]|[1-9]\d|5\.(?:[89]|[1-9]\d))/.test(os.release())

const isMissing = (code: string | undefined): boolean => code === "ENOSYS" || code === "EOPNOTSUPP"

const advise = (make: Make, advice: number) => (descriptor: number, done: Done<void>): void =>
  make(libc.fadvise, [descriptor, 0, 0, advice], (code, value) =>
    // It gives the number of the error.
    done(value > 0 ? nameOfCode.get(value) ?? `errno ${value}` : code, undefined))

const forContent = (make: Make) =>
  ({
    write: (descriptor, bytes, at, done) =>
      at === null
        ? make(libc.write, [descriptor, bytes, bytes.length], done)
        : make(libc.pwrite, [descriptor, bytes, bytes.length, at], done),
    seek: (descriptor, at, to, done) => make(libc.lseek, [descriptor, at, to === "data" ? SEEK_DATA : SEEK_HOLE], done),
    copyRange: (from, to, at, length, done) => {
      const placeOf = () => {
        const place = Buffer.alloc(8)
        place.writeBigInt64LE(BigInt(at))
        return place
      }
      // From one file system to another there is an older call: the place in the copy is its descriptor's.
      const send = (): void => {
        if (libc.lseek(to, at, SEEK_SET) < 0) done(lastError(), 0)
        else make(libc.sendfile, [to, from, placeOf(), length], done)
      }
      // With nothing to copy the kernel answers by itself, and at once.
      if (libc.copyFileRange(from, null, to, null, 0, 0) < 0 && lastError() === "EXDEV") return send()
      make(
        libc.copyFileRange,
        [from, placeOf(), to, placeOf(), length, 0],
        (refused, copied) => refused === "EXDEV" ? send() : done(refused, copied)
      )
    },
    clone: (from, to, done) => make(libc.ioctlWithNumber, [to, FICLONE, from], withoutValue(done)),
    truncate: (descriptor, sizeBytes, done) => make(libc.ftruncate, [descriptor, sizeBytes], withoutValue(done)),
    forget: advise(make, POSIX_FADV_DONTNEED),
    readAnew: (descriptor, done) =>
      advise(make, POSIX_FADV_DONTNEED)(descriptor, (code) =>
        code === undefined ? advise(make, POSIX_FADV_WILLNEED)(descriptor, done) : done(code, undefined)),
    sync: (descriptor, done) =>
      make(libc.fsync, [descriptor], withoutValue(done)),
    syncFileSystem: (descriptor, done) => {
      if (!tellsOfFlushes) return done("ENOTSUP", undefined)
      const statfs = Buffer.alloc(FileSystemId.statfsBytes)
      make(libc.fstatfs, [descriptor, statfs], (code) => {
        // Others may take it for a wish.
        if (code === undefined && !isLocal(statfs.readUInt32LE(0))) done("ENOTSUP", undefined)
        else if (code !== undefined) done(code, undefined)
        // Where a sandbox or a file system refuses the call, files are flushed one by one.
        else make(libc.syncfs, [descriptor], (code) => done(isMissing(code) ? "ENOTSUP" : code, undefined))
      })
    }
  }) satisfies Partial<SystemCalls>

const noNames: ReadonlyArray<string> = []

const attributeName = (name: string): Buffer => Buffer.from(`${name}\0`, "latin1")

/** Folder in which each descriptor has a name; not there where no `/proc` is mounted. */
const descriptors = "/proc/self/fd"

/** What a call without a descriptor of its own reaches by the folder that it is in. */
const inFolder = (folder: number, name: FilePath.FilePath): string | Buffer =>
  native(FilePath.make(`${descriptors}/${folder}/${name}`))

const listAttributes = (make: Make, call: Call, of: unknown, done: Done<ReadonlyArray<string>>): void =>
  // Most files have none, and to tell that takes no buffer.
  make(call, [of, null, 0], (code, length) => {
    if (code !== undefined || length === 0) return done(code, noNames)
    const into = takeBuffer()
    make(call, [of, into, into.length], (code, length) => {
      const names = code === undefined && length > 0 ? into.toString("latin1", 0, length - 1).split("\0") : noNames
      buffers.push(into)
      done(code, names)
    })
  })

const getAttribute = (make: Make, call: Call, of: unknown, name: string, done: Done<Uint8Array>): void => {
  const into = takeBuffer()
  make(call, [of, attributeName(name), into, into.length], (code, length) => {
    const value = new Uint8Array(into.subarray(0, Math.max(length, 0)))
    buffers.push(into)
    done(code, value)
  })
}

const forAttributes = (make: Make) =>
  ({
    listAttributes: (descriptor, done) => listAttributes(make, libc.flistxattr, descriptor, done),
    getAttribute: (descriptor, name, done) => getAttribute(make, libc.fgetxattr, descriptor, name, done),
    setAttribute: (descriptor, name, value, done) =>
      make(libc.fsetxattr, [descriptor, attributeName(name), value, value.length, 0], withoutValue(done)),
    listAttributesAt: (folder, of, done) =>
      listAttributes(make, libc.llistxattr, inFolder(folder, of), (code, names) =>
        done(code === "ENOENT" && !fs.existsSync(descriptors) ? "ENOTSUP" : code, names)),
    getAttributeAt: (folder, of, name, done) =>
      getAttribute(make, libc.lgetxattr, inFolder(folder, of), name, done),
    setAttributeAt: (folder, of, name, value, done) =>
      make(libc.lsetxattr, [inFolder(folder, of), attributeName(name), value, value.length, 0], withoutValue(done)),
    setOwner: (descriptor, owner, group, done) =>
      make(libc.fchownat, [descriptor, "", owner, group, AT_EMPTY_PATH], withoutValue(done)),
    setOwnerAt: (folder, name, owner, group, done) =>
      make(libc.fchownat, [folder, native(name), owner, group, AT_SYMLINK_NOFOLLOW], withoutValue(done))
  }) satisfies Partial<SystemCalls>

const forNames = (make: Make) =>
  ({
    makeFolder: (folder, name, mode, done) => make(libc.mkdirat, [folder, native(name), mode], withoutValue(done)),
    makeLink: (target, folder, name, done) =>
      make(libc.symlinkat, [native(target), folder, native(name)], withoutValue(done)),
    rename: (folder, from, into, to, done) =>
      make(libc.renameat, [folder, native(from), into, native(to)], withoutValue(done)),
    renameExclusively: (folder, from, into, to, done) =>
      renameat2 === undefined
        ? done("ENOTSUP", undefined)
        : make(renameat2, [folder, native(from), into, native(to), RENAME_NOREPLACE], withoutValue(done)),
    link: (folder, existing, to, name, done) =>
      make(libc.linkat, [folder, native(existing), to, native(name), 0], withoutValue(done)),
    // By descriptor alone it takes a privilege.
    linkUnnamed: (descriptor, folder, name, done) =>
      make(
        libc.linkat,
        [AT_FDCWD, `/proc/self/fd/${descriptor}`, folder, native(name), AT_SYMLINK_FOLLOW],
        withoutValue(done)
      ),
    unlink: (folder, name, done) => make(libc.unlinkat, [folder, native(name), 0], withoutValue(done)),
    removeFolder: (folder, name, done) => make(libc.unlinkat, [folder, native(name), AT_REMOVEDIR], withoutValue(done))
  }) satisfies Partial<SystemCalls>

const readSmallAtOnce = readSmall.make({
  open: (folder, name) => libc.openat(folder, native(name), flagsOf.read, 0),
  stat: (descriptor, mask, into) => libc.statx(descriptor, "", AT_EMPTY_PATH, mask, into),
  read: (descriptor, into) => libc.read(descriptor, into, into.length),
  close: closeFolder,
  lastError
})

const of = (make: Make): SystemCalls => {
  const names = forNames(make)
  const stat = (folder: number, name: string | Buffer, flags: number, done: Done<Files.FileStat>): void => {
    const into = Buffer.allocUnsafe(statBytes)
    make(libc.statx, [folder, name, flags, statMask, into], (code) => done(code, toStat(into)))
  }
  const open: SystemCalls["open"] = (folder, name, mode, done) =>
    mode === "unnamed"
      ? make(libc.openat, [folder, native(name), flagsOf.unnamed, fileMode], (code, opened) =>
        // Kernels that don't know the flag take it for writing to a folder.
        done(code === "EISDIR" || code === "EOPNOTSUPP" ? "ENOTSUP" : code, opened))
      : make(libc.openat, [folder, native(name), flagsOf[mode], fileMode], done)
  return {
    open,
    openPath: (path, mode, done) => {
      const flags = flagsOf[mode]
      if (isTooLong(path)) return openByStep(make, path, flags, done)
      openWhole(make, path, flags, (code, opened) => {
        // Neither kernels before Linux 5.6 nor some sandboxes let it be called.
        if (code === "ENOSYS" || code === "EPERM") openByStep(make, path, flags, done)
        else done(code, opened)
      })
    },
    close: (descriptor, done) => make(libc.close, [descriptor], withoutValue(done)),
    closeFolder,
    stat: (descriptor, done) => stat(descriptor, "", AT_EMPTY_PATH, done),
    identity: identity(make),
    lstat: (folder, name, done) => stat(folder, native(name), AT_SYMLINK_NOFOLLOW, done),
    fileSystem: (descriptor, done) =>
      FileSystemId.isKnownLayout ? askFileSystem(make, descriptor, done) : done(undefined, ""),
    list: (descriptor, add, done, skips) => {
      const into = takeBuffer()
      make(libc.getdents, [descriptor, into, into.length], (code, length) => {
        if (code === undefined) addEntries(into, length, add, skips)
        buffers.push(into)
        done(code, length > 0)
      })
    },
    readLink: (folder, name, done) => {
      const into = Buffer.allocUnsafe(PATH_MAX)
      make(
        libc.readlinkat,
        [folder, native(name), into, into.length],
        (code, length) => done(code, code === undefined ? FilePath.fromBytes(into.subarray(0, length)) : FilePath.empty)
      )
    },
    read: (descriptor, buffer, at, done) =>
      at === null
        ? make(libc.read, [descriptor, buffer, buffer.length], done)
        : make(libc.pread, [descriptor, buffer, buffer.length, at], done),
    readSmall: make === makeAtOnce
      ? readSmallAtOnce
      : readSmall.leaving((folder, name, done) => open(folder, name, "read", done)),
    ...forContent(make),
    ...forAttributes(make),
    setMode: (descriptor, mode, done) => make(libc.fchmod, [descriptor, mode], withoutValue(done)),
    setTimes: (descriptor, times, done) =>
      make(libc.utimensat, [descriptor, null, timesBytes(times), 0], withoutValue(done)),
    setTimesAt: (folder, name, times, done) =>
      make(libc.utimensat, [folder, native(name), timesBytes(times), AT_SYMLINK_NOFOLLOW], withoutValue(done)),
    ...names,
    unlinkEach: unlinkOneByOne(names.unlink)
  }
}

/** A name is removed in so little time that it matters what is around the call. */
const unlinkEachAtOnce: SystemCalls["unlinkEach"] = (folder, names, take, done) => {
  for (const name of names) {
    // On Linux no signal comes in between.
    const code = libc.unlinkat(folder, native(name), 0) < 0 ? lastError() : undefined
    if (!take(code)) break
  }
  done(undefined, undefined)
}

const looked = new Answer()

const isAppendOnly: SystemCalls["isAppendOnly"] = (folder, done) => {
  const code = libc.statx(folder, "", AT_EMPTY_PATH, statMask, looked.bytes) < 0 ? lastError() : undefined
  done(code, looked.isAppendOnly)
}

const atOnce = withFolders({
  ...of(makeAtOnce),
  isAppendOnly,
  unlinkEach: unlinkEachAtOnce,
  copyPlain: (copy, done) => done(undefined, copyPlain(copy)),
  comparePlain: (pair, done) => done(undefined, comparePlain(pair))
})

/** Calls that a thread of the pool waits for, and calls that are waited for. */
export const calls: Readonly<Record<Way, SystemCalls>> = {
  later: of(makeLater),
  atOnce: { ...atOnce, sweepTree: (tree, done) => done(undefined, sweepTree(atOnce, tree)) }
}
