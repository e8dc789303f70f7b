// Copies many small files: 20,000 of 4 KiB in 200 folders, on the file system of `TMPDIR`.
import * as fs from "node:fs"
import * as path from "node:path"
import { byTurns, type Command, fanout, isInstalled, print, withFolder } from "./measure.ts"

const folders = 200
const filesInFolder = 100
const size = 4096

const makeTree = (source: string): void => {
  for (let i = 0; i < folders; i++) {
    const folder = path.join(source, `folder-${i}`)
    fs.mkdirSync(folder, { recursive: true })
    for (let j = 0; j < filesInFolder; j++) fs.writeFileSync(path.join(folder, `file-${j}`), Buffer.alloc(size, i + j))
  }
}

/** A program that copies from one path to another by a function of a module. */
const script = (name: string, module: string, call: string, source: string, copy: string): Command => ({
  name,
  argv: [
    process.execPath,
    "--input-type=module",
    "-e",
    `import module from ${JSON.stringify(module)}; const [from, to] = process.argv.slice(1); await ${call}`,
    source,
    copy
  ]
})

await withFolder((folder) => {
  const source = path.join(folder, "source")
  const copy = path.join(folder, "copy")
  const db = path.join(folder, "jobs.db")
  makeTree(source)
  const commands: ReadonlyArray<Command> = [
    { name: "cp -a", argv: ["cp", "-a", source, copy] },
    { name: "fanout copy", argv: [process.execPath, fanout, "copy", "--quiet", "--db", db, "-T", source, copy] },
    ...isInstalled("rsync") ? [{ name: "rsync -a", argv: ["rsync", "-a", `${source}/`, copy] } as const] : [],
    script("fs.cp", "node:fs/promises", "module.cp(from, to, { recursive: true })", source, copy),
    script("fs-extra", import.meta.resolve("fs-extra"), "module.copy(from, to)", source, copy)
  ]
  print(byTurns(3, commands, () => {
    fs.rmSync(copy, { recursive: true, force: true })
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(db + suffix, { force: true })
  }))
})
