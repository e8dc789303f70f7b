import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import type { ObjectContent } from "@fanout/ops/ObjectStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { stride } from "../../../test/effort.ts"
import type * as Conflict from "../src/internal/steps/conflict.ts"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

/** A tree with all that objects can hold, and names that come between a folder and what is in it. */
const plant = ({ disk }: World.World): ReadonlyArray<string> => {
  for (const folder of ["a", "a-", "empty", "é", "deep", "deep/er"]) disk.folder(`/from/${folder}`)
  const files = ["a/b", "a.txt", "a-/c", "a0", "a!", "deep/er/x", "é/ü", "deep/er/😀", "b c", "100%", "a/b+?&=#"]
  files.forEach((name, index) =>
    disk.file(`/from/${name}`, `text of ${name}`, { mode: 0o640, modified: 1_700_000_000_123_456_789n + BigInt(index) })
  )
  return files
}

describe("Copy to objects", () => {
  it.effect("puts files under their paths, with time and mode, and a marker for an empty folder", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const { disk } = world
      for (const folder of ["/from/a", "/from/empty"]) disk.folder(folder)
      disk.file("/from/a/b", "text of b", { mode: 0o640, modified: 1_700_000_000_123_456_789n })
      disk.file("/from/a.txt", "text of a.txt")
      disk.symlink("/from/link", "a.txt")

      const { rows, state, tally } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(state._tag, "Completed")
      assert.deepStrictEqual(yield* World.keys(world), ["copy/a.txt", "copy/a/b", "copy/empty/"])
      const { metadata: { "fanout-upload": _, ...metadata }, text } = yield* World.read(world, "copy/a/b")
      assert.strictEqual(text, "text of b")
      assert.deepStrictEqual(metadata, { mtime: "1700000000.123456789", mode: "0100640" })
      assert.deepStrictEqual(rows, [
        "/from/link: it is a link, which no object can be: --dereference copies what it leads to"
      ])
      assert.deepStrictEqual(tally.tags, { Copied: 2, FolderMade: 3, FolderEnded: 3 })
    }))

  it.effect.each(["changed", "rename"] as const)(
    "gives objects the types that their names tell (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(World.ofSmallParts)
        const types = {
          "index.html": "text/html",
          "A.JPG": "image/jpeg",
          "archive.tar.gz": "application/gzip",
          "large.mp4": "video/mp4",
          "none": undefined,
          "json": undefined,
          ".css": undefined,
          "text.unknown": undefined
        }
        for (const name of Object.keys(types)) {
          world.disk.file(`/from/${name}`, name === "large.mp4" ? World.long(2) : name)
        }

        yield* World.copy(world, "/from", "s3://bucket/", { conflict })

        for (const [name, type] of Object.entries(types)) {
          const { attributes } = yield* World.read(world, `from/${name}`)
          assert.deepStrictEqual(attributes, type === undefined ? {} : { "content-type": type }, name)
        }
      })
  )

  it.effect.each<readonly [destination: string, keys: ReadonlyArray<string>]>([
    ["s3://bucket", ["from/a"]],
    ["s3://bucket/", ["from/a"]],
    ["s3://bucket/x", ["x/a"]],
    ["s3://bucket/x/", ["x/from/a"]]
  ])("goes into what is a folder, whatever is there (%s)", ([destination, keys]) =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.file("/from/a", "text of a")

      yield* World.copy(world, "/from", destination)
      yield* World.copy(world, "/from", destination)

      assert.deepStrictEqual(yield* World.keys(world), keys)
    }))

  it.effect("asks for no object a second time, if nothing has changed", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      // Files were changed before that.
      yield* TestClock.setTime(9_200_000_000_000)
      for (let folder = 0; folder < 3; folder++) {
        world.disk.folder(`/from/${folder}`)
        for (let n = 0; n < 400; n++) world.disk.file(`/from/${folder}/${n}`, `text ${n}`)
      }

      const first = yield* World.copy(world, "/from", "s3://bucket/copy")
      const puts = world.requests.filter((request) => request.startsWith("put"))
      const second = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(first.tally.tags?.["Copied"], 1200)
      assert.strictEqual(puts.length, 1200)
      assert.strictEqual(second.tally.tags?.["Unchanged"], 1200)
      assert.deepStrictEqual(world.requests, ["list copy/", "list copy/"])
    }))

  it.effect("asks for the time of an object that may be another one, and for nothing else of it", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (const name of ["same", "longer", "other"]) world.disk.file(`/from/${name}`, "text", { modified: 1_000_000n })
      yield* World.copy(world, "/from", "s3://bucket/copy")
      for (const name of ["longer", "other"]) world.disk.remove(FilePath.make(`/from/${name}`))
      world.disk.file("/from/longer", "longer text", { modified: 1_000_000n })
      world.disk.file("/from/other", "TEXT", { modified: 2_000_000n })

      const { tally } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual(tally.tags, { Copied: 2, Unchanged: 1, FolderMade: 1, FolderEnded: 1 })
      assert.deepStrictEqual(world.requests.toSorted(), [
        "head copy/other",
        "head copy/same",
        "list copy/",
        "put copy/longer",
        "put copy/other"
      ])
    }))

  it.effect.each<readonly [mode: Conflict.Mode, text: string, rows: number, other: string | undefined]>([
    ["changed", "mine", 0, undefined],
    ["overwrite", "mine", 0, undefined],
    ["skip", "theirs", 1, undefined],
    ["error", "theirs", 1, undefined],
    ["rename", "theirs", 0, "mine"]
  ])(
    "decides about an object in the way as about a file (%s)",
    ([conflict, text, rows, other]) =>
      Effect.gen(function*() {
        for (const isListed of [true, false]) {
          const world = yield* World.makeWorld()
          world.disk.file("/from/a.txt", "mine")
          // It comes after the listing, or is in it.
          const come = World.put(world, "copy/a.txt", "theirs")
          if (isListed) yield* come
          else world.after = ({ call }) => call === "list" ? Effect.asVoid(come) : Effect.void

          const result = yield* World.copy(world, "/from", "s3://bucket/copy", { conflict })

          assert.strictEqual((yield* World.read(world, "copy/a.txt")).text, text)
          assert.strictEqual(result.rows.length, rows)
          const renamed = yield* Effect.option(World.read(world, "copy/a (1).txt"))
          assert.strictEqual(Option.getOrUndefined(renamed)?.text, other)
        }
      })
  )

  it.effect("puts files by a retry, though nothing is in their folder yet", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.folder("/from/folder")
      world.disk.file("/from/folder/a", "text")
      const denied = World.failure({ _tag: "Denied", code: "AccessDenied" })
      world.before = ({ call }) => call === "put" ? Effect.fail(denied) : Effect.void
      const whenStopped = Effect.sync(() => {
        world.before = () => Effect.void
      })

      const { rows, state, stopped } = yield* World.copy(world, "/from", "s3://bucket/copy", { whenStopped })

      assert.deepStrictEqual([stopped._tag, state._tag, rows], ["CompletedWithErrors", "Completed", []])
      assert.deepStrictEqual(yield* World.keys(world), ["copy/folder/a"])
    }))

  it.effect("fails a name that is not UTF-8, and nothing beside it", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.file(FilePath.fromBytes(Uint8Array.of(...Buffer.from("/from/"), 0xff)), "text")
      world.disk.file("/from/a", "text")

      const { rows, state } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.match(rows.join(), /not UTF-8/)
      assert.deepStrictEqual(yield* World.keys(world), ["copy/a"])
    }))
})

