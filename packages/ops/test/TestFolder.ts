import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"

/** An empty folder on a real disk, removed with the scope. */
export const testFolder = Effect.acquireRelease(
  Effect.sync(() => FilePath.make(fs.realpathSync(fs.mkdtempSync(`${os.tmpdir()}/fanout-ops-`)))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)
