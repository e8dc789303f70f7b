import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { CopyRequest } from "../src/internal/entry/copyRequest.ts"
import * as EntryCopy from "../src/internal/entry/entryCopy.ts"
import * as Place from "../src/internal/path/place.ts"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import { CopyError } from "../src/internal/steps/copyError.ts"
import { WithoutUnnamed } from "../src/internal/steps/filePlacement.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const mebibyte = 2 ** 20
// Three chunks will do: what chooses the way is what the file was taken for.
const large = Buffer.from("0123456789abcdef".repeat(2 * mebibyte / 16) + "end")
const sizeOfLarge = 9 * mebibyte

/** What is copied: one thing for each way. */
const sources = ["small", "empty", "large", "link", "folder"] as const
const strategies = { small: "whole", empty: "whole", large: "kernel", link: "link", folder: "folder" }
/** What the name of the copy has before: nothing, or something that may be replaced. */
const targets = ["none", "file", "link"] as const
type Source = (typeof sources)[number]
type Target = (typeof targets)[number]

const plant = (target: Target = "none", takesUnnamed = true): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.takesUnnamed = takesUnnamed
  disk.folder("/from")
  disk.file("/from/small", "small text", { mode: 0o640, modified: 1_111_111n })
  disk.file("/from/empty", "", { mode: 0o444, modified: 2_222_222n })
  disk.file("/from/large", large, { mode: 0o755, modified: 3_333_333n })
  disk.symlink("/from/link", "../nowhere/\u{1f600}", { modified: 4_444_444n })
  disk.folder("/from/folder", { mode: 0o750, modified: 5_555_555n })
  disk.folder("/to")
  if (target === "file") disk.file("/to/copy", "old", { mode: 0o600, modified: 99n })
  if (target === "link") disk.symlink("/to/copy", "/from/large", { modified: 98n })
  return disk
}

const target = FilePath.make("/to/copy")
const temporaryName = TemporaryName.make(JobId.make("job"), 7, target)
const temporary = FilePath.join(FilePath.make("/to"), temporaryName)

/** Copies one source of the disk, through calls that may be made to fail. */
const copy = (
  disk: MemoryFiles.Disk,
  source: Source,
  options: {
    readonly before?: FaultyFiles.Before
    readonly files?: Files.Files["Service"]
    readonly placing?: CopyRequest["placing"]
    readonly to?: FilePath.FilePath
    /** Devices that take no files without a name, as far as they are known. */
    readonly withoutUnnamed?: Set<bigint>
  } = {}
) => {
  let isReady = false
  const { before = () => Effect.void, placing = "replace", to = target } = options
  const files = FaultyFiles.intercept(
    options.files ?? MemoryFiles.make(disk),
    // The folders are open by then.
    (call, path) => isReady ? before(call, path) : Effect.void
  )
  return Effect.gen(function*() {
    const places = { source: yield* Place.open(FilePath.make(`/from/${source}`)), target: yield* Place.open(to) }
    const found = yield* Place.lstat(places.source)
    const stat = source === "large" ? { ...found, sizeBytes: sizeOfLarge } : found
    isReady = true
    return yield* EntryCopy.copy({
      ...places,
      stat,
      temporary: temporaryName,
      placing,
      options: CopyOptions.CopyOptions.defaultValue()
    })
  }).pipe(
    Effect.scoped,
    Effect.provideService(WithoutUnnamed, options.withoutUnnamed ?? new Set()),
    Effect.provideService(Files.Files, files)
  )
}

/** What the folder of the copy holds, the times of the folder itself apart. */
const result = (disk: MemoryFiles.Disk) => disk.tree("/to")

const isInterruptedBy = <A, E>(exit: Exit.Exit<A, E>, reason: Interrupter.Reason): boolean =>
  Option.exists(
    Exit.findErrorOption(exit),
    (error) => error instanceof Interrupter.Interrupted && error.reason === reason
  )

const reasonOf = (error: { readonly _tag: string }) => error instanceof CopyError ? error.reason : undefined

