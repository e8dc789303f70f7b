import { assert, describe, it } from "@effect/vitest"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import { copy, type Options, remembering } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const all = CopyOptions.Property.literals

const inode = (disk: MemoryFiles.Disk, path: string) => disk.find(FilePath.make(path)).inode

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/folder", "/to"]) disk.folder(folder)
  disk.file("/from/a", "text of a", { mode: 0o6755, modified: 1_111_111n })
  disk.file("/from/folder/b", "text of b")
  disk.symlink("/from/link", "folder/b")
  disk.setOwner(disk.find(FilePath.make("/from/a")), { owner: 11, group: 12 })
  disk.setMode(disk.find(FilePath.make("/from/a")), 0o6755)
  disk.setOwner(disk.find(FilePath.make("/from/folder")), { owner: 13, group: 14 })
  disk.setOwner(disk.find(FilePath.make("/from/link")), { owner: 15, group: 16 })
  for (const path of ["/from/a", "/from/folder", "/from/link"]) {
    const { attributes } = disk.find(FilePath.make(path))
    attributes.set(path === "/from/link" ? "trusted.of" : "user.of", Buffer.from(path))
    attributes.set("security.selinux", Buffer.from("of the system"))
  }
  disk.find(FilePath.make("/from/a")).times = { accessedNanos: 7n, modifiedNanos: 1_111_111n }
  return disk
}

const kept = (disk: MemoryFiles.Disk, path: string) => {
  const { attributes, mode, owner, times: { modifiedNanos } } = disk.find(FilePath.make(path))
  return { owner, mode, modifiedNanos, attributes: Array.from(attributes.keys()) }
}

