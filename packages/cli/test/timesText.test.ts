import { assert, describe, it } from "@effect/vitest"
import { empty, JobTasks } from "@fanout/core/JobTasks"
import * as ApiTimes from "../src/api/ApiTimes.ts"
import { lines } from "../src/ui/timesText.ts"
import { counters, record } from "./records.ts"

const owned = { record: record({ _tag: "Queued", ...counters }), isOwnerDead: false }
const textOf = (kinds: JobTasks["kinds"], columns = 100) =>
  lines(ApiTimes.tasks(owned, new JobTasks({ ...empty, kinds })), columns)

describe("times of tasks", () => {
  it("are said of each kind, the commonest first", () => {
    const kinds = [
      { name: "hash", waiting: [1], running: [...Array<number>(47).fill(0), 1] },
      { name: "copy \u001b[31m", waiting: [60, 0, 0, 40], running: [...Array<number>(20).fill(0), 12_345] }
    ]
    assert.deepStrictEqual(textOf(kinds), [
      "          ATTEMPTS  WAITED    95 %      RAN            95 %           TASK",
      "tasks     12,345    ≤ 0.1 ms  ≤ 0.3 ms  ≤ 102 ms       ≤ 102 ms       copy \\x1b[31m",
      "          1         ≤ 0.1 ms  ≤ 0.1 ms  > 13 min 59 s  > 13 min 59 s  hash"
    ])
  })

  it("are none of a job without any, and of many kinds those with the most attempts", () => {
    assert.deepStrictEqual(textOf([]), [])
    const kinds = Array.from({ length: 11 }, (_, n) => ({ name: `kind ${n}`, waiting: [n + 1], running: [n + 1] }))
    const all = textOf(kinds)
    assert.lengthOf(all, 10)
    assert.match(all[1] ?? "", /^tasks +11 .* kind 10$/)
    assert.strictEqual(all.at(-1), "          and 3 more kinds: --json has them all")
  })
})
