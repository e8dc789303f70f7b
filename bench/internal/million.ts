// Copies a million empty files: what is resident meanwhile, and how soon a copy goes on that was killed in the middle.
import * as fs from "node:fs"
import * as path from "node:path"
import { type Command, fanout, removeDatabase } from "../measure.ts"
import type { Place } from "./newFileSystem.ts"
import { difference } from "./sameTree.ts"
import { makeTree, type Shape } from "./trees.ts"
import { watch } from "./watch.ts"

const target = { mib: 250, seconds: 2 }

const check = (source: string, copy: string): void => {
  const found = difference(source, copy, "everything")
  if (found !== undefined) throw new Error(`fanout copy made a wrong copy: ${found}`)
}

/** The most that is resident while the first tenth of the files is copied, and over all. */
const measureMemory = async (command: Command, total: number, copied: () => number) => {
  let [early, most] = [0, 0]
  const start = performance.now()
  await watch(command, ({ resident }) => {
    most = Math.max(most, resident)
    if (copied() <= total / 10) early = most
  })
  return { early, most, seconds: (performance.now() - start) / 1000 }
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
  const command: Command = {
    name: "fanout copy",
    argv: [process.execPath, fanout, "copy", "--quiet", "--db", db, "-T", source, copy]
  }
  const total = shape.folders * shape.filesInFolder
  console.log(`${total} empty files, ${shape.filesInFolder} in each folder`)
  makeTree(source, shape)
  const free = fs.statfsSync(folder).ffree
  const copied = () => free - fs.statfsSync(folder).ffree

  const { early, most, seconds } = await measureMemory(command, total, copied)
  check(source, copy)
  const growth = `${early.toFixed(0)} MiB in the first tenth, ${most.toFixed(0)} at most`
  console.log(`  resident: ${growth}, in ${seconds.toFixed(0)} s (target: ${target.mib} at most, and flat)`)

  fs.rmSync(copy, { recursive: true })
  removeDatabase(db)
  const resumed = await measureResume(command, total, copied)
  check(source, copy)
  const first = `the first new file after ${resumed.seconds.toFixed(2)} s (target: ${target.seconds})`
  console.log(`  killed when ${resumed.before} were there: ${first}`)
}
