import * as assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { DatabaseSync } from "node:sqlite"
import { test } from "node:test"

test("goes on after it was killed, and does nothing twice that was recorded", async (context) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "example-job-"))
  context.after(() => fs.rmSync(folder, { recursive: true }))
  const filename = path.join(folder, "jobs.db")
  const command = ["src/main.ts", "5000"]
  const options = { cwd: path.dirname(import.meta.dirname), env: { ...process.env, DATABASE: filename } }

  const first = spawn(process.execPath, command, { ...options, stdio: ["ignore", "pipe", "inherit"] })
  const ended = once(first, "exit")
  let recorded = 0
  for await (const line of createInterface(first.stdout)) {
    recorded = Number(/^(\d+) done/.exec(line)?.[1] ?? 0)
    if (recorded > 0) first.kill("SIGKILL")
  }
  await ended
  const second = spawnSync(process.execPath, command, { ...options, encoding: "utf8" })
  const lines = second.stdout.trim().split("\n")
  const database = new DatabaseSync(filename)
  const results = database.prepare("SELECT count(*) AS count FROM results").get()
  database.close()

  assert.equal(first.signalCode, "SIGKILL")
  assert.ok(recorded > 0 && recorded < 4950)
  assert.equal(second.stderr, "")
  assert.deepEqual([lines.at(0), lines.at(-1)], ["Going on", "4950 done, 50 failed"])
  // Progress never goes back.
  assert.ok(Number(/^(\d+) done/.exec(lines.at(1) ?? "")?.[1]) >= recorded)
  // A result that is written twice would have failed the job: the item is its key.
  assert.equal(results?.["count"], 4950)
})
