import { assert, describe, it } from "@effect/vitest"
import * as Lease from "@fanout/core/Lease"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { runs } from "../../../test/effort.ts"
import * as CopyUnitLive from "../src/internal/copy/copyUnitLive.ts"
import { copyUnit } from "../src/internal/copy/unitSteps.ts"
import * as durability from "../src/internal/steps/durability.ts"
import { copy, type Options, remembering } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { unitOf } from "./unitOf.ts"

const files = 30

/** A tree whose content tells which file it is, and a copy of one file that is to be replaced. */
const plant = (syncsAsOne: boolean): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.syncsAsOne = syncsAsOne
  for (const folder of ["/from", "/from/inner", "/to", "/to/copy", "/to/copy/inner"]) disk.folder(folder)
  for (let i = 0; i < files; i++) {
    disk.file(`/from/${i % 3 === 0 ? "inner/" : ""}file-${i}`, `content of ${i}`, { modified: BigInt(i + 1) * 1_000n })
  }
  disk.symlink("/from/link", "inner")
  disk.file("/to/copy/inner/file-3", "the old one", { modified: 7n })
  disk.syncAll()
  return disk
}

const textOf = (disk: MemoryFiles.Disk, path: string): string | undefined => {
  const seen = disk.see(path)
  return seen?.kind === "file" ? seen.text : undefined
}

/** Files of the copy, by their paths, and whether they are as their sources. */
const filesOf = (disk: MemoryFiles.Disk) =>
  Object.entries(disk.tree("/to/copy")).flatMap(([path, seen]) =>
    // What has a temporary name is no file of the copy yet.
    seen.kind !== "file" || path.includes(".fanout-")
      ? []
      : [{ path, text: seen.text, isWhole: seen.text === textOf(disk, `/from/${path}`) }]
  )

/** How many files of the copy are whole: others are what was there before. */
const assertWhole = (disk: MemoryFiles.Disk): number => {
  const files = filesOf(disk)
  for (const { isWhole, path, text } of files) {
    if (!isWhole) assert.deepStrictEqual([path, text], ["inner/file-3", "the old one"])
  }
  return files.filter(({ isWhole }) => isWhole).length
}

/** Calls that leave something behind. */
const writing = new Set(
  "create write fchmod futimes lutimes link rename mkdir symlink unlink fsync syncfs".split(" ")
)

const ways = [true, false].flatMap((together) => [true, false].map((syncsAsOne) => ({ together, syncsAsOne })))

