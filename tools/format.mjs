// Checks that every file reads as dprint.json says, or with --write makes it so:
// `node tools/format.mjs [--write] [file …]`. dprint's own program is a binary for each platform and breaks `npm ci`;
// its formatters are WebAssembly and run anywhere.
import { createContext } from "@dprint/formatter"
import { getPath as json } from "@dprint/json"
import { getPath as markdown } from "@dprint/markdown"
import { getPath as typescript } from "@dprint/typescript"
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, relative } from "node:path"

const root = dirname(import.meta.dirname)
const { excludes, includes, indentWidth, lineWidth, newLineKind, ...config } = JSON.parse(
  readFileSync(`${root}/dprint.json`, "utf8")
)
const context = createContext({ indentWidth, lineWidth, newLineKind })
for (const [name, path] of Object.entries({ json, markdown, typescript })) {
  context.addPlugin(readFileSync(path()), config[name])
}
for (const { message, propertyName } of context.getConfigDiagnostics()) {
  throw new Error(`dprint.json: ${propertyName}: ${message}`)
}

const args = process.argv.slice(2)
const write = args.includes("--write")
const named = args.filter((arg) => arg !== "--write").map((file) => relative(root, file))
const every = globSync(includes, { cwd: root, exclude: excludes })
const unformatted = (named.length > 0 ? every.filter((file) => named.includes(file)) : every).toSorted()
  .filter((filePath) => {
    const fileText = readFileSync(`${root}/${filePath}`, "utf8")
    let text
    try {
      text = context.formatText({ filePath, fileText })
    } catch (cause) {
      throw new Error(`${filePath} can't be formatted`, { cause })
    }
    if (text !== fileText && write) writeFileSync(`${root}/${filePath}`, text)
    return text !== fileText
  })

for (const file of unformatted) console.log(`${write ? "formatted" : "not formatted"}: ${file}`)
if (unformatted.length > 0 && !write) {
  console.log("Run `npm run format`.")
  process.exitCode = 1
}
