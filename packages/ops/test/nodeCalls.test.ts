import { assert, describe, it } from "@effect/vitest"
import type * as Files from "@fanout/ops/Files"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { tmpdir } from "node:os"
import { calls } from "../src/internal/calls/nodeCalls.ts"

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
    const told: Array<readonly [string | undefined, Files.Identity]> = []
    for (const code of ["ENOENT", "EMFILE"]) {
      withoutReading(code, () => calls.atOnce.identity(descriptor, (code, identity) => told.push([code, identity])))
    }
    fs.closeSync(descriptor)
    assert.deepStrictEqual(told.map(([code]) => code), [undefined, "EMFILE"])
    assert.strictEqual(told[0]?.[1].mount, told[0]?.[1].device)
  })
})
