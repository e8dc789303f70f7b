import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Filter from "@fanout/ops/Filter"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { stride } from "../../../test/effort.ts"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

const names = Array.from({ length: 40 }, (_, index) => `f${String(index).padStart(2, "0")}`)

/** A folder with that many small files. */
const filled = Effect.gen(function*() {
  const world = yield* World.makeWorld()
  world.disk.folder("/from/a")
  for (const name of names) world.disk.file(`/from/a/${name}`, `text of ${name}`)
  return world
})

const keys = names.map((name) => `copy/a/${name}`)

/** A bucket with these files as objects, and another one that may be of another provider. */
const filledBucket = (provider: string, capabilities = MemoryStore.memoryCapabilities) =>
  Effect.gen(function*() {
    const world = yield* World.makeWorld(capabilities, provider)
    for (const name of names) yield* World.put(world, `x/a/${name}`, `text of ${name}`, { mtime: "1.5", own: name })
    return world
  })

/** Who copies between two buckets, and by which requests. */
const between = [
  { name: "by the store", provider: "memory", call: "copy" },
  { name: "through here", provider: "elsewhere", call: "put" }
] as const

const copyBetween = (world: World.World, options: World.Options = {}) =>
  World.copy(world, "s3://bucket/x", "s3://other/copy", options)

/** What was sent to the other bucket. */
const sentTo = ({ requests }: World.World, call: string) =>
  requests.filter((one) => one.startsWith(`${call} copy/`)).toSorted()

const textsIn = ({ other }: World.World) =>
  Effect.forEach(keys, (key) => Effect.map(World.read({ store: other }, key), ({ text }) => text))

const texts = names.map((name) => `text of ${name}`)

/** Has one request fail once it was done. */
const loseAnswer = (world: World.World, call: string, key: string) => {
  let isLost = false
  world.after = (request) => {
    if (isLost || request.call !== call || request.key !== key) return Effect.void
    isLost = true
    return Effect.fail(World.failure({ _tag: "ServiceFailed", status: 500, code: "InternalError" }))
  }
}

describe("Small files of a folder", () => {
  it.effect("take one request each, and are copied together", () =>
    Effect.gen(function*() {
      const world = yield* filled

      const up = yield* World.copy(world, "/from", "s3://bucket/copy")
      const sent = world.requests.filter((one) => one.startsWith("put "))
      const { metadata } = yield* World.read(world, "copy/a/f07")
      const down = yield* World.copy(world, "s3://bucket/copy", "/to/copy")
      const got = world.requests.filter((one) => one.startsWith("get "))

      assert.deepStrictEqual([up.state._tag, down.state._tag], ["Completed", "Completed"])
      assert.deepStrictEqual(sent.toSorted(), keys.map((key) => `put ${key}`))
      assert.deepStrictEqual(got.toSorted(), keys.map((key) => `get ${key}`))
      // What is copied by itself has a word by which its own is found.
      assert.notProperty(metadata, "fanout-upload")
      assert.deepStrictEqual(World.treeOf(world, "/to/copy"), World.treeOf(world, "/from"))
    }))

  it.effect("fail by themselves, and have no other one sent again", () =>
    Effect.gen(function*() {
      const world = yield* filled
      const denied = World.failure({ _tag: "Refused", status: 400, code: "Odd", detail: "odd" })
      world.before = ({ call, key }) => call === "put" && key === "copy/a/f05" ? Effect.fail(denied) : Effect.void

      const { rows, tally } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(tally.failed, 1)
      assert.match(rows.join(), /^\/from\/a\/f05: /)
      const sent = world.requests.filter((one) => one.startsWith("put ") && one !== "put copy/a/f05")
      assert.deepStrictEqual(sent.toSorted(), keys.filter((key) => key !== "copy/a/f05").map((key) => `put ${key}`))
    }))

  it.effect("are told as copied where the answer was lost", () =>
    Effect.gen(function*() {
      const world = yield* filled
      loseAnswer(world, "put", "copy/a/f05")

      const { tally } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(tally.tags["Copied"], names.length)
      assert.notProperty(tally.tags, "Unchanged")
    }))

  it.effect("are not replaced where others have put an object meanwhile that is another one", () =>
    Effect.gen(function*() {
      const world = yield* filled
      let isPut = false
      world.before = ({ call, key }) => {
        if (call !== "put" || key !== "copy/a/f05" || isPut) return Effect.void
        isPut = true
        return Effect.asVoid(world.store.put(key, new TextEncoder().encode("somebody else's")))
      }

      const { state } = yield* World.copy(world, "/from", "s3://bucket/copy")

      // The mode `changed` replaces what differs, but only once it was looked at.
      assert.strictEqual(state._tag, "Completed")
      assert.include(world.requests, "head copy/a/f05")
      assert.strictEqual((yield* World.read(world, "copy/a/f05")).text, "text of f05")
    }))

  it.effect("are read anew by themselves where they are written to meanwhile, and have their time set back", () =>
    Effect.gen(function*() {
      const world = yield* filled
      let reads = 0

      yield* World.copy(world, "/from", "s3://bucket/copy", {
        files: (call, path) =>
          Effect.sync(() => {
            if (call !== "read" || path !== "/from/a/f05" || ++reads !== 2) return
            world.disk.change(FilePath.make("/from/a/f05"), (text) => text.toUpperCase())
          })
      })

      assert.strictEqual((yield* World.read(world, "copy/a/f05")).text, "TEXT OF F05")
      assert.lengthOf(world.requests.filter((one) => one === "put copy/a/f05"), 1)
    }))

  it.effect("are sent again by themselves where they change on their way", () =>
    Effect.gen(function*() {
      const world = yield* filled
      let isChanged = false
      world.before = ({ call, key }) =>
        Effect.sync(() => {
          if (call !== "put" || key !== "copy/a/f05" || isChanged) return
          isChanged = true
          world.disk.change(FilePath.make("/from/a/f05"), () => "more text")
        })

      yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual((yield* World.read(world, "copy/a/f05")).text, "more text")
    }))

  it.effect.each(["before", "after"] as const)(
    "are whole, and told of once, after a kill %s any request",
    (when) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(7)) {
          const world = yield* filled
          const { isKilled, state, tally: { tags } } = yield* World.copy(world, "/from", "s3://bucket/copy", {
            kill: { at, when }
          })
          if (!isKilled) break
          assert.strictEqual(state._tag, "Completed")
          // What was copied and not recorded is met once more.
          assert.strictEqual((tags["Copied"] ?? 0) + (tags["Unchanged"] ?? 0), names.length)
          assert.deepStrictEqual(yield* World.keys(world), keys)
          // What has its object is asked for, and not sent again.
          assert.isAtMost(world.requests.filter((one) => one.startsWith("put ")).length, names.length + 32)
        }
      })
  )
})

