import { assert, describe, it } from "@effect/vitest"
import type * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import { stride } from "../../../test/effort.ts"
import { refuseSources } from "../src/internal/objects/addressRefusal.ts"
import * as World from "./objectHarness.ts"

const contents: Readonly<Record<string, string>> = { a: "text of a", large: World.long(2), empty: "" }

const plant = Effect.fnUntraced(function*(world: World.World) {
  for (const [name, text] of Object.entries(contents)) {
    world.disk.file(`/from/${name}`, text)
    yield* World.put(world, `x/${name}`, text)
  }
})

const ways = [
  { name: "up", source: "/from", destination: "s3://other/y" },
  { name: "down", source: "s3://bucket/x", destination: "/to/y" },
  { name: "by the store", source: "s3://bucket/x", destination: "s3://other/y" },
  { name: "between providers", source: "s3://bucket/x", destination: "s3://other/y", provider: "elsewhere" }
]

const checksums = { algorithm: "sha256", output: FilePath.make("/sums") } as const

const lines = Object.entries(contents)
  .map(([name, text]) => `${createHash("sha256").update(text).digest("hex")}  y/${name}`)
  .toSorted()

const written = ({ disk }: World.World): ReadonlyArray<string> => {
  const seen = disk.see("/sums")
  return seen?.kind === "file"
    ? seen.text.trimEnd().split("\n").map((line) => line.replace(/ {2}.*\/y\//, "  y/")).toSorted()
    : []
}

describe("Options of copies with objects", () => {
  it.effect.each(ways)(
    "write checksums of what is copied, and of what is there already ($name)",
    (way) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(World.ofSmallParts, way.provider)
        yield* plant(world)
        const options = { request: { checksums, noTargetDirectory: true } }

        const first = yield* World.copy(world, way.source, way.destination, options)
        const sums = written(world)
        world.disk.remove(FilePath.make("/sums"))
        const second = yield* World.copy(world, way.source, way.destination, options)

        assert.deepStrictEqual([first.rows, second.rows], [[], []])
        assert.deepStrictEqual(sums, lines)
        assert.deepStrictEqual(written(world), lines)
        assert.strictEqual(second.tally.tags?.["Unchanged"], 3)
      })
  )

  it.effect.each(ways)("write checksums wherever the process is killed ($name)", (way) =>
    Effect.gen(function*() {
      for (let at = 1;; at += stride(5)) {
        const world = yield* World.makeWorld(World.ofSmallParts, way.provider)
        yield* plant(world)

        const { isKilled, rows } = yield* World.copy(world, way.source, way.destination, {
          kill: { at, when: "after" },
          request: { checksums }
        })

        assert.deepStrictEqual([rows, written(world)], [[], lines], `killed after request ${at}`)
        if (!isKilled) break
      }
    }))

  it.effect.each(ways)("make a copy durable ($name)", (way) =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts, way.provider)
      yield* plant(world)
      const flushes: Array<string> = []

      const { requests } = world
      yield* World.copy(world, way.source, way.destination)
      const plain = requests.length
      for (const key of yield* World.keys({ store: world.other })) yield* world.other.remove([key])
      if (way.name === "down") {
        for (const name of Object.keys(contents)) world.disk.remove(FilePath.make(`/to/y/${name}`))
      }
      const { rows, state } = yield* World.copy(world, way.source, way.destination, {
        files: (call) => Effect.sync(() => void (/sync/.test(call) && flushes.push(call))),
        request: { durable: true, noTargetDirectory: true }
      })

      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      assert.strictEqual(flushes.length > 0, way.name === "down")
      // Nothing more is asked of the store, but for the empty object, which is looked at where it is copied alone.
      assert.isAtMost(requests.length, plain + (way.name === "by the store" ? 1 : 0))
    }))

  it.effect.each<readonly [source: string, options: Partial<Copy.Request>, why: string]>([
    [
      "s3://bucket/x",
      { verify: true },
      `A copy between addresses can't be made with "verify": leave it out, and compare by fanout verify afterwards`
    ],
    ["s3://bucket/x", { preserve: ["links"] }, `An object can't be copied to with "links": leave it out`],
    ["/from", { preserve: ["mode", "owner"] }, `An object can't be copied to with "owner": leave it out`],
    ["/from", { preserve: ["xattr"], verify: true }, `An object can't be copied to with "xattr": leave it out`]
  ])(
    "are refused that have no meaning for copies from %s to objects: %o",
    ([source, request, why]) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        yield* World.put(world, "x/a", "text")

        const error = yield* Effect.flip(World.plan(world, source, "s3://other/y", { request }))

        assert.strictEqual(error.message, why)
      })
  )

  it.effect("are not looked at for files and objects together, which nothing copies or hashes", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const sources = ["/from", "s3://bucket/x"] as const

      const copied = yield* Effect.flip(World.plan(world, sources, "s3://other/y"))
      const hashed = yield* Effect.flip(refuseSources(sources.map((path) => FilePath.make(path))))

      assert.deepStrictEqual([copied.message, hashed.message], [
        "Files and objects can't be copied by one job: copy them one after the other",
        "Files and objects can't be hashed by one job: hash them one after the other"
      ])
      yield* refuseSources([FilePath.make("s3://bucket/x"), FilePath.make("s3://other/y")])
    }).pipe(Effect.provide(Layer.mock(Files.Files, { find: () => Effect.succeedNone }))))
})
