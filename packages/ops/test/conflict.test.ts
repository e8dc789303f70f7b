import { assert, describe, it } from "@effect/vitest"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Place from "../src/internal/path/place.ts"
import * as Conflict from "../src/internal/steps/conflict.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const Time = Schema.Literals([0n, 999n, 1000n, 1_700_000_000_000_000_000n, 1_700_000_000_000_000_999n])
const Facts = Schema.Union([
  Schema.TaggedStruct("File", { sizeBytes: Schema.Literals([0, 1, 5_000_000_000]), modifiedNanos: Time }),
  Schema.TaggedStruct("Link", {
    target: Schema.Literals([FilePath.make("a"), FilePath.make("b")]),
    modifiedNanos: Time
  }),
  Schema.TaggedStruct("Folder", {}),
  Schema.TaggedStruct("Special", {})
])
const any = { mode: Conflict.Mode, source: Facts, destination: Facts }

const isFolder = (facts: Conflict.Facts): boolean => facts._tag === "Folder"
const file = (sizeBytes: number, modifiedNanos: bigint): Conflict.Facts => ({ _tag: "File", sizeBytes, modifiedNanos })

describe("Conflict", () => {
  it.prop("creates what has no counterpart, and never a FIFO, socket or device", any, ({ mode, source }) => {
    const { _tag } = Conflict.decide(mode, source, Option.none())
    assert.strictEqual(_tag, source._tag === "Special" ? "Skip" : "Create")
  })

  it.prop("merges folders, and puts neither in the place of the other kind", any, ({ destination, mode, source }) => {
    if (source._tag === "Special" || (!isFolder(source) && !isFolder(destination))) return
    const decision = Conflict.decide(mode, source, Option.some(destination))
    assert.deepStrictEqual(
      decision,
      isFolder(source) && isFolder(destination)
        ? { _tag: "Merge" }
        : { _tag: "Refuse", reason: isFolder(source) ? "FolderOverFile" : "FileOverFolder" }
    )
  })

  it.prop(
    "does to a taken name what the mode says, and replaces no FIFO, socket or device",
    any,
    ({ destination, mode, source }) => {
      if (source._tag === "Special" || isFolder(source) || isFolder(destination)) return
      const decision = Conflict.decide(mode, source, Option.some(destination))
      if (destination._tag === "Special" && (mode === "changed" || mode === "overwrite")) {
        assert.deepStrictEqual(decision, { _tag: "Refuse", reason: "OverSpecial" })
        return
      }
      const allowed: Record<Conflict.Mode, ReadonlyArray<string>> = {
        changed: ["Unchanged", "Replace"],
        overwrite: ["Replace"],
        skip: ["Skip"],
        rename: ["RenameTo"],
        error: ["Refuse"]
      }
      assert.include(allowed[mode], decision._tag)
    }
  )

  it.prop("leaves what it has copied before alone, by default", { source: Facts }, ({ source }) => {
    if (source._tag !== "File" && source._tag !== "Link") return
    for (const lost of [-999n, -119n, 0n, 119n, 999n]) {
      const copy = { ...source, modifiedNanos: source.modifiedNanos + lost }
      assert.deepStrictEqual(Conflict.decide("changed", source, Option.some(copy)), { _tag: "Unchanged" })
    }
  })

  it("sees a change of size, of time, of kind or of target", () => {
    const changes: ReadonlyArray<readonly [Conflict.Facts, Conflict.Facts]> = [
      [file(1, 0n), file(2, 0n)],
      [file(1, 0n), file(1, 1000n)],
      [file(1, 1000n), file(1, 0n)],
      [file(1, 0n), { _tag: "Link", target: FilePath.make("a"), modifiedNanos: 0n }],
      [
        { _tag: "Link", target: FilePath.make("a"), modifiedNanos: 0n },
        { _tag: "Link", target: FilePath.make("b"), modifiedNanos: 0n }
      ]
    ]
    for (const [source, destination] of changes) {
      assert.strictEqual(Conflict.decide("changed", source, Option.some(destination))._tag, "Replace")
    }
  })

  it.effect("decides by what is on the disk, links as links", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      disk.folder("/folder")
      disk.file("/file.txt", "text", { modified: 5_000n })
      disk.file("/file (1).txt", "")
      disk.symlink("/link", "folder", { modified: 6_000n })
      disk.special("/fifo")
      const files = MemoryFiles.make(disk)
      const at = FilePath.make
      const decide = (mode: Conflict.Mode, source: string, target: string) =>
        Effect.gen(function*() {
          const place = yield* Place.open(at(source))
          const found = { place, stat: yield* Place.lstat(place) }
          const decision = yield* Conflict.resolve(mode, found, yield* Place.open(at(target)))
          assert.strictEqual(
            Conflict.placeOf(decision, FilePath.name(at(target))),
            FilePath.name(Conflict.placeOf(decision, at(target)))
          )
          if (Option.isNone(yield* files.find(at(target)))) {
            assert.deepStrictEqual(yield* Conflict.resolve(mode, found, at(target)), decision)
          }
          return [decision, String(Conflict.placeOf(decision, at(target)))] as const
        }).pipe(Effect.provideService(Files.Files, files))

      assert.deepStrictEqual(yield* decide("changed", "/file.txt", "/new"), [{ _tag: "Create" }, "/new"])
      assert.deepStrictEqual(yield* decide("changed", "/file.txt", "/file.txt"), [{ _tag: "Unchanged" }, "/file.txt"])
      assert.deepStrictEqual(yield* decide("changed", "/link", "/link"), [{ _tag: "Unchanged" }, "/link"])
      assert.deepStrictEqual(yield* decide("changed", "/file.txt", "/link"), [{ _tag: "Replace" }, "/link"])
      assert.deepStrictEqual(yield* decide("changed", "/folder", "/link"), [
        { _tag: "Refuse", reason: "FolderOverFile" },
        "/link"
      ])
      assert.deepStrictEqual(yield* decide("rename", "/link", "/file.txt"), [
        { _tag: "RenameTo", number: 2 },
        "/file (2).txt"
      ])
      assert.deepStrictEqual(yield* decide("changed", "/folder", "/"), [{ _tag: "Merge" }, "/"])
      assert.deepStrictEqual(yield* decide("changed", "/fifo", "/new"), [{ _tag: "Skip", reason: "Special" }, "/new"])
      assert.deepStrictEqual(yield* decide("overwrite", "/fifo", "/fifo"), [
        { _tag: "Skip", reason: "Special" },
        "/fifo"
      ])
    }))

  it.effect("never replaces what the link leads to that would take its place", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/from", "/to"]) disk.folder(folder)
      for (const name of ["a", "b"]) disk.file(`/to/${name}`, name)
      for (const [name, target] of [["a", "c"], ["c", "../to/a"], ["b", "../to/a"]] as const) {
        disk.symlink(`/from/${name}`, target)
      }
      const decide = (mode: Conflict.Mode, name: string) =>
        Effect.gen(function*() {
          const [source, target] = [yield* Place.open(at("from", name)), yield* Place.open(at("to", name))]
          return yield* Conflict.resolve(mode, { place: source, stat: yield* Place.lstat(source) }, target)
        }).pipe(Effect.provideService(Files.Files, MemoryFiles.make(disk)))
      const at = (folder: string, name: string) => FilePath.make(`/${folder}/${name}`)

      for (const mode of ["changed", "overwrite"] as const) {
        assert.deepStrictEqual(yield* decide(mode, "a"), { _tag: "Refuse", reason: "SameFile" })
        assert.deepStrictEqual(yield* decide(mode, "b"), { _tag: "Replace" })
      }
      // A move takes away what the first one leads through.
      disk.rename("/from/c", "/to/c")
      for (const mode of ["changed", "overwrite"] as const) {
        assert.deepStrictEqual(yield* decide(mode, "a"), { _tag: "Replace" })
        const options = { ...CopyOptions.CopyOptions.defaultValue(), isMove: true }
        const moved = yield* Effect.provideService(decide(mode, "a"), CopyOptions.CopyOptions, options)
        assert.deepStrictEqual(moved, { _tag: "Refuse", reason: "LinkToNothing" })
      }
    }))
})
