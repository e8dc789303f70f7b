/**
 * Entry of the command where it is bundled: all that it runs is one file beside this one.
 */
import { fileURLToPath } from "node:url"
import type * as Invocation from "./Invocation.ts"
import { launch } from "./Launch.ts"

void launch(async () => {
  const { load } = await import("./CompiledCode.ts")
  const [word] = /^[a-z]+$/.exec(process.argv[2] ?? "") ?? ["other"]
  const run = load<typeof Invocation>({
    file: fileURLToPath(new URL("fanout.code.cjs", import.meta.url)),
    label: `fanout-${word}`,
    keepLater: (keep) =>
      process.once("exit", (code) => {
        // Where something went wrong, calls to file systems may hang, and these are some. Nor is every word a command.
        if (code === 0) keep()
      })
  })
  // V8 has 1 MiB for new objects, and doubles that once as much has survived collections. Most of what is made now
  // stays: it would collect seven times until one file is copied, and so it does four times. V8 takes what was compiled
  // only with the flags that it was kept with, so the usual ones are set again.
  const { setFlagsFromString } = process.getBuiltinModule("node:v8")
  setFlagsFromString("--semi-space-growth-factor=4")
  const invocation = run()
  setFlagsFromString("--semi-space-growth-factor=2")
  return invocation
})
