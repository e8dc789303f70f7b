import { assert, describe, it } from "@effect/vitest"
import type { ObjectStore, StoreReason } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { runs, stride } from "../../../test/effort.ts"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

/** A store that removes few keys by one request, so that few keys take several. */
const ofSmallBatches = {
  ...MemoryStore.memoryCapabilities,
  limits: { ...MemoryStore.memoryCapabilities.limits, removedKeys: 3 }
}

/** Keys of few characters, so that many begin alike. */
const Key = Schema.Array(Schema.Literals(["a", "b", "/", ".", "\0", "é", "!", "0"])).pipe(
  Schema.check(Schema.isMinLength(1), Schema.isMaxLength(6))
)

/** Keys around a folder, and some in it that are no paths. */
const inside = ["in/", "in//x", "in/../y", "in/.", "in/a", "in/a/", "in/a/b", "in/n\0l", "in/z\n", "in/é", "in/😀"]
const around = ["a", "im", "in", "in!", "in-", "in0", "in2/a", "to!", "to/a", "to/b", "to0", "xin/a"]

const plant = Effect.fnUntraced(function*(keys: ReadonlyArray<string> = [...inside, ...around]) {
  const world = yield* World.makeWorld(ofSmallBatches)
  for (const key of keys) yield* World.put(world, key, "text")
  return world
})

const sorted = (keys: ReadonlyArray<string>) => keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

