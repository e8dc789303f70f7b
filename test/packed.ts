import { assert } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { text } from "node:stream/consumers"

// The packages as npm would publish them, for tests that do what a user does outside of this workspace.
const root = path.dirname(import.meta.dirname)

/** Runs a command in a folder, with the Node that runs this test, wherever the machine's own stands in PATH. */
export const run = async (cwd: string, command: string, ...args: ReadonlyArray<string>) => {
  const env = { ...process.env, PATH: path.dirname(process.execPath) + path.delimiter + process.env["PATH"] }
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")])
  return { status: child.exitCode, stderr, stdout }
}

/** Runs a command that must succeed and returns what it printed. */
export const output = async (cwd: string, command: string, ...args: ReadonlyArray<string>): Promise<string> => {
  const { status, stderr, stdout } = await run(cwd, command, ...args)
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`)
  return stdout
}

/** Packs packages of some names, which are built before the tests, into a folder. Gives the paths of the archives. */
export const pack = async (names: ReadonlyArray<string>, folder: string): Promise<ReadonlyArray<string>> => {
  const workspaces = names.map((name) => `--workspace=packages/${name}`)
  await output(root, "npm", "pack", "--pack-destination", folder, ...workspaces)
  return fs.globSync("*.tgz", { cwd: folder }).map((file) => path.join(folder, file))
}

/** Options with which npm asks the network for nothing that it has. */
export const quickly = ["--prefer-offline", "--no-audit", "--no-fund"] as const
