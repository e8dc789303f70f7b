import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import type * as Files from "@fanout/ops/Files"
import * as nodeCalls from "../src/internal/calls/nodeCalls.ts"
import { sweepEach } from "../src/internal/calls/sweepEach.ts"
import type { SystemCalls } from "../src/internal/calls/systemCalls.ts"

const identity: Files.Identity = { device: 1n, inode: 1n, bornNanos: 1n, mount: 1n }

/** Removes all names of a folder whose list comes in parts, and tells in which order. */
const sweep = (size: number, inPart: number, inodeOf: (index: number) => number | undefined) => {
  const order: Array<number> = []
  const parts: Array<number> = []
  let listed = 0
  const calls: SystemCalls = {
    ...nodeCalls.calls.later,
    open: (_, __, ___, done) => done(undefined, 7),
    identity: (_, done) => done(undefined, identity),
    list: (_, add, done) => {
      const end = Math.min(listed + inPart, size)
      for (; listed < end; listed++) {
        const inode = inodeOf(listed)
        if (inode === undefined) add(String(listed), "file")
        else add(String(listed), "file", inode)
      }
      parts.push(listed - order.length)
      done(undefined, listed < size)
    },
    unlinkEach: (_, names, take, done) => {
      for (const name of names) {
        order.push(Number(name))
        if (!take(undefined)) break
      }
      done(undefined, undefined)
    },
    close: (_, done) => done(undefined, undefined),
    removeFolder: (_, __, done) => done(undefined, undefined)
  }
  let removed = 0
  return new Promise<{ order: ReadonlyArray<number>; mostHeld: number; removed: number }>((resolve) => {
    sweepEach({
      calls,
      folder: 3,
      names: [FilePath.make("folder")],
      refuse: () => undefined,
      sweeper: {
        mayGoOn: () => true,
        begin: () => true,
        isLeft: () => false,
        removedName: () => void removed++,
        removedFolder: () => {}
      },
      done: () => resolve({ order, removed, mostHeld: Math.max(...parts) })
    })
  })
}

const upTo = (size: number) => Array.from({ length: size }, (_, index) => index)

describe("sweepEach", () => {
  it("removes many names by their inodes, however large these are, and few as they come", async () => {
    const backwards = (index: number) => 2 ** 36 - 1 - index
    assert.deepStrictEqual((await sweep(12_000, 2000, backwards)).order, upTo(12_000).toReversed())
    assert.deepStrictEqual((await sweep(1000, 2000, backwards)).order, upTo(1000))
    assert.deepStrictEqual((await sweep(12_000, 2000, () => undefined)).order, upTo(12_000))
  })

  it("holds some ten thousand names at most, and removes each once", async () => {
    const { mostHeld, order, removed } = await sweep(150_000, 2700, (index) => index * 7919 % 150_000)
    assert.isBelow(mostHeld, 65_536)
    assert.strictEqual(removed, 150_000)
    assert.deepStrictEqual(order.toSorted((a, b) => a - b), upTo(150_000))
  })

  it("removes all of a list that comes as one", async () => {
    const { order } = await sweep(100_000, 100_000, () => undefined)
    assert.deepStrictEqual(order, upTo(100_000))
  })
})
