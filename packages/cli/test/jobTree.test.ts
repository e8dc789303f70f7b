import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import { JobState } from "@fanout/core/JobState"
import type { JobOverview, JobStatus } from "@fanout/core/JobStatus"
import type { StateCounts } from "@fanout/core/JobStore"
import { Progress } from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { lines } from "../src/commands/jobChildren.ts"
import { asTree, counted, indented } from "../src/ui/jobTree.ts"
import { counters, record } from "./records.ts"

const job = (id: string, parent?: string): JobOverview => ({
  record: record(JobState.cases.Completed.make(counters), {
    id: JobId.make(id),
    parent: Option.map(
      Option.fromUndefinedOr(parent),
      (id) => ({ id: JobId.make(id), name: "child", ...counters })
    )
  }),
  progress: new Progress({ fanOuts: {}, totals: {}, units: {} }),
  isOwnerDead: false
})

const drawn = (jobs: ReadonlyArray<JobOverview>) => asTree(jobs).map(({ depth, job }) => indented(depth, job.record.id))

/** What `show` tells of a job of which these jobs are. */
const shown = (jobs: ReadonlyArray<JobOverview>, children: StateCounts) => {
  let looks = 0
  const idOf = ({ record: { parent } }: JobOverview) => Option.getOrUndefined(parent)?.id
  const manager = Layer.mock(JobManager, {
    overview: ({ limit, parent } = {}) =>
      Effect.sync(() => {
        looks++
        return jobs.filter((job) => idOf(job) === parent).slice(0, limit)
      }),
    childCounts: (parents) =>
      Effect.succeed(
        new Map(parents.flatMap((id) => {
          const { length } = jobs.filter((job) => idOf(job) === id)
          return length === 0 ? [] : [[id, { Completed: length }]]
        }))
      )
  })
  const { isOwnerDead, progress, record } = job("top")
  const status: JobStatus = {
    record,
    progress,
    isOwnerDead,
    children,
    items: 0,
    total: Option.none(),
    rates: {},
    remainingMillis: Option.none()
  }
  return Effect.map(
    Effect.provide(lines(status, ({ id }) => `does ${id}`, 80), manager),
    (lines) => ({ lines: lines.map((line) => line.replaceAll(/ +/g, " ").trim()), looks })
  )
}

describe("jobTree", () => {
  it("puts jobs below those that have started them, in their order", () => {
    const jobs = [job("b1", "b"), job("c", "gone"), job("b"), job("b2", "b"), job("b11", "b1"), job("a")]
    assert.deepStrictEqual(drawn(jobs), ["c", "b", "└ b1", "  └ b11", "└ b2", "a"])
    assert.deepStrictEqual(drawn([]), [])
  })

  it("draws a long line of jobs, and stops to go to the right", () => {
    const jobs = Array.from({ length: 20_000 }, (_, n) => job(`${n}`, n === 0 ? undefined : `${n - 1}`))
    const tree = asTree(jobs)
    assert.strictEqual(tree.at(-1)?.depth, 19_999)
    assert.strictEqual(indented(19_999, "x"), `${" ".repeat(14)}└ x`)
  })

  it("counts jobs by state", () => {
    assert.strictEqual(counted({ Completed: 1200, CompletedWithErrors: 1 }), "1,200 done, 1 with failures")
    assert.strictEqual(counted({}), "")
  })

  it.effect("shows the jobs below one, at most 20", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* shown([], {}), { lines: [], looks: 0 })

      const few = [job("a", "top"), job("b", "top"), job("a1", "a"), job("a2", "a"), job("a21", "a2")]
      assert.deepStrictEqual((yield* shown(few, { Completed: 2 })).lines, [
        "ID STATE COUNTED WHAT",
        "a done 0 done does a (has started 2 done)",
        "a1 done 0 done └ does a1",
        "a2 done 0 done └ does a2 (has started 1 done)",
        "a21 done 0 done └ does a21",
        "b done 0 done does b"
      ])

      const many = Array.from({ length: 120 }, (_, n) => [job(`${n}`, "top"), job(`${n}.1`, `${n}`)]).flat()
      const { lines, looks } = yield* shown(many, { Completed: 120 })
      assert.lengthOf(lines, 22)
      assert.strictEqual(lines.at(-1), "and 100 more: `fanout jobs list --parent top` lists them")
      assert.strictEqual(looks, 1)
    }))
})
