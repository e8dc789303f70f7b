import { assert, describe, it } from "@effect/vitest"
import * as ExitCode from "../src/exit/ExitCode.ts"

describe("ExitCode", () => {
  it("tells how a job ended", () => {
    assert.deepStrictEqual(
      (["Completed", "CompletedWithErrors", "Failed", "Cancelled", "Paused"] as const).map((state) =>
        ExitCode.ofState(state)
      ),
      [0, 1, 3, 3, 4]
    )
  })

  it("tells which signal paused it", () => {
    assert.deepStrictEqual(
      (["SIGHUP", "SIGINT", "SIGTERM"] as const).map((signal) => ExitCode.ofState("Paused", signal)),
      [129, 130, 143]
    )
  })

  it("a job that was done before the signal came is done", () => {
    assert.strictEqual(ExitCode.ofState("Completed", "SIGINT"), 0)
  })

  it("tells of the signal where the job is left to another process", () => {
    assert.strictEqual(ExitCode.ofState("Running", "SIGINT"), 130)
  })
})
