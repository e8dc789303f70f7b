// What the benchmarks share: child processes, medians, and folders that are gone afterwards.
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** The command as it is published; needs `npm run build`. */
export const fanout = path.join(import.meta.dirname, "../packages/cli/bin/fanout.js")

export interface Command {
  readonly name: string
  readonly argv: readonly [string, ...ReadonlyArray<string>]
  /** Variables that it has besides those of this process. */
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a command to its end and gives the milliseconds that took. */
export const timeOf = ({ argv: [program, ...args], env, name }: Command): number => {
  const start = performance.now()
  const { error, status, stderr } = spawnSync(program, args, {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    env: { ...process.env, ...env }
  })
  const millis = performance.now() - start
  if (error !== undefined || status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`, { cause: error })
  return millis
}

/** What a command has taken. */
export interface Usage {
  readonly millis: number
  /** Milliseconds of processors, of its own and of the kernel for it. */
  readonly processorMillis: number
  /** The most that was resident. */
  readonly residentMiB: number
}

/** Runs a command to its end, and gives what the kernel has counted. Needs `/usr/bin/time`. */
export const usageOf = async ({ argv, env, name }: Command): Promise<Usage> => {
  const start = performance.now()
  const child = spawn("/usr/bin/time", ["-f", "%U %S %M", ...argv], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env }
  })
  const [stderr, [status]] = await Promise.all([child.stderr.setEncoding("utf8").toArray(), once(child, "exit")])
  const millis = performance.now() - start
  const text = stderr.join("").trim()
  if (status !== 0) throw new Error(`${name} ended with ${String(status)}: ${text}`)
  const [user = 0, system = 0, kib = 0] = text.split("\n").at(-1)?.split(" ").map(Number) ?? []
  return { millis, processorMillis: (user + system) * 1000, residentMiB: kib / 1024 }
}

export const isInstalled = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined

export const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

export interface Result {
  readonly name: string
  /** Milliseconds of each round. */
  readonly times: ReadonlyArray<number>
  readonly millis: number
}

export const toResult = (name: string, times: ReadonlyArray<number>): Result => ({ name, times, millis: median(times) })

/**
 * Runs the commands by turns, so that what slows the machine down slows all of them, and gives their medians. What is
 * called before and after each run is not timed.
 */
export const byTurns = <A extends Command>(
  rounds: number,
  commands: ReadonlyArray<A>,
  before: (command: A) => void = () => {},
  after: (command: A) => void = () => {}
): ReadonlyArray<Result> => {
  const times = commands.map((): Array<number> => [])
  for (let round = 0; round < rounds; round++) {
    for (const [index, command] of commands.entries()) {
      before(command)
      times[index]?.push(timeOf(command))
      after(command)
    }
  }
  return commands.map(({ name }, index) => toResult(name, times[index] ?? []))
}

/** How many times as long as the other it takes: the median of what each round says. */
export const ratio = (result: Result, other: Result): number =>
  median(result.times.map((millis, round) => millis / (other.times[round] ?? Number.NaN)))

/** Prints medians, and how many times as long as the first each of them takes. */
export const print = (results: ReadonlyArray<Result>): void => {
  for (const result of results) {
    const times = ratio(result, results[0] ?? result).toFixed(2)
    console.log(`${result.name.padEnd(24)} ${result.millis.toFixed(0).padStart(7)} ms  × ${times}`)
  }
}

export const removeDatabase = (db: string): void => {
  for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(db + suffix, { force: true })
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
