import { assert, describe, it } from "@effect/vitest"
import type * as JobState from "@fanout/core/JobState"
import { OutcomeRow } from "@fanout/core/JobStore"
import type { Outcome } from "@fanout/core/Outcome"
import { Owner } from "@fanout/core/OwnerLiveness"
import { Progress, Tally } from "@fanout/core/Progress"
import { SkipReason } from "@fanout/ops/SkipReason"
import * as Option from "effect/Option"
import * as events from "../src/ui/events.ts"
import * as summary from "../src/ui/summary.ts"
import { counters, record } from "./records.ts"

const row = (key: string, outcome: Outcome) =>
  new OutcomeRow({ fanOut: "files", cursor: "c", key, payload: null, origin: null, outcome, attempt: 1, at: 5 })

const denied = row("a\n\udcff", {
  _tag: "Failed",
  failure: { _tag: "Error", error: { code: "EACCES" }, message: "not allowed" }
})

const inside = { _tag: "Skipped", reason: SkipReason.VanishedInside, count: 1 } as const
const gone = row("b", { _tag: "Skipped", reason: "it vanished", count: 1 })

const progress = new Progress({
  fanOuts: {
    files: new Tally({ done: 991, failed: 10, skipped: 2, tags: { Copied: 900, AlreadyThere: 90 }, units: {} })
  },
  totals: {},
  units: { bytes: 2048 }
})