/** An answer to a reading with other bytes. */
const withBytes = (change: (bytes: Uint8Array) => Uint8Array) => (content: ObjectContent): ObjectContent => ({
  ...content,
  bytes: Stream.map(content.bytes, change)
})

/** An answer to a reading that tells something else of its object. */
const withInfo = (info: Partial<ObjectContent["info"]>) => (content: ObjectContent): ObjectContent => ({
  ...content,
  info: { ...content.info, ...info }
})

describe("Copy from objects", () => {
  it.effect.each([{}, { dereference: true as const }])(
    "makes no file of a key that is no path, and fails it alone, also where it is tried again (%o)",
    (request) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        const bad = ["../evil", "/abs", "a//b", "a/./b", "a/../../evil", "dir/", "n".repeat(256), "a/nul\0"]
        for (const key of bad) yield* World.put(world, `x/${key}`, "bad")
        for (const key of ["a/b", "z"]) yield* World.put(world, `x/${key}`, "good")
        const before = world.disk.tree("/")

        const { rows, state } = yield* World.copy(world, "s3://bucket/x", "/to/copy", {
          request,
          whenStopped: Effect.void
        })

        assert.strictEqual(state._tag, "CompletedWithErrors")
        assert.strictEqual(rows.filter((row) => row.includes("can't be a file")).length, bad.length, rows.join("\n"))
        for (const key of bad) {
          const named = `s3://bucket/x/${key.replace("\0", "\u2400")}: The object "x/${
            key.replace("\0", "\\x00")
          }" can't`
          assert.isTrue(rows.some((row) => row.startsWith(named)), `${named}\n${rows.join("\n")}`)
        }
        assert.deepStrictEqual(Object.keys(world.disk.tree("/to/copy")), ["a", "a/b", "dir", "z"])
        assert.deepStrictEqual(Object.keys(world.disk.tree("/")).length, Object.keys(before).length + 5)
      })
  )

  it.effect.each(["/to/y", "s3://other/y"].flatMap((to) => [false, true].map((moves) => ({ to, moves }))))(
    "copies an object, and fails what is in a folder of its name where both would be files ($to, moves: $moves)",
    ({ moves, to }) =>
      Effect.gen(function*() {
        for (const conflict of ["overwrite", "changed", "skip", "rename"] as const) {
          const world = yield* World.makeWorld()
          const keys = ["x/a", "x/a!", "x/a/b", "x/a/c/d", "x/a/e", "x/z"]
          for (const key of keys) yield* World.put(world, key, key, { mtime: "7.5" })

          const preview = yield* World.previewCopy(world, "s3://bucket/x", to, { conflict })
          const { rows, state } = yield* World.copy(world, "s3://bucket/x", to, { conflict, moves })

          const planned = preview.map(({ action, kind, source }) => `${action} ${kind} ${source}`)
          if (to === "/to/y") {
            assert.deepStrictEqual(rows, [
              `s3://bucket/x/a: The objects in "s3://bucket/x/a/" can't be files: an object has the name of its folder`
            ])
            assert.deepStrictEqual(Object.keys(world.disk.tree(to)), ["a", "a!", "z"])
            if (moves) assert.deepStrictEqual(yield* World.keys(world), ["x/a/b", "x/a/c/d", "x/a/e"])
            assert.deepStrictEqual(planned, [
              "Create folder s3://bucket/x/",
              "Create file s3://bucket/x/a",
              "Create file s3://bucket/x/a!",
              "Fail unknown s3://bucket/x/a",
              "Create file s3://bucket/x/z"
            ])
          } else {
            assert.deepStrictEqual([rows, state._tag], [[], "Completed"])
            const copied = yield* World.keys({ store: world.other })
            assert.deepStrictEqual(copied, keys.map((key) => key.replace("x", "y")))
            assert.deepStrictEqual(
              planned.filter((line) => line.includes("file")).length,
              keys.length
            )
          }
        }
      })
  )

  it.effect("fails a key that is not UTF-8 alone and once, wherever its process is killed", () =>
    Effect.gen(function*() {
      const bad = "x/b\udcff"
      for (let request = 1;; request++) {
        const world = yield* World.makeWorld()
        for (const key of ["x/a", "x/b", "x/c"]) yield* World.put(world, key, "text")
        // One at a time, so that a job has recorded each.
        Object.assign(world, { strange: [bad], pageKeys: 1, before: () => Effect.sleep("1 second") })

        const { isKilled, rows } = yield* World.copy(world, "s3://bucket/x", "/to/copy", {
          kill: { at: request, when: "after" }
        })

        assert.deepStrictEqual(rows.map((row) => row.replace(/^.*: The/, "The")), [
          `The object "x/b\\xff" can't be a file: it is not UTF-8`
        ])
        assert.deepStrictEqual(Object.keys(world.disk.tree("/to/copy")), ["a", "b", "c"])
        if (!isKilled) break
      }
    }))

  it.effect("copies one object, and tells of one that is not there", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* World.put(world, "x/a", "text of a")

      const one = yield* World.copy(world, "s3://bucket/x/a", "/to")
      const none = yield* Effect.flip(World.plan(world, "s3://bucket/x/b", "/to"))

      assert.deepStrictEqual([one.state._tag, Object.keys(world.disk.tree("/to"))], ["Completed", ["a"]])
      assert.match(none.message, /There is nothing at "s3:\/\/bucket\/x\/b"/)
    }))

  it.effect.each<readonly [source: string, destination: string, copy: string]>([
    ["s3://bucket", "/to/copy", "/to/copy"],
    ["s3://bucket/", "/to/copy", "/to/copy"],
    ["s3://bucket", "/to", "/to/bucket"],
    ["s3://bucket/", "/to", "/to/bucket"]
  ])("copies all of a bucket (%s to %s)", ([source, destination, copy]) =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (const key of ["a", "b/c"]) yield* World.put(world, key, `text of ${key}`)

      const { rows, state } = yield* World.copy(world, source, destination)

      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      assert.deepStrictEqual(Object.keys(world.disk.tree(copy)), ["a", "b", "b/c"])
      assert.deepInclude(world.disk.tree(copy)["b/c"], { text: "text of b/c" })
    }))

  it.effect("leaves mode and times of folders that were there", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* World.put(world, "x/new/b", "text")
      yield* World.put(world, "x/sub/", "")
      world.disk.folder("/to/copy", { mode: 0o700 })
      world.disk.folder("/to/copy/sub", { mode: 0o710, modified: 7n })

      const options = { request: { noTargetDirectory: true } }
      const { state } = yield* World.copy(world, "s3://bucket/x", "/to/copy", options)

      assert.strictEqual(state._tag, "Completed")
      const tree = world.disk.tree("/to")
      assert.deepInclude(tree["copy"], { mode: 0o700 })
      assert.deepInclude(tree["copy/sub"], { mode: 0o710, modified: 7n })
      assert.deepInclude(tree["copy/new"], { mode: 0o755 })
    }))

  it.effect("reads an object again whose bytes are not those that the store has", () =>
    Effect.gen(function*() {
      for (const checksum of ["crc32", undefined] as const) {
        const world = yield* World.makeWorld({ ...MemoryStore.memoryCapabilities, checksum })
        yield* World.put(world, "x/a", "text of a")
        world.answers.set("x/a", withBytes((bytes) => bytes.map((byte, n) => n === 1 ? byte ^ 1 : byte)))

        const { rows } = yield* World.copy(world, "s3://bucket/x", "/to/copy")

        assert.deepStrictEqual(rows, [])
        assert.strictEqual(world.requests.filter((request) => request === "get x/a").length, 2)
        assert.deepInclude(world.disk.tree("/to/copy")["a"], { text: "text of a" })
      }
    }))

  it.effect.each<readonly [what: string, sizeBytes: number, change: (content: ObjectContent) => ObjectContent]>([
    ["shorter", 2 ** 23 + 1, withBytes((bytes) => bytes.subarray(1))],
    ["longer", 2 ** 23 + 1, withBytes((bytes) => Buffer.concat([bytes, bytes.subarray(0, 1)]))],
    ["of another object", 2 ** 23 + 1, withInfo({ etag: "other" })],
    ["of another size", 2 ** 23 + 1, withInfo({ sizeBytes: 2 ** 23 })],
    ["shorter", 9, withBytes((bytes) => bytes.subarray(1))],
    ["longer", 9, withBytes((bytes) => Buffer.concat([bytes, bytes]))],
    ["without its length", 9, withInfo({ sizeBytes: Number.NaN })]
  ])("reads an object again whose answer is %s, of %d bytes", ([, sizeBytes, change]) =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld({ ...MemoryStore.memoryCapabilities, checksum: undefined })
      const text = "x".repeat(sizeBytes)
      yield* World.put(world, "x/a", text)
      world.answers.set("x/a", change)

      const { rows, state } = yield* World.copy(world, "s3://bucket/x", "/to/copy")

      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      // One for each range, and at least one more.
      assert.isAbove(world.requests.filter((one) => one === "get x/a").length, Math.ceil(sizeBytes / (5 * 2 ** 20)))
      const seen = world.disk.tree("/to/copy")["a"]
      assert.isTrue(seen?.kind === "file" && seen.text === text)
    }))

  it.effect("asks for each object once, and for the time of those that may be there already", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (const key of ["x/a", "x/b"]) yield* World.put(world, key, `text of ${key}`)

      yield* World.copy(world, "s3://bucket/x", "/to/copy")
      const first = world.requests.toSorted()
      yield* World.put(world, "x/b", "text of x/c")
      const second = yield* World.copy(world, "s3://bucket/x", "/to/copy", { request: { noTargetDirectory: true } })

      assert.deepStrictEqual(first, ["get x/a", "get x/b", "list x/", "list x/"])
      assert.deepStrictEqual(world.requests.toSorted(), [
        "get x/b",
        "head x/a",
        "head x/b",
        "list x/",
        "list x/"
      ])
      assert.deepInclude(second.tally.tags, { Copied: 1, Unchanged: 1 })
    }))
})

