// Hashes a tree that is there (`/usr/lib`, or what an argument names) without a cache, with one that is empty, and with
// one that knows all of it. The content is read once before, so that no disk is measured; what a cache spares is most
// where it is not in memory.
import * as fs from "node:fs"
import * as path from "node:path"
import { readAll } from "./internal/trees.ts"
import { byTurns, type Command, fanout, print, timeOf, withFolder } from "./measure.ts"

const rounds = 5

await withFolder((folder) => {
  const tree = process.argv[2] ?? "/usr/lib"
  const command = (name: string, db: string, ...args: ReadonlyArray<string>): Command => ({
    name,
    argv: [process.execPath, fanout, "hash", "--quiet", "--db", path.join(folder, db, "jobs.db"), ...args, tree]
  })
  const second = command("the second run", "second", "--cache")
  readAll(tree)
  timeOf(second)
  print(
    byTurns(rounds, [command("without a cache", "none"), command("the first run", "first", "--cache"), second], () => {
      for (const name of ["none", "first"]) fs.rmSync(path.join(folder, name), { recursive: true, force: true })
    })
  )
})