describe.each(ways)("a durable copy (files together: $together, flushed as one: $syncsAsOne)", (way) => {
  const copyDurably = (disk: MemoryFiles.Disk, options: Options = {}) =>
    copy(disk, { together: way.together, durable: true, ...options })

  it.effect("is all there after a power cut", () =>
    Effect.gen(function*() {
      const disk = plant(way.syncsAsOne)
      assert.strictEqual((yield* copyDurably(disk)).state, "Completed")
      assert.strictEqual(disk.openCount, 0)
      disk.cutPower()
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
    }))

  it.effect("acks no second name of a file that can't be flushed", () =>
    Effect.gen(function*() {
      const disk = plant(way.syncsAsOne)
      disk.folder("/from/more")
      disk.hardLink("/from/file-1", "/from/more/second")
      disk.syncAll()
      let isLinked = false
      const { rows } = yield* copyDurably(disk, {
        preserve: ["mode", "times", "links"],
        hardLinks: remembering(),
        before: (call, path) =>
          Effect.suspend(() => {
            if (isLinked && writing.has(call)) return Effect.fail(FaultyFiles.error(call, path, "EIO"))
            isLinked ||= call === "link" && !path.includes(".fanout-") && disk.see(path) !== undefined
            return Effect.void
          })
      })
      assert.isTrue(isLinked)
      assert.isTrue(rows.some((row) => /^\/from\/(file-1|more\/second) failed/.test(row)), rows.join())
    }))

  it.effect("flushes what is as its source already, and acks none that can't be flushed", () =>
    Effect.gen(function*() {
      for (const mayFlush of [true, false]) {
        const disk = plant(way.syncsAsOne)
        yield* copy(disk)
        let isFirst = true
        const { progress } = yield* copyDurably(disk, {
          before: (call, path) =>
            Effect.suspend(() => {
              if (mayFlush || (call !== "fsync" && call !== "syncfs")) return Effect.void
              // The first is to see whether there is such a thing.
              const isProbe = call === "syncfs" && isFirst
              isFirst &&= !isProbe
              return isProbe ? Effect.void : Effect.fail(FaultyFiles.error(call, path, "EIO"))
            })
        })
        // A link can't be flushed but by its folder.
        assert.strictEqual(progress.tally.tags["Unchanged"], mayFlush ? files + 1 : undefined)
        disk.cutPower()
        if (mayFlush) assert.strictEqual(assertWhole(disk), files)
      }
    }))

  it.effect("acks no folder that was there and can't be flushed", () =>
    Effect.gen(function*() {
      const disk = plant(way.syncsAsOne)
      disk.folder("/from/empty")
      yield* copy(disk)
      let isFirst = true
      const { progress } = yield* copyDurably(disk, {
        before: (call, path) =>
          Effect.suspend(() => {
            if (call !== "fsync" && call !== "syncfs") return Effect.void
            // The first is to see whether there is such a thing.
            const isProbe = call === "syncfs" && isFirst
            isFirst &&= !isProbe
            return isProbe ? Effect.void : Effect.fail(FaultyFiles.error(call, path, "EIO"))
          })
      })
      assert.isUndefined(progress.tally.tags["FolderMade"])
    }))

  it.effect.prop("has acked nothing that a power cut undoes, wherever that comes", [Schema.Int.check(
    Schema.isBetween({ minimum: 0, maximum: 300 })
  )], ([calls]) =>
    Effect.gen(function*() {
      const disk = plant(way.syncsAsOne)
      let left = calls
      const before: FaultyFiles.Before = (call, path) =>
        Effect.suspend(() =>
          !writing.has(call) || left-- > 0 ? Effect.void : Effect.fail(FaultyFiles.error(call, path, "EIO"))
        )
      const { progress } = yield* copyDurably(disk, { before })
      disk.cutPower()
      const there = assertWhole(disk)
      assert.isAtMost(progress.tally.tags["Copied"] ?? 0, there)
    }), { arbitrary: { runs: runs(40) } })

  it.effect("is written anew, once, where it could not be flushed", () =>
    Effect.gen(function*() {
      for (const times of [1, Infinity]) {
        const disk = plant(way.syncsAsOne)
        let failed = 0
        const before: FaultyFiles.Before = (call, path) =>
          Effect.suspend(() => {
            if ((call !== "fsync" && call !== "syncfs") || failed >= times) return Effect.void
            // The first is to see whether there is such a thing.
            if (call === "syncfs" && disk.syncs.all < 4) return Effect.void
            failed++
            return Effect.fail(FaultyFiles.error(call, path, "EIO"))
          })
        const { progress, state } = yield* copyDurably(disk, { before })
        assert.isAbove(failed, 0)
        assert.strictEqual(state, times === 1 ? "Completed" : "CompletedWithErrors")
        disk.cutPower()
        const there = assertWhole(disk)
        assert.isAtMost(progress.tally.tags["Copied"] ?? 0, there)
        assert.isFalse(Object.keys(disk.tree("/to")).some((path) => path.includes(".fanout-")))
      }
    }))

  it.effect.each([false, true])(
    "is whole after a power cut, though a flush has lost what was not on the device (copied before: %s)",
    (isThere) =>
      Effect.gen(function*() {
        // One by one each file tells of what was lost of it.
        for (let n = 0; way.syncsAsOne && n < 12; n++) {
          const disk = plant(true)
          if (isThere) yield* copy(disk)
          let left = n
          const before: FaultyFiles.Before = (call, path) =>
            Effect.suspend(() => {
              // The first is to see whether there is such a thing.
              if ((call !== "fsync" && call !== "syncfs") || (call === "syncfs" && disk.syncs.all === 1)) {
                return Effect.void
              }
              if (left-- !== 0) return Effect.void
              disk.loseDirty()
              return Effect.fail(FaultyFiles.error(call, path, "EIO"))
            })
          const { progress: { tally: { tags } } } = yield* copyDurably(disk, { before })
          disk.cutPower()
          // The link is unchanged, too.
          const unchanged = tags["Unchanged"] === undefined ? 0 : tags["Unchanged"] - 1
          const whole = isThere ? filesOf(disk).filter(({ isWhole }) => isWhole).length : assertWhole(disk)
          assert.isAtMost((tags["Copied"] ?? 0) + unchanged, whole, `flush ${n}`)
        }
      })
  )

  // Those together are stopped anywhere in CopyTogether.test.ts.
  it.effect.skipIf(way.together)(
    "flushes what a run before it has put in its place, and not recorded",
    () =>
      Effect.gen(function*() {
        for (const conflict of ["error", "skip", "rename"] as const) {
          const disk = plant(way.syncsAsOne)
          disk.remove("/to/copy/inner/file-3")
          // A file has its name and waits to be flushed, while the disk gets full.
          let [waits, isFull] = [false, false]
          const { state } = yield* copyDurably(disk, {
            conflict,
            goesOn: true,
            before: (call, path) =>
              Effect.suspend(() => {
                if (!waits && call === "fsync" && path === "/to/copy" && disk.see("/to/copy/file-1") !== undefined) {
                  waits = true
                  return Effect.never
                }
                if (!waits || isFull || call !== "create") return Effect.void
                isFull = true
                return Effect.fail(FaultyFiles.error(call, path, "ENOSPC"))
              })
          })
          assert.strictEqual(isFull, !way.syncsAsOne)
          assert.strictEqual(state, "Completed", conflict)
          disk.cutPower()
          assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"), conflict)
        }
      })
  )

  it.effect("flushes what it finds to be there already", () =>
    Effect.gen(function*() {
      const disk = plant(way.syncsAsOne)
      yield* copy(disk)
      yield* copyDurably(disk)
      disk.cutPower()
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
    }))
})

