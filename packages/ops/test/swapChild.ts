// Exchanges two names for as long as it runs.
import koffi from "koffi"
import * as fs from "node:fs"

const [first = "", second = "", ready = ""] = process.argv.slice(2)
const AT_FDCWD = -100
const RENAME_EXCHANGE = 2
const renameat2: (...values: ReadonlyArray<unknown>) => number = koffi.load(null).func(
  "int renameat2(int fromFolder, const char *from, int toFolder, const char *to, uint flags)"
)

for (let round = 0;; round++) {
  renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE)
  if (round === 10) fs.writeFileSync(ready, "")
}
