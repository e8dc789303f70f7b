// Copies a million empty files: the most that is resident, and how soon a copy goes on that was killed in the middle.
// Then deletes them.
import * as fs from "node:fs"
import * as path from "node:path"
import { type Command, fanout, removeDatabase } from "../measure.ts"
import type { Place } from "./newFileSystem.ts"
import { checkCopy } from "./sameTree.ts"
import { makeTree, type Shape } from "./trees.ts"
import { watch } from "./watch.ts"

const target = { mib: 200, seconds: 2 }

/** Tells the most that was resident while the first tenth of the files was done, and over all. */
const showMemory = async (command: Command, total: number, done: () => number): Promise<void> => {
  let [early, most] = [0, 0]
  const start = performance.now()
  await watch(command, (peak) => {
    most = peak
    if (done() <= total / 10) early = most
  })
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  const growth = `${early.toFixed(0)} MiB in the first tenth, ${most.toFixed(0)} at most`
  const verdict = most <= target.mib ? "met" : "missed"
  console.log(`${command.name}: ${growth}, in ${seconds} s (target: ${target.mib} and flat; ${verdict})`)
}

/** Kills it in the middle, and gives how many files are there and after how many seconds the same command adds one. */
const measureResume = async (command: Command, total: number, copied: () => number) => {
  const killed = await watch(command, (_, child) => {
    if (copied() >= total / 2) child.kill("SIGKILL")
  })
  if (!killed) throw new Error("fanout copy ended before it could be killed")
  const before = copied()
  let seconds = Number.NaN
  const start = performance.now()
  await watch(command, () => {
    if (Number.isNaN(seconds) && copied() > before) seconds = (performance.now() - start) / 1000
  })
  return { before, seconds }
}

export const measure = async ({ folder, outside }: Place, shape: Shape): Promise<void> => {
  const source = path.join(folder, "source")
  const copy = path.join(folder, "copy")
  // Files are counted by the inodes that are left: the database, with what is beside it, is not to count.
  const db = path.join(outside, "jobs.db")
  const commandOf = (name: string, ...args: ReadonlyArray<string>): Command => ({
    name: `fanout ${name}`,
    argv: [process.execPath, fanout, name, "--quiet", "--db", db, ...args]
  })
  const command = commandOf("copy", "-T", source, copy)
  const check = () => checkCopy(command.name, source, copy, "everything")
  const total = shape.folders * shape.filesInFolder
  makeTree(source, shape)
  const free = fs.statfsSync(folder).ffree
  const copied = () => free - fs.statfsSync(folder).ffree

  await showMemory(command, total, copied)
  check()
  await showMemory(commandOf("delete", copy), total, () => total - copied())
  removeDatabase(db)
  const resumed = await measureResume(command, total, copied)
  check()
  const first = `the first new file after ${resumed.seconds.toFixed(2)} s (target: ${target.seconds})`
  console.log(`killed when ${resumed.before} were there: ${first}`)
}
