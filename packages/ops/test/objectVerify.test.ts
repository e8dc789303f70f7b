import { assert, describe, it } from "@effect/vitest"
import { StoreReason } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import { stride } from "../../../test/effort.ts"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

/** Files of a tree that is in the cloud, too. */
const plant = (world: World.World) =>
  Effect.gen(function*() {
    const { disk } = world
    for (const folder of ["a", "a-", "empty", "deep", "deep/er"]) disk.folder(`/from/${folder}`)
    for (const name of ["a/b", "a.txt", "a-/c", "a0", "deep/er/x", "deep/er/😀", "é"]) {
      disk.file(`/from/${name}`, `text of ${name}`, times)
    }
    disk.file("/from/nothing", "")
    disk.file("/from/large", World.long(20))
    const { rows } = yield* World.copy(world, "/from", "s3://bucket/copy")
    assert.deepStrictEqual(rows, [])
  })

const times = { mode: 0o640, modified: 1_700_000_000_123_456_789n }

/** Puts another file in the place of one. */
const replace = ({ disk }: World.World, path: string, text: string, options: Partial<typeof times> = times) => {
  disk.remove(path)
  disk.file(path, text, options)
}

/** Keeps no checksums, and makes parts of files above 1 MiB, whose ETags tell nothing of the whole. */
const withoutChecksums = { ...World.ofSmallParts, checksum: undefined }

