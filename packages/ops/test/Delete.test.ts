import { afterAll, assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import * as Delete from "@fanout/ops/Delete"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as effort from "../../../test/effort.ts"
import { batches, walkFolders } from "../src/internal/delete/deleteElements.ts"
import * as harness from "./deleteHarness.ts"
import { look, type Options, p, plan, rest } from "./deleteHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const done = { state: "Completed" as const, why: "", rows: new Array<string>() }

/** A tree to delete, and what is beside it. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/in", "/in/a", "/in/a/b", "/in/empty", "/out", "/trash"]) disk.folder(folder)
  disk.file("/in/a/b/c", "text")
  disk.file("/in/a.txt", "text")
  disk.file("/in/\n", "text")
  disk.file("/out/kept", "text")
  disk.symlink("/in/link", "/out")
  disk.symlink("/in/broken", "nowhere")
  disk.special("/in/pipe")
  disk.file("/beside", "text")
  return disk
}

const outside = (disk: MemoryFiles.Disk) =>
  Object.keys(disk.tree("/")).filter((path) => path !== "in" && !path.startsWith("in/"))

const kept = ["beside", "out", "out/kept", "trash"]

const failing = (name: string, code = "EACCES"): FaultyFiles.Before =>
  FaultyFiles.failing(code, (call, path) => (call === "unlink" || call === "rmdir") && FilePath.name(path) === name)

const Name = Schema.Literals(["a", "b", "c", "a.b"])
const Tree = Schema.Array(Schema.Struct({
  path: Schema.Array(Name).pipe(Schema.check(Schema.isMinLength(1), Schema.isMaxLength(4))),
  kind: Schema.Literals(["file", "folder", "link", "special"])
}))

/** A generated tree in a folder; what does not fit is left out. */
const grow = (disk: MemoryFiles.Disk, tree: typeof Tree.Type): void => {
  for (const { kind, path } of tree) {
    let full = "/in"
    for (const [depth, name] of path.entries()) {
      if (disk.see(full)?.kind !== "folder") break
      full += `/${name}`
      if (disk.see(full) !== undefined) continue
      if (depth < path.length - 1 || kind === "folder") disk.folder(full)
      else if (kind === "file") disk.file(full, "text")
      else if (kind === "link") disk.symlink(full, "/out")
      else disk.special(full)
    }
  }
}

const fresh = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/in", "/out", "/trash"]) disk.folder(folder)
  disk.file("/out/kept", "text")
  disk.file("/beside", "text")
  return disk
}

const refused = (options: Options) => (disk: MemoryFiles.Disk) =>
  Effect.map(Effect.flip(plan(options)), ({ message }) => message).pipe(Effect.provide(harness.runtime(disk)))

let [runs, pauses] = [0, 0]

/** Deletes, and counts how many folders were open at most. */
const removeCounting = Effect.fnUntraced(function*(disk: MemoryFiles.Disk) {
  let most = 0
  const before: FaultyFiles.Before = () => Effect.sync(() => void (most = Math.max(most, disk.openCount)))
  const result = yield* harness.remove(disk, { before })
  return { most, result }
})

const ways = [["as they are met", false], ["whole", true]] as const

