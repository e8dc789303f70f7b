import { assert, describe, it } from "@effect/vitest"
import { type Answer, code, isCode } from "@fanout/ops/Calls"
import type * as Files from "@fanout/ops/Files"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { tmpdir } from "node:os"
import { calls } from "../src/internal/files/nodeCalls.ts"

/** Has files not be read, for this reason. */
const withoutReading = (code: string, use: () => void): void => {
  const { readFileSync } = fs
  fs.readFileSync = () => {
    throw Object.assign(new Error(code), { code })
  }
  syncBuiltinESMExports()
  try {
    use()
  } finally {
    fs.readFileSync = readFileSync
    syncBuiltinESMExports()
  }
}

describe("nodeCalls", () => {
  it("takes the device for the mount only where no mounts are told", () => {
    const descriptor = fs.openSync(tmpdir(), "r")
    const told: Array<Answer<Files.Identity>> = []
    for (const code of ["ENOENT", "EMFILE"]) {
      withoutReading(code, () => told.push(calls.identity(descriptor).now()))
    }
    fs.closeSync(descriptor)
    const [untold, failed] = told
    assert.isTrue(untold !== undefined && !isCode(untold) && untold.mount === untold.device)
    assert.strictEqual(failed, code("EMFILE"))
  })
})
