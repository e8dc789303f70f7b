/**
 * Flags that `chattr` gives files and folders (linux/fs.h).
 */

/** Whether the request has this number: that depends on the size of a word, and on the processor. */
export const isKnownRequest = process.arch === "x64" || process.arch === "arm64"

/** Request `FS_IOC_GETFLAGS`. */
export const getFlags = 0x80086601

/** What file systems without flags answer. */
export const withoutFlags: ReadonlySet<string> = new Set(["ENOTTY", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EINVAL"])

/**
 * What a new file or folder gets from the folder that it is made in: whether and how it is compressed, flushed, dumped,
 * journaled, encrypted, or written in place, and whether its times of access are noted.
 */
const inherited = 0x6281_cccf

/** Whether what is made in two folders gets the same flags. */
export const givesSame = (one: number, other: number): boolean => ((one ^ other) & inherited) === 0
