// Second half of `npm run build`, after `tsc -b`: removes what is stale, and makes the command line one minified file,
// which starts in a quarter of the time that its modules take. What it can't hold, native code, is what `packages/cli`
// names as its dependencies; all else is bundled, and so no dependency of what is published. What its threads run are
// other such files, and so is what its child processes run. Each has a small file beside it that loads it together with
// what was compiled of it before (`CompiledCode.ts`). `page.mjs` makes the page of `fanout ui`.
import { hash } from "node:crypto"
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { dirname, join } from "node:path"
import { rolldown } from "rolldown"
import { buildPage } from "./page.mjs"
import { hasRoutines, plainRoutines, withPlainTwins } from "./plainRoutines.mjs"

const packages = join(dirname(import.meta.dirname), "packages")

/** @param {string} specifier */
const packageName = (specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")

/**
 * Texts that the bundled packages' licences ask to be passed on.
 *
 * @param {ReadonlyArray<string>} moduleIds
 */
const licences = (moduleIds) => {
  const found = moduleIds.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? [])
  const folders = Array.from(new Set(found)).toSorted()
  const textIn = (/** @type {string} */ folder) => {
    const [file] = globSync("{LICEN[CS]E,licen[cs]e}*", { cwd: folder })
    return file === undefined ? undefined : readFileSync(join(folder, file), "utf8").trim()
  }
  return folders.map((folder) => {
    const { license, name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    // Some packages of AWS lack the text that others of AWS have.
    const siblings = license === "Apache-2.0" ? folders.filter((other) => dirname(other) === dirname(folder)) : []
    const text = [folder, ...siblings].map(textIn).find((text) => text !== undefined)
    if (text === undefined) throw new Error(`${name} is bundled and has no licence text`)
    return `${name} ${version} (${license})\n\n${text}\n`
  }).join(`\n${"-".repeat(80)}\n\n`)
}

// All of a library's `dist` is published, and `tsc` leaves there what it made of modules that are gone.
for (const name of ["core", "ops"]) {
  for (const file of globSync("**/*.{js,js.map,d.ts,d.ts.map}", { cwd: join(packages, name, "dist") })) {
    const source = file.replace(/(?:\.d\.ts|\.js)(?:\.map)?$/, ".ts")
    if (!existsSync(join(packages, name, "src", source))) rmSync(join(packages, name, "dist", file))
  }
}

// `tsc` writes only what has changed: the rest has its twins.
for (const file of globSync("**/*.ts", { cwd: join(packages, "ops/src") })) {
  const made = join(packages, "ops/dist", file.replace(/\.ts$/, ".js"))
  if (!hasRoutines(readFileSync(join(packages, "ops/src", file), "utf8"))) continue
  const code = readFileSync(made, "utf8")
  if (!code.includes("$now")) writeFileSync(made, withPlainTwins(code, made))
}

const { dependencies = {}, peerDependencies = {} } = JSON.parse(
  readFileSync(join(packages, "cli/package.json"), "utf8")
)

/** What is loaded by the first module that is run and imports it, and not with the file: it takes its time. */
const loadedLate = new Set([
  "koffi",
  ...`child_process crypto fs/promises http https net readline stream stream/consumers stream/promises
    string_decoder tls vm worker_threads zlib`.split(/\s+/).map((name) => `node:${name}`)
])

/** Libraries that few commands need have a file of their own, which is loaded as late. */
const ownFiles = new Map([["./awsLibraries.ts", "aws.cjs"], ["../cloud/contentType.ts", "contentType.cjs"]])

/**
 * @param {string} specifier
 * @param {string | undefined} importer
 */
const isLate = (specifier, importer) =>
  (loadedLate.has(specifier) || ownFiles.has(specifier)) && importer?.startsWith("\0") === false

/** Koffi's own loader takes as long as its binary: it copies `node:util`, and so loads all that this loads late. */
const koffi = `const { createRequire } = require("node:module")
try {
  module.exports = createRequire(require.resolve("koffi"))(\`@koromix/koffi-\${process.platform}-\${process.arch}\`)
} catch {
  module.exports = require("koffi")
}`

/** @type {import("rolldown").Plugin} */
const late = {
  name: "late",
  resolveId: (specifier, importer) => isLate(specifier, importer) ? `\0${specifier}` : undefined,
  load: (id) => {
    const specifier = id.slice(1)
    if (specifier === "koffi") return koffi
    const file = ownFiles.get(specifier)
    if (file !== undefined) return `module.exports = require(__dirname + "/${file}")`
    return loadedLate.has(specifier) ? `module.exports = require(${JSON.stringify(specifier)})` : undefined
  }
}

/** Tables of Unicode are opened by the first text that is measured, and most commands measure none. */
const segmenter = {
  eager: "const graphemeSegmenter = /*#__PURE__*/new Intl.Segmenter(undefined, {\n  granularity: \"grapheme\"\n});",
  late: `let segmenter
const graphemeSegmenter = {
  segment: (text) => (segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" })).segment(text)
}`
}

/** @type {import("rolldown").Plugin} */
const lateSegmenter = {
  name: "lateSegmenter",
  transform: (code, id) => {
    if (!id.endsWith("/effect/dist/cli/CliOutput.js")) return undefined
    if (!code.includes(segmenter.eager)) throw new Error(`${id} no longer makes its segmenter as it did`)
    return code.replace(segmenter.eager, segmenter.late)
  }
}

/** Effect looks for variables that other bundlers set; a file of CommonJS has none of these. */
const isAboutVariables = (/** @type {import("rolldown").RolldownLog} */ { code, id }) =>
  code === "EMPTY_IMPORT_META" && id?.endsWith("/effect/dist/ConfigProvider.js") === true

/**
 * A function as `CompiledCode.ts` takes it, which it gives what it imports with. The first line names the content, and
 * there are no characters that would have V8 keep it as two bytes for each.
 *
 * @param {string} code
 */
const wrapped = (code) => {
  const ascii = code.replaceAll(/\bimport\((?=["'`])/g, "__import(").replaceAll(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
  return `// ${hash("sha256", ascii).slice(0, 16)}
(function (exports, require, module, __filename, __dirname, __import) {${ascii}
})
`
}

/**
 * Bundles a module of a package with all that it imports, and gives what it is made of.
 *
 * @param {string} source
 * @param {string} target
 */
const bundle = async (source, target) => {
  const format = target.endsWith(".cjs") ? "cjs" : "esm"
  const given = target.endsWith("/ui.js") ? { ...dependencies, ...peerDependencies } : dependencies
  const build = await rolldown({
    input: join(packages, source),
    external: (id, importer) => !isLate(id, importer) && (isBuiltin(id) || packageName(id) in given),
    platform: "node",
    treeshake: { propertyReadSideEffects: false, unknownGlobalSideEffects: false },
    plugins: format === "cjs" ? [plainRoutines, late, lateSegmenter] : [plainRoutines],
    resolve: { conditionNames: ["@fanout/source", "import", "node", "default"] },
    // That it takes long on a busy machine is nothing wrong with what is bundled.
    checks: { bundlerTimings: false },
    onLog: (_, log) => {
      if (!isAboutVariables(log)) throw new Error(log.message)
    }
  })
  const { output: [{ code, moduleIds }] } = await build.generate({ format, codeSplitting: false, minify: true })
  await build.close()
  // In one step, so that nobody starts half a file.
  writeFileSync(`${target}.new`, target.endsWith(".code.cjs") ? wrapped(code) : code)
  renameSync(`${target}.new`, target)
  return moduleIds
}

const dist = join(packages, "cli/dist")
mkdirSync(dist, { recursive: true })
/** What is run, by where it comes from. */
const made = {
  "fanout.cjs": "cli/src/bundledBin.ts",
  "fanout.code.cjs": "cli/src/Invocation.ts",
  "thread.cjs": "cli/src/bundledThread.ts",
  "thread.code.cjs": "cli/src/thread.ts",
  "mediaThread.cjs": "cli/src/bundledThread.ts",
  "mediaThread.code.cjs": "cli/src/mediaThread.ts",
  "decoder.cjs": "cli/src/bundledThread.ts",
  "decoder.code.cjs": "cli/src/decoder.ts",
  "aws.cjs": "ops/src/internal/cloud/awsLibraries.ts",
  "contentType.cjs": "ops/src/internal/cloud/contentType.ts",
  "ui.js": "cli/src/Mount.ts",
  "processRelay.js": "core/src/internal/node/processRelay.ts"
}
const moduleIds = await Promise.all(
  Object.entries(made).map(([file, source]) => bundle(source, join(dist, file)))
)
writeFileSync(join(dist, "fanout.licences.txt"), licences([...moduleIds.flat(), ...await buildPage()]))
for (const file of globSync("*.{js,cjs}", { cwd: dist })) if (!(file in made)) rmSync(join(dist, file))
