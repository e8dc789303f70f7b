// Second half of `npm run build`, after `tsc -b`: removes what is stale, and makes the command line one minified file,
// which starts in a quarter of the time that its modules take. What it can't hold, native code, is what `packages/cli`
// names as its dependencies; all else is bundled, and so no dependency of what is published. What its threads run are
// other such files, and so is what its child processes run.
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { dirname, join } from "node:path"
import { rolldown } from "rolldown"

const packages = join(dirname(import.meta.dirname), "packages")

/** @param {string} specifier */
const packageName = (specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")

/**
 * Texts that the bundled packages' licences ask to be passed on.
 *
 * @param {ReadonlyArray<string>} moduleIds
 */
const licences = (moduleIds) => {
  const folders = moduleIds.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? [])
  return Array.from(new Set(folders)).toSorted().map((folder) => {
    const { license, name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    const [file] = globSync("{LICEN[CS]E,licen[cs]e}*", { cwd: folder })
    if (file === undefined) throw new Error(`${name} is bundled and has no licence text`)
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`
  }).join(`\n${"-".repeat(80)}\n\n`)
}

// All of a library's `dist` is published, and `tsc` leaves there what it made of modules that are gone.
for (const name of ["core", "ops"]) {
  for (const file of globSync("**/*.{js,js.map,d.ts,d.ts.map}", { cwd: join(packages, name, "dist") })) {
    const source = file.replace(/(?:\.d\.ts|\.js)(?:\.map)?$/, ".ts")
    if (!existsSync(join(packages, name, "src", source))) rmSync(join(packages, name, "dist", file))
  }
}

const { dependencies = {} } = JSON.parse(readFileSync(join(packages, "cli/package.json"), "utf8"))

/**
 * Bundles a module of a package with all that it imports, and gives what it is made of.
 *
 * @param {string} source
 * @param {string} target
 */
const bundle = async (source, target) => {
  const build = await rolldown({
    input: join(packages, source),
    external: (id) => isBuiltin(id) || packageName(id) in dependencies,
    platform: "node",
    resolve: { conditionNames: ["@fanout/source", "import", "node", "default"] },
    onLog: (_, { message }) => {
      throw new Error(message)
    }
  })
  const { output: [{ code, moduleIds }] } = await build.generate({ format: "esm", codeSplitting: false, minify: true })
  await build.close()
  // In one step, so that nobody starts half a file.
  writeFileSync(`${target}.new`, code)
  renameSync(`${target}.new`, target)
  return moduleIds
}

const dist = join(packages, "cli/dist")
mkdirSync(dist, { recursive: true })
const moduleIds = await Promise.all([
  bundle("cli/src/bin.ts", join(dist, "fanout.js")),
  bundle("cli/src/thread.ts", join(dist, "thread.js")),
  bundle("cli/src/mediaThread.ts", join(dist, "mediaThread.js")),
  bundle("cli/src/process.ts", join(dist, "process.js")),
  bundle("core/src/internal/node/processRelay.ts", join(dist, "processRelay.js"))
])
writeFileSync(join(dist, "fanout.licences.txt"), licences(moduleIds.flat()))
