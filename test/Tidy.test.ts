import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { parseAst } from "rolldown/parseAst"
import { measure } from "../tools/sizes.mjs"

const root = path.dirname(import.meta.dirname)
const files = (...patterns: ReadonlyArray<string>): ReadonlyArray<string> =>
  fs.globSync(patterns, { cwd: root, exclude: ["**/node_modules", "**/dist"] }).toSorted()
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const linesWhere = (file: string, matches: (line: string) => boolean): ReadonlyArray<string> =>
  read(file).split("\n").flatMap((line, index) => matches(line) ? [`${index + 1}: ${line}`] : [])

const sources = files("packages/*/src/**/*.ts")
const code = files("{packages,test,tools,bench,examples,scratchpad}/**/*.{ts,tsx,mjs,cjs,js}", "*.ts")
/** What runs in a browser. */
const browsed = files("packages/cli/page/*.{ts,tsx}")
/** What the command is made of, once its process has started it. */
const started = files("packages/cli/src/**/*.ts").filter((file) =>
  !/\/(?:CompiledCode|Launch|bundledBin|host\/Process)\.ts$/.test(file)
)
const unwaiting = files("packages/*/test/**/*.test.ts").filter((file) => !file.endsWith(".live.test.ts"))
/** Files of each of the programs in `examples`. */
const examples = Object.entries(
  Object.groupBy(files("examples/**/*.ts"), (file) => path.basename(file.split("/")[1] ?? "", ".ts"))
)
const pages = files("*.md", "docs/**/*.md", "{packages/*,examples,scratchpad}/*.md")
const libraries = ["core", "ops"]
/** Modules that users import: everything right in `src`, and all but a few of these through the barrel too. */
const publicModules = libraries.flatMap((name) => files(`packages/${name}/src/*.ts`))
  .filter((file) => path.basename(file) !== "index.ts")
const besidesBarrel = new Set(
  ["core/src/cluster", "core/src/node", "core/src/testing", "core/src/threads", "ops/src/clouds"]
    .map((name) => `packages/${name}.ts`)
)

// --- Direction ------------------------------------------------------------------------------------------------------

/** Everything that a module imports or re-exports, types and dynamic imports included. */
const importsOf = (file: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  JSON.stringify(parseAst(read(file), { lang: "ts" }), (_, node) => {
    if (/^(?:Import|Export)\w*Declaration$|^(?:TS)?Import(?:Expression|Type)$/.test(node?.type) && node.source) {
      found.push(node.source.value ?? "(computed)")
    }
    return typeof node === "bigint" ? String(node) : node
  })
  return found
}

const nodeOnly = /^packages\/core\/src\/(?:(?:cluster|node|threads)\.ts$|internal\/node\/)/
/** Where ops puts its jobs together with what Node has for them. */
const wiring = /^packages\/ops\/src\/File(?:Jobs|Thread)\.ts$/
const testOnly = /^packages\/core\/src\/testing\.ts$/
const module = (name: string) => new RegExp(`^${name}/(?:[a-z-]+/)?[A-Z]\\w*$`)

/** What a source file may import besides relative files of its own package. Relative imports are checked apart. */
const allowedFor = (file: string): ReadonlyArray<RegExp> => {
  const [, name = ""] = file.split("/")
  if (file.endsWith("/clusterSockets.ts")) return [module("effect"), module("@effect/platform-node"), /^node:/]
  if (nodeOnly.test(file)) return [module("effect"), /^node:/]
  if (name === "core") return [module("effect")]
  const external = Object.keys(JSON.parse(read(`packages/${name}/package.json`)).dependencies ?? {})
    .filter((dependency) => !dependency.startsWith("@fanout/"))
    .map((dependency) => new RegExp(`^${dependency}(?:/|$)`))
  const adapters = wiring.test(file) ? [/^@fanout\/core\/(?:node|threads)$/] : []
  if (name === "ops") return [module("effect"), /^node:/, module("@fanout/core"), ...external, ...adapters]
  const packages = ["effect", "@fanout/core", "@fanout/ops"]
  // It imports what the bundled code asks for that it loads.
  const asked = path.basename(file) === "CompiledCode.ts" ? [/^\(computed\)$/] : []
  const own = { "Postgres.ts": "@effect/sql-pg", "Server.ts": "@effect/platform-node" }
  const server = Object.entries(own).flatMap(([name, used]) => path.basename(file) === name ? [module(used)] : [])
  return [
    /^node:/,
    /^@fanout\/(?:core\/(?:cluster|node|threads)|ops\/clouds)$/,
    ...packages.map(module),
    ...external,
    ...asked,
    ...server
  ]
}

