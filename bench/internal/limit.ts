// What a copy takes in C, where there is a compiler: no copy that makes the same calls is faster.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

/** The program; it is there if it could be compiled. `limit THREADS FROM TO`. */
export const limit = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "fanout-limit-")), "limit")
process.on("exit", () => fs.rmSync(path.dirname(limit), { recursive: true }))
spawnSync("cc", ["-O2", "-pthread", "-o", limit, fileURLToPath(new URL("./limit.c", import.meta.url))], {
  stdio: ["ignore", "ignore", "inherit"]
})
