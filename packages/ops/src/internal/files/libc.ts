/**
 * The C library of Linux, by koffi: its functions, and what they are told.
 */
import koffi, { type KoffiFunc } from "koffi"
import * as fs from "node:fs"
import { type Code, code, type Mode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"

// What a call that others wait for needs is kept for the next one, for as many as koffi allows. These few arguments
// take little of it.
try {
  koffi.config({ async_stack_size: 65_536, async_heap_size: 65_536, resident_async_pools: 32 })
} catch {
  // Another part of the program has loaded a library before, and goes by other numbers. It is slower with these.
}

/** A function of the library. */
export type Native = KoffiFunc<(...values: ReadonlyArray<unknown>) => number>

/** A C library, whose functions are found by their definitions. */
interface Library {
  readonly func: (definition: string) => unknown
}

/**
 * Finds a function. What is called `pread64` in some libraries, beside one for smaller files, is `pread` in those that
 * have no other (musl).
 */
const declareIn = (library: Library) => (definition: string): Native => {
  const find = (definition: string): Native =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each function declared below returns a number
    library.func(definition) as Native
  try {
    return find(definition)
  } catch {
    return find(definition.replace("64(", "("))
  }
}

const functions = (declare: (definition: string) => Native) => ({
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
  sendfile: declare("int64 sendfile64(int to, int from, void *at, size_t size)"),
  ftruncate: declare("int ftruncate64(int descriptor, int64 size)"),
  fadvise: declare("int posix_fadvise64(int descriptor, int64 at, int64 length, int advice)"),
  fsync: declare("int fsync(int descriptor)"),
  syncfs: declare("int syncfs(int descriptor)"),
  flistxattr: declare("int64 flistxattr(int descriptor, void *into, size_t size)"),
  fgetxattr: declare("int64 fgetxattr(int descriptor, const char *name, void *into, size_t size)"),
  fsetxattr: declare("int fsetxattr(int descriptor, const char *name, const void *value, size_t size, int flags)"),
  llistxattr: declare("int64 llistxattr(const char *path, void *into, size_t size)"),
  lgetxattr: declare("int64 lgetxattr(const char *path, const char *name, void *into, size_t size)"),
  lsetxattr: declare("int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)"),
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
})

/** The functions of a library. Fails where one is missing but `renameat2`, which some don't have. */
export const functionsOf = (library: Library) => {
  const declare = declareIn(library)
  const libc = functions(declare)
  try {
    const renameat2 = "int renameat2(int fromFolder, const char *from, int toFolder, const char *to, uint flags)"
    return { libc, renameat2: declare(renameat2) }
  } catch {
    return { libc, renameat2: undefined }
  }
}

export const { libc, renameat2 } = functionsOf(koffi.load(null))

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
export const { O_NOATIME } = fs.constants
const O_CLOEXEC = 0o2000000
const O_PATH = 0o10000000
const O_TMPFILE = 0o20000000 | O_DIRECTORY
export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_REMOVEDIR = 0x200
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_EMPTY_PATH = 0x1000
export const STATX_INO = 0x100
export const STATX_BTIME = 0x800
export const STATX_MNT_ID = 0x1000
/** What `stat` knows, and the time of birth. */
export const statMask = 0x7ff | STATX_BTIME
/** What `statx` tells of folders to which names can only be added, and of files like that. */
export const STATX_ATTR_APPEND = 0x20
export const RENAME_NOREPLACE = 1
export const SEEK_SET = 0
export const SEEK_DATA = 3
export const SEEK_HOLE = 4
export const [POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED] = [3, 4]
/** Request to share the blocks of another file (linux/fs.h). */
export const FICLONE = 0x40049409
/** Number of `openat2`, the same on all architectures (linux/unistd.h). */
export const SYS_openat2 = 437
export const RESOLVE_NO_SYMLINKS = 4n
/** Length of the longest path that the kernel takes in one call, with the NUL at its end. */
export const PATH_MAX = 4096

export const flagsOf: Readonly<Record<Mode, number>> = {
  folder: O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
  list: O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC,
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC,
  create: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
  update: O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
  unnamed: O_RDWR | O_TMPFILE | O_CLOEXEC
}

const { errno } = koffi.os
const codes = new Map(Object.entries(errno).map(([name, number]) => [number, code(name)]))
// Where two names mean the same number, the usual one.
codes.set(errno["EAGAIN"] ?? 0, code("EAGAIN"))

/** Code of the error with this number. */
export const nameOf = (number: number): Code => codes.get(number) ?? code(`errno ${number}`)

/** Code of the error that the last call failed with. */
export const lastError = (): Code => nameOf(koffi.errno())

/** koffi encodes text as UTF-8; only what is not UTF-8 needs a buffer. */
export const native = (path: FilePath.FilePath): string | Buffer =>
  path.isWellFormed() ? path : Buffer.concat([FilePath.toBytes(path), Buffer.alloc(1)])
