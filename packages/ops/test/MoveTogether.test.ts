import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as FaultyFiles from "./FaultyFiles.ts"
import type * as MemoryFiles from "./MemoryFiles.ts"
import { assertMoved, edits, files, move, plant, stopEverywhere } from "./moveHarness.ts"

const more = 5

/** In the files that have a content of their own: `a`, `b`, `large` and those. */
const bytes = 9 + 9 + 9 * 2 ** 20 + more * 9

const together = (disk: MemoryFiles.Disk, options: Parameters<typeof move>[1] = {}) =>
  move(disk, { together: true, ...options })

const isAside = (path: string) => path.startsWith("/from/folder/.fanout-")

describe.each(["on the same file system", "to another file system"] as const)("a move together %s", (where) => {
  const isElsewhere = where === "to another file system"
  const plantHere = (): readonly [MemoryFiles.Disk, ReturnType<MemoryFiles.Disk["tree"]>] => {
    const disk = plant(isElsewhere, true, more)
    disk.folder("/to/copy")
    return [disk, disk.tree("/from")]
  }

  it.effect("takes all with it, and tells of each once", () =>
    Effect.gen(function*() {
      const [disk, original] = plantHere()
      const { progress: { tally: { tags, units }, totals }, rows, state } = yield* together(disk)
      assert.deepStrictEqual([state, rows], ["Completed", []])
      assert.deepStrictEqual(tags, { FolderMade: 3, Moved: 6 + more, FolderEnded: 3 })
      assert.strictEqual(totals["items"], 12 + more)
      assert.strictEqual(units["verified"], isElsewhere ? 3 + more : undefined)
      assert.strictEqual(units["renamed"], isElsewhere ? undefined : 6 + more)
      assert.strictEqual(units["bytes"], isElsewhere ? bytes : undefined)
      assertMoved(disk, original)
      disk.cutPower()
      assert.deepStrictEqual(disk.tree("/to/copy"), original)
    }))

  it.effect("is stopped anywhere for lack of room, has each file whole in one place, and goes on", () =>
    stopEverywhere({ code: "ENOSPC", isElsewhere, merges: true, every: 2, more }))

  it.effect("is stopped anywhere by an error, and has each file whole in one place", () =>
    stopEverywhere({ code: "EIO", isElsewhere, merges: true, every: 3, more }))

  it.effect("is stopped anywhere by a power cut, and has each file whole in one place", () =>
    stopEverywhere({ code: "ENOSPC", isElsewhere, merges: true, every: 3, more, how: (disk) => disk.cutPower() }))

  it.effect.each(["skip", "rename", "error"] as const)(
    "is stopped anywhere, and knows its own work from what others have put there (%s)",
    (conflict) =>
      Effect.gen(function*() {
        yield* stopEverywhere({ code: "ENOSPC", conflict, isElsewhere, merges: true, every: 9, more })
        const how = (disk: MemoryFiles.Disk) => disk.cutPower()
        yield* stopEverywhere({ code: "ENOSPC", conflict, isElsewhere, merges: true, every: 11, more, how })
      })
  )

  it.effect.each(
    [
      ["skip", { "from/folder/1": "text of 1", "to/copy/folder/1": "there before" }],
      ["error", { "from/folder/1": "text of 1", "to/copy/folder/1": "there before" }],
      ["rename", { "to/copy/folder/1": "there before", "to/copy/folder/1 (1)": "text of 1" }]
    ] as const
  )(
    "takes those together whose names are free, where others are not to be replaced (%s)",
    ([conflict, wanted]) =>
      Effect.gen(function*() {
        const disk = plant(isElsewhere, false, 40)
        for (const folder of ["/to/copy", "/to/copy/folder"]) disk.folder(folder)
        disk.file("/to/copy/folder/1", "there before")
        let flushes = 0
        const { progress, rows } = yield* together(disk, {
          conflict,
          before: (call) =>
            Effect.sync(() => {
              if (call === "syncfs") flushes++
            })
        })
        assert.strictEqual(progress.tally.tags["Moved"], conflict === "rename" ? 45 : 44)
        assert.deepStrictEqual(rows.map((row) => row.slice(0, 15)), conflict === "rename" ? [] : ["/from/folder/1 "])
        const found = Object.entries(disk.tree("/")).flatMap(([path, seen]) =>
          /\/1( \(1\))?$/.test(path) && seen.kind === "file" ? [[path, seen.text]] : []
        )
        assert.deepStrictEqual(Object.fromEntries(found), wanted)
        assert.isBelow(flushes, 40)
      })
  )

  it.effect("knows how much there is, also where what it takes together comes before that is counted", () =>
    Effect.gen(function*() {
      for (const slow of [1, 2]) {
        const disk = plant(isElsewhere, false, 10)
        // So many are counted, and taken at once, before.
        for (let n = 0; n < 60; n++) disk.file(`/from/${n}`, "text")
        disk.folder("/to/copy")
        const isThere = () => disk.see("/from/folder/b") !== undefined
        let listings = 0
        const { progress: { tally: { done }, totals }, state } = yield* together(disk, {
          before: (call, path) =>
            Effect.suspend(() => {
              // Long enough for others to know of what was met before.
              if (call === "scandir" && path === "/from/empty") return Effect.sleep("2 seconds")
              return call === "scandir" && path === "/from/folder" && ++listings === slow
                ? Effect.repeat(Effect.sleep("100 millis"), { times: 40, while: isThere })
                : Effect.void
            })
        })
        assert.deepStrictEqual([state, totals["items"]], ["Completed", done], `listing ${slow}`)
        assert.isAtLeast(listings, 2)
      }
    }))

  it.effect("goes on one by one where calls take their time by then", () =>
    Effect.gen(function*() {
      const [disk, original] = plantHere()
      let isQuick = true
      const { progress, state } = yield* move(disk, {
        goesOn: true,
        together: () => isQuick,
        // What is in the folder waits for it, together.
        before: (call, path) =>
          Effect.suspend(() =>
            isQuick && call === "mkdir" && path === "/to/copy/folder"
              ? Effect.andThen(Effect.sleep("1 second"), Effect.fail(FaultyFiles.error(call, path, "ENOSPC")))
              : Effect.void
          ),
        whenStopped: Effect.sync(() => {
          isQuick = false
        })
      })
      assert.deepStrictEqual([state, progress.tally.tags["Moved"]], ["Completed", 6 + more])
      assertMoved(disk, original)
    }))

  it.effect("leaves those alone whose names are taken meanwhile, and replaces what has them", () =>
    Effect.gen(function*() {
      const [disk, original] = plantHere()
      let isTaken = false
      const { state } = yield* together(disk, {
        before: (call, path) =>
          Effect.sync(() => {
            if (isTaken || !["link", "rename"].includes(call) || !path.includes("/folder/2")) return
            isTaken = true
            disk.file("/to/copy/folder/2", "put here meanwhile")
          })
      })
      assert.deepStrictEqual([state, isTaken], ["Completed", true])
      assertMoved(disk, original)
    }))
})

