import { expect } from "vitest"

// oxlint-disable-next-line vitest/no-standalone-expect -- it knows which file is run
const { testPath = "" } = expect.getState()

// What Node has compiled of the sources is kept for the next process, or thread, that a test starts: that is half of
// what it takes to start one. The command keeps its own, and tests count its calls.
if (!testPath.includes("/packages/cli/")) {
  process.env["NODE_COMPILE_CACHE"] = `${import.meta.dirname}/node_modules/.cache/compiled`
}
