import { assert, describe, it } from "@effect/vitest"
import { type Call, type Calls, immediate } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import { calls as nodeCalls } from "../src/internal/files/nodeCalls.ts"
import { now } from "../src/internal/files/routine.ts"
import { removeTree } from "../src/internal/files/treeRemoval.ts"

const done: Call<void> = immediate(() => undefined)

/** Removes all names of a folder whose list comes in parts, and tells in which order. */
const remove = (size: number, inPart: number, inodeOf: (index: number) => number | undefined) => {
  const order: Array<number> = []
  const parts: Array<number> = []
  let listed = 0
  const calls: Calls = {
    ...nodeCalls,
    open: () => immediate(() => 7),
    list: (_, add) =>
      immediate(() => {
        const end = Math.min(listed + inPart, size)
        for (; listed < end; listed++) {
          const inode = inodeOf(listed)
          if (inode === undefined) add(String(listed), "file")
          else add(String(listed), "file", inode)
        }
        parts.push(listed - order.length)
        return listed < size
      }),
    unlink: (_, name) =>
      immediate(() => {
        order.push(Number(name))
      }),
    closeNow: () => {},
    removeFolder: () => done
  }
  let removed = 0
  const remover = {
    mayGoOn: () => true,
    *begin() {
      return true
    },
    *isLeft() {
      return false
    },
    removedName: () => void removed++,
    removedFolder: () => {}
  }
  assert.isTrue(now(removeTree, calls, 3, FilePath.make("folder"), remover, 0))
  return { order, removed, mostHeld: Math.max(...parts) }
}

const upTo = (size: number) => Array.from({ length: size }, (_, index) => index)

describe("removal", () => {
  it("removes many names by their inodes, however large these are, and few as they come", () => {
    const backwards = (index: number) => 2 ** 36 - 1 - index
    assert.deepStrictEqual(remove(12_000, 2000, backwards).order, upTo(12_000).toReversed())
    assert.deepStrictEqual(remove(1000, 2000, backwards).order, upTo(1000))
    assert.deepStrictEqual(remove(12_000, 2000, () => undefined).order, upTo(12_000))
  })

  it("holds some ten thousand names at most, and removes each once", () => {
    const { mostHeld, order, removed } = remove(150_000, 2700, (index) => index * 7919 % 150_000)
    assert.isBelow(mostHeld, 65_536)
    assert.strictEqual(removed, 150_000)
    assert.deepStrictEqual(order.toSorted((a, b) => a - b), upTo(150_000))
  })

  it("removes all of a list that comes as one", () => {
    const { order } = remove(100_000, 100_000, () => undefined)
    assert.deepStrictEqual(order, upTo(100_000))
  })
})