it.effect.each([false, true])(
  "a durable copy that has taken the place of another one stays where its name can't be flushed (together: %s)",
  (together) =>
    Effect.gen(function*() {
      const disk = plant(false)
      const { progress, rows } = yield* copy(disk, {
        together,
        durable: true,
        before: (call, path) =>
          call === "fsync" && path === "/to/copy/inner" && textOf(disk, `${path}/file-3`) === "content of 3"
            ? Effect.fail(FaultyFiles.error(call, path, "EIO"))
            : Effect.void
      })
      assert.isAbove(progress.tally.failed, 0)
      assert.isTrue(rows.some((row) => row.startsWith("/from/inner/file-3 failed")), rows.join())
      assert.strictEqual(textOf(disk, "/to/copy/inner/file-3"), "content of 3")
    })
)

it.effect("a copy that is not durable flushes nothing, and a power cut shows it", () =>
  Effect.gen(function*() {
    const disk = plant(true)
    yield* copy(disk)
    assert.deepStrictEqual(disk.syncs, { one: 0, all: 0 })
    disk.cutPower()
    assert.notDeepEqual(disk.tree("/to/copy"), disk.tree("/from"))
  }))

describe("durability", () => {
  it.effect("tells of a flush that failed all who had begun to write before, whenever they ask", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      let failures = 0
      const intercepted = FaultyFiles.intercept(
        MemoryFiles.make(disk),
        FaultyFiles.failing("EIO", (call) => call === "syncfs" && failures-- > 0)
      )
      const { prepare } = yield* Effect.provideService(durability.make, Files.Files, intercepted)
      const folder = yield* intercepted.folder(FilePath.make("/to"))
      const [first, second] = [yield* prepare(folder), yield* prepare(folder)]
      failures = 1
      assert.isTrue(yield* Effect.isFailure(first.content([])))
      assert.isTrue(yield* Effect.isFailure(second.content([])))
      assert.isTrue(yield* Effect.isFailure(second.names))
      const third = yield* prepare(folder)
      assert.isTrue(yield* Effect.isSuccess(third.content([])))
    }).pipe(Effect.scoped))

  it.effect("is tried again on a device whose first folder could not be opened", () =>
    Effect.gen(function*() {
      let failures = 1
      const intercepted = FaultyFiles.intercept(
        MemoryFiles.make(plant(true)),
        (call, path) =>
          Effect.suspend(() =>
            call === "open" && path === "/to/copy" && failures-- > 0
              ? Effect.fail(FaultyFiles.error(call, path, "EACCES"))
              : Effect.void
          )
      )
      const folder = yield* intercepted.folder(FilePath.make("/to"))
      const { prepare } = yield* Effect.provideService(durability.make, Files.Files, intercepted)
      assert.isTrue(yield* Effect.isFailure(prepare({ ...folder, path: FilePath.make("/to/copy") })))
      const { names } = yield* prepare(folder)
      assert.isTrue(yield* Effect.isSuccess(names))
    }).pipe(Effect.scoped))

  it.effect("of files together gives no name that may be another's by then, and tells none that may be lost", () =>
    Effect.gen(function*() {
      for (const what of ["lost", "failed"]) {
        const disk = plant(true)
        let [flushes, isHeld] = [0, true]
        const intercepted = FaultyFiles.intercept(
          MemoryFiles.make(disk),
          (call, path) =>
            Effect.suspend(() => {
              if (call !== "syncfs") return Effect.void
              // The first is to see whether there is such a thing, the second is of content, the third of names.
              if (++flushes === 2 && what === "lost") isHeld = false
              const fails = flushes === 3 && what === "failed"
              return fails ? Effect.fail(FaultyFiles.error(call, path, "EIO")) : Effect.void
            })
        )
        const names = ["file-1", "file-2"]
        const usual = CopyOptions.CopyOptions.defaultValue()
        const unit = unitOf({ source: "/from", target: "/to/copy", names, waits: true })
        const { copied, rest } = yield* copyUnit(unit, CopyUnitLive.perform).pipe(
          Effect.provideServiceEffect(durability.Durability, durability.make),
          Effect.provideService(CopyOptions.CopyOptions, { ...usual, isDurable: true }),
          Effect.provideService(Files.Files, intercepted),
          Effect.provideService(Lease.Lease, { ...Lease.Lease.defaultValue(), isHeldUnsafe: () => isHeld })
        )
        assert.deepStrictEqual<unknown>([copied, rest.flatMap(({ names }) => names)], [0, names], what)
        // Names that could not be flushed are left to others, who write them anew.
        const there = names.filter((name) => disk.see(`/to/copy/${name}`) !== undefined)
        assert.deepStrictEqual(there, what === "lost" ? [] : names)
      }
    }).pipe(Effect.scoped))

  it.effect("waits for a flush that has begun, whoever is interrupted meanwhile, and tells what it came to", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      const [begun, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let isHeld = false
      const intercepted = FaultyFiles.intercept(MemoryFiles.make(disk), (call, path) =>
        Effect.suspend(() => {
          if (call !== "syncfs" || !isHeld) return Effect.void
          isHeld = false
          const failed = Effect.fail(FaultyFiles.error(call, path, "EIO"))
          return Effect.andThen(Deferred.succeed(begun, undefined), Effect.andThen(Deferred.await(goOn), failed))
        }))
      const { prepare } = yield* Effect.provideService(durability.make, Files.Files, intercepted)
      const folder = yield* intercepted.folder(FilePath.make("/to"))
      const { names } = yield* prepare(folder)
      isHeld = true
      const first = yield* Effect.forkChild(names)
      yield* Deferred.await(begun)
      const second = yield* Effect.forkChild(Effect.exit(names))
      const interrupted = yield* Effect.forkChild(Fiber.interrupt(first))
      yield* Effect.yieldNow
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(interrupted)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(second)))
    }).pipe(Effect.scoped))

  it.effect("flushes once for all who wait, and again for those who come meanwhile", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      const [begun, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let isHeld = false
      const intercepted = FaultyFiles.intercept(MemoryFiles.make(disk), (call) =>
        Effect.suspend(() =>
          call === "syncfs" && isHeld
            ? Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(goOn))
            : Effect.void
        ))
      const { prepare } = yield* Effect.provideService(durability.make, Files.Files, intercepted)
      const folder = yield* intercepted.folder(FilePath.make("/to"))
      const { names } = yield* prepare(folder)
      isHeld = true
      const { all } = disk.syncs
      const first = yield* Effect.forkChild(names)
      yield* Deferred.await(begun)
      const others = yield* Effect.forkChild(Effect.all(
        Array.from({ length: 100 }, () =>
          names),
        {
          concurrency: "unbounded",
          discard: true
        }
      ))
      yield* Effect.yieldNow
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(others)
      assert.strictEqual(disk.syncs.all - all, 2)
    }).pipe(Effect.scoped))
})