describe.each(ways)("Delete of folders %s", (_, isAtOnce) => {
  const remove = (disk: MemoryFiles.Disk, options: Options = {}) => harness.remove(disk, { isAtOnce, ...options })
  const runtime = (disk: MemoryFiles.Disk, before?: FaultyFiles.Before) => harness.runtime(disk, before, isAtOnce)

  it.effect("removes everything below, and the root, and nothing beside it", () =>
    Effect.gen(function*() {
      const disk = plant()

      const result = yield* remove(disk)

      assert.deepStrictEqual(result, { ...done, files: 6, folders: 4 })
      assert.deepStrictEqual(Object.keys(disk.tree("/")), kept)
      assert.strictEqual(disk.openCount, 0)
    }))

  it.effect("is paused where what it deletes is on another file system by now, and goes on when it is back", () =>
    Effect.gen(function*() {
      const disk = plant()
      for (let n = 0; n < 40; n++) disk.folder(`/in/${n}`)
      for (let n = 0; n < 40; n++) disk.file(`/in/${n}/file`, "text")
      let [isGone, isBack] = [false, false]
      const before: FaultyFiles.Before = (call, path) =>
        Effect.suspend(() => {
          if (call === "scandir" && path === "/in/a") isGone = !isBack
          disk.fileSystems.set(1n, isGone ? "another" : "memory")
          const isTold = call === "unlink" || call === "rmdir" || call === "scandir"
          return isGone && isTold ? Effect.fail(FaultyFiles.error(call, path, "ENODEV")) : Effect.void
        })
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const { id } = yield* manager.start(Delete.job, yield* plan())
        const paused = yield* rest(id)
        assert.deepStrictEqual([paused.state, paused.rows], ["Paused", []])
        ;[isGone, isBack] = [false, true]
        yield* manager.resume(id)
        assert.strictEqual((yield* rest(id)).state, "Completed")
        assert.isUndefined(disk.see("/in"))
      }).pipe(Effect.provide(runtime(disk, before)))
    }))

  it.effect.prop(
    "leaves what rules exclude and what that is in, and deletes all else",
    { tree: Tree, name: Name, onlyFolders: Schema.Boolean },
    ({ name, onlyFolders, tree }) =>
      Effect.gen(function*() {
        const disk = plant()
        grow(disk, tree)
        const before = disk.tree("/in")
        const isExcluded = (path: string): boolean =>
          path !== "" && ((FilePath.name(p(path)) === name && (!onlyFolders || before[path]?.kind === "folder")) ||
            isExcluded(FilePath.parent(p(path))))
        const excluded = Object.keys(before).filter(isExcluded)
        const around = Object.keys(before).filter((path) => excluded.some((one) => one.startsWith(`${path}/`)))

        const { rows, state } = yield* remove(disk, { rules: [onlyFolders ? `${name}/` : name] })

        assert.deepStrictEqual([state, rows], ["Completed", []])
        if (excluded.length === 0) assert.isUndefined(disk.see("/in"))
        else assert.sameMembers(Object.keys(disk.tree("/in")), Array.from(new Set([...excluded, ...around])))
        assert.deepStrictEqual(outside(disk), kept)
      }),
    { arbitrary: { runs: effort.runs(50) } }
  )

  it.effect.prop(
    "removes any tree, whether kinds are told or not",
    { tree: Tree, tellsKinds: Schema.Boolean },
    ({ tellsKinds, tree }) =>
      Effect.gen(function*() {
        const disk = fresh()
        grow(disk, tree)
        disk.tellsKinds = tellsKinds
        const all = Object.values(disk.tree("/in"))
        const folders = all.filter(({ kind }) => kind === "folder").length

        const result = yield* remove(disk)

        assert.deepStrictEqual(result, { ...done, files: all.length - folders, folders: folders + 1 })
        assert.deepStrictEqual(Object.keys(disk.tree("/")), kept)
      })
  )

  it.effect.prop(
    "leaves just what can't be removed and what that is in, names each once, and removes it on a retry",
    { tree: Tree, denied: Schema.Array(Name) },
    ({ denied, tree }) =>
      Effect.gen(function*() {
        const disk = fresh()
        grow(disk, tree)
        const isDenied = (path: string) => denied.some((name) => name === FilePath.name(p(path)))
        const stuck = Object.entries(disk.tree("/in"))
          .filter(([path, { kind }]) => kind !== "folder" && isDenied(path)).map(([path]) => path)
        let isMended = false
        const before = FaultyFiles.failing("EACCES", (call, path) => !isMended && call === "unlink" && isDenied(path))

        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const { id } = yield* manager.start(Delete.job, yield* plan())
          const first = yield* rest(id)

          assert.strictEqual(first.state, stuck.length > 0 ? "CompletedWithErrors" : "Completed")
          assert.deepStrictEqual(
            first.rows.map((row) => String(row.split(" ", 1)[0])).toSorted(),
            stuck.map((path) => `/in/${path}`).toSorted()
          )
          const left = stuck.length === 0 ? [] : Object.keys(disk.tree("/in"))
          assert.deepStrictEqual(left.filter((path) => !stuck.some((one) => FilePath.isWithin(p(one), p(path)))), [])
          if (stuck.length === 0) return
          isMended = true
          yield* manager.retry(id)
          const second = yield* rest(id)
          assert.deepStrictEqual([second.state, second.rows], ["Completed", []])
        }).pipe(Effect.provide(runtime(disk, before)))

        assert.deepStrictEqual(Object.keys(disk.tree("/")), kept)
      })
  )

  it.effect.prop(
    "goes on behind any pause as if there had been none",
    {
      tree: Tree,
      calls: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))).check(Schema.isMaxLength(2))
    },
    ({ calls, tree }) =>
      Effect.gen(function*() {
        runs++
        const disk = fresh()
        grow(disk, tree)
        const all = Object.values(disk.tree("/in"))
        const folders = all.filter(({ kind }) => kind === "folder").length
        let left = -1
        let pause: Effect.Effect<void> = Effect.void
        const before: FaultyFiles.Before = () => Effect.suspend(() => left-- === 0 ? pause : Effect.void)

        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const { id } = yield* manager.start(Delete.job, yield* plan())
          pause = Effect.ignore(manager.pause(id))
          for (const call of calls) {
            left = call
            yield* rest(id)
            if ((yield* manager.get(id)).state._tag !== "Paused") continue
            pauses++
            yield* manager.resume(id)
          }
          left = -1
          assert.deepStrictEqual(yield* rest(id), { ...done, files: all.length - folders, folders: folders + 1 })
          // None of it was left to be removed one by one.
          const { fanOuts } = yield* manager.progress(id)
          assert.isUndefined(fanOuts["leftovers"]?.tags["Removed"])
        }).pipe(Effect.provide(runtime(disk, before)))

        assert.deepStrictEqual(Object.keys(disk.tree("/")), kept)
      })
  )

  afterAll(() => assert.isAbove(pauses, runs / 4))

  it.effect("removes a link and not what it leads to, a file, and what is named twice, once", () =>
    Effect.gen(function*() {
      const disk = plant()
      const result = yield* remove(disk, { paths: ["/in/link", "/in/a.txt", "/in/a.txt", "/in/a/b", "/in/a"] })
      assert.deepStrictEqual(result, { ...done, files: 3, folders: 2 })
      assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["\n", "broken", "empty", "pipe"])
      assert.deepStrictEqual(outside(disk), kept)
    }))

  it.effect("names what is missing, and removes the rest", () =>
    Effect.gen(function*() {
      const disk = plant()
      const result = yield* remove(disk, { paths: ["/nothing", "/in", "/no/thing"] })
      assert.deepStrictEqual(result.rows, [
        "/nothing failed: Could not look at \"/nothing\": it does not exist (ENOENT)",
        "/no/thing failed: Could not look at \"/no/thing\": it does not exist (ENOENT)"
      ])
      assert.strictEqual(result.state, "CompletedWithErrors")
      assert.deepStrictEqual(Object.keys(disk.tree("/")), kept)
    }))

  it.effect("tells a path that can't be looked at, and removes the rest; alone it is refused", () =>
    Effect.gen(function*() {
      const disk = plant()
      const before = FaultyFiles.failing("EACCES", (_, path) => path === "/out/kept")
      const message = "Could not look at \"/out/kept\": permission denied (EACCES)"
      const refusal = Effect.map(Effect.flip(plan({ paths: ["/out/kept", "/nothing"] })), ({ message }) => message)
      assert.strictEqual(yield* Effect.provide(refusal, harness.runtime(disk, before)), message)
      const result = yield* remove(disk, { paths: ["/out/kept", "/in"], before })
      assert.deepStrictEqual(result.rows, [`/out/kept failed: ${message}`])
      assert.deepStrictEqual(Object.keys(disk.tree("/")), kept)
    }))

  it.effect("tells a folder that can't be listed once, and what is beside it is gone; a retry removes all of it", () =>
    Effect.gen(function*() {
      const disk = plant()
      let isMended = false
      const before = FaultyFiles.failing("EACCES", (call, path) => !isMended && call === "scandir" && path === "/in/a")
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const { id } = yield* manager.start(Delete.job, yield* plan())
        assert.deepStrictEqual((yield* rest(id)).rows, [
          "/in/a failed: Could not list \"/in/a\": permission denied (EACCES)"
        ])
        assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["a", "a/b", "a/b/c"])
        isMended = true
        yield* manager.retry(id)
        assert.strictEqual((yield* rest(id)).state, "Completed")
      }).pipe(Effect.provide(runtime(disk, before)))
      assert.deepStrictEqual(Object.keys(disk.tree("/")), kept)
    }))

  it.effect("removes a folder that can't be listed where it is empty", () =>
    Effect.gen(function*() {
      const disk = plant()
      const before = FaultyFiles.failing("EACCES", (call, path) => call === "scandir" && path === "/in/empty")
      assert.deepStrictEqual(yield* remove(disk, { before }), { ...done, files: 6, folders: 4 })
    }))

  it.effect("tells of a folder itself where that can't be removed", () =>
    Effect.gen(function*() {
      const disk = plant()
      const result = yield* remove(disk, { before: failing("empty", "EPERM") })
      assert.deepStrictEqual(result.rows, [
        "/in/empty failed: Could not remove \"/in/empty\": the operation is not permitted (EPERM)"
      ])
      assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["empty"])
    }))

  it.effect("leaves what is mounted in there, of another device or the same, and tells so; a retry may remove it", () =>
    Effect.gen(function*() {
      for (const device of ["other", "same"] as const) {
        const disk = plant()
        disk.mount("/in/empty", device)
        disk.file("/in/empty/mounted", "text")
        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const { id } = yield* manager.start(Delete.job, yield* plan())
          const { rows, state } = yield* rest(id)
          assert.strictEqual(state, "CompletedWithErrors")
          assert.strictEqual(rows.length, 1)
          assert.match(rows[0] ?? "", /^\/in\/empty failed: "\/in\/empty" is on another file system and was left/)
          assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["empty", "empty/mounted"])
          disk.remove("/in/empty")
          disk.folder("/in/empty")
          yield* manager.retry(id)
          assert.strictEqual((yield* rest(id)).state, "Completed")
        }).pipe(Effect.provide(runtime(disk)))
        assert.deepStrictEqual(Object.keys(disk.tree("/")), kept)
      }
    }))

  it.effect("removes what is mounted in there where that is wanted, or named; where it is mounted stays", () =>
    Effect.gen(function*() {
      for (
        const options of [
          { oneFileSystem: false },
          { paths: ["/in", "/in/empty"] },
          { paths: ["/in/empty", "/in", "/in/empty/mounted"] }
        ] satisfies ReadonlyArray<Options>
      ) {
        const disk = plant()
        disk.mount("/in/empty")
        disk.file("/in/empty/mounted", "text")
        const { rows } = yield* remove(disk, options)
        assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["empty"])
        assert.deepStrictEqual(rows, [
          "/in/empty failed: Could not remove \"/in/empty\": it is in use (EBUSY)"
        ])
      }
    }))

  it.effect("leaves the database of its own job, and tells so", () =>
    Effect.gen(function*() {
      const disk = plant()
      const result = yield* remove(disk, { leaveOut: ["/in/a/b/c", "/in/a/b/c-wal"] })
      assert.deepStrictEqual(result, {
        ...done,
        rows: ["/in/a/b/c skipped: it belongs to the database of this job"],
        files: 5,
        folders: 1
      })
      assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["a", "a/b", "a/b/c"])
    }))

  it.effect("refuses what must not be deleted, in one sentence", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.symlink("/tolink", "/in/link")
      const why = (path: string, options: Options = {}) => refused({ ...options, paths: [path] })(disk)
      assert.include(yield* why("/"), "is the root of all files")
      assert.include(yield* why("//"), "is the root of all files")
      assert.include(yield* why("s3://bucket/a"), "An address can't be deleted here: supply what finds objects")
      assert.include(yield* why("/in/."), "named by dots")
      assert.include(yield* why("/in/.."), "named by dots")
      assert.include(yield* why("/in/../"), "named by dots")
      assert.include(yield* why("/in/link/"), "leave out the slash to remove the link")
      assert.include(yield* why("/in/broken/"), "leave out the slash to remove the link")
      assert.include(yield* why("/in/a.txt/"), "is not a folder")
      assert.include(yield* why("/nothing"), "There is nothing at \"/nothing\"")
      assert.include(yield* why("/in/a.txt", { leaveOut: ["/in/a.txt"] }), "belongs to the database")
      assert.include(yield* why("/in", { leaveOut: ["/in/a.txt"], trash: true }), "is the database")
      assert.deepStrictEqual(
        (yield* Effect.exit(plan({ paths: ["/in/"] })).pipe(Effect.provide(runtime(disk))))._tag,
        "Success"
      )
    }))

  it.effect("refuses a root that is another one than when the job started, and touches nothing of it", () =>
    Effect.gen(function*() {
      for (
        const swap of [
          (disk: MemoryFiles.Disk) => {
            disk.remove("/in")
            disk.folder("/in")
            disk.file("/in/new", "text")
          },
          (disk: MemoryFiles.Disk) => {
            disk.remove("/in")
            disk.symlink("/in", "/out")
          },
          (disk: MemoryFiles.Disk) => {
            disk.remove("/in")
            disk.file("/in", "text")
          }
        ]
      ) {
        const disk = plant()
        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const payload = yield* plan()
          swap(disk)
          const before = disk.tree("/")
          const { id } = yield* manager.start(Delete.job, payload)
          const { rows, state, why } = yield* rest(id)
          assert.deepStrictEqual([state, rows], ["Failed", []])
          assert.match(why, /"\/in", or the folder it is in, is another one than when the job started/)
          assert.deepStrictEqual(disk.tree("/"), before)
          const handle = yield* manager.attach(Delete.job, id)
          const exit = yield* Effect.exit(handle.await)
          assert.isTrue(Exit.isFailure(exit))
        }).pipe(Effect.provide(runtime(disk)))
      }
    }))

  it.effect("refuses where the folder that a root is in is another one, also if the root is gone", () =>
    Effect.gen(function*() {
      for (const paths of [["/in/a/b"], ["/in/a.txt"]] satisfies ReadonlyArray<Options["paths"]>) {
        const disk = plant()
        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const payload = yield* plan({ paths })
          disk.remove("/in")
          const { id } = yield* manager.start(Delete.job, payload)
          assert.strictEqual((yield* rest(id)).state, "Failed")
        }).pipe(Effect.provide(runtime(disk)))
      }
    }))

  it.effect("refuses where that folder is another one with something else of the name, or without", () =>
    Effect.gen(function*() {
      for (const isThere of [true, false]) {
        const disk = plant()
        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const payload = yield* plan({ paths: ["/in/a"] })
          disk.rename("/in", "/moved")
          disk.folder("/in")
          // A folder that was moved there is the one that was named, but not where it was.
          if (isThere) disk.rename("/moved/a", "/in/a")
          const { id } = yield* manager.start(Delete.job, payload)
          assert.strictEqual((yield* rest(id)).state, "Failed")
        }).pipe(Effect.provide(runtime(disk)))
        assert.isDefined(disk.see(isThere ? "/in/a/b/c" : "/moved/a/b/c"))
      }
    }))

  it.effect("removes no file that took the place of one that was named", () =>
    Effect.gen(function*() {
      const before = plant()
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const payload = yield* plan({ paths: ["/in/a.txt"] })
        before.remove("/in/a.txt")
        before.file("/in/a.txt", "another one")
        const { id } = yield* manager.start(Delete.job, payload)
        assert.strictEqual((yield* rest(id)).state, "Failed")
      }).pipe(Effect.provide(runtime(before)))
      assert.isDefined(before.see("/in/a.txt"))

      // The first look is that of the plan, the second one that of the job before it begins.
      for (let at = 3;; at++) {
        const meanwhile = plant()
        let looks = 0
        const swapping: FaultyFiles.Before = (call, path) =>
          Effect.sync(() => {
            if (call !== "lstat" || path !== "/in/a.txt" || ++looks !== at) return
            meanwhile.remove("/in/a.txt")
            meanwhile.file("/in/a.txt", "another one")
          })
        const { rows } = yield* remove(meanwhile, { paths: ["/in/a.txt"], before: swapping })
        if (looks < at) {
          assert.isAbove(at, 4)
          break
        }
        assert.deepStrictEqual(rows, ["/in/a.txt skipped: another one has taken its place meanwhile, which is left"])
        assert.isDefined(meanwhile.see("/in/a.txt"))
      }
    }))

  it.effect("removes the folders of what a retry has removed, also where something else still fails", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.file("/in/empty/stuck", "text")
      let isMended = false
      const before = FaultyFiles.failing(
        "EPERM",
        (call, path) =>
          call === "unlink" && (FilePath.name(path) === "stuck" || (FilePath.name(path) === "c" && !isMended))
      )
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const { id } = yield* manager.start(Delete.job, yield* plan())
        assert.lengthOf((yield* rest(id)).rows, 2)
        isMended = true
        yield* manager.retry(id)
        assert.lengthOf((yield* rest(id)).rows, 1)
      }).pipe(Effect.provide(runtime(disk, before)))
      assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["empty", "empty/stuck"])
    }))

  it.effect("is done where its roots are gone by then", () =>
    Effect.gen(function*() {
      const disk = plant()
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const payload = yield* plan({ paths: ["/in", "/beside"] })
        disk.remove("/in")
        disk.remove("/beside")
        const { id } = yield* manager.start(Delete.job, payload)
        assert.deepStrictEqual(yield* rest(id), { ...done, files: 0, folders: 0 })
      }).pipe(Effect.provide(runtime(disk)))
    }))

  it.effect("removes nothing of a root that is swapped while it is deleted", () =>
    Effect.gen(function*() {
      const disk = plant()
      let isSwapped = false
      const before: FaultyFiles.Before = (call) =>
        Effect.sync(() => {
          if (call !== "unlink" || isSwapped) return
          isSwapped = true
          disk.rename("/in", "/moved")
          disk.folder("/in")
          disk.file("/in/a.txt", "another one")
          disk.folder("/in/a")
          disk.folder("/in/a/b")
          disk.file("/in/a/b/c", "another one")
        })
      const { rows } = yield* remove(disk, { before })
      assert.deepStrictEqual(rows, ["/in skipped: another one has taken its place meanwhile, which is left"])
      assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["a", "a/b", "a/b/c", "a.txt"])
    }))

  it.effect("leaves a root that is made again once it is removed, and removes the others", () =>
    Effect.gen(function*() {
      for (const tellsBirth of [true, false]) {
        const disk = plant()
        disk.tellsBirth = tellsBirth
        let isMade = false
        const before: FaultyFiles.Before = () =>
          Effect.sync(() => {
            if (isMade || disk.see("/in/a") !== undefined) return
            isMade = true
            disk.folder("/in/a")
            disk.file("/in/a/new", "text")
          })
        const { files, folders, rows, state } = yield* remove(disk, { paths: ["/in/a", "/in/empty"], before })
        assert.deepStrictEqual([state, files, folders], ["Completed", 1, 3])
        assert.deepStrictEqual(rows, ["/in/a skipped: another one has taken its place meanwhile, which is left"])
        assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["\n", "a", "a/new", "a.txt", "broken", "link", "pipe"])
      }
    }))

  it.effect("removes a file once, also where the next one of its name gets its inode", () =>
    Effect.gen(function*() {
      for (const tellsBirth of [true, false]) {
        const disk = new MemoryFiles.Disk()
        disk.usesInodesAgain = true
        disk.tellsBirth = tellsBirth
        disk.folder("/in")
        disk.file("/in/app.log", "text")
        let isMade = false
        const before: FaultyFiles.Before = () =>
          Effect.sync(() => {
            if (isMade || disk.see("/in/app.log") !== undefined) return
            isMade = true
            disk.file("/in/app.log", "another one")
          })
        const result = yield* remove(disk, { paths: ["/in/app.log"], before })
        // Nothing looks at it any more; if something did, it would be there.
        if (!isMade) disk.file("/in/app.log", "another one")
        assert.deepStrictEqual(result, { ...done, files: 1, folders: 0 })
        assert.isDefined(disk.see("/in/app.log"))
      }
    }))

  it.effect("leaves a file that was made again while the job was paused, whatever inode it got", () =>
    Effect.gen(function*() {
      for (const tellsBirth of [true, false]) {
        const disk = new MemoryFiles.Disk()
        disk.usesInodesAgain = true
        disk.tellsBirth = tellsBirth
        disk.folder("/in")
        for (const name of ["keep.txt", "other.txt"]) disk.file(`/in/${name}`, "text")
        let pause: Effect.Effect<void> = Effect.void
        const before: FaultyFiles.Before = (call, path) =>
          call === "unlink" && path === "/in/other.txt" ? Effect.andThen(pause, Effect.yieldNow) : Effect.void
        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const { id } = yield* manager.start(Delete.job, yield* plan({ paths: ["/in/keep.txt", "/in/other.txt"] }))
          pause = Effect.ignore(manager.pause(id))
          assert.strictEqual((yield* rest(id)).state, "Paused")
          assert.isUndefined(disk.see("/in/keep.txt"))
          disk.file("/in/keep.txt", "another one")
          pause = Effect.void
          yield* manager.resume(id)
          // Where it is known to be another one, nothing more is done.
          assert.strictEqual((yield* rest(id)).state, tellsBirth ? "Failed" : "Completed")
        }).pipe(Effect.provide(runtime(disk, before)))
        assert.include(Object.keys(disk.tree("/in")), "keep.txt")
      }
    }))

  it.effect("removes what others put in there meanwhile, and fails where they never stop", () =>
    Effect.gen(function*() {
      for (const times of [1, 1000]) {
        const disk = plant()
        let left = times
        const before: FaultyFiles.Before = (call, path) =>
          Effect.sync(() => {
            if (call === "rmdir" && path === "/in" && left-- > 0) disk.file(`/in/new-${left}`, "text")
          })
        const { rows, state, why } = yield* remove(disk, { before })
        assert.deepStrictEqual(rows, [])
        assert.strictEqual(state, times === 1 ? "Completed" : "Failed")
        assert.strictEqual(why, times === 1 ? "" : "\"/in\" is still there: something was put in it again and again")
      }
    }))

  it.effect("goes down trees deeper than it keeps folders open", () =>
    Effect.gen(function*() {
      const disk = fresh()
      let path = "/in"
      for (let depth = 0; depth < 100; depth++) {
        path += "/d"
        disk.folder(path)
        if (depth % 40 === 0) disk.file(`${path}/file`, "text")
      }
      const { most, result } = yield* removeCounting(disk)
      assert.deepStrictEqual(result, { ...done, files: 3, folders: 101 })
      assert.isBelow(most, 120)
    }))

  it.effect("climbs out of a long chain of folders with few of them open", () =>
    Effect.gen(function*() {
      const disk = fresh()
      for (let depth = 0, path = "/in"; depth < 300; depth++) disk.folder(path += "/d")
      const { most, result } = yield* removeCounting(disk)
      assert.deepStrictEqual(result, { ...done, files: 0, folders: 301 })
      assert.isBelow(most, 60)
    }))

  it.effect("moves its roots to the trash as they are, and names those that it does not take", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.folder("/in/heavy")
      const { rows } = yield* remove(disk, { paths: ["/in/a", "/in/link", "/in/heavy", "/gone"], trash: true })
      assert.deepStrictEqual(rows, [
        "/in/heavy failed: \"/in/heavy\" could not be moved to the trash: it is full",
        "/gone failed: Could not look at \"/gone\": it does not exist (ENOENT)"
      ])
      assert.deepStrictEqual(Object.keys(disk.tree("/trash")), ["_in_a", "_in_a/b", "_in_a/b/c", "_in_link"])
      assert.deepStrictEqual(Object.keys(disk.tree("/in")), ["\n", "a.txt", "broken", "empty", "heavy", "pipe"])
    }))

  it.effect("is the same job for the same request, and another one for the same paths is refused", () =>
    Effect.gen(function*() {
      const disk = plant()
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const payload = yield* plan()
        const first = yield* manager.start(Delete.job, payload)
        assert.strictEqual((yield* manager.start(Delete.job, payload)).id, first.id)
        const other = { ...payload, request: { ...payload.request, oneFileSystem: false } }
        const error = yield* Effect.flip(manager.start(Delete.job, other))
        assert.strictEqual(error.reason._tag, "ActiveJobDiffers")
        yield* rest(first.id)
        assert.strictEqual((yield* look(first.id)).state, "Completed")
      }).pipe(Effect.provide(runtime(disk)))
    }))
})

