import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as EntryCopy from "../src/internal/entry/entryCopy.ts"
import * as Hasher from "../src/internal/hash/hasher.ts"
import * as Place from "../src/internal/path/place.ts"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const mebi = 2 ** 20
const pieces = 12
const job = JobId.make("job")
const target = FilePath.make("/to/copy")
const bootFile = "/proc/sys/kernel/random/boot_id"

const contentOf = (seed: number): Buffer => {
  const content = Buffer.alloc(pieces * mebi, seed)
  // No two pieces are the same.
  for (let piece = 0; piece < pieces; piece++) content.writeUInt32LE(piece, piece * mebi)
  return content
}

/** A large file that is copied by one owner of the job after another. */
class World {
  readonly disk = new MemoryFiles.Disk()
  private token = 0
  checkpoint: Schema.Json | undefined = undefined
  /** Pieces that the last run has read, and bytes that all runs have counted. */
  reads = 0
  bytes = 0
  /** Bytes of each time that some were counted, in MiB. */
  readonly counted: Array<number> = []

  constructor() {
    this.disk.copiesByItself = false
    this.disk.folder("/from")
    this.disk.folder("/to")
    for (const folder of ["/proc", "/proc/sys", "/proc/sys/kernel", "/proc/sys/kernel/random"]) this.disk.folder(folder)
    this.disk.file("/from/file", contentOf(1), { modified: 5n })
    this.boot("one")
  }

  boot(id: string): void {
    if (this.names("/proc/sys/kernel/random").length > 0) this.disk.remove(bootFile)
    this.disk.file(bootFile, `${id}\n`)
  }

  names(folder: string): ReadonlyArray<string> {
    return Object.keys(this.disk.tree(folder))
  }

  /** Copies, and stops once so many pieces were written. */
  run(
    stopAfter = Infinity,
    options: {
      readonly before?: FaultyFiles.Before
      readonly placing?: "replace" | "exclusive"
      readonly isVerified?: boolean
      readonly checksums?: HashAlgorithm
      readonly isHeld?: () => boolean
      readonly interrupter?: Interrupter.Interrupter & { readonly requestUnsafe: (reason: Interrupter.Reason) => void }
    } = {}
  ) {
    const { before = () => Effect.void, checksums, isHeld = () => true } = options
    const { interrupter = Interrupter.makeUnsafe() } = options
    const { isVerified = false, placing = "replace" } = options
    const usual = CopyOptions.CopyOptions.defaultValue()
    this.reads = 0
    this.token++
    let writes = 0
    const files = FaultyFiles.intercept(MemoryFiles.make(this.disk), (call, path) =>
      Effect.suspend(() => {
        if (call === "read" && path === "/from/file") this.reads++
        if (call === "write" && ++writes === stopAfter) interrupter.requestUnsafe("Pause")
        return before(call, path)
      }))
    const { token } = this
    return Effect.gen(function*() {
      const source = yield* Place.open(FilePath.make("/from/file"))
      return yield* EntryCopy.copy({
        source,
        stat: yield* Place.lstat(source),
        target: yield* Place.open(target),
        temporary: TemporaryName.make(job, token, target),
        placing,
        options: { ...usual, isVerified, checksums }
      })
    }).pipe(
      Effect.scoped,
      Effect.exit,
      Effect.provideService(Files.Files, files),
      Effect.provideService(Interrupter.Interrupter, interrupter),
      Effect.provideService(Lease.Lease, {
        ...Lease.Lease.defaultValue(),
        isHeldUnsafe: isHeld,
        job: Option.some(job),
        token
      }),
      Effect.provideService(TaskCheckpoint.Cell, {
        checkpoint: this.checkpoint,
        saveUnsafe: (checkpoint) => {
          this.checkpoint = checkpoint
        },
        recorded: Effect.void
      }),
      Effect.provideService(Progress.Reporter, {
        addUnsafe: (unit, amount) => {
          if (unit !== "bytes") return
          this.bytes += amount
          this.counted.push(amount / mebi)
        },
        totalUnsafe: () => {}
      })
    )
  }

