import * as assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { DatabaseSync } from "node:sqlite"
import { test, type TestContext } from "node:test"

/** The command with a database of its own, and the results in this database. */
const fresh = (context: TestContext) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "example-job-"))
  context.after(() => fs.rmSync(folder, { recursive: true }))
  const filename = path.join(folder, "jobs.db")
  const options = { cwd: path.dirname(import.meta.dirname), env: { ...process.env, DATABASE: filename } }
  const sql = (statement: string) => {
    const database = new DatabaseSync(filename, { timeout: 1000 })
    try {
      return database.prepare(statement).all()
    } finally {
      database.close()
    }
  }
  return {
    options,
    sql,
    run: (items: number) => {
      const command = ["src/main.ts", String(items)]
      const { status, stderr, stdout } = spawnSync(process.execPath, command, { ...options, encoding: "utf8" })
      const lines = stdout.trim().split("\n")
      return { status, stderr, lines, said: `${lines.at(0)}: ${lines.at(-1)}` }
    },
    results: () => sql("SELECT count(*) AS count, total(result) AS total FROM results").map((row) => Object.values(row))
  }
}

test("goes on after a kill, and repeats no recorded item", async (context) => {
  const { options, results, run, sql } = fresh(context)

  const first = spawn(process.execPath, ["src/main.ts", "5000"], { ...options, stdio: ["ignore", "pipe", "inherit"] })
  const ended = once(first, "exit")
  let recorded = 0
  for await (const line of createInterface(first.stdout)) {
    recorded = Number(/^(\d+) done/.exec(line)?.[1] ?? 0)
    if (recorded > 0) first.kill("SIGKILL")
  }
  await ended
  sql(`CREATE TRIGGER twice BEFORE INSERT ON results WHEN EXISTS (SELECT 1 FROM results WHERE item = new.item)
    BEGIN SELECT RAISE(ABORT, 'written twice'); END`)
  const second = run(5000)
  const written = results()

  assert.equal(first.signalCode, "SIGKILL")
  assert.ok(recorded > 0 && recorded < 4950)
  assert.equal(second.stderr, "")
  assert.equal(second.said, "Going on: 4950 done, 50 failed")
  // Progress never goes back.
  assert.ok(Number(/^(\d+) done/.exec(second.lines[1] ?? "")?.[1]) >= recorded)
  assert.equal(written[0]?.[0], 4950)
  // Only the failed items run again.
  for (const { said, status } of [run(5000), run(5000)]) {
    assert.deepEqual([said, status], ["Going on: 4950 done, 50 failed", 0])
  }
  assert.deepEqual(results(), written)
})

test("gives the stored result of a completed job", (context) => {
  const { results, run } = fresh(context)

  const runs = [run(50), run(50), run(50)]

  assert.deepEqual(
    runs.map(({ said, status }) => [said, status]),
    ["Started", "Going on", "Going on"].map((begun) => [`${begun}: 50 done, 0 failed`, 0])
  )
  assert.deepEqual(results(), [[50, 42_925]])
})

test("goes on after a failure", (context) => {
  const { results, run, sql } = fresh(context)
  run(10)
  sql("CREATE TRIGGER full BEFORE INSERT ON results WHEN new.item > 20 BEGIN SELECT RAISE(ABORT, 'no room'); END")

  const failed = run(50)
  sql("DROP TRIGGER full")
  const runs = [run(50), run(50), run(50)]

  assert.equal(failed.status, 1)
  assert.match(failed.stderr, /no room/)
  assert.deepEqual(
    runs.map(({ said }) => said),
    Array(3).fill("Going on: 50 done, 0 failed")
  )
  assert.deepEqual(runs.map(({ status }) => status), [0, 0, 0])
  assert.deepEqual(results(), [[50, 42_925]])
})
