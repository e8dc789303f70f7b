// A new ext4 in an image that is mounted by loop, in memory where there is room. A process of its own unmounts and
// removes it, so that it is gone also after a Ctrl-C while the benchmark waits for a command.
import { fork, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export interface Place {
  /** An empty folder: that of the new file system, or one of `TMPDIR` where there can be none. */
  readonly folder: string
  /** A folder beside the image. */
  readonly outside: string
  /** Which of these it is, and why. */
  readonly what: string
}

export interface Size {
  readonly gib: number
  /** Without them as many as `mkfs.ext4` makes. */
  readonly inodes?: number
  /** It is under `TMPDIR`, not in memory. */
  readonly isOnDisk?: boolean
}

export const isRoot = process.getuid?.() === 0

const memory = "/dev/shm"
const tmpfs = 0x01021994

const hasMemory = (gib: number): boolean => {
  if (!isRoot || !fs.existsSync(memory)) return false
  const { bavail, bsize, type } = fs.statfsSync(memory)
  return type === tmpfs && bavail * bsize >= gib * 2 ** 30
}

/** Gives such a place to a function, and removes it afterwards. */
export const withPlace = async (size: Size, use: (place: Place) => void | Promise<void>): Promise<void> => {
  const { gib, inodes, isOnDisk = false } = size
  const isInMemory = !isOnDisk && hasMemory(gib)
  const outside = fs.mkdtempSync(path.join(isInMemory ? memory : os.tmpdir(), "fanout-bench-"))
  const args = [outside, String(gib), ...inodes === undefined ? [] : [String(inodes)]]
  const keeper = fork(import.meta.filename, args, { detached: true })
  const [problem]: ReadonlyArray<unknown> = await Promise.race([once(keeper, "message"), once(keeper, "exit")])
  if (typeof problem !== "string") throw new Error(`The process that mounts ended with ${String(problem)}`)
  try {
    const ext4 = isInMemory ? "a new ext4 in memory" : `a new ext4 in ${os.tmpdir()}`
    const what = problem === "" ? ext4 : `a folder of ${os.tmpdir()} (no ext4: ${problem})`
    if (problem === "" || !isInMemory) await use({ folder: folderIn(outside), outside, what })
  } finally {
    const ended = once(keeper, "exit")
    keeper.disconnect()
    await ended
  }
  if (problem !== "" && isInMemory) await withPlace({ ...size, isOnDisk: true }, use)
}

const folderIn = (outside: string): string => path.join(outside, "files")

/** Runs a program, and says why it failed, or nothing. */
const failureOf = (program: string, ...args: ReadonlyArray<string>): string => {
  const { error, status, stderr } = spawnSync(program, args, { encoding: "utf8" })
  return error === undefined && status === 0 ? "" : error?.message ?? stderr.trim()
}

const mount = (outside: string, gib: string, inodes: string | undefined): string => {
  if (!isRoot) return "only root can mount"
  const image = path.join(outside, "image")
  fs.closeSync(fs.openSync(image, "w"))
  fs.truncateSync(image, Number(gib) * 2 ** 30)
  // The kernel is not to write tables of inodes behind the commands that are measured.
  return failureOf("mkfs.ext4", "-q", ...inodes === undefined ? [] : ["-N", inodes], image) ||
    failureOf("mount", "-o", "loop,noinit_itable", image, folderIn(outside)) ||
    failureOf("rmdir", path.join(folderIn(outside), "lost+found"))
}

const main = (outside: string, gib: string, inodes: string | undefined): void => {
  fs.mkdirSync(folderIn(outside))
  process.once("disconnect", () => {
    spawnSync("umount", ["--lazy", folderIn(outside)])
    // Commands that were stopped with the benchmark may take a moment.
    fs.rmSync(outside, { recursive: true, force: true, maxRetries: 10 })
  })
  process.send?.(mount(outside, gib, inodes))
}

if (import.meta.main) main(process.argv[2] ?? "", process.argv[3] ?? "", process.argv[4])
