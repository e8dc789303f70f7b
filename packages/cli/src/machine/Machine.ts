/**
 * What this process may use of the machine that it runs on, what files are on, and the sizes of pools that follow.
 */
import { type Mount, mountOf } from "@fanout/core/node"
import type { AdaptiveSize } from "@fanout/core/Pools"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import * as fs from "node:fs"
import * as os from "node:os"

/** Text of a file in which Linux tells of itself, under `/proc` and `/sys`; `undefined` where it can't be read. */
const readKernel = (path: string): string | undefined => {
  try {
    return fs.readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** What this process may use. */
export interface Machine {
  /** As many threads as can work at the same time, which limits of a container lower. */
  readonly cores: number
  /** Memory of the machine, or of the container where that may have less. */
  readonly memoryBytes: number
  /** Files, sockets and the like that may be open; `undefined` where that is not known. */
  readonly descriptors: number | undefined
}

/** Soft limit of open files, in the text of `/proc/self/limits` (proc(5)). */
export const descriptorsIn = (limits: string): number | undefined => {
  const most = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.NaN)
  return Number.isNaN(most) ? undefined : most
}

/** Looks at what this process may use. */
export const read: Effect.Effect<Machine> = Effect.sync(() => {
  const constrained = process.constrainedMemory()
  const total = os.totalmem()
  return {
    // libuv takes the limits of a container into account.
    cores: os.availableParallelism(),
    // Without a limit, a cgroup tells a number beyond all memory.
    memoryBytes: constrained > 0 && constrained < total ? constrained : total,
    descriptors: descriptorsIn(readKernel("/proc/self/limits") ?? "")
  }
})

/**
 * What files are on: memory, a disk without moving parts or one that nothing is known of, a disk with heads that have
 * to move, another machine, or a program of this one that answers for a file system (FUSE).
 */
export type StorageKind = "memory" | "disk" | "rotational" | "network" | "userSpace"

/** A file system that is mounted, and what it is on. */
export interface Storage extends Mount {
  readonly kind: StorageKind
}

/** What the kernel makes up as it is asked costs as little. */
const inMemory = new Set(["tmpfs", "ramfs", "devtmpfs", "hugetlbfs", "proc", "sysfs", "cgroup", "cgroup2", "debugfs"])

const onNetwork = new Set(
  "nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre gpfs gfs2 ocfs2 beegfs pvfs2 vboxsf vmhgfs prl_fs virtiofs"
    .split(" ")
)

/** File systems in user space that keep their files on a disk of this machine. */
const localFuse = new Set(["fuseblk", "fuse.fuse-overlayfs"])

/** Hypervisors call their disks rotational whatever is behind them. */
const isVirtual = (sysPath: string): boolean => /\/(?:vd|xvd|nbd)[a-z0-9]+(?:\/|$)/.test(sysPath)

/** Whether the heads of a disk have to move, by what `/sys` tells of a device or of the disk that it is a part of. */
const isRotational = (device: string): boolean => {
  try {
    const folder = fs.realpathSync(`/sys/dev/block/${device}`)
    const told = readKernel(`${folder}/queue/rotational`) ?? readKernel(`${folder}/../queue/rotational`)
    return told?.trim() === "1" && !isVirtual(folder)
  } catch {
    return false
  }
}

/** What a mount is on. `rotational` asks about a device by its numbers. */
export const kindOf = (
  { device, type }: Pick<Mount, "device" | "type">,
  rotational: (device: string) => boolean = isRotational
): StorageKind => {
  if (inMemory.has(type)) return "memory"
  if (onNetwork.has(type)) return "network"
  if (type.startsWith("fuse") && !localFuse.has(type)) return "userSpace"
  return rotational(device) ? "rotational" : "disk"
}

/**
 * What an absolute path is on, links in it not followed; `None` where Linux does not tell. The table of mounts and
 * `/sys` tell it without a call to its file system, which may never answer.
 */
export const storageAt = (path: string): Effect.Effect<Option.Option<Storage>> =>
  Effect.map(mountOf(path), Option.map((mount) => Object.assign({ kind: kindOf(mount) }, mount)))

/** Permits that a pool should have, and the reason for people. One with bounds finds its own size within them. */
export interface PoolSize {
  readonly name: "cpu" | "db" | "io" | "network"
  readonly size: number
  readonly bounds?: { readonly least: number; readonly most: number }
  readonly why: string
}

/**
 * Files that are worked on at the same time, by what they are on, the slowest first: at first, and the fewest and the
 * most that are tried.
 *
 * Calls to another machine or to a program wait for answers most of the time: the more at once the better, so the most
 * are tried first. Many copies are over before fewer are found to be worse.
 * Heads that move go back and forth between files that are read at the same time.
 */
const filesAtOnce: Readonly<Record<StorageKind, AdaptiveSize & { readonly why: string }>> = {
  rotational: { least: 1, first: 4, most: 16, why: "a disk has heads that move" },
  network: { least: 4, first: 128, most: 128, why: "files are on another machine, whose answers take time" },
  userSpace: { least: 4, first: 128, most: 128, why: "a program answers for the file system, which takes time" },
  disk: { least: 4, first: 16, most: 16, why: "files are on a disk" },
  memory: { least: 4, first: 16, most: 16, why: "files are in memory" }
}

/** Descriptors that one task of the pool `io` has open at most: two files, their folders, and what is opened again. */
const descriptorsEach = 8

/** Descriptors of the process itself: its database, walks, threads. */
const descriptorsOwn = 40

/**
 * Returns how many tasks of the pool `io` may have files open at the same time: `wanted`, or fewer where there are not
 * enough descriptors for so many. Each would hold some then, and wait for others to give theirs back.
 */
export const filesWithin = ({ descriptors = Infinity }: Machine, wanted: number): number =>
  Math.min(wanted, Math.max(1, Math.floor((descriptors - descriptorsOwn) / descriptorsEach)))

const within = (machine: Machine, wanted: PoolSize): PoolSize => {
  const { bounds, size: most } = wanted
  const size = filesWithin(machine, most)
  const limited = bounds &&
    { bounds: { least: filesWithin(machine, bounds.least), most: filesWithin(machine, bounds.most) } }
  const why = `no more than ${machine.descriptors} descriptors may be open, ${descriptorsEach} a task`
  return { ...wanted, ...limited, ...size < most ? { size, why } : {} }
}

/** Returns the sizes of the four pools for work on such storage, all the storage that the work touches. */
export const poolSizes = (
  machine: Machine,
  storages: ReadonlyArray<Pick<Storage, "kind">>
): ReadonlyArray<PoolSize> => {
  const kind = Struct.keys(filesAtOnce).find((one) => storages.some((storage) => storage.kind === one)) ?? "disk"
  const { first, least, most, why } = filesAtOnce[kind]
  return [
    { name: "cpu", size: machine.cores, why: `as many threads can work at the same time` },
    { name: "db", size: 4, why: "databases write one after the other; more would only wait" },
    within(machine, { name: "io", size: first, bounds: { least, most }, why }),
    within(machine, { name: "network", size: 16, why: "most of the time they wait, and a server is not to be flooded" })
  ]
}