  /** What is in the place of the copy, and nothing else is there. */
  assertCopied(): void {
    assert.deepStrictEqual(this.names("/to"), ["copy"])
    assert.deepStrictEqual(this.disk.see("/to/copy"), this.disk.see("/from/file"))
  }
}

describe("large files", () => {
  it.effect.each(["replace", "exclusive"] as const)(
    "go on where they were stopped (%s)",
    (placing) =>
      Effect.gen(function*() {
        const world = new World()
        assert.isTrue(Exit.isFailure(yield* world.run(5, { placing })))
        assert.deepStrictEqual([world.reads, world.bytes], [5, 5 * mebi])
        // What was written has a name until it is whole.
        assert.isTrue(world.names("/to").every((name) => TemporaryName.isOf(job, FilePath.make(name))))
        assert.isTrue(Exit.isFailure(yield* world.run(4, { placing })))
        assert.strictEqual(world.reads, 4)
        assert.isTrue(Exit.isSuccess(yield* world.run(Infinity, { placing })))
        assert.deepStrictEqual([world.reads, world.bytes], [pieces - 9, pieces * mebi])
        world.assertCopied()
      })
  )

  it.effect.each([
    { how: "by pieces that take some time, and no long one", took: [0, 200, 100], pieces: [8, 32, 16, 16, 64, 44] },
    { how: "in the least pieces at once where a disk gets slow", took: [0, 0, 6000], pieces: [8, 32, 128, 8, 4] }
  ])("are copied in the kernel $how", ({ pieces, took }) =>
    Effect.gen(function*() {
      const world = new World()
      world.disk.copiesByItself = true
      world.disk.remove("/from/file")
      world.disk.file("/from/file", Buffer.alloc(180 * mebi), { modified: 5n })
      const millis = [...took]
      const before: FaultyFiles.Before = (call) =>
        call === "copy_file_range" ? TestClock.adjust(millis.shift() ?? 0) : Effect.void
      assert.isTrue(Exit.isSuccess(yield* world.run(Infinity, { before })))
      assert.deepStrictEqual(world.counted, pieces)
    }))

  it.effect("start over where the source is another one by then", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.run(5)
      world.disk.remove("/from/file")
      world.disk.file("/from/file", contentOf(2), { modified: 6n })
      assert.isTrue(Exit.isSuccess(yield* world.run()))
      assert.deepStrictEqual([world.reads, world.bytes], [pieces, pieces * mebi])
      // What was written in vain has made room.
      world.assertCopied()
    }))

  it.effect("start over where nothing was recorded, and make room first", () =>
    Effect.gen(function*() {
      const world = new World()
      for (let kill = 0; kill < 2; kill++) {
        yield* world.run(5)
        world.checkpoint = undefined
        assert.lengthOf(world.names("/to"), 1)
      }
      assert.isTrue(Exit.isSuccess(yield* world.run()))
      world.assertCopied()
    }))

  it.effect("start over where what was written is gone, is another file, or is shorter", () =>
    Effect.gen(function*() {
      const edits: ReadonlyArray<(world: World, path: string) => void> = [
        (world, path) => world.disk.remove(path),
        (world, path) => {
          world.disk.remove(path)
          world.disk.file(path, contentOf(7))
        },
        (world, path) => {
          world.disk.remove(path)
          world.disk.symlink(path, "/from/file")
        },
        (world, path) => world.disk.change(FilePath.make(path), (text) => text.slice(0, 5 * mebi - 1))
      ]
      for (const edit of edits) {
        const world = new World()
        yield* world.run(5)
        edit(world, `/to/${world.names("/to")[0]}`)
        assert.isTrue(Exit.isSuccess(yield* world.run()))
        assert.strictEqual(world.reads, pieces)
        assert.deepStrictEqual(world.disk.see("/to/copy"), world.disk.see("/from/file"))
      }
    }))

  it.effect("rely after another start of the machine on what was flushed", () =>
    Effect.gen(function*() {
      const world = new World()
      // A second for each piece: it is flushed after five of them, and that takes until the next.
      const before: FaultyFiles.Before = (call) => call === "write" ? TestClock.adjust("1 second") : Effect.void
      yield* world.run(8, { before })
      assert.isAbove(world.disk.syncs.one, 0)
      world.boot("two")
      assert.isTrue(Exit.isSuccess(yield* world.run()))
      assert.isAbove(world.reads, pieces - 8)
      assert.isBelow(world.reads, pieces)
      world.assertCopied()

      const unflushed = new World()
      yield* unflushed.run(5)
      unflushed.boot("two")
      assert.isTrue(Exit.isSuccess(yield* unflushed.run()))
      assert.strictEqual(unflushed.reads, pieces)
    }))

  it.effect("rely on nothing else after another mount, or where nobody knows of another start", () =>
    Effect.gen(function*() {
      const remounted = new World()
      yield* remounted.run(5)
      for (const path of ["/to", `/to/${remounted.names("/to")[0]}`]) remounted.disk.find(FilePath.make(path)).mount++
      const nameless = new World()
      nameless.disk.remove(bootFile)
      yield* nameless.run(5)
      for (const world of [remounted, nameless]) {
        yield* world.run(2)
        assert.isTrue(Exit.isSuccess(yield* world.run()))
        assert.strictEqual(world.reads, world === nameless ? pieces : pieces - 2)
        // None of it is counted twice.
        assert.strictEqual(world.bytes, pieces * mebi)
        world.assertCopied()
      }
    }))

  it.effect("fail where they can't be flushed, and leave nothing", () =>
    Effect.gen(function*() {
      const world = new World()
      const before: FaultyFiles.Before = (call, path) =>
        call === "write"
          ? TestClock.adjust("1 second")
          : call === "fsync"
          ? Effect.fail(FaultyFiles.error(call, path, "EIO"))
          : Effect.void
      const exit = yield* world.run(Infinity, { before })
      assert.include(String(Exit.isFailure(exit) && exit.cause), "Could not flush")
      assert.deepStrictEqual(world.names("/to"), [])
    }))

  it.effect("fail where what was flushed meanwhile has failed in the end", () =>
    Effect.gen(function*() {
      const world = new World()
      const isRead = yield* Deferred.make<void>()
      let syncs = 0
      const before: FaultyFiles.Before = (call, path) =>
        Effect.suspend(() => {
          if (call === "write") return TestClock.adjust("600 millis")
          if (call === "ftruncate") return Effect.asVoid(Deferred.succeed(isRead, undefined))
          // It is told once, as by Linux.
          if (call !== "fsync" || ++syncs > 1) return Effect.void
          return Effect.andThen(Deferred.await(isRead), Effect.fail(FaultyFiles.error(call, path, "EIO")))
        })
      assert.isTrue(Exit.isFailure(yield* world.run(Infinity, { before })))
      assert.deepStrictEqual(world.names("/to"), [])
      // All of it is written anew.
      assert.isTrue(Exit.isSuccess(yield* world.run()))
      assert.strictEqual(world.reads, pieces)
      world.assertCopied()
    }))

  it.effect("are not written to by an owner that has lost the job while it was reading", () =>
    Effect.gen(function*() {
      const world = new World()
      let [reads, writes, isHeld] = [0, 0, true]
      const exit = yield* world.run(Infinity, {
        isHeld: () => isHeld,
        before: (call) =>
          Effect.sync(() => {
            if (call === "read" && ++reads === 4) isHeld = false
            if (call === "write" || call === "ftruncate" || call === "fchmod") writes++
          })
      })
      assert.isTrue(Exit.isFailure(exit))
      // The first is of the file that names the run of the machine.
      assert.strictEqual(writes, 2)
    }))

  it.effect("are left as they are by an owner that has lost the job before it goes on", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.run(5)
      const partial = world.names("/to")
      assert.isTrue(Exit.isFailure(yield* world.run(Infinity, { isHeld: () => false })))
      assert.deepStrictEqual(world.names("/to"), partial)
    }))

  it.effect.each([false, true])(
    "are not written to once the job may be somebody else's, whenever that is (in the kernel: %s)",
    (copiesByItself) =>
      Effect.gen(function*() {
        for (let n = 0, isThrough = false; !isThrough; n++) {
          const world = new World()
          world.disk.copiesByItself = copiesByItself
          let left = n
          const late: Array<string> = []
          yield* world.run(Infinity, {
            isHeld: () => left >= 0,
            before: (call) =>
              Effect.sync(() => {
                const writes = call === "write" || call === "copy_file_range" || call === "ftruncate"
                if (left < 0 && writes) late.push(call)
                left--
              })
          })
          assert.deepStrictEqual(late, [], `after ${n} calls`)
          isThrough = left >= 0
        }
      })
  )

  it.effect("are known to be flushed as far as they were written when that began", () =>
    Effect.gen(function*() {
      const world = new World()
      const isFurther = yield* Deferred.make<void>()
      let writes = 0
      const before: FaultyFiles.Before = (call) =>
        Effect.suspend(() => {
          if (call === "fsync") return Deferred.await(isFurther)
          if (call !== "write") return Effect.void
          writes++
          const flushes = writes === 8 ? Deferred.succeed(isFurther, undefined) : Effect.void
          return Effect.andThen(flushes, TestClock.adjust("1 second"))
        })
      yield* world.run(10, { before })
      world.boot("two")
      assert.isTrue(Exit.isSuccess(yield* world.run()))
      assert.strictEqual(world.reads, pieces - 6)
      world.assertCopied()
    }))

  it.effect("end where the source has become shorter and nobody knows of its holes", () =>
    Effect.gen(function*() {
      const world = new World()
      let looks = 0
      const before: FaultyFiles.Before = (call, path) =>
        Effect.suspend(() => {
          if (call !== "lseek") return Effect.void
          if (++looks > 100) return Effect.die("it is looked at for ever")
          if (looks === 1) world.disk.change(FilePath.make("/from/file"), (text) => text.slice(0, 10 * mebi))
          return Effect.fail(FaultyFiles.error(call, path, "EINVAL"))
        })
      assert.isTrue(Exit.isSuccess(yield* world.run(Infinity, { before })))
      world.assertCopied()
    }))

  it.effect("start over where what was written has another name by now", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.run(5)
      const [partial = ""] = world.names("/to")
      world.disk.hardLink(`/to/${partial}`, "/to/other")
      assert.isTrue(Exit.isSuccess(yield* world.run()))
      assert.strictEqual(world.reads, pieces)
      assert.deepStrictEqual(world.names("/to"), ["copy", "other"])
      assert.deepStrictEqual(world.disk.see("/to/copy"), world.disk.see("/from/file"))
      assert.notStrictEqual(world.disk.find(FilePath.make("/to/other")).inode, world.disk.find(target).inode)
    }))

  it.effect("leave nothing where they fail, and start over then", () =>
    Effect.gen(function*() {
      const world = new World()
      let reads = 0
      const before = FaultyFiles.failing(
        "EIO",
        (call, path) => call === "read" && path === "/from/file" && ++reads === 6
      )
      assert.isTrue(Exit.isFailure(yield* world.run(Infinity, { before })))
      assert.deepStrictEqual(world.names("/to"), [])
      assert.isTrue(Exit.isSuccess(yield* world.run()))
      assert.deepStrictEqual([world.reads, world.bytes], [pieces, pieces * mebi])
      world.assertCopied()
    }))

  it.effect("are compared as a whole where they go on", () =>
    Effect.gen(function*() {
      const world = new World()
      // What is read back is what is on the device.
      const before: FaultyFiles.Before = (call) =>
        Effect.sync(() => {
          if (call === "fadvise") world.disk.syncAll()
        })
      yield* world.run(5, { isVerified: true })
      assert.isTrue(Exit.isSuccess(yield* world.run(Infinity, { isVerified: true, before })))
      // Five of them are read once more.
      assert.strictEqual(world.reads, pieces)
      world.assertCopied()
    }))

  it.effect("stop while they are read back, and are not placed by then", () =>
    Effect.gen(function*() {
      const world = new World()
      const interrupter = Interrupter.makeUnsafe()
      const before: FaultyFiles.Before = (call) =>
        Effect.sync(() => {
          if (call !== "fadvise") return
          world.disk.syncAll()
          interrupter.requestUnsafe("Pause")
        })
      const exit = yield* world.run(Infinity, { isVerified: true, before, interrupter })
      assert.include(String(Exit.isFailure(exit) && exit.cause), "Interrupted")
      assert.notInclude(world.names("/to"), "copy")
    }))

  it.effect("have the checksum of all they hold where they go on", () =>
    Effect.gen(function*() {
      for (const isVerified of [false, true]) {
        const world = new World()
        world.disk.sharesBlocks = true
        world.disk.sharesBlocks = true
        const before: FaultyFiles.Before = (call) =>
          Effect.sync(() => {
            if (call === "fadvise") world.disk.syncAll()
          })
        yield* world.run(5, { checksums: "sha256", isVerified, before })
        const exit = yield* world.run(Infinity, { checksums: "sha256", isVerified, before })
        const hasher = Hasher.make("sha256")
        hasher.update(contentOf(1))
        assert.deepStrictEqual(Exit.map(exit, ({ digest }) => digest), Exit.succeed(hasher.digest()))
        world.assertCopied()
      }
    }))

  it.effect("share blocks where they can, or are copied by the kernel", () =>
    Effect.gen(function*() {
      for (const [sharesBlocks, strategy] of [[true, "reflink"], [false, "kernel"]] as const) {
        const world = new World()
        Object.assign(world.disk, { sharesBlocks, copiesByItself: true })
        const copied = yield* Effect.flatten(world.run())
        assert.deepStrictEqual(copied, { strategy, sizeBytes: pieces * mebi, lost: [] })
        assert.deepStrictEqual([world.reads, world.bytes], [0, pieces * mebi])
        world.assertCopied()
      }
    }))
})