describe("Copy to objects and back", () => {
  it.effect("makes the same tree", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const files = plant(world)

      const up = yield* World.copy(world, "/from", "s3://bucket/copy")
      const down = yield* World.copy(world, "s3://bucket/copy", "/to/copy")

      assert.deepStrictEqual([...up.rows, ...down.rows], [])
      assert.strictEqual(down.tally.tags?.["Copied"], files.length)
      assert.deepStrictEqual(World.treeOf(world, "/to/copy"), World.treeOf(world, "/from"))
    }))

  it.effect.each(["before", "after"] as const)(
    "goes on where its process was killed, %s any request",
    (when) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(5)) {
          const world = yield* World.makeWorld()
          plant(world)

          const up = yield* World.copy(world, "/from", "s3://bucket/copy", { kill: { at, when } })
          const down = yield* World.copy(world, "s3://bucket/copy", "/to/copy", { kill: { at, when } })

          assert.deepStrictEqual([...up.rows, ...down.rows], [], `killed ${when} request ${at}`)
          assert.deepStrictEqual(World.treeOf(world, "/to/copy"), World.treeOf(world, "/from"))
          if (!up.isKilled && !down.isKilled) break
        }
      })
  )
})

describe("Copy of a large file to an object", () => {
  it.effect.each(["before", "after"] as const)(
    "goes on at its part where it was killed %s any request",
    (when) =>
      Effect.gen(function*() {
        const text = World.long(6)
        for (let at = 1;; at += stride(5)) {
          const world = yield* World.makeWorld(World.ofSmallParts)
          world.disk.file("/from/large", text)

          const { isKilled, rows, state, tally } = yield* World.copy(world, "/from", "s3://bucket/copy", {
            kill: { at, when }
          })

          const message = `killed ${when} request ${at}, ${world.requests[at - 1]}`
          assert.deepStrictEqual([state._tag, rows], ["Completed", []], message)
          assert.strictEqual((yield* World.read(world, "copy/large")).text, text, message)
          assert.deepStrictEqual(yield* World.openUploads(world), [], message)
          // What was answered for is not sent again. Four parts are under way at the same time.
          const sent = world.requests.filter((one) => one.startsWith("putPart"))
          assert.isAtMost(sent.length, isKilled ? 7 + 4 : 7, message)
          // What was complete when the process was killed is found to be so.
          const isFound = when === "after" && world.requests[at - 1]?.startsWith("completeUpload") === true
          assert.strictEqual(tally.units?.["bytes"], isFound ? undefined : text.length, message)
          if (!isKilled) break
        }
      })
  )
})