const misdirected = (file: string): ReadonlyArray<string> =>
  importsOf(file).filter((specifier) => {
    if (!specifier.startsWith(".")) return !allowedFor(file).some((pattern) => pattern.test(specifier))
    const target = path.join(path.dirname(file), specifier)
    const inside = target.startsWith(file.split("/").slice(0, 3).join("/") + "/")
    return !inside || !specifier.endsWith(".ts") || (nodeOnly.test(target) && !nodeOnly.test(file)) ||
      testOnly.test(target)
  })

/** What runs in a browser imports what was made for it, and of all else types alone: it is to be small. */
const unfitForBrowsers = (file: string): ReadonlyArray<string> =>
  parseAst(read(file), { lang: file.endsWith("x") ? "tsx" : "ts" }).body.flatMap((statement) => {
    if (!("source" in statement) || statement.source === null) return []
    const kind = statement.type === "ImportDeclaration" ? statement.importKind : statement.exportKind
    const { value } = statement.source
    const own = /^(?:preact(?:\/hooks)?|@preact\/signals|\.\/\w+\.tsx?)$/
    const types = /^(?:preact|@fanout\/core\/JobHistory|\.\.\/src\/api\/Api\.ts)$/
    return own.test(value) || (kind === "type" && types.test(value)) ? [] : [value]
  })

// --- Inside of packages ---------------------------------------------------------------------------------------------

/** Folders of packages, the lowest first. A module loads modules of its folder and of lower ones, and public ones. */
const folders = {
  core: {
    top: "packages/core/src/internal/",
    order: ["", "store", "memory", "sql", "task", "permits", "threads", "cluster", "fanOut", "job", "node"]
  },
  ops: {
    top: "packages/ops/src/internal/",
    order: [
      "cloud",
      "path",
      "files",
      "tree",
      "work",
      "content",
      "hash",
      "verify",
      "steps",
      "entry",
      "units",
      "move",
      "copy",
      "delete",
      "objects",
      "media",
      "thumbnail"
    ]
  },
  cli: {
    top: "packages/cli/src/",
    order: ["host", "ui", "exit", "options", "machine", "run", "api", "output", "commands", ""]
  }
}

/** So many modules a folder has at most, that a reader sees what is in it; right in `src` there may be more. */
const mostModules = { inFolder: 25, inSource: 40 }

const packagesOfSources = ["core", "ops", "cli"]

const sourcesOf = (name: string) => sources.filter((file) => file.startsWith(`packages/${name}/`))

/** Files of its package that a module loads when it is loaded: what it imports as types alone it does not load. */
const loadedBy = (file: string): ReadonlyArray<string> =>
  parseAst(read(file), { lang: "ts" }).body.flatMap((statement) => {
    if (!("source" in statement) || !statement.source?.value.startsWith(".")) return []
    const kind = statement.type === "ImportDeclaration" ? statement.importKind : statement.exportKind
    return kind === "type" ? [] : [path.join(path.dirname(file), statement.source.value)]
  })

/** Files that load themselves by way of others, and those between two circles. */
const inCircles = (modules: ReadonlyArray<string>): ReadonlyArray<string> => {
  const loads = new Map(modules.map((file) => [file, loadedBy(file)]))
  for (let left = new Set(modules);;) {
    const loaded = new Set(Array.from(left, (file) => loads.get(file) ?? []).flat())
    const rest = Array.from(left).filter((file) => loaded.has(file) && loads.get(file)?.some((one) => left.has(one)))
    if (rest.length === left.size) return rest
    left = new Set(rest)
  }
}

interface Folders {
  /** What they are in. */
  readonly top: string
  readonly order: ReadonlyArray<string>
}

const folderOf = ({ top }: Folders, file: string): string => file.slice(top.length).split("/").slice(0, -1).join("/")

const upward = (folders: Folders, file: string): ReadonlyArray<string> => {
  const placeOf = (one: string): number => folders.order.indexOf(folderOf(folders, one))
  return loadedBy(file)
    .filter((target) => target.startsWith(folders.top) && placeOf(target) > placeOf(file))
    .map((target) => `${file.slice(folders.top.length)} -> ${target.slice(folders.top.length)}`)
}

// --- Size -----------------------------------------------------------------------------------------------------------

/** Figures of `now` that are above those of `then`, a figure that is new included. */
const grown = (now: Readonly<Record<string, number>>, then: Readonly<Record<string, number>>): ReadonlyArray<string> =>
  Object.entries(now).flatMap(([name, figure]) => {
    const before = then[name] ?? 0
    return figure > before ? [`${name}: ${figure}, ${before} before`] : []
  })

// --- Documentation --------------------------------------------------------------------------------------------------

const categories = new Set(
  "models schemas errors services constructors layers accessors mapping predicates transitions running testing".split(
    " "
  )
)

