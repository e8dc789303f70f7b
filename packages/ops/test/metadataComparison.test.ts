import { assert, describe, it } from "@effect/vitest"
import type { FileStat } from "@fanout/ops/Files"
import * as MetadataComparison from "../src/internal/verify/metadataComparison.ts"

const stat = (fields: Partial<FileStat> = {}): FileStat => ({
  kind: "file",
  device: 1n,
  inode: 1n,
  links: 1,
  allocatedBytes: 0,
  mode: 0o644,
  owner: 1,
  group: 2,
  sizeBytes: 0,
  accessedNanos: 0n,
  modifiedNanos: 5_000n,
  changedNanos: 0n,
  bornNanos: 0n,
  ...fields
})

const names = (a: Partial<FileStat>, b: Partial<FileStat>, ignore: ReadonlyArray<MetadataComparison.Aspect> = []) =>
  MetadataComparison.compare(stat(a), stat(b), ignore).map(({ name }) => name)

describe("Metadata", () => {
  it("compares what can be kept, in order, and lets pass what is to be ignored", () => {
    const other = { mode: 0o4644, owner: 3, group: 4, modifiedNanos: 9_000n }
    assert.deepStrictEqual(names({}, other), ["mode", "owner", "group", "modified"])
    assert.deepStrictEqual(names({}, other, ["owner"]), ["mode", "modified"])
    assert.deepStrictEqual(names({}, other, ["mode", "times"]), ["owner", "group"])
    assert.deepStrictEqual(names({}, { inode: 9n, device: 9n, accessedNanos: 9n, changedNanos: 9n }), [])
  })

  it("compares times to the microsecond", () => {
    for (const [nanos, isSame] of [[5_999n, true], [4_001n, true], [6_000n, false], [4_000n, false]] as const) {
      assert.deepStrictEqual(names({}, { modifiedNanos: nanos }), isSame ? [] : ["modified"], String(nanos))
    }
  })

  it("says nothing of the mode of links", () => {
    assert.deepStrictEqual(names({ kind: "link" }, { kind: "link", mode: 0o777 }), [])
  })

  it("writes times that no calendar has", () => {
    const [property] = MetadataComparison.compare(
      stat({ modifiedNanos: 10n ** 25n + 1_000n }),
      stat({ modifiedNanos: -1n }),
      []
    )
    assert.deepStrictEqual([property?.a, property?.b], [
      "@10000000000000000.000001",
      "1969-12-31T23:59:59.999999Z"
    ])
  })
})
