/**
 * Entry of a thread where the command is bundled: what it runs is a file beside this one that is called like it.
 */
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as CompiledCode from "./CompiledCode.ts"

/** So long after it was loaded a thread has begun to work. Its end is no time to write files: nobody waits for long. */
const begunMillis = 10

const self = fileURLToPath(import.meta.url)
const label = path.basename(self, ".cjs")

CompiledCode.load({
  file: path.join(path.dirname(self), `${label}.code.cjs`),
  label,
  keepLater: (keep) => void setImmediate(() => setTimeout(keep, begunMillis).unref())
})()