describe.each([false, true])("what a copy keeps (files of a folder together: %s)", (together) => {
  const copyAll = (disk: MemoryFiles.Disk, options: Options = {}) =>
    copy(disk, { together, preserve: all, hardLinks: remembering(), ...options })

  it.effect("is mode and times, if nothing else is asked for", () =>
    Effect.gen(function*() {
      const disk = plant()
      yield* copy(disk, { together })
      // With another owner they would lend the rights of somebody else.
      assert.deepStrictEqual(kept(disk, "/to/copy/a"), {
        owner: { owner: 0, group: 0 },
        mode: 0o755,
        modifiedNanos: 1_111_111n,
        attributes: []
      })
      assert.deepStrictEqual(kept(disk, "/to/copy/folder").owner, { owner: 0, group: 0 })
    }))

  it.effect("is owner and extended attributes, of folders and links as well", () =>
    Effect.gen(function*() {
      const disk = plant()
      const { progress, state } = yield* copyAll(disk)
      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(Object.keys(progress.tally.units).filter((unit) => unit.startsWith("lost")), [])
      for (const path of ["a", "folder", "link", "folder/b"]) {
        const { attributes, ...rest } = kept(disk, `/to/copy/${path}`)
        const { attributes: own, ...source } = kept(disk, `/from/${path}`)
        assert.deepStrictEqual(rest, source, path)
        assert.deepStrictEqual(attributes, own.filter((name) => name !== "security.selinux"), path)
      }
    }))

  it.effect("is neither mode nor times where they are not asked for", () =>
    Effect.gen(function*() {
      const disk = plant()
      yield* copyAll(disk, { preserve: ["owner"] })
      const { mode, modifiedNanos } = kept(disk, "/to/copy/a")
      assert.strictEqual(mode, 0o755)
      assert.notStrictEqual(modifiedNanos, 1_111_111n)
      assert.deepStrictEqual(kept(disk, "/to/copy/a").owner, { owner: 11, group: 12 })
    }))

  it.effect("leaves folders that were there their modes, where these are not asked for", () =>
    Effect.gen(function*() {
      const disk = plant()
      for (const name of ["begun", "new"]) disk.folder(`/from/${name}`)
      disk.folder("/to/copy", { mode: 0o700 })
      disk.folder("/to/copy/folder", { mode: 0o2770 })
      // As a run before this one makes them.
      disk.folder("/to/copy/begun", { mode: 0o1700 })
      yield* copyAll(disk, { preserve: ["times"] })
      const modes = ["", "/folder", "/begun", "/new"].map((path) => kept(disk, `/to/copy${path}`).mode)
      assert.deepStrictEqual(modes, [0o700, 0o2770, 0o755, 0o755])
    }))

  it.effect.each(["EPERM", "EINVAL"])(
    "is told where the destination does not take it, and the rest is copied (%s)",
    (code) =>
      Effect.gen(function*() {
        const disk = plant()
        const before = FaultyFiles.failing(
          code,
          (call, path) => path.startsWith("/to") && (call === "fchown" || call === "lchown" || call === "setxattr")
        )
        const { progress: { tally: { units } }, state } = yield* copyAll(disk, { before })
        assert.strictEqual(state, "Completed")
        assert.deepStrictEqual(
          [units["lostOwner"], units["lostXattr"], units["lostMode"]],
          // The file, the folder and the link are somebody else's, and have attributes.
          [3, 3, undefined]
        )
        assert.strictEqual(kept(disk, "/to/copy/a").mode, 0o755)
      })
  )

  it.effect("is the mode without set-id bits where these are refused, and that is told", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/from", "/to"]) disk.folder(folder)
      disk.file("/from/a", "text of a", { mode: 0o6755 })
      const { before, hasFailed } = FaultyFiles.failingOnce("EPERM", (call, path) =>
        call === "fchmod" && path.startsWith("/to/copy"))
      const { progress: { tally: { units } }, state } = yield* copyAll(disk, { before })
      assert.deepStrictEqual([state, hasFailed(), units["lostMode"]], ["Completed", true, 1])
      assert.strictEqual(kept(disk, "/to/copy/a").mode, 0o755)
    }))

  it.effect.each(["EIO", "EACCES", "ENOTSUP"])(
    "copies what has attributes that can't be listed (%s)",
    (code) =>
      Effect.gen(function*() {
        const disk = plant()
        const before = FaultyFiles.failing(code, (call, path) => path.startsWith("/from") && call === "listxattr")
        const { progress: { tally: { units } }, rows, state } = yield* copyAll(disk, { before })
        assert.deepStrictEqual([state, rows], ["Completed", []])
        for (const path of ["a", "folder", "link", "folder/b"]) {
          const { attributes, ...rest } = kept(disk, `/to/copy/${path}`)
          const { attributes: _, ...source } = kept(disk, `/from/${path}`)
          assert.deepStrictEqual([rest, attributes], [source, []], path)
        }
        // A link has no permissions. Where a file system has no attributes none are lost.
        const lost = code === "ENOTSUP" ? [undefined, undefined] : [5, 4]
        assert.deepStrictEqual([units["lostXattr"], units["lostMode"]], lost)
      })
  )

  it.effect("tells no attributes as lost that were not asked for", () =>
    Effect.gen(function*() {
      const before = FaultyFiles.failing("EIO", (call, path) => path.startsWith("/from") && call === "listxattr")
      const { progress: { tally: { units } }, state } = yield* copyAll(plant(), { before, preserve: ["times"] })
      assert.deepStrictEqual([state, units["lostXattr"], units["lostMode"]], ["Completed", undefined, undefined])
    }))

  it.effect("keeps the attributes that can be read beside one that can't", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.find(FilePath.make("/from/folder/b")).attributes.set("user.of", Buffer.from("kept"))
      // Of what is not kept nothing needs to be read.
      const unread = new Set(["/from/a user.of", "/from/link trusted.of", "/from/folder/b security.selinux"])
      const { progress: { tally: { units } }, state } = yield* copyAll(disk, {
        before: (call, path, name = "") =>
          call === "getxattr" && unread.has(`${path} ${name}`)
            ? Effect.fail(FaultyFiles.error(call, path, "EIO"))
            : Effect.void
      })
      assert.deepStrictEqual([state, units["lostXattr"], units["lostMode"]], ["Completed", 2, undefined])
      const names = ["a", "link", "folder", "folder/b"].map((path) => kept(disk, `/to/copy/${path}`).attributes)
      assert.deepStrictEqual(names, [[], [], ["user.of"], ["user.of"]])
    }))

  it.effect(
    "is the time of a link also where another owner is refused",
    () =>
      Effect.gen(function*() {
        const disk = plant()
        const link = disk.find(FilePath.make("/from/link"))
        link.attributes.clear()
        link.times = { accessedNanos: 7n, modifiedNanos: 1_111_111n }
        const { before, hasFailed } = FaultyFiles.failingOnce("EPERM", (call) => call === "lchown")
        const { rows, state } = yield* copyAll(disk, { before, conflict: "overwrite" })
        assert.deepStrictEqual([state, hasFailed(), rows], ["Completed", true, []])
        assert.strictEqual(kept(disk, "/to/copy/link").modifiedNanos, 1_111_111n)
      })
  )

  /** A list for access: the group may do nothing, a user whom it names read and write, and so says the mode. */
  const list = Buffer.concat([
    Buffer.from([2, 0, 0, 0]),
    ...([[1, 6, -1], [2, 6, 4321], [4, 0, -1], [0x10, 6, -1], [0x20, 0, -1]] as const).map(([tag, permissions, id]) => {
      const entry = Buffer.alloc(8)
      entry.writeUInt16LE(tag, 0)
      entry.writeUInt16LE(permissions, 2)
      entry.writeInt32LE(id, 4)
      return entry
    })
  ])
  const plantList = (): MemoryFiles.Disk => {
    const disk = plant()
    const file = disk.find(FilePath.make("/from/folder/b"))
    file.mode = 0o660
    file.attributes.set("system.posix_acl_access", list)
    return disk
  }

  it.effect("are lists for access, with the mode", () =>
    Effect.gen(function*() {
      const disk = plantList()
      yield* copy(disk, { together })
      assert.include(kept(disk, "/to/copy/folder/b"), { mode: 0o660 })
      assert.deepStrictEqual(kept(disk, "/to/copy/folder/b").attributes, ["system.posix_acl_access"])
    }))

  it.effect("gives the group no more than a list did that the destination does not take", () =>
    Effect.gen(function*() {
      const disk = plantList()
      const before = FaultyFiles.failing("ENOTSUP", (call) => call === "setxattr")
      const { progress: { tally: { units } } } = yield* copy(disk, { together, before })
      assert.strictEqual(units["lostMode"], 1)
      assert.include(kept(disk, "/to/copy/folder/b"), { mode: 0o600 })
    }))

  // --- Hard links ---------------------------------------------------------------------------------------------------

  const plantLinks = (): MemoryFiles.Disk => {
    const disk = plant()
    for (const path of ["/from/a2", "/from/folder/a3", "/from/z"]) disk.hardLink("/from/a", path)
    disk.hardLink("/from/folder/b", "/from/b2")
    return disk
  }
  const names = ["a", "a2", "folder/a3", "z"].map((name) => `/to/copy/${name}`)
  const inodes = (disk: MemoryFiles.Disk) => new Set(names.map((path) => inode(disk, path)))

  it.effect("is which names are of one file", () =>
    Effect.gen(function*() {
      const disk = plantLinks()
      const hardLinks = remembering()
      const { rows, state } = yield* copyAll(disk, { hardLinks })
      assert.deepStrictEqual({ rows, state }, { rows: [], state: "Completed" })
      assert.strictEqual(inodes(disk).size, 1)
      assert.strictEqual(inode(disk, "/to/copy/b2"), inode(disk, "/to/copy/folder/b"))
      assert.notStrictEqual(inode(disk, "/to/copy/b2"), inode(disk, "/to/copy/a"))
      assert.deepStrictEqual(hardLinks.known.size, 0, "it is forgotten at the end")
      // Nothing else is there.
      assert.strictEqual(Object.keys(disk.tree("/to/copy")).length, 8)
    }))

  it.effect("is left alone where it is there, and put right where names are files of their own", () =>
    Effect.gen(function*() {
      const disk = plantLinks()
      yield* copyAll(disk)
      const [first] = inodes(disk)
      yield* copyAll(disk)
      assert.deepStrictEqual(Array.from(inodes(disk)), [first])

      disk.remove("/to/copy/a2")
      disk.file("/to/copy/a2", "text of a", { modified: 1_111_111n })
      disk.remove("/to/copy/z")
      yield* copyAll(disk)
      assert.strictEqual(inodes(disk).size, 1)
      yield* copyAll(disk, { conflict: "overwrite" })
      assert.strictEqual(inodes(disk).size, 1)
      assert.strictEqual(Object.keys(disk.tree("/to/copy")).length, 8)
    }))

  it.effect("is known also where one of them is tried again", () =>
    Effect.gen(function*() {
      const disk = plantLinks()
      let failures = 1
      const before: FaultyFiles.Before = (call, path) =>
        Effect.suspend(() =>
          call === "lstat" && path === "/from/z" && failures-- > 0
            ? Effect.fail(FaultyFiles.error(call, path, "EIO"))
            : Effect.void
        )
      const { state } = yield* copyAll(disk, { before, goesOn: true })
      assert.deepStrictEqual([state, failures], ["Completed", -1])
      assert.strictEqual(inodes(disk).size, 1)
    }))

  it.effect("is told where the destination has no hard links", () =>
    Effect.gen(function*() {
      const disk = plantLinks()
      const before = FaultyFiles.failing("EPERM", (call, path) => call === "link" && path.startsWith("/to/copy"))
      const { progress, state } = yield* copyAll(disk, { before })
      assert.strictEqual(state, "Completed")
      assert.strictEqual(inodes(disk).size, 4)
      // Of four names and of two the first are no loss.
      assert.strictEqual(progress.tally.units["lostLinks"], 4)
    }))

  it.effect("is not taken from what somebody else has put in the place of the first", () =>
    Effect.gen(function*() {
      // It is told by its size, or by its time.
      for (const other of ["something else", "else of a"]) {
        const disk = plantLinks()
        let isDone = false
        const before: FaultyFiles.Before = (call, path) =>
          Effect.sync(() => {
            if (isDone || call !== "lstat" || path !== "/from/z") return
            isDone = true
            disk.change(FilePath.make("/to/copy/a"), () => other)
            disk.find(FilePath.make("/to/copy/a")).times = { accessedNanos: 0n, modifiedNanos: 10_000_000_000n }
          })
        yield* copyAll(disk, { before })
        assert.include(disk.see("/to/copy/z"), { kind: "file", text: "text of a" })
      }
    }))
})