describe("Batches of a deletion", () => {
  it.effect("have small folders whole, and go into others", () =>
    Effect.gen(function*() {
      const disk = fresh()
      for (const folder of ["a", "a/b", "a/b/c", "big", "big/x", "big/x/y", "d", "e", "e/pipes", "e/z"]) {
        disk.folder(`/in/${folder}`)
      }
      disk.file("/in/a/b/text", "text")
      for (let i = 0; i < 512; i++) disk.file(`/in/big/${i}`, "")
      disk.special("/in/e/pipes/pipe")
      const files = MemoryFiles.make(disk)
      const payload = yield* Effect.provideService(plan(), Files.Files, files)
      const elements = yield* Stream.runCollect(batches(payload, walkFolders(payload, Option.none()))).pipe(
        Effect.provideService(Files.Files, files)
      )
      const payloads = elements.map((element) => element._tag === "Item" ? element.payload : undefined)
      assert.deepStrictEqual(payloads.map((payload) => [payload?.folders, payload?.size]), [[
        [
          { path: p(""), names: [p("a")], areWhole: true },
          { path: p("big"), names: [p("x")], areWhole: true },
          { path: p(""), names: [p("big")] },
          { path: p(""), names: [p("d")], areWhole: true },
          { path: p("e"), names: [p("pipes")] },
          { path: p("e"), names: [p("z")], areWhole: true }
        ],
        3 + 1 + 512 + 0 + 1 + 0
      ]])
    }))
})
