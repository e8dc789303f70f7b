// Compares 20,000 files of 4 KiB with a copy, and so a tree that is there (`/usr/lib`, or what an argument names),
// beside `diff -r`. The copies are made by `cp -a` on the file system of `TMPDIR`; all is read once before.
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { makeTree, readAll, sizeOf } from "./internal/trees.ts"
import { byTurns, fanout, isInstalled, print, removeDatabase, withFolder } from "./measure.ts"

const rounds = 5

await withFolder((folder) => {
  const db = path.join(folder, "jobs.db")
  const compare = (title: string, tree: string, copy: string): void => {
    const { error, status } = spawnSync("cp", ["-a", tree, copy], { stdio: ["ignore", "ignore", "inherit"] })
    if (status !== 0) throw new Error(`cp ended with ${status}`, { cause: error })
    readAll(tree)
    console.log(`\n${title}`)
    const own = [process.execPath, fanout, "verify", "--quiet", "--db", db, tree, copy] as const
    print(byTurns(
      rounds,
      [
        { name: "fanout verify", argv: own },
        ...isInstalled("diff")
          ? [{ name: "diff -r", argv: ["diff", "-r", "--no-dereference", tree, copy] as const }]
          : []
      ],
      () => removeDatabase(db)
    ))
  }

  const small = path.join(folder, "small")
  makeTree(small, { folders: 200, filesInFolder: 100, sizeBytes: 4096 })
  compare("20,000 files of 4 KiB in 200 folders", small, `${small} copy`)
  const tree = process.argv[2] ?? "/usr/lib"
  const { bytes, files } = sizeOf(tree)
  compare(`${tree}: ${files} files of ${(bytes / 2 ** 20).toFixed(0)} MiB`, tree, path.join(folder, "copy"))
})
