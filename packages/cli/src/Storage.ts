/**
 * Looks at what files are on.
 *
 * The table of mounts and `/sys` tell what a path is on without a call to its file system, which may never answer.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as KernelFile from "./KernelFile.ts"

/**
 * What files are on: memory, a disk without moving parts or one that nothing is known of, a disk with heads that have
 * to move, another machine, or a program of this one that answers for a file system (FUSE).
 */
export type StorageKind = "memory" | "disk" | "rotational" | "network" | "userSpace"

/** A file system that is mounted: what it is on, where, its type, and the device or server behind it. */
export interface Storage {
  readonly kind: StorageKind
  readonly mountPoint: string
  readonly type: string
  readonly source: string
}

/** One line of `/proc/self/mountinfo`. */
interface Mount {
  /** Numbers of the device: `8:1`. */
  readonly device: string
  readonly point: string
  readonly type: string
  readonly source: string
}

const unescape = (field: string): string =>
  field.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

const parse = (line: string): Mount | undefined => {
  const [before = "", after = ""] = line.split(" - ", 2)
  const [, , device, , point] = before.split(" ")
  const [type, source] = after.split(" ")
  return device === undefined || point === undefined || type === undefined || source === undefined
    ? undefined
    : { device, point: unescape(point), type, source: unescape(source) }
}

/** The mount that an absolute path is in, from the text of `/proc/self/mountinfo`. */
export const mountOf = (mountinfo: string, path: string): Mount | undefined => {
  let best: Mount | undefined
  for (const line of mountinfo.split("\n")) {
    const mount = parse(line)
    if (mount === undefined) continue
    const { point } = mount
    const isInside = point === "/" || path === point || path.startsWith(`${point}/`)
    // A later mount on the same point hides an earlier one.
    if (isInside && point.length >= (best?.point.length ?? 0)) best = mount
  }
  return best
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
    const told = KernelFile.read(`${folder}/queue/rotational`) ?? KernelFile.read(`${folder}/../queue/rotational`)
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
  Effect.sync(() => {
    const mount = mountOf(KernelFile.read("/proc/self/mountinfo") ?? "", path)
    return mount === undefined
      ? Option.none()
      : Option.some({ kind: kindOf(mount), mountPoint: mount.point, type: mount.type, source: mount.source })
  })
