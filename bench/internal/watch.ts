// The most that was resident while a command runs.
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { setTimeout } from "node:timers/promises"
import type { Command } from "../measure.ts"

const peakOf = (pid: number | undefined): number | undefined => {
  try {
    const line = /^VmHWM:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "latin1"))
    // What has ended and was not waited for yet has none.
    return line === null ? undefined : Number(line[1]) / 1024
  } catch {
    // It has just ended.
    return undefined
  }
}

/** Runs a command to its end, tells every few milliseconds the MiB it had at most, and says whether it was killed. */
export const watch = async (
  { argv: [program, ...args], name }: Command,
  look: (peak: number, child: ChildProcess) => void
): Promise<boolean> => {
  const child = spawn(program, args, { stdio: "inherit" })
  const ended = once(child, "exit")
  while (child.exitCode === null && child.signalCode === null) {
    const peak = peakOf(child.pid)
    if (peak !== undefined) look(peak, child)
    await setTimeout(5)
  }
  const [code, signal]: ReadonlyArray<unknown> = await ended
  if (code !== 0 && signal !== "SIGKILL") throw new Error(`${name} ended with ${String(code ?? signal)}`)
  return signal === "SIGKILL"
}
