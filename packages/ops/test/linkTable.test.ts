import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import { layerSqlClient } from "@fanout/core/node"
import * as FilePath from "@fanout/ops/FilePath"
import * as HardLinks from "@fanout/ops/HardLinks"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

const client = layerSqlClient({ filename: ":memory:" })
const [one, two] = [JobId.make("one"), JobId.make("two")]
const odd = FilePath.fromBytes(Buffer.from("/a\n\\b\xff", "latin1"))

describe("HardLinks.layerSql", () => {
  it.effect("finds what was added, for each job, until it is forgotten", () =>
    Effect.gen(function*() {
      const links = yield* HardLinks.HardLinks
      assert.deepStrictEqual(yield* links.find(one, ["1"]), new Map())
      yield* links.add(one, "1", FilePath.make("/first"))
      yield* links.add(one, "1", odd)
      yield* links.add(two, "1", FilePath.make("/of another job"))
      yield* links.add(one, "3", FilePath.make("/third"))
      const both = new Map([["1", odd], ["3", FilePath.make("/third")]])
      assert.deepStrictEqual(yield* links.find(one, ["1", "2", "3"]), both)
      assert.deepStrictEqual(yield* links.find(one, ["2"]), new Map())
      assert.deepStrictEqual(yield* links.find(one, []), new Map())
      yield* links.forget(one)
      assert.deepStrictEqual(yield* links.find(one, ["1"]), new Map())
      assert.strictEqual((yield* links.find(two, ["1"])).size, 1)
    }).pipe(Effect.provide(Layer.provide(HardLinks.layerSql, client))))

  it.effect("forgets what nobody has gone on with for 90 days", () =>
    Effect.gen(function*() {
      const links = Effect.provide(HardLinks.HardLinks, Layer.fresh(HardLinks.layerSql))
      yield* Effect.flatMap(links, ({ add }) => add(one, "1", odd))
      yield* TestClock.adjust("89 days")
      assert.strictEqual((yield* Effect.flatMap(links, ({ find }) => find(one, ["1"]))).size, 1)
      yield* TestClock.adjust("2 days")
      assert.deepStrictEqual(yield* Effect.flatMap(links, ({ find }) => find(one, ["1"])), new Map())
    }).pipe(Effect.provide(client)))
})
