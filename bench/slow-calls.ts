// Copies on a slow file system: 100 files of 1 MiB, where each request that the kernel makes takes 5 ms. Arguments are
// other milliseconds, and over how many folders the files are spread instead of ten.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { mount } from "./internal/slowFileSystem.ts"
import { byTurns, type Command, fanout, print, removeDatabase, withFolder } from "./measure.ts"

const files = 100
const target = 8
const [delayMillis = 5, folders = 10] = process.argv.slice(2).map(Number)

await withFolder(async (folder) => {
  const slow = path.join(folder, "slow")
  const source = path.join(slow, "source")
  const copy = path.join(slow, "copy")
  const db = path.join(folder, "jobs.db")
  const at = (concurrency: number): Command => {
    const command = ["copy", "--quiet", "--db", db, "--concurrency", String(concurrency), "-T", source, copy]
    return { name: `concurrency ${concurrency}`, argv: [process.execPath, fanout, ...command] }
  }
  const isSame = (): boolean => spawnSync("diff", ["-r", source, copy]).status === 0

  fs.mkdirSync(slow)
  const unmount = await mount(slow, delayMillis)
  if (typeof unmount === "string") {
    console.error(unmount)
    process.exitCode = 1
    return
  }
  try {
    for (let i = 0; i < files; i++) {
      const parent = folders === 1 ? source : path.join(source, `folder-${i % folders}`)
      fs.mkdirSync(parent, { recursive: true })
      fs.writeFileSync(path.join(parent, `file-${i}`), Buffer.alloc(2 ** 20, i))
    }
    const results = byTurns(3, [at(1), at(10)], () => {
      fs.rmSync(copy, { recursive: true, force: true })
      removeDatabase(db)
    })
    if (!isSame()) throw new Error("The copy is not as its source")
    print(results.toReversed())
    const [one = Number.NaN, ten = Number.NaN] = results.map(({ millis }) => millis)
    console.log(`concurrency 10 is ${(one / ten).toFixed(2)} × as fast as 1; with 5 ms it should be ${target}`)
  } finally {
    unmount()
  }
})
