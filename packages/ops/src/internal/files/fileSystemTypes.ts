/**
 * What is known of file systems by their types, and of errors that some of them answer.
 */
/** What file systems answer that have no extended attributes. */
export const withoutAttributes: ReadonlySet<string> = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

/** Number of the file system that lays folders over others (linux/magic.h). */
const overlay = 0x794c7630

export const isOverlay = (type: number): boolean => type >>> 0 === overlay

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

/** Whether a file system of this type is on this machine. */
export const isLocal = (type: number): boolean => localTypes.has(type >>> 0)

/** Whether a file system has no device of its own (major number 0), as overlays have none: only those are asked. */
export const isAnonymous = (device: bigint): boolean => (device >> 8n & 0xfffn) === 0n && device >> 44n === 0n

/** Permissions of a file that is created, until it gets those it is to have. */
export const fileMode = 0o600
