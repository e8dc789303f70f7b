// Tests run the store on a second SQLite driver, so that it depends on no habit of our own. The one on npm was built
// for betas of Effect: it imports `effect/unstable/…`, which 4.1 has as `effect/…`.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const driver = dirname(createRequire(import.meta.url).resolve("@effect/sql-sqlite-node/package.json"))
for (const folder of ["dist", "src"]) {
  for (const name of readdirSync(join(driver, folder))) {
    const file = join(driver, folder, name)
    const text = readFileSync(file, "utf8")
    const patched = text.replaceAll(/(["'])effect\/unstable\//g, "$1effect/")
    if (patched !== text) writeFileSync(file, patched)
  }
}