/** The doc comment that ends right before this place. */
const docBefore = (source: string, start: number): string => {
  const before = source.slice(0, start).trimEnd()
  return before.endsWith("*/") ? before.slice(before.lastIndexOf("/**")) : ""
}

/** Exports of a module whose doc comment is missing, or lacks a sentence or a known category. */
const undocumented = (source: string): ReadonlyArray<string> => {
  const seen = new Set<string>()
  return parseAst(source, { lang: "ts" }).body.flatMap((statement) => {
    if (statement.type !== "ExportNamedDeclaration" && statement.type !== "ExportDefaultDeclaration") return []
    // What another public module documents is passed on as it is.
    if ("source" in statement && /^\.\/[A-Z]/.test(statement.source?.value ?? "")) return []
    const text = source.slice(statement.start, statement.end).split("\n", 1)[0] ?? ""
    const { declaration } = statement
    const id = declaration?.type === "VariableDeclaration"
      ? declaration.declarations[0]?.id
      : declaration && "id" in declaration
      ? declaration.id
      : undefined
    const name = id?.type === "Identifier" ? id.name : undefined
    const doc = docBefore(source, statement.start)
    // Overloads, and the type of a schema, share the comment of the first of that name.
    if (doc === "" && name !== undefined && seen.has(name)) return []
    if (name !== undefined) seen.add(name)
    const category = /@category (\w+)/.exec(doc)?.[1] ?? ""
    return /^\/\*\*\s+(?:\* )?[A-Z`]/.test(doc) && categories.has(category) ? [] : [text]
  })
}

// --- Pages ----------------------------------------------------------------------------------------------------------

const withoutFences = (page: string): string => page.replaceAll(/^(`{3,})[\s\S]*?^\1$/gm, "")

/** The anchor that a Markdown viewer gives to a heading. */
const anchor = (heading: string): string =>
  heading.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-")

const anchors = (file: string): ReadonlyArray<string> =>
  Array.from(withoutFences(read(file)).matchAll(/^#+ (.+)$/gm), ([, heading = ""]) => anchor(heading))

const brokenLinks = (file: string): ReadonlyArray<string> =>
  Array.from(withoutFences(read(file)).matchAll(/\]\(([^)\s]+)\)/g), ([, link = ""]) => link).filter((link) => {
    if (/^[a-z]+:/.test(link)) return false
    const [target = "", fragment] = link.split("#", 2)
    const resolved = target === "" ? file : path.join(path.dirname(file), target)
    return !fs.existsSync(path.join(root, resolved)) ||
      (fragment !== undefined && !anchors(resolved).includes(fragment))
  })

/** Paths of this repository that a page names in code spans and that do not exist. */
const missingFiles = (file: string): ReadonlyArray<string> =>
  Array.from(read(file).matchAll(/`([^`\s]+)`/g), ([, span = ""]) => span)
    .filter((span) => /^(?:packages|docs|test|tools|bench|examples|scratchpad|\.ci)\/[\w.*{},/-]+$/.test(span))
    .filter((span) => !span.includes("/dist/") && files(span.replace(/\/$/, "")).length === 0)

describe("Tidy", () => {
  it.each(sources)("%s imports only what its package may know", (file) => {
    assert.deepStrictEqual(misdirected(file), [])
  })

  it.each(browsed)("%s imports only what a browser may have", (file) => {
    assert.deepStrictEqual(unfitForBrowsers(file), [])
  })

  it.each(packagesOfSources)("files of %s have names of their own", (name) => {
    const ofPage = browsed.filter((file) => file.startsWith(`packages/${name}/`))
    const byName = Object.groupBy([...sourcesOf(name), ...ofPage], (file) => path.basename(file).toLowerCase())
    const twice = Object.entries(byName).flatMap(([name, files = []]) => files.length > 1 ? [name] : [])
    assert.deepStrictEqual(twice, [])
  })

  it("files of different packages have different names, but for the barrels", () => {
    const byName = Object.groupBy(sources.filter((file) => !file.endsWith("/index.ts")), (file) => path.basename(file))
    assert.deepStrictEqual(Object.values(byName).filter((files = []) => files.length > 1), [])
  })

  it.each(packagesOfSources)("modules of %s load each other in no circle", (name) => {
    assert.deepStrictEqual(inCircles(sourcesOf(name)), [])
  })

  it.each(Object.entries(folders))("folders of %s load only lower ones", (name, folders) => {
    const inner = sourcesOf(name).filter((file) => file.startsWith(folders.top))
    const found = new Set(inner.map((file) => folderOf(folders, file)))
    assert.deepStrictEqual(Array.from(found).toSorted(), folders.order.toSorted())
    assert.deepStrictEqual(inner.flatMap((file) => upward(folders, file)), [])
  })

  it.each(packagesOfSources)("no folder of %s has too many modules", (name) => {
    const byFolder = Object.entries(Object.groupBy(sourcesOf(name), (file) => path.dirname(file)))
    const most = (folder: string) => folder.endsWith("/src") ? mostModules.inSource : mostModules.inFolder
    const large = byFolder.flatMap(([folder, files = []]) => files.length > most(folder) ? [folder] : [])
    assert.deepStrictEqual(large, [])
  })

  // Whoever raises a figure runs `node tools/sizes.mjs --write`, and says why in the message of the commit.
  it("the code is no larger than test/sizes.json says", () => {
    const { lines, ...figures } = measure()
    const { lines: linesThen, ...figuresThen } = JSON.parse(read("test/sizes.json"))
    assert.deepStrictEqual(grown({ ...lines, ...figures }, { ...linesThen, ...figuresThen }), [])
  })

  it.each(publicModules)("%s documents itself and every export", (file) => {
    const source = read(file)
    // The comment of the first export has a category.
    assert.match(source, /^\/\*\*\n \* [A-Z`][^\n]+\n(?: \*(?! @)[^\n]*\n)* \*\//, "module header")
    assert.deepStrictEqual(undocumented(source), [])
  })

  it.each(libraries)("the barrel of %s names every public module, in order", (name) => {
    const exported = parseAst(read(`packages/${name}/src/index.ts`), { lang: "ts" }).body.map((statement) =>
      statement.type === "ExportAllDeclaration" && statement.exported?.type === "Identifier"
        ? [statement.exported.name, statement.source.value]
        : statement.type
    )
    const modules = publicModules
      .filter((file) => file.startsWith(`packages/${name}/`) && !besidesBarrel.has(file))
      .map((file) => [path.basename(file, ".ts"), `./${path.basename(file)}`])
      .toSorted(([a = ""], [b = ""]) => a.toLowerCase() < b.toLowerCase() ? -1 : 1)
    assert.deepStrictEqual(exported, modules)
  })

  it.each(sources)("%s is named for what it holds", (file) => {
    const entries =
      /^(?:index|bin|decoder|thread|mediaThread|bundled(?:Bin|Thread)|clouds|cluster|node|testing|threads)\.ts$/
    const entry = entries.test(path.basename(file))
    const inner = /\/(?:internal|commands|ui)\//.test(file)
    assert.isTrue(entry || (inner ? /^[a-z]\w*\.ts$/i : /^[A-Z]\w*\.ts$/).test(path.basename(file)))
  })

  it.each(code)("%s keeps its lines short", (file) => {
    assert.deepStrictEqual(linesWhere(file, (line) => line.length > 120 && !/https?:/.test(line)), [])
  })

  it.each(code)("%s leaves nothing unfinished or switched off", (file) => {
    // The brackets keep this line from finding itself.
    const unfinished = /\b(?:TOD[O]|FIXM[E]|HAC[K]|XX[X])\b|\b(?:it|test|describe)\S*\.(?:onl[y]|ski[p]|tod[o])\b/
    assert.deepStrictEqual(linesWhere(file, (line) => unfinished.test(line)), [])
  })

  it.each(examples)("the example %s has fewer than 150 lines, in all of its files", (_, parts = []) => {
    assert.isBelow(parts.flatMap((file) => read(file).trimEnd().split("\n")).length, 150)
  })

  it.each(started)("%s asks the process that a test gives it", (file) => {
    const asks = /^(?! \*).*(?<![.\w])process\.(?:argv|cwd|emit|env|exit|off|on|once|std\w+)\b/
    assert.deepStrictEqual(linesWhere(file, (line) => asks.test(line)), [])
  })

  it.each(unwaiting)("%s takes no real time", (file) => {
    assert.deepStrictEqual(linesWhere(file, (line) => /\bit\.live\b|\bwithLive\b/.test(line)), [])
  })

  it.each(code)("%s gives a reason for each rule that it switches off, and keeps the limit of length", (file) => {
    const silences = /\boxlint-disable|@ts-(?:ignore|nocheck)/
    const mayBe = /\boxlint-disable[\w-]* [\w/, -]+ -- \w/
    const never = /disable.*\bmax-lines\b(?!-)/
    const wrong = (line: string) => silences.test(line) && (!mayBe.test(line) || never.test(line))
    assert.deepStrictEqual(linesWhere(file, wrong), [])
  })

  it.each(pages)("%s links to what exists and names files that exist", (file) => {
    assert.deepStrictEqual(brokenLinks(file), [], "links")
    assert.deepStrictEqual(missingFiles(file), [], "files")
  })
})