describe("Copy where a store fails", () => {
  const gone = World.failure({ _tag: "Unreachable", code: "ECONNREFUSED" })

  it.effect("waits at any request that nobody answers, and goes on by itself", () =>
    Effect.gen(function*() {
      for (let at = 1;; at += stride(5)) {
        const world = yield* World.makeWorld(World.ofSmallParts)
        world.disk.file("/from/large", World.long(2))
        world.disk.file("/from/small", "text")
        const breaks = (): void => {
          world.before = ({ number }) => number >= at ? Effect.fail(gone) : Effect.void
        }
        const whenStopped = Effect.sync(() => {
          world.before = () => Effect.void
        })

        breaks()
        const up = yield* World.copy(world, "/from", "s3://bucket/copy", { whenStopped })
        const requests = world.requests.length
        world.before = () => Effect.void
        const planned = { request: { noTargetDirectory: true } }
        const down = yield* World.copy(world, "s3://bucket/copy", "/to/copy", planned)

        if (at <= requests && up.stopped._tag !== "Completed") {
          assert.deepNestedInclude(up.stopped, { _tag: "Queued", "waits.by": "network" })
        }
        assert.deepStrictEqual([up.state._tag, up.rows, down.rows], ["Completed", [], []])
        assert.deepStrictEqual(World.treeOf(world, "/to/copy"), World.treeOf(world, "/from"))
        assert.deepStrictEqual(yield* World.openUploads(world), [])
        if (up.stopped._tag === "Completed") break
      }
    }))

  it.effect("tells no end of a listing that fails: what is behind it is walked later", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (let n = 0; n < 1200; n++) yield* World.put(world, `x/folder/${n}`, "")
      let lists = 0
      world.before = ({ call }) => call === "list" && ++lists === 3 ? Effect.fail(gone) : Effect.void
      const told: Array<string> = []

      const error = yield* World.walk(world, "s3://bucket/x").pipe(
        Stream.runForEach(({ _tag }) => Effect.sync(() => void told.push(_tag))),
        Effect.flip
      )

      assert.strictEqual(error, gone)
      assert.deepStrictEqual([told.length, told.filter((tag) => tag === "Close")], [1002, []])
    }))

  it.effect("copies a file once it is tried again, though nothing is in its folder yet", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.folder("/from/a")
      world.disk.file("/from/a/b", "text")
      const denied = World.failure({ _tag: "Denied", code: "AccessDenied" })
      world.before = ({ call }) => call === "put" ? Effect.fail(denied) : Effect.void

      const { rows, state, stopped } = yield* World.copy(world, "/from", "s3://bucket/copy", {
        whenStopped: Effect.sync(() => {
          world.before = () => Effect.void
        })
      })

      assert.strictEqual(stopped._tag, "CompletedWithErrors")
      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      assert.deepStrictEqual(yield* World.keys(world), ["copy/a/b"])
    }))

  it.effect.each<readonly [what: string, sizeBytes: number]>([
    ["a large object", 2 ** 23 + 1],
    ["the time of an object", 4]
  ])("pauses where the bucket is gone, which is seen at a look for %s", ([, sizeBytes]) =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* World.put(world, "x/a", "x".repeat(sizeBytes))
      world.disk.folder("/to/copy")
      world.disk.file("/to/copy/a", "text")
      let isGone = false
      world.before = ({ call, key }) =>
        Effect.gen(function*() {
          if (call === "head" && key === "x/a") {
            isGone = true
            yield* world.store.remove([key])
          }
          if (isGone && call === "list") yield* World.failure({ _tag: "BucketMissing" }, call)
        })

      const { rows, stopped } = yield* World.copy(world, "s3://bucket/x", "/to/copy", {
        request: { noTargetDirectory: true }
      })

      assert.deepNestedInclude(stopped, { _tag: "Paused", by: "store" })
      assert.deepStrictEqual(rows, [])
    }))

  it.effect.each<readonly [call: "put" | "putPart", sizes: number]>([["put", 1], ["putPart", 4]])(
    "pauses where the store has no more room at a %s, and goes on once it has",
    ([full, parts]) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(World.ofSmallParts)
        for (const name of ["a", "b"]) world.disk.file(`/from/${name}`, parts === 1 ? "text" : World.long(parts))
        const noRoom = World.failure({ _tag: "StoreFull", code: "QuotaExceeded" })
        world.before = ({ call }) => call === full ? Effect.fail(noRoom) : Effect.void

        const { rows, state, stopped } = yield* World.copy(world, "/from", "s3://bucket/copy", {
          whenStopped: Effect.sync(() => {
            world.before = () => Effect.void
          })
        })

        assert.deepNestedInclude(stopped, { _tag: "Paused", by: "store" })
        assert.deepStrictEqual([state._tag, rows], ["Completed", []])
        assert.deepStrictEqual(yield* World.keys(world), ["copy/a", "copy/b"])
      })
  )

  it.effect.each([["0100640", 0o640], ["100640", 0o640], ["640", 0o640], ["33184", 0o640], ["33204", 0o664]] as const)(
    "takes the mode %s, of whoever has written it, for %o",
    ([mode, rights]) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        yield* World.put(world, "x/a", "text", { mtime: "7.5", mode })

        yield* World.copy(world, "s3://bucket/x", "/to")

        assert.deepInclude(world.disk.tree("/to")["x/a"], { mode: rights })
      })
  )

  it.effect("drops what it has begun where it is cancelled", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      world.disk.file("/from/large", World.long(4))
      let isGone = false
      world.before = ({ call, key }) => {
        isGone ||= call === "putPart" && key.endsWith(" 3")
        return isGone ? Effect.fail(gone) : Effect.void
      }

      const { state, stopped } = yield* World.copy(world, "/from", "s3://bucket/copy", {
        cancels: true,
        whenStopped: Effect.map(World.openUploads(world), (open) => {
          assert.strictEqual(open.length, 1)
          world.before = () => Effect.void
        })
      })

      assert.deepStrictEqual([stopped._tag, state._tag], ["Queued", "Cancelled"])
      assert.deepStrictEqual(yield* World.openUploads(world), [])
    }))

  it.effect("fails a part that is refused, and drops the upload", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      world.disk.file("/from/large", World.long(4))
      const denied = World.failure({ _tag: "Denied", code: "AccessDenied" })
      world.before = ({ call }) => call === "putPart" ? Effect.fail(denied) : Effect.void

      const { rows, state } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.match(rows.join(), /permission denied/)
      assert.deepStrictEqual(yield* World.openUploads(world), [])
    }))

  it.effect("copies an object that is named twice, though the other copy ends before this one", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      const text = World.long(2)
      yield* World.put(world, "x/a", text, { mtime: "7.5" })
      const isDone = Deferred.makeUnsafe<void>()
      world.after = ({ call, key }) =>
        call === "completeUpload" && key === "y/x/a" ? Deferred.succeed(isDone, undefined) : Effect.void
      world.before = ({ call, key }) =>
        call === "beginUpload" && key === "y/a"
          ? Effect.andThen(Deferred.await(isDone), Effect.sleep("1 second"))
          : Effect.void

      const { rows, state } = yield* World.copy(world, ["s3://bucket/x", "s3://bucket/x/a"], "s3://other/y/")

      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      assert.isTrue(Deferred.isDoneUnsafe(isDone))
      // Nothing was asked for by another ETag than that of the object.
      const asked = world.requests.filter((request) => request.startsWith("copyPart y/a "))
      assert.deepStrictEqual(asked.toSorted(), ["copyPart y/a 1", "copyPart y/a 2", "copyPart y/a 3"])
      for (const key of ["y/a", "y/x/a"]) {
        assert.strictEqual((yield* World.read({ store: world.other }, key)).text, text)
      }
    }))

  it.effect.each(["changed", "overwrite", "skip", "rename"] as const)(
    "keeps the first of two large objects whose names differ by case, where a folder takes both for one (%s)",
    (conflict) =>
      Effect.gen(function*() {
        for (const lacksLinks of [false, true]) {
          const world = yield* World.makeWorld(World.ofSmallParts)
          world.disk.takes("/to", { fold: (stored) => stored.toLowerCase(), lacksLinks })
          const texts: Readonly<Record<string, string>> = { Large: World.long(7), large: `${World.long(7)}more` }
          for (const [name, text] of Object.entries(texts)) yield* World.put(world, `x/${name}`, text)

          const { rows, tally } = yield* World.copy(world, "s3://bucket/x", "/to/y", { conflict })

          const files = Object.entries(world.disk.tree("/to/y")).filter(([, seen]) => seen.kind === "file")
          const isBoth = conflict === "rename"
          assert.deepStrictEqual([files.length, tally.tags?.["Copied"], rows.length], isBoth ? [2, 2, 0] : [1, 1, 1])
          for (const [path, seen] of files) {
            const name = path.split("/").at(-1)?.replace(" (1)", "") ?? ""
            assert.isTrue(seen.kind === "file" && seen.text === texts[name], path)
          }
          if (conflict === "changed") assert.match(rows.join(), /which takes both for one name/)
        }
      })
  )

  it.effect.each([false, true])(
    "counts files that do not get all metadata of their objects (moves: %s)",
    (moves) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(World.ofSmallParts)
        const plain = { mtime: "7.5", mode: "0100644", "fanout-upload": "word", md5chksum: "of rclone" }
        yield* World.put(world, "x/plain", "text", plain)
        yield* World.put(world, "x/typed", "text", {}, { "content-type": "text/html" })
        yield* World.put(world, "x/cached", "text", {}, { "cache-control": "no-cache" })
        yield* World.put(world, "x/small", "text", { camera: "pinhole" })
        yield* World.put(world, "x/large", World.long(6), { camera: "pinhole", mtime: "7.5" })

        const { rows, units } = yield* World.copy(world, "s3://bucket/x", "/to/y", { moves })

        assert.deepStrictEqual([rows, units["lostMetadata"]], [[], 3])
      })
  )
})
