// Copies with each of some fixed numbers of files at once, and with as many as are found to be best: small files, large
// ones, and files on a file system that takes 5 ms a call. Names of rows are arguments: small, large, slow.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { mount } from "./internal/slowFileSystem.ts"
import { byTurns, type Command, fanout, print, ratio, removeDatabase, withFolder } from "./measure.ts"

const target = 1.1
const rounds = 3

interface Row {
  readonly folders: number
  readonly files: number
  readonly bytes: number
  readonly fixed: ReadonlyArray<number>
  readonly delayMillis?: number
}

const rows: Readonly<Record<string, Row>> = {
  small: { folders: 200, files: 20_000, bytes: 4096, fixed: [1, 4, 16, 32] },
  large: { folders: 1, files: 8, bytes: 2 ** 28, fixed: [1, 2, 4, 8, 16] },
  slow: { folders: 10, files: 200, bytes: 2 ** 20, fixed: [16, 32, 64, 128], delayMillis: 5 }
}

const make = (source: string, { bytes, files, folders }: Row): void => {
  for (let i = 0; i < files; i++) {
    const parent = path.join(source, `folder-${i % folders}`)
    fs.mkdirSync(parent, { recursive: true })
    fs.writeFileSync(path.join(parent, `file-${i}`), Buffer.alloc(bytes, i))
  }
}

const measure = (folder: string, place: string, row: Row): void => {
  const [source, copy, db] = [path.join(place, "source"), path.join(place, "copy"), path.join(folder, "jobs.db")]
  make(source, row)
  const copying = (name: string, ...options: ReadonlyArray<string>): Command => ({
    name,
    argv: [process.execPath, fanout, "copy", "--quiet", "--db", db, ...options, "-T", source, copy]
  })
  const fixed = row.fixed.map((n) => copying(`${n} at once`, "--concurrency", String(n)))
  const results = byTurns(rounds, [...fixed, copying("as many as are best")], () => {
    fs.rmSync(copy, { recursive: true, force: true })
    removeDatabase(db)
  })
  if (spawnSync("diff", ["-r", source, copy]).status !== 0) throw new Error("The copy is not as its source")
  const [adaptive] = results.slice(-1)
  const [best] = results.slice(0, -1).toSorted((a, b) => a.millis - b.millis)
  if (adaptive === undefined || best === undefined) return
  print([adaptive, ...results.slice(0, -1)])
  console.log(`${ratio(adaptive, best).toFixed(2)} × as long as ${best.name}; at most ${target} is the aim`)
}

const asked = process.argv.slice(2)
for (const [name, row] of Object.entries(rows)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  console.log(name)
  await withFolder(async (folder) => {
    const place = path.join(folder, "files")
    fs.mkdirSync(place)
    const unmount = row.delayMillis === undefined ? () => {} : await mount(place, row.delayMillis)
    if (typeof unmount === "string") {
      console.error(unmount)
      process.exitCode = 1
      return
    }
    try {
      measure(folder, place, row)
    } finally {
      unmount()
    }
  })
}
