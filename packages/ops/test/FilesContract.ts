import { assert, describe, type Vitest } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

const bytes = (latin1: string): Uint8Array => Buffer.from(latin1, "latin1")
const times = { accessedNanos: 1_600_000_000_111_222_000n, modifiedNanos: 1_700_000_000_123_456_000n }

const write = Effect.fnUntraced(function*(path: FilePath.FilePath, text: string) {
  const files = yield* Files.Files
  yield* Effect.scoped(Effect.flatMap(files.create(path), (file) => file.write(bytes(text))))
})

const read = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const files = yield* Files.Files
  return yield* Effect.scoped(Effect.gen(function*() {
    const file = yield* files.open(path)
    const buffer = Buffer.alloc(3)
    let text = ""
    for (let length = yield* file.read(buffer); length > 0; length = yield* file.read(buffer)) {
      text += buffer.toString("latin1", 0, length)
    }
    return text
  }))
})

/** What every file system behind `Files` must do, each test in an empty folder of its own. */
export const filesContract = <E>(
  it: Vitest.Methods,
  layer: Layer.Layer<Files.Files, E>,
  emptyFolder: Effect.Effect<FilePath.FilePath, never, Scope.Scope>
) => {
  const test = <A, E>(
    name: string,
    body: (
      files: Files.Files["Service"],
      at: (name: string) => FilePath.FilePath
    ) => Effect.Effect<A, E, Files.Files | Scope.Scope>
  ) =>
    it.effect(name, () =>
      Effect.gen(function*() {
        const folder = yield* emptyFolder
        const files = yield* Files.Files
        yield* body(files, (name) => FilePath.join(folder, FilePath.fromBytes(bytes(name))))
      }).pipe(Effect.provide(layer)))

  const code = <A, R>(effect: Effect.Effect<A, { readonly code: string }, R>) =>
    Effect.map(Effect.flip(effect), (error) => error.code)

  describe("Files", () => {
    test("reads back what was written, under any name", (files, at) =>
      Effect.gen(function*() {
        for (const name of ["plain", "caf\xc3\xa9", "\xff\xfe", "\n \\", "-"]) {
          yield* write(at(name), `content of ${name}`)
          assert.strictEqual(yield* read(at(name)), `content of ${name}`)
          assert.strictEqual((yield* files.lstat(at(name))).sizeBytes, 11 + name.length)
        }
      }))

    test("reads at any place, and then goes on where it stood", (files, at) =>
      Effect.gen(function*() {
        yield* write(at("file"), "0123456789")
        const file = yield* files.open(at("file"))
        const buffer = Buffer.alloc(4)
        const text = (length: number) => buffer.toString("latin1", 0, length)

        assert.strictEqual(text(yield* file.readAt(buffer, 3)), "3456")
        assert.strictEqual(text(yield* file.read(buffer)), "0123")
        assert.strictEqual(text(yield* file.readAt(buffer, 8)), "89")
        assert.strictEqual(yield* file.readAt(buffer, 10), 0)
        assert.strictEqual(text(yield* file.read(buffer)), "4567")
      }))

    test("lists every name with its kind, sorted by bytes", (files, at) =>
      Effect.gen(function*() {
        yield* files.makeFolder(at("folder"))
        yield* write(at("\xff"), "")
        yield* write(at("a.txt"), "")
        yield* write(at("a"), "")
        yield* files.makeLink(FilePath.make("nowhere"), at("\xc3\xa9"))

        const listing = yield* files.list(FilePath.parent(at("a")))

        assert.deepStrictEqual(
          Array.from({ length: listing.size }, (_, i) => [listing.nameAt(i), listing.kindAt(i)]),
          [["a", "file"], ["a.txt", "file"], ["folder", "folder"], ["é", "link"], ["\udcff", "file"]]
        )
      }))

    test("lists only folders, and no link to one", (files, at) =>
      Effect.gen(function*() {
        yield* files.makeFolder(at("folder"))
        yield* files.makeLink(at("folder"), at("link"))
        yield* write(at("file"), "")

        assert.strictEqual((yield* files.list(at("folder"))).size, 0)
        assert.strictEqual(yield* code(files.list(at("link"))), "ENOTDIR")
        assert.strictEqual(yield* code(files.list(at("file"))), "ENOTDIR")
        assert.strictEqual(yield* code(files.list(at("nothing"))), "ENOENT")
      }))

    test("creates what only its owner may use, and nothing over what exists", (files, at) =>
      Effect.gen(function*() {
        yield* write(at("file"), "old")
        yield* files.makeFolder(at("folder"))
        yield* files.makeLink(at("nowhere"), at("link"))

        assert.strictEqual((yield* files.lstat(at("file"))).mode, 0o600)
        assert.strictEqual((yield* files.lstat(at("folder"))).mode, 0o700)
        for (const name of ["file", "folder", "link"]) {
          assert.strictEqual(yield* code(Effect.scoped(files.create(at(name)))), "EEXIST")
          assert.strictEqual(yield* code(files.makeFolder(at(name))), "EEXIST")
          assert.strictEqual(yield* code(files.makeLink(at("x"), at(name))), "EEXIST")
        }
        assert.strictEqual(yield* read(at("file")), "old")
        assert.isTrue(Option.isNone(yield* files.find(at("nowhere"))))
      }))

    test("tells links from what they lead to", (files, at) =>
      Effect.gen(function*() {
        yield* write(at("file"), "four")
        const target = FilePath.fromBytes(bytes("./file"))
        yield* files.makeLink(target, at("link"))

        assert.strictEqual((yield* files.lstat(at("link"))).kind, "link")
        assert.strictEqual((yield* files.lstat(at("link"))).sizeBytes, 6)
        assert.strictEqual((yield* files.stat(at("link"))).inode, (yield* files.lstat(at("file"))).inode)
        assert.strictEqual(yield* files.readLink(at("link")), target)
        assert.strictEqual(yield* files.realPath(at("link")), yield* files.realPath(at("file")))
        assert.strictEqual(yield* code(Effect.scoped(files.open(at("link")))), "ELOOP")
      }))

    test("keeps the bytes of a link's target", (files, at) =>
      Effect.gen(function*() {
        const target = FilePath.fromBytes(bytes("\xff/\xc3\xa9 \n"))
        yield* files.makeLink(target, at("link"))
        assert.strictEqual(yield* files.readLink(at("link")), target)
      }))

    test("finds nothing where there is nothing", (files, at) =>
      Effect.gen(function*() {
        yield* write(at("file"), "")
        assert.isTrue(Option.isNone(yield* files.find(at("nothing"))))
        assert.isTrue(Option.isNone(yield* files.find(at("file/below"))))
        assert.isTrue(Option.isNone(yield* files.find(FilePath.empty)))
        assert.isTrue(Option.isSome(yield* files.find(at("file"))))
        const error = yield* Effect.flip(files.lstat(at("nothing")))
        assert.strictEqual(error.code, "ENOENT")
        assert.strictEqual(
          error.message,
          `Could not look at "${FilePath.display(at("nothing"))}": it does not exist (ENOENT)`
        )
      }))

    test("sets mode and times of files, folders and links", (files, at) =>
      Effect.gen(function*() {
        yield* write(at("file"), "")
        yield* files.makeFolder(at("folder"))
        yield* files.makeLink(at("file"), at("link"))

        yield* Effect.scoped(Effect.gen(function*() {
          for (const file of [yield* files.open(at("file")), yield* files.open(at("folder"))]) {
            yield* file.setMode(0o2751)
            yield* file.setTimes(times)
          }
        }))
        yield* files.setLinkTimes(at("link"), times)

        for (const name of ["file", "folder", "link"]) {
          const stat = yield* files.lstat(at(name))
          if (name !== "link") assert.strictEqual(stat.mode, 0o2751)
          assert.isBelow(Math.abs(Number(stat.modifiedNanos - times.modifiedNanos)), 1000)
          if (name !== "folder") assert.isBelow(Math.abs(Number(stat.accessedNanos - times.accessedNanos)), 1000)
        }
      }))

    test("sets times before 1970 and after 2038", (files, at) =>
      Effect.gen(function*() {
        for (const modifiedNanos of [-1_500_000_000n, -1n, 0n, 4_294_967_296_000_000_000n]) {
          const name = at(`file ${modifiedNanos}`)
          const file = yield* files.create(name)
          yield* file.setTimes({ accessedNanos: modifiedNanos, modifiedNanos })
          const stat = yield* files.lstat(name)
          assert.isBelow(Math.abs(Number(stat.modifiedNanos - modifiedNanos)), 1000)
        }
      }))

    test("renames over a file, a link, and no folder", (files, at) =>
      Effect.gen(function*() {
        yield* files.makeFolder(at("folder"))
        yield* write(at("old"), "old")
        yield* files.makeLink(at("old"), at("link"))
        yield* write(at("new"), "new")

        assert.include(["EISDIR", "EEXIST", "ENOTEMPTY"], yield* code(files.rename(at("new"), at("folder"))))
        yield* files.rename(at("new"), at("link"))
        assert.strictEqual(yield* read(at("link")), "new")
        assert.strictEqual(yield* read(at("old")), "old")
        yield* files.rename(at("link"), at("old"))
        assert.strictEqual(yield* read(at("old")), "new")
        assert.isTrue(Option.isNone(yield* files.find(at("link"))))
      }))

    test("links a file, or a link itself, under a free name only", (files, at) =>
      Effect.gen(function*() {
        yield* write(at("file"), "text")
        yield* files.makeLink(at("file"), at("link"))

        yield* files.link(at("file"), at("second"))
        yield* files.link(at("link"), at("second link"))

        assert.strictEqual((yield* files.lstat(at("second"))).inode, (yield* files.lstat(at("file"))).inode)
        assert.strictEqual((yield* files.lstat(at("second link"))).kind, "link")
        assert.strictEqual(yield* code(files.link(at("file"), at("link"))), "EEXIST")
      }))

    test("removes files and links, and no folder", (files, at) =>
      Effect.gen(function*() {
        yield* write(at("file"), "")
        yield* files.makeLink(at("folder"), at("link"))
        yield* files.makeFolder(at("folder"))

        yield* files.unlink(at("link"))
        yield* files.unlink(at("file"))

        assert.include(["EISDIR", "EPERM"], yield* code(files.unlink(at("folder"))))
        assert.strictEqual(yield* code(files.unlink(at("file"))), "ENOENT")
        assert.strictEqual((yield* files.list(FilePath.parent(at("x")))).size, 1)
      }))

    test("refuses to use a file that was closed", (files, at) =>
      Effect.gen(function*() {
        const file = yield* files.create(at("file"))
        yield* file.close
        assert.strictEqual(yield* code(file.write(bytes("x"))), "EBADF")
        assert.strictEqual(yield* code(file.close), "EBADF")
      }))
  })
}
