import * as Node from "@fanout/core/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { jobStoreContract } from "./JobStoreContract.ts"

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
)

jobStoreContract(
  "SQLite file",
  Layer.unwrap(Effect.map(temporaryFolder, (folder) => Node.layerSqlite({ filename: path.join(folder, "jobs.db") })))
)
