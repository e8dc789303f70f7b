import type { ChildProcessByStdio } from "node:child_process"
import * as fs from "node:fs"
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

/** The address of the page, which lets one browser in, from the file that a server names where it has no terminal. */
export const addressIn = (stdout: string): string | undefined => {
  const [, file] = /is in (.*\.page-\d+)$/m.exec(stdout) ?? []
  return file === undefined ? undefined : fs.readFileSync(file, "utf8").trim()
}

/** Lets a program in by an address of the page, and gives what its requests need. */
export const letIn = async (address: string): Promise<{ readonly origin: string; readonly authorization: string }> => {
  const { hash, origin } = new URL(address)
  const headers = { authorization: `Bearer ${hash.replace("#code=", "")}` }
  const { token }: { readonly token?: string } = await (await fetch(`${origin}/session`, { method: "POST", headers }))
    .json()
  return { origin, authorization: `Bearer ${token ?? ""}` }
}
