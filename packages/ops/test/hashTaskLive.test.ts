import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import * as Hasher from "../src/internal/hash/hasher.ts"
import { CheckFiles, HashFiles } from "../src/internal/hash/hashTask.ts"
import * as HashTaskLive from "../src/internal/hash/hashTaskLive.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const mebi = 2 ** 20

/** Hashes four files of 8 MiB at 4 MiB/s, and tells how much was read after each second. */
const read = (algorithm: "sha256" | "sampled") =>
  Effect.gen(function*() {
    const disk = new MemoryFiles.Disk()
    const names = ["a", "b", "c", "d"].map((name) => FilePath.make(name))
    for (const name of names) disk.file(`/${FilePath.display(name)}`, Buffer.alloc(8 * mebi))
    let reads = 0
    const files = FaultyFiles.intercept(MemoryFiles.make(disk), (call) =>
      Effect.sync(() => {
        if (call === "read") reads++
      }))
    const others = { layer: HashTaskLive.layer.pipe(Layer.provide(Layer.succeed(Files.Files, files))), count: 1 }
    const { run } = yield* TaskDispatcher.TaskDispatcher
    const each = (name: FilePath.FilePath) =>
      run(HashFiles, {
        root: FilePath.make("/"),
        folders: [{ path: FilePath.empty, names: [name] }],
        algorithm,
        isAlone: true
      })
    const hashing = yield* Effect.forEach(names, each, { concurrency: "unbounded" }).pipe(
      Effect.provide(HashTaskLive.layerShared({ beside: others, alone: others }, { paths: [FilePath.make("/")] })),
      Effect.provideService(Files.Files, files),
      Effect.forkScoped
    )
    yield* settle
    const seconds: Array<number> = []
    for (let second = 0; second < 9 && hashing.pollUnsafe() === undefined; second++) {
      yield* TestClock.adjust("1 second")
      // A tenth of a second's at once.
      seconds.push(reads * 0.4)
    }
    return seconds
  })

const atRate = TaskDispatcher.layerLimited({ bytesPerSecond: 4 * mebi }).pipe(
  Layer.provide(TaskDispatcher.layer),
  Layer.provide(Pools.layer())
)

/** Hashes large files at the same time where calls are quick, and tells how often a fiber beside had its turn. */
const hashHere = Effect.fnUntraced(function*(
  mebis: ReadonlyArray<number>,
  { isAlone = true, readMillis = 0, startsAfter = 40 }: {
    readonly isAlone?: boolean
    readonly readMillis?: number
    readonly startsAfter?: number
  } = {}
) {
  const disk = new MemoryFiles.Disk()
  const contents = mebis.map((size, n) => Buffer.alloc(size * mebi, n))
  contents.forEach((content, n) => disk.file(`/${n}`, content))
  let readNanos = 0n
  const files = readMillis === 0 ? MemoryFiles.make(disk) : FaultyFiles.intercept(
    MemoryFiles.make(disk),
    (call) =>
      Effect.sync(() => {
        if (call === "read") readNanos += BigInt(readMillis) * 1_000_000n
      })
  )
  const clock = yield* Clock.Clock
  const monotonicTimeNanosUnsafe = (): bigint => clock.monotonicTimeNanosUnsafe() + readNanos
  let [started, turns] = [0, 0]
  const others = {
    layer: Layer.unwrap(Effect.sync(() => {
      started++
      return Layer.provide(HashTaskLive.layer, Layer.succeed(Files.Files, files))
    })),
    count: 1
  }
  const { run } = yield* TaskDispatcher.TaskDispatcher
  const each = (content: Buffer, n: number) =>
    run(HashFiles, {
      root: FilePath.make("/"),
      folders: [{ path: FilePath.empty, names: [FilePath.make(`${n}`)] }],
      algorithm: "blake3",
      ...isAlone ? { isAlone, sizeBytes: content.length } : {}
    })
  const counting = yield* Effect.forkChild(
    Effect.forever(Effect.andThen(Effect.yieldNow, Effect.sync(() => void turns++)))
  )
  const hashed = yield* Effect.forEach(contents, each, { concurrency: 4 }).pipe(
    Effect.provide(
      HashTaskLive.layerShared({ beside: others, alone: others }, { paths: [FilePath.make("/")], startsAfter })
    ),
    Effect.provideService(QuickFiles, {
      throughout: () => Effect.succeedSome(files),
      isSlow: () => false
    }),
    Effect.provideService(Files.Files, files),
    Effect.provideService(Clock.Clock, { ...clock, monotonicTimeNanosUnsafe })
  )
  yield* Fiber.interrupt(counting)
  contents.forEach((content, n) => {
    const hasher = Hasher.make("blake3")
    hasher.update(content)
    assert.deepStrictEqual(hashed[n]?.digests, [hasher.digest()])
  })
  return { started, turns }
})

