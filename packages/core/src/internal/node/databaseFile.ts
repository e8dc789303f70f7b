/**
 * Prepares the place of a database: the folder, and the file with its permissions. Refuses a file system where SQLite
 * is not safe.
 */
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as path from "node:path"
import { getSystemErrorMessage } from "node:util"
import { StorageFailure, type StorageProblem, UnsafeFileSystem } from "../../JobStoreError.ts"
import { mountIn } from "./linux.ts"

/**
 * File systems on which a write-ahead log is not safe. The index of the log is memory that processes share, and those
 * of different machines can't share any. Locks may be missing, or come late.
 */
const shared: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB"],
  [0x517b, "SMB"],
  [0x01021997, "9P"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x73757245, "Coda"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x47504653, "GPFS"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
  [0x19830326, "BeeGFS"],
  [0xaad7aaea, "PanFS"],
  [0x786f4256, "a VirtualBox shared folder"],
  [0xbacbacbc, "a VMware shared folder"],
  [0x7c7c6673, "a Parallels shared folder"]
])

const fuse = 0x65735546

/** File systems in user space that keep their files on a disk of this machine. */
const localFuse = new Set(["fuseblk", "fuse.fuse-overlayfs"])

/** Name of a file system where a database is not safe; `undefined` where it is. `mountType` names one behind FUSE. */
export const unsafeFileSystem = (type: number, mountType: () => string | undefined): string | undefined => {
  const magic = type >>> 0
  if (magic !== fuse) return shared.get(magic)
  const mounted = mountType()
  return mounted !== undefined && localFuse.has(mounted) ? undefined : `FUSE (${mounted ?? "unknown"})`
}

/** Makes a folder, and those above it. Node's `recursive` never ends where nothing can be made, as in `/proc`. */
const makeFolder = (folder: string): void => {
  if (fs.existsSync(folder)) return
  makeFolder(path.dirname(folder))
  try {
    fs.mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    // Another process may have made the folder meanwhile.
    if (!fs.existsSync(folder)) throw error
  }
}

/**
 * Makes the file and its folder if they are missing. Nobody else may read them, since payloads name files. Returns the
 * absolute path, which SQLite never takes for a URI.
 */
export const prepare = (filename: string): string => {
  const file = path.resolve(filename)
  const folder = path.dirname(file)
  makeFolder(folder)
  const existing = fs.statSync(file, { throwIfNoEntry: false })
  const place = existing === undefined ? folder : file
  const fileSystem = unsafeFileSystem(
    process.platform === "linux" ? fs.statfsSync(place).type : 0,
    () => mountIn(fs.readFileSync("/proc/self/mountinfo", "utf8"), fs.realpathSync(place))?.type
  )
  if (fileSystem !== undefined) throw new UnsafeFileSystem({ path: file, fileSystem })
  if (existing === undefined) {
    // SQLite gives the other files of the database the permissions of this one.
    fs.closeSync(fs.openSync(file, "a", 0o600))
  } else if (!existing.isFile()) {
    const kind = existing.isDirectory() ? "a folder" : "no file"
    throw new StorageFailure({ operation: "open", problem: "Unreadable", cause: new Error(`${file} is ${kind}`) })
  }
  return file
}

const denied = new Set(["EACCES", "EPERM"])
const unreadable = new Set(["ENOENT", "ENOTDIR", "EEXIST", "ELOOP", "ENAMETOOLONG"])
const full = new Set(["ENOSPC", "EDQUOT"])

const problemOf = (code: string): typeof StorageProblem.Type => {
  if (denied.has(code)) return "Denied"
  if (unreadable.has(code)) return "Unreadable"
  if (full.has(code)) return "Full"
  return code === "EROFS" ? "ReadOnly" : "Other"
}

interface SystemError extends Error {
  readonly code: string
  readonly errno: number
  readonly path: string
}

const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && "errno" in error && "path" in error

/** Why a place could not be prepared. */
export const reasonOf = (cause: unknown): UnsafeFileSystem | StorageFailure => {
  if (cause instanceof UnsafeFileSystem || cause instanceof StorageFailure) return cause
  if (!isSystemError(cause)) return new StorageFailure({ operation: "open", problem: "Other", cause })
  const { code, errno, path } = cause
  const told = new Error(`${getSystemErrorMessage(errno)} (${code}): ${path}`, { cause })
  return new StorageFailure({ operation: "open", problem: problemOf(code), cause: told })
}

/** Why a file that was prepared can't be used: SQLite writes to it, and makes others beside it, but tells no cause. */
export const obstacleTo = (file: string): Option.Option<UnsafeFileSystem | StorageFailure> => {
  const { R_OK, W_OK, X_OK } = fs.constants
  try {
    fs.accessSync(file, R_OK | W_OK)
    fs.accessSync(path.dirname(file), W_OK | X_OK)
    return Option.none()
  } catch (error) {
    return Option.some(reasonOf(error))
  }
}
