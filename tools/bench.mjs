// Runs a benchmark of `bench/` from the sources: `npm run bench -- NAME [argument …]`.
import { spawnSync } from "node:child_process"
import { globSync } from "node:fs"
import { basename, dirname, join } from "node:path"

const folder = join(dirname(import.meta.dirname), "bench")
const names = globSync("*.ts", { cwd: folder }).map((file) => basename(file, ".ts")).filter((_) => _ !== "measure")
const [name = "", ...args] = process.argv.slice(2)
if (names.includes(name)) {
  const argv = ["--conditions=@fanout/source", join(folder, `${name}.ts`), ...args]
  process.exitCode = spawnSync(process.execPath, argv, { stdio: "inherit" }).status ?? 1
} else {
  console.error(`npm run bench -- NAME, where NAME is one of: ${names.toSorted().join(", ")}`)
  process.exitCode = 2
}
