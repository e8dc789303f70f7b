import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
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
        for (let at = 1;; at += 7) {
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
