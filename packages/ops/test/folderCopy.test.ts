import { assert, describe, it } from "@effect/vitest"
import * as Lease from "@fanout/core/Lease"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FolderCopy from "../src/internal/entry/folderCopy.ts"
import * as Place from "../src/internal/path/place.ts"
import { CopyError } from "../src/internal/steps/copyError.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const [source, target] = [FilePath.make("/from"), FilePath.make("/to")]

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/from", { mode: 0o1555, modified: 5_555n })
  disk.folder("/to", { mode: 0o1700 })
  return disk
}

/** Finishes the folder; the calls are those that are made once source and target are known. */
const finishWith = Effect.fnUntraced(function*(files: Files.Files["Service"], before: FaultyFiles.Before) {
  let isReady = false
  const calls = FaultyFiles.intercept(files, (call, path) => isReady ? before(call, path) : Effect.void)
  const places = yield* Effect.provideService(Effect.all([Place.open(source), Place.open(target)]), Files.Files, calls)
  isReady = true
  return yield* Effect.provideService(
    FolderCopy.finish(...places, CopyOptions.CopyOptions.defaultValue()),
    Files.Files,
    calls
  )
})

const finish = (disk: MemoryFiles.Disk, before: FaultyFiles.Before = () => Effect.void) =>
  finishWith(MemoryFiles.make(disk), before)

const make = (disk: MemoryFiles.Disk) =>
  Effect.flatMap(Place.open(target), (target) => FolderCopy.make({ target })).pipe(
    Effect.provide(MemoryFiles.layer(disk))
  )

const reasonOf = (error: { readonly _tag: string }) => error instanceof CopyError ? error.reason : undefined

describe("FolderCopy", () => {
  it.effect("takes a folder that is there as it is", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.file("/to/file", "text")
      const before = disk.tree("/")

      assert.strictEqual((yield* make(disk)).strategy, "folder")

      assert.deepStrictEqual(disk.tree("/"), before)
    }))

  it.effect("does not fill what a link leads to, nor what is no folder", () =>
    Effect.gen(function*() {
      for (const kind of ["link", "file"] as const) {
        const disk = plant()
        disk.remove(target)
        if (kind === "link") disk.symlink("/to", "/from")
        else disk.file("/to", "text")

        assert.deepStrictEqual(reasonOf(yield* Effect.flip(make(disk))), { _tag: "Occupied", path: target })
        assert.strictEqual(reasonOf(yield* Effect.flip(finish(disk)))?._tag, "CallFailed")
      }
    }))

  it.effect("gives a folder the mode and times that its source has at the end", () =>
    Effect.gen(function*() {
      const disk = plant()

      assert.deepStrictEqual(yield* finish(disk), [])

      assert.deepStrictEqual(disk.see("/to"), { kind: "folder", mode: 0o1555, modified: 5_555n })
    }))

  it.effect("gives the root what its source has, where that is the target", () =>
    Effect.gen(function*() {
      const disk = plant()

      yield* Effect.flatMap(
        Effect.all([Place.open(source), Place.open(FilePath.make("/"))]),
        (places) => FolderCopy.finish(...places, CopyOptions.CopyOptions.defaultValue())
      ).pipe(Effect.provide(MemoryFiles.layer(disk)))

      assert.include(yield* MemoryFiles.make(disk).lstat(FilePath.make("/")), { mode: 0o1555, modifiedNanos: 5_555n })
    }))

  it.effect("tells that the source vanished, or became another kind", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.remove(source)
      assert.deepStrictEqual(reasonOf(yield* Effect.flip(finish(disk))), { _tag: "Vanished", path: source })
      disk.symlink("/from", "/to")
      assert.deepStrictEqual(reasonOf(yield* Effect.flip(finish(disk))), { _tag: "KindChanged", path: source })
    }))

  it.effect("changes nothing once the job may be somebody else's", () =>
    Effect.gen(function*() {
      const disk = plant()

      const error = yield* finish(disk).pipe(
        Effect.provideService(Lease.Lease, {
          job: Option.none(),
          token: 1,
          isHeldUnsafe: () => false,
          heldUntilUnsafe: Option.none
        }),
        Effect.flip
      )

      assert.strictEqual(error._tag, "Interrupted")
      assert.include(disk.see("/to"), { mode: 0o1700 })
    }))

  it.effect("tells on which side a call failed, whichever it is", () =>
    Effect.gen(function*() {
      for (let n = 0;; n++) {
        const fault = FaultyFiles.failAfter(n, "EIO")
        const exit = yield* Effect.exit(finish(plant(), fault.before))
        if (fault.failed() === undefined) return
        // Attributes that can't be read are told as lost.
        if (fault.failed() === "listxattr") {
          assert.include(yield* exit, "mode")
          continue
        }
        const reason = reasonOf(yield* Effect.flip(exit))
        assert.strictEqual(reason?._tag, "CallFailed")
        if (reason?._tag !== "CallFailed") return
        assert.strictEqual(reason.side, reason.error.path.startsWith("/from") ? "source" : "destination")
      }
    }))

  it.effect.each<readonly [mode: number, owner: number, group: number, expected: number]>([
    [0o6755, 0, 0, 0o6755],
    [0o6755, 1, 0, 0o2755],
    [0o6755, 0, 1, 0o4755],
    [0o7777, 1, 1, 0o1777]
  ])(
    "lends nobody the rights of another owner (mode %d of %d:%d)",
    ([mode, owner, group, expected]) =>
      Effect.gen(function*() {
        const disk = plant()
        const files = FaultyFiles.intercept(MemoryFiles.make(disk), () => Effect.void)

        const another = (folder: Files.Folder): Files.Folder => ({
          ...folder,
          lstat: (name) => Effect.map(folder.lstat(name), (stat) => ({ ...stat, mode, owner, group }))
        })
        yield* finishWith(
          { ...files, folder: (path) => Effect.map(files.folder(path), another) },
          () => Effect.void
        )

        assert.include(disk.see("/to"), { mode: expected })
      })
  )
})