describe("Delete of objects", () => {
  it.effect.each<readonly [string, gone: ReadonlyArray<string>]>([
    ["s3://bucket/in/", inside],
    ["s3://bucket/in", ["in"]],
    ["s3://bucket/to", ["to/a", "to/b"]],
    ["s3://bucket/in/a", ["in/a"]],
    ["s3://bucket/in/a/", ["in/a/", "in/a/b"]],
    ["s3://bucket/in//", ["in//x"]],
    ["s3://bucket/in/../y", ["in/../y"]]
  ])("removes the object at %s, or else all that are below, and no other", ([address, gone]) =>
    Effect.gen(function*() {
      const world = yield* plant()

      const { rows, state, units } = yield* World.remove(world, [address])

      assert.deepStrictEqual(rows, [])
      assert.strictEqual(state._tag, "Completed")
      assert.strictEqual(units["removedFiles"], gone.length)
      assert.deepStrictEqual(
        yield* World.keys(world),
        sorted([...inside, ...around].filter((key) => !gone.includes(key)))
      )
    }))

  it.effect("removes what several addresses and paths name, each once, and tells which has nothing", () =>
    Effect.gen(function*() {
      const world = yield* plant()
      world.disk.file("/from/gone", "text")

      const { rows, units } = yield* World.remove(world, [
        "s3://bucket/in/",
        "s3://bucket/in/a",
        "s3://bucket/nothing",
        "s3://bucket/a",
        "/from/gone"
      ])

      assert.deepStrictEqual(rows, [
        `s3://bucket/nothing: Could not look at "s3://bucket/nothing": it does not exist (ENOENT)`
      ])
      assert.strictEqual(units["removedFiles"], inside.length + 2)
      assert.deepStrictEqual(yield* World.keys(world), sorted(around.filter((key) => key !== "a")))
      assert.isUndefined(world.disk.see("/from/gone"))
    }))

  it.effect.each<readonly [rules: ReadonlyArray<string>, left: ReadonlyArray<string>]>([
    [["*.log"], []],
    [["b"], ["in//b", "in/../b", "in/./b", "in/a//b", "in/b"]],
    [["/b"], ["in/b"]],
    [["/a/b"], []],
    [["a/"], ["in/a/", "in/a//", "in/a//b", "in/a/.."]],
    [["*"], ["in/.", "in/..", "in//", "in//b", "in/../b", "in/./b", "in/a/", "in/a//", "in/a//b", "in/a/..", "in/b"]]
  ])(
    "takes names that no file has for others than all that rules name (%s)",
    ([rules, left]) =>
      Effect.gen(function*() {
        const names = [".", "..", "/", "/b", "../b", "./b", "a/", "a//", "a//b", "a/..", "b"]
        const world = yield* plant(names.map((name) => `in/${name}`))

        const entries = yield* World.preview(world, ["s3://bucket/in/"], { rules })
        const { state } = yield* World.remove(world, ["s3://bucket/in/"], { rules })

        assert.strictEqual(state._tag, "Completed")
        assert.deepStrictEqual(yield* World.keys(world), sorted(left))
        assert.sameMembers(
          entries.filter((entry) => entry.startsWith("Leave")),
          left.map((key) => `Leave s3://bucket/${key}`)
        )
      })
  )

  it.effect("leaves what rules leave out, and says so before", () =>
    Effect.gen(function*() {
      const world = yield* plant(["in/", "in/a.log", "in/b", "in/keep/", "in/keep/c", "in/x/keep/d", "in/x//e.log"])
      const rules = ["keep/", "*.log"]

      const entries = yield* World.preview(world, ["s3://bucket/in/"], { rules })
      yield* World.remove(world, ["s3://bucket/in/"], { rules })

      assert.deepStrictEqual(yield* World.keys(world), [
        "in/a.log",
        "in/keep/",
        "in/keep/c",
        "in/x//e.log",
        "in/x/keep/d"
      ])
      assert.deepStrictEqual(entries, [
        "Delete s3://bucket/in/",
        "Leave s3://bucket/in/a.log",
        "Delete s3://bucket/in/b",
        "Leave s3://bucket/in/keep/",
        "Leave s3://bucket/in/keep/c",
        "Leave s3://bucket/in/x//e.log",
        "Leave s3://bucket/in/x/keep/d"
      ])
    }))

  it.effect.each<readonly [string, string, RegExp]>([
    ["a bucket", "s3://bucket", /"s3:\/\/bucket" is a whole bucket, which is never deleted/],
    ["a bucket with a slash", "s3://bucket/", /is a whole bucket, which is never deleted/],
    ["an address of no known store", "gs://bucket/a", /the scheme "gs" is not known/],
    ["what is not there", "s3://bucket/nothing", /There is nothing at "s3:\/\/bucket\/nothing"/],
    ["a bucket that is not there", "s3://nobucket/a/", /there is no such bucket/],
    ["a key that is not UTF-8", "s3://bucket/\udcff", /the key is no valid Unicode/]
  ])("refuses %s", ([, address, why]) =>
    Effect.gen(function*() {
      const world = yield* plant()

      const error = yield* Effect.flip(World.planDelete(world, [address]))

      assert.match(error.message, why)
    }))

  it.effect("refuses the trash", () =>
    Effect.gen(function*() {
      const world = yield* plant()

      const error = yield* Effect.flip(World.planDelete(world, ["s3://bucket/in/"], { trash: true }))

      assert.strictEqual(error.message, `"s3://bucket/in/" can't go to the trash, since an object store has none`)
    }))

  it.effect("tells of each object that the store keeps, and tries these alone once more", () =>
    Effect.gen(function*() {
      const world = yield* plant()
      for (const key of ["in/a", "in/a/b"]) world.kept.set(key, { _tag: "Denied", code: "AccessDenied" })
      const first = yield* World.remove(world, ["s3://bucket/in/"])
      const again = yield* plant()
      for (const key of ["in/a", "in/a/b"]) again.kept.set(key, { _tag: "Denied", code: "AccessDenied" })
      const whenStopped = Effect.sync(() => {
        again.kept.clear()
        again.requests.length = 0
      })

      const second = yield* World.remove(again, ["s3://bucket/in/"], { whenStopped })

      const allow = "Have the owner of the bucket allow this for your credentials: s3:DeleteObject."
      const why = `permission denied (AccessDenied). ${allow}`
      assert.deepStrictEqual(first.rows, [
        `s3://bucket/in/a: Could not remove s3://bucket/in/a: ${why}`,
        `s3://bucket/in/a/b: Could not remove s3://bucket/in/a/b: ${why}`
      ])
      assert.strictEqual(first.state._tag, "CompletedWithErrors")
      assert.strictEqual(first.units["removedFiles"], inside.length - 2)
      assert.deepStrictEqual(second.rows, [])
      assert.strictEqual(second.units["removedFiles"], inside.length)
      assert.deepStrictEqual(again.requests.filter((request) => request.startsWith("remove")).toSorted(), [
        "remove in/a",
        "remove in/a/b"
      ])
      assert.deepStrictEqual(yield* World.keys(again), sorted(around))
    }))

  it.effect("tells of a key that is not UTF-8, and removes the others", () =>
    Effect.gen(function*() {
      const world = yield* plant()
      const { at } = world.stores
      const odd = { key: "in/\udcff", sizeBytes: 4, etag: "etag", storedMillis: 0 }
      Object.assign(world.stores, {
        at: (address: Parameters<typeof at>[0]) =>
          Effect.map(at(address), (store): ObjectStore => ({
            ...store,
            list: (prefix, options) => Stream.concat(store.list(prefix, options), Stream.succeed(odd))
          }))
      })

      const { rows, units } = yield* World.remove(world, ["s3://bucket/in/"])

      assert.deepStrictEqual(rows, [
        "s3://bucket/in/\\xff: Its key is not UTF-8, so no request can name it: remove it by means of the store's own"
      ])
      assert.strictEqual(units["removedFiles"], inside.length)
      assert.deepStrictEqual(yield* World.keys(world), sorted(around))
    }))

  it.effect("waits where the store asks for that, for single objects, too", () =>
    Effect.gen(function*() {
      const world = yield* plant()
      world.kept.set("in/a", { _tag: "Throttled", code: "SlowDown" })
      let throttled = 0
      world.before = ({ call, key }) => {
        if (call !== "remove") return Effect.void
        if (key === "in/a") world.kept.clear()
        return ++throttled > 3 ? Effect.void : Effect.fail(World.failure({ _tag: "Throttled", code: "SlowDown" }))
      }

      const { rows, state, units } = yield* World.remove(world, ["s3://bucket/in/"])

      assert.deepStrictEqual(rows, [])
      assert.strictEqual(state._tag, "Completed")
      assert.strictEqual(units["removedFiles"], inside.length)
      assert.isAbove(throttled, 3)
      assert.deepStrictEqual(yield* World.keys(world), sorted(around))
    }))

  it.effect("removes each by itself where the store takes no several", () =>
    Effect.gen(function*() {
      const world = yield* plant()
      world.before = ({ call, key }) =>
        call === "remove" && key.includes(" ")
          ? Effect.fail(World.failure({ _tag: "Unsupported", what: "NotImplemented" }, "remove"))
          : Effect.void

      const { rows, units } = yield* World.remove(world, ["s3://bucket/in/"])

      assert.deepStrictEqual(rows, [])
      assert.strictEqual(units["removedFiles"], inside.length)
      assert.deepStrictEqual(yield* World.keys(world), sorted(around))
    }))

  it.effect("has those fail alone for which the store fails while it answers", () =>
    Effect.gen(function*() {
      const world = yield* plant()
      world.kept.set("in/a", { _tag: "ServiceFailed", status: 500, code: "InternalError" })

      const { rows, state, units } = yield* World.remove(world, ["s3://bucket/in/"])

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.match(rows.join(), /^s3:\/\/bucket\/in\/a: .*the service failed \(500 InternalError\)[^,]*$/)
      assert.strictEqual(units["removedFiles"], inside.length - 1)
    }))

  it.effect.each<readonly [string, StoreReason, state: string]>([
    ["the network is gone", { _tag: "Unreachable", code: "ECONNREFUSED" }, "Queued"],
    ["credentials have expired", { _tag: "CredentialsExpired", code: "ExpiredToken" }, "Paused"],
    ["the bucket is gone", { _tag: "BucketMissing" }, "Paused"]
  ])("waits while %s, and removes the rest then", ([, reason, state]) =>
    Effect.gen(function*() {
      for (const call of ["list", "remove"] as const) {
        const world = yield* plant()
        let [isBroken, count] = [true, 0]
        // All that is asked from there on.
        world.before = (request) => {
          if (request.call === call) count++
          return isBroken && count > (call === "list" ? 0 : 1)
            ? Effect.fail(World.failure(reason, request.call))
            : Effect.void
        }

        const { rows, state: ended, stopped, units } = yield* World.remove(world, ["s3://bucket/in/"], {
          whenStopped: Effect.sync(() => {
            isBroken = false
          })
        })

        assert.strictEqual(stopped._tag, state, call)
        assert.strictEqual(ended._tag, "Completed")
        assert.deepStrictEqual(rows, [])
        assert.strictEqual(units["removedFiles"], inside.length)
        assert.deepStrictEqual(yield* World.keys(world), sorted(around))
      }
    }))

  it.effect.each(["before", "after"] as const)(
    "goes on when it was killed %s any request",
    (when) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(5)) {
          const world = yield* plant()

          const { isKilled, rows, state, units } = yield* World.remove(world, ["s3://bucket/in/"], {
            kill: { at, when }
          })

          assert.deepStrictEqual(rows, [])
          assert.strictEqual(state._tag, "Completed")
          assert.deepStrictEqual(yield* World.keys(world), sorted(around))
          // What was removed and not recorded before a kill is not listed any more.
          if (!isKilled) {
            assert.strictEqual(units["removedFiles"], inside.length)
            assert.isAbove(at, inside.length / 3)
            return
          }
        }
      })
  )

  it.effect.prop(
    "removes just the keys below a prefix, whatever these are, and wherever it was killed",
    { keys: Schema.Array(Key), at: Schema.Natural.check(Schema.isLessThan(12)) },
    Effect.fnUntraced(function*({ at, keys }) {
      const all = Array.from(new Set([...keys.map((key) => key.join("")), "a/first"]))
      const world = yield* plant(all)

      const { rows, state } = yield* World.remove(world, ["s3://bucket/a/"], { kill: { at, when: "after" } })

      assert.deepStrictEqual(rows, [])
      assert.strictEqual(state._tag, "Completed")
      assert.deepStrictEqual(yield* World.keys(world), sorted(all.filter((key) => !key.startsWith("a/"))))
    }),
    { arbitrary: { runs: runs(100) } }
  )
})
