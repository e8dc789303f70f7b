// How long commands take that have next to nothing to do, beside a Node that does nothing: with what was compiled of
// them before, and without.
import * as fs from "node:fs"
import * as path from "node:path"
import { byTurns, type Command, fanout, print, removeDatabase, timeOf, withFolder } from "./measure.ts"

await withFolder((folder) => {
  const db = path.join(folder, "jobs.db")
  const [source, copy, sums] = [path.join(folder, "source"), path.join(folder, "copy"), path.join(folder, "sums")]
  const command = (...args: ReadonlyArray<string>): Command => ({
    name: String(args[0]),
    argv: [process.execPath, fanout, ...args],
    env: { FANOUT_DB: db, XDG_CACHE_HOME: folder }
  })
  const withoutCode = ({ name, ...rest }: Command): Command => ({
    ...rest,
    name: `${name}, not compiled`,
    env: { ...rest.env, NODE_DISABLE_COMPILE_CACHE: "1" }
  })
  const commands = [
    command("--help"),
    command("jobs", "list"),
    command("copy", "--quiet", source, copy),
    command("verify", "--quiet", source, source + "2"),
    // It starts a thread in any case.
    command("hash", "--quiet", "--check", sums)
  ]
  const reset = (): void => {
    removeDatabase(db)
    fs.rmSync(copy, { force: true })
  }

  for (const file of [source, source + "2"]) {
    fs.writeFileSync(file, "content")
    fs.utimesSync(file, 0, 0)
  }
  timeOf(command("hash", "--quiet", "--output", sums, source))
  for (const command of commands) {
    timeOf(command)
    reset()
  }
  print(byTurns(
    21,
    [
      { name: "node -e 0", argv: [process.execPath, "-e", "0"] },
      command("--version"),
      ...commands.flatMap((command) => [command, withoutCode(command)])
    ],
    reset
  ))
})
