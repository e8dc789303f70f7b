import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as fs from "node:fs"
import * as nodeCalls from "../src/internal/calls/nodeCalls.ts"
import * as quickCalls from "../src/internal/calls/quickCalls.ts"
import * as runDelay from "../src/internal/calls/runDelay.ts"
import type { SystemCalls } from "../src/internal/calls/systemCalls.ts"

const name = FilePath.make("name")

/** Calls that take some time each, and note which way they were made. */
const make = () => {
  const made: Array<"at once" | "later"> = []
  let [now, millis, waiting, delay] = [0, 0, 0, 0]
  const noting = (way: "at once" | "later"): SystemCalls => ({
    ...nodeCalls.calls.later,
    unlink: (_, __, done) => {
      made.push(way)
      if (way === "at once") {
        now += millis
        delay += waiting
      }
      done(undefined, undefined)
    }
  })
  const calls = quickCalls.make({ atOnce: noting("at once"), later: noting("later") }, () => now, () => delay)
  return {
    /** Unlinks a name in so many milliseconds, some of which other work had the processors. */
    unlink: (taking: number, waited = 0): void => {
      millis = taking
      waiting = waited
      calls.here.unlink(0, name, () => {})
    },
    isSlow: calls.isSlow,
    made: () => made.splice(0),
    pass: (time: number): void => {
      now += time
    }
  }
}

const nextTurn = () => new Promise<void>((resolve) => void setImmediate(resolve))

describe("quickCalls", () => {
  it("makes calls at once while they are quick, and for some milliseconds in a turn of the event loop", async () => {
    const { made, unlink } = make()
    for (let i = 0; i < 20; i++) unlink(1)
    assert.lengthOf(made(), 9)
    await nextTurn()
    assert.deepStrictEqual(made(), Array.from({ length: 9 }, () => "at once"))
    await nextTurn()
    assert.deepStrictEqual(made(), ["at once", "at once"])
  })

  it("hands calls on for a while once one was slow", async () => {
    const { isSlow, made, pass, unlink } = make()
    unlink(21)
    unlink(0)
    assert.isFalse(isSlow())
    await nextTurn()
    unlink(0)
    assert.deepStrictEqual(made(), ["at once", "later", "later"])
    pass(200)
    unlink(21)
    await nextTurn()
    assert.deepStrictEqual(made(), ["at once"])
    // The second time it takes twice as long.
    pass(399)
    unlink(0)
    assert.isTrue(isSlow())
    pass(1)
    assert.isFalse(isSlow())
    unlink(0)
    assert.deepStrictEqual(made(), ["later", "at once"])
  })

  it("is not misled by other work on the machine", async () => {
    const { made, pass, unlink } = make()
    unlink(0)
    unlink(500, 480)
    await nextTurn()
    unlink(21, 1)
    await nextTurn()
    pass(1000)
    unlink(0, 300)
    await nextTurn()
    // That was long ago.
    pass(1000)
    unlink(21)
    unlink(0)
    assert.deepStrictEqual(made(), [...Array.from({ length: 5 }, () => "at once"), "later"])
  })

  const statistics = "/proc/thread-self/schedstat"

  it.skipIf(!fs.existsSync(statistics))("knows how long the thread has waited for a processor", () => {
    const look = () => Number(fs.readFileSync(statistics, "utf8").split(" ")[1]) / 1e6
    const [before, read, after] = [look(), runDelay.read(), look()]
    assert.isAtLeast(read, before)
    assert.isAtMost(read, after)
  })

  it("forgets slow calls once others were quick for long", async () => {
    const { made, pass, unlink } = make()
    unlink(21)
    pass(200)
    await nextTurn()
    unlink(21)
    pass(400 + 10 * 800)
    await nextTurn()
    unlink(22)
    made()
    pass(200)
    await nextTurn()
    unlink(0)
    assert.deepStrictEqual(made(), ["at once"])
  })

  it("leaves what is to be compared in one go while calls are not made at once", () => {
    let [now, compared, left] = [0, 0, 0]
    const atOnce: SystemCalls = {
      ...nodeCalls.calls.later,
      comparePlain: (_, done) => {
        now += 21
        compared++
        done(undefined, undefined)
      }
    }
    const { here, throughout } = quickCalls.make({ atOnce, later: nodeCalls.calls.later }, () => now, () => 0)
    const comparer = {
      buffers: [Buffer.alloc(0), Buffer.alloc(0)] as const,
      mayGoOn: () => true,
      begin: () => true,
      end: () => {},
      changed: () => {},
      leave: () => void left++
    }
    let done = 0
    for (let i = 0; i < 3; i++) throughout.comparePlain?.({ a: 0, b: 0, name, comparer }, () => void done++)
    assert.deepStrictEqual([compared, left, done], [1, 2, 3])
    assert.isUndefined(here.comparePlain)
  })

  it("removes no tree at once while calls are not made at once", () => {
    let [now, swept] = [0, 0]
    const atOnce: SystemCalls = {
      ...nodeCalls.calls.later,
      sweepTree: (_, done) => {
        now += 101
        swept++
        done(undefined, true)
      }
    }
    const { here, throughout } = quickCalls.make({ atOnce, later: nodeCalls.calls.later }, () => now, () => 0)
    const sweeper = {
      mayGoOn: () => true,
      begin: () => true,
      isLeft: () => false,
      removedName: () => {},
      removedFolder: () => {}
    }
    const ends: Array<boolean | undefined> = []
    for (let i = 0; i < 2; i++) throughout.sweepTree?.({ folder: 0, name, sweeper }, (_, end) => void ends.push(end))
    assert.deepStrictEqual([swept, ends], [1, [true, undefined]])
    assert.isUndefined(here.sweepTree)
  })

  it("never waits for what may meet another file system", () => {
    const made: Array<string> = []
    const noting = (way: string): SystemCalls => ({
      ...nodeCalls.calls.later,
      open: () => void made.push(`${way} open`),
      openPath: () => void made.push(`${way} openPath`),
      identity: () => void made.push(`${way} identity`),
      lstat: () => void made.push(`${way} lstat`),
      list: () => void made.push(`${way} list`)
    })
    const { here, throughout } = quickCalls.make(
      { atOnce: noting("at once"), later: noting("later") },
      () => 0,
      () => 0
    )
    for (const calls of [here, throughout]) {
      calls.open(0, name, "folder", () => {})
      calls.openPath(name, "list", () => {})
      calls.openPath(name, "read", () => {})
      calls.identity(0, () => {})
      calls.lstat(0, name, () => {})
      calls.list(0, () => {}, () => {})
    }
    const rest = ["later identity", "later lstat", "at once list"]
    assert.deepStrictEqual(made.splice(0, 6), ["later open", "later openPath", "later openPath", ...rest])
    // Where there is none it can meet none.
    assert.deepStrictEqual(made, [
      "at once open",
      "at once openPath",
      "at once openPath",
      "at once identity",
      "at once lstat",
      "at once list"
    ])
  })
})
