// What is resident while a command runs.
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { setTimeout } from "node:timers/promises"
import type { Command } from "../measure.ts"

export interface Sample {
  /** MiB that are resident now. */
  readonly resident: number
  /** The most that ever were. */
  readonly peak: number
}

const sampleOf = (pid: number | undefined): Sample | undefined => {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, "latin1")
    const mib = (line: RegExp) => Number(line.exec(status)?.[1] ?? 0) / 1024
    // What has ended and was not waited for yet has none.
    if (!status.includes("VmHWM")) return undefined
    return { resident: mib(/^VmRSS:\s+(\d+)/m), peak: mib(/^VmHWM:\s+(\d+)/m) }
  } catch {
    // It has just ended.
    return undefined
  }
}

/** Runs a command to its end, looks at it every few milliseconds, and says whether it was killed. */
export const watch = async (
  { argv: [program, ...args], name }: Command,
  look: (sample: Sample, child: ChildProcess) => void
): Promise<boolean> => {
  const child = spawn(program, args, { stdio: "inherit" })
  const ended = once(child, "exit")
  while (child.exitCode === null && child.signalCode === null) {
    const sample = sampleOf(child.pid)
    if (sample !== undefined) look(sample, child)
    await setTimeout(5)
  }
  const [code, signal]: ReadonlyArray<unknown> = await ended
  if (code !== 0 && signal !== "SIGKILL") throw new Error(`${name} ended with ${String(code ?? signal)}`)
  return signal === "SIGKILL"
}
