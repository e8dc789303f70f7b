/**
 * Tells file systems apart by what the kernel says of them, for longer than they are mounted.
 *
 * `f_fsid` is whatever a file system makes of it. Many, XFS among them, have the number of the device there, which is
 * another's after the machine was started anew, or the next disk was plugged in; some have nothing. So only those are
 * named that are known to put an id of their own there, or to have a UUID that can be asked for.
 */

/** Types (linux/magic.h) whose `f_fsid` is made of a UUID. That of tmpfs is made anew for each mount. */
const byFsid: ReadonlyMap<bigint, string> = new Map([[0xef53n, "ext"], [0x9123683en, "btrfs"], [0x01021994n, "tmpfs"]])

const xfs = 0x58465342n

/** Whether a `struct statfs` is laid out here as in asm-generic/statfs.h, with words of 64 bits. */
export const isKnownLayout = process.arch === "x64" || process.arch === "arm64"

/** Room for a `struct statfs`, which takes 120. */
export const statfsBytes = 256

/** Room for a `struct fsuuid2` (linux/fs.h), which takes 17. */
export const uuidBytes = 32

/** Request `FS_IOC_GETFSUUID`. */
export const getUuid = 0x80111500

const typeOf = (statfs: Buffer): bigint => statfs.readBigUInt64LE(0)

/** Whether the UUID has to be asked for. Not of btrfs: one UUID has many subvolumes, each with its own inodes. */
export const needsUuid = (statfs: Buffer): boolean => typeOf(statfs) === xfs

/** Name by a `struct statfs`; empty where it tells nothing that lasts. */
export const ofStatfs = (statfs: Buffer): string => {
  const type = byFsid.get(typeOf(statfs))
  const id = statfs.readBigUInt64LE(56)
  return type === undefined || id === 0n ? "" : `${type}-${id.toString(36)}`
}

/** Name by a `struct fsuuid2`; empty where it has none. */
export const ofUuid = (uuid: Buffer): string => {
  const id = uuid.toString("hex", 1, 17)
  return uuid[0] !== 16 || /^0*$/.test(id) ? "" : `uuid-${id}`
}
