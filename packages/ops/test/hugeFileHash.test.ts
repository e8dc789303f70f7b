import { assert, describe, it } from "@effect/vitest"
import { Interrupted, Interrupter, makeUnsafe } from "@fanout/core/Interrupter"
import * as JobManager from "@fanout/core/JobManager"
import * as Pools from "@fanout/core/Pools"
import { Reporter } from "@fanout/core/Progress"
import { Cell } from "@fanout/core/TaskCheckpoint"
import { layer, settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Hash from "@fanout/ops/Hash"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as HashCheck from "@fanout/ops/HashCheck"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Hasher from "../src/internal/hash/hasher.ts"
import * as HugeFileHash from "../src/internal/hash/hugeFileHash.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const mebi = 2 ** 20
const pieces = 9
const path = FilePath.make("/huge")

/** Everything from a mebibyte on is huge, and two are read to see how fast it comes. */
const limits = { minBytes: mebi, probeBytes: 2 * mebi, slowness: 3, everyMillis: 1000 }

const text = (letter: string) => Array.from({ length: pieces }, (_, i) => `${letter}${i}`.repeat(mebi / 2)).join("")

const digestOf = (algorithm: HashAlgorithm, content: string): string => {
  const hasher = Hasher.make(algorithm)
  hasher.update(Buffer.from(content))
  return hasher.digest()
}

/** One task that hashes a file, through all of its attempts. */
class World {
  readonly disk = new MemoryFiles.Disk()
  checkpoint: Schema.Json | undefined
  /** Pieces that were read, and bytes that were reported, by the attempt that was last. */
  reads = 0
  bytes = 0
  private readonly readMillis: number

  constructor(readMillis: number) {
    this.readMillis = readMillis
    this.disk.file(path, text("a"))
  }

  /** Makes an attempt that is asked to pause after so many reads. What it has saved by its end is kept. */
  readonly attempt = (algorithm: HashAlgorithm = "blake3", pauseAfter = Number.POSITIVE_INFINITY) => {
    const signal = makeUnsafe()
    const before: FaultyFiles.Before = (call) =>
      Effect.suspend(() => {
        if (call !== "read") return Effect.void
        if (++this.reads > pauseAfter) signal.requestUnsafe("Pause")
        return Effect.sleep(this.readMillis)
      })
    this.reads = 0
    this.bytes = 0
    return Files.Files.use((files) =>
      Effect.gen({ self: this }, function*() {
        const file = yield* files.open(path)
        const quick = (counted: number) => Effect.succeed({ digest: "quick", sizeBytes: counted })
        return yield* HugeFileHash.hash(file, yield* file.stat, algorithm, quick)
      })
    ).pipe(
      Effect.scoped,
      Effect.provideService(Files.Files, FaultyFiles.intercept(MemoryFiles.make(this.disk), before)),
      Effect.provideService(HugeFileHash.Limits, limits),
      Effect.provideService(Interrupter, signal),
      Effect.provideService(Reporter, {
        addUnsafe: (unit, amount) => {
          if (unit === "bytes") this.bytes += amount
        },
        totalUnsafe: () => {}
      }),
      Effect.provideService(Cell, {
        checkpoint: this.checkpoint,
        saveUnsafe: (checkpoint) => {
          this.checkpoint = checkpoint
        },
        recorded: Effect.void
      })
    )
  }

  private readonly begin = (...options: Parameters<World["attempt"]>) =>
    Effect.gen({ self: this }, function*() {
      const fiber = yield* Effect.forkChild(this.attempt(...options))
      // To compile what hashes takes a while, whatever the clock says.
      while (this.reads === 0 && fiber.pollUnsafe() === undefined) yield* settle
      return fiber
    })

  readonly run = (...options: Parameters<World["attempt"]>) =>
    Effect.gen({ self: this }, function*() {
      const fiber = yield* this.begin(...options)
      for (let i = 0; i < 100 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust("100 millis")
      return yield* Fiber.await(fiber)
    })

  /** Makes an attempt that is killed after some time. */
  readonly runFor = (time: Duration.Input) =>
    Effect.gen({ self: this }, function*() {
      const fiber = yield* this.begin()
      yield* TestClock.adjust(time)
      yield* Fiber.interrupt(fiber)
    })

  /** Has another file take its place. */
  replace(): void {
    this.disk.remove(path)
    this.disk.file(path, text("b"))
  }
}

const withLimits = Layer.succeed(HugeFileHash.Limits, limits)

const hashed = (algorithm: HashAlgorithm, content: string) =>
  Exit.succeed({ digest: digestOf(algorithm, content), sizeBytes: content.length })

describe("the hash of a huge file", () => {
  it.effect.each(["blake3", "sha256", "md5"] as const)(
    "is %s, wherever it was stopped",
    (algorithm) =>
      Effect.gen(function*() {
        for (const pauseAfter of [0, 1, 2, 5, pieces - 1]) {
          const world = new World(100)
          assert.deepStrictEqual(
            yield* world.run(algorithm, pauseAfter),
            Exit.fail(new Interrupted({ reason: "Pause" }))
          )
          const { bytes, reads } = world
          assert.deepStrictEqual(yield* world.run(algorithm), hashed(algorithm, text("a")))
          // What was read to see how fast it comes is read again; of the rest nothing is.
          const isSaved = pauseAfter >= 2
          assert.strictEqual(world.reads, pieces + 1 - (isSaved ? reads : 0))
          assert.strictEqual(bytes + world.bytes, pieces * mebi)
          assert.strictEqual(world.disk.openCount, 0)
        }
      })
  )

  it.effect("goes on from what was saved last where it was killed", () =>
    Effect.gen(function*() {
      const world = new World(400)
      yield* world.runFor("3 seconds")
      assert.strictEqual(world.reads, 8)
      assert.isDefined(world.checkpoint)
      assert.deepStrictEqual(yield* world.run(), hashed("blake3", text("a")))
      // Saved after two, five.
      assert.strictEqual(world.reads, pieces - 5 + 1)
    }))

  it.effect("starts over where the file is another one by then, and counts what it had not counted", () =>
    Effect.gen(function*() {
      const world = new World(100)
      yield* world.run("sha256", 5)
      const counted = world.bytes
      assert.strictEqual(counted, 6 * mebi)
      world.replace()
      assert.deepStrictEqual(yield* world.run("sha256"), hashed("sha256", text("b")))
      assert.strictEqual(world.reads, pieces + 1)
      assert.strictEqual(counted + world.bytes, pieces * mebi)
    }))

  it.effect("counts what it had not counted, also when it is stopped once more", () =>
    Effect.gen(function*() {
      const world = new World(100)
      let counted = 0
      for (const pauseAfter of [5, 2, pieces + 1]) {
        yield* world.run("sha256", pauseAfter)
        counted += world.bytes
        world.replace()
      }
      assert.strictEqual(counted, pieces * mebi)
    }))

  it.effect("starts over with another algorithm", () =>
    Effect.gen(function*() {
      const world = new World(100)
      yield* world.run("sha256", 5)
      assert.deepStrictEqual(yield* world.run("sha224"), hashed("sha224", text("a")))
      assert.deepStrictEqual([world.reads, world.bytes], [pieces + 1, pieces * mebi])
    }))

  it.effect("goes on slowly although the first part is quick by then", () =>
    Effect.gen(function*() {
      const world = new World(400)
      yield* world.runFor("900 millis")
      assert.strictEqual(world.reads, 3)
      assert.deepStrictEqual(yield* world.run(), hashed("blake3", text("a")))
      assert.strictEqual(world.reads, pieces - 2 + 1)
    }))

  it.effect("is left to the quick hasher where content comes fast", () =>
    Effect.gen(function*() {
      const world = new World(0)
      assert.deepStrictEqual(yield* world.run(), Exit.succeed({ digest: "quick", sizeBytes: 0 }))
      assert.deepStrictEqual([world.reads, world.bytes, world.checkpoint], [2, 0, undefined])
    }))

  it.effect.each([0, 100])(
    "is that of a job that was paused, where reading a piece takes %s ms",
    (millis) =>
      Effect.gen(function*() {
        const disk = new MemoryFiles.Disk()
        disk.file(path, text("a"))
        let reads = 0
        const before: FaultyFiles.Before = (call) =>
          Effect.suspend(() => {
            if (call === "read") reads++
            return call === "read" ? Effect.sleep(millis) : Effect.void
          })
        const files = Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before))
        const hash = Layer.provide(Hash.layer, [withLimits, Pools.layer()])
        const runtime = layer({ jobs: [Hash.job] }).pipe(Layer.provide(hash))
        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const { id } = yield* manager.start(Hash.job, { sources: [path], algorithm: "blake3", leaveOut: [] })
          yield* settle
          if (millis > 0) {
            yield* TestClock.adjust("450 millis")
            yield* manager.pause(id)
            yield* TestClock.adjust("2 seconds")
            assert.strictEqual((yield* manager.get(id)).state._tag, "Paused")
            assert.isBelow(reads, 8)
            yield* manager.resume(id)
          }
          yield* TestClock.adjust("10 seconds")
          const { tally } = yield* manager.progress(id)
          assert.deepStrictEqual([tally.done, tally.units["bytes"]], [1, pieces * mebi])
          // Two to see how fast it comes, and once over it, in halves of these, to its end.
          assert.strictEqual(reads, millis > 0 ? pieces + 1 : 2 + 2 * pieces + 1)
        }).pipe(Effect.provide(Layer.provideMerge(runtime, files)))
      })
  )

  it.effect("goes on with the algorithm that a check was at", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      disk.file(path, text("a"))
      // As many digits as those of BLAKE3 and of SHA-256: the first of them is tried first.
      disk.file("/sums", `${digestOf("sha256", text("a"))}  huge\n`)
      let reads = 0
      const before: FaultyFiles.Before = (call, read) =>
        Effect.suspend(() => {
          if (call !== "read" || read !== path) return Effect.void
          reads++
          return Effect.sleep(100)
        })
      const files = Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before))
      const runtime = layer({ jobs: [HashCheck.job] }).pipe(
        Layer.provide(Layer.provide(HashCheck.layer, withLimits)),
        Layer.provide(Pools.layer({ io: 4 }))
      )
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const payload = yield* HashCheck.plan({
          algorithm: Option.none(),
          file: FilePath.make("/sums"),
          folder: FilePath.make("/")
        })
        const { id } = yield* manager.start(HashCheck.job, payload)
        yield* settle
        yield* TestClock.adjust("1550 millis")
        yield* manager.pause(id)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* manager.get(id)).state._tag, "Paused")
        assert.isAbove(reads, pieces + 1 + 4)
        yield* manager.resume(id)
        yield* TestClock.adjust("10 seconds")
        const { tally } = yield* manager.progress(id)
        assert.deepStrictEqual([tally.done, tally.units["bytes"]], [1, 2 * pieces * mebi])
        assert.strictEqual(reads, 2 * (pieces + 1))
      }).pipe(Effect.provide(Layer.provideMerge(runtime, files)))
    }))
})
