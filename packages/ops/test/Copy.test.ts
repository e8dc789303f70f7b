import { assert, describe, it } from "@effect/vitest"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import type { Call } from "@fanout/ops/FilesError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { stride } from "../../../test/effort.ts"
import * as Conflict from "../src/internal/steps/conflict.ts"
import * as Harness from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const { plant } = Harness

/** The tree to copy, and more of which rules may leave out some. */
const plantMore = (): MemoryFiles.Disk => {
  const disk = plant()
  for (const folder of ["/from/out", "/from/sub", "/from/sub/out"]) disk.folder(folder)
  for (const name of ["out/a", "sub/out/a", "x.o", "folder/x.o", "sub/keep.o", "folder/keep.txt"]) {
    disk.file(`/from/${name}`, `text of ${name}`)
  }
  disk.symlink("/from/sub/link", "../a")
  return disk
}

/** A call is denied until the job is stopped; then it goes on. */
const deniedAtFirst = (denied: Call, at: string): Harness.Options => {
  let isDenied = true
  return {
    goesOn: true,
    before: FaultyFiles.failing("EACCES", (call, path) => isDenied && call === denied && path === at),
    whenStopped: Effect.sync(() => {
      isDenied = false
    })
  }
}

describe.each([["one by one", false], ["together", true]] as const)("Copy, %s", (_, together) => {
  const copy = (disk: MemoryFiles.Disk, options: Harness.Options = {}) => Harness.copy(disk, { together, ...options })

  it.effect("copies a tree, and says what it left out", () =>
    Effect.gen(function*() {
      const disk = plant()

      const { progress, rows, state } = yield* copy(disk)

      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(rows, ["/from/pipe skipped: it is no file, folder or link"])
      assert.deepStrictEqual(progress.tally.tags, { Copied: 2, Linked: 1, FolderMade: 2, FolderEnded: 2 })
      assert.deepStrictEqual(progress.tally.units, { bytes: 18 })
      disk.remove(FilePath.make("/from/pipe"))
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
    }))

  it.effect.each<readonly [code: string, times: number, tries: number, state: string]>([
    ["EBUSY", 3, 4, "Completed"],
    ["ETIMEDOUT", Infinity, 6, "CompletedWithErrors"],
    ["EACCES", Infinity, 1, "CompletedWithErrors"]
  ])(
    "tries again what may be over in a moment, and nothing else (%s, %d times)",
    ([code, times, tries, wanted]) =>
      Effect.gen(function*() {
        const disk = plant()
        disk.remove("/from/pipe")
        let opened = 0

        const { rows, state } = yield* copy(disk, {
          before: FaultyFiles.failing(code, (call, path) =>
            call === "open" && path === "/from/folder/b" && ++opened <= times)
        })

        assert.strictEqual(state, wanted)
        // Together with others it is met with its folder, and with the files of that.
        assert.strictEqual(opened, tries + (together && tries !== 4 ? 2 : 0))
        assert.strictEqual(rows.length, wanted === "Completed" ? 0 : 1)
      })
  )

  const several = ["/from/a", "/from/missing", "/from/folder"] as const

  it.effect.each([false, true])(
    "copies the sources that are there, and fails those that are not (moves: %s)",
    (moves) =>
      Effect.gen(function*() {
        const disk = plant()
        const expected = disk.see("/from/a")
        const { rows, state } = yield* copy(disk, { sources: several, moves, conflict: "overwrite" })
        assert.strictEqual(state, "CompletedWithErrors")
        assert.deepStrictEqual(rows, [
          `/from/missing failed: Could not look at "/from/missing": it does not exist (ENOENT)`
        ])
        assert.deepStrictEqual([disk.see("/to/a"), disk.see("/to/folder/b")?.kind], [expected, "file"])
        assert.strictEqual(disk.see("/from/a") === undefined, moves)
      })
  )

  it.effect("copies a source that is there once it is tried again", () =>
    Effect.gen(function*() {
      const disk = plant()
      const whenStopped = Effect.sync(() => disk.file("/from/missing", "is here"))
      const { rows, state } = yield* copy(disk, { sources: several, goesOn: true, whenStopped })
      assert.deepStrictEqual([state, rows], ["Completed", []])
      assert.include(disk.see("/to/missing"), { text: "is here" })
    }))

  it.effect.each([false, true])(
    "copies a source that is a folder once it is tried again (moves: %s)",
    (moves) =>
      Effect.gen(function*() {
        const disk = plant()
        const whenStopped = Effect.sync(() => {
          for (const folder of ["missing", "missing/in", "missing/out"]) disk.folder(`/from/${folder}`, { mode: 0o700 })
          for (const file of ["missing/a", "missing/in/b", "missing/in/out", "missing/out/c"]) {
            disk.file(`/from/${file}`, `text of ${file}`)
          }
        })
        const options = { sources: several, goesOn: true, whenStopped, moves, rules: ["/out"] } as const
        const { rows, state } = yield* copy(disk, options)
        assert.deepStrictEqual([state, rows], ["Completed", []])
        assert.sameMembers(Object.keys(disk.tree("/to/missing")), ["a", "in", "in/b", "in/out"])
        assert.include(disk.see("/to/missing/in/out"), { text: "text of missing/in/out" })
        assert.include(disk.see("/to/missing/in"), { mode: 0o700 })
        if (moves) assert.sameMembers(Object.keys(disk.tree("/from/missing")), ["out", "out/c"])
      })
  )

  it.effect("fails a FIFO, socket or device that was named, and skips those in folders", () =>
    Effect.gen(function*() {
      const disk = plant()
      for (const name of ["socket", "folder/socket"]) disk.special(`/from/${name}`)
      const { rows, state } = yield* copy(disk, { sources: ["/from/socket", "/from/folder"] })
      assert.deepStrictEqual([state, rows], ["CompletedWithErrors", [
        "/from/socket failed: It can't be copied: it is no file, folder or link",
        "/from/folder/socket skipped: it is no file, folder or link"
      ]])
    }))

  it.effect("gives no copy a name that is to be left alone, nor takes what has it for a copy", () =>
    Effect.gen(function*() {
      const numbered = plant()
      numbered.folder("/to/copy")
      numbered.file("/to/copy/a", "in the way")
      const renamed = yield* copy(numbered, { conflict: "rename", leaveOut: ["/to/copy/a (1)"] })
      assert.strictEqual(renamed.state, "CompletedWithErrors")
      assert.strictEqual(numbered.see("/to/copy/a (1)"), undefined)

      const same = plant()
      same.folder("/to/copy")
      same.file("/to/copy/a", "text of a", { mode: 0o640, modified: 1_111_111n })
      const { progress } = yield* copy(same, { leaveOut: ["/to/copy/a"] })
      assert.isUndefined(progress.tally.tags["Unchanged"])
    }))

  it.effect("gives folders their times again that a retry puts files into", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.remove("/from/pipe")
      const { state } = yield* copy(disk, deniedAtFirst("open", "/from/folder/b"))
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
    }))

  it.effect("gives folders their times again that a retry makes folders in", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.remove("/from/pipe")
      const { state } = yield* copy(disk, deniedAtFirst("scandir", "/from/folder"))
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
      assert.deepStrictEqual(disk.see("/to/copy"), disk.see("/from"))
    }))

  it.effect("has a folder open that its owner may not write in as long as a retry writes there, and no longer", () =>
    Effect.gen(function*() {
      for (const isStopped of [false, true]) {
        const disk = plant()
        disk.remove("/from/pipe")
        disk.find(FilePath.make("/from/folder")).mode = 0o555
        const modes = new Set<number>()
        let isDenied = true
        const { state } = yield* copy(disk, {
          goesOn: true,
          before: (call, path) =>
            Effect.suspend(() => {
              if (isDenied && path === "/from/folder/b") return Effect.fail(FaultyFiles.error(call, path, "EACCES"))
              if (isDenied || call !== "write") return Effect.void
              modes.add(disk.find(FilePath.make("/to/copy/folder")).mode)
              return isStopped ? Effect.fail(FaultyFiles.error(call, path, "ENOSPC")) : Effect.void
            }),
          whenStopped: Effect.sync(() => {
            isDenied = false
          })
        })
        assert.strictEqual(state, isStopped ? "Paused" : "Completed")
        assert.deepStrictEqual(modes, new Set([0o755]))
        assert.deepStrictEqual(disk.see("/to/copy/folder"), disk.see("/from/folder"))
      }
    }))

  it.effect("gives a folder mode and times again that could be listed once and then not until a retry", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.remove("/from/pipe")
      let isDenied = false
      const { state } = yield* copy(disk, {
        goesOn: true,
        before: (call, path) =>
          Effect.suspend(() => {
            isDenied ||= call === "mkdir" && path === "/to/copy/folder"
            return isDenied && call === "scandir" && path === "/from/folder"
              ? Effect.fail(FaultyFiles.error(call, path, "EIO"))
              : Effect.void
          }),
        whenStopped: Effect.sync(() => {
          isDenied = false
        })
      })
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
    }))

  it.effect("copies, opens and counts nothing that its rules exclude", () =>
    Effect.gen(function*() {
      const disk = plantMore()
      const before = disk.tree("/from")
      const met: Array<string> = []

      const { progress, rows, state } = yield* copy(disk, {
        rules: ["*.o", "/out/", "!keep.o", "pipe", "sub/link"],
        before: (call, path) => {
          met.push(path)
          // So long that all is counted meanwhile.
          return call === "mkdir" && path === "/to/copy" ? Effect.sleep("2 seconds") : Effect.void
        }
      })

      assert.deepStrictEqual([state, rows], ["Completed", []])
      const left = ["out", "out/a", "x.o", "folder/x.o", "pipe", "sub/link"]
      assert.deepStrictEqual(
        disk.tree("/to/copy"),
        Object.fromEntries(Object.entries(before).filter(([path]) => !left.includes(path)))
      )
      assert.deepStrictEqual(met.filter((path) => left.some((name) => path === `/from/${name}`)), [])
      const { done, failed, skipped } = progress.tally
      assert.strictEqual(progress.totals["items"], done + failed + skipped)
    }))

  // What is copied together waits for nothing.
  it.effect.skipIf(together)(
    "counts what it has not met after a second, and so knows how much there is",
    () =>
      Effect.gen(function*() {
        const disk = new MemoryFiles.Disk()
        const folders = Array.from({ length: 60 }, (_, n) => `/from/${String(n).padStart(2, "0")}`)
        for (const folder of ["/from", "/to", ...folders]) disk.folder(folder)
        for (const folder of folders) for (const name of ["a", "b"]) disk.file(`${folder}/${name}`, name)
        const listed: Array<string> = []

        const { progress, state } = yield* copy(disk, {
          before: (call, path) => {
            if (call === "scandir") listed.push(path)
            // So many that nothing else is begun meanwhile.
            return call === "open" && /[23]\d\/a$/.test(path) ? Effect.sleep("1100 millis") : Effect.void
          }
        })

        assert.deepStrictEqual([state, progress.tally.done], ["Completed", 2 + 60 * 4])
        assert.strictEqual(progress.totals["items"], 2 + 60 * 4)
        assert.lengthOf(listed.filter((path) => path === folders[0]), 1)
      })
  )

  it.effect("counts the files that are copied in other ways than as a whole", () =>
    Effect.gen(function*() {
      const ways = new Set(["reflinked", "kernelCopied", "chunked", "hardLinked", "renamed"])
      const cannot = { reflinked: [], kernelCopied: ["ficlone"], chunked: ["ficlone", "copy_file_range"] }
      for (const [way, calls] of Object.entries(cannot)) {
        for (const together of [false, true]) {
          const disk = plant()
          disk.sharesBlocks = true
          disk.file("/from/folder/large", "x".repeat(9 * 2 ** 20))
          disk.hardLink("/from/folder/b", "/from/again")
          const { progress: { tally: { units } } } = yield* copy(disk, {
            together,
            preserve: ["mode", "times", "links"],
            hardLinks: Harness.remembering(),
            before: (call, path) =>
              calls.some((one) => one === call)
                ? Effect.fail(FaultyFiles.error(call, path, "EOPNOTSUPP"))
                : Effect.void
          })
          const counted = Object.entries(units).filter(([unit]) => ways.has(unit))
          assert.sameDeepMembers(counted, [[way, 1], ["hardLinked", 1]], way)
        }
      }
    }))

  it.effect("leaves out the same wherever it is paused and goes on", () =>
    Effect.gen(function*() {
      const rules = ["*.o", "/out/", "pipe"]
      const whole = plantMore()
      yield* copy(whole, { rules })

      for (let n = 0;; n += stride(5)) {
        const disk = plantMore()
        let left = n
        const { state } = yield* copy(disk, {
          rules,
          goesOn: true,
          before: (call, path) =>
            Effect.suspend(() => {
              const isChange = call === "write" || call === "mkdir" || call === "symlink"
              return isChange && left-- === 0 ? Effect.fail(FaultyFiles.error(call, path, "ENOSPC")) : Effect.void
            })
        })
        assert.strictEqual(state, "Completed", `at ${n}`)
        assert.deepStrictEqual(disk.tree("/to/copy"), whole.tree("/to/copy"), `at ${n}`)
        if (left >= 0) {
          assert.isAbove(n, 6)
          return
        }
      }
    }))

  it.effect("leaves out the same of a folder that it could not list at first", () =>
    Effect.gen(function*() {
      const disk = plantMore()
      let isDenied = true

      const { rows, state } = yield* copy(disk, {
        rules: ["*.o", "/out/", "pipe"],
        goesOn: true,
        before: (call, path) =>
          Effect.suspend(() => {
            if (call !== "scandir" || path !== "/from/folder" || !isDenied) return Effect.void
            isDenied = false
            return Effect.fail(FaultyFiles.error(call, path, "EACCES"))
          })
      })

      assert.deepStrictEqual([state, rows], ["Completed", []])
      assert.deepStrictEqual(Object.keys(disk.tree("/to/copy/folder")), ["b", "keep.txt"])
    }))

  it.effect("copies what lies below paths that are too long for the kernel", () =>
    Effect.gen(function*() {
      for (const tellsKinds of [true, false]) {
        const disk = plant()
        disk.tellsKinds = tellsKinds
        disk.remove("/from/pipe")
        let path = "/from"
        for (let depth = 0; depth < 25; depth++) {
          path += `/${"long ".repeat(40)}`
          disk.folder(path, { mode: 0o750 })
          disk.file(`${path}/file`, `text ${depth}`)
          disk.symlink(`${path}/link`, "../link")
        }
        assert.isAbove(path.length, 5000)

        const { rows, state } = yield* copy(disk)

        assert.deepStrictEqual([state, rows], ["Completed", []])
        assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
        // What was copied is known again.
        assert.include((yield* copy(disk)).progress.tally.tags, { Unchanged: 53 })
      }
    }))

  it.effect.each<readonly [string, string]>([["/from/folder", "/secret"], ["/to/copy/folder", "/outside"], [
    "/to/copy",
    "/outside"
  ]])(
    "reads and writes nothing elsewhere, whenever %s becomes a link to %s",
    ([folder, elsewhere]) =>
      Effect.gen(function*() {
        for (let n = 0;; n += stride(5)) {
          const disk = plant()
          for (const folder of ["/secret", "/outside", "/outside/folder"]) disk.folder(folder)
          for (const path of ["/secret/b", "/outside/b", "/outside/folder/b"]) disk.file(path, "secret")
          disk.folder("/to/copy")
          disk.folder("/to/copy/folder")
          const before = [disk.tree("/secret"), disk.tree("/outside")]
          let [left, isPlanned] = [n, false]

          const { state } = yield* copy(disk, {
            before: (call) =>
              Effect.sync(() => {
                // The walk begins with this.
                isPlanned ||= call === "scandir"
                if (!isPlanned || left-- !== 0) return
                disk.rename(folder, "/moved")
                disk.symlink(folder, elsewhere)
              })
          })

          if (left >= 0) {
            assert.isAbove(n, 30)
            return
          }
          assert.deepStrictEqual([disk.tree("/secret"), disk.tree("/outside")], before)
          const copies = { ...disk.tree("/to"), ...disk.tree("/moved") }
          assert.isFalse(Object.values(copies).some((_) => _.kind === "file" && _.text === "secret"), `at ${n}`)
          assert.include(["Completed", "CompletedWithErrors"], state)
          assert.strictEqual(disk.openCount, 0)
        }
      })
  )

  it.effect("counts what copies could not be given", () =>
    Effect.gen(function*() {
      const without = (call: string) => call === "fchmod" || call === "lutimes"

      const { progress, rows, state } = yield* copy(plant(), {
        before: FaultyFiles.failing("EPERM", (call) => without(call))
      })

      assert.strictEqual(state, "Completed")
      assert.lengthOf(rows, 1)
      // Two folders, and two files, which together with others are made with their modes; and the link.
      assert.deepStrictEqual(progress.tally.units, { bytes: 18, lostMode: together ? 2 : 4, lostTimes: 1 })
    }))

  it.effect.each(["changed", "overwrite", "rename", "skip", "error"] as const)(
    "neither copies nor replaces the database of its job (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const disk = plant()
        disk.folder("/to/copy")
        for (const name of ["jobs.db", "jobs.db-wal", "other"]) disk.file(`/from/${name}`, `mine: ${name}`)
        disk.file("/to/copy/jobs.db", "database")
        disk.hardLink("/to/copy/jobs.db", "/to/copy/other")
        disk.hardLink("/to/copy/jobs.db", "/from/folder/c")

        const { rows, state } = yield* copy(disk, {
          conflict,
          leaveOut: ["/to/copy/jobs.db", "/to/copy/jobs.db-wal"]
        })

        const has = "the database of this job has that name"
        const ending = conflict === "skip" ? "skipped: it is there already" : "failed: "
        assert.strictEqual(state, "CompletedWithErrors")
        assert.include(rows, "/from/folder/c skipped: it belongs to the database of this job")
        assert.isTrue(rows.some((row) => row.startsWith(`/from/jobs.db-wal failed: /to/copy/jobs.db-wal: ${has}`)))
        for (const name of ["jobs.db", "other"]) {
          const isNumbered = disk.see(`/to/copy/${name.replace(/(\.|$)/, " (1)$1")}`) !== undefined
          assert.strictEqual(isNumbered, conflict === "rename")
          assert.strictEqual(rows.some((row) => row.startsWith(`/from/${name} ${ending}`)), conflict !== "rename")
          assert.include(disk.see(`/to/copy/${name}`), { text: "database" })
        }
        assert.isUndefined(disk.see("/to/copy/jobs.db-wal"))
        assert.isUndefined(disk.see("/to/copy/folder/c"))
      })
  )

  it.effect("calls what is gone when its turn comes vanished, a folder with all in it", () =>
    Effect.gen(function*() {
      const gone = new Set(["lstat /from/a", "open /from/a", "scandir /from/folder"])

      const { rows, state } = yield* copy(plant(), {
        before: (call, path) =>
          gone.has(`${call} ${path}`) ? Effect.fail(FaultyFiles.error(call, path, "ENOENT")) : Effect.void
      })

      assert.strictEqual(state, "Completed")
      assert.sameMembers(rows, [
        "/from/a skipped: it vanished",
        "/from/folder skipped: it vanished",
        "/from/pipe skipped: it is no file, folder or link"
      ])
    }))

  it.effect("copies all but what fails, is large, or is more than its content", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.remove("/from/pipe")
      for (const name of ["p", "q", "r"]) disk.file(`/from/${name}`, `text of ${name}`)
      disk.file("/from/large", "x".repeat(9 * 2 ** 20))
      disk.file("/from/set-id", "text", { mode: 0o4755 })

      const { progress, rows, state } = yield* copy(disk, {
        before: FaultyFiles.failing("EACCES", (call, path) => call === "open" && path === "/from/q")
      })

      assert.strictEqual(state, "CompletedWithErrors")
      assert.lengthOf(rows, 1)
      assert.match(rows[0] ?? "", /^\/from\/q failed: Could not open "\/from\/q"/)
      assert.strictEqual(progress.tally.tags["Copied"], 6)
      disk.remove("/from/q")
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
      const again = yield* copy(disk)
      assert.deepStrictEqual(again.progress.tally.tags, { Unchanged: 7, FolderMade: 2, FolderEnded: 2 })
    }))

  it.effect("copies once more what changes while it is read, and tells of what goes on changing", () =>
    Effect.gen(function*() {
      for (const [times, expected] of [[1, "done"], [Number.POSITIVE_INFINITY, "changed"]] as const) {
        const disk = plant()
        disk.remove("/from/pipe")
        let left: number = times
        const { rows, state } = yield* copy(disk, {
          before: (call, path) =>
            Effect.sync(() => {
              if (path !== "/from/a" || call !== "read" || left === 0) return
              left--
              disk.change(FilePath.make("/from/a"), (text) => `${text}, and more`)
            })
        })

        if (expected === "done") {
          assert.deepStrictEqual([state, rows], ["Completed", []])
          assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
        } else {
          assert.strictEqual(state, "CompletedWithErrors")
          assert.deepStrictEqual(rows, [`/from/a failed: "/from/a" changed while it was copied`])
          assert.isUndefined(disk.see("/to/copy/a"))
        }
      }
    }))

  it.effect.each(["write ENOSPC", "create EDQUOT"])(
    "is paused, and fails for nothing, where it meets a full disk (%s)",
    (
      at
    ) =>
      Effect.gen(function*() {
        const [call, code = ""] = at.split(" ")
        const disk = plant()
        disk.remove("/from/pipe")

        const { rows, state } = yield* copy(disk, {
          before: (made, path) =>
            made === call && /\/(b|copy\/folder)$|\/copy\/folder\//.test(path)
              ? Effect.fail(FaultyFiles.error(made, path, code))
              : Effect.void
        })

        assert.deepStrictEqual([state, rows], ["Paused", []])
        assert.notInclude(Object.keys(disk.tree("/to/copy")), "copy/folder/b")
      })
  )

  it.effect.each(["open", "scandir"])(
    "goes on where a part of its tree is a dead mount (%s)",
    (call) =>
      Effect.gen(function*() {
        const disk = plant()
        disk.remove("/from/pipe")
        const { rows, state } = yield* copy(disk, {
          before: (made, path) =>
            made === call && path.startsWith("/from/folder")
              ? Effect.fail(FaultyFiles.error(made, path, "ENOTCONN"))
              : Effect.void
        })
        assert.strictEqual(state, "CompletedWithErrors")
        assert.match(rows.join(), /^\/from\/folder.* failed: .*ENOTCONN/)
        assert.include(disk.see("/to/copy/a"), { text: "text of a" })
      })
  )

  it.effect("is paused where a source is an empty folder by now, since its disk is gone", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.remove("/from/pipe")
      const { rows, state } = yield* copy(disk, {
        before: (call, path) =>
          Effect.sync(() => {
            if (call !== "scandir" || path !== "/from") return
            for (const device of disk.fileSystems.keys()) disk.fileSystems.set(device, "another")
            for (const name of ["a", "link", "folder"]) disk.remove(`/from/${name}`)
          })
      })
      assert.deepStrictEqual([state, rows], ["Paused", []])
    }))

  it.effect("takes nothing for gone that it only can't ask about", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.remove("/from/pipe")
      let isAsked = false
      const { rows, state } = yield* copy(disk, {
        before: (call, path) => {
          if (path === "/from/folder/b" && (call === "open" || call === "lstat")) {
            isAsked = true
            return Effect.fail(FaultyFiles.error(call, path, "ENOENT"))
          }
          return isAsked && call === "fstatfs" ? Effect.fail(FaultyFiles.error(call, path, "EACCES")) : Effect.void
        }
      })
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(rows, ["/from/folder/b skipped: it vanished"])
    }))

  it.effect("is paused where what it works on is on another file system by now, and skips nothing", () =>
    Effect.gen(function*() {
      for (const gone of ["open /from/folder/b", "lstat /from/folder/b", "scandir /from/folder", "mkdir /to/copy"]) {
        const disk = plant()
        disk.remove("/from/pipe")
        const { rows, state } = yield* copy(disk, {
          before: (call, path) =>
            Effect.suspend(() => {
              if (`${call} ${path}` !== gone) return Effect.void
              // Its mount point is there, and empty.
              for (const device of disk.fileSystems.keys()) disk.fileSystems.set(device, "another")
              return Effect.fail(FaultyFiles.error(call, path, "ENOENT"))
            })
        })
        assert.deepStrictEqual([state, rows], ["Paused", []], gone)
      }
    }))

  it.effect("copies a folder of more than is copied in one go", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.remove("/from/pipe")
      for (let i = 0; i < 150; i++) disk.file(`/from/folder/${i}`, `${i}`)
      for (let i = 0; i < 7; i++) disk.file(`/from/folder/large-${i}`, `${i}`.repeat(5 * 2 ** 20))

      const { progress, state } = yield* copy(disk)

      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
      assert.strictEqual(progress.tally.tags["Copied"], 159)
    }))

  it.effect.each(Conflict.Mode.literals)(
    "looks for no name in a folder that it has made itself (%s)",
    (conflict) =>
      Effect.gen(function*() {
        for (const isThere of [false, true]) {
          const disk = plant()
          if (isThere) disk.folder("/to/copy")
          // What takes long to write is worth a look.
          disk.file("/from/large", "x".repeat(2 ** 23 + 1))
          const looked = new Set<string>()
          const before: FaultyFiles.Before = (call, path) =>
            Effect.sync(() => {
              // Whether names are shortened is asked for by those of drafts.
              const isDraft = path.includes("/.fanout-")
              if (call === "lstat" && path.startsWith("/to/copy/") && !isDraft) looked.add(path)
            })

          const { progress, state } = yield* copy(disk, { before, conflict })

          assert.strictEqual(state, "Completed")
          assert.include(progress.tally.tags, { Copied: 3, Linked: 1 })
          const names = isThere
            ? ["/to/copy/a", "/to/copy/folder", "/to/copy/large", "/to/copy/link"]
            : ["/to/copy/large"]
          assert.deepStrictEqual(Array.from(looked).toSorted(), names)
        }
      })
  )

  it.effect.each(Conflict.Mode.literals)(
    "keeps to its mode where somebody writes in what it has made (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const disk = plant()
        let isMade = false
        const before: FaultyFiles.Before = () =>
          Effect.sync(() => {
            if (isMade || disk.see("/to/copy") === undefined) return
            isMade = true
            disk.file("/to/copy/a", "of somebody else")
            disk.file("/to/copy/folder", "of somebody else")
            disk.symlink("/to/copy/link", "somewhere else")
          })

        const { rows } = yield* copy(disk, { before, conflict })

        assert.isTrue(isMade)
        const keeps = conflict === "skip" || conflict === "rename" || conflict === "error"
        const [a, link] = [disk.see("/to/copy/a"), disk.see("/to/copy/link")]
        if (keeps) assert.include(a, { text: "of somebody else" })
        else assert.deepStrictEqual([a, link], [disk.see("/from/a"), disk.see("/from/link")])
        if (conflict === "rename") {
          assert.deepStrictEqual(disk.see("/to/copy/a (1)"), disk.see("/from/a"))
          assert.deepStrictEqual(disk.see("/to/copy/link (1)"), disk.see("/from/link"))
        }
        assert.include(disk.see("/to/copy/folder"), { text: "of somebody else" })
        const refused = "/from/folder failed: /to/copy/folder: a folder can't take the place of what is there"
        assert.include(rows, refused)
      })
  )
})

describe("Copy.Request", () => {
  const stored = { sources: ["/from"], destination: "/to/copy", noTargetDirectory: true, conflict: "changed" }
  const decode = Schema.decodeUnknownEffect(Copy.Request)

  it.effect("has the key that it had before there were rules, where there are none", () =>
    Effect.gen(function*() {
      const key = yield* Harness.keyOf(yield* decode(stored))
      assert.deepStrictEqual(key, Option.some(JSON.stringify(stored)))
    }))

  it.effect("is another one with other rules, or in another order, and keeps them byte for byte", () =>
    Effect.gen(function*() {
      const rules = ["*.\udcff", "!a "]
      const request = yield* decode(JSON.parse(JSON.stringify({ ...stored, rules })))
      assert.strictEqual(request.rules?.join(), rules.join())
      const others = [[], rules.toReversed(), ["*"]].map((rules) => decode({ ...stored, rules }))
      const keys = yield* Effect.forEach([request, ...yield* Effect.all(others)], Harness.keyOf)
      assert.strictEqual(new Set(keys.map(Option.getOrThrow)).size, 4)
      assert.strictEqual((yield* Effect.exit(decode({ ...stored, rules: ["!"] })))._tag, "Failure")
    }))
})
