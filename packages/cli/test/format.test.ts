import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as format from "../src/ui/format.ts"

describe("format", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [12.34 * 1024, "12.3 KiB"],
    [-1, "0 B"],
    [1024 * 1024 - 1, "1 MiB"],
    [5.25 * 1024 ** 3, "5.3 GiB"],
    [2 ** 60, "1 EiB"]
  ])("writes %d bytes as %s", (amount, text) => {
    assert.strictEqual(format.bytes(amount), text)
  })

  it.each([
    [0, "0 ms"],
    [340, "340 ms"],
    [999.6, "1.0 s"],
    [5200, "5.2 s"],
    [59_700, "1 min 0 s"],
    [200_000, "3 min 20 s"],
    [7_500_000, "2 h 5 min"],
    [273_600_000, "3 d 4 h"]
  ])("writes %d milliseconds as %s", (millis, text) => {
    assert.strictEqual(format.duration(millis), text)
  })

  it.each([[12_000, "12s"], [300_000, "5m"], [10_800_000, "3h"], [172_800_000, "2d"]])(
    "writes an age of %d as %s",
    (millis, text) => {
      assert.strictEqual(format.age(millis), text)
    }
  )

  it.each([
    [3_000_000, "3 MB/s"],
    [512 * 1024, "512 KiB/s"],
    [1.5 * 1024 ** 3, "1.5 GiB/s"],
    [20_000, "20 kB/s"],
    [1_500_000, "1.5 MB/s"],
    [500 * 1024, "500 KiB/s"],
    [20_000_000, "20 MB/s"],
    [1, "1 B/s"],
    [1001, "1001 B/s"]
  ])("writes a rate of %d as it was set: %s", (rate, text) => {
    assert.strictEqual(format.setRate(rate), text)
  })

  it("writes a moment by the clock on the wall", () => {
    assert.strictEqual(format.time(new Date(2026, 10, 29, 7, 5, 9).getTime()), "2026-11-29 07:05:09")
  })

  it("sets thousands apart and knows one from many", () => {
    assert.strictEqual(format.count(1_234_567), "1,234,567")
    assert.strictEqual(format.counted(1, "file"), "1 file")
    assert.strictEqual(format.counted(0, "file"), "0 files")
  })

  it("leaves nothing in a name that a terminal would obey", () => {
    assert.strictEqual(format.printable("a\u001b[31m\n\u202eb\udcff é"), "a\\x1b[31m\\n\\u202eb\\xff é")
  })

  it.each([["30d", 2_592_000_000], ["1.5h", 5_400_000], ["45m", 2_700_000], ["90s", 90_000], ["2 w", 1_209_600_000]])(
    "reads %s",
    (text, millis) => {
      assert.deepStrictEqual(format.parseDuration(text), Option.some(millis))
    }
  )

  it.each(["", "d", "-1d", "3", "3y", "1d2h", "NaNd", "Infinityd", "1e3d", `${"9".repeat(320)}d`, "99999999999w"])(
    "doesn't take %j for a duration",
    (text) => {
      assert.isTrue(Option.isNone(format.parseDuration(text)))
    }
  )
})

describe("parseBytes", () => {
  it.each([["4096", 4096], ["20MB", 2e7], ["1.5 GiB", 1.5 * 2 ** 30], ["512k", 2 ** 19], ["7b", 7], ["1kB", 1000], [
    "1TB",
    1e12
  ]])(
    "reads %s",
    (text, bytes) => {
      assert.deepStrictEqual(format.parseBytes(text), Option.some(bytes))
    }
  )

  it.each(["", "MB", "-1MB", "1PB", "1 M B", "1i", "ib", "NaN", "InfinityMB", "1e3", "9".repeat(320), "9000000000G"])(
    "doesn't take %j for an amount of bytes",
    (text) => {
      assert.isTrue(Option.isNone(format.parseBytes(text)))
    }
  )
})
