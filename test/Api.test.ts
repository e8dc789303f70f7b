import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { pages } from "../tools/apiPages.mjs"

const root = path.dirname(import.meta.dirname)

// Fails as well where an export lacks a description, a known category or a version: there is no page to make then.
describe("docs/api", () => {
  const made = pages()
  const there = fs.globSync("docs/api/**/*.md", { cwd: root })

  it("has a page for each public module, and no other", () => {
    assert.sameMembers(there, Array.from(made.keys()), "`npm run api` writes them anew")
  })

  it.each(Array.from(made))("%s says what the source says; `npm run api` writes it anew", (file, text) => {
    assert.strictEqual(fs.readFileSync(path.join(root, file), "utf8"), text)
  })
})

// `pages` has had them compiled.
describe("the declarations of a public module", () => {
  const modules = fs.globSync("packages/{core,ops}/src/*.ts", { cwd: root })

  it.each(modules)("show nothing internal: %s", (file) => {
    const declared = file.replace("/src/", "/dist/").replace(/\.ts$/, ".d.ts")
    const imported = fs.readFileSync(path.join(root, declared), "utf8").matchAll(/\b(?:from |import\()"([^"]+)"/g)
    assert.deepStrictEqual(Array.from(imported, ([, name]) => name).filter((name) => name?.includes("/internal/")), [])
  })
})
