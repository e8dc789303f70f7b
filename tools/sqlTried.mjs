// Whether stores on SQL are as they were when all suites were last tried on SQLite. Suites of jobs run in memory, and
// on SQLite only in the long mode and where this differs. `node tools/sqlTried.mjs --write` records that they were
// tried.
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"

const project = path.dirname(import.meta.dirname)
const record = path.join(project, "test/sqlTried.txt")

/** What a store on SQL is made of, and what it is to do. */
const patterns = [
  "packages/core/src/{JobStore,JobStoreError,MemoryJobStore,SqlJobStore,node}.ts",
  "packages/core/src/internal/{sql,store}/**/*.ts",
  "packages/core/src/internal/node/{databaseFile,sqliteClient}.ts",
  "packages/core/test/JobStoreContract.ts"
]

const digest = () => {
  const hash = createHash("sha256")
  for (const file of fs.globSync(patterns, { cwd: project }).toSorted()) {
    hash.update(`${file}\0`).update(fs.readFileSync(path.join(project, file)))
  }
  return hash.digest("hex")
}

export const isTried = fs.readFileSync(record, "utf8").trim() === digest()

if (import.meta.main && process.argv.includes("--write")) fs.writeFileSync(record, `${digest()}\n`)
