import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Hash from "@fanout/ops/Hash"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { runs } from "../../../test/effort.ts"
import * as World from "./objectHarness.ts"

const folder = ["x/photos/", "x/photos/a", "x/photos/b/c"]
const keys = ["x/photos", ...folder, "x/photos.txt", "x/photos0"]

const Given = Schema.Struct({
  keys: Schema.Array(Schema.Literals(keys)),
  address: Schema.Literals(["s3://bucket/x/photos", "s3://bucket/x/photos/", "s3://bucket/x/photos//"]),
  does: Schema.Literals(["copy down", "copy between", "move down", "move between", "hash", "verify", "delete"])
})

/** Keys that an address names; nothing where it is refused. */
const named = (there: ReadonlySet<string>, address: string, deletes: boolean) => {
  const inside = folder.filter((key) => there.has(key))
  const isObject = there.has("x/photos")
  if (address.endsWith("/")) return inside.length === 0 ? undefined : inside
  if (isObject) return inside.length > 0 && !deletes ? undefined : ["x/photos"]
  return inside.length === 0 ? undefined : inside
}

describe("An address", () => {
  it.effect.prop(
    "names an object, or a folder where a slash says so or there is no object, and whatever is done meets no other key",
    { given: Given },
    ({ given: { address, does, keys } }) =>
      Effect.gen(function*() {
        // The key that a name between two slashes is empty in is deleted by that alone.
        if (does === "delete" && address.endsWith("//")) return
        const world = yield* World.makeWorld()
        const there = new Set(keys)
        for (const key of there) yield* World.put(world, key, key.endsWith("/") ? "" : key)
        const all = yield* World.keys(world)
        const expected = named(there, address, does === "delete")
        const files = expected?.filter((key) => !key.endsWith("/"))
        const isFolder = expected?.includes("x/photos") === false

        if (does === "delete") {
          if (expected === undefined) {
            yield* Effect.flip(World.planDelete(world, [address]))
            return
          }
          const shown = yield* World.preview(world, [address])
          const { tally, units } = yield* World.remove(world, [address])
          assert.deepStrictEqual(
            shown.filter((one) => one.startsWith("Delete")),
            expected.map((key) => `Delete s3://bucket/${key}`)
          )
          assert.strictEqual(units["removedFiles"] ?? 0, expected.length)
          assert.strictEqual(tally.failed, 0)
          assert.deepStrictEqual(yield* World.keys(world), all.filter((key) => !expected.includes(key)))
          return
        }
        if (does === "verify") {
          const compared = isFolder ? "/from" : "/from/file"
          world.disk.file("/from/file", "other")
          const result = yield* Effect.result(World.verify(world, address, compared))
          if (expected === undefined) return assert.strictEqual(result._tag, "Failure")
          assert.strictEqual(result._tag, "Success")
          const names = result._tag === "Success" ? Object.keys(result.success.differences) : []
          const top = isFolder ? ["file", ...new Set(files?.map((key) => key.split("/")[2] ?? ""))] : [""]
          return assert.deepStrictEqual(names.toSorted(), top.toSorted())
        }
        if (does === "hash") {
          const result = yield* Effect.result(World.hash(world, address))
          if (result._tag === "Failure") return assert.isUndefined(expected)
          assert.strictEqual(result.success.rows.length, expected === undefined ? 1 : 0)
          return assert.deepStrictEqual(
            result.success.all.flatMap(Hash.fromRow).flatMap(({ files }) => files.map(({ path }) => path)),
            (files ?? []).map((key) => key.slice("x/photos/".length))
          )
        }
        const [verb, way] = does.split(" ")
        const destination = way === "down" ? "/to" : "s3://other/y/"
        const moves = verb === "move"
        const options = { moves, ...moves ? { conflict: "overwrite" as const } : {} }
        const shown = yield* Effect.result(World.previewCopy(world, address, destination, options))
        const result = yield* Effect.result(World.copy(world, address, destination, options))
        const made = way === "down"
          ? Object.entries(World.treeOf(world, "/to")).flatMap(([path, { kind }]) => kind === "file" ? [path] : [])
          : yield* World.keys({ store: world.other })
        const isMade = (key: string) => key.replace("x/", way === "down" ? "" : "y/")
        assert.deepStrictEqual(
          made.filter((key) => !key.endsWith("/")).map((path) => path.replace(/^\/to\//, "")).toSorted(),
          (files ?? []).map(isMade).toSorted()
        )
        assert.strictEqual(shown._tag, expected === undefined ? "Failure" : "Success")
        assert.strictEqual(result._tag, shown._tag)
        if (shown._tag === "Success" && result._tag === "Success") {
          assert.deepStrictEqual(result.success.rows, [])
          const copied = shown.success.filter(({ action, kind }) => action === "Create" && kind === "file")
          assert.strictEqual(copied.length, files?.length)
        }
        const gone = moves ? expected ?? [] : []
        assert.deepStrictEqual(yield* World.keys(world), all.filter((key) => !gone.includes(key)))
      }),
    { arbitrary: { runs: runs(300) } }
  )

  it.effect("without a slash says how to name an object, and a folder of its name", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (const key of ["x/photos", "x/photos/a"]) yield* World.put(world, key, key)

      const error = yield* Effect.flip(World.plan(world, "s3://bucket/x/photos", "/to"))

      assert.strictEqual(
        error.message,
        `"s3://bucket/x/photos" is an object, and there is a folder "s3://bucket/x/photos/": ` +
          `name that, or "s3://bucket/x/" with rules for both`
      )
    }))

  it.effect.each(["copy", "move", "hash"])(
    "of a folder stays that where an object of its name comes later: %s",
    (does) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        for (const key of folder) yield* World.put(world, key, key.endsWith("/") ? "" : key)
        world.before = ({ number }) => number === 1 ? World.put(world, "x/photos", "object") : Effect.void

        const { all } = does === "hash"
          ? yield* World.hash(world, "s3://bucket/x/photos")
          : yield* World.copy(world, "s3://bucket/x/photos", "/to", { moves: does === "move" })

        const met = does === "hash"
          ? all.flatMap(Hash.fromRow).flatMap(({ files }) => files.map(({ path }) => `photos/${path}`))
          : Object.entries(World.treeOf(world, "/to")).flatMap(([path, { kind }]) => kind === "file" ? [path] : [])
        assert.deepStrictEqual(met, ["photos/a", "photos/b/c"])
        const left = does === "move" ? [] : folder
        assert.deepStrictEqual(yield* World.keys(world), ["x/photos", ...left])
      })
  )

  it.effect("is refused beside one that differs by a slash, where both would get one name", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* World.put(world, "x/photos/a", "a")
      const both = ["s3://bucket/x/photos", "s3://bucket/x/photos/"] as const

      const transfers = (yield* World.plan(world, both, "/to")).transfers
      yield* World.put(world, "x/photos", "object")
      const result = yield* Effect.result(World.plan(world, both, "/to"))

      assert.deepStrictEqual(transfers.map(({ target }) => target), [FilePath.make("/to/photos")])
      assert.strictEqual(result._tag, "Failure")
    }))
})
