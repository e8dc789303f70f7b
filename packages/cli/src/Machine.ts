/**
 * What this process may use of the machine that it runs on, and the sizes of pools that follow from it.
 *
 * Core asks no platform: `readMachine` and `storageOf` of `@fanout/core/node` look.
 *
 * @since 0.1.0
 */
import type { AdaptiveSize } from "@fanout/core/Pools"

/**
 * What this process may use.
 *
 * **Details**
 *
 * - `cores`: as many threads as can work at the same time, which limits of a container lower.
 * - `memoryBytes`: of the machine, or of the container where that may have less.
 * - `descriptors`: files, sockets and the like that may be open; `undefined` where that is not known.
 *
 * @category models
 * @since 0.1.0
 */
export interface Machine {
  readonly cores: number
  readonly memoryBytes: number
  readonly descriptors: number | undefined
}

/**
 * What files are on: memory, a disk without moving parts or one that nothing is known of, a disk with heads that have
 * to move, another machine, or a program of this one that answers for a file system (FUSE).
 *
 * @category models
 * @since 0.1.0
 */
export type StorageKind = "memory" | "disk" | "rotational" | "network" | "userSpace"

/**
 * A file system that is mounted: what it is on, where, its type, and the device or server behind it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Storage {
  readonly kind: StorageKind
  readonly mountPoint: string
  readonly type: string
  readonly source: string
}

/**
 * Permits that a pool should have, and the reason for people. One with bounds finds its own size within them.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolSize {
  readonly name: "cpu" | "db" | "io" | "network"
  readonly size: number
  readonly bounds?: { readonly least: number; readonly most: number }
  readonly why: string
}

/**
 * Files that are worked on at the same time, by what they are on: at first, and the fewest and the most that are tried.
 *
 * **Details**
 *
 * Calls to another machine or to a program wait for answers most of the time: the more at once the better, so the most
 * are tried first. Many copies are over before fewer are found to be worse.
 * Heads that move go back and forth between files that are read at the same time.
 *
 * @category models
 * @since 0.1.0
 */
export const filesAtOnce: Readonly<Record<StorageKind, AdaptiveSize>> = {
  memory: { least: 4, first: 16, most: 16 },
  disk: { least: 4, first: 16, most: 16 },
  rotational: { least: 1, first: 4, most: 16 },
  network: { least: 4, first: 128, most: 128 },
  userSpace: { least: 4, first: 128, most: 128 }
}

const words: Readonly<Record<StorageKind, string>> = {
  memory: "files are in memory",
  disk: "files are on a disk",
  rotational: "a disk has heads that move",
  network: "files are on another machine, whose answers take time",
  userSpace: "a program answers for the file system, which takes time"
}

/** Descriptors that one task of the pool `io` has open at most: two files, their folders, and what is opened again. */
const descriptorsEach = 8

/** Descriptors of the process itself: its database, walks, threads. */
const descriptorsOwn = 40

const within = ({ descriptors }: Machine, wanted: PoolSize): PoolSize => {
  const { bounds } = wanted
  if (descriptors === undefined) return wanted
  const most = Math.max(1, Math.floor((descriptors - descriptorsOwn) / descriptorsEach))
  return {
    ...wanted,
    ...bounds === undefined
      ? {}
      : { bounds: { least: Math.min(bounds.least, most), most: Math.min(bounds.most, most) } },
    ...most >= wanted.size ? {} : {
      size: most,
      why: `no more than ${descriptors} descriptors may be open, ${descriptorsEach} a task`
    }
  }
}

const slowestFirst: ReadonlyArray<StorageKind> = ["rotational", "network", "userSpace", "disk", "memory"]

/**
 * Returns how many tasks of the pool `io` may have files open at the same time: `wanted`, or fewer where there are not
 * enough descriptors for so many. Each would hold some then, and wait for others to give theirs back.
 *
 * @category accessors
 * @since 0.1.0
 */
export const filesWithin = (machine: Machine, wanted: number): number =>
  within(machine, { name: "io", size: wanted, why: "" }).size

/**
 * Returns the sizes of the four pools for work on such storage, all the storage that the work touches.
 *
 * @category accessors
 * @since 0.1.0
 */
export const poolSizes = (machine: Machine, storages: ReadonlyArray<Storage>): ReadonlyArray<PoolSize> => {
  const kind = slowestFirst.find((one) => storages.some((storage) => storage.kind === one)) ?? "disk"
  const { first, least, most } = filesAtOnce[kind]
  return [
    { name: "cpu", size: machine.cores, why: `as many threads can work at the same time` },
    { name: "db", size: 4, why: "databases write one after the other; more would only wait" },
    within(machine, { name: "io", size: first, bounds: { least, most }, why: words[kind] }),
    within(machine, { name: "network", size: 16, why: "most of the time they wait, and a server is not to be flooded" })
  ]
}
