import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Destination from "../src/internal/path/destination.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** Files and folders for every rule; the current folder is the root. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/src", "/src/sub", "/dst", "/taken", "/taken/file", "/blocked"]) disk.folder(folder)
  for (const file of ["/src/a", "/src/sub/b", "/file", "/other", "/blocked/src"]) disk.file(file, file)
  disk.symlink("/to-src", "src")
  disk.symlink("/to-dst", "dst")
  disk.symlink("/to-file", "file")
  disk.symlink("/to-sub", "src/sub")
  disk.symlink("/loop", "loop")
  disk.hardLink("/file", "/hard")
  disk.special("/fifo")
  for (const folder of ["/outer", "/outer/in", "/outer/in/in", "/more", "/more/in"]) disk.folder(folder)
  for (const file of ["/outer/in/in/x", "/outer/in/y", "/more/in/y"]) disk.file(file, file)
  disk.symlink("/to-outer", "outer")
  disk.symlink("/to-outer-in", "outer/in")
  return disk
}

const resolve = (
  args: Arr.NonEmptyReadonlyArray<string>,
  destination: string,
  options: { readonly isTarget?: boolean; readonly before?: FaultyFiles.Before } = {}
) =>
  Destination.resolve({
    sources: Arr.map(args, FilePath.make),
    destination: FilePath.make(destination),
    ...(options.isTarget === undefined ? {} : { isTarget: options.isTarget })
  }).pipe(Effect.provideService(
    Files.Files,
    FaultyFiles.intercept(MemoryFiles.make(plant()), options.before ?? (() => Effect.void))
  ))

const target = { isTarget: true } as const

