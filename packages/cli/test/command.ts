import type { ChildProcessByStdio } from "node:child_process"
import * as path from "node:path"
import type { Readable, Writable } from "node:stream"

/** What starts the command, as users have it; it is bundled before the tests that start it. */
export const command = [process.execPath, path.join(import.meta.dirname, "../bin/fanout.js")] as const

/** The same with arguments, and with something before it, as what starts processes takes that. */
export const commandLine = (
  args: ReadonlyArray<string>,
  prefix: ReadonlyArray<string> = []
): [string, Array<string>] => {
  const [file = process.execPath, ...rest] = [...prefix, ...command, ...args]
  return [file, rest]
}

/** A command that was started, with what it writes and what it ends with. */
export const watched = <I extends Writable | null>(child: ChildProcessByStdio<I, Readable, Readable>) => {
  const output = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text
    })
  }
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on("close", (code) => resolve({ code, ...output }))
  })
  return { child, output, ended }
}
