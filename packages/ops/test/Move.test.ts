import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import type * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Move from "@fanout/ops/Move"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { assertMoved, edits, files, inode, move, plant, stopEverywhere } from "./moveHarness.ts"

describe("a move on the same file system", () => {
  it.effect("is another name, for all of it", () =>
    Effect.gen(function*() {
      for (const renamesExclusively of [true, false]) {
        const disk = plant(false)
        disk.renamesExclusively = renamesExclusively
        const original = disk.tree("/from")
        const folder = inode(disk, "/from")
        const { progress, state } = yield* move(disk)
        assert.deepStrictEqual([state, progress.tally.tags], ["Completed", { Moved: 1 }])
        assert.strictEqual(inode(disk, "/to/copy"), folder)
        assertMoved(disk, original)
      }
    }))

  it.effect("is another name for each file where the folder is there, and what is in the way is replaced", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      disk.folder("/to/copy")
      disk.file("/to/copy/a", "the old one")
      disk.file("/to/copy/extra", "stays")
      const original = disk.tree("/from")
      const inodes = files.map((name) => inode(disk, `/from/${name}`))
      const { progress, rows, state } = yield* move(disk)
      assert.deepStrictEqual([state, rows], ["Completed", []])
      assert.strictEqual(progress.tally.units["renamed"], files.length)
      assert.deepStrictEqual(files.map((name) => inode(disk, `/to/copy/${name}`)), inodes)
      assert.include(disk.see("/to/copy/extra"), { text: "stays" })
      disk.remove("/to/copy/extra")
      assertMoved(disk, original)
    }))

  it.effect("leaves what is in the way, and its source, where that is asked for", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      disk.folder("/to/copy")
      disk.file("/to/copy/a", "the old one")
      const { rows, state } = yield* move(disk, { conflict: "skip" })
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(rows.map((row) => row.slice(0, 15)), ["/from/a skipped"])
      assert.deepStrictEqual(Object.keys(disk.tree("/from")), ["a"])
      assert.include(disk.see("/to/copy/a"), { text: "the old one" })
    }))

  it.effect("is done where a name is one of the same file already", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      disk.folder("/to/copy")
      disk.hardLink("/from/a", "/to/copy/a")
      const original = disk.tree("/from")
      yield* move(disk)
      assertMoved(disk, original)
    }))

  it.effect("is a copy where a file can't get another name", () =>
    Effect.gen(function*() {
      for (const code of ["EXDEV", "EBUSY"]) {
        const disk = plant(false)
        disk.folder("/to/copy")
        const original = disk.tree("/from")
        const { progress, state } = yield* move(disk, {
          before: FaultyFiles.failing(code, (call, path) =>
            call === "rename" && path === "/from/folder/b" && disk.see("/to/copy/folder/b") === undefined)
        })
        assert.deepStrictEqual([state, progress.tally.units["renamed"]], ["Completed", files.length - 1], code)
        assertMoved(disk, original)
      }
    }))

  it.effect("replaces nothing that was not there, where a link can't get a name exclusively", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      disk.renamesExclusively = false
      disk.folder("/to/copy")
      const { rows } = yield* move(disk, {
        conflict: "skip",
        before: (call, path) =>
          Effect.sync(() => {
            const isFree = disk.see("/to/copy/link") === undefined
            if (call === "rename" && path === "/from/link" && isFree) disk.file("/to/copy/link", "put here meanwhile")
          })
      })
      assert.deepStrictEqual(rows.map((row) => row.slice(0, 18)), ["/from/link skipped"])
      assert.include(disk.see("/to/copy/link"), { text: "put here meanwhile" })
      assert.deepStrictEqual(Object.keys(disk.tree("/from")), ["link"])
    }))

  it.effect("takes the name away that a file was to lose when it was stopped", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      disk.renamesExclusively = false
      disk.folder("/to/copy")
      const original = disk.tree("/from")
      let isStopped = false
      const { state } = yield* move(disk, {
        goesOn: true,
        // Neither name can be taken away, as if it were killed in between.
        before: FaultyFiles.failing(
          "ENOSPC",
          (call, path) => !isStopped && call === "unlink" && path.endsWith("/folder/b")
        ),
        whenStopped: Effect.sync(() => {
          isStopped = true
          assert.strictEqual(inode(disk, "/to/copy/folder/b"), inode(disk, "/from/folder/b"))
        })
      })
      assert.deepStrictEqual([state, isStopped], ["Completed", true])
      assertMoved(disk, original)
    }))

  it.effect("is on the device, also what has lost its name, where each folder is flushed by itself", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      disk.syncsAsOne = false
      disk.folder("/to/copy")
      disk.file("/from/folder/stays", "text")
      disk.syncAll()
      const { rows } = yield* move(disk, {
        before: FaultyFiles.failingBy(new Map([["rename /from/folder/stays", "EACCES"]]))
      })
      assert.strictEqual(rows.length, 1)
      disk.cutPower()
      assert.deepStrictEqual(Object.keys(disk.tree("/from")), ["folder", "folder/stays"])
      assert.include(disk.see("/to/copy/folder/b"), { text: "text of b" })
    }))

  it.effect("is one by one where all of it can't get another name", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      const original = disk.tree("/from")
      const { progress, state } = yield* move(disk, {
        before: FaultyFiles.failingBy(new Map([["rename /from", "EACCES"]]))
      })
      assert.deepStrictEqual([state, progress.tally.units["renamed"]], ["Completed", files.length])
      assertMoved(disk, original)
    }))

  it.effect("is one by one where something is left out", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      const { state } = yield* move(disk, { rules: ["a"], leaveOut: [] })
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(Object.keys(disk.tree("/from")), ["a"])
      const database = plant(false)
      yield* move(database, { leaveOut: ["/from/folder/b"] })
      assert.deepStrictEqual(Object.keys(database.tree("/from")), ["folder", "folder/b"])
    }))
})

