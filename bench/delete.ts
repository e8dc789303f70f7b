// Deletes many small files: 20,000 of 4 KiB in 200 folders, on the file system of `TMPDIR`. With `memory` as the
// argument: what is resident while ten thousand and a million empty files are deleted.
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { byTurns, type Command, fanout, print, withFolder } from "./measure.ts"

const makeTree = (root: string, folders: number, filesInFolder: number, sizeBytes: number): void => {
  const content = Buffer.alloc(sizeBytes, 7)
  for (let i = 0; i < folders; i++) {
    const folder = path.join(root, `folder-${i}`)
    fs.mkdirSync(folder, { recursive: true })
    for (let j = 0; j < filesInFolder; j++) fs.writeFileSync(path.join(folder, `file-${j}`), content)
  }
}

const removeDatabase = (db: string): void => {
  for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(db + suffix, { force: true })
}

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
    makeTree(root, 200, 100, 4096)
    fs.writeFileSync(one, "")
    removeDatabase(db)
  }))
}

/** Runs the command, and gives the most that was ever resident, in MiB. */
const peakOf = async (db: string, root: string): Promise<number> => {
  const child = spawn(process.execPath, [fanout, "delete", "--quiet", "--db", db, root], { stdio: "inherit" })
  const ended = once(child, "exit")
  let peak = 0
  while (child.exitCode === null && child.signalCode === null) {
    try {
      const status = fs.readFileSync(`/proc/${child.pid}/status`, "latin1")
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024)
    } catch {
      // It has just ended.
    }
    await setTimeout(10)
  }
  const [code] = await ended
  if (code !== 0) throw new Error(`fanout delete ended with ${code}`)
  return peak
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
    makeTree(root, folders, files, 0)
    const start = performance.now()
    const peak = await peakOf(db, root)
    const seconds = (performance.now() - start) / 1000
    console.log(`${name.padEnd(28)} ${peak.toFixed(0).padStart(5)} MiB  ${seconds.toFixed(1)} s`)
    removeDatabase(db)
  }
}

await withFolder(process.argv[2] === "memory" ? measureMemory : compare)
