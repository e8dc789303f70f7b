/**
 * What is known of file systems by their types, and of errors that some of them answer.
 */
/** What file systems answer that have no extended attributes. */
export const withoutAttributes: ReadonlySet<string> = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

/** Number of the file system that lays folders over others (linux/magic.h). */
const overlay = 0x794c7630

export const isOverlay = (type: number): boolean => type >>> 0 === overlay

/** File systems that are on a disk of this machine, or in its memory, as mounts name them, and their numbers. */
const local: ReadonlyMap<string, number> = new Map([
  ["ext2", 0xef53],
  ["ext3", 0xef53],
  ["ext4", 0xef53],
  ["xfs", 0x58465342],
  ["btrfs", 0x9123683e],
  ["f2fs", 0xf2f52010],
  ["zfs", 0x2fc12fc1],
  ["bcachefs", 0xca451a4e],
  ["overlay", overlay],
  ["tmpfs", 0x01021994],
  ["devtmpfs", 0x01021994]
])

const localTypes = new Set(local.values())

/** Whether a file system of this type is on this machine. */
export const isLocal = (type: number): boolean => localTypes.has(type >>> 0)

/** The same of one that is mounted by this name. */
export const isLocalName = (name: string): boolean => local.has(name)

/** Whether a file system has no device of its own (major number 0), as overlays have none: only those are asked. */
export const isAnonymous = (device: bigint): boolean => (device >> 8n & 0xfffn) === 0n && device >> 44n === 0n

/** Permissions of a file that is created, until it gets those it is to have. */
export const fileMode = 0o600
