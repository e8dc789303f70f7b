import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import { ActiveJobDiffers, JobManagerError, NotAllowed, ShuttingDown } from "@fanout/core/JobManagerError"
import * as Store from "@fanout/core/JobStoreError"
import * as Stop from "../src/exit/Stop.ts"

const id = JobId.make("k1")
const store = (reason: Store.JobStoreError["reason"]) =>
  Stop.fromStore("/s/jobs.db")(new Store.JobStoreError({ reason }))
const manager = (reason: JobManagerError["reason"]) => Stop.fromManager(new JobManagerError({ reason }))

const table: ReadonlyArray<readonly [of: string, stop: Stop.Stop, code: number, names: ReadonlyArray<string>]> = [
  ["an unknown job", store(new Store.JobNotFound({ id })), 2, ["\"k1\"", "/s/jobs.db", "fanout jobs list"]],
  ["an id that a terminal would obey", store(new Store.JobNotFound({ id: JobId.make("\u001b[31m\n") })), 2, [
    "\\x1b[31m\\n"
  ]],
  ["a job in the way", store(new Store.KeyTaken({ id, by: JobId.make("k2") })), 2, [
    "\"k1\"",
    "fanout jobs resume k2"
  ]],
  ["a race", store(new Store.JobConflict({ id })), 3, ["\"k1\"", "Try again"]],
  ["a lost lease", store(new Store.Fenced({ id, token: 3 })), 3, ["\"k1\""]],
  ["a newer database", store(new Store.StoreTooNew({ found: 9, supported: 1 })), 3, [
    "9",
    "/s/jobs.db",
    "--db",
    "Update"
  ]],
  [
    "a network file system",
    store(new Store.UnsafeFileSystem({ path: "/s", fileSystem: "nfs" })),
    3,
    ["\"/s\"", "nfs", "--db", "FANOUT_DB"]
  ],
  ["another transaction", store(new Store.OtherTransaction({})), 3, ["after the transaction"]],
  ...(["Busy", "Full", "Corrupt", "Unreadable", "ReadOnly", "Other"] as const).map((problem) =>
    [
      `a database that is ${problem}`,
      store(new Store.StorageFailure({ operation: "read a job", problem, cause: new Error("disk I/O error") })),
      3,
      ["/s/jobs.db", "--db", "FANOUT_DB"]
    ] as const
  ),
  [
    "a full disk under a job",
    Stop.unrecorded(
      id,
      "/s/jobs.db",
      new Store.JobStoreError({
        reason: new Store.StorageFailure({ operation: "record progress", problem: "Full", cause: null })
      })
    ),
    4,
    ["k1", "/s/jobs.db", "Free space", "the same command", "fanout jobs resume k1"]
  ],
  [
    "what a state doesn't allow",
    manager(new NotAllowed({ id, state: "Completed", action: "paused" })),
    2,
    ["k1", "is done: it can't be paused", "fanout jobs show k1"]
  ],
  [
    "other options for the same work",
    manager(new ActiveJobDiffers({ id, job: "copy" })),
    2,
    ["fanout jobs resume k1", "fanout jobs cancel k1"]
  ],
  ["a shutdown", manager(new ShuttingDown()), 3, ["shutting down", "Try again"]],
  ["the unforeseen", Stop.fromDefect(new Error("\u001b[31mno")), 3, ["\\x1b[31mno", "FANOUT_DEBUG"]]
]

describe("Stop", () => {
  it.each(table)("of %s names the thing and the way out", (_, stop, code, names) => {
    assert.strictEqual(stop.code, code)
    for (const name of names) assert.include(stop.sentence, name)
    assert.notInclude(stop.sentence, "\n")
  })
})