describe("summary", () => {
  it("counts by what was done", () => {
    assert.strictEqual(
      summary.counts(progress),
      "900 copied, 90 already there, 1 done, 2 skipped, 10 failed, 2 KiB"
    )
  })

  it("tells what was set of a job, and which of its failures it tries again", () => {
    const state = { _tag: "Running", attempt: 2, tries: 0 } as const
    const of = (only: JobState.Only, more = {}) => summary.settings(record({ ...state, only }, more))
    assert.deepStrictEqual(summary.settings(record(state)), [])
    assert.deepStrictEqual(of({ elements: [7] }), ["only 1 chosen failure"])
    assert.deepStrictEqual(of({ child: "a", only: { elements: [7] } }), ["only what failed in its child a"])
    assert.deepStrictEqual(of({ cause: "E\u001b" }, { priority: 1, limits: { concurrency: 2 } }), [
      "high priority",
      "at most 2 tasks at once",
      "only what failed with E\\x1b"
    ])
  })

  it("counts what is deleted by itself, and not by how much went at once", () => {
    const tags = { Batch: 3, Removed: 1, FolderMet: 2, FolderLeft: 2 }
    const deleted = new Progress({
      fanOuts: { entries: new Tally({ done: 8, failed: 1, skipped: 0, tags, units: {} }) },
      totals: {},
      units: { removedFiles: 20_000, removedFolders: 201 }
    })
    assert.strictEqual(summary.counts(deleted), "20,000 deleted, 201 folders, 1 failed")
  })

  it("counts what was taken from the cache, before what was read", () => {
    const hashed = new Progress({
      fanOuts: { files: new Tally({ done: 1200, failed: 0, skipped: 0, tags: { Hashed: 1200 }, units: {} }) },
      totals: {},
      units: { bytes: 2048, cached: 1100 }
    })
    assert.strictEqual(summary.counts(hashed), "1,200 hashed, 1,100 from the cache, 2 KiB")
  })

  it("says of nothing done only where there is nothing else to say", () => {
    const of = (counts: Partial<Tally>) =>
      new Progress({
        fanOuts: { files: new Tally({ done: 0, failed: 0, skipped: 0, tags: {}, units: {}, ...counts }) },
        totals: {},
        units: {}
      })
    assert.strictEqual(summary.counts(of({})), "0 done")
    assert.strictEqual(summary.counts(of({ skipped: 2, failed: 1 })), "2 skipped, 1 failed")
    assert.strictEqual(summary.counts(of({ done: 1, tags: { FolderEnded: 1 } })), "0 done")
  })

  it("says where to read what was skipped", () => {
    const done = record({ _tag: "Completed", ...counters })
    assert.include(summary.skipped(done, progress), "fanout jobs show --all k1")
    assert.strictEqual(summary.skipped(done, new Progress({ fanOuts: {}, totals: {}, units: {} })), "")
  })

  it("counts what vanished by itself", () => {
    const vanished = (reasons: Readonly<Record<string, number>>) =>
      summary.counts(
        new Progress({
          fanOuts: { files: new Tally({ done: 1, failed: 0, skipped: 3, tags: {}, units: {}, reasons }) },
          totals: {},
          units: {}
        })
      )
    assert.strictEqual(vanished({ "it vanished": 1, "it is there already": 2 }), "1 done, 2 skipped, 1 vanished")
    const inside = "some of what was in it vanished before it was listed"
    assert.strictEqual(vanished({ "it vanished": 1, [inside]: 2 }), "1 done, 3 vanished")
    assert.strictEqual(vanished({}), "1 done, 3 skipped")
  })

  it("counts what is done without folders and their ends, and what was removed many at a time", () => {
    const of = (tags: Readonly<Record<string, number>>, units: Readonly<Record<string, number>> = {}) => {
      const done = Object.values(tags).reduce((sum, count) => sum + count, 0)
      const all = new Tally({ done, failed: 0, skipped: 0, tags, units })
      return summary.doneOf(new Progress({ fanOuts: { all }, totals: {}, units }))
    }
    assert.deepStrictEqual(of({ Copied: 7, Linked: 1, FolderMade: 3, FolderEnded: 3 }), { done: 8, folders: 3 })
    const units = { removedFiles: 200, removedFolders: 20 }
    assert.deepStrictEqual(of({ Batch: 2, FolderMet: 1, Removed: 1 }, units), { done: 200, folders: 20 })
    assert.deepStrictEqual(of({ Trashed: 2 }), { done: 2, folders: 0 })
  })

  it("counts what a comparison has found by what it is", () => {
    const failures = { missing: 7, metadata: 3 }
    assert.include(summary.counts(progress, { failures }), "2 skipped, 7 missing, 3 with other metadata, 2 KiB")
    const done = record({ _tag: "CompletedWithErrors", ...counters }, { name: "verify" })
    assert.include(summary.sentence(done, progress, { failures }), "is done, but not all is the same: 900 copied")
    assert.strictEqual(summary.state(done), "done, not the same")
    assert.include(summary.next(done), "Compare these again with `fanout jobs retry k1`")
  })

  it("says how a job ended, and what can be done next", () => {
    const partly = record({ _tag: "CompletedWithErrors", ...counters })
    assert.match(
      summary.sentence(partly, progress, { millis: 1500 }),
      /^Job k1 \(copy\) is done, but some of it failed: 900 copied.* in 1\.5 s\.$/
    )
    assert.include(summary.next(partly), "fanout jobs retry k1")
  })

  it("leaves the counts of a scheduled command to the job that it has started", () => {
    const scheduled = { name: "scheduled" }
    const done = record({ _tag: "Completed", ...counters }, scheduled)
    assert.strictEqual(summary.sentence(done, progress), "Job k1 (scheduled) is done.")
    const waits = record({ _tag: "Queued", ...counters }, scheduled)
    assert.strictEqual(summary.sentence(waits, progress), "Job k1 (scheduled) is queued.")
  })

  it("says why a job waits", () => {
    const full = record({ _tag: "Paused", by: "disk", ...counters })
    assert.include(summary.sentence(full, progress), "is paused because the disk is full")
    assert.include(summary.next(full), "fanout jobs resume k1")
    const broken = record({ _tag: "Paused", by: "printer\u001b", ...counters })
    assert.include(summary.sentence(broken, progress), "is paused by printer\\x1b.")
    assert.strictEqual(summary.state(broken), "paused (by printer\\x1b)")
    const waits = { by: "network", since: 0, looks: 3 }
    const alone = record({ _tag: "Queued", ...counters, waits }, { availableAt: Date.UTC(2030, 0, 2, 3, 4, 5) })
    assert.strictEqual(summary.shortState(alone, false), "paused: network")
    assert.match(
      summary.sentence(alone, progress),
      /^Job k1 \(copy\) is paused \(by network\), looks again at \d{4}-\d\d-\d\d \d\d:\d\d:05\. So far/
    )
    // A process that was lost as it looked has left the job to be looked for at once.
    assert.include(
      summary.state(record({ _tag: "Queued", ...counters, waits }, { availableAt: 0 })),
      "looks again soon"
    )
  })

  it("says what writes no lines where a job is there for these", () => {
    for (const name of ["hash", "metadata"]) {
      const paused = record({ _tag: "Paused", by: "person", ...counters }, { name })
      assert.strictEqual(
        summary.next(paused),
        "Go on with the same command again; `fanout jobs resume k1` would write no lines."
      )
      const partly = record({ _tag: "CompletedWithErrors", ...counters }, { name })
      assert.strictEqual(
        summary.next(partly),
        "Try the failed ones again with `fanout jobs retry k1`; their lines are written by the same command only."
      )
    }
  })

  it("says what its own program does of a job that there is no code for", () => {
    const asked = (request: "Pause" | "Cancel") =>
      summary.next(record({ _tag: "Running", ...counters }, { request: Option.some(request) }), false)
    const nextOf = (state: JobState.JobState) => summary.next(record(state), false)
    const runs = "Its own program runs it: this command has no code for it."

    assert.deepStrictEqual([asked("Pause"), asked("Cancel")], [
      "Its own program stops it.",
      "Its own program stops it."
    ])
    assert.strictEqual(nextOf({ _tag: "Queued", ...counters }), runs)
    assert.strictEqual(nextOf({ _tag: "Running", ...counters }), runs)
    assert.include(nextOf({ _tag: "Paused", by: "disk", ...counters }), "`fanout jobs resume k1`; its own program")
    assert.include(nextOf({ _tag: "CompletedWithErrors", ...counters }), "`fanout jobs retry k1`; its own program")
    assert.match(nextOf({ _tag: "Failed", ...counters }), /retry k1`, which its own program does, .* cancel k1`\.$/)
    for (const _tag of ["Completed", "Cancelled"] as const) assert.strictEqual(nextOf({ _tag, ...counters }), "")
  })

  it("says why a job failed", () => {
    const failed = record({ _tag: "Failed", ...counters }, {
      exit: Option.some({ _tag: "Failure", error: null, message: "no\u001b[31m luck" })
    })
    assert.include(summary.sentence(failed, progress), "failed: no\\x1b[31m luck.")
  })

  const tally = (units: Record<string, number>) =>
    new Progress({
      fanOuts: { entries: new Tally({ done: 9, failed: 0, skipped: 0, tags: {}, units }) },
      totals: {},
      units
    })

  it("says in which ways files were copied, but for the usual one", () => {
    assert.strictEqual(summary.ways(progress), "")
    assert.strictEqual(
      summary.ways(tally({ bytes: 5, renamed: 2, hardLinked: 3, chunked: 4, kernelCopied: 1200, reflinked: 1 })),
      "1 by reflink, 1,200 by the kernel, 4 in chunks, 3 as hard links, 2 by rename"
    )
  })

  it("warns of what copies could not be given, once for each kind", () => {
    assert.deepStrictEqual(summary.warnings(progress), [])
    assert.deepStrictEqual(summary.warnings(tally({ lostMode: 1200, lostMetadata: 7, lostTimes: 1, bytes: 5 })), [
      "1,200 copies could not be given the permissions of their sources: the destination does not take them, or " +
      "their lists for access could not be read",
      "1 copy could not be given the times of its source: the destination does not take them",
      "7 copies could not be given the metadata of their sources: a file takes only the time and the mode of an object"
    ])
  })

  it("says who has taken a job over, as far as that is known", () => {
    const owner = new Owner({ machine: "m", boot: "b", process: "4711-99" })
    const running = record({ _tag: "Running", ...counters }, { lease: Option.some({ token: 2, owner }) })
    assert.include(summary.takenOver(running), "Job k1 was taken over by another process, 4711, while")
    assert.include(summary.takenOver(record({ _tag: "Completed", ...counters })), "by another process while")
  })

  it("names failed items on one line", () => {
    assert.strictEqual(summary.item(denied), "failed   a\\n\\xff: not allowed")
    assert.strictEqual(summary.item(gone), "vanished b")
    assert.strictEqual(summary.item(row("d", { ...inside, count: 2 })), "vanished d: 2 items in it")
    assert.strictEqual(summary.item(row("d", inside)), "vanished d: 1 item in it")
  })

  it("names a failed item once, and of other paths what they do not have in common with its own", () => {
    const said = (message: string) =>
      summary.item(row("/src/a/b", { _tag: "Failed", failure: { _tag: "Error", error: {}, message } }))
    const name = "failed   /src/a/b:"
    assert.strictEqual(said(`Could not read "/src/a/b": no (EIO)`), `${name} could not read it: no (EIO)`)
    assert.strictEqual(said(`"/src/a/b" changed while it was copied`), `${name} it changed while it was copied`)
    assert.strictEqual(said("/dst/x/src/a/b: it is there already"), `${name} /dst/x/…: it is there already`)
    assert.strictEqual(
      said(`Could not rename "/dst/.tmp/b" to "/dst/a/b": no`),
      `${name} could not rename "/dst/.tmp/…" to "/dst/…": no`
    )
    assert.strictEqual(said(`"/src/a/c" has that name: rename it`), `${name} "/src/a/c" has that name: rename it`)
    assert.strictEqual(said("FILE is too large: leave it"), `${name} FILE is too large: leave it`)
  })
})

describe("events", () => {
  it("are versioned lines that keep names true to the byte", () => {
    const text = events.ofJob("k1", { _tag: "Item", row: denied })
    assert.isTrue(text.isWellFormed() && !text.includes("\n"))
    assert.deepStrictEqual(JSON.parse(text), {
      v: 1,
      type: "item",
      id: "k1",
      key: "a\n\udcff",
      fanOut: "files",
      outcome: "Failed",
      attempt: 1,
      at: 5,
      why: "Error",
      message: "not allowed",
      error: { code: "EACCES" }
    })
  })

  it("tell of what vanished as an ending of its own", () => {
    assert.include(events.item(gone), { key: "b", outcome: "Vanished" })
    assert.include(events.item(row("c", { _tag: "Skipped", reason: "no", count: 2 })), { outcome: "Skipped", count: 2 })
  })

  it("tell the state of a job", () => {
    assert.deepInclude(
      JSON.parse(events.ofJob("k1", { _tag: "State", record: record({ _tag: "Paused", by: "person", ...counters }) })),
      { v: 1, type: "state", id: "k1", state: "Paused", by: "person" }
    )
  })
})
