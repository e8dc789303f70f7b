// Deletes many small files: 20,000 of 4 KiB in 200 folders, on the file system of `TMPDIR`. With `memory` as the
// argument: what is resident while ten thousand and a million empty files are deleted.
import * as fs from "node:fs"
import * as path from "node:path"
import { makeTree } from "./internal/trees.ts"
import { watch } from "./internal/watch.ts"
import { byTurns, type Command, fanout, print, removeDatabase, withFolder } from "./measure.ts"

const compare = (folder: string): void => {
  const root = path.join(folder, "root")
  const one = path.join(folder, "one")
  const db = path.join(folder, "jobs.db")
  const byFanout = (name: string, path: string): Command => ({
    name,
    argv: [process.execPath, fanout, "delete", "--quiet", "--db", db, path]
  })
  const script = "require('node:fs').promises.rm(process.argv[1], { recursive: true })"
  const commands: ReadonlyArray<Command> = [
    { name: "rm -r", argv: ["rm", "-r", root] },
    byFanout("fanout delete", root),
    { name: "fs.rm", argv: [process.execPath, "-e", script, root] },
    byFanout("fanout delete, one file", one)
  ]
  print(byTurns(5, commands, () => {
    fs.rmSync(root, { recursive: true, force: true })
    makeTree(root, { folders: 200, filesInFolder: 100, sizeBytes: 4096 })
    fs.writeFileSync(one, "")
    removeDatabase(db)
  }))
}

/** Runs the command, and gives the most that was ever resident, in MiB. */
const peakOf = async (db: string, root: string): Promise<number> => {
  const argv = [process.execPath, fanout, "delete", "--quiet", "--db", db, root] as const
  let most = 0
  await watch({ name: "fanout delete", argv }, ({ peak }) => {
    most = peak
  })
  return most
}

const shapes: ReadonlyArray<readonly [name: string, folders: number, files: number]> = [
  ["10,000 in 100 folders", 100, 100],
  ["1,000,000 in 10,000 folders", 10_000, 100],
  ["1,000,000 in 1 folder", 1, 1_000_000]
]

const measureMemory = async (folder: string): Promise<void> => {
  for (const [name, folders, files] of shapes) {
    const root = path.join(folder, "root")
    const db = path.join(folder, "jobs.db")
    makeTree(root, { folders, filesInFolder: files, sizeBytes: 0 })
    const start = performance.now()
    const peak = await peakOf(db, root)
    const seconds = (performance.now() - start) / 1000
    console.log(`${name.padEnd(28)} ${peak.toFixed(0).padStart(5)} MiB  ${seconds.toFixed(1)} s`)
    removeDatabase(db)
  }
}

await withFolder(process.argv[2] === "memory" ? measureMemory : compare)
