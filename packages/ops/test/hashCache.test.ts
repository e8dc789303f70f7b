import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Pools from "@fanout/core/Pools"
import { layer, settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Hash from "@fanout/ops/Hash"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as SourceRows from "@fanout/ops/SourceRows"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { createHash } from "node:crypto"
import * as HashCache from "../src/internal/hash/hashCache.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import { hashCacheContract } from "./hashCacheContract.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** Remembers digests in memory, as long as it is there. */
const layerMemory: Layer.Layer<never> = Layer.sync(HashCache.HashCache, () => {
  const entries = new Map<string, HashCache.Entry & HashCache.Found>()
  const keyOf = (algorithm: HashAlgorithm, file: string): string => `${algorithm} ${file}`
  return {
    find: (algorithm, { file, state }) =>
      Effect.sync(() => {
        const found = entries.get(keyOf(algorithm, file))
        return found?.state === state ? Option.some(found) : Option.none()
      }),
    remember: (added) =>
      Effect.map(Clock.currentTimeMillis, (usedAt) => {
        for (const entry of added) entries.set(keyOf(entry.algorithm, entry.file), { ...entry, usedAt })
      }),
    recording: (fanOut) =>
      Effect.tap(fanOut, () =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          for (const [key, { usedAt }] of entries) if (usedAt < HashCache.keptSince(now)) entries.delete(key)
        }))
  }
})

hashCacheContract("memory", it, Layer.fresh(layerMemory))

const hashOf = (text: string, algorithm: HashAlgorithm = "sha256") => createHash(algorithm).update(text).digest("hex")

/** When the first file of a disk in memory is made. */
const made = 9_000_000_000_000

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/in")
  disk.file("/in/a", "first")
  disk.file("/in/b", "second")
  disk.file("/in/empty", "")
  return disk
}

const plain = [hashOf("first"), hashOf("second"), hashOf("")]

interface Options {
  readonly algorithm?: HashAlgorithm | "sampled"
  readonly before?: FaultyFiles.Before
  readonly withCache?: boolean
  /** What the file system tells of files instead. */
  readonly stat?: (stat: Files.FileStat) => Files.FileStat
  readonly fileSystem?: Option.Option<string>
}

const disguised = (
  files: Files.Files["Service"],
  { fileSystem, stat = (stat) => stat }: Options
): Files.Files["Service"] => ({
  ...files,
  folder: (path) =>
    Effect.map(files.folder(path), (folder) => ({
      ...folder,
      open: (name) =>
        Effect.map(folder.open(name), (file) => ({
          ...file,
          stat: Effect.map(file.stat, stat),
          ...(fileSystem === undefined ? {} : { fileSystem: Effect.succeed(fileSystem) })
        }))
    }))
})

/** Hashes by a job: what its lines say, and how many reads that took. */
const hash = (disk: MemoryFiles.Disk, cache: HashCache.HashCache, options: Options = {}) => {
  const { algorithm = "sha256", before = () => Effect.void, withCache = true } = options
  let reads = 0
  const files = FaultyFiles.intercept(MemoryFiles.make(disk), (call, path) => {
    if (call === "read") reads++
    return before(call, path)
  })
  const tasks = Layer.provide(Hash.layer, Pools.layer())
  const runtime = layer({ jobs: [Hash.job] }).pipe(
    Layer.provide(tasks),
    Layer.provide([
      Layer.succeed(Files.Files, disguised(files, options)),
      Layer.succeed(HashCache.HashCache, cache)
    ])
  )
  return Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const store = yield* JobStore
    const { id } = yield* manager.start(Hash.job, {
      sources: [FilePath.make("/in")],
      algorithm,
      leaveOut: [],
      ...(withCache ? { cache: true } : {})
    })
    yield* settle
    yield* TestClock.adjust("10 seconds")
    const rows = yield* store.outcomes(id, { after: 0, limit: 100 })
    const sorter = new SourceRows.Sorter(Hash.fromRow)
    const lines = [...sorter.add(rows), ...sorter.end()]
    const { units } = yield* manager.progress(id)
    return {
      digests: lines.flatMap(({ files, row: { outcome } }) =>
        files.length > 0
          ? files.map(({ digest }) => digest)
          : [outcome._tag === "Failed" ? Outcome.message(outcome.failure) : outcome._tag]
      ),
      reads,
      cached: units["cached"] ?? 0,
      bytes: units["bytes"] ?? 0
    }
  }).pipe(Effect.provide(runtime))
}

