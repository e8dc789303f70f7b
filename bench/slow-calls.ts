// Copies as if file systems were slow: 100 files of 1 MiB, where each call takes 5 ms more. `strace` makes each thread
// wait by itself, as a network file system would. `read` and `write` are left alone: threads wake each other with them.
import * as fs from "node:fs"
import * as path from "node:path"
import { byTurns, type Command, fanout, isInstalled, print, withFolder } from "./measure.ts"

const files = 100
const delayMicros = 5000
const calls = "openat,statx,mkdir,copy_file_range,fchmod,fchown,utimensat,link,rename,unlink,close"

if (!isInstalled("strace")) throw new Error("slow-calls needs strace")

withFolder((folder) => {
  const none = path.join(folder, "none")
  const some = path.join(folder, "some")
  const copy = path.join(folder, "copy")
  const db = path.join(folder, "jobs.db")
  const at = (source: string, concurrency: number, name: string): Command => {
    const slow = ["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", `inject=${calls}:delay_enter=${delayMicros}`]
    const command = [fanout, "copy", "--quiet", "--db", db, "--concurrency", String(concurrency), "-T", source, copy]
    return { name, argv: ["strace", ...slow, process.execPath, ...command] }
  }
  for (const source of [none, some]) fs.mkdirSync(source)
  for (let i = 0; i < files; i++) fs.writeFileSync(path.join(some, `file-${i}`), Buffer.alloc(2 ** 20, i))
  const commands = [at(some, 10, "concurrency 10"), at(some, 1, "concurrency 1"), at(none, 1, "nothing to copy")]
  const results = byTurns(3, commands, () => {
    fs.rmSync(copy, { recursive: true, force: true })
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(db + suffix, { force: true })
  })
  print(results)
  const [ten = Number.NaN, one = Number.NaN, start = Number.NaN] = results.map(({ millis }) => millis)
  console.log(`without start-up, 10 are ${((one - start) / (ten - start)).toFixed(1)} × as fast as 1`)
})
