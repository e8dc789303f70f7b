/**
 * What this process may use of the machine that it runs on, and the sizes of pools that follow from it.
 */
import type { AdaptiveSize } from "@fanout/core/Pools"
import * as Effect from "effect/Effect"
import * as Struct from "effect/Struct"
import * as os from "node:os"
import { readKernel, type Storage, type StorageKind } from "./Storage.ts"

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
export const poolSizes = (machine: Machine, storages: ReadonlyArray<Storage>): ReadonlyArray<PoolSize> => {
  const kind = Struct.keys(filesAtOnce).find((one) => storages.some((storage) => storage.kind === one)) ?? "disk"
  const { first, least, most, why } = filesAtOnce[kind]
  return [
    { name: "cpu", size: machine.cores, why: `as many threads can work at the same time` },
    { name: "db", size: 4, why: "databases write one after the other; more would only wait" },
    within(machine, { name: "io", size: first, bounds: { least, most }, why }),
    within(machine, { name: "network", size: 16, why: "most of the time they wait, and a server is not to be flooded" })
  ]
}
