// What the benchmarks share: child processes, medians, and folders that are gone afterwards.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** The command as it is published; needs `npm run build`. */
export const fanout = path.join(import.meta.dirname, "../packages/cli/bin/fanout.js")

export interface Command {
  readonly name: string
  readonly argv: readonly [string, ...ReadonlyArray<string>]
}

/** Runs a command to its end and gives the milliseconds that took. */
export const timeOf = ({ argv: [program, ...args], name }: Command): number => {
  const start = performance.now()
  const { error, status, stderr } = spawnSync(program, args, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" })
  const millis = performance.now() - start
  if (error !== undefined || status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`, { cause: error })
  return millis
}

export const isInstalled = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined

export const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** Runs the commands by turns, so that what slows the machine down slows all of them, and gives their medians. */
export const byTurns = (rounds: number, commands: ReadonlyArray<Command>, before: () => void = () => {}) => {
  const times = new Map(commands.map(({ name }): [string, Array<number>] => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const command of commands) {
      before()
      times.get(command.name)?.push(timeOf(command))
    }
  }
  return Array.from(times, ([name, all]) => ({ name, millis: median(all) }))
}

/** Prints medians, and how many times as long as the first each of them takes. */
export const print = (results: ReturnType<typeof byTurns>): void => {
  const first = results[0]?.millis ?? Number.NaN
  for (const { millis, name } of results) {
    console.log(`${name.padEnd(24)} ${millis.toFixed(0).padStart(7)} ms  × ${(millis / first).toFixed(2)}`)
  }
}

/** Gives a folder under `TMPDIR` to a function, and removes it afterwards. */
export const withFolder = async (use: (folder: string) => void | Promise<void>): Promise<void> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-bench-"))
  try {
    await use(folder)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}
