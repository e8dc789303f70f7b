import { assert, describe, it } from "@effect/vitest"
import * as Descriptors from "../src/Descriptors.ts"

const limits = (most: string) =>
  `Limit                     Soft Limit           Hard Limit           Units
Max processes             15000                15000                processes
Max open files            ${most.padEnd(20)} 1048576              files
Max locked memory         8388608              8388608              bytes
`

describe("Descriptors", () => {
  it("leaves eight of them to each, beside what the process needs itself", () => {
    assert.deepStrictEqual(["64", "168", "1024"].map((most) => Descriptors.within(limits(most), 16)), [3, 16, 16])
    assert.strictEqual(Descriptors.within(limits("1024"), 1024), 123)
  })

  it("leaves one at least", () => {
    assert.strictEqual(Descriptors.within(limits("20"), 16), 1)
  })

  it("changes nothing where there is no limit, or none is told", () => {
    assert.strictEqual(Descriptors.within(limits("unlimited"), 1024), 1024)
    assert.strictEqual(Descriptors.within("", 1024), 1024)
  })
})
