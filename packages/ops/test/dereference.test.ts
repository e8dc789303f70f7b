import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FileTree from "../src/internal/tree/fileTree.ts"
import { copy, preview } from "./copyHarness.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** A tree with links of each kind, some of which lead out of it. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/folder", "/outside", "/outside/inner", "/to"]) disk.folder(folder)
  disk.file("/from/a", "text of a", { mode: 0o640, modified: 1_111_111n })
  disk.file("/outside/b", "text of b", { modified: 2_222_222n })
  disk.file("/outside/inner/c", "text of c")
  disk.special("/outside/pipe")
  disk.symlink("/outside/inner/back", "../b")
  disk.symlink("/from/folder/to b", "../../outside/b")
  disk.symlink("/from/over another", "folder/to b")
  disk.symlink("/from/outside", "../outside")
  return disk
}

const see = (disk: MemoryFiles.Disk, root: string) =>
  Object.entries(disk.tree(root)).map(([path, seen]) => `${path} ${seen.kind === "file" ? seen.text : seen.kind}`)

describe("a copy of what links lead to", () => {
  it.effect("has it in the place of the links, wherever it is", () =>
    Effect.gen(function*() {
      for (const together of [false, true]) {
        const disk = plant()
        const { rows, state } = yield* copy(disk, { together, dereference: true })
        assert.strictEqual(state, "Completed")
        assert.deepStrictEqual(rows, ["/from/outside/pipe skipped: it is no file, folder or link"])
        assert.deepStrictEqual(see(disk, "/to/copy"), [
          "a text of a",
          "folder folder",
          "folder/to b text of b",
          "outside folder",
          "outside/b text of b",
          "outside/inner folder",
          "outside/inner/back text of b",
          "outside/inner/c text of c",
          "over another text of b"
        ])
        assert.include(disk.see("/to/copy/over another"), { modified: 2_222_222n })
        const again = yield* copy(disk, { together, dereference: true })
        assert.strictEqual(again.progress.tally.tags["Copied"], undefined)
      }
    }))

  it.effect("does not go round in circles, nor into itself, and says so", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.symlink("/from/folder/up", "..")
      disk.symlink("/outside/home", "/from/folder/../../from")
      disk.symlink("/from/everything", "/")
      disk.symlink("/from/nowhere", "nothing")
      disk.folder("/to/copy")
      disk.folder("/to/copy/folder")
      disk.symlink("/from/into the copy", "/to/copy/folder")
      const { rows, state } = yield* copy(disk, { dereference: true })
      assert.strictEqual(state, "CompletedWithErrors")
      const failed = rows.filter((row) => row.includes(" failed"))
      assert.include(
        failed.join("\n"),
        `/from/nowhere failed: Could not look at "/from/nowhere": it is a link that leads`
      )
      for (const path of ["folder/up", "outside/home", "everything/from", "everything/to/copy", "into the copy"]) {
        assert.isTrue(failed.some((row) => row.startsWith(`/from/${path} failed`) && row.includes("ELOOP")), path)
      }
      const paths = Object.keys(disk.tree("/to/copy"))
      assert.include(paths, "everything/outside/b")
      assert.isFalse(paths.some((path) => path.includes("everything/from/a")))
    }))

  it.effect("tries links again that could not be followed, if that is asked for", () =>
    Effect.gen(function*() {
      for (const together of [false, true]) {
        const disk = plant()
        disk.symlink("/from/folder/later", "../../outside/later")
        disk.symlink("/from/gone", "nothing")
        disk.symlink("/from/nowhere", "nothing")
        disk.symlink("/from/round", "round")
        disk.symlink("/from/to a folder", "../outside/new")
        const { rows } = yield* copy(disk, {
          together,
          dereference: true,
          goesOn: true,
          whenStopped: Effect.sync(() => {
            disk.file("/outside/later", "text of later")
            disk.folder("/outside/new")
            disk.remove("/from/gone")
          })
        })
        assert.include(see(disk, "/to/copy"), "folder/later text of later")
        assert.deepStrictEqual(rows.map((row) => row.replace(/: Could.*: it is| became .*/, ":")), [
          "/from/outside/pipe skipped: it is no file, folder or link",
          "/from/gone skipped: it vanished",
          "/from/nowhere failed: a link that leads to nothing (ENOLINK)",
          "/from/round failed: a link, leads through too many, or leads back to where it is (ELOOP)",
          "/from/to a folder failed: \"/from/to a folder\":"
        ])
        assert.deepStrictEqual(disk.see("/to/copy/folder"), disk.see("/from/folder"))
      }
    }))

  it.effect("takes files together that no link leads to, and finds where links lead one by one", () =>
    Effect.gen(function*() {
      const disk = plant()
      for (let n = 0; n < 100; n++) disk.file(`/from/folder/${n}`, `text of ${n}`)
      const found: Array<string> = []
      const { progress, state } = yield* copy(disk, {
        together: true,
        dereference: true,
        conflict: "error",
        before: (call, path) => Effect.sync(() => void (call === "realpath" && found.push(path)))
      })
      assert.deepStrictEqual([state, progress.tally.tags["Copied"]], ["Completed", 106])
      assert.include(disk.see("/to/copy/folder/99"), { text: "text of 99" })
      assert.include(disk.see("/to/copy/folder/to b"), { text: "text of b" })
      assert.include(found, "/from/folder/to b")
      assert.notInclude(found, "/from/folder/99")
    }))

  it.effect("has files that links beside them lead to together with others, each once under each name", () =>
    Effect.gen(function*() {
      for (const verify of [undefined, true] as const) {
        const disk = plant()
        for (let n = 0; n < 20; n++) {
          disk.file(`/from/folder/${n}`, `text of ${n}`, { mode: 0o600 + n, modified: 5_000n })
        }
        const links = [["near", "7"], ["nearer", "near"], ["round", "round"], ["up", ".."], ["inner", "deep"]] as const
        for (const [name, to] of links) disk.symlink(`/from/folder/${name}`, to)
        disk.folder("/from/folder/deep")
        disk.file("/from/folder/deep/file", "deep")
        disk.symlink("/from/folder/deep/link", "file")
        const found: Array<string> = []
        const { rows } = yield* copy(disk, {
          together: true,
          dereference: true,
          ...verify === undefined ? {} : { verify },
          before: (call, path) => Effect.sync(() => void (call === "realpath" && found.push(path)))
        })
        assert.deepStrictEqual(rows.map((row) => row.slice(0, row.indexOf(" "))), [
          "/from/folder/round",
          "/from/folder/up",
          "/from/outside/pipe"
        ])
        for (const name of ["near", "nearer"]) {
          assert.deepStrictEqual(disk.see(`/to/copy/folder/${name}`), disk.see("/from/folder/7"))
        }
        for (const name of ["deep/file", "deep/link", "inner/file", "inner/link"]) {
          assert.include(disk.see(`/to/copy/folder/${name}`), { text: "deep" }, name)
        }
        assert.deepStrictEqual(found.filter((path) => /near|deep/.test(path)), [])
      }
    }))

  it.effect("is of what a source that is a link leads to, and is previewed like that", () =>
    Effect.gen(function*() {
      const disk = plant()
      const entries = yield* preview(disk, { dereference: true })
      assert.isFalse(entries.some(({ kind }) => kind === "link"))
      assert.isTrue(entries.some(({ kind, source }) => kind === "file" && source === "/from/outside/b"))
    }))

  it.effect("goes on behind each of its cursors as if it had never stopped", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.symlink("/from/folder/up", "..")
      const walk = (after: Option.Option<string>) =>
        Stream.runCollect(FileTree.walk({ sources: [FilePath.make("/from")], follow: { except: [] }, after })).pipe(
          Effect.provide(MemoryFiles.layer(disk))
        )
      const elements = yield* walk(Option.none())
      assert.isAbove(elements.length, 12)
      for (const [index, { cursor }] of elements.entries()) {
        assert.deepStrictEqual(yield* walk(Option.some(cursor)), elements.slice(index + 1), cursor)
      }
    }))
})
