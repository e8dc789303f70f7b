// Another commit of this repository. `node tools/oldVersion.mjs COMMIT` packs its command line, as it was published,
// into a file of `packages/cli/test/fixtures`, from which tests run it beside the present one.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as zlib from "node:zlib"

const project = path.dirname(import.meta.dirname)

/**
 * @param {string} cwd
 * @param {string} program
 * @param {ReadonlyArray<string>} argv
 */
const run = (cwd, program, ...argv) => {
  const { error, status } = spawnSync(program, argv, { cwd, stdio: ["ignore", "ignore", "inherit"] })
  if (status !== 0) throw new Error(`${program} ${argv.join(" ")} ended with ${status}`, { cause: error })
}

/**
 * Gives the folder in which a commit is built. It is built once, in a folder of its own under `TMPDIR`.
 *
 * @param {string} commit
 */
export const buildOf = (commit) => {
  const folder = path.join(os.tmpdir(), `fanout-${commit}`)
  const done = path.join(folder, "built")
  if (!fs.existsSync(done)) {
    console.log(`building ${commit} in ${folder}`)
    fs.rmSync(folder, { recursive: true, force: true })
    fs.mkdirSync(folder)
    run(project, "sh", "-c", `git archive ${commit} | tar -x -C '${folder}'`)
    run(folder, "npm", "ci", "--no-audit", "--no-fund")
    run(folder, "npm", "run", "build")
    fs.writeFileSync(done, "")
  }
  return folder
}

if (import.meta.main) {
  const [commit = ""] = process.argv.slice(2)
  const folder = path.join(buildOf(commit), "packages/cli")
  // Neither the page nor the threads that read photos: no test of old jobs needs them.
  const names = fs.globSync(["bin/*", "package.json", "dist/*.{cjs,js}"], {
    cwd: folder,
    exclude: ["dist/mediaThread*", "dist/ui.js"]
  })
  const texts = Object.fromEntries(names.map((name) => [name, fs.readFileSync(path.join(folder, name), "utf8")]))
  const packed = zlib.brotliCompressSync(JSON.stringify(texts), {
    params: { [zlib.constants.BROTLI_PARAM_LGWIN]: zlib.constants.BROTLI_MAX_WINDOW_BITS }
  })
  const file = path.join(project, `packages/cli/test/fixtures/${commit}.json.br`)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, packed)
  console.log(`${file}: ${packed.length} bytes`)
}
