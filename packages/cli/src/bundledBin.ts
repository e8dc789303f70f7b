/**
 * Entry of the command where it is bundled: all that it runs is one file beside this one.
 */
import { fileURLToPath } from "node:url"
import type * as Invocation from "./Invocation.ts"
import { launch } from "./Launch.ts"

void launch(async () => {
  const { load } = await import("./CompiledCode.ts")
  const [word] = /^[a-z]+$/.exec(process.argv[2] ?? "") ?? ["other"]
  return load<typeof Invocation>({
    file: fileURLToPath(new URL("fanout.code.cjs", import.meta.url)),
    label: `fanout-${word}`,
    keepLater: (keep) =>
      process.once("exit", (code) => {
        // Where something went wrong, calls to file systems may hang, and these are some. Nor is every word a command.
        if (code === 0) keep()
      })
  })
})
