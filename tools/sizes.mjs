// How large the code is: `node tools/sizes.mjs` prints what `test/sizes.json` records and `test/Tidy.test.ts` compares,
// and writes it with `--write`. `node tools/sizes.mjs --modules` lists the modules that run while one file is copied.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const root = path.dirname(import.meta.dirname)
const recorded = path.join(root, "test/sizes.json")

/** The command ends its process before V8 has written by itself what ran. */
const writingCoverage = "data:text/javascript,import v8 from 'node:v8'; process.once('exit', v8.takeCoverage)"

/** @param {string} file */
const read = (file) => fs.readFileSync(path.join(root, file), "utf8")
const sources = fs.globSync(["packages/*/src/**/*.ts", "packages/cli/page/*.{ts,tsx}"], { cwd: root }).toSorted()

/** Lines of the modules right in each folder. */
const linesOfFolders = () => {
  /** @type {Record<string, number>} */
  const lines = {}
  for (const file of sources) {
    const folder = path.dirname(file)
    lines[folder] = (lines[folder] ?? 0) + read(file).trimEnd().split("\n").length
  }
  return lines
}

/** Lines that ask whether something is an address of an object, or of many. */
const addressSites = () =>
  sources.flatMap((file) => read(file).split("\n")).filter((line) =>
    /\b(?:isAddress|areObjects)\b/.test(line) && !/^import|^export const|^ {2}\w+,$/.test(line)
  ).length

/** Members of the contract that each store implements. */
const storeMembers = () => {
  const [, contract = ""] = read("packages/core/src/JobStore.ts").split("export class JobStore extends ")
  return contract.split("\n}>()", 1)[0]?.split("\n").filter((line) => line.startsWith("  readonly ")).length ?? 0
}

/**
 * @typedef {{ readonly functionName: string, readonly ranges: ReadonlyArray<{ readonly count: number }> }} Ran
 * @param {{ readonly url: string, readonly functions: ReadonlyArray<Ran> }} script
 */
const ranModule = ({ functions, url }) => {
  const [, module] = /\/packages\/(\w+\/src\/.*)$/.exec(url) ?? []
  const hasRun = functions.some(({ functionName, ranges }) => functionName !== "" && (ranges[0]?.count ?? 0) > 0)
  return module !== undefined && hasRun ? [module] : []
}

/** Modules of which a named function runs while one small file is copied, the start of the command included. */
const modulesOfOneCopy = () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-sizes-"))
  try {
    const file = path.join(folder, "file")
    const coverage = path.join(folder, "coverage")
    fs.writeFileSync(file, "content")
    const bin = path.join(root, "packages/cli/src/bin.ts")
    const argv = ["--import", writingCoverage, "--conditions=@fanout/source", bin, "copy", file, `${file}.copy`]
    const env = { ...process.env, FANOUT_DB: path.join(folder, "jobs.db"), NODE_V8_COVERAGE: coverage }
    const { status, stderr } = spawnSync(process.execPath, argv, { encoding: "utf8", env })
    if (status !== 0) throw new Error(`the copy ended with ${status}: ${stderr}`)
    const ran = fs.readdirSync(coverage).flatMap((name) =>
      JSON.parse(fs.readFileSync(path.join(coverage, name), "utf8")).result.flatMap(ranModule)
    )
    return Array.from(new Set(ran))
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

/** All figures that may only fall. */
export const measure = () => ({
  lines: linesOfFolders(),
  "modules that run for one copied file": modulesOfOneCopy().length,
  "lines that ask whether something is an address": addressSites(),
  "members of JobStore": storeMembers()
})

if (import.meta.main) {
  if (process.argv.includes("--modules")) console.log(modulesOfOneCopy().toSorted((a, b) => a < b ? -1 : 1).join("\n"))
  else {
    const text = `${JSON.stringify(measure(), null, 2)}\n`
    if (process.argv.includes("--write")) fs.writeFileSync(recorded, text)
    else process.stdout.write(text)
  }
}
