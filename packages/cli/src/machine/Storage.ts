/**
 * Looks at what files are on.
 *
 * The table of mounts and `/sys` tell what a path is on without a call to its file system, which may never answer.
 */
import { type Mount, mountOf } from "@fanout/core/node"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"

/** Text of a file in which Linux tells of itself, under `/proc` and `/sys`; `undefined` where it can't be read. */
export const readKernel = (path: string): string | undefined => {
  try {
    return fs.readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

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

/** What an absolute path is on, links in it not followed; `None` where Linux does not tell. */
export const at = (path: string): Effect.Effect<Option.Option<Storage>> =>
  Effect.map(mountOf(path), Option.map((mount) => Object.assign({ kind: kindOf(mount) }, mount)))
