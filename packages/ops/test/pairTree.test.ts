import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type * as Filter from "@fanout/ops/Filter"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { runs } from "../../../test/effort.ts"
import * as FileTree from "../src/internal/tree/fileTree.ts"
import * as PairTree from "../src/internal/verify/pairTree.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { expected, Name, Pair, plant, trees } from "./pairHarness.ts"

const walk = (
  disk: MemoryFiles.Disk,
  after?: string,
  before: FaultyFiles.Before = () => Effect.void,
  filter?: Filter.Filter
) =>
  PairTree.walk(trees, Option.fromUndefinedOr(after), { isLeftOut: filter }).pipe(
    Stream.runCollect,
    Effect.provideService(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before))
  )

const denying = (...denied: ReadonlyArray<string>): FaultyFiles.Before =>
  FaultyFiles.failing("EACCES", (call, path) => call === "scandir" && denied.includes(path))

const pathOf = (line: string): string => line.slice(0, line.lastIndexOf(" "))

const isSomewhere = (path: string, folder: string) =>
  FilePath.isWithin(FilePath.make(path), FilePath.make(folder)) && path !== folder

describe("PairTree", () => {
  it.effect.prop(
    "meets everything once and in order, whatever folders tell of kinds",
    { pair: Pair },
    ({ pair }) =>
      Effect.gen(function*() {
        const disk = plant(pair)
        const elements = yield* walk(disk)

        assert.deepStrictEqual(elements.map(({ path }) => path), expected(disk).map(pathOf))
        for (const element of elements) {
          const [a, b] = [disk.see(`/a/${element.path}`)?.kind, disk.see(`/b/${element.path}`)?.kind]
          if (element._tag === "Folder") assert.deepStrictEqual([a, b], ["folder", "folder"])
          else if (element._tag === "Pair") assert.deepStrictEqual([a, b], [element.a, element.b])
          else if (element._tag === "Only") {
            const [own, other] = element.side === "A" ? [a, b] : [b, a]
            assert.deepStrictEqual([own, other], [element.kind, undefined])
            const entries = own === "folder"
              ? Object.keys(disk.tree(`/${element.side.toLowerCase()}/${element.path}`))
              : []
            const held = own === "folder" ? Option.some({ entries: entries.length, isAll: true }) : Option.none()
            assert.deepStrictEqual(element.held, held)
          } else assert.fail(element._tag)
        }
        assert.strictEqual(new Set(elements.map(({ cursor }) => cursor)).size, elements.length)
        assert.strictEqual(disk.openCount, 0)

        disk.tellsKinds = false
        assert.deepStrictEqual(yield* walk(disk), elements)
      })
  )

  it.effect.prop(
    "meets what it meets where all that is left out is in neither tree",
    { pair: Pair, names: Schema.Array(Name), onlyFolders: Schema.Boolean, tellsKinds: Schema.Boolean },
    ({ names, onlyFolders, pair, tellsKinds }) =>
      Effect.gen(function*() {
        const isLeftOut: Filter.Filter = (path, isFolder) =>
          (isFolder || !onlyFolders) && names.some((name) => name === FilePath.name(path))
        const [disk, pruned] = [plant(pair), plant(pair)]
        disk.tellsKinds = tellsKinds
        for (const side of ["/a", "/b"]) {
          for (const [path, { kind }] of Object.entries(pruned.tree(side))) {
            const whole = FilePath.make(`${side}/${path}`)
            const isThere = path in pruned.tree(side)
            if (isThere && isLeftOut(FilePath.make(path), kind === "folder")) pruned.remove(whole)
          }
        }

        const elements = yield* walk(disk, undefined, undefined, isLeftOut)

        assert.deepStrictEqual(elements, yield* walk(pruned))
        for (const [index, { cursor }] of elements.entries()) {
          assert.deepStrictEqual(yield* walk(disk, cursor, undefined, isLeftOut), elements.slice(index + 1))
        }
      }),
    { arbitrary: { runs: runs(100) } }
  )

  it.effect.prop(
    "goes on behind each of its cursors as if it had never stopped",
    { pair: Pair, denied: Schema.Array(Name), side: PairTree.Side },
    ({ denied, pair, side }) =>
      Effect.gen(function*() {
        const disk = plant(pair)
        const before: FaultyFiles.Before = (call, path) =>
          call === "scandir" && path.startsWith(`/${side.toLowerCase()}/`) &&
            denied.some((name) => name === FilePath.name(path))
            ? Effect.fail(FaultyFiles.error(call, path, "EACCES"))
            : Effect.void
        const elements = yield* walk(disk, undefined, before)

        for (const [index, { cursor }] of elements.entries()) {
          assert.isTrue(cursor.isWellFormed())
          assert.deepStrictEqual(yield* walk(disk, cursor, before), elements.slice(index + 1))
        }
      }),
    { arbitrary: { runs: runs(100) } }
  )

  it.effect.prop(
    "gives what is in a folder apart, from any place, once it can be had, and then its end",
    { pair: Pair },
    ({ pair }) =>
      Effect.gen(function*() {
        const disk = plant(pair)
        const whole = yield* walk(disk)
        for (const folder of whole) {
          if (folder._tag !== "Folder") continue
          const refused = yield* walk(disk, undefined, denying(`/b/${folder.path}`, "/b"))
          const first = refused.find(({ _tag, path }) => _tag === "Unreadable" && path === folder.path)
          const inside = whole.filter(({ path }) => isSomewhere(path, folder.path))
          const after = first?._tag === "Unreadable" ? first.retryAfter : undefined
          if (folder.path !== "" && first === undefined) continue

          const apart = yield* walk(disk, after ?? ".//")

          const simple = ({ _tag, path }: PairTree.Element) => ({ _tag, path })
          assert.deepStrictEqual(apart.map(simple), [...inside.map(simple), { _tag: "End", path: folder.path }])
          for (const [index, { cursor }] of apart.entries()) {
            assert.deepStrictEqual(yield* walk(disk, cursor), apart.slice(index + 1))
          }
        }
      }),
    { arbitrary: { runs: runs(40) } }
  )

  it.effect.prop(
    "tells where the rest of a folder begins that can't be read any more, and goes on behind it",
    { pair: Pair },
    ({ pair }) =>
      Effect.gen(function*() {
        const disk = plant(pair)
        const whole = yield* walk(disk)
        for (const [index, { cursor, path }] of whole.entries()) {
          for (const folder of whole) {
            if (folder._tag !== "Folder" || !isSomewhere(path, folder.path)) continue
            const before = denying(`/a/${folder.path}`.replace(/\/$/, ""))
            const broken = yield* walk(disk, cursor, before)
            const at = broken.findIndex(({ _tag, path }) => _tag === "Unreadable" && path === folder.path)
            const rest = broken[at]
            assert.isDefined(rest)
            if (rest?._tag !== "Unreadable") continue
            assert.deepStrictEqual(yield* walk(disk, rest.cursor, before), broken.slice(at + 1))
            const missed = whole.slice(index + 1).filter(({ path }) =>
              isSomewhere(path, folder.path) && !broken.some((element) => element.path === path)
            )
            const again = yield* walk(disk, rest.retryAfter)
            assert.deepStrictEqual(
              again.map(({ path }) => path),
              [...missed.map(({ path }) => path), folder.path]
            )
          }
        }
      }),
    { arbitrary: { runs: runs(15) } }
  )

  it.effect("asks for kinds through no link, wherever the path of a folder leads by then", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a", "0"], kind: "file", edit: "none" }])
      disk.folder("/other")
      disk.file("/other/0", "text")
      disk.tellsKinds = false
      let isSwapped = false
      const elements = yield* walk(disk, undefined, (call, path) =>
        Effect.sync(() => {
          if (isSwapped || call !== "lstat" || path !== "/a/a/0") return
          isSwapped = true
          disk.remove("/b/a")
          disk.symlink("/b/a", "/other")
        }))
      assert.isTrue(isSwapped)
      assert.deepStrictEqual(elements.map(({ _tag, path }) => [_tag, path]), [
        ["Folder", ""],
        ["Folder", "a"],
        ["Only", "a/0"]
      ])
    }))

  it.effect("asks for kinds below paths that are too long for the kernel", () =>
    Effect.gen(function*() {
      const disk = plant([])
      for (const side of ["/a", "/b"]) {
        let path = side
        for (let depth = 0; depth < 20; depth++) disk.folder(path = `${path}/${"n".repeat(250)}`)
        disk.file(`${path}/file`, "text")
      }
      const known = yield* walk(disk)
      disk.tellsKinds = false
      assert.deepStrictEqual(yield* walk(disk), known)
      assert.deepStrictEqual(known.map(({ _tag }) => _tag), [...Array.from({ length: 21 }, () => "Folder"), "Pair"])
      assert.strictEqual(disk.openCount, 0)
    }))

  it.effect("is balanced where the folder that was given apart has gone", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a", "0"], kind: "file", edit: "none" }])
      disk.remove("/b/a")
      const elements = yield* walk(disk, "./a//0")
      assert.deepStrictEqual(elements.map(({ _tag, cursor }) => [_tag, cursor]), [
        ["Unreadable", "./a//.."],
        ["End", "./a//."]
      ])
      disk.remove("/a/a")
      assert.deepStrictEqual((yield* walk(disk, "./a//")).map(({ _tag }) => _tag), ["End"])
    }))

  it.effect("never takes trees that are gone for trees without a difference", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a"], kind: "file", edit: "none" }])
      disk.remove("/a")
      assert.deepStrictEqual((yield* walk(disk)).map(({ _tag }) => _tag), ["Unreadable"])
      disk.remove("/b")
      assert.deepStrictEqual((yield* walk(disk)).map(({ _tag }) => _tag), ["Unreadable"])
      assert.deepStrictEqual((yield* walk(disk, "./")).map(({ _tag }) => _tag), ["Unreadable"])
    }))

  it.effect("ends where something is a folder one moment and none the next", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a"], kind: "folder", edit: "none" }])
      const elements = yield* walk(
        disk,
        undefined,
        FaultyFiles.failing("ENOTDIR", (call, path) => call === "scandir" && path === "/b/a")
      )
      assert.deepStrictEqual(
        elements.map(({ _tag }) => _tag),
        ["Folder", "Unreadable"]
      )
    }))

  it.effect("stops counting at ten thousand", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a"], kind: "folder", edit: "missing" }])
      const held = () =>
        walk(disk).pipe(Effect.map((all) => all.flatMap((one) => one._tag === "Only" ? [one.held] : [])))
      for (let i = 0; i < 10_000; i++) disk.file(`/a/a/${i}`, "")
      assert.deepStrictEqual(yield* held(), [Option.some({ entries: 10_000, isAll: true })])
      disk.file("/a/a/more", "")
      assert.deepStrictEqual(yield* held(), [Option.some({ entries: 10_000, isAll: false })])
    }))

  it.effect("refuses a cursor that it can't have given", () =>
    Effect.gen(function*() {
      for (const cursor of ["", "0/a", "./a//b//c"]) {
        const exit = yield* Effect.exit(walk(plant([]), cursor))
        assert.deepStrictEqual(exit, Exit.die(new FileTree.InvalidCursor({ cursor })))
      }
    }))
})
