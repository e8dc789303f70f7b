// A new ext4 in an image under `TMPDIR`, mounted by loop. A process of its own unmounts and removes it, so that it is
// gone also after a Ctrl-C while the benchmark waits for a command.
import { fork, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export interface Place {
  /** An empty folder: that of the new file system, or one of `TMPDIR` where there can be none. */
  readonly folder: string
  /** A folder of `TMPDIR` itself. */
  readonly outside: string
  /** Why there is no new file system, or nothing. */
  readonly problem: string
}

export interface Size {
  readonly gib: number
  /** Without them as many as `mkfs.ext4` makes. */
  readonly inodes?: number
}

export const isRoot = process.getuid?.() === 0

/** Gives such a place to a function, and removes it afterwards. */
export const withPlace = async ({ gib, inodes }: Size, use: (place: Place) => void | Promise<void>): Promise<void> => {
  const outside = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-bench-"))
  const args = [outside, String(gib), ...inodes === undefined ? [] : [String(inodes)]]
  const keeper = fork(import.meta.filename, args, { detached: true })
  const [problem]: ReadonlyArray<unknown> = await Promise.race([once(keeper, "message"), once(keeper, "exit")])
  if (typeof problem !== "string") throw new Error(`The process that mounts ended with ${String(problem)}`)
  try {
    await use({ folder: folderIn(outside), outside, problem })
  } finally {
    const ended = once(keeper, "exit")
    keeper.disconnect()
    await ended
  }
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