/** Counts what a cache is told. */
const counted = (cache: HashCache.HashCache) => {
  let told = 0
  const counting: HashCache.HashCache = {
    ...cache,
    remember: (entries) => {
      told += entries.length
      return cache.remember(entries)
    }
  }
  return { counting, told: () => told }
}

/** A disk whose files have settled, and an empty cache. */
const start = Effect.gen(function*() {
  yield* TestClock.setTime(made + 60_000)
  const cache = yield* Effect.provide(HashCache.HashCache, Layer.fresh(layerMemory))
  return { disk: plant(), cache }
})

describe("HashCache", () => {
  it.effect("is what tells one job from another", () =>
    Effect.gen(function*() {
      const manager = yield* JobManager.JobManager
      const start = (cache: { readonly cache?: boolean }) =>
        Effect.map(
          manager.start(Hash.job, { sources: [FilePath.make("/in")], algorithm: "md5", leaveOut: [], ...cache }),
          ({ started }) => started
        )
      assert.deepStrictEqual(
        [yield* start({}), yield* start({ cache: true }), yield* start({}), yield* start({ cache: true })],
        [true, true, false, false]
      )
    }).pipe(Effect.provide(
      layer({ jobs: [Hash.job] }).pipe(
        Layer.provide(Layer.provide(Hash.layer, Pools.layer())),
        Layer.provide(MemoryFiles.layer(plant()))
      )
    )))

  it.effect("has a second run read nothing, and give the same", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      assert.deepStrictEqual(yield* hash(disk, cache), { digests: plain, reads: 3, cached: 0, bytes: 11 })
      assert.deepStrictEqual(yield* hash(disk, cache), { digests: plain, reads: 0, cached: 3, bytes: 0 })
    }))

  it.effect("is asked nothing by who did not opt in, and told nothing", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      yield* hash(disk, cache, { withCache: false })
      assert.strictEqual((yield* hash(disk, cache)).cached, 0)
      assert.strictEqual((yield* hash(disk, cache, { withCache: false })).reads, 3)
    }))

  it.effect("is what a job with it can't do without, nor a task", () =>
    Effect.gen(function*() {
      const disk = plant()
      const none = HashCache.HashCache.defaultValue()
      assert.deepStrictEqual(yield* hash(disk, none), { digests: [], reads: 0, cached: 0, bytes: 0 })
      assert.deepStrictEqual((yield* hash(disk, none, { withCache: false })).digests, plain)
      const stamp = HashCache.stampOf("disk", MemoryFiles.toStat(disk.find(FilePath.make("/in/a"))))
      assert.include(Cause.pretty(yield* Effect.flip(Effect.sandbox(none.find("md5", stamp)))), "SqlHashCache.layer")
    }))

  it.effect("keeps no ids of samples", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      yield* hash(disk, cache, { algorithm: "sampled" })
      assert.isAbove((yield* hash(disk, cache, { algorithm: "sampled" })).reads, 0)
    }))

  it.effect("reads what is not as it was in any way, and by another algorithm", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      yield* hash(disk, cache)
      const others: ReadonlyArray<Options> = [
        { stat: (stat) => ({ ...stat, sizeBytes: stat.sizeBytes + 1 }) },
        { stat: (stat) => ({ ...stat, modifiedNanos: stat.modifiedNanos + 1n }) },
        { stat: (stat) => ({ ...stat, changedNanos: stat.changedNanos + 1n }) },
        { stat: (stat) => ({ ...stat, inode: stat.inode + 1000n }) },
        { fileSystem: Option.some("another") },
        { fileSystem: Option.none() },
        { algorithm: "md5" }
      ]
      for (const other of others) {
        const { cached, reads } = yield* hash(disk, { ...cache, remember: () => Effect.void }, other)
        assert.deepStrictEqual([cached, reads > 2], [0, true], String(other.stat))
      }
      // A device is only what the file system is called until it is unmounted.
      const { cached } = yield* hash(disk, cache, { stat: (stat) => ({ ...stat, device: 99n }) })
      assert.strictEqual(cached, 3)
    }))

  it.effect("remembers nothing of a file system without a name, or one that does not tell", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      disk.fileSystems.clear()
      yield* hash(disk, cache)
      assert.deepStrictEqual(yield* hash(disk, cache), { digests: plain, reads: 3, cached: 0, bytes: 11 })
      const { digests } = yield* hash(disk, cache, {
        before: FaultyFiles.failing("EIO", (call) => call === "fstatfs")
      })
      assert.deepStrictEqual(digests, plain)
    }))

  it.effect("remembers no file that changed within two seconds before it was hashed", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      for (const [millis, cached] of [[0, 0], [1999, 0], [2001, 3]] as const) {
        yield* TestClock.setTime(made + millis)
        yield* hash(disk, cache)
        assert.strictEqual((yield* hash(disk, { ...cache, remember: () => Effect.void })).cached, cached, `${millis}`)
      }
    }))

  it.effect("tells by either time whether a file has settled", () =>
    Effect.sync(() => {
      const stat = MemoryFiles.toStat(plant().find(FilePath.make("/in/a")))
      const at = (changedNanos: bigint, modifiedNanos: bigint) =>
        HashCache.isSettled({ ...stat, changedNanos, modifiedNanos }, 10_000)
      assert.deepStrictEqual(
        [at(8_000_000_000n, 0n), at(8_000_000_001n, 0n), at(0n, 8_000_000_001n), at(99_000_000_000n, 0n)],
        [true, false, false, false]
      )
    }))

  it.effect("remembers nothing of a file that is replaced while it is hashed", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      const { counting, told } = counted(cache)
      disk.file("/new", "third!")
      let isDone = false
      yield* hash(disk, counting, {
        before: (call, path) =>
          Effect.sync(() => {
            if (call !== "read" || path !== "/in/b" || isDone) return
            isDone = true
            disk.rename("/new", "/in/b")
          })
      })
      assert.strictEqual(told(), 2)
      const { cached, digests } = yield* hash(disk, cache)
      assert.deepStrictEqual([digests[1], cached], [hashOf("third!"), 2])
    }))

  it.effect("remembers nothing of a file that is written while it is hashed, its time set back", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      const { counting, told } = counted(cache)
      let looks = 0
      yield* hash(disk, counting, {
        before: (call, path) =>
          Effect.sync(() => {
            // Of the same length, and after it was read: neither size nor modification time tells.
            if (call === "fstat" && path === "/in/b" && looks++ === 1) {
              disk.change(FilePath.make(path), () => "SECOND")
            }
          })
      })
      assert.strictEqual(told(), 2)
      const { cached, digests } = yield* hash(disk, cache)
      assert.deepStrictEqual([digests[1], cached], [hashOf("SECOND"), 2])
    }))

  it.effect("remembers again what is used, once a day, so that it is kept", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      const { counting, told } = counted(cache)
      yield* hash(disk, counting)
      yield* hash(disk, counting)
      assert.strictEqual(told(), 3)
      for (let day = 0; day < 100; day += 50) {
        yield* TestClock.adjust("50 days")
        assert.strictEqual((yield* hash(disk, counting)).cached, 3)
      }
      assert.strictEqual(told(), 9)
    }))

  it.effect("finds a file by each of its names", () =>
    Effect.gen(function*() {
      const { cache, disk } = yield* start
      disk.hardLink("/in/a", "/in/again")
      yield* hash(disk, cache)
      assert.deepInclude(yield* hash(disk, cache), { reads: 0, cached: 4 })
    }))
})
