// Copies on a slow file system: 100 files of 1 MiB, where each request that the kernel makes takes 5 ms; and the same
// in C, of which each thread takes a folder at a time. Arguments are other milliseconds, and over how many folders the
// files are spread instead of ten.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { limit } from "./internal/limit.ts"
import { mount } from "./internal/slowFileSystem.ts"
import { byTurns, type Command, fanout, removeDatabase, withFolder } from "./measure.ts"

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
  const limitBy = (threads: number): Command => ({
    name: `C, threads: ${threads}`,
    argv: [limit, String(threads), source, copy]
  })
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
    const limits = fs.existsSync(limit) ? [limitBy(1), limitBy(10)] : []
    const results = byTurns(3, [...limits, at(1), at(10)], () => {
      fs.rmSync(copy, { recursive: true, force: true })
      removeDatabase(db)
    })
    if (!isSame()) throw new Error("The copy is not as its source")
    for (const { millis, name } of results) console.log(`${name.padEnd(16)} ${Math.round(millis)} ms`)
    const gain = (one = Number.NaN, ten = Number.NaN) => `${(one / ten).toFixed(2)} × as fast as one`
    const [ten, one, tenInC, oneInC] = results.toReversed().map(({ millis }) => millis)
    console.log(`ten files at once are ${gain(one, ten)} after the other; with 5 ms it should be ${target}`)
    if (oneInC !== undefined) console.log(`ten threads in C are ${gain(oneInC, tenInC)}`)
  } finally {
    unmount()
  }
})