describe("a move to another file system", () => {
  it.effect("takes all with it", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      const original = disk.tree("/from")
      const { progress: { tally: { tags, units } }, rows, state } = yield* move(disk)
      assert.deepStrictEqual([state, rows], ["Completed", []])
      assert.deepStrictEqual(tags, { FolderMade: 3, Moved: 6, FolderEnded: 3 })
      assertMoved(disk, original)
      // Each content is read back once, and is there after a power cut.
      assert.strictEqual(units["verified"], 3)
      disk.cutPower()
      assert.deepStrictEqual(disk.tree("/to/copy"), original)
    }))

  it.effect("takes folders along that a retry comes to the end of while files are still taken out of them", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      disk.folder("/from/empty/inner", { modified: 9_000n })
      disk.find(FilePath.make("/from/empty")).times = { accessedNanos: 7n, modifiedNanos: 9_000n }
      const original = disk.tree("/from")
      let [isForbidden, hasTimes] = [true, false]
      const { rows, state } = yield* move(disk, {
        goesOn: true,
        before: (call, path) =>
          Effect.suspend(() => {
            if (isForbidden) {
              const takes = path.startsWith("/from") && (call === "rename" || call === "rmdir")
              return takes ? Effect.fail(FaultyFiles.error(call, path, "EACCES")) : Effect.void
            }
            // Something is put into the folder once that has its times, and before its end is over.
            if (call === "rmdir" && path === "/from/folder") {
              hasTimes = true
              return Effect.sleep("2 seconds")
            }
            const isLate = call === "rename" && path.startsWith("/to/copy/folder/")
            if (isLate) return Effect.repeat(Effect.sleep("100 millis"), { times: 40, while: () => !hasTimes })
            return path === "/from/empty/inner" && call === "rmdir" ? Effect.sleep("1 second") : Effect.void
          }),
        whenStopped: Effect.sync(() => {
          isForbidden = false
          assert.deepStrictEqual(Object.keys(disk.tree("/from")), Object.keys(original))
        })
      })
      assert.deepStrictEqual([state, rows], ["Completed", []])
      assertMoved(disk, original)
    }))

  it.effect("knows how much there is, however long it takes to count that", () =>
    Effect.gen(function*() {
      // It is counted by one of two listings of the folder.
      for (const slow of [1, 2]) {
        const disk = plant(true)
        const isThere = () => disk.see("/from/folder/b") !== undefined
        let listings = 0
        const { progress, state } = yield* move(disk, {
          before: (call, path) =>
            Effect.suspend(() =>
              call === "scandir" && path === "/from/folder" && ++listings === slow
                ? Effect.repeat(Effect.sleep("100 millis"), { times: 40, while: isThere })
                : Effect.void
            )
        })
        const { done, failed, skipped } = progress.tally
        assert.deepStrictEqual([state, listings], ["Completed", 2])
        assert.strictEqual(progress.totals["items"], done + failed + skipped, `listing ${slow}`)
      }
    }))

  it.effect("knows that also where it goes on", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      let isFull = true
      const { progress, state } = yield* move(disk, {
        goesOn: true,
        before: FaultyFiles.failing("ENOSPC", (call, path) => isFull && call === "write" && path.includes(".fanout-")),
        whenStopped: Effect.sync(() => {
          isFull = false
          assert.deepStrictEqual(["a", "large"].map((name) => disk.see(`/from/${name}`)?.kind), [undefined, "file"])
        })
      })
      const { done, failed, skipped } = progress.tally
      assert.strictEqual(state, "Completed")
      assert.strictEqual(progress.totals["items"], done + failed + skipped)
    }))

  it.effect("leaves a source that was changed after it was copied, and what was put beside it", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      let looks = 0
      const { rows, state } = yield* move(disk, {
        before: (call, path) =>
          Effect.sync(() => {
            // Once before it is copied, and once before it is removed.
            if (call !== "lstat" || path !== "/from/folder/b" || ++looks !== 2) return
            disk.change(FilePath.make("/from/folder/b"), (text) => `${text} and more`)
            disk.file("/from/folder/new", "new")
          })
      })
      assert.strictEqual(state, "CompletedWithErrors")
      assert.isTrue(rows.every((row) => row.startsWith("/from/folder/b failed")), rows.join())
      assert.sameMembers(Object.keys(disk.tree("/from")).filter((name) => name.startsWith("folder")), [
        "folder",
        "folder/b",
        "folder/new"
      ])
      assert.include(disk.see("/from/folder/b"), { text: "text of b and more" })
    }))

  it.effect.each(["rename", "error", "skip"] as const)(
    "copies nothing once more that has its name already when it goes on (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const disk = new MemoryFiles.Disk()
        disk.folder("/from")
        disk.file("/from/large", Buffer.alloc(9 * 2 ** 20, 7))
        disk.device = 2n
        for (const folder of ["/to", "/to/copy"]) disk.folder(folder)
        disk.file("/to/copy/large", "there before")
        if (conflict !== "rename") disk.remove("/to/copy/large")
        const name = conflict === "rename" ? "large (1)" : "large"
        const stop = FaultyFiles.failingOnce("ENOSPC", (call, path) =>
          call === "lstat" && path === `/to/copy/${name}` && disk.see(path) !== undefined)
        let written: Array<string> | undefined
        const { rows, state } = yield* move(disk, {
          conflict,
          goesOn: true,
          before: (call, path) => {
            if (call === "create" || call === "write") {
              written?.push(path)
            }
            return stop.before(call, path)
          },
          whenStopped: Effect.sync(() => {
            written = []
          })
        })
        assert.deepStrictEqual([state, rows, stop.hasFailed(), written], ["Completed", [], true, []])
        assert.strictEqual(disk.see("/from"), undefined)
        assert.include(Object.keys(disk.tree("/to/copy")), name)
      })
  )

  it.effect("leaves a source whose copy is not what it was when it is read back", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      disk.corrupts = (content) => content.length > 1000 ? content.slice(1) : content
      const { rows, state } = yield* move(disk)
      assert.strictEqual(state, "CompletedWithErrors")
      assert.strictEqual(rows.length, 1)
      assert.deepStrictEqual(Object.keys(disk.tree("/from")), ["large"])
      assert.strictEqual(disk.see("/to/copy/large"), undefined)
    }))
})

