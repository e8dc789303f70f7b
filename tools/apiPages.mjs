// The pages of docs/api, made from the public modules of the libraries: what their doc comments say, and how they are
// declared. Declarations are the compiler's own (`tsc -b` writes them); classes and schemas are shown as they are
// written, since what a compiler makes of those nobody can read.
import { spawnSync } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { parseAst } from "rolldown/parseAst"
import { format } from "./formatter.mjs"

const root = dirname(import.meta.dirname)
const libraries = ["core", "ops"]

/** Headings, in the order in which they come on a page. */
const categories = [
  "services",
  "layers",
  "constructors",
  "running",
  "models",
  "schemas",
  "errors",
  "accessors",
  "mapping",
  "predicates",
  "transitions",
  "testing"
]

/**
 * @typedef {ReturnType<typeof parseAst>["body"][number]} Statement
 * @typedef {NonNullable<Extract<Statement, { type: "ExportNamedDeclaration" }>["declaration"]>} Declaration
 * @typedef {{ readonly doc: string, readonly category: string }} Doc
 * @typedef {Doc & { readonly name: string, readonly declaration: string }} Entry
 * @typedef {{ readonly name: string, readonly doc: Doc, readonly entries: ReadonlyArray<Entry>,
 *   readonly passedOn: ReadonlyArray<readonly [string, ReadonlyArray<string>]> }} Module
 */

/**
 * Reads a doc comment.
 *
 * @param {string} comment
 * @returns {Doc}
 */
const docOf = (comment) => {
  const lines = comment.replace(/^\/\*\*/, "").replace(/\*\/$/, "").split("\n").map((line) =>
    line.replace(/^\s*\* ?/, "")
  )
  const category = lines.find((line) => line.startsWith("@category "))?.slice("@category ".length).trim() ?? ""
  return { doc: lines.filter((line) => !/^@\w/.test(line)).join("\n").trim(), category }
}

/**
 * The doc comment that ends right before a place, or nothing.
 *
 * @param {string} source
 * @param {number} start
 */
const commentBefore = (source, start) => {
  const before = source.slice(0, start).trimEnd()
  return before.endsWith("*/") ? before.slice(before.lastIndexOf("/**")) : ""
}

/**
 * A class without the bodies of its methods.
 *
 * @param {string} source
 * @param {Extract<Declaration, { superClass: unknown }>} node
 */
const classHead = (source, node) => {
  let text = source.slice(node.start, node.end)
  const bodies = node.body.body.flatMap((member) =>
    member.type === "MethodDefinition" && member.value.body !== null ? [member.value.body] : []
  )
  for (const { end, start } of bodies.toReversed()) {
    text = text.slice(0, start - node.start).trimEnd() + text.slice(end - node.start)
  }
  return `export declare ${text}`
}

/** More lines of a value than this are no declaration any more. */
const longestValue = 20

/**
 * How an export is written, where that says more than what the compiler makes of it: classes, schemas, plain values.
 *
 * @param {string} source
 * @param {Declaration} declaration
 */
const asWritten = (source, declaration) => {
  if (declaration.type === "ClassDeclaration") return classHead(source, declaration)
  if (declaration.type !== "VariableDeclaration") return undefined
  const id = declaration.declarations[0]?.id
  const text = source.slice(declaration.start, declaration.end)
  const isPlain = id?.type === "Identifier" && !id.typeAnnotation && !/=>|\bfunction\b/.test(text)
  return isPlain && text.split("\n").length <= longestValue ? `export ${text}` : undefined
}

/**
 * Exports of a module, by name, as statements.
 *
 * @param {string} source
 * @param {"ts" | "dts"} lang
 */
const exportsOf = (source, lang) =>
  parseAst(source, { lang }).body.flatMap((statement) => {
    if (statement.type !== "ExportNamedDeclaration" || !statement.declaration) return []
    const { declaration } = statement
    const id = declaration.type === "VariableDeclaration" ? declaration.declarations[0]?.id : declaration.id
    if (id?.type !== "Identifier") throw new Error(`an export without a name: ${source.slice(statement.start, 80)}`)
    return [{ name: id.name, statement, declaration }]
  })

/**
 * @param {string} library
 * @param {string} name
 * @returns {Module}
 */
