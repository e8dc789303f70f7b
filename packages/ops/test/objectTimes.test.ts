import { assert, describe, it } from "@effect/vitest"
import type { ObjectInfo, ObjectStore } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as World from "./objectHarness.ts"

const untimed = <A extends Pick<ObjectInfo, "storedMillis">>(info: A): A => ({ ...info, storedMillis: undefined })

const withoutTimes = (store: ObjectStore): ObjectStore => ({
  ...store,
  list: (prefix, options) => Stream.map(store.list(prefix, options), untimed),
  head: (key) => Effect.map(store.head(key), Option.map(untimed)),
  get: (key, options) =>
    Effect.map(store.get(key, options), (content) => ({ ...content, info: untimed(content.info) })),
  read: (key, buffer, options) =>
    Effect.map(store.read(key, buffer, options), (read) => ({ ...read, info: untimed(read.info) }))
})

/** A bucket with objects of which nothing tells a time. The other bucket may tell times. */
const filled = (otherProvider = "memory", tellsOther = false) =>
  Effect.gen(function*() {
    const world = yield* World.makeWorld(undefined, otherProvider)
    for (const name of ["a", "b"]) yield* World.put(world, `from/${name}`, `text of ${name}`)
    return {
      ...world,
      stores: {
        at: (address: ObjectStore["bucket"]) =>
          Effect.map(
            world.stores.at(address),
            (store) => tellsOther && address.bucket === "other" ? store : withoutTimes(store)
          )
      }
    }
  })

describe("Objects whose store tells no time", () => {
  it.effect.each([
    { to: "/to", provider: "memory", tellsOther: false },
    ...[true, false].flatMap((tellsOther) => [
      { to: "s3://other/copy", provider: "memory", tellsOther },
      { to: "s3://other/copy", provider: "elsewhere", tellsOther }
    ])
  ])(
    "are copied once to $to of $provider, which tells times: $tellsOther, and again where they change",
    ({ provider, tellsOther, to }) =>
      Effect.gen(function*() {
        const world = yield* filled(provider, tellsOther)
        // No copy is so new that it may be older.
        yield* TestClock.adjust("1 hour")

        const first = yield* World.copy(world, "s3://bucket/from", to)
        const second = yield* World.copy(world, "s3://bucket/from", to)
        yield* World.put(world, "from/a", "TEXT of a")
        const third = yield* World.copy(world, "s3://bucket/from", to)

        assert.deepStrictEqual([first, second, third].flatMap(({ rows }) => rows), [])
        assert.strictEqual(first.tally.tags["Copied"], 2)
        assert.strictEqual(second.tally.tags["Unchanged"], 2)
        assert.deepInclude(third.tally.tags, { Copied: 1, Unchanged: 1 })
        const copies = to === "/to"
          ? Object.values(world.disk.tree("/to/from")).map((seen) => seen.kind === "file" && seen.text)
          : yield* Effect.forEach(
            ["a", "b"],
            (name) => Effect.map(World.read({ store: world.other }, `copy/${name}`), ({ text }) => text)
          )
        assert.deepStrictEqual(copies, ["TEXT of a", "text of b"])
      })
  )

  it.effect("are replaced by files that have changed, and by no others", () =>
    Effect.gen(function*() {
      const world = yield* filled()
      for (const name of ["a", "b"]) world.disk.file(`/from/${name}`, `text of ${name}`)

      const first = yield* World.copy(world, "/from", "s3://bucket/from")
      const second = yield* World.copy(world, "/from", "s3://bucket/from")

      // Of the first ones nobody knows whether they are copies.
      assert.strictEqual(first.tally.tags["Copied"], 2)
      assert.strictEqual(second.tally.tags["Unchanged"], 2)
    }))

  it.effect.each(["/to/moved", "s3://other/moved", "s3://bucket/moved"])(
    "are moved to %s",
    (to) =>
      Effect.gen(function*() {
        const world = yield* filled()

        const { rows, state } = yield* World.move(world, "s3://bucket/from", to)

        assert.deepStrictEqual([state._tag, rows], ["Completed", []])
        assert.deepStrictEqual(yield* World.keys(world, "from/"), [])
      })
  )

  it.effect("are compared, hashed and deleted", () =>
    Effect.gen(function*() {
      const world = yield* filled()
      for (const name of ["a", "b"]) world.disk.file(`/from/${name}`, `text of ${name}`)

      const verified = yield* World.verify(world, "/from", "s3://bucket/from")
      const hashed = yield* World.hash(world, "s3://bucket/from")
      const deleted = yield* World.remove(world, ["s3://bucket/from/"])

      assert.deepStrictEqual(verified.differences, {})
      assert.deepStrictEqual([verified, hashed, deleted].map(({ state }) => state._tag), [
        "Completed",
        "Completed",
        "Completed"
      ])
      assert.deepStrictEqual(yield* World.keys(world), [])
    }))
})
