// Checks that every file reads as dprint.json says, or with --write makes it so:
// `node tools/format.mjs [--write] [file …]`.
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, relative } from "node:path"
import { format, patterns } from "./formatter.mjs"

const root = dirname(import.meta.dirname)
const args = process.argv.slice(2)
const write = args.includes("--write")
const named = args.filter((arg) => arg !== "--write").map((file) => relative(root, file))
const every = globSync(patterns.includes, { cwd: root, exclude: patterns.excludes })
const unformatted = (named.length > 0 ? every.filter((file) => named.includes(file)) : every).toSorted()
  .filter((filePath) => {
    const fileText = readFileSync(`${root}/${filePath}`, "utf8")
    const text = format(filePath, fileText)
    if (text !== fileText && write) writeFileSync(`${root}/${filePath}`, text)
    return text !== fileText
  })

for (const file of unformatted) console.log(`${write ? "formatted" : "not formatted"}: ${file}`)
if (unformatted.length > 0 && !write) {
  console.log("Run `npm run format`.")
  process.exitCode = 1
}
