import { assert } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

// The packages as npm would publish them, for tests that do what a user does outside of this workspace.
const root = path.dirname(import.meta.dirname)

// The Node that runs this test, wherever the machine's own stands in PATH.
const env = { ...process.env, PATH: path.dirname(process.execPath) + path.delimiter + process.env["PATH"] }

/** Runs a command in a folder. */
export const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd, encoding: "utf8", env })
  if (error !== undefined) throw error
  return { status, stderr, stdout }
}

/** Runs a command that must succeed and returns what it printed. */
export const output = (cwd: string, command: string, ...args: ReadonlyArray<string>): string => {
  const { status, stderr, stdout } = run(cwd, command, ...args)
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`)
  return stdout
}

/** Builds all packages and packs those of some names into a folder. Gives the paths of the archives. */
export const pack = (names: ReadonlyArray<string>, folder: string): ReadonlyArray<string> => {
  output(root, "npm", "run", "build")
  for (const name of names) output(path.join(root, "packages", name), "npm", "pack", "--pack-destination", folder)
  return fs.globSync("*.tgz", { cwd: folder }).map((file) => path.join(folder, file))
}

/** Options with which npm asks the network for nothing that it has. */
export const quickly = ["--prefer-offline", "--no-audit", "--no-fund"] as const