describe("Destination", () => {
  it.effect.each<readonly [string, string, string, string, { readonly isTarget: true }?]>([
    ["src", "new", "/src", "/new"],
    ["src", "new/", "/src", "/new"],
    ["src", "dst", "/src", "/dst/src"],
    ["src/", "dst/", "/src", "/dst/src"],
    ["src/.", "dst", "/src", "/dst"],
    ["src/.", "new", "/src", "/new"],
    ["src/sub/..", "dst", "/src", "/dst"],
    ["file", "new", "/file", "/new"],
    ["file", "dst", "/file", "/dst/file"],
    ["file", "dst/new", "/file", "/dst/new"],
    ["file", "other", "/file", "/other"],
    ["src", "dst", "/src", "/dst", target],
    ["src", "to-dst", "/src", "/dst/src"],
    ["src", "to-dst/", "/src", "/dst", target],
    ["src", "to-dst/new", "/src", "/dst/new"],
    ["to-src", "new", "/to-src", "/new"],
    ["to-src/", "new", "/src", "/new"],
    ["to-src/", "dst", "/src", "/dst/to-src"],
    ["to-src/a", "dst", "/src/a", "/dst/a"],
    ["dst/../src", "new", "/src", "/new"],
    ["fifo", "dst", "/fifo", "/dst/fifo"],
    ["src/sub", "src", "/src/sub", "/src", target],
    ["outer/in/in", "outer", "/outer/in/in", "/outer", target]
  ])("copies %s to %s as %s to %s", ([source, destination, from, to, options]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* resolve([source], destination, options), [
        { source: FilePath.make(from), target: FilePath.make(to) }
      ])
    }))

  it.effect("puts several sources into one folder, in their order", () =>
    Effect.gen(function*() {
      const transfers = yield* resolve(["src", "file", "/taken"], "dst")

      assert.deepStrictEqual(transfers.map(({ source, target }) => `${source} ${target}`), [
        "/src /dst/src",
        "/file /dst/file",
        "/taken /dst/taken"
      ])
    }))

  it.effect("has a place for sources that are not there, or can't be looked at, where others are", () =>
    Effect.gen(function*() {
      const transfers = yield* resolve(["no", "file", "file/below", "no/where/at/all", "nobody/"], "dst")

      assert.deepStrictEqual(transfers.map(({ source, target }) => `${source} ${target}`), [
        "/no /dst/no",
        "/file /dst/file",
        "/file/below /dst/below",
        "/no/where/at/all /dst/all",
        "/nobody /dst/nobody"
      ])
    }))

  it.effect("leaves a link alone that leads to where another source goes", () =>
    Effect.gen(function*() {
      const transfers = yield* resolve(["more/in", "to-outer-in"], "outer")

      assert.deepStrictEqual(transfers.map(({ source }) => String(source)), ["/more/in", "/to-outer-in"])
    }))

  it.effect("copies a source once that is named twice", () =>
    Effect.gen(function*() {
      const transfers = yield* resolve(["file", "src", "./file", "to-src/../src", "other", "src/"], "dst")

      assert.deepStrictEqual(transfers.map(({ source }) => String(source)), ["/file", "/src", "/other"])
    }))

  it.effect.each<readonly [Arr.NonEmptyReadonlyArray<string>, string, string, string, { readonly isTarget: true }?]>([
    [["missing"], "dst", "SourceMissing", `There is nothing at "missing"`],
    [["missing", "nowhere"], "dst", "SourceMissing", `There is nothing at "missing"`],
    [["file", "missing/."], "dst", "SourceMissing", `There is nothing at "missing/."`],
    [["file", "other/"], "dst", "NotAFolder", `"other/" has to be a folder and is not`],
    [["file/"], "dst", "NotAFolder", `"file/" has to be a folder and is not`],
    [[""], "dst", "SourceMissing", `There is nothing at ""`],
    [["file"], "missing/new", "ParentMissing", `there is no folder "/missing": create it first, with mkdir -p`],
    [["src"], "missing/new/", "ParentMissing", `there is no folder "/missing"`],
    [["file"], "file/new", "NotAFolder", `"/file" has to be a folder`],
    [["file"], "new/", "FolderMissing", `There is no folder "new/" to copy into`],
    [["src"], "other/", "NotAFolder", `"other/" has to be a folder`],
    [["src", "file"], "new", "FolderMissing", `There is no folder "new" to copy into`],
    [["src", "file"], "other", "NotAFolder", `"other" has to be a folder`],
    [["src", "file"], "dst", "TooManySources", `2 sources are too many`, target],
    [["file"], "file", "SameFile", `"file" and "/file" are the same file`],
    [["file"], "hard", "SameFile", `"file" and "/hard"`],
    [["file"], "to-file", "SameFile", `"file" and "/to-file"`],
    [["to-file"], "file", "SameFile", `"to-file" and "/file"`],
    [["src"], ".", "SameFile", `"src" and "/src"`],
    [["src/."], "src", "SameFile", `"src/." and "/src"`],
    [["src"], "src", "SameFile", `"src" and "/src"`, target],
    [["src"], "src", "IntoItself", `"src" can't go into itself, to "/src/src"`],
    [["src"], "src/sub/new", "IntoItself", `to "/src/sub/new"`],
    [["src"], "to-sub", "IntoItself", `to "/src/sub/src"`],
    [["to-src/"], "src/sub/new", "IntoItself", `to "/src/sub/new"`],
    [["."], "dst", "IntoItself", `"." can't go into itself, to "/dst"`],
    [["src"], "blocked", "FolderOverFile", `The folder "src" can't take the place of "/blocked/src"`],
    [["src"], "file", "FolderOverFile", `The folder "src" can't take the place of "/file"`],
    [["src"], "to-dst", "FolderOverFile", `"/to-dst"`, target],
    [["file"], "taken", "FileOverFolder", `"file" can't take the place of the folder "/taken/file"`],
    [["file"], "dst", "FileOverFolder", `"/dst"`, target],
    [["file", "to-src/../file", "taken/file"], "dst", "SameTarget", `"file" and "taken/file" would both`],
    [["src/.", "taken/."], "dst", "SameTarget", `"/dst"`],
    [["outer/in"], "outer", "OverItself", `what is in "/outer/in/in" would take the place of what is`, target],
    [["outer/in/."], "outer", "OverItself", `"outer/in/." can't go to "/outer"`],
    [["to-outer/in"], "outer", "OverItself", `"/outer/in/in"`, target],
    [["more/in", "outer/in/y"], "outer", "OverItself", `"more/in" can't go to "/outer/in", since`],
    [["outer/in/y", "more/in"], "to-outer", "OverItself", `what is in "/more/in/y" would`],
    [["file", "src/."], "dst", "SameTarget", `"src/." and "file" would both be copied to "/dst/file"`]
  ])("refuses %s to %s: %s", ([sources, destination, reason, text, options]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(resolve(sources, destination, options))

      assert.strictEqual(error.reason._tag, reason)
      assert.include(error.message, text)
    }))

  it.effect("says so where the disk does not answer, whichever call it is", () =>
    Effect.gen(function*() {
      for (let n = 0;; n++) {
        const fault = FaultyFiles.failAfter(n, "EIO")
        const exit = yield* Effect.exit(resolve(["src"], "to-dst", fault))
        if (fault.failed() === undefined) {
          assert.strictEqual(exit._tag, "Success")
          return
        }
        const error = yield* Effect.flip(exit)
        assert.strictEqual(error.reason._tag, "Inaccessible")
        assert.include(error.message, "(EIO)")
      }
    }))

  it.effect("replaces a link that leads nowhere", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* resolve(["file"], "loop"), [
        { source: FilePath.make("/file"), target: FilePath.make("/loop") }
      ])
    }))
})