describe("EntryCopy", () => {
  for (const target of targets) {
    it.effect.each(sources.filter((source) => target === "none" || source !== "folder"))(
      `copies what is %s over ${target}, with mode and times, by the way for it`,
      (source) =>
        Effect.gen(function*() {
          const disk = plant(target)
          const original = disk.see(`/from/${source}`)

          const copied = yield* copy(disk, source)

          const strategy = strategies[source]
          const sizeBytes = original?.kind === "file" ? original.text.length : 0
          assert.deepStrictEqual(copied, { strategy, sizeBytes, lost: [] })
          assert.deepStrictEqual(Object.keys(result(disk)), ["copy"])
          // A folder is closed to others until all in it is there.
          if (source === "folder") assert.include(disk.see("/to/copy"), { kind: "folder", mode: 0o1700 })
          else assert.deepStrictEqual(disk.see("/to/copy"), original)
          assert.deepStrictEqual(disk.see(`/from/${source}`), original)
        })
    )
  }

  /** Fails each call in turn, and looks at what is left. */
  const eachFault = (
    source: Source,
    placing: "replace" | "exclusive",
    target: Target,
    code: string,
    unnamed = true
  ) =>
    Effect.gen(function*() {
      for (let n = 0;; n++) {
        const disk = plant(target, unnamed)
        // Two ways to copy content are enough to try each of them.
        disk.copiesByItself = unnamed
        const before = result(disk)
        const fault = FaultyFiles.failAfter(n, code)

        const exit = yield* Effect.exit(copy(disk, source, { before: fault.before, placing }))

        if (fault.failed() === undefined) {
          assert.isTrue(Exit.isSuccess(exit))
          return n
        }
        // Once the copy has its name, a second name that can't be removed does no harm; the next sweep removes it.
        if (Exit.isSuccess(exit)) {
          // Attributes that can't be read are told as lost; where holes are is not known then.
          if (fault.failed() === "listxattr" || fault.failed() === "lseek") continue
          // Then content goes through memory.
          if (fault.failed() === "link" && code === "EIO") continue
          if (fault.failed() === "ficlone" || (fault.failed() === "copy_file_range" && code !== "ENOSPC")) continue
          assert.deepStrictEqual([fault.failed(), placing], ["unlink", "exclusive"])
          assert.isTrue(!unnamed || source === "link")
          continue
        }
        assert.deepStrictEqual(result(disk), before, `after a failed ${fault.failed()}`)
        const error = yield* Effect.flip(exit)
        assert.strictEqual(error._tag, "CopyError")
        if (error._tag !== "CopyError") return n
        assert.strictEqual(error.reason._tag, "CallFailed")
        if (error.reason._tag !== "CallFailed") return n
        assert.strictEqual(error.reason.side, error.reason.error.path.startsWith("/from") ? "source" : "destination")
        assert.strictEqual(error.reason.error.code, code)
        assert.include(error.message, `(${code})`)
      }
    })

  it.effect.each(["ENOSPC", "EIO", "EACCES"])(
    "leaves the old file and nothing else when a call fails with %s",
    (code) =>
      Effect.gen(function*() {
        for (const source of sources) {
          for (const target of source === "folder" ? (["none"] as const) : targets) {
            assert.isAbove(yield* eachFault(source, "replace", target, code), source === "folder" ? 0 : 3)
          }
          for (const unnamed of [true, false]) {
            const calls = yield* eachFault(source, "exclusive", "none", code, unnamed)
            assert.isAbove(calls, source === "folder" ? 0 : 3)
          }
        }
      })
  )

  /** Interrupts in each call in turn, and looks at what is left. */
  const eachInterrupt = Effect.fnUntraced(
    function*(source: Source, placing: "replace" | "exclusive", unnamed: boolean) {
      for (let n = 0;; n++) {
        const disk = plant(placing === "exclusive" || source === "folder" ? "none" : "file", unnamed)
        const before = result(disk)
        const reached = yield* Deferred.make<void>()
        let [left, stopped] = [n, ""]
        const fiber = yield* Effect.forkChild(copy(disk, source, {
          placing,
          before: (call, path) =>
            Effect.suspend(() => {
              if (left-- !== 0) return Effect.void
              stopped = `${call} ${path}`
              return Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
            })
        }))
        yield* Effect.raceFirst(Deferred.await(reached), Fiber.await(fiber))
        if (!(yield* Deferred.isDone(reached))) {
          assert.isAbove(n, source === "folder" ? 0 : 3)
          return
        }

        yield* Fiber.interrupt(fiber)

        const isPlaced = stopped === `unlink ${temporary}`
        if (isPlaced) assert.deepStrictEqual(disk.see("/to/copy"), disk.see(`/from/${source}`))
        else assert.deepStrictEqual(result(disk), before, `in ${stopped}`)
        assert.isUndefined(disk.see(temporary))
        assert.strictEqual(disk.openCount, 0)
      }
    }
  )

  it.effect.each(sources)(
    "leaves the old file and nothing else when %s is interrupted in any call",
    (source) =>
      Effect.gen(function*() {
        yield* eachInterrupt(source, "replace", true)
        yield* eachInterrupt(source, "exclusive", true)
        yield* eachInterrupt(source, "exclusive", false)
      })
  )

  /** Loses the lease before all, then in each call in turn. Only the call that places the copy may be under way. */
  const eachLoss = Effect.fnUntraced(function*(
    source: Source,
    placing: "replace" | "exclusive",
    hasLinks: boolean,
    unnamed = true
  ) {
    for (let n = -1;; n++) {
      const disk = plant(placing === "exclusive" || source === "folder" ? "none" : "file", unnamed)
      const before = result(disk)
      let [left, isLost, placedAfter] = [n, n < 0, false]

      const exit = yield* copy(disk, source, {
        placing,
        before: (call, path) =>
          Effect.suspend(() => {
            const fails = call === "link" && !hasLinks
            if (call === "rename" || call === "mkdir" || (call === "link" && hasLinks)) placedAfter ||= isLost
            if (left-- === 0) isLost = true
            return fails ? Effect.fail(FaultyFiles.error(call, path, "EPERM")) : Effect.void
          })
      }).pipe(
        Effect.provideService(Lease.Lease, {
          job: Option.none(),
          token: 7,
          isHeldUnsafe: () => !isLost,
          heldUntilUnsafe: Option.none
        }),
        Effect.exit
      )

      assert.isFalse(placedAfter)
      if (n >= 0 && left >= 0) return
      if (Exit.isSuccess(exit)) continue
      assert.isTrue(isInterruptedBy(exit, "LeaseLost"))
      assert.deepStrictEqual(result(disk), before)
    }
  })

  it.effect.each(sources)(
    "publishes nothing of %s once the job may be somebody else's",
    (source) =>
      Effect.gen(function*() {
        yield* eachLoss(source, "replace", true)
        yield* eachLoss(source, "exclusive", true)
        yield* eachLoss(source, "exclusive", false)
        yield* eachLoss(source, "exclusive", true, false)
        yield* eachLoss(source, "exclusive", false, false)
      })
  )

  it.effect.each(["small", "large"] as const)(
    "does not trust a file that fails to close (%s)",
    (source) =>
      Effect.gen(function*() {
        const failing = FaultyFiles.failing("ENOSPC", (call, path) => call === "close" && path.startsWith("/to"))
        for (const placing of ["replace", "exclusive"] as const) {
          for (const unnamed of [true, false]) {
            const disk = plant(placing === "replace" ? "file" : "none", unnamed)
            const before = result(disk)

            const error = yield* Effect.flip(copy(disk, source, { placing, before: failing }))

            assert.strictEqual(reasonOf(error)?._tag, "CallFailed")
            assert.deepStrictEqual(result(disk), before)
          }
        }
      })
  )

  it.effect.each(["small", "large", "link"] as const)("tells that %s vanished", (source) =>
    Effect.gen(function*() {
      const disk = plant("file")
      const before = result(disk)

      const error = yield* Effect.flip(copy(disk, source, {
        before: (call) =>
          Effect.sync(() => {
            if ((call === "open" || call === "readlink") && disk.see(`/from/${source}`)) {
              disk.remove(FilePath.make(`/from/${source}`))
            }
          })
      }))

      assert.deepStrictEqual(reasonOf(error), { _tag: "Vanished", path: FilePath.make(`/from/${source}`) })
      assert.deepStrictEqual(result(disk), before)
    }))

  it.effect.each<readonly [Source, Source]>([["small", "link"], ["small", "folder"], ["large", "link"], [
    "link",
    "small"
  ]])(
    "tells that %s became another kind (%s)",
    ([source, instead]) =>
      Effect.gen(function*() {
        const disk = plant("file")
        const before = result(disk)
        const path = FilePath.make(`/from/${source}`)

        const error = yield* Effect.flip(copy(disk, source, {
          before: (call) =>
            Effect.sync(() => {
              if (call !== "open" && call !== "readlink") return
              disk.remove(path)
              disk.rename(`/from/${instead}`, path)
            })
        }))

        assert.deepStrictEqual(reasonOf(error), { _tag: "KindChanged", path })
        assert.deepStrictEqual(result(disk), before)
      })
  )

  it.effect.each(["small", "large", "link"] as const)(
    "takes no name that is taken when it must not (%s)",
    (source) =>
      Effect.gen(function*() {
        for (
          const [code, unnamed] of [
            [undefined, true],
            [undefined, false],
            ["EPERM", true],
            ["EPERM", false],
            ["EOPNOTSUPP", false]
          ] as const
        ) {
          const withoutLinks = FaultyFiles.failing(code ?? "", (call) => call === "link" && code !== undefined)
          const [free, taken] = [plant("none", unnamed), plant("file", unnamed)]
          const before = result(taken)
          const options = { placing: "exclusive", before: withoutLinks } as const

          yield* copy(free, source, options)
          const error = yield* Effect.flip(copy(taken, source, options))

          assert.deepStrictEqual(free.see("/to/copy"), free.see(`/from/${source}`))
          assert.deepStrictEqual(Object.keys(result(free)), ["copy"])
          assert.deepStrictEqual(reasonOf(error), { _tag: "Occupied", path: target })
          assert.deepStrictEqual(result(taken), before)
        }
      })
  )

  it.effect.each(["small", "link"] as const)(
    "starts over where an attempt before it left its own (%s)",
    (source) =>
      Effect.gen(function*() {
        const disk = plant("file")
        disk.file(temporary, "half of something")

        yield* copy(disk, source)

        assert.deepStrictEqual(disk.see("/to/copy"), disk.see(`/from/${source}`))
        assert.deepStrictEqual(Object.keys(result(disk)), ["copy"])
      })
  )

  it.effect.each(["small", "empty", "large"] as const)(
    "shows nothing of a new file before it is whole (%s)",
    (source) =>
      Effect.gen(function*() {
        const disk = plant()
        const calls: Array<string> = []

        yield* copy(disk, source, {
          placing: "exclusive",
          before: (call, path) =>
            Effect.sync(() => {
              assert.strictEqual(disk.see("/to/copy") !== undefined, calls.includes("link /to/copy"))
              assert.lengthOf(Object.keys(result(disk)), calls.includes("link /to/copy") ? 1 : 0)
              calls.push(`${call} ${path}`)
            })
        })

        const isChange = /^(create|rename|link|unlink|mkdir|symlink) /
        assert.deepStrictEqual(calls.filter((call) => isChange.test(call)), ["create /to", "link /to/copy"])
        assert.deepStrictEqual(disk.see("/to/copy"), disk.see(`/from/${source}`))
      })
  )

  it.effect("asks once a device whether it takes files without a name, and writes nothing in vain", () =>
    Effect.gen(function*() {
      for (const code of ["ENOTSUP", "EOPNOTSUPP", "EISDIR", "ENOSYS", "EINVAL"]) {
        const disk = plant()
        disk.device = 2n
        disk.folder("/other")
        const calls: Array<string> = []
        const before: FaultyFiles.Before = (call, path) =>
          Effect.suspend(() => {
            if (call === "create" || call === "write") calls.push(`${call} ${path}`)
            return call === "create" && path === "/to" ? Effect.fail(FaultyFiles.error(call, path, code)) : Effect.void
          })
        const withoutUnnamed = new Set<bigint>()

        for (const to of ["/to/a", "/to/b", "/other/c"].map(FilePath.make)) {
          yield* copy(disk, "small", { placing: "exclusive", before, to, withoutUnnamed })
        }

        const written = [`create ${temporary}`, `write ${temporary}`]
        assert.deepStrictEqual(calls, ["create /to", ...written, ...written, "create /other", "write /other"])
        for (const copy of ["/to/a", "/to/b", "/other/c"]) {
          assert.deepStrictEqual(disk.see(copy), disk.see("/from/small"))
        }
      }
    }))

  it.effect("starts over under a temporary name where a file without one can get none", () =>
    Effect.gen(function*() {
      for (const [source, code] of [["small", "EPERM"], ["large", "EPERM"], ["small", "ENOENT"]] as const) {
        const disk = plant()
        const calls: Array<string> = []
        let bytes = 0

        const copied = yield* copy(disk, source, {
          placing: "exclusive",
          before: (call, path) =>
            Effect.suspend(() => {
              if (call === "create" || call === "link") calls.push(`${call} ${path}`)
              return path === target && call === "link"
                ? Effect.fail(FaultyFiles.error(call, path, code))
                : Effect.void
            })
        }).pipe(Effect.provideService(Progress.Reporter, {
          addUnsafe: (unit, amount) => {
            if (unit === "bytes") bytes += amount
          },
          totalUnsafe: () => {}
        }))

        assert.strictEqual(copied.strategy, strategies[source])
        assert.strictEqual(bytes, copied.sizeBytes)
        // Where the file is not found it may be the folder that has gone.
        const looks = code === "ENOENT" ? [`create ${temporary}`] : []
        assert.deepStrictEqual(calls, ["create /to", "link /to/copy", ...looks, `create ${temporary}`])
        assert.deepStrictEqual(disk.see("/to/copy"), disk.see(`/from/${source}`))
        assert.deepStrictEqual(Object.keys(result(disk)), ["copy"])
      }
    }))

  it.effect("takes a folder that has gone for nothing else", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.folder("/to/in")
      disk.folder("/to/other")
      const withoutUnnamed = new Set<bigint>()
      const calls: Array<string> = []
      const to = FilePath.make("/to/in/copy")

      const error = yield* Effect.flip(copy(disk, "small", {
        placing: "exclusive",
        to,
        withoutUnnamed,
        before: (call, path) => Effect.sync(() => call === "link" && path === to ? disk.remove("/to/in") : undefined)
      }))
      yield* copy(disk, "small", {
        placing: "exclusive",
        to: FilePath.make("/to/other/copy"),
        withoutUnnamed,
        before: (call, path) => Effect.sync(() => call === "create" ? calls.push(path) : undefined)
      })

      assert.deepInclude(reasonOf(error), {
        _tag: "CallFailed",
        side: "destination",
        error: FaultyFiles.error("link", to, "ENOENT")
      })
      assert.deepStrictEqual(calls, ["/to/other"])
    }))

  it.effect("copies into the folder that was opened, wherever its path leads by then", () =>
    Effect.gen(function*() {
      for (const source of ["small", "large", "link", "folder"] as const) {
        for (const placing of ["replace", "exclusive"] as const) {
          const disk = plant()
          disk.folder("/trap")
          let isSwapped = false

          yield* copy(disk, source, {
            placing,
            before: () =>
              Effect.sync(() => {
                if (isSwapped) return
                isSwapped = true
                disk.rename("/to", "/moved")
                disk.symlink("/to", "/trap")
                disk.rename("/from", "/source")
                disk.symlink("/from", "/trap")
              })
          })

          assert.deepStrictEqual(disk.tree("/trap"), {})
          if (source !== "folder") assert.deepStrictEqual(disk.see("/moved/copy"), disk.see(`/source/${source}`))
          else assert.strictEqual(disk.see("/moved/copy")?.kind, "folder")
        }
      }
    }))

  it.effect("copies all there is, whatever the size was said to be", () =>
    Effect.gen(function*() {
      for (const size of [0, 1, 10, 70_000]) {
        const disk = plant()
        const text = "x".repeat(size)
        disk.remove(FilePath.make("/from/small"))
        disk.file("/from/small", text)
        for (const claimed of [0, 5, 9, 10, 11, 80_000]) {
          const memory = FaultyFiles.intercept(MemoryFiles.make(disk), () => Effect.void)
          const lying = (folder: Files.Folder): Files.Folder => ({
            ...folder,
            open: (name) =>
              Effect.map(
                folder.open(name),
                (file) => ({ ...file, stat: Effect.map(file.stat, (_) => ({ ..._, sizeBytes: claimed })) })
              )
          })
          const files = { ...memory, folder: (path: FilePath.FilePath) => Effect.map(memory.folder(path), lying) }

          const copied = yield* copy(disk, "small", { files })

          assert.strictEqual(copied.sizeBytes, size)
          assert.include(disk.see("/to/copy"), { text })
        }
      }
    }))

  it.effect.each<readonly [Source, string, (text: string) => string]>([
    ["small", "grew before the first read", (text) => text + "more".repeat(50_000)],
    ["large", "grew between two reads", (text) => text + "more".repeat(500_000)],
    ["large", "shrank between two reads", (text) => text.slice(0, mebibyte + 17)]
  ])("copies up to its end what %s: it %s", ([source, , edit]) =>
    Effect.gen(function*() {
      const disk = plant("file")
      disk.copiesByItself = false
      let reads = 0

      const copied = yield* copy(disk, source, {
        before: (call, path) =>
          Effect.sync(() => {
            if (call === "read" && reads++ === (source === "small" ? 0 : 1)) disk.change(path, edit)
          })
      })

      const now = disk.see(`/from/${source}`)
      assert.include(disk.see("/to/copy"), { kind: "file", text: now?.kind === "file" ? now.text : "" })
      assert.strictEqual(copied.sizeBytes, now?.kind === "file" ? now.text.length : 0)
    }))

  it.effect("stops between two chunks, with the reason, and leaves the old file", () =>
    Effect.gen(function*() {
      const disk = plant("file")
      disk.copiesByItself = false
      const before = result(disk)
      const interrupter = Interrupter.makeUnsafe()
      let [writes, bytes] = [0, 0]

      const exit = yield* copy(disk, "large", {
        before: (call) =>
          Effect.sync(() => {
            if (call === "write" && ++writes === 2) interrupter.requestUnsafe("Pause")
          })
      }).pipe(
        Effect.provideService(Interrupter.Interrupter, interrupter),
        Effect.provideService(Progress.Reporter, {
          addUnsafe: (unit, amount) => {
            if (unit === "bytes") bytes += amount
          },
          totalUnsafe: () => {}
        }),
        Effect.exit
      )

      assert.isTrue(isInterruptedBy(exit, "Pause"))
      assert.deepStrictEqual([writes, bytes], [2, 2 * mebibyte])
      assert.deepStrictEqual(result(disk), before)
    }))

  it.effect("goes on where the file system has no modes, and says what was lost", () =>
    Effect.gen(function*() {
      const disk = plant()
      const without = (call: string): FaultyFiles.Before => (made, path) =>
        made === call ? Effect.fail(FaultyFiles.error(made, path, "EPERM")) : Effect.void

      assert.deepStrictEqual((yield* copy(disk, "small", { before: without("fchmod") })).lost, ["mode"])
      assert.deepStrictEqual((yield* copy(disk, "small", { before: without("futimes") })).lost, ["times"])
      assert.deepStrictEqual((yield* copy(disk, "link", { before: without("lutimes") })).lost, ["times"])
    }))
})
