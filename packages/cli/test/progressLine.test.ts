import { assert, describe, it } from "@effect/vitest"
import { Progress, Tally } from "@fanout/core/Progress"
import * as CliOutput from "effect/cli/CliOutput"
import { progressLine, share } from "../src/ui/progressLine.ts"

const progress = (
  done: number,
  options?: { failed?: number; bytes?: number; totals?: Record<string, number>; rates?: Record<string, number> }
) =>
  new Progress({
    fanOuts: { files: new Tally({ done, failed: options?.failed ?? 0, skipped: 0, tags: {}, units: {} }) },
    totals: options?.totals ?? {},
    units: options?.bytes === undefined ? {} : { bytes: options.bytes },
    rates: options?.rates ?? {}
  })

describe("progressLine", () => {
  it("shows no share of a whole that nobody knows", () => {
    assert.strictEqual(progressLine(progress(3), 80), "3 files")
  })

  it("counts files, not folders or their ends", () => {
    const tags = { Same: 5, FolderSame: 2, FolderMade: 1, FolderEnded: 2 }
    const all = new Tally({ done: 10, failed: 0, skipped: 0, tags, units: {} })
    assert.strictEqual(progressLine(new Progress({ fanOuts: { all }, totals: {}, units: {} }), 80), "5 files")
  })

  it("shows rate, share and time left", () => {
    const rates = { bytes: 2 * 1024 * 1024, items: 21 }
    const second = progress(50, { bytes: 4 * 1024 * 1024, failed: 2, totals: { items: 104 }, rates })
    assert.strictEqual(
      progressLine(second, 80),
      "52 files · 2 failed · 4 MiB · 2 MiB/s · 50 % · 2.5 s left"
    )
  })

  it("goes by the bytes of large files while some are under way", () => {
    const of = (done: number, bytes: number, begun: number, copied: number, items = 1) =>
      new Progress({
        ...progress(done, { totals: { items } }),
        units: { bytes, largeBytesBegun: begun, largeBytesCopied: copied },
        rates: { bytes: 1024 }
      })
    assert.strictEqual(
      progressLine(of(0, 4096, 8192, 4096), 80),
      "0 files · 4 KiB of 8 KiB · 1 KiB/s · 50 % · 4.0 s left"
    )
    // Of ten files of 1 KiB and one of 90, all but one were copied, and half of that one.
    assert.strictEqual(share(of(9, (9 + 45) * 1024, 90 * 1024, 45 * 1024, 11)), "54 %")
    assert.strictEqual(share(of(1, 8192, 8192, 8192)), "100 %")
    assert.strictEqual(share(of(5, 9000, 8000, 8000, 10)), "90 %")
  })

  it("goes by bytes where it is known how many there are, and by what is removed", () => {
    const rates = { bytes: 1024, items: 1 }
    const bytes = progress(1, { bytes: 1024, totals: { items: 4, bytes: 4096 }, rates })
    assert.strictEqual(progressLine(bytes, 80), "1 file · 1 KiB of 4 KiB · 1 KiB/s · 25 % · 3.0 s left")
    // What failed has bytes that nobody reads.
    assert.strictEqual(share(progress(4, { bytes: 1024, totals: { items: 4, bytes: 4096 }, rates })), "100 %")
    const units = { removedFiles: 80, removedFolders: 20 }
    const totals = { removedFiles: 160, removedFolders: 40 }
    const removed = new Progress({
      fanOuts: {},
      totals,
      units,
      rates: { items: 1, removedFiles: 8, removedFolders: 2 }
    })
    assert.strictEqual(progressLine(removed, 80), "80 files · 50 % · 10 s left")
  })

  it("keeps on a narrow terminal what says most", () => {
    const rates = { bytes: 2 * 1024 * 1024, items: 21 }
    const second = progress(50, { bytes: 4 * 1024 * 1024, failed: 2, totals: { items: 104 }, rates })
    assert.deepStrictEqual([51, 41, 31, 13].map((columns) => progressLine(second, columns)), [
      "52 files · 2 failed · 4 MiB · 50 % · 2.5 s left",
      "52 files · 2 failed · 50 % · 2.5 s left",
      "52 files · 2 failed · 50 %",
      "52 files · …"
    ])
  })

  it("tells the time so far and the job, where there is room", () => {
    const started = new Progress({ ...progress(3, { bytes: 10 }), startedAt: 5000 })
    assert.deepStrictEqual([80, 34, 20].map((columns) => progressLine(started, columns, { id: "k2m9", now: 17_000 })), [
      "3 files · 10 B · 12 s so far · k2m9",
      "3 files · 10 B · 12 s so far",
      "3 files · 10 B"
    ])
    assert.strictEqual(progressLine(started, 80, { now: 5100 }), "3 files · 10 B")
  })

  it("counts what was not read, where there is room", () => {
    const second = new Progress({ ...progress(50), units: { bytes: 2048, cached: 40 }, rates: { bytes: 1024 } })
    assert.deepStrictEqual([80, 42, 20].map((columns) => progressLine(second, columns)), [
      "50 files · 40 from the cache · 2 KiB · 1 KiB/s",
      "50 files · 40 from the cache · 2 KiB",
      "50 files · 2 KiB"
    ])
  })

  it("tells no rate before there is one", () => {
    assert.strictEqual(progressLine(progress(3, { bytes: 10 }), 80), "3 files · 10 B")
  })

  it("fits any terminal", () => {
    for (let columns = 1; columns < 40; columns++) {
      assert.isAtMost(
        CliOutput.displayWidth(progressLine(progress(1_000_000, { bytes: 1e12, failed: 7 }), columns)),
        columns
      )
    }
  })
})