it.effect("a move waits where there is no room for what a file has beside its content, and keeps the source", () =>
  Effect.gen(function*() {
    const disk = plant(true)
    disk.find(FilePath.make("/from/folder/b")).attributes.set("user.large", new Uint8Array(4000))
    const before = FaultyFiles.failing("ENOSPC", (call) => call === "setxattr")
    const { state } = yield* move(disk, { before })
    assert.strictEqual(state, "Paused")
    assert.include(disk.see("/from/folder/b"), { text: "text of b" })
    assert.strictEqual(disk.see("/to/copy/folder/b"), undefined)
  }))

it.effect.each(["listxattr", "getxattr"])(
  "a move keeps a source whose attributes can't be read (%s)",
  (failing) =>
    Effect.gen(function*() {
      const disk = plant(true)
      disk.find(FilePath.make("/from/folder/b")).attributes.set("user.of", new Uint8Array(4))
      const before = FaultyFiles.failing("EIO", (call, path) => call === failing && path === "/from/folder/b")
      const { rows, state } = yield* move(disk, { before })
      assert.deepStrictEqual([state, rows.length], ["CompletedWithErrors", 1])
      assert.deepStrictEqual(Object.keys(disk.tree("/from")), ["folder", "folder/b"])
      assert.strictEqual(disk.see("/to/copy/folder/b"), undefined)
    })
)

