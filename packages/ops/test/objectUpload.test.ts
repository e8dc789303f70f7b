import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import type { CloudAddress, ObjectStore, StoreCall } from "@fanout/ops/ObjectStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as World from "./objectHarness.ts"

/** Number of the first request that begins so. */
const numberOf = ({ requests }: World.World, begin: string): number =>
  requests.findIndex((request) => request.startsWith(begin)) + 1

/** Has the store fail at the first call of a kind, before it is done or once it was. */
const failOnce = (world: World.World, when: "before" | "after", which: StoreCall): void => {
  let isOver = false
  world[when] = ({ call }) => {
    if (isOver || call !== which) return Effect.void
    isOver = true
    return Effect.fail(World.failure({ _tag: "ServiceFailed", status: 500, code: "InternalError" }))
  }
}

describe("Upload of a file", () => {
  it.effect("drops no upload that another program has begun", () =>
    Effect.gen(function*() {
      const plain = yield* World.makeWorld(World.ofSmallParts)
      plain.disk.file("/from/large", World.long(2))
      yield* World.copy(plain, "/from", "s3://bucket/copy")
      const at = numberOf(plain, "beginUpload")

      const world = yield* World.makeWorld(World.ofSmallParts)
      world.disk.file("/from/large", World.long(2))
      const theirs = yield* world.store.uploads.begin("copy/large")
      const { isKilled, state } = yield* World.copy(world, "/from", "s3://bucket/copy", { kill: { at, when: "after" } })

      assert.deepStrictEqual([isKilled, state._tag], [true, "Completed"])
      assert.strictEqual(world.requests.filter((request) => request.startsWith("beginUpload")).length, 2)
      assert.deepStrictEqual((yield* World.openUploads(world)).map(({ id }) => id), [theirs.id])
    }))

  it.effect("sends a part again that the store has less of", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      world.disk.file("/from/large", World.long(2))
      const plain = yield* World.makeWorld(World.ofSmallParts)
      plain.disk.file("/from/large", World.long(2))
      yield* World.copy(plain, "/from", "s3://bucket/copy")
      const { put } = world.store.uploads
      world.before = ({ call }) =>
        call === "listParts"
          ? Effect.flatMap(
            World.openUploads(world),
            (open) => Effect.forEach(open, (upload) => put(upload, 1, Buffer.from("short")), { discard: true })
          )
          : Effect.void

      const kill = { at: numberOf(plain, "putPart copy/large 1"), when: "after" } as const
      const { isKilled, state } = yield* World.copy(world, "/from", "s3://bucket/copy", { kill })

      assert.deepStrictEqual([isKilled, state._tag], [true, "Completed"])
      assert.isTrue(world.requests.some((request) => request.startsWith("listParts")))
      assert.isTrue((yield* World.read(world, "copy/large")).text === World.long(2))
    }))

  it.effect.each(["error", "rename"] as const)(
    "takes an object for its own whose PUT was answered by a 503 (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld({ ...World.ofSmallParts, checksum: undefined })
        world.disk.file("/from/a", "text")
        world.after = ({ call }) => {
          if (call !== "put") return Effect.void
          world.after = () => Effect.void
          return Effect.fail(World.failure({ _tag: "Throttled", code: "503" }))
        }

        const { rows, state } = yield* World.copy(world, "/from", "s3://bucket/copy", { conflict })

        assert.deepStrictEqual([state._tag, rows], ["Completed", []])
        assert.deepStrictEqual(yield* World.keys(world), ["copy/a"])
        assert.strictEqual(world.requests.filter((request) => request === "put copy/a").length, 2)
      })
  )

  it.effect("keeps each piece of a file that is put by one request", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const text = World.long(3)
      world.disk.file("/from/a", text)

      yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.isTrue((yield* World.read(world, "copy/a")).text === text)
    }))

  it.effect("sends parts from memory that others were sent from", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      for (const name of ["a", "b"]) world.disk.file(`/from/${name}`, World.long(12))
      const used = new Set<ArrayBufferLike>()
      const { at } = world.stores
      const noting = (store: ObjectStore): ObjectStore => ({
        ...store,
        uploads: {
          ...store.uploads,
          put: (upload, number, bytes) => {
            used.add(bytes.buffer)
            return store.uploads.put(upload, number, bytes)
          }
        }
      })
      Object.assign(world, { stores: { at: (address: CloudAddress) => Effect.map(at(address), noting) } })

      yield* World.copy(world, "/from", "s3://bucket/copy")

      for (const name of ["a", "b"]) {
        assert.isTrue((yield* World.read(world, `copy/${name}`)).text === World.long(12))
      }
      // Four of each file are under way, and its last part is shorter.
      assert.isAtMost(used.size, 2 * (4 + 1))
    }))

  it.effect("leaves no upload open whose beginning was answered by a failure", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      world.disk.file("/from/large", World.long(2))
      failOnce(world, "after", "beginUpload")

      const { state } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(state._tag, "Completed")
      assert.strictEqual(world.requests.filter((request) => request.startsWith("beginUpload")).length, 2)
      assert.deepStrictEqual(yield* World.openUploads(world), [])
    }))

  it.effect("drops the upload of a copy that has failed, even if the store fails at first", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      world.disk.file("/from/large", World.long(2))
      failOnce(world, "before", "abortUpload")
      const { before } = world
      const denied = World.failure({ _tag: "Denied", code: "AccessDenied" })
      world.before = (request) => request.call === "putPart" ? Effect.fail(denied) : before(request)

      const { state } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.deepStrictEqual(yield* World.openUploads(world), [])
    }))

  it.effect("makes no object of a file that was shorter for a moment", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      const [path, text] = [FilePath.make("/from/large"), World.long(2)]
      world.disk.file(path, text)
      const inode = world.disk.find(path)
      const { times } = inode
      const become = (content: string) => {
        world.disk.change(path, () => content)
        world.disk.setTimes(inode, times)
      }
      let [reads, isShort] = [0, false]
      const { state } = yield* World.copy(world, "/from", "s3://bucket/copy", {
        files: (call) =>
          Effect.sync(() => {
            if (call === "read" && ++reads === 2) become(text.slice(0, 100))
            else if (call === "fstat" && isShort) become(text)
            else return
            isShort = !isShort
          })
      })

      assert.strictEqual(state._tag, "Completed")
      assert.isTrue((yield* World.read(world, "copy/large")).text === text)
    }))

  it.effect("waits as long as the store asks for", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.file("/from/a", "text")
      const times: Array<number> = []
      const slow = World.failure({ _tag: "Throttled", code: "SlowDown", afterMillis: 30_000 })
      world.before = ({ call }) =>
        call === "put"
          ? Effect.flatMap(Clock.currentTimeMillis, (now) => times.push(now) < 3 ? Effect.fail(slow) : Effect.void)
          : Effect.void

      yield* World.copy(world, "/from", "s3://bucket/copy")

      const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0))
      assert.strictEqual(waits.length, 2)
      for (const wait of waits) assert.isAtLeast(wait, 30_000)
    }))

  it.effect.each(
    [
      { _tag: "ServiceFailed", status: 500, code: "InternalError" },
      { _tag: "Unreachable", code: "ECONNRESET" }
    ] as const
  )("fails an object that fails each time while its store answers ($_tag)", (reason) =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(World.ofSmallParts)
      for (const name of ["bad", "good", "large"]) {
        world.disk.file(`/from/${name}`, name === "large" ? World.long(2) : name)
      }
      world.before = ({ call, key }) =>
        (call === "put" && key === "copy/bad") || (call === "putPart" && key === "copy/large 2")
          ? Effect.fail(World.failure(reason))
          : Effect.void

      const { rows, state } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.sameMembers(rows.map((row) => row.split(":")[0]), ["/from/bad", "/from/large"])
      assert.deepStrictEqual(yield* World.keys(world), ["copy/good"])
      assert.deepStrictEqual(yield* World.openUploads(world), [])
    }))

  /** Has a file change while it is sent, this many times. */
  const changing = (world: World.World, times: number) => {
    let left = times
    world.before = ({ call }) =>
      Effect.sync(() => {
        if (call !== "put" || left-- <= 0) return
        const path = FilePath.make("/from/a")
        world.disk.change(path, () => `text ${left}`)
        world.disk.setTimes(world.disk.find(path), { accessedNanos: 0n, modifiedNanos: BigInt(10_000 * (9 - left)) })
      })
  }

  it.effect("sends a file again that changes on its way, and fails one that goes on changing", () =>
    Effect.gen(function*() {
      for (const conflict of ["error", "overwrite"] as const) {
        const [once, always] = [yield* World.makeWorld(), yield* World.makeWorld()]
        for (const world of [once, always]) world.disk.file("/from/a", "text x")
        changing(once, 1)
        changing(always, 9)

        const sent = yield* World.copy(once, "/from", "s3://bucket/copy", { conflict })
        const failed = yield* World.copy(always, "/from", "s3://bucket/copy", { conflict })

        assert.deepStrictEqual([sent.state._tag, sent.rows], ["Completed", []])
        assert.strictEqual((yield* World.read(once, "copy/a")).text, "text 0")
        assert.strictEqual(failed.state._tag, "CompletedWithErrors")
        assert.match(failed.rows.join(), /changed while it was copied/)
      }
    }))

  it.effect("asks for the time of an object whose file has changed shortly before it was stored", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* TestClock.setTime(9_200_000_000_000)
      world.disk.file("/from/a", "text x", { modified: 1_000_000n })
      yield* World.copy(world, "/from", "s3://bucket/copy")
      const path = FilePath.make("/from/a")
      world.disk.change(path, () => "text y")
      const inode = world.disk.find(path)
      world.disk.setTimes(inode, { accessedNanos: 0n, modifiedNanos: 2_000_000n })
      inode.changed = (9_200_000_000_000n - 60_000n) * 1_000_000n

      yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.strictEqual((yield* World.read(world, "copy/a")).text, "text y")
    }))
})
