/**
 * Tells the address of the page of jobs. It lets in whoever opens it first, so it is for the user of the command alone:
 * on the terminal, or in a file, since what is printed elsewhere is kept in logs, which others may read.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as Database from "../options/Database.ts"
import * as events from "../ui/events.ts"
import { print } from "../ui/View.ts"

const write = (file: string, address: string): Effect.Effect<void, Stop.Stop> =>
  Effect.try({
    try: () => {
      const unfinished = `${file}.${process.pid}`
      fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
      fs.rmSync(unfinished, { force: true })
      fs.writeFileSync(unfinished, `${address}\n`, { mode: 0o600, flag: "wx" })
      fs.renameSync(unfinished, file)
    },
    catch: (cause) =>
      Stop.failure(
        `The address of the page can't be written to ${file}: ${cause instanceof Error ? cause.message : String(cause)}`
      )
  })

/** Makes what tells the address, and each next one when that was used, until the scope is closed. */
export const teller = Effect.fnUntraced(function*({ filename }: Database.Database, json: boolean) {
  let file: string | undefined
  let isFirst = true
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (file !== undefined) fs.rmSync(file, { force: true })
    })
  )
  return Effect.fnUntraced(function*(address: string) {
    const isNews = isFirst
    isFirst = false
    if (Process.current().stdout.isTTY) {
      const text = isNews ? `Jobs are shown at ${address}` : `Another browser is let in by ${address}`
      return yield* print(json ? events.line("page", { address }) : text)
    }
    const database = filename === ":memory:" ? Database.usualFile() : filename
    // Several services of one database have different ports.
    file = `${database}.page-${new URL(address).port}`
    const why = Database.whyNotTrusted(file)
    if (why !== undefined) {
      return yield* Stop.exposed(
        `Root tells no address where others can change it, and ${why}. Name a folder of root's alone in XDG_STATE_HOME.`
      )
    }
    yield* write(file, address)
    if (isNews) yield* print(json ? events.line("page", { file }) : `The address of the page of jobs is in ${file}`)
  })
})