const moduleOf = (library, name) => {
  const source = readFileSync(join(root, "packages", library, "src", `${name}.ts`), "utf8")
  const compiled = readFileSync(join(root, "packages", library, "dist", `${name}.d.ts`), "utf8")
  const declared = exportsOf(compiled, "dts")
  const entries = exportsOf(source, "ts").flatMap(({ declaration, name: entry, statement }, i, all) => {
    const comment = commentBefore(source, statement.start)
    // Overloads, and the type of a schema, have the comment of what they stand behind.
    if (comment === "" && all[i - 1]?.name === entry) return []
    const { category, doc } = docOf(comment)
    if (doc === "" || !categories.includes(category)) {
      throw new Error(`${name}.${entry} of @fanout/${library} lacks a description or a known category`)
    }
    // Overloads are shown together, at the first of them.
    const text = asWritten(source, declaration) ??
      declared.filter((it) => it.name === entry && it.declaration.type === declaration.type)
        .map(({ statement }) => compiled.slice(statement.start, statement.end)).join("\n")
    return [{ name: entry, doc, category, declaration: text }]
  })
  const passedOn = parseAst(source, { lang: "ts" }).body.flatMap((statement) =>
    statement.type === "ExportNamedDeclaration" && statement.source
      ? [
        /** @type {const} */ ([
          basename(statement.source.value, ".ts"),
          statement.specifiers.map(({ exported }) => exported.type === "Identifier" ? exported.name : exported.value)
        ])
      ]
      : []
  )
  const [header = ""] = /^\/\*\*[\s\S]*?\*\//.exec(source) ?? []
  return { name, doc: docOf(header), entries, passedOn }
}

/**
 * @param {string} library
 * @param {Module} module
 */
const page = (library, { doc, entries, name, passedOn }) => {
  const isEntry = name[0] === name[0]?.toLowerCase()
  const how = isEntry
    ? `import { … } from "@fanout/${library}/${name}"`
    : `import * as ${name} from "@fanout/${library}/${name}"`
  const texts = (/** @type {Entry} */ { declaration, doc: text }) => [text, `\`\`\`ts\n${declaration}\n\`\`\``]
  const sections = categories.flatMap((category) => {
    const here = entries.filter((entry) => entry.category === category)
    const heading = here.length === 0 ? [] : [`## ${category[0]?.toUpperCase()}${category.slice(1)}`]
    // A schema and its type share a name and a heading.
    return heading.concat(
      here.flatMap((entry, i) => (here[i - 1]?.name === entry.name ? [] : [`### ${entry.name}`]).concat(texts(entry)))
    )
  })
  const others = passedOn.map(([from, names]) =>
    `- From [${from}](${from}.md): ${names.map((it) => `\`${it}\``).join(", ")}`
  )
  return [
    "<!-- Made by `npm run api` from the source. -->",
    `# ${name}`,
    doc.doc,
    `\`\`\`ts\n${how}\n\`\`\``,
    `Source: [\`${name}.ts\`](../../../packages/${library}/src/${name}.ts).`,
    ...sections,
    ...others.length === 0 ? [] : ["## Passed on", others.join("\n")]
  ].join("\n\n") + "\n"
}

/** @param {ReadonlyMap<string, ReadonlyArray<Module>>} modules */
const index = (modules) =>
  [
    "<!-- Made by `npm run api` from the sources. -->",
    "# Reference",
    "Which modules are there, and what does each of their exports do? What is here is what the sources say; " +
    "[the guide](../guide/README.md) tells how it goes together. The type of what a schema describes has the name of " +
    "the schema.",
    ...Array.from(modules).flatMap(([library, modules]) => [
      `## @fanout/${library}`,
      ["| module | what it is for |", "| --- | --- |"].concat(modules.map(({ doc, name }) => {
        const [sentence = ""] = doc.doc.replaceAll("\n", " ").split(/(?<=\.)\s/, 1)
        return `| [${name}](${library}/${name}.md) | ${sentence.replaceAll("|", "\\|")} |`
      })).join("\n")
    ])
  ].join("\n\n") + "\n"

/**
 * All pages, by their paths from the root of the repository on.
 *
 * @returns {ReadonlyMap<string, string>}
 */
export const pages = () => {
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  const args = [tsc, "-b", ...libraries.map((library) => `packages/${library}`)]
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" })
  if (status !== 0) throw new Error(`the libraries do not compile:\n${stdout}`)
  const modules = new Map(libraries.map((library) => [
    library,
    globSync("*.ts", { cwd: join(root, "packages", library, "src") })
      .map((file) => basename(file, ".ts"))
      .filter((name) => name !== "index")
      .toSorted()
      .map((name) => moduleOf(library, name))
  ]))
  const texts = Array.from(modules).flatMap(([library, modules]) =>
    modules.map((module) => /** @type {const} */ ([`docs/api/${library}/${module.name}.md`, page(library, module)]))
  )
  return new Map(
    [/** @type {const} */ (["docs/api/README.md", index(modules)]), ...texts].map((
      [file, text]
    ) => [file, format(file, text)])
  )
}
