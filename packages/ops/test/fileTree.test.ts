import { assert, describe, it } from "@effect/vitest"
import type { Calls } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Filter from "@fanout/ops/Filter"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import * as QuickFiles from "../src/internal/files/quickFiles.ts"
import * as FileTree from "../src/internal/tree/fileTree.ts"
import * as TreeCursor from "../src/internal/tree/treeCursor.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** Names whose order, or whose text in a cursor, is easy to get wrong. */
const Name = Schema.Literals(["a", "a.txt", "a-", "ab", "Z", "é", "\udcff", "\\", "\\ff", "~", "\u{1f600}", "0"])
const Kind = Schema.Literals(["file", "link", "folder", "special"])
const Entry = Schema.Struct({ path: Schema.NonEmptyArray(Name), kind: Kind })
const Tree = Schema.Array(Entry)
const Change = Schema.Struct({ path: Schema.NonEmptyArray(Name), kind: Schema.Literals(["gone", ...Kind.literals]) })

const Rules = Schema.Array(
  Schema.Literals(["a", "a/", "/a", "*.txt", "a/ab", "a*/", "!ab", "!a/", "Z", "\udcff", "\\\\", "*", "!*/", "é/**"])
)

const sources = ["/one", "/two", "/three"].map(FilePath.make)

const put = (disk: MemoryFiles.Disk, path: string, kind: typeof Kind.Type): void => {
  if (disk.see(path) !== undefined) return
  if (kind === "folder") disk.folder(path)
  else if (kind === "file") disk.file(path, "text")
  else if (kind === "link") disk.symlink(path, "/one")
  else disk.special(path)
}

/** Two folders and a file; the first part of a path chooses the folder. */
const plant = (tree: typeof Tree.Type): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/one")
  disk.folder("/two")
  disk.file("/three", "text")
  for (const { kind, path } of tree) {
    const folders = path.slice(0, -1)
    let parent: string = folders.length % 2 === 0 ? "/one" : "/two"
    for (const name of folders) {
      const next = `${parent}/${name}`
      put(disk, next, "folder")
      if (disk.see(next)?.kind === "folder") parent = next
    }
    put(disk, `${parent}/${path.at(-1)}`, kind)
  }
  return disk
}

/** Lets no folder of these names be listed. */
const denying = (...names: ReadonlyArray<string>): FaultyFiles.Before =>
  FaultyFiles.failing("EACCES", (call, path) => call === "scandir" && names.includes(FilePath.name(path)))

const walk = (
  disk: MemoryFiles.Disk,
  options: Partial<FileTree.WalkOptions> = {},
  before: FaultyFiles.Before = () => Effect.void
) =>
  FileTree.walk({ sources, ...options }).pipe(
    Stream.runCollect,
    Effect.provideService(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before))
  )

const after = (cursor: string) => ({ after: Option.some(cursor) })

/** Folders that are open behind each element, innermost last. */
const brackets = (elements: ReadonlyArray<FileTree.Element>): ReadonlyArray<ReadonlyArray<FileTree.Element>> => {
  let open: ReadonlyArray<FileTree.Element> = []
  return elements.map((element) => {
    if (element._tag === "Open") open = [...open, element]
    if (element._tag === "Close") {
      const last = open.at(-1)
      assert.deepStrictEqual([last?.source, last?.path], [element.source, element.path])
      open = open.slice(0, -1)
    }
    return open
  })
}

/** Whether an element comes behind a place, told by names alone. */
const isBehind = (element: FileTree.Element, place: TreeCursor.TreeCursor): boolean => {
  if (element.source !== place.source) return element.source > place.source
  const isInside = place.side === "open"
  if (element.path === place.path) return element._tag === "Close" && place.side !== "leaf" && place.side !== "close"
  if (FilePath.isWithin(element.path, place.path)) return isInside
  if (FilePath.isWithin(place.path, element.path)) return element._tag === "Close"
  return FilePath.order(element.path, place.path) > 0
}

const place = (cursor: string): TreeCursor.TreeCursor => Option.getOrThrow(TreeCursor.parse(cursor))

