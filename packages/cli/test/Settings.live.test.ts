import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { startStopwatch } from "../../../test/stopwatch.ts"
import { command } from "./command.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-settings-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

const mebibyte = 2 ** 20
const source = path.join(folder, "source")
fs.writeFileSync(source, Buffer.alloc(200 * mebibyte, 1))

const database = path.join(folder, "jobs.db")
const words = (args: ReadonlyArray<string>) => [...command.slice(1), ...args, "--db", database]

const fanout = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, words(args), { encoding: "utf8" })
  return { status, stderr, stdout }
}

interface Line {
  readonly type: string
  readonly id: string
  readonly units?: { readonly bytes?: number }
}

/** A copy in a process of its own, and what it says. */
const copying = (target: string, ...options: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, words(["copy", "--json", ...options, source, path.join(folder, target)]))
  const lines: Array<Line & { readonly at: number }> = []
  let rest = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const [last = "", ...whole] = `${rest}${text}`.split("\n").toReversed()
    rest = last
    for (const line of whole.toReversed()) lines.push({ ...JSON.parse(line), at: performance.now() })
  })
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve))
  const until = async (condition: () => boolean) => {
    while (!condition()) await sleep(20)
  }
  return { lines, ended, until }
}

describe("fanout jobs set", () => {
  it("holds a copy to a rate within 5 %, and lets it go within a second", async () => {
    const rate = 4 * mebibyte
    const { ended, lines, until } = copying("slow", "--bandwidth", "4MiB")
    const moved = () => lines.findLast(({ units }) => units?.bytes !== undefined)
    await until(() => (moved()?.units?.bytes ?? 0) > rate)
    const before = moved()
    await sleep(10_000)
    const after = moved()
    if (before === undefined || after === undefined) return assert.fail("It has told nothing")
    const perSecond = ((after.units?.bytes ?? 0) - (before.units?.bytes ?? 0)) / ((after.at - before.at) / 1000)
    assert.closeTo(perSecond / rate, 1, 0.05)

    const set = fanout("jobs", "set", after.id, "--bandwidth", "off", "--priority", "high", "--json")
    assert.deepStrictEqual([set.status, set.stderr], [0, ""])
    assert.deepInclude(JSON.parse(set.stdout), { type: "state", priority: "high", limits: {} })
    const elapsed = startStopwatch()
    assert.strictEqual(await ended, 0)
    assert.isBelow(elapsed(), 5000)
    assert.strictEqual(fs.statSync(path.join(folder, "slow")).size, 200 * mebibyte)
    assert.strictEqual(fanout("jobs", "set", after.id, "--priority", "low").status, 2)
  })

  it("gives the rate of the same command to the job that goes on", async () => {
    const first = copying("again", "--bandwidth", "1MiB")
    await first.until(() => first.lines.some(({ units }) => (units?.bytes ?? 0) > 0))
    const id = first.lines[0]?.id ?? assert.fail("no line")
    assert.strictEqual(fanout("jobs", "pause", id).status, 0)
    assert.strictEqual(await first.ended, 4)
    assert.match(fanout("jobs", "show", id).stdout, /at most 1(?:\.0)? MiB\/s/)
    const second = copying("again", "--bandwidth", "off")
    assert.strictEqual(await second.ended, 0)
    assert.strictEqual(second.lines[0]?.id, id)
    assert.notInclude(fanout("jobs", "show", id).stdout, "at most")
  })

  it("says what it can't set", () => {
    const [one, sums] = [path.join(folder, "one"), path.join(folder, "sums")]
    fs.writeFileSync(one, "")
    const idOf = (...args: ReadonlyArray<string>): string => {
      const line: Line = JSON.parse(fanout(...args, "--json").stdout.split("\n", 1)[0] ?? "")
      return line.id
    }
    assert.strictEqual(fanout("hash", one, "-o", sums).status, 0)
    for (const args of [["hash", "--check", sums], ["verify", one, sums]]) {
      assert.match(fanout("jobs", "set", idOf(...args), "--bandwidth", "1MB").stderr, /it can't be set any more/)
    }
    const id = idOf("delete", one)
    const refused = [
      [[], /What is to be set\?/],
      [["--bandwidth", "fast"], /Expected bytes a second/],
      [["--bandwidth", "0"], /Expected bytes a second/],
      [["--concurrency", "0"], /Expected a number from 1 to 9999/],
      [["--bandwidth", "1MB"], /which has no bandwidth that could be limited/],
      [["--priority", "low"], /it can't be set any more/]
    ] as const
    for (const [args, why] of refused) {
      const { status, stderr } = fanout("jobs", "set", id, ...args)
      assert.strictEqual(status, 2)
      assert.match(stderr, why)
      assert.notInclude(stderr, "    at ")
    }
  })
})
