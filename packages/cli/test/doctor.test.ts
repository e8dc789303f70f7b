import { assert, describe, it } from "@effect/vitest"
import { JobState } from "@fanout/core/JobState"
import * as Option from "effect/Option"
import * as doctor from "../src/commands/examination.ts"
import { ofClock, ofCredentials } from "../src/machine/AddressExamination.ts"
import { counters, record } from "./records.ts"

describe("doctor", () => {
  it("says where a path is", () => {
    const storage = { kind: "network", device: "0:33", point: "/mnt/nas", type: "nfs4", source: "nas:/photos" } as const
    assert.deepStrictEqual(doctor.row(doctor.ofStorage("/mnt/nas/a", storage)), [
      "ok",
      "/mnt/nas/a",
      "nfs4 at /mnt/nas, on another machine (nas:/photos)"
    ])
    assert.include(doctor.ofStorage("/a", undefined).found, "not known")
  })

  it("calls it lacking where few files may be open", () => {
    const files = (descriptors: number | undefined) =>
      doctor.ofMachine({ cores: 1, memoryBytes: 1, descriptors }).find(({ what }) => what === "open files")?.state
    assert.deepStrictEqual([files(256), files(1024), files(undefined)], ["lacking", "ok", "ok"])
  })

  it("counts the jobs that are not over, and names those that lost their process", () => {
    const running = record(JobState.cases.Running.make(counters))
    const paused = record(JobState.cases.Paused.make({ ...counters, by: "disk" }))
    const checks = doctor.ofJobs([running, paused, running], [{ id: "k7", hasCode: true }, {
      id: "m3",
      hasCode: false
    }])
    assert.deepStrictEqual(checks.map(({ found }) => found), [
      "2 running, 1 paused",
      "k7 has lost its process: `fanout jobs resume k7` goes on with it",
      "m3 has lost its process: its own program goes on with it"
    ])
  })

  it.each([
    [1_000, "ok: as that of the service"],
    [-90_000, "ok: 1 min 30 s behind"],
    [400_000, "lacking: 6 min 40 s ahead: set it"],
    [-1_000_000, "broken: 16 min 40 s behind, so the service refuses requests"]
  ])("says what a clock that is %s ms ahead of the service's costs", (millis, said) => {
    const { found, state } = ofClock(millis)
    assert.strictEqual(`${state}: ${found}`.slice(0, said.length), said)
  })

  it.each([
    [undefined, "ok: from a program"],
    [120_000, "ok: from a program, for 2 min 0 s more"],
    [0, "broken: from a program, which have expired: log in again"]
  ])("says of credentials that are good for %s ms more whether they are of use", (millis, said) => {
    const { found, state } = ofCredentials("a program", Option.fromUndefinedOr(millis))
    assert.strictEqual(`${state}: ${found}`, said)
  })

  it("shows nothing that a terminal would obey", () => {
    assert.notInclude(doctor.row({ what: "x", state: "ok", found: "a\u001b[2J" }).join(""), "\u001b")
  })
})