/** Whether a path is the one that `b` has been put aside to. */
const isAside = (disk: MemoryFiles.Disk, path: string): boolean => {
  const seen = path.startsWith("/from/folder/.fanout-") ? disk.see(path) : undefined
  return seen?.kind === "file" && seen.text === "text of b"
}

describe("a move that others meet", () => {
  it.effect("leaves what is made anew where a source was that is moved already", () =>
    Effect.gen(function*() {
      const disk = plant(false)
      const original = disk.tree("/from")
      let isMade = false
      const { state } = yield* move(disk, {
        before: (call) =>
          Effect.sync(() => {
            // It has its other name by then.
            if (isMade || call !== "syncfs" || disk.see("/to/copy") === undefined) return
            isMade = true
            disk.folder("/from")
            disk.file("/from/a", "made anew")
          })
      })
      assert.strictEqual(state, "Completed")
      assert.isTrue(isMade)
      assert.include(disk.see("/from/a"), { text: "made anew" })
      assert.deepStrictEqual(disk.tree("/to/copy"), original)
    }))

  it.effect("leaves what is made anew while it was stopped, and goes on with the rest", () =>
    Effect.gen(function*() {
      for (const isElsewhere of [false, true]) {
        const disk = plant(isElsewhere, false)
        disk.folder("/to/copy")
        // The source of this one is gone, and that is not told yet.
        const stop = FaultyFiles.failingOnce("ENOSPC", (call) =>
          disk.tree("/")["from/folder/b"] === undefined && ["unlink", "syncfs", "lstat"].includes(call))
        const { state } = yield* move(disk, {
          goesOn: true,
          before: stop.before,
          whenStopped: Effect.sync(() => {
            if (stop.hasFailed() && disk.tree("/")["from/folder"] !== undefined) {
              disk.file("/from/folder/b", "made anew")
            }
          })
        })
        assert.isTrue(stop.hasFailed())
        assert.strictEqual(state, "Completed")
        assert.include(disk.see("/to/copy/folder/b"), { text: "text of b" })
        const left = disk.tree("/")["from/folder/b"]
        if (left !== undefined) {
          assert.include(left, { text: "made anew" })
        }
      }
    }))

  /** `/big` and `/spool`, of which the second gets another name. */
  const plantTwo = (): MemoryFiles.Disk => {
    const disk = new MemoryFiles.Disk()
    disk.folder("/to")
    disk.folder("/spool")
    disk.file("/spool/app.log", "of old")
    disk.device = 2n
    disk.folder("/big")
    disk.file("/big/file", "text")
    disk.device = 1n
    return disk
  }

  const makeAnew = (disk: MemoryFiles.Disk) => {
    disk.folder("/spool")
    disk.file("/spool/app.log", "made anew")
  }

  it.effect.each<readonly [string, string, (call: string, disk: MemoryFiles.Disk) => boolean]>([
    ["while it waits for room", "ENOSPC", (call) => call === "write"],
    ["right after that has got its name", "EIO", (call, disk) => call === "syncfs" && disk.see("/spool") === undefined]
  ])("leaves what is made anew where a source was that has got its place before, and tells of it once (%s)", (
    [, code, isStop]
  ) =>
    Effect.gen(function*() {
      for (const isFiledAway of [false, true]) {
        const disk = plantTwo()
        disk.usesInodesAgain = true
        const stop = FaultyFiles.failingOnce(code, (call) => isStop(call, disk))
        const { rows } = yield* move(disk, {
          sources: ["/big", "/spool"],
          goesOn: true,
          before: stop.before,
          whenStopped: Effect.sync(() => {
            assert.include(disk.see("/to/spool/app.log"), { text: "of old" })
            // Its inode is the one of what is created next.
            if (isFiledAway) disk.remove("/to/spool")
            makeAnew(disk)
          })
        })
        assert.isTrue(stop.hasFailed())
        // That it has its place was told before it waited.
        assert.lengthOf(rows, code === "ENOSPC" ? 0 : 1)
        if (code === "EIO") assert.match(rows.join(), /^\/spool failed: .* gone: it was renamed to "\/to\/spool"/)
        assert.include(disk.see("/spool/app.log"), { text: "made anew" })
        const moved = isFiledAway ? ["big", "big/file"] : ["big", "big/file", "spool", "spool/app.log"]
        assert.deepStrictEqual(Object.keys(disk.tree("/to")), moved)
      }
    }))

  it.effect("leaves what is made anew where a source was, also where others are tried again", () =>
    Effect.gen(function*() {
      const disk = plantTwo()
      const before = FaultyFiles.failingOnce("EACCES", (call, path) => call === "open" && path === "/big/file")
      const { rows, state } = yield* move(disk, {
        sources: ["/big", "/spool"],
        goesOn: true,
        before: before.before,
        whenStopped: Effect.sync(() => {
          disk.rename("/to/spool", "/filed away")
          makeAnew(disk)
        })
      })
      assert.deepStrictEqual([state, rows, before.hasFailed()], ["Completed", [], true])
      assert.include(disk.see("/spool/app.log"), { text: "made anew" })
      assert.deepStrictEqual(Object.keys(disk.tree("/to")), ["big", "big/file"])
    }))

  it.effect("has moved a source that was filed away since, and gives it its place where it was put back", () =>
    Effect.gen(function*() {
      const disk = plantTwo()
      const before = FaultyFiles.failingOnce("ENOSPC", (call) => call === "write")
      const filed = yield* move(disk, {
        sources: ["/big", "/spool"],
        goesOn: true,
        before: before.before,
        whenStopped: Effect.sync(() => disk.rename("/to/spool", "/filed away"))
      })
      assert.deepStrictEqual([filed.state, filed.rows, before.hasFailed()], ["Completed", [], true])
      const other = plantTwo()
      const stop = FaultyFiles.failingOnce("EIO", (call) => call === "syncfs" && other.see("/spool") === undefined)
      const { rows, state } = yield* move(other, {
        sources: ["/big", "/spool"],
        goesOn: true,
        before: stop.before,
        // As a power cut does.
        whenStopped: Effect.sync(() => other.rename("/to/spool", "/spool"))
      })
      assert.deepStrictEqual([state, rows, stop.hasFailed()], ["Completed", [], true])
      assert.deepStrictEqual(Object.keys(other.tree("/to")), ["big", "big/file", "spool", "spool/app.log"])
    }))

  it.effect("leaves what takes the place of a source in the last moment", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      let isReplaced = false
      const { rows, state } = yield* move(disk, {
        before: (call, path) =>
          Effect.sync(() => {
            if (isReplaced || call !== "rename" || path !== "/from/folder/b") return
            isReplaced = true
            disk.remove(path)
            disk.file(path, "put here by an editor")
          })
      })
      assert.isTrue(isReplaced)
      assert.strictEqual(state, "CompletedWithErrors")
      assert.strictEqual(rows.length, 1)
      assert.include(disk.see("/from/folder/b"), { text: "put here by an editor" })
      assert.isFalse(Object.keys(disk.tree("/from")).some((path) => path.includes(".fanout-")))
    }))

  it.effect.each(edits)(
    "copies once more what is %s where it was put, before its source is removed",
    ([, edit]) =>
      Effect.gen(function*() {
        const disk = plant(true)
        const original = disk.tree("/from")
        // Its copy is recorded by then.
        const stop = FaultyFiles.failingOnce("ENOSPC", (call, path) => call === "rename" && path === "/from/folder/b")
        const { state } = yield* move(disk, {
          goesOn: true,
          before: stop.before,
          whenStopped: Effect.sync(() => edit(disk, "/to/copy/folder/b"))
        })
        assert.isTrue(stop.hasFailed())
        assert.strictEqual(state, "Completed")
        assertMoved(disk, original)
      })
  )

  it.effect("leaves a source where something else of its size and time took its place while it was stopped", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      const stop = FaultyFiles.failingOnce("ENOSPC", (call, path) => call === "link" && path === "/to/copy/folder/b")
      const { modifiedNanos } = disk.find(FilePath.make("/from/folder/b")).times
      const { rows } = yield* move(disk, {
        conflict: "error",
        goesOn: true,
        before: stop.before,
        whenStopped: Effect.sync(() => disk.file("/to/copy/folder/b", "else of b", { modified: modifiedNanos }))
      })
      assert.isTrue(stop.hasFailed())
      assert.isTrue(rows.some((row) => row.startsWith("/from/folder/b failed")), rows.join())
      assert.include(disk.see("/from/folder/b"), { text: "text of b" })
      assert.include(disk.see("/to/copy/folder/b"), { text: "else of b" })
    }))

  it.effect("leaves what an editor saves in the last moment, also where names are not taken exclusively", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      disk.renamesExclusively = false
      let isSaved = false
      const { state } = yield* move(disk, {
        before: (call, path) =>
          Effect.sync(() => {
            if (isSaved || call !== "unlink" || !isAside(disk, path)) return
            isSaved = true
            disk.file("/from/folder/b", "saved by an editor")
          })
      })
      assert.isTrue(isSaved)
      assert.strictEqual(state, "Completed")
      assert.include(disk.see("/from/folder/b"), { text: "saved by an editor" })
      assert.include(disk.see("/to/copy/folder/b"), { text: "text of b" })
    }))

  it.effect("gives what it has put aside its name again, where it can't be removed or has no copy any more", () =>
    Effect.gen(function*() {
      for (const isCopyGone of [false, true]) {
        const disk = plant(true)
        const original = disk.tree("/from")
        const stop = FaultyFiles.failingOnce(
          isCopyGone ? "ENOSPC" : "EIO",
          (call, path) => call === "unlink" && isAside(disk, path)
        )
        const { state } = yield* move(disk, {
          goesOn: true,
          before: stop.before,
          whenStopped: Effect.sync(() => {
            assert.isTrue(stop.hasFailed())
            assert.isFalse(Object.keys(disk.tree("/from")).some((path) => path.includes(".fanout-")))
            if (isCopyGone) disk.remove("/to/copy/folder/b")
          })
        })
        assert.strictEqual(state, "Completed")
        assertMoved(disk, original)
      }
    }))

  it.effect.each(
    [
      ["another name", true],
      ["two names", false]
    ] as const
  )("moves again what was left under %s and has no copy any more", ([, renamesExclusively]) =>
    Effect.gen(function*() {
      const disk = plant(true)
      disk.renamesExclusively = renamesExclusively
      const original = disk.tree("/from")
      let isStopped = false
      const { state } = yield* move(disk, {
        goesOn: true,
        // It can't be removed, nor be given its name again; or it gets that, and neither can be taken away.
        before: FaultyFiles.failing("ENOSPC", (call, path) => {
          const isNamed = call === "unlink" && path === "/from/folder/b"
          return !isStopped && (isAside(disk, path) ? call === "unlink" || renamesExclusively : isNamed)
        }),
        whenStopped: Effect.sync(() => {
          isStopped = true
          assert.strictEqual(disk.see("/from/folder/b") === undefined, renamesExclusively)
          assert.isTrue(Object.keys(disk.tree("/from")).some((path) => path.includes(".fanout-")))
          disk.remove("/to/copy/folder/b")
        })
      })
      assert.isTrue(isStopped)
      assert.strictEqual(state, "Completed")
      assertMoved(disk, original)
    }))

  it.effect("copies nothing together with others, which would stay", () =>
    Effect.gen(function*() {
      for (const isElsewhere of [false, true]) {
        const disk = plant(isElsewhere)
        disk.folder("/to/copy")
        const original = disk.tree("/from")
        const { progress } = yield* move(disk, { together: true, conflict: "changed" })
        assert.isUndefined(progress.tally.tags["Copied"])
        assertMoved(disk, original)
      }
    }))

  it.effect("keeps hard links where nobody knows when a file was born", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      for (const name of files) Object.assign(disk.find(FilePath.make(`/from/${name}`)), { born: 0n })
      const original = disk.tree("/from")
      yield* move(disk)
      assertMoved(disk, original)
    }))
})