describe("FileTree", () => {
  it.effect.prop(
    "meets everything once, in order, with brackets around folders",
    { tree: Tree },
    ({ tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)

        const elements = yield* walk(disk)

        assert.deepStrictEqual(brackets(elements).at(-1), [])
        const met = elements.filter(({ _tag }) => _tag !== "Close")
        assert.deepStrictEqual(
          met.map(({ path, source }) => FilePath.join(sources[source] ?? FilePath.empty, path)),
          sources.flatMap((source) => [
            source,
            ...(disk.see(source)?.kind === "folder" ? Object.keys(disk.tree(source)) : []).map((path) =>
              FilePath.join(source, FilePath.make(path))
            )
          ])
        )
        for (const [i, { path, source }] of met.slice(1).entries()) {
          if (met[i]?.source === source) assert.strictEqual(FilePath.order(met[i].path, path), -1)
        }
        for (const element of met) {
          const kind = disk.see(FilePath.join(sources[element.source] ?? FilePath.empty, element.path))?.kind
          assert.strictEqual(element._tag === "Leaf" ? element.kind : "folder", kind)
        }
        assert.strictEqual(new Set(elements.map(({ cursor }) => cursor)).size, elements.length)
      })
  )

  it.effect.prop(
    "meets just the folders where all else is left out, tells how much that is, and goes on behind each of them",
    { tree: Tree, tellsKinds: Schema.Boolean, oneFileSystem: Schema.Boolean },
    ({ oneFileSystem, tellsKinds, tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)
        disk.tellsKinds = tellsKinds
        const options = { onlyFolders: true, oneFileSystem }
        const all = yield* walk(disk)

        const elements = yield* walk(disk, options)

        assert.deepStrictEqual(
          elements.map(({ _tag, cursor }) => [_tag, cursor]),
          all.filter(({ _tag, path }) => _tag !== "Leaf" || path === "").map(({ _tag, cursor }) => [_tag, cursor])
        )
        for (const element of elements) {
          if (element._tag !== "Open") continue
          const children = all.filter(({ _tag, path, source }) =>
            _tag !== "Close" && path !== "" && source === element.source && FilePath.parent(path) === element.path
          )
          const others = tellsKinds ? children.filter(({ _tag }) => _tag === "Leaf") : children
          assert.strictEqual(element.others, others.length)
        }
        for (const [index, { cursor }] of elements.entries()) {
          assert.deepStrictEqual(yield* walk(disk, { ...options, ...after(cursor) }), elements.slice(index + 1))
        }
      })
  )

  it.effect.prop(
    "goes on behind each of its cursors as if it had never stopped",
    { tree: Tree, denied: Schema.Array(Name) },
    ({ denied, tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)
        const before = denying(...denied)
        const elements = yield* walk(disk, {}, before)

        for (const [index, { cursor }] of elements.entries()) {
          assert.isTrue(cursor.isWellFormed())
          assert.deepStrictEqual(yield* walk(disk, after(cursor), before), elements.slice(index + 1))
        }
      })
  )

  it.effect.prop(
    "tells folders as one in place of what it meets otherwise, with as much in them as may be",
    { tree: Tree, rules: Rules },
    ({ rules, tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)
        const filter = Filter.make(rules.map((rule) => Filter.Rule.make(rule)))
        const mayBeWhole: FileTree.WholeOptions["mayBeWhole"] = ({ path }) => FilePath.name(path) !== "Z"
        const walkWhole = (options: Pick<FileTree.WalkOptions, "after"> = {}) =>
          FileTree.walkWhole({ sources, mostWhole: 4, mayBeWhole, filter, ...options }).pipe(
            Stream.runCollect,
            Effect.provide(MemoryFiles.layer(disk))
          )
        const each = yield* walk(disk, { filter })
        const met = yield* walkWhole()

        const expanded = met.flatMap((element) => {
          if (element._tag !== "Whole") return [element]
          const { cursor, folders, leaves, path } = element
          const inside = each.filter((one) => one.source === element.source && FilePath.isWithin(one.path, path))
          const opened = inside.filter(({ _tag }) => _tag === "Open")
          const kinds = inside.flatMap((one) => one._tag === "Leaf" ? [one.kind] : [])
          assert.deepStrictEqual([folders, leaves], [opened.length, kinds.length])
          assert.isAtMost(folders + leaves, 4)
          assert.isFalse(kinds.includes("special") || !mayBeWhole(element))
          assert.strictEqual(inside.at(-1)?.cursor, cursor)
          return inside
        })
        assert.deepStrictEqual(expanded, each)
        for (const [index, { cursor }] of met.entries()) {
          assert.deepStrictEqual(yield* walkWhole(after(cursor)), met.slice(index + 1))
        }
      })
  )

  it.effect("asks no more than so deep in each folder how much there is", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      disk.folder("/one")
      disk.folder("/two")
      for (let depth = 1; depth <= 40; depth++) {
        disk.folder(`/one${"/d".repeat(depth)}`)
        disk.folder(`/two${"/d".repeat(depth)}`)
      }
      disk.special(`/one${"/d".repeat(40)}/pipe`)
      let lists = 0
      const counted = FaultyFiles.intercept(MemoryFiles.make(disk), (call) =>
        Effect.sync(() => {
          if (call === "scandir") lists++
        }))
      const met = yield* FileTree.walkWhole({
        sources: [FilePath.make("/one"), FilePath.make("/two")],
        mostWhole: 512,
        mayBeWhole: () => true
      }).pipe(Stream.runCollect, Effect.provideService(Files.Files, counted))
      const opened = met.filter(({ _tag }) => _tag === "Open")
      assert.deepStrictEqual([0, 1].map((source) => opened.filter((one) => one.source === source).length), [41, 25])
      assert.deepStrictEqual(met.flatMap((one) => one._tag === "Whole" ? [one.folders] : []), [16])
      // The end of a list that is asked for at once is told by a call of its own.
      assert.isAtMost(lists, 82 * 16 * 2)
    }))

  it.effect.each([
    { millis: 900, last: [3, 1], measured: ["/one/a", "/one/a/c"] },
    { millis: 1100, last: [0, 1], measured: ["/one/a", "/one/a/c", "/one/a/d"] }
  ])("asks how much there is in a folder unless it was told that within a second: $millis ms", ({
    last,
    measured,
    millis
  }) =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      // There is one more than may be told as one: by then all is known of those that were looked at before the last.
      for (const path of ["", "/a", "/a/b", "/a/b/below", "/a/d", "/a/c"]) disk.folder(`/one${path}`)
      for (const path of ["b/1", "b/below/2", "d/3", "d/4", "d/5"]) disk.file(`/one/a/${path}`, "")
      const asked: Array<string> = []
      const files = MemoryFiles.make(disk)
      const measuring: Files.Files["Service"] = {
        ...files,
        atOnce: (work, isNeeded) =>
          files.atOnce((calls, mayGoOn) => {
            const openPath: Calls["openPath"] = (path, mode) => {
              asked.push(path)
              return calls.openPath(path, mode)
            }
            return work({ ...calls, openPath }, mayGoOn)
          }, isNeeded).pipe(
            Effect.tap(() => {
              if (asked.at(-1) !== "/one/a/c") return Effect.void
              for (const name of "345") disk.remove(`/one/a/d/${name}`)
              return TestClock.adjust(millis)
            })
          )
      }
      const met = yield* FileTree.walkWhole({
        sources: [FilePath.make("/one")],
        mostWhole: 9,
        mayBeWhole: () => true
      }).pipe(Stream.runCollect, Effect.provideService(Files.Files, measuring))
      assert.deepStrictEqual(
        met.flatMap((one) => one._tag === "Whole" ? [[one.path, one.leaves, one.folders]] : []),
        [["a/b", 2, 2], ["a/c", 0, 1], ["a/d", ...last]]
      )
      assert.deepStrictEqual(asked, measured)
    }))

  it.effect.prop(
    "meets what its filter does not leave out, whatever cursor it goes on behind, and opens no other folder",
    { tree: Tree, rules: Rules },
    ({ rules, tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)
        const filter = () => Filter.make(rules.map((rule) => Filter.Rule.make(rule)))
        const isLeftOut = filter()
        const out: Array<FileTree.Element> = []
        const expected = (yield* walk(disk)).filter((element) => {
          const { path, source } = element
          if (out.some((folder) => folder.source === source && FilePath.isWithin(path, folder.path))) return false
          if (path === "" || !isLeftOut(path, element._tag === "Open" || element._tag === "Close")) return true
          out.push(element)
          return false
        })
        const listed: Array<string> = []
        const before: FaultyFiles.Before = (call, path) =>
          Effect.sync(() => {
            if (call === "scandir") listed.push(path)
          })

        for (const tellsKinds of [true, false]) {
          disk.tellsKinds = tellsKinds
          listed.length = 0
          assert.deepStrictEqual(yield* walk(disk, { filter: filter() }, before), expected)
          assert.lengthOf(listed, expected.filter(({ _tag }) => _tag === "Open").length)
          for (const [index, { cursor }] of expected.entries()) {
            const rest = yield* walk(disk, { ...after(cursor), filter: filter() })
            assert.deepStrictEqual(rest, expected.slice(index + 1))
          }
        }
      })
  )

  it.effect.prop(
    "goes on with its filter in a folder that could not be read",
    { tree: Tree, rules: Rules, denied: Name },
    ({ denied, rules, tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)
        const filter = Filter.make(rules.map((rule) => Filter.Rule.make(rule)))
        const whole = yield* walk(disk, { filter })

        const partial = yield* walk(disk, { filter }, denying(denied))

        for (const element of partial) {
          if (element._tag !== "Unreadable") continue
          const start = whole.findIndex((_) =>
            _._tag === "Open" && _.path === element.path && _.source === element.source
          )
          assert.isAtLeast(start, 0)
          const rest = yield* walk(disk, { ...after(Option.getOrThrow(element.retryAfter)), filter })
          assert.deepStrictEqual(rest, whole.slice(start + 1))
        }
      })
  )

  it.effect("tells of what it can't look at unless it is left out whatever it is", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a"], kind: "folder" }, { path: ["ab"], kind: "file" }, {
        path: ["Z"],
        kind: "file"
      }])
      disk.tellsKinds = false
      const filter = Filter.make(["a/", "ab", "Z", "!Z/"].map((rule) => Filter.Rule.make(rule)))
      const looked: Array<string> = []

      const elements = yield* walk(disk, { filter }, (call, path) => {
        if (call !== "lstat" || sources.includes(path)) return Effect.void
        looked.push(path)
        return Effect.fail(FaultyFiles.error(call, path, "EIO"))
      })

      assert.deepStrictEqual(looked, ["/one/Z", "/one/a"])
      assert.deepStrictEqual(
        elements.flatMap(({ _tag, path }) => _tag === "Unreadable" ? [path] : []),
        ["Z", "a"].map(FilePath.make)
      )
    }))

  it.effect("lets others run while all that it meets is left out", () =>
    Effect.gen(function*() {
      const disk = plant([])
      for (let n = 0; n < 5000; n++) disk.file(`/one/${n}`, "text")
      const asked: Array<FilePath.FilePath> = []
      const filter: Filter.Filter = (path) => asked.push(path) > 0

      const walking = yield* Effect.forkChild(walk(disk, { sources: sources.slice(0, 1), filter }))
      while (asked.length === 0) yield* Effect.yieldNow
      const askedBefore = asked.length
      const elements = yield* Fiber.join(walking)

      assert.isBelow(askedBefore, 2000)
      assert.deepStrictEqual([asked.length, elements.map(({ _tag }) => _tag)], [5000, ["Open", "Close"]])
    }))

  it.effect.prop(
    "neither repeats nor skips, and closes what it opened, when the tree changed meanwhile",
    { tree: Tree, changes: Schema.Array(Change) },
    ({ changes, tree }) =>
      Effect.gen(function*() {
        const whole = yield* walk(plant(tree))
        const open = brackets(whole)
        const changed = plant(tree)
        for (const change of changes) {
          const path = ["/one", "/two"].map((root) => `${root}/${change.path.join("/")}`).find((path) =>
            Exit.isSuccess(Effect.runSyncExit(MemoryFiles.make(changed).lstat(FilePath.make(path))))
          )
          if (path === undefined) continue
          changed.remove(FilePath.make(path))
          if (change.kind !== "gone") put(changed, path, change.kind)
        }
        const now = yield* walk(changed)

        for (const [index, { cursor }] of whole.entries()) {
          const closes = (open[index] ?? []).map(({ path, source }) => ({ path, source })).toReversed()
          const expected = now.filter((element) => isBehind(element, place(cursor)))

          const actual = yield* walk(changed, after(cursor))

          const known = actual.filter(({ _tag }) => _tag !== "Unreadable")
          const isForced = (element: FileTree.Element) =>
            element._tag === "Close" &&
            closes.some(({ path, source }) => element.path === path && element.source === source)
          assert.deepStrictEqual(known.filter((_) => !isForced(_)), expected.filter((_) => !isForced(_)))
          assert.deepStrictEqual(known.filter(isForced).map(({ path, source }) => ({ path, source })), closes)
          brackets([...(open[index] ?? []), ...known])
          const lost = closes.filter(({ path, source }) =>
            Exit.isFailure(Effect.runSyncExit(
              MemoryFiles.make(changed).list(FilePath.join(sources[source] ?? FilePath.empty, path))
            ))
          )
          assert.deepStrictEqual(
            actual.filter(({ _tag }) => _tag === "Unreadable").map(({ path, source }) => ({ path, source })),
            lost
          )
          for (const [i, element] of actual.entries()) {
            if (element._tag !== "Unreadable") continue
            assert.strictEqual(actual[i + 1]?._tag, "Close")
            assert.deepStrictEqual(yield* walk(changed, after(element.cursor)), actual.slice(i + 1))
          }
        }
      }),
    { arbitrary: { runs: runs(60) } }
  )

  it.effect.prop(
    "begins with what could not be read when it is tried again",
    { tree: Tree, denied: Name },
    ({ denied, tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)
        const before = denying(denied)
        const [whole, partial] = [yield* walk(disk), yield* walk(disk, {}, before)]

        for (const element of partial) {
          if (element._tag !== "Unreadable") continue
          const rest = yield* walk(disk, after(Option.getOrThrow(element.retryAfter)))
          const start = whole.findIndex((_) =>
            _._tag === "Open" && _.path === element.path && _.source === element.source
          )
          assert.deepStrictEqual(rest, whole.slice(start + 1))
        }
        assert.strictEqual(
          partial.filter(({ _tag }) => _tag === "Unreadable").length > 0,
          whole.some(({ _tag, path }) => _tag === "Open" && FilePath.name(path) === denied)
        )
      })
  )

  it.effect.prop(
    "tells where in a folder that can't be read any more it has to be tried again",
    { tree: Tree, denied: Name },
    ({ denied, tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)
        const before = denying(denied)
        const whole = yield* walk(disk)
        const open = brackets(whole)

        for (const [index, { cursor }] of whole.entries()) {
          const rests = (yield* walk(disk, after(cursor), before)).flatMap((element) =>
            element._tag === "Unreadable" && element.cursor.endsWith("//") ? [element] : []
          )
          for (const rest of rests) {
            const retry = whole.findIndex((element) => element.cursor === Option.getOrThrow(rest.retryAfter))
            assert.isAtLeast(retry, index)
            assert.strictEqual(open[retry]?.at(-1)?.path, rest.path)
          }
          const expected = (open[index] ?? []).filter(({ path }) => FilePath.name(path) === denied)
          assert.deepStrictEqual(rests.map(({ path }) => path), expected.map(({ path }) => path).toReversed())
        }
      }),
    { arbitrary: { runs: runs(100) } }
  )

  it.effect.prop(
    "walks the same where folders do not tell kinds",
    { tree: Tree },
    ({ tree }) =>
      Effect.gen(function*() {
        const disk = plant(tree)
        const known = yield* walk(disk)
        disk.tellsKinds = false
        assert.deepStrictEqual(yield* walk(disk), known)
      })
  )

  it.effect("walks below paths that are too long for the kernel, and goes on there", () =>
    Effect.gen(function*() {
      const disk = plant([])
      let path = "/one"
      for (let depth = 0; depth < 25; depth++) {
        path += `/${"x".repeat(200)}`
        disk.folder(path)
      }
      disk.file(`${path}/file`, "text")

      const elements = yield* walk(disk)

      assert.strictEqual(elements.filter(({ _tag }) => _tag === "Unreadable").length, 0)
      const index = elements.findIndex(({ path }) => path.endsWith("/file"))
      assert.isAbove(elements[index]?.path.length ?? 0, 5000)
      disk.tellsKinds = false
      assert.deepStrictEqual(yield* walk(disk), elements)
      assert.deepStrictEqual(yield* walk(disk, after(elements[index]?.cursor ?? "")), elements.slice(index + 1))
      assert.strictEqual(disk.openCount, 0)
    }))

  it.effect("looks only at the sources themselves, and lists each folder once", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a", "ab"], kind: "folder" }, { path: ["a", "Z"], kind: "file" }])
      const calls: Array<string> = []

      yield* walk(disk, {}, (call, path) => Effect.sync(() => calls.push(`${call} ${path}`)))

      assert.deepStrictEqual(calls, [
        "lstat /one",
        "scandir /one",
        "lstat /two",
        "scandir /two",
        "scandir /two/a",
        "scandir /two/a/ab",
        "lstat /three"
      ])
    }))

  it.effect("lists nothing before it is asked for it, where that takes its time", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a"], kind: "folder" }])
      const calls: Array<string> = []
      const files = FaultyFiles.intercept(MemoryFiles.make(disk), (call, path) => {
        calls.push(`${call} ${path}`)
        return TestClock.adjust(1)
      })

      const first = yield* FileTree.walk({ sources }).pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.provideService(Files.Files, files)
      )

      assert.deepStrictEqual(first.map(({ cursor }) => cursor), ["0/"])
      assert.deepStrictEqual(calls, ["lstat /one", "scandir /one"])
    }))

  it.effect("gives together what it is told of quickly", () =>
    Effect.gen(function*() {
      const disk = plant([{ path: ["a"], kind: "folder" }, { path: ["a", "ab"], kind: "folder" }])
      for (const [millis, chunks] of [[0, 1], [2, 5]] as const) {
        const files = FaultyFiles.intercept(MemoryFiles.make(disk), () => TestClock.adjust(millis))
        let count = 0
        yield* FileTree.walk({ sources: sources.slice(0, 2) }).pipe(
          Stream.runForEachArray(() => Effect.sync(() => count++)),
          Effect.provideService(Files.Files, files)
        )
        assert.strictEqual(count, chunks)
      }
    }))

  it.effect("reports a source that is missing, and walks the others", () =>
    Effect.gen(function*() {
      const disk = plant([])
      disk.remove(FilePath.make("/two"))

      const elements = yield* walk(disk)

      assert.deepStrictEqual(elements.map(({ _tag, cursor }) => [_tag, cursor]), [
        ["Open", "0/"],
        ["Close", "0/."],
        ["Unreadable", "1"],
        ["Leaf", "2"]
      ])
    }))

  it.effect("refuses a cursor that it can't have given", () =>
    Effect.gen(function*() {
      for (const cursor of ["", "3", "0/a//b", "x"]) {
        const exit = yield* Effect.exit(walk(plant([]), after(cursor)))
        assert.deepStrictEqual(exit, Exit.die(new FileTree.InvalidCursor({ cursor })))
      }
    }))

  it.effect("walks at once where all of its sources are quick", () =>
    Effect.gen(function*() {
      for (const isQuick of [true, false]) {
        const disk = plant([])
        const asked: Array<FilePath.FilePath> = []
        let quickCalls = 0
        const quick = FaultyFiles.intercept(MemoryFiles.make(disk), () => Effect.sync(() => void quickCalls++))
        let calls = 0

        const plain = FaultyFiles.intercept(MemoryFiles.make(disk), () => Effect.sync(() => void calls++))

        const elements = yield* QuickFiles.walking(sources, FileTree.walk({ sources })).pipe(
          Stream.runCollect,
          Effect.provideService(Files.Files, plain),
          Effect.provideService(QuickFiles.QuickFiles, {
            isSlow: () => false,
            throughout: (paths) =>
              Effect.sync(() => {
                asked.push(...paths)
                return isQuick ? Option.some(quick) : Option.none()
              })
          })
        )

        assert.lengthOf(elements, 5)
        assert.deepStrictEqual(asked, sources)
        assert.deepStrictEqual([quickCalls > 0, calls > 0], [isQuick, !isQuick])
      }
    }))
})