describe("Verify with objects", () => {
  it.effect("finds no difference between a tree and its copy, reading no object that has a checksum", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)

      const { differences, state, tally, units } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(differences, {})
      assert.strictEqual(state._tag, "Completed")
      assert.deepStrictEqual(tally.tags, { Same: 9, FolderSame: 6 })
      assert.strictEqual(units["comparedByChecksum"], 9)
      assert.deepStrictEqual(world.requests.filter((request) => request.startsWith("get")), [])
    }))

  it.effect("compares objects with objects, and a cloud with a folder", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      yield* World.copy(world, "/from", "s3://bucket/second")

      const both = yield* World.verify(world, "s3://bucket/copy", "s3://bucket/second")
      const requests = [...world.requests]
      const back = yield* World.verify(world, "s3://bucket/copy", "/from")

      assert.deepStrictEqual([both.differences, back.differences], [{}, {}])
      assert.strictEqual(both.units["comparedByChecksum"], 8)
      assert.deepStrictEqual(requests.filter((request) => request.startsWith("get")), [])
    }))

  it.effect("reads objects that have no checksum of the whole", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(withoutChecksums)
      yield* plant(world)

      const same = yield* World.verify(world, "/from", "s3://bucket/copy")
      replace(world, "/from/large", World.long(20).replace("line 600000", "Line 600000"))
      const other = yield* World.verify(world, "/from", "s3://bucket/copy", { ignore: ["times"] })

      assert.deepStrictEqual(same.differences, {})
      assert.deepStrictEqual([same.units["comparedByChecksum"], same.units["comparedByReading"]], [8, 1])
      assert.deepStrictEqual(Object.keys(other.differences), ["large"])
      assert.match(other.differences["large"] ?? "", /differs from byte 19\d{6} on/)
    }))

  it.effect("tells what differs", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      const { disk } = world
      replace(world, "/from/a.txt", "text oF a.txt")
      replace(world, "/from/a0", "longer than it was")
      replace(world, "/from/deep/er/x", "text of deep/er/x", { mode: 0o600, modified: 1_700_000_001_123_456_789n })
      disk.file("/from/new", "new")
      disk.symlink("/from/link", "new")
      yield* World.put(world, "copy/a!/x", "more")
      yield* World.put(world, "copy/a/more", "more")
      yield* World.put(world, "copy/new/x", "a folder")

      const { differences, rows } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(Object.keys(differences).toSorted(), ["a!", "a.txt", "a/more", "a0", "deep/er/x", "new"])
      assert.match(differences["a.txt"] ?? "", /^md5 \w{32} in A, \w{32} in B$/)
      assert.strictEqual(differences["a0"], "18 bytes in A, 10 bytes in B")
      assert.match(differences["deep/er/x"] ?? "", /^mode 0600 in A, 0640 in B; modified/)
      assert.strictEqual(differences["new"], "a file in A, a folder in B")
      assert.strictEqual(differences["a!"], "nothing in A, a folder with 1 entry in B")
      assert.strictEqual(rows.filter((row) => row.includes("it is a link")).length, 1)
    }))

  it.effect("compares one object with one file, and refuses what is no two trees", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      const refusal = (a: string, b: string) =>
        Effect.map(Effect.flip(World.verify(world, a, b)), (error) => error instanceof Error ? error.message : "")

      const { differences, tally } = yield* World.verify(world, "s3://bucket/copy/a0", "/from/a0")
      const other = yield* World.verify(world, "s3://bucket/copy/a0", "/from/a.txt")

      assert.deepStrictEqual([differences, tally.tags], [{}, { Same: 1 }])
      assert.deepStrictEqual(Object.keys(other.differences), [""])
      assert.include(yield* refusal("s3://bucket/copy", "s3://bucket/copy/"), "are the same folder")
      assert.include(yield* refusal("s3://bucket/copy/a", "s3://bucket"), "is inside of")
      assert.include(yield* refusal("/from", "s3://bucket/copy/a0"), "is a folder and")
      assert.include(yield* refusal("/from", "s3://bucket/none"), "There is nothing at")
      assert.include(yield* refusal("/from", "s3://bucket/a/../b"), "has a name that is empty, . or ..")
    }))

  it.effect("leaves out what objects of other programs do not tell", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.file("/from/a", "text", { mode: 0o604, modified: 5n })
      yield* World.put(world, "copy/a", "text")

      const { differences } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(differences, {})
    }))

  it.effect("tells keys that are no path, and objects that have the name of a folder, and looks at the rest", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      for (const key of ["copy/a//b", "copy/../x", "copy/./y", "copy/nul\0", "copy/a0/x", "copy/deep/", "copy/z"]) {
        yield* World.put(world, key, "text")
      }

      const { differences } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(Object.keys(differences).toSorted(), ["", "a", "z"])
      for (const text of ["../x", "./y", "a0/x", "deep/", "nul"]) assert.include(differences[""], text)
      assert.include(differences["a"], `"/b" (a name between two slashes is empty)`)
    }))

  it.effect("tells a marker of the whole tree that has content, and passes one that has none", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      yield* World.put(world, "copy/", "")

      const empty = yield* World.verify(world, "/from", "s3://bucket/copy")
      yield* World.put(world, "copy/", "content")
      const { differences } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(empty.differences, {})
      assert.deepStrictEqual(Object.keys(differences), [""])
      assert.include(differences[""], `"copy/" (it ends with a slash and has content)`)
    }))

  it.effect("reads a file that says it has no bytes", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const { disk } = world
      const names = ["same", "other", "longer", "empty"]
      for (const name of names) disk.file(`/from/${name}`, "text", times)
      disk.file("/from/zero", "", times)
      yield* World.copy(world, "/from", "s3://bucket/copy")
      for (const name of names) disk.takes(`/from/${name}`, { tellsNoSize: true })
      yield* World.put(world, "copy/other", "")
      yield* World.put(world, "copy/longer", "text and more")

      const { differences } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(Object.keys(differences).toSorted(), ["longer", "other"])
    }))

  it.effect("tells a link that has the name of an object, or of a folder of objects, in both directions", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const { disk } = world
      disk.file("/from/file", "text", times)
      for (const name of ["object", "folder", "alone"]) disk.symlink(`/from/${name}`, "file")
      yield* World.put(world, "copy/file", "text")
      yield* World.put(world, "copy/object", "text")
      yield* World.put(world, "copy/folder/x", "text")

      const { differences, rows } = yield* World.verify(world, "/from", "s3://bucket/copy")
      const back = yield* World.verify(world, "s3://bucket/copy", "/from")

      assert.deepStrictEqual(differences, {
        folder: "a link in A, a folder in B",
        object: "a link in A, a file in B"
      })
      assert.deepStrictEqual(Object.keys(back.differences), ["folder", "object"])
      assert.strictEqual(rows.filter((row) => row.includes("it is a link")).length, 1)
    }))

  it.effect("lists a folder whose last name is behind nearly all characters", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.folder("/from/x")
      world.disk.file("/from/x/a", "text", times)
      yield* World.copy(world, "/from", "s3://bucket/copy")
      for (const name of ["\u{10fffe}", "\u{10ffff}", "\u{10ffff}\u{10ffff}"]) {
        yield* World.put(world, `copy/x/${name}`, "text")
      }
      world.before = () => world.requests.length > 100 ? Effect.die("The listing has no end") : Effect.void

      const { differences, state } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.deepStrictEqual(Object.keys(differences), ["x/\u{10fffe}", "x/\u{10ffff}", "x/\u{10ffff}\u{10ffff}"])
    }))

  it.effect("asks for a page of a thousand keys, and once for each object, in trees of many small folders", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (let folder = 0; folder < 150; folder++) {
        world.disk.folder(`/from/${folder}`)
        for (let n = 0; n < 10; n++) world.disk.file(`/from/${folder}/${n}`, `text ${n}`)
      }
      yield* World.copy(world, "/from", "s3://bucket/copy")

      const { differences, tally } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(differences, {})
      assert.strictEqual(tally.tags?.["Same"], 1500)
      const count = (call: string) => world.requests.filter((request) => request.startsWith(call)).length
      // And once for what is at the address.
      assert.isAtMost(count("head"), 1501)
      // Once for the names in the top folder, and once for all below it: none are listed once more to count them.
      assert.isBelow(count("list"), 10)
    }))

  it.effect("goes on once a process is killed, whenever that is", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(MemoryStore.memoryCapabilities)
      yield* plant(world)
      yield* World.put(world, "copy/a//b", "text")
      yield* World.put(world, "copy/more/x", "text")
      replace(world, "/from/a.txt", "text oF a.txt")
      for (let at = 1, isKilled = true; isKilled; at += stride(3)) {
        const result = yield* World.verify(world, "/from", "s3://bucket/copy", {
          kill: { at, when: at % 2 === 0 ? "after" : "before" }
        })

        isKilled = result.isKilled
        assert.deepStrictEqual(Object.keys(result.differences).toSorted(), ["a", "a.txt", "more"])
        assert.strictEqual(result.tally.tags?.["Same"], 8)
      }
    }))

  it.effect.each(["list", "head"] as const)(
    "waits while the store can't be reached (%s)",
    (failing) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        yield* plant(world)
        let isDown = false
        world.before = ({ call, key }) => {
          isDown ||= call === failing
          const reason = StoreReason.cases.Unreachable.make({ code: "ECONNREFUSED" })
          return isDown ? Effect.fail(World.failure(reason, call, key)) : Effect.void
        }

        const { differences, state, stopped } = yield* World.verify(world, "/from", "s3://bucket/copy", {
          whenStopped: Effect.sync(() => void (world.before = () => Effect.void))
        })

        assert.strictEqual(stopped._tag, "Queued")
        assert.strictEqual(state._tag, "Completed")
        assert.deepStrictEqual(differences, {})
      })
  )

  it.effect("fails an object alone that can't be looked at while the store answers", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      world.before = ({ call, key }) =>
        call === "head" && key === "copy/a0"
          ? Effect.fail(World.failure(StoreReason.cases.Unreachable.make({ code: "ECONNRESET" }), call, key))
          : Effect.void

      const { differences } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(Object.keys(differences), ["a0"])
      assert.include(differences["a0"], "can't be read in B")
    }))

  it.effect("compares the metadata of an object that is looked at once more", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      replace(world, "/from/a0", "text of a0", { mode: 0o600, modified: 1_600_000_000_123_456_789n })
      let asked = 0
      world.before = ({ call, key }) =>
        call === "head" && key === "copy/a0" && asked++ === 0
          ? Effect.fail(World.failure(StoreReason.cases.Unreachable.make({ code: "ECONNRESET" }), call, key))
          : Effect.void

      const { differences } = yield* World.verify(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(Object.keys(differences), ["a0"])
      assert.match(differences["a0"] ?? "", /^mode 0600 in A, 0640 in B; modified/)
    }))

  it.effect("tries again what has failed, and what is in a folder that only one had", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* plant(world)
      world.disk.folder("/from/later")
      world.disk.file("/from/later/x", "text of x", { modified: 1_000_000_000n })
      const mend = Effect.asVoid(
        World.put(world, "copy/later/x", "text of x", { mtime: "1.000000000" })
      )

      const { differences, state, stopped } = yield* World.verify(world, "/from", "s3://bucket/copy", {
        whenStopped: mend
      })

      assert.strictEqual(stopped._tag, "CompletedWithErrors")
      assert.deepStrictEqual([differences, state._tag], [{}, "Completed"])
    }))
})
