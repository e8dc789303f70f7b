/**
 * Reads what `statx` fills in (linux/stat.h), the same on all architectures.
 */
import type * as Files from "../../Files.ts"
import { STATX_ATTR_APPEND, STATX_BTIME, STATX_MNT_ID } from "./libc.ts"

export const statBytes = 256

const kinds = new Map<number, Files.FileKind>([[0o100000, "file"], [0o040000, "folder"], [0o120000, "link"]])

const specialKinds = new Map<number, Files.SpecialKind>([
  [0o010000, "FIFO"],
  [0o140000, "socket"],
  [0o020000, "device"],
  [0o060000, "device"]
])

/** What a call has filled in. Nothing is read of it that nobody asks for. */
export class Stat implements Files.FileStat {
  private readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get kind(): Files.FileKind {
    return kinds.get(this.bytes.readUInt16LE(28) & 0o170000) ?? "special"
  }

  get special(): Files.SpecialKind | undefined {
    return specialKinds.get(this.bytes.readUInt16LE(28) & 0o170000)
  }

  get device(): bigint {
    return deviceOf(this.bytes)
  }

  get inode(): bigint {
    return this.bytes.readBigUInt64LE(32)
  }

  get links(): number {
    return this.bytes.readUInt32LE(16)
  }

  get mode(): number {
    return this.bytes.readUInt16LE(28) & 0o7777
  }

  get owner(): number {
    return this.bytes.readUInt32LE(20)
  }

  get group(): number {
    return this.bytes.readUInt32LE(24)
  }

  get sizeBytes(): number {
    return numberAt(this.bytes, 40)
  }

  get allocatedBytes(): number {
    return 512 * numberAt(this.bytes, 48)
  }

  get accessedNanos(): bigint {
    return timeAt(this.bytes, 64)
  }

  get modifiedNanos(): bigint {
    return timeAt(this.bytes, 112)
  }

  /** Times of access and of modification as two `struct timespec`: to make numbers of them takes longer than a call. */
  get timesBytes(): Buffer {
    // The kernel fills in 16 bytes for each, of which the last four are 0.
    const times = Buffer.allocUnsafe(32)
    this.bytes.copy(times, 0, 64, 80)
    this.bytes.copy(times, 16, 112, 128)
    return times
  }

  get changedNanos(): bigint {
    return timeAt(this.bytes, 96)
  }

  get bornNanos(): bigint {
    return bornOf(this.bytes)
  }
}

/** Whether names in what was looked at can be made, and neither changed nor removed. */
export const isAppendOnly = (bytes: Buffer): boolean => (bytes.readUInt32LE(8) & STATX_ATTR_APPEND) !== 0

/** A number of 64 bits, of which no file system needs more than 53. */
const numberAt = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32

/** When it was created; 0 where kernel or file system do not know. */
const bornOf = (bytes: Buffer): bigint => (bytes.readUInt32LE(0) & STATX_BTIME) === 0 ? 0n : timeAt(bytes, 80)

/** Number of a device, as the C library makes one of two. */
const toDevice = (major: bigint, minor: bigint): bigint =>
  (major & 0xfffn) << 8n | major >> 12n << 44n | minor & 0xffn | minor >> 8n << 20n

/** The device that was asked for last. Most files are on that, and to make its number takes as long as a call. */
let last = { major: 0, minor: 0, device: toDevice(0n, 0n) }

const deviceOf = (bytes: Buffer): bigint => {
  const major = bytes.readUInt32LE(136)
  const minor = bytes.readUInt32LE(140)
  if (major !== last.major || minor !== last.minor) {
    last = { major, minor, device: toDevice(BigInt(major), BigInt(minor)) }
  }
  return last.device
}

const timeAt = (bytes: Buffer, at: number): bigint =>
  bytes.readBigInt64LE(at) * 1_000_000_000n + BigInt(bytes.readUInt32LE(at + 8))

/** What kernels or file systems do not know is 0. */
export const toIdentity = (bytes: Buffer): Files.Identity => ({
  device: deviceOf(bytes),
  inode: bytes.readBigUInt64LE(32),
  bornNanos: bornOf(bytes),
  mount: (bytes.readUInt32LE(0) & STATX_MNT_ID) === 0 ? 0n : bytes.readBigUInt64LE(144)
})