describe("files that are copied at a rate", () => {
  const atRate = (bytesPerSecond: number) =>
    TaskDispatcher.layerLimited({ bytesPerSecond }).pipe(
      Layer.provide(TaskDispatcher.layer),
      Layer.provide(Pools.layer())
    )

  it.effect("have it from the first second on, however many there are", () =>
    Effect.gen(function*() {
      const worlds = Array.from({ length: 8 }, () => new World())
      yield* Effect.forEach(worlds, (world) => Effect.forkScoped(world.run()), { discard: true })
      yield* settle
      for (let second = 1; second <= 3; second++) {
        yield* TestClock.adjust("1 second")
        const moved = worlds.reduce((sum, { bytes }) => sum + bytes, 0) / mebi
        assert.isAtLeast(moved, 8 * second - 1)
        assert.isAtMost(moved, 8 * second + 2)
      }
    }).pipe(Effect.scoped, Effect.provide(atRate(8 * mebi))))

  it.effect("stop at once while they wait, and lose nothing", () =>
    Effect.gen(function*() {
      const world = new World()
      const interrupter = Interrupter.makeUnsafe()
      const running = yield* Effect.forkScoped(world.run(Infinity, { interrupter }))
      yield* settle
      yield* TestClock.adjust("5500 millis")
      interrupter.requestUnsafe("Pause")
      yield* settle
      const exit = running.pollUnsafe() ?? assert.fail("it still waits")
      assert.isTrue(Exit.isSuccess(exit) && Exit.isFailure(exit.value))
      assert.closeTo(world.bytes, 5.5 * mebi, 0.3 * mebi)
      const again = yield* Effect.forkScoped(world.run())
      yield* settle
      yield* TestClock.adjust("7 seconds")
      assert.isDefined(again.pollUnsafe())
      assert.strictEqual(world.bytes, pieces * mebi)
      world.assertCopied()
    }).pipe(Effect.scoped, Effect.provide(atRate(mebi))))

  it.effect("take no time where only their blocks are shared", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 3; i++) {
        const world = new World()
        world.disk.sharesBlocks = true
        assert.isTrue(Exit.isSuccess(yield* world.run()))
      }
    }).pipe(Effect.provide(atRate(1000))))
})