describe("sources of a move together", () => {
  /** Lets one call of its kind for a file that is put aside pass, and fails the others until it is stopped. */
  const stopAfterFirst = (call: string) => {
    let [isStopped, passed] = [false, 0]
    return {
      before: FaultyFiles.failing(
        "ENOSPC",
        (made, path) => !isStopped && made === call && isAside(path) && passed++ > 0
      ),
      go: () => {
        isStopped = true
      }
    }
  }

  it.effect.each([true, false])(
    "are not copied again where that is stopped between removals (together: %s)",
    (isStillQuick) =>
      Effect.gen(function*() {
        const disk = plant(true, true, more)
        const original = disk.tree("/from")
        const stop = stopAfterFirst("unlink")
        let isQuick = true
        const links: Array<string> = []
        const { progress: { tally: { tags, units } }, rows, state } = yield* move(disk, {
          goesOn: true,
          together: () => isQuick,
          before: (call, path) => {
            if (call === "link" && path.startsWith("/to/copy/folder/")) links.push(path)
            return stop.before(call, path)
          },
          whenStopped: Effect.sync(() => {
            stop.go()
            isQuick = isStillQuick
            assert.strictEqual(disk.see("/from/folder/b") === undefined, disk.see("/from/folder/0") !== undefined)
          })
        })
        assert.deepStrictEqual([state, rows], ["Completed", []])
        assert.strictEqual(new Set(links).size, links.length)
        assert.deepStrictEqual(tags, { FolderMade: 3, Moved: 6 + more, FolderEnded: 3 })
        assert.deepStrictEqual([units["verified"], units["bytes"]], [3 + more, bytes])
        assertMoved(disk, original)
      })
  )

  it.effect.each(edits)(
    "are copied once more where a copy is %s where it was put, before they are removed",
    ([, edit]) =>
      Effect.gen(function*() {
        const disk = plant(true, true, more)
        const original = disk.tree("/from")
        const stop = stopAfterFirst("lstat")
        const { state } = yield* together(disk, {
          goesOn: true,
          before: stop.before,
          whenStopped: Effect.sync(() => {
            stop.go()
            edit(disk, "/to/copy/folder/3")
          })
        })
        assert.strictEqual(state, "Completed")
        assertMoved(disk, original)
      })
  )

  it.effect.each(
    (["overwrite", "skip", "rename", "error"] as const).flatMap((conflict) =>
      (["written to", "made readable for others"] as const).map((what) => [what, conflict] as const)
    )
  )("are copied anew where they are %s after they were copied (%s)", ([what, conflict]) =>
    Effect.gen(function*() {
      const disk = plant(true, true, more)
      const original = disk.tree("/from")
      const file = FilePath.make("/from/folder/3")
      let looks = 0
      const { progress, rows, state } = yield* together(disk, {
        conflict,
        before: (call, path) =>
          Effect.sync(() => {
            // Once before it is copied, and once before it is removed.
            if (call !== "lstat" || path !== file || ++looks !== 2) return
            if (what === "written to") disk.change(file, (text) => `${text} and more`)
            else disk.setMode(disk.find(file), 0o755)
            original["folder/3"] = disk.tree("/from/folder")["3"] ?? assert.fail("it is gone")
          })
      })
      assert.deepStrictEqual([state, rows, progress.tally.tags["Moved"]], ["Completed", [], 6 + more])
      assertMoved(disk, original)
    }))

  it.effect.each([["skip", false], ["overwrite", false], ["overwrite", true]] as const)(
    "whose place another file has taken since keep their copies, also when it is tried again (%s, same inode: %s)",
    ([conflict, isSameInode]) =>
      Effect.gen(function*() {
        const disk = plant(true, true, more)
        const original = disk.tree("/from")
        const file = FilePath.make("/from/folder/3")
        let looks = 0
        let failures: ReadonlyArray<string> = []
        const { rows } = yield* together(disk, {
          conflict,
          goesOn: true,
          before: (call, path) =>
            Effect.sync(() => {
              if (call !== "lstat" || path !== file || ++looks !== 2) return
              const { device, inode } = disk.find(file)
              disk.remove(file)
              disk.file(file, "another one")
              if (isSameInode) Object.assign(disk.find(file), { device, inode })
            }),
          whenStopped: Effect.sync(() => {
            failures = Object.keys(disk.tree("/from"))
          })
        })
        assert.deepStrictEqual(failures, ["folder", "folder/3"])
        assert.deepStrictEqual(rows.map((row) => row.slice(0, 22)), ["/from/folder/3 failed:"])
        assert.deepStrictEqual(disk.see("/to/copy/folder/3"), original["folder/3"])
        assert.include(disk.see(file), { text: "another one" })
      })
  )

  it.effect("get their names again where they can't be removed at first, and are taken for what they were", () =>
    Effect.gen(function*() {
      const disk = plant(true, true, more)
      const original = disk.tree("/from")
      const stop = FaultyFiles.failingOnce("EIO", (call, path) => call === "unlink" && isAside(path))
      const { rows, state } = yield* together(disk, { before: stop.before })
      assert.deepStrictEqual([state, rows, stop.hasFailed()], ["Completed", [], true])
      assertMoved(disk, original)
    }))

  it.effect.each(
    (["overwrite", "skip", "rename", "error"] as const).flatMap((conflict) =>
      (["rename", "unlink"] as const).flatMap((call) =>
        [true, false].map((together) => [conflict, call, together] as const)
      )
    )
  )("are removed by a retry that knows their copies, where they could not be (%s, %s, together: %s)", (
    [conflict, forbidden, together]
  ) =>
    Effect.gen(function*() {
      const disk = plant(true, true, more)
      const original = disk.tree("/from")
      let isForbidden = true
      const { progress, rows, state } = yield* move(disk, {
        together,
        conflict,
        goesOn: true,
        before: (call, path) =>
          isForbidden && call === forbidden && path.startsWith("/from")
            ? Effect.fail(FaultyFiles.error(call, path, "EACCES"))
            : Effect.void,
        whenStopped: Effect.sync(() => {
          for (const name of files) assert.deepStrictEqual(disk.see(`/from/${name}`), original[name], name)
          isForbidden = false
          disk.change(FilePath.make("/from/folder/3"), (text) => `${text} and more`)
          original["folder/3"] = disk.tree("/from/folder")["3"] ?? assert.fail("it is gone")
        })
      })
      assert.deepStrictEqual([state, rows, isForbidden], ["Completed", [], false])
      // What was written to is copied anew.
      const added = 9 + " and more".length
      assert.deepStrictEqual([progress.tally.tags["Moved"], progress.tally.units["bytes"]], [6 + more, bytes + added])
      assertMoved(disk, original)
    }))

  it.effect("are removed each by itself: a defect at one of them leaves that one to go on", () =>
    Effect.gen(function*() {
      const disk = plant(true, true, more)
      const original = disk.tree("/from")
      let hasDied = false
      const { rows, state } = yield* together(disk, {
        before: (call, path) =>
          Effect.suspend(() => {
            if (hasDied || call !== "unlink" || !isAside(path)) return Effect.void
            hasDied = true
            return Effect.die(new Error("a bug"))
          })
      })
      assert.deepStrictEqual([state, rows, hasDied], ["Completed", [], true])
      assertMoved(disk, original)
    }))
})
