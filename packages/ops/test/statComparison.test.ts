import { assert, describe, it } from "@effect/vitest"
import type { FileStat } from "@fanout/ops/Files"
import { isShared } from "../src/internal/files/statComparison.ts"

const stat: FileStat = {
  kind: "file",
  device: 1n,
  inode: 2n,
  links: 2,
  mode: 0o644,
  owner: 0,
  group: 0,
  sizeBytes: 5,
  allocatedBytes: 4096,
  accessedNanos: 1n,
  modifiedNanos: 2n,
  changedNanos: 3n,
  bornNanos: 1n
}

describe("two names", () => {
  it("are of one file where all that is known of it is the same, but when it was read", () => {
    assert.isTrue(isShared(stat, { ...stat, accessedNanos: 9n }))
  })

  it.each<Partial<FileStat>>([
    { device: 2n },
    { inode: 3n },
    { links: 1 },
    { sizeBytes: 6 },
    { modifiedNanos: 3n },
    { changedNanos: 4n },
    { bornNanos: 2n }
  ])("are of two files that the file system gives one inode, as by a hash: %o", (other) => {
    assert.isFalse(isShared(stat, { ...stat, ...other }))
  })
})