describe.each(between)("Small objects of a folder, copied $name", ({ call, name, provider }) => {
  it.effect("take one request each way, and are copied together", () =>
    Effect.gen(function*() {
      // Some stores obey no condition.
      for (const isObeyed of [true, false]) {
        const conditions = { put: isObeyed, complete: isObeyed, copy: isObeyed }
        const world = yield* filledBucket(provider, { ...MemoryStore.memoryCapabilities, conditions })

        const { state, tally, units } = yield* copyBetween(world)

        assert.strictEqual(state._tag, "Completed")
        assert.strictEqual(tally.tags["Copied"], names.length)
        assert.strictEqual(units["bytes"], texts.join("").length)
        assert.strictEqual(units["serverCopied"], call === "copy" ? names.length : undefined)
        const made = [
          ...keys.map((key) => `${call} ${key}`),
          ...call === "copy" ? [] : names.map((name) => `get x/a/${name}`)
        ]
        const looks = /^(?:list|head x\/?$|head copy\/?$)/
        assert.deepStrictEqual(world.requests.filter((one) => !looks.test(one)).toSorted(), made.toSorted())
        const { metadata } = yield* World.read({ store: world.other }, "copy/a/f07")
        assert.deepStrictEqual(metadata, { mtime: "1.5", own: "f07" })
        assert.deepStrictEqual(yield* textsIn(world), texts)
      }
    }))

  it.effect("fail by themselves, and have no other one copied again", () =>
    Effect.gen(function*() {
      const world = yield* filledBucket(provider)
      const refused = World.failure({ _tag: "Refused", status: 400, code: "Odd", detail: "odd" })
      world.before = (one) => one.call === call && one.key === "copy/a/f05" ? Effect.fail(refused) : Effect.void

      const { rows, tally } = yield* copyBetween(world)

      assert.deepInclude(tally.tags, { Copied: names.length - 1 })
      assert.strictEqual(tally.failed, 1)
      assert.match(rows.join(), /^s3:\/\/bucket\/x\/a\/f05: /)
      assert.strictEqual(new Set(sentTo(world, call)).size, names.length)
      assert.isAtMost(sentTo(world, call).length, names.length + 2)
    }))

  it.effect("are told as copied where the answer was lost", () =>
    Effect.gen(function*() {
      const world = yield* filledBucket(provider)
      loseAnswer(world, call, "copy/a/f05")

      const { tally } = yield* copyBetween(world)

      assert.strictEqual(tally.tags["Copied"], names.length)
      assert.notProperty(tally.tags, "Unchanged")
    }))

  it.effect("are looked at where others have put an object meanwhile", () =>
    Effect.gen(function*() {
      const world = yield* filledBucket(provider)
      let isPut = false
      world.before = (one) => {
        if (one.call !== call || one.key !== "copy/a/f05" || isPut) return Effect.void
        isPut = true
        return Effect.asVoid(world.other.put(one.key, new TextEncoder().encode("somebody else's")))
      }

      const { state, tally } = yield* copyBetween(world)

      assert.strictEqual(state._tag, "Completed")
      assert.strictEqual(tally.tags["Copied"], names.length)
      assert.include(world.requests, "head copy/a/f05")
      assert.deepStrictEqual(yield* textsIn(world), texts)
    }))

  it.effect("are copied as they are by then where they change", () =>
    Effect.gen(function*() {
      const world = yield* filledBucket(provider)
      let isChanged = false
      world.before = (one) => {
        if (one.call !== (call === "copy" ? "copy" : "get") || !one.key.endsWith("f05") || isChanged) return Effect.void
        isChanged = true
        return Effect.asVoid(World.put(world, "x/a/f05", "another text"))
      }

      const { rows, tally } = yield* copyBetween(world)

      assert.deepStrictEqual([rows, tally.tags["Copied"]], [[], names.length])
      assert.strictEqual((yield* World.read({ store: world.other }, "copy/a/f05")).text, "another text")
    }))

  it.effect("are left out by patterns, and not copied once more", () =>
    Effect.gen(function*() {
      const world = yield* filledBucket(provider)
      const rules = [Filter.Rule.make("f07")]

      const first = yield* copyBetween(world, { request: { rules } })
      yield* TestClock.adjust("1 hour")
      const second = yield* copyBetween(world)

      assert.strictEqual(first.tally.tags["Copied"], names.length - 1)
      assert.deepInclude(second.tally.tags, { Copied: 1, Unchanged: names.length - 1 })
      assert.deepStrictEqual(sentTo(world, call), [`${call} copy/a/f07`])
    }))

  it.effect("are copied once where the store asks for fewer requests", () =>
    Effect.gen(function*() {
      const world = yield* filledBucket(provider)
      const refused = new Set<string>()
      world.before = (one) => {
        if (one.call !== call || refused.has(one.key)) return Effect.void
        refused.add(one.key)
        return Effect.fail(World.failure({ _tag: "Throttled", code: "SlowDown" }))
      }

      const { rows, tally } = yield* copyBetween(world)

      assert.deepStrictEqual([rows, tally.tags["Copied"]], [[], names.length])
      // Each was refused once.
      assert.strictEqual(sentTo(world, call).length, 2 * names.length)
    }))

  it.effect("wait for a network that is gone, and go on by themselves", () =>
    Effect.gen(function*() {
      const world = yield* filledBucket(provider)
      const gone = World.failure({ _tag: "Unreachable", code: "ECONNREFUSED" })
      let copied = 0
      world.before = (one) => (copied += one.call === call ? 1 : 0) > 20 ? Effect.fail(gone) : Effect.void

      const { rows, state, stopped, tally } = yield* copyBetween(world, {
        whenStopped: Effect.sync(() => void (world.before = () => Effect.void))
      })

      assert.deepNestedInclude(stopped, { _tag: "Queued", "waits.by": "network" })
      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      assert.strictEqual(tally.tags["Copied"], names.length)
      assert.deepStrictEqual(yield* textsIn(world), texts)
    }))

  it.effect.each(["before", "after"] as const)(
    "are whole, and told of once, after a kill %s any request",
    (when) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(7)) {
          const world = yield* filledBucket(provider)
          const { isKilled, state, tally: { tags } } = yield* copyBetween(world, { kill: { at, when } })
          if (!isKilled) break
          assert.strictEqual(state._tag, "Completed", name)
          assert.strictEqual((tags["Copied"] ?? 0) + (tags["Unchanged"] ?? 0), names.length)
          assert.deepStrictEqual(yield* World.keys({ store: world.other }), keys)
          assert.deepStrictEqual(yield* textsIn(world), texts)
          assert.isAtMost(sentTo(world, call).length, names.length + 32)
        }
      })
  )
})
