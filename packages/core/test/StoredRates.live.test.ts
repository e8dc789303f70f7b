import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as JobStore from "@fanout/core/JobStore"
import * as Node from "@fanout/core/node"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { programs } from "./postgresProcess.ts"
import { PostgresDatabase } from "./postgresServer.ts"

/** A process with a job whose calls are at the rate, and the times of these. */
const open = (database: string, name: string, calls: Array<number>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const args = ["--conditions=@fanout/source", path.join(import.meta.dirname, "ratesChild.ts"), database, name]
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
      let rest = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const lines = (rest + text).split("\n")
        rest = lines.pop() ?? ""
        for (const line of lines) if (line !== "ready") calls.push(Number(line))
      })
      // A process that dies ends its output, too.
      await Promise.race([once(child.stdout, "data"), once(child, "close")])
      return child
    }),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill("SIGKILL")
        await once(child, "close")
      })
  )

const until = (is: () => boolean) =>
  Effect.sync(is).pipe(
    Effect.repeat({ until: Boolean, schedule: Schedule.spaced(20) }),
    Effect.timeout("1 minute")
  )

/** Two processes have a rate, which changes while they run, and outlives one of them. */
const keepsRate = (database: string) =>
  Effect.gen(function*() {
    const store = yield* JobStore.JobStore
    yield* store.setRate("api", 50)
    const calls: readonly [Array<number>, Array<number>] = [[], []]
    const [first] = yield* Effect.all(
      [open(database, "a", calls[0]), open(database, "b", calls[1])],
      { concurrency: 2 }
    )
    // Other programs of the machine may hold both up.
    yield* until(() => calls[0].length >= 60 && calls[1].length >= 60)
    first.kill("SIGKILL")
    const killed = calls[1].length
    yield* until(() => calls[1].length >= killed + 40)
    yield* store.setRate("api", 20)
    const changed = Date.now() + 600
    yield* until(() => calls[1].filter((at) => at >= changed).length >= 40)

    // For each process there may be as many at once as take a tenth of a second, and as many that it was late with.
    const all = calls.flat().toSorted((left, right) => left - right)
    const mostOf = (of: ReadonlyArray<number>) =>
      Math.max(...of.map((from) => of.filter((at) => at >= from && at < from + 2000).length))
    assert.isAtMost(mostOf(all.filter((at) => at < changed)), 50 * 2 + 5 * 5 + 1)
    assert.isAtMost(mostOf(all.filter((at) => at >= changed)), 20 * 2 + 5 * 2 + 1)
  })

const title = "holds for two processes together, changes while they run, and outlives one of them"

describe("a rate of a SQLite file", () => {
  it.live(title, () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
      )
      const filename = path.join(folder, "jobs.db")
      yield* Effect.provide(keepsRate(filename), Node.layerSqlite({ filename }))
    }).pipe(Effect.scoped))
})

describe.skipIf(programs === undefined)("a rate of a Postgres server", () => {
  it.live(title, () =>
    Effect.gen(function*() {
      const config = yield* (yield* Effect.promise(() => PostgresDatabase.open())).schema
      const store = Layer.provide(SqlJobStore.layer, PgClient.layer(config))
      yield* Effect.provide(keepsRate(JSON.stringify(config)), store)
    }).pipe(Effect.scoped))
})
