import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as FolderListing from "@fanout/ops/FolderListing"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const Byte = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))
const Name = Schema.Array(Schema.Union([Schema.Literals([0x61, 0x62, 0x2e, 0xc3, 0xa9]), Byte]))
const Entries = Schema.Array(Schema.Struct({ name: Name, kind: FolderListing.EntryKind }))

const listing = Effect.fnUntraced(function*(entries: Iterable<readonly [name: string, kind: FolderListing.EntryKind]>) {
  const builder = FolderListing.builderUnsafe()
  for (const [name, kind] of entries) builder.addUnsafe(name, kind)
  return yield* builder.build
})

/** More names than are sorted at once, in no order: three blocks. */
const more = Array.from({ length: 9001 }, (_, i) => [`${(i * 7) % 9001}`, "link"] as const)

const binary = (name: ReadonlyArray<number>): string => String.fromCharCode(...name)
const pathOf = (name: string): FilePath.FilePath => FilePath.fromBytes(Buffer.from(name, "latin1"))
const namesOf = (self: FolderListing.FolderListing) => Array.from({ length: self.size }, (_, i) => self.nameAt(i))

describe("FolderListing", () => {
  it.effect.prop(
    "gives back what was added, sorted by bytes",
    { entries: Entries },
    ({ entries }) =>
      Effect.gen(function*() {
        for (const others of [[], more]) {
          const byName = new Map<string, FolderListing.EntryKind>([
            ...others,
            ...entries.map(({ kind, name }) => [binary(name), kind] as const)
          ])
          const expected = Array.from(byName).toSorted(([a], [b]) => a < b ? -1 : 1)

          const actual = yield* listing(byName)

          assert.deepStrictEqual(
            namesOf(actual).map((name, i) => [name, actual.kindAt(i)]),
            expected.map(([name, kind]) => [pathOf(name), kind])
          )
        }
      })
  )

  it.effect.prop(
    "finds the entry that comes after any name",
    { entries: Entries, name: Name },
    ({ entries, name }) =>
      Effect.gen(function*() {
        for (const others of [[], more]) {
          const names = [...others.map(([name]) => name), ...entries.map((entry) => binary(entry.name))]
          const after = binary(name)

          const self = yield* listing(names.map((name) => [name, "file"]))

          assert.strictEqual(self.indexAfter(pathOf(after)), names.filter((name) => name <= after).length)
        }
      })
  )

  it.effect("lets others run while it sorts many names", () =>
    Effect.gen(function*() {
      const count = 50_000
      let turns = 0
      yield* Effect.forkChild(Effect.forever(Effect.tap(Effect.yieldNow, () => Effect.sync(() => turns++))))

      const names = Array.from(
        { length: count },
        (_, i): readonly [string, "file"] => [`${(i * 7919) % count}`, "file"]
      )
      const self = yield* listing(names)

      assert.deepStrictEqual(namesOf(self), names.map(([name]) => FilePath.make(name)).toSorted())
      assert.isAbove(turns, 20)
    }))
})