describe("a move that is cancelled", () => {
  const job = JobId.make("cancelled")

  /** What a move that was killed has put aside right before it removes it. */
  const putAside = (disk: MemoryFiles.Disk, source: string, text: string, token = 2): string => {
    const aside = `${FilePath.parent(FilePath.make(source))}/${TemporaryName.make(job, token, FilePath.make(source))}`
    disk.file(aside, text)
    return aside
  }

  const apart = [
    { source: FilePath.make("/from"), target: FilePath.make("/to/from") },
    { source: FilePath.make("/one.txt"), target: FilePath.make("/to/one.txt") }
  ] as const

  const cancel = (disk: MemoryFiles.Disk, transfers: Copy.Payload["transfers"] = apart) =>
    Move.onCancel(
      {
        request: {
          sources: [FilePath.make("/from"), FilePath.make("/one.txt")],
          destination: FilePath.make("/to"),
          noTargetDirectory: false,
          conflict: "rename"
        },
        transfers,
        leaveOut: []
      },
      job,
      Object.assign(() => Effect.succeedNone, { tasks: () => Stream.empty })
    ).pipe(Effect.provideService(Files.Files, MemoryFiles.make(disk)))

  it.effect("gives sources that it was about to remove their names again, and removes none", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/from", "/from/folder", "/to", "/to/from", "/to/from/folder"]) disk.folder(folder)
      putAside(disk, "/from/folder/a", "text of a")
      disk.file("/to/from/folder/a", "its copy")
      putAside(disk, "/from/folder/b.tar.gz", "text of b")
      disk.file("/to/from/folder/b.tar.gz", "another one")
      disk.file("/to/from/folder/b (12).tar.gz", "its copy")
      putAside(disk, "/from/c (x)", "text of c")
      disk.file("/to/from/c (x) (1)", "its copy")
      putAside(disk, "/one.txt", "text of one")
      disk.file("/to/one.txt", "its copy")
      const others = disk.tree("/to")

      yield* cancel(disk)

      const { "to": _, ...left } = disk.tree("/")
      assert.deepStrictEqual(
        Object.entries(left).flatMap(([name, seen]) => seen.kind === "file" && !name.startsWith("to/") ? [name] : []),
        ["from/c (x)", "from/folder/a", "from/folder/b.tar.gz", "one.txt"]
      )
      assert.include(disk.see("/from/folder/b.tar.gz"), { text: "text of b" })
      assert.include(disk.see("/one.txt"), { text: "text of one" })
      assert.deepStrictEqual(disk.tree("/to"), others)
    }))

  it.effect("gives those that an older version was about to remove their names again", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/from", "/to", "/to/from"]) disk.folder(folder)
      const aside = (source: string, digits: string) =>
        `${TemporaryName.make(job, 2, FilePath.make(source)).slice(0, 31)}${digits}`
      disk.file(`/from/${aside("/from/a", "0h2hpa30orp0bd")}`, "written to after it was copied")
      disk.file("/to/from/a", "its copy")
      disk.file(`/${aside("/one.txt", "1k8xf5f1j2vqvt")}`, "text of one")

      yield* cancel(disk)

      assert.include(disk.see("/from/a"), { text: "written to after it was copied" })
      assert.include(disk.see("/one.txt"), { text: "text of one" })
      assert.lengthOf(Object.keys(disk.tree("/from")), 1)
    }))

  it.effect("gives all that it has put aside together its names again", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/from", "/from/b", "/to", "/to/from"]) disk.folder(folder)
      const name = TemporaryName.make(job, 2, FilePath.make("/from/a/"))
      disk.folder(`/from/${name}`, { mode: 0o4700 })
      for (const folder of ["a", "b"]) disk.folder(`/from/${name}/${folder}`)
      disk.file(`/from/${name}/a/1`, "text of 1")
      disk.file(`/from/${name}/b/2`, "text of 2")
      disk.file(`/from/${name}/c.txt`, "text of c")
      disk.file("/from/c.txt", "made anew")

      yield* cancel(disk)

      assert.deepStrictEqual(
        Object.entries(disk.tree("/from")).flatMap(([name, seen]) => seen.kind === "file" ? [[name, seen.text]] : []),
        [["a/1", "text of 1"], ["b (1)/2", "text of 2"], ["c (1).txt", "text of c"], ["c.txt", "made anew"]]
      )
      assert.isUndefined(disk.see(`/from/${name}`))
    }))

  it.effect("gives them a number where others have their names, and leaves what is not its own", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/from", "/to", "/to/from"]) disk.folder(folder)
      putAside(disk, "/from/a", "text of a")
      disk.file("/from/a", "made anew")
      putAside(disk, "/one.txt", "text of one")
      disk.file("/one.txt", "made anew")
      disk.file("/to/from/a", "its copy")
      // Nobody can tell what this was called.
      const unknown = putAside(disk, "/from/b", "text of b")
      const foreign = `/from/${TemporaryName.make(JobId.make("another"), 1, FilePath.make("/from/a"))}`
      disk.file(foreign, "of another job")

      yield* cancel(disk)

      assert.include(disk.see("/from/a"), { text: "made anew" })
      assert.include(disk.see("/from/a (1)"), { text: "text of a" })
      assert.include(disk.see("/one.txt"), { text: "made anew" })
      assert.include(disk.see("/one (1).txt"), { text: "text of one" })
      assert.include(disk.see(unknown), { text: "text of b" })
      assert.include(disk.see(foreign), { text: "of another job" })
      assert.strictEqual(Object.keys(disk.tree("/from")).length, 4)
    }))

  it.effect("leaves no folder that it was about to put sources into when it was killed", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/from", "/from/folder", "/to"]) disk.folder(folder)
      disk.file("/from/folder/a", "text of a")
      disk.folder(`/from/folder/${TemporaryName.make(job, 2, FilePath.make("/from/folder/a/"))}`, { mode: 0o700 })

      yield* cancel(disk)

      assert.deepStrictEqual(Object.keys(disk.tree("/from")).toSorted(), ["folder", "folder/a"])
    }))

  it.effect("leaves what nobody knows the name of, also where the source is under the target", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/to", "/to/from", "/to/folder"]) disk.folder(folder)
      // Its copy, which was under this name, is gone.
      const only = putAside(disk, "/to/from/a", "text of a")
      const half = `/to/folder/${TemporaryName.make(job, 1, FilePath.make("/to/folder/b"))}`
      disk.file(half, "half")

      yield* cancel(disk, [{ source: FilePath.make("/to/from"), target: FilePath.make("/to") }])

      assert.deepStrictEqual(Object.keys(disk.tree("/to")).toSorted(), ["folder", "from", only.slice("/to/".length)])
    }))
})

describe.each(["on the same file system", "to another file system"] as const)("a move %s that is stopped", (where) => {
  const isElsewhere = where === "to another file system"

  it.effect("for lack of room has each file whole in one place, and goes on", () =>
    stopEverywhere({ code: "ENOSPC", isElsewhere, merges: false, every: 1 }))

  it.effect("by an error has each file whole in one place", () =>
    stopEverywhere({ code: "EIO", isElsewhere, merges: true, every: 3 }))

  it.effect("by a power cut has each file whole in one place", () =>
    stopEverywhere({ code: "ENOSPC", isElsewhere, merges: true, every: 3, how: (disk) => disk.cutPower() }))
})
