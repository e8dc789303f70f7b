// Second half of `npm run build`, after `tsc -b`: what is published must not need what npm can't install.
//
// - The patched SQLite driver is bundled into the one module of core that imports it; every other import of that module
//   stays, so that core has one copy of each class and key, and `effect` is the user's.
// - The command line becomes one minified file, which starts four times as fast as its modules.
import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { dirname, join, relative } from "node:path"
import { rolldown } from "rolldown"

const root = dirname(import.meta.dirname)
const driver = "@effect/sql-sqlite-node"

/** @param {string} specifier */
const packageName = (specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")

/**
 * Texts that the bundled packages' licences ask to be passed on.
 *
 * @param {ReadonlyArray<string>} moduleIds
 */
const licences = (moduleIds) => {
  const folders = moduleIds.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]).filter((it) =>
    it !== undefined
  )
  return Array.from(new Set(folders)).toSorted().map((folder) => {
    const { license, name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    const [file] = globSync("LICEN[CS]E*", { cwd: folder })
    if (file === undefined) throw new Error(`${name} is bundled and has no licence text`)
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`
  }).join(`\n${"-".repeat(80)}\n\n`)
}

/**
 * Bundles one module and writes it in one step, so that no reader finds half a file.
 *
 * @param {string} input
 * @param {string} output
 * @param {object} options
 * @param {(id: string, importer: string | undefined) => boolean} options.external
 * @param {boolean} options.minify
 */
const bundle = async (input, output, { external, minify }) => {
  const build = await rolldown({
    input,
    external,
    platform: "node",
    resolve: { conditionNames: ["@fanout/source", "import", "node", "default"] },
    onLog: (_, log) => {
      throw new Error(`${relative(root, input)}: ${log.message}`)
    }
  })
  const { output: [{ code, moduleIds }] } = await build.generate({
    file: output,
    format: "esm",
    codeSplitting: false,
    minify
  })
  await build.close()
  writeFileSync(`${output}.new`, code)
  renameSync(`${output}.new`, output)
  writeFileSync(output.replace(/\.js$/, ".licences.txt"), licences(moduleIds))
  return moduleIds
}

/**
 * Removes what `tsc` emitted for modules that are gone: everything in `dist` is published.
 *
 * @param {string} folder
 */
const prune = (folder) => {
  for (const file of globSync("**/*.{js,js.map,d.ts,d.ts.map}", { cwd: join(folder, "dist") })) {
    const source = file.replace(/(?:\.d\.ts|\.js)(?:\.map)?$/, ".ts")
    if (!existsSync(join(folder, "src", source))) rmSync(join(folder, "dist", file))
  }
}

/** @param {string} specifier */
const isBuiltin = (specifier) => specifier.startsWith("node:") || builtinModules.includes(specifier)

const core = join(root, "packages/core")
prune(core)
prune(join(root, "packages/ops"))

const importsDriver = globSync("**/*.ts", { cwd: join(core, "src") })
  .filter((file) => readFileSync(join(core, "src", file), "utf8").includes(`from "${driver}`))
if (importsDriver.length > 1) throw new Error(`Only one module may import ${driver}: ${importsDriver.join(", ")}`)
for (const file of importsDriver) {
  const module = join(core, "dist", file.replace(/\.ts$/, ".js"))
  if (readFileSync(module.replace(/\.js$/, ".d.ts"), "utf8").includes(driver)) {
    throw new Error(`The types of ${file} name ${driver}, which users don't have`)
  }
  // A build after which `tsc` had nothing to do finds the bundle of the build before.
  if (!readFileSync(module, "utf8").includes(`from "${driver}`)) continue
  const bundled = await bundle(module, module, {
    external: (id, importer) => importer === module ? !id.includes(driver) : /^(?:node:|effect\/)/.test(id),
    minify: false
  })
  const twice = bundled.filter((id) => id !== module && !id.includes(driver))
  if (twice.length > 0) throw new Error(`Users would have two copies of ${twice.join(", ")}`)
  rmSync(`${module}.map`)
}

const cli = join(root, "packages/cli")
const { dependencies = {} } = JSON.parse(readFileSync(join(cli, "package.json"), "utf8"))
await bundle(join(cli, "src/bin.ts"), join(cli, "dist/fanout.js"), {
  external: (id) => isBuiltin(id) || packageName(id) in dependencies,
  minify: true
})
