import { assert, describe, it } from "@effect/vitest"
import * as JobStore from "@fanout/core/JobStore"
import * as Node from "@fanout/core/node"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** A process with a job whose calls are at the rate, and the times of these. */
const open = (filename: string, name: string, calls: Array<number>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const args = ["--conditions=@fanout/source", path.join(import.meta.dirname, "ratesChild.ts"), filename, name]
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

describe("a rate of a SQLite file", () => {
  it.live("holds for two processes together, changes while they run, and outlives one of them", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
      )
      const filename = path.join(folder, "jobs.db")
      yield* Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        yield* store.setRate("api", 200)
        const calls: readonly [Array<number>, Array<number>] = [[], []]
        const [first] = yield* Effect.all(
          [open(filename, "a", calls[0]), open(filename, "b", calls[1])],
          { concurrency: 2 }
        )
        const isBegun = Effect.sync(() => calls[0].length > 0 && calls[1].length > 0)
        yield* isBegun.pipe(
          Effect.repeat({ until: Boolean, schedule: Schedule.spaced(20) }),
          Effect.timeout("1 minute")
        )
        const from = Date.now()
        yield* Effect.sleep(800)
        const killed = Date.now()
        first.kill("SIGKILL")
        yield* Effect.sleep(400)
        yield* store.setRate("api", 50)
        const changed = Date.now() + 600
        yield* Effect.sleep(1400)

        const all = calls.flat().toSorted((left, right) => left - right)
        const between = (of: ReadonlyArray<number>, from: number, to: number) =>
          of.filter((at) => at >= from && at < to).length
        // For each process there may be as many at once as take a tenth of a second, and as many that it was late with.
        for (const at of all) assert.isAtMost(between(all, at, at + 200), 200 * 0.2 + 20 * 5 + 1)
        assert.isAtMost(between(all, changed, changed + 800), 50 * 0.8 + 5 * 5 + 1)
        // Other programs of the machine may hold both up.
        assert.isAtLeast(between(all, from, killed), 80)
        assert.isAtLeast(between(calls[0], from, killed), 10)
        assert.isAtLeast(between(calls[1], from, killed), 10)
        assert.isAtLeast(between(calls[1], killed + 100, changed - 600), 20)
        assert.isAtLeast(between(calls[1], changed, changed + 800), 10)
      }).pipe(Effect.provide(Node.layerSqlite({ filename })))
    }).pipe(Effect.scoped))
})
