import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { Mode } from "../src/internal/steps/conflict.ts"
import * as World from "./objectHarness.ts"

const there = ({ other }: World.World) => ({ store: other })

const ways = [
  { name: "up", source: "/from", destination: "s3://other/y" },
  { name: "down", source: "s3://bucket/x", destination: "/to/y" },
  { name: "between", source: "s3://bucket/x", destination: "s3://other/y" }
]

const names = ["a/new", "a/same", "b/other", "b/shorter", "c"]

/** Files at the source, and at the destination some that are the same and some that are not. */
const plant = Effect.fnUntraced(function*(world: World.World, source: string, destination: string) {
  // Files were changed before that.
  yield* TestClock.setTime(9_200_000_000_000)
  const put = Effect.fnUntraced(function*(at: string, name: string, text: string, seconds: number) {
    if (FilePath.isAddress(FilePath.make(at))) {
      const metadata = { mtime: `${seconds}.000000000` }
      const [, , bucket, prefix] = at.split("/")
      yield* World.put(bucket === "other" ? there(world) : world, `${prefix}/${name}`, text, metadata)
    } else {
      const path = `${at}/${name}`
      for (const folder of [at, path.slice(0, path.lastIndexOf("/"))]) {
        if (!Object.hasOwn(world.disk.tree("/"), folder.slice(1))) world.disk.folder(folder)
      }
      world.disk.file(path, text, { modified: BigInt(seconds) * 1_000_000_000n })
    }
  })
  for (const name of names) yield* put(source, name, `text of ${name}`, 7)
  yield* put(destination, "a/same", "text of a/same", 7)
  yield* put(destination, "b/other", "TEXT of b/other", 8)
  yield* put(destination, "b/shorter", "text", 7)
})

describe("Preview of a copy with objects", () => {
  it.effect.each(ways.flatMap((way) => Mode.literals.map((conflict) => ({ conflict, way }))))(
    "does nothing, and says what the copy does then ($way.name, $conflict)",
    ({ conflict, way: { destination, source } }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        yield* plant(world, source, destination)
        const options = { conflict, request: { noTargetDirectory: true } }
        const before = [world.disk.tree("/"), yield* World.keys(world), yield* World.keys(there(world))]

        const entries = yield* World.previewCopy(world, source, destination, options)

        assert.deepStrictEqual(
          [world.disk.tree("/"), yield* World.keys(world), yield* World.keys(there(world))],
          before
        )
        const asked = world.requests.map((request) => request.split(" ")[0])
        assert.deepStrictEqual(asked.filter((call) => call !== "list" && call !== "head"), [])
        const files = entries.filter(({ kind }) => kind === "file")
        assert.deepStrictEqual(files.map(({ source: path }) => path.slice(source.length + 1)), names)
        const { rows, tally } = yield* World.copy(world, source, destination, options)
        const count = (...actions: ReadonlyArray<string>) =>
          files.filter(({ action }) => actions.includes(action)).length
        assert.strictEqual(count("Create", "Replace", "RenameTo"), tally.tags?.["Copied"] ?? 0)
        assert.strictEqual(count("Unchanged"), tally.tags?.["Unchanged"] ?? 0)
        assert.strictEqual(count("Skip", "Refuse"), rows.length)
      })
  )

  it.effect("says that a link is skipped, and that a bucket is gone", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.symlink("/from/link", "a")
      yield* World.put(world, "x/a", "text")

      const up = yield* World.previewCopy(world, "/from", "s3://bucket/y")
      world.before = ({ call, key }) =>
        call === "list" && key === "x/" ? Effect.fail(World.failure({ _tag: "BucketMissing" }, "list")) : Effect.void
      const down = yield* World.previewCopy(world, "s3://bucket/x/", "/to/y")

      assert.deepInclude(up.find(({ kind }) => kind === "link"), { action: "Skip" })
      assert.match(down.map(({ action, why }) => `${action} ${why}`).join(), /Fail .*no such bucket/)
    }))

  it.effect("asks for nothing that the listings tell", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* TestClock.setTime(9_200_000_000_000)
      for (let n = 0; n < 1200; n++) world.disk.file(`/from/${n}`, `text ${n}`)
      yield* World.copy(world, "/from", "s3://bucket/y")

      const entries = yield* World.previewCopy(world, "/from", "s3://bucket/y")

      assert.strictEqual(entries.filter(({ action }) => action === "Unchanged").length, 1200)
      assert.deepStrictEqual(world.requests, ["list y/", "list y/"])
    }))
})
