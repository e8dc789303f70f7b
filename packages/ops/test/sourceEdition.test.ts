import { assert, it } from "@effect/vitest"
import type { FileStat } from "../src/Files.ts"
import { editionOf, isContentOf, isEdition, isFileOf } from "../src/internal/steps/sourceEdition.ts"

const stat: FileStat = {
  kind: "file",
  special: undefined,
  device: 1n,
  inode: 2n,
  links: 1,
  mode: 0o644,
  owner: 0,
  group: 0,
  sizeBytes: 3,
  allocatedBytes: 512,
  accessedNanos: 4n,
  modifiedNanos: 5n,
  changedNanos: 6n,
  bornNanos: 7n
}

it("knows a source that a job of an earlier version has recorded without its birth", () => {
  assert.isTrue(isEdition(stat, "1 2 3 5 6"))
  assert.isTrue(isEdition(stat, "1 2 3 5 "))
  assert.isTrue(isFileOf(stat, "1 2 3 5 6"))
  assert.isTrue(isFileOf(stat, "1 2 3 5 "))
  assert.isTrue(isContentOf(stat, "1 2 3 5 6"))
  assert.isFalse(isEdition({ ...stat, changedNanos: 8n }, "1 2 3 5 6"))
  assert.isFalse(isFileOf({ ...stat, inode: 8n }, "1 2 3 5 6"))
})

it("takes a file with the inode of one that is gone for another one", () => {
  for (const links of [1, 2]) {
    const edition = editionOf({ ...stat, links })
    assert.isTrue(isEdition(stat, edition) && isFileOf(stat, edition))
    assert.isFalse(isEdition({ ...stat, bornNanos: 8n }, edition))
    assert.isFalse(isFileOf({ ...stat, bornNanos: 8n }, edition))
  }
})