describe("HashTaskLive", () => {
  it.effect("hashes a large file here, and lets all else have its turn meanwhile", () =>
    Effect.gen(function*() {
      const { started, turns } = yield* hashHere([32])
      assert.strictEqual(started, 0)
      // There are 64 pieces.
      assert.isAtLeast(turns, 3)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(TaskDispatcher.layer, Pools.layer()))))

  it.effect("has others help where two large files wait for this thread", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* hashHere([32, 32])).started, 1)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(TaskDispatcher.layer, Pools.layer()))))

  it.effect("has others help once much was read, whatever was known of it", () =>
    Effect.gen(function*() {
      const small = Array.from({ length: 40 }, () => 1)
      assert.strictEqual((yield* hashHere(small, { isAlone: false, startsAfter: 100 })).started, 0)
      assert.strictEqual((yield* hashHere(small, { isAlone: false, startsAfter: 50 })).started, 1)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(TaskDispatcher.layer, Pools.layer()))))

  it.effect("has others help once files come slowly", () =>
    Effect.gen(function*() {
      const few = Array.from({ length: 8 }, () => 0)
      for (const [readMillis, started] of [[1, 0], [100, 1]] as const) {
        const hashed = yield* hashHere(few, { isAlone: false, startsAfter: 100, readMillis })
        assert.strictEqual(hashed.started, started)
      }
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(TaskDispatcher.layer, Pools.layer()))))

  it.effect("reads at the rate of the job, also within a file", () =>
    Effect.gen(function*() {
      const seconds = yield* read("sha256")
      assert.deepStrictEqual(seconds.length, 8)
      // Each file has one more read, which meets its end.
      seconds.forEach((moved, i) => assert.closeTo(moved, 4 * (i + 1), 4 * 0.4 + 0.01))
    }).pipe(Effect.scoped, Effect.provide(atRate)))

  it.effect("owes no more than was read", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* read("sampled")).length, 1)
    }).pipe(Effect.scoped, Effect.provide(atRate)))
})

it.effect("files are checked here where that is quick, but what links lead to", () =>
  Effect.gen(function*() {
    const disk = new MemoryFiles.Disk()
    for (const folder of ["/in", "/elsewhere"]) disk.folder(folder)
    for (const file of ["/in/a", "/in/b", "/elsewhere/c"]) disk.file(file, "text")
    disk.symlink("/in/link", "/elsewhere/c")
    const opened = { quick: [] as Array<string>, slow: [] as Array<string> }
    const filesBy = (way: keyof typeof opened) =>
      FaultyFiles.intercept(
        MemoryFiles.make(disk),
        (call, path) => Effect.sync(() => void ((call === "open" || call === "stat") && opened[way].push(path)))
      )
    const [quick, files] = [filesBy("quick"), filesBy("slow")]
    const others = { layer: Layer.provide(HashTaskLive.layer, Layer.succeed(Files.Files, files)), count: 1 }
    const hasher = Hasher.make("blake3")
    hasher.update(Buffer.from("text"))
    const digest = hasher.digest()
    const { run } = yield* TaskDispatcher.TaskDispatcher
    let isLinked = false
    const check = (first: string, ...more: ReadonlyArray<string>) =>
      run(CheckFiles, {
        root: FilePath.make("/in"),
        paths: [FilePath.make(first), ...more.map((path) => FilePath.make(path))],
        digests: [first, ...more].map((path) => path === "b" ? "another" : digest),
        lineNumbers: [],
        algorithms: ["sha256", "blake3"],
        ...isLinked ? { isLinked, leaveOut: [FilePath.make("/in/b")] } : {}
      })
    const seen = Effect.fnUntraced(function*(first: string, ...more: ReadonlyArray<string>) {
      const checked = yield* check(first, ...more)
      const { quick, slow } = opened
      return [checked.map((file) => file?.algorithm), quick.splice(0), slow.splice(0)] as const
    })
    const checks = Effect.gen(function*() {
      // Those that have another digest by the first are read once more.
      assert.deepStrictEqual(yield* seen("a", "b", "link"), [
        ["blake3", undefined, undefined],
        ["/in", "/in/a", "/in/b", "/in/link", "/in", "/in/a", "/in/b"],
        []
      ])
      assert.deepStrictEqual(yield* seen("link"), [
        ["blake3"],
        ["/in/link", "/in/link"],
        ["/elsewhere/c", "/elsewhere/c"]
      ])
      const up = "/in/../elsewhere/c"
      isLinked = true
      const [, quick, slow] = yield* seen("link")
      assert.deepStrictEqual([quick, slow.includes("/in/link")], [["/in/link", "/in/link"], true])
      isLinked = false
      assert.deepStrictEqual(yield* seen("../elsewhere/c"), [["blake3"], [], [up, up]])
    })
    yield* checks.pipe(
      Effect.provide(
        HashTaskLive.layerSharedChecks({ beside: others, alone: others }, { paths: [FilePath.make("/in")] })
      ),
      Effect.provideService(QuickFiles, {
        throughout: () => Effect.succeedSome(quick),
        isSlow: () => false
      }),
      Effect.provideService(Files.Files, files)
    )
  }).pipe(Effect.provide(TaskDispatcher.layer.pipe(Layer.provide(Pools.layer())))))

it.effect("a file that can't be read to its end has no part in the digest of the next one", () =>
  Effect.gen(function*() {
    const disk = new MemoryFiles.Disk()
    disk.file("/broken", Buffer.alloc(mebi, 1))
    disk.file("/whole", "text")
    let reads = 0
    const files = FaultyFiles.intercept(
      MemoryFiles.make(disk),
      (call, path) =>
        Effect.suspend(() =>
          call === "read" && path === "/broken" && ++reads === 2
            ? Effect.fail(FaultyFiles.error(call, path, "EIO"))
            : Effect.void
        )
    )
    const { run } = yield* TaskDispatcher.TaskDispatcher
    const hasher = Hasher.make("blake3")
    hasher.update(Buffer.from("text"))
    const { digests, unhashed } = yield* run(HashFiles, {
      root: FilePath.make("/"),
      folders: [{ path: FilePath.empty, names: [FilePath.make("broken"), FilePath.make("whole")] }],
      algorithm: "blake3"
    }).pipe(Effect.provide(HashTaskLive.layer), Effect.provideService(Files.Files, files))
    assert.deepStrictEqual([reads, unhashed.map(({ index }) => index)], [2, [0]])
    assert.deepStrictEqual(digests, [null, hasher.digest()])
  }).pipe(Effect.provide(TaskDispatcher.layer.pipe(Layer.provide(Pools.layer())))))
