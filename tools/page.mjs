// Makes the page of `fanout ui` of what is in `packages/cli/page`: three files that ask for nothing from elsewhere.
// `npm run build` calls it; by itself it makes only the page: `node tools/page.mjs`.
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { rolldown } from "rolldown"

const page = join(dirname(import.meta.dirname), "packages/cli/page")
const made = join(dirname(import.meta.dirname), "packages/cli/dist/page")

/**
 * The text of a stylesheet without comments and without the space that only a person needs.
 *
 * @param {string} text
 */
const tight = (text) =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/\s+/g, " ").replaceAll(/ ?([{};,]) ?/g, "$1")
    .replaceAll(": ", ":").trim()

/** Bundles the page, and gives the modules that it is made of. */
export const buildPage = async () => {
  const build = await rolldown({
    input: join(page, "main.tsx"),
    platform: "browser",
    transform: { target: "es2023" },
    checks: { bundlerTimings: false },
    onLog: (_, log) => {
      throw new Error(log.message)
    }
  })
  const { output: [{ code, moduleIds }] } = await build.generate({ format: "esm", codeSplitting: false, minify: true })
  await build.close()
  mkdirSync(made, { recursive: true })
  // In one step each, so that nobody gets half a file.
  writeFileSync(join(made, "app.js.new"), code)
  writeFileSync(join(made, "app.css.new"), tight(readFileSync(join(page, "page.css"), "utf8")))
  copyFileSync(join(page, "index.html"), join(made, "index.html.new"))
  for (const file of ["app.js", "app.css", "index.html"]) renameSync(join(made, `${file}.new`), join(made, file))
  return moduleIds
}

if (import.meta.main) await buildPage()
