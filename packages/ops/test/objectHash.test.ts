import { assert, describe, it } from "@effect/vitest"
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Hash from "@fanout/ops/Hash"
import { StoreReason } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import * as World from "./objectHarness.ts"

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

/** Digests by the paths of objects below the source, in the order of the job. */
const digestsOf = (rows: ReadonlyArray<OutcomeRow>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    rows
      .flatMap(Hash.fromRow)
      .toSorted((a, b) => a.number - b.number)
      .flatMap(({ files }) => files.map(({ digest, path }) => [path, digest] as const))
  )

const texts: Readonly<Record<string, string>> = {
  "a-b": "text of a-b",
  "a/b": "text of a/b",
  "a/empty": "",
  "deep/er/x": World.long(2),
  large: World.long(20)
}

const plant = (world: World.World) =>
  Effect.forEach(Object.entries(texts), ([key, text]) => World.put(world, `of/${key}`, text))

const expected = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, sha256(text)]))

describe("Hash of objects", () => {
  it.effect("hashes all objects below an address, in the order of keys, each by one request if it is small", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      yield* World.put(world, "other", "not of them")

      const { all, rows, state } = yield* World.hash(world, "s3://bucket/of/")

      assert.strictEqual(state._tag, "Completed")
      assert.deepStrictEqual(rows, [])
      assert.deepStrictEqual(Object.entries(digestsOf(all)), Object.entries(expected))
      assert.deepStrictEqual(world.requests.filter((request) => request.endsWith("a/b")), ["get of/a/b"])
    }))

  it.effect("hashes one object", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)

      const { all } = yield* World.hash(world, "s3://bucket/of/a/b")

      assert.deepStrictEqual(digestsOf(all), { "": sha256("text of a/b") })
    }))

  it.effect("fails keys that are no path by themselves", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      for (const key of ["of/a//b", "of/../x", "of/nul\0"]) yield* World.put(world, key, "text")

      const { all, rows, state } = yield* World.hash(world, "s3://bucket/of")

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.strictEqual(rows.length, 3)
      for (const row of rows) assert.include(row, "can't be a file")
      assert.deepStrictEqual(digestsOf(all), expected)
    }))

  it.effect("hashes what is left once a process is killed, whenever that is", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      for (let at = 1, isKilled = true; isKilled; at++) {
        const result = yield* World.hash(world, "s3://bucket/of", {
          kill: { at, when: at % 2 === 0 ? "after" : "before" }
        })

        isKilled = result.isKilled
        assert.strictEqual(result.state._tag, "Completed")
        assert.deepStrictEqual(digestsOf(result.all), expected)
      }
    }))

  it.effect("waits while the store can't be reached", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      let isDown = false
      world.before = ({ call, key }) => {
        isDown ||= call === "get"
        return isDown
          ? Effect.fail(World.failure(StoreReason.cases.Unreachable.make({ code: "ECONNREFUSED" }), call, key))
          : Effect.void
      }

      const { all, state, stopped } = yield* World.hash(world, "s3://bucket/of", {
        whenStopped: Effect.sync(() => void (world.before = () => Effect.void))
      })

      assert.strictEqual(stopped._tag, "Queued")
      assert.strictEqual(state._tag, "Completed")
      assert.deepStrictEqual(digestsOf(all), expected)
    }))

  it.effect("fails an object alone that can't be read while the store answers", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      world.before = ({ call, key }) =>
        call === "get" && key === "of/a-b"
          ? Effect.fail(World.failure(StoreReason.cases.Unreachable.make({ code: "ECONNRESET" }), call, key))
          : Effect.void

      const { all, rows } = yield* World.hash(world, "s3://bucket/of")

      assert.strictEqual(rows.length, 1)
      assert.include(rows[0], "s3://bucket/of/a-b")
      const { "a-b": _, ...others } = expected
      assert.deepStrictEqual(digestsOf(all), others)
    }))
})
