// `npm run api`: writes the pages of docs/api, and removes those of modules that are gone.
import { globSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { pages } from "./apiPages.mjs"

const root = dirname(import.meta.dirname)
const made = pages()
for (const [file, text] of made) {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), text)
}
for (const file of globSync("docs/api/**/*.md", { cwd: root })) if (!made.has(file)) rmSync(join(root, file))
