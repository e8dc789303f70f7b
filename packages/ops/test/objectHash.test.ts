import { assert, describe, it } from "@effect/vitest"
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Hash from "@fanout/ops/Hash"
import * as HashCheck from "@fanout/ops/HashCheck"
import { StoreReason } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { stride } from "../../../test/effort.ts"
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

describe("HashCheck of objects", () => {
  it.effect("fails lines by themselves whose addresses are none, and keeps nothing of secrets in them", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      const names = [
        "s3://bucket/of/a-b",
        "gs://b/x",
        "s3://id:SECRET@bucket/of/a-b",
        "s3://a$b/x",
        "s3://bucket/of/a/b"
      ]
      const digest = (name: string) => expected[name.replace("s3://bucket/of/", "")] ?? sha256("")
      world.disk.file("/SUMS", names.map((name) => `${digest(name)}  ${name}\n`).join(""))
      const { at } = world.stores
      const stores: World.World["stores"] = {
        at: (address) =>
          address.bucket === "a$b"
            ? Effect.fail(World.failure(StoreReason.cases.Misconfigured.make({ detail: "no such name" }), "configure"))
            : at(address)
      }

      const { all, lines, state } = yield* World.check({ ...world, stores }, "/SUMS")

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.deepStrictEqual(lines.map(({ status }) => status), ["ok", "unreadable", "unreadable", "unreadable", "ok"])
      assert.include(lines[1]?.why, `"gs://b/x" is no address of a cloud: the scheme "gs" is not known`)
      assert.include(lines[2]?.why, `"s3://…@bucket/of/a-b" is no address of a cloud`)
      assert.include(lines[3]?.why, "no such name")
      assert.notInclude(JSON.stringify(all), "SECRET")
    }))

  it.effect("fails lines by themselves whose bucket is gone, or elsewhere", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      const names = ["s3://bucket/of/a-b", "s3://gone/x", "s3://other/y", "s3://bucket/of/a/b"]
      const digest = (name: string) => expected[name.replace("s3://bucket/of/", "")] ?? sha256("")
      world.disk.file("/SUMS", names.map((name) => `${digest(name)}  ${name}\n`).join(""))
      world.before = ({ key }) =>
        key === "y" ? Effect.fail(World.failure(StoreReason.cases.RegionWrong.make({}), "get", key)) : Effect.void

      const { lines, state } = yield* World.check(world, "/SUMS")

      assert.deepStrictEqual(lines.map(({ status }) => status), ["ok", "unreadable", "unreadable", "ok"])
      assert.include(lines[1]?.why, "there is no such bucket")
      assert.include(lines[2]?.why, "another region")
      assert.strictEqual(state._tag, "CompletedWithErrors")
    }))

  it.effect("tells of objects that any line names, and of no secret", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const of = (...names: ReadonlyArray<string>) => {
        world.disk.file("/SUMS", names.map((name) => `${sha256("")}  ${name}\n`).join(""))
        return Effect.tap(
          Effect.map(World.planCheck(world, "/SUMS"), HashCheck.likelyPaths),
          () => Effect.sync(() => world.disk.remove("/SUMS"))
        )
      }

      const found = [
        yield* of("/from/a", "b"),
        yield* of("/from/a", "s3://bucket/a", "s3://other/b"),
        yield* of("s3://id:SECRET@bucket/a", "gs://b/c")
      ]
      assert.deepStrictEqual(found.map(String), ["/,/from", "/,/from,s3://bucket", "/"])
    }))
})

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
      for (let at = 1, isKilled = true; isKilled; at += stride(3)) {
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
