import { assert, describe, it } from "@effect/vitest"
import * as JobHistory from "@fanout/core/JobHistory"
import * as JobId from "@fanout/core/JobId"
import * as JobState from "@fanout/core/JobState"
import type { JobRecord } from "@fanout/core/JobStore"
import { Progress, Tally } from "@fanout/core/Progress"
import * as CliOutput from "effect/cli/CliOutput"
import { stripVTControlCharacters } from "node:util"
import { type Board, board, type BoardJob, sparkline } from "../src/ui/board.ts"
import { counters, record } from "./records.ts"

const historyOf = (bytes: ReadonlyArray<number>) =>
  bytes.reduce(
    (history, bytes, n) => JobHistory.withSample(history, { at: 1000 * n, items: n, failed: 0, bytes, tasks: 1 }),
    JobHistory.empty
  )

const running = (
  id: string,
  title: string,
  more: Partial<BoardJob> & { readonly record?: JobRecord } = {}
): BoardJob => ({
  title,
  record: record(JobState.JobState.cases.Running.make(counters), { id: JobId.make(id) }),
  progress: new Progress({
    fanOuts: { files: new Tally({ done: 50, failed: 2, skipped: 0, tags: {}, units: {} }) },
    totals: { items: 104 },
    units: { bytes: 4 * 2 ** 20 },
    rates: { bytes: 2 * 2 ** 20, items: 21 }
  }),
  isOwnerDead: false,
  history: historyOf([0, 10, 30, 70, 70, 110]),
  ...more
})

const paused = running("bbbbbbbbbbbb", "hash Photos", {
  record: record(JobState.JobState.cases.Paused.make({ ...counters, by: "person" }), { id: JobId.make("bbbbbbbbbbbb") })
})

const all: Board = {
  jobs: [running("aaaaaaaaaaaa", "copy Photos → /mnt/backup"), paused],
  counts: { Running: 1, Paused: 1, Completed: 7 },
  selected: JobId.make("bbbbbbbbbbbb"),
  said: "",
  now: new Date(2026, 10, 29, 18, 42, 10).getTime()
}

const shown = (columns: number, rows = 24, of = all) => board(of, { columns, rows }).map(stripVTControlCharacters)

describe("board", () => {
  it("has two lines for each job", () => {
    assert.deepStrictEqual(shown(80), [
      "1 running, 1 paused                                                     18:42:10",
      "",
      "  ● copy Photos → /mnt/backup                                2.5 s left  2 MiB/s",
      "    ██████████░░░░░░░░░░ 50 %  52 files · 2 failed  ▃▅█▁█  aaaaaaaaaaaa",
      "▸ ‖ hash Photos                                                           paused",
      "    ██████████░░░░░░░░░░ 50 %  52 files · 2 failed  bbbbbbbbbbbb",
      "",
      "j k choose · p pause · r resume · C cancel · q quit"
    ])
  })

  it("holds on a narrow terminal, and uses a wide one", () => {
    assert.deepStrictEqual(shown(40).slice(2, 6), [
      "  ● copy Photos → /mnt/backup 2.5 s left",
      "    █████░░░░░ 50 %  52 files · 2 failed",
      "▸ ‖ hash Photos                   paused",
      "    █████░░░░░ 50 %  52 files · 2 failed"
    ])
    for (const columns of [10, 20, 40, 80, 120]) {
      for (const line of shown(columns)) assert.isAtMost(CliOutput.displayWidth(line), columns)
    }
  })

  it("shows the selected one of more jobs than there is room for, and how many others there are", () => {
    const jobs = Array.from({ length: 30 }, (_, n) => running(`job-${n}`, `job ${n}`))
    for (const n of [0, 7, 29]) {
      const lines = shown(80, 12, { ...all, jobs, selected: JobId.make(`job-${n}`) })
      assert.lengthOf(lines, 12)
      assert.isTrue(lines.some((line) => line.startsWith(`▸ ● job ${n} `)))
      assert.include(lines, "and 26 other jobs")
    }
  })

  it("says what can be done where there is nothing", () => {
    assert.include(
      shown(80, 24, { ...all, jobs: [], counts: {} }).join("\n"),
      "`fanout copy SRC DEST` starts one"
    )
  })
})

describe("sparkline", () => {
  it("shows the last rates, the fastest as the highest", () => {
    assert.strictEqual(sparkline(historyOf([0, 10, 30, 70, 70, 110]), 3), "█▁█")
    assert.strictEqual(sparkline(historyOf([5]), 10), "")
    assert.strictEqual(sparkline(historyOf([0, 0, 0]), 10), "██")
    assert.strictEqual(sparkline(JobHistory.empty, 10), "")
  })
})
