import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as NumberedName from "../src/internal/path/numberedName.ts"
import * as Place from "../src/internal/path/place.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const Piece = Schema.Literals([
  "a",
  ".",
  ".tar",
  ".gz",
  " ",
  "é",
  "\udcff",
  "\u{1f600}",
  "x".repeat(40),
  "é".repeat(60)
])
const Name = Schema.NonEmptyArray(Piece)
const Number = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: NumberedName.maxNumber }))

/** The same names cut to what a file system takes. */
const nameOf = (pieces: ReadonlyArray<string>): FilePath.FilePath => {
  const bytes = FilePath.toBytes(FilePath.make(pieces.join("")))
  const name = FilePath.fromBytes(bytes.subarray(0, 255))
  return name === "." || name === ".." ? FilePath.make("a") : name
}

const firstFree = (disk: MemoryFiles.Disk) =>
  Effect.provide(
    Effect.flatMap(Place.open(FilePath.make("/photo.jpg")), NumberedName.firstFree),
    MemoryFiles.layer(disk)
  )

describe("NumberedName", () => {
  it("puts the number before the extension", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["/d/photo.jpg", "/d/photo (1).jpg"],
      ["/d/a.tar.gz", "/d/a (1).tar.gz"],
      ["/d/.tar.gz", "/d/.tar (1).gz"],
      ["/d/Makefile", "/d/Makefile (1)"],
      ["/d/.profile", "/d/.profile (1)"],
      ["/d/Mr. Smith", "/d/Mr. Smith (1)"],
      ["/d/ends.", "/d/ends. (1)"],
      ["/d/a.rather-long-extension", "/d/a.rather-long-extension (1)"],
      ["/d.e/photo (1).jpg", "/d.e/photo (1) (1).jpg"],
      ["photo.jpg", "photo (1).jpg"]
    ]
    for (const [path, expected] of cases) {
      assert.strictEqual(NumberedName.make(FilePath.make(path), 1), expected)
    }
  })

  it.prop(
    "makes a name of its own for each number, none too long",
    { name: Name, a: Number, b: Number },
    ({ a, b, name }) => {
      const path = FilePath.join(FilePath.make("/folder"), nameOf(name))

      const [x, y] = [NumberedName.make(path, a), NumberedName.make(path, b)]

      assert.strictEqual(FilePath.parent(x), "/folder")
      assert.isAtMost(FilePath.toBytes(FilePath.name(x)).length, 255)
      assert.notStrictEqual(x, path)
      assert.strictEqual(x === y, a === b)
    }
  )

  it.effect("finds the first number that is free", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      disk.file("/photo.jpg", "")
      disk.file("/photo (1).jpg", "")
      disk.symlink("/photo (2).jpg", "nowhere")
      disk.folder("/photo (3).jpg")
      disk.file("/photo (5).jpg", "")

      const number = yield* firstFree(disk)

      assert.strictEqual(number, 4)
    }))

  it.effect("gives up where all are taken", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (let i = 1; i <= NumberedName.maxNumber; i++) disk.file(`/photo (${i}).jpg`, "")

      const error = yield* Effect.flip(firstFree(disk))

      assert.strictEqual(error.message, `All names up to "/photo (9999).jpg" are taken`)
    }))
})
